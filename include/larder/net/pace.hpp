#pragma once
// How often something may be said: some at once, then one per interval.
#include <chrono>
#include <cstdint>
#include <optional>

namespace larder::net {

/// Not thread-safe.
class Pace {
 public:
  /// `burst`: how many may follow one another at once; one more is earned per `interval`.
  Pace(unsigned burst, std::chrono::milliseconds interval, std::chrono::steady_clock::time_point now) noexcept
      : burst_(burst), interval_(interval), allowed_(burst), earned_at_(now) {}

  /// How many were held back since the last that was allowed, where this one is; else it is counted among them.
  std::optional<std::uint64_t> allow(std::chrono::steady_clock::time_point now) noexcept;

 private:
  const unsigned burst_;
  const std::chrono::milliseconds interval_;
  unsigned allowed_;
  std::chrono::steady_clock::time_point earned_at_;  ///< up to when `allowed_` was reckoned
  std::uint64_t held_back_ = 0;
};

}  // namespace larder::net
