#pragma once
// The log of what goes wrong again and again: some lines at once, then one per interval, with a count of those held
// back.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "larder/net/pace.hpp"

namespace larder::proxy {

/// Thread-safe. One object per kind of error.
class ErrorLog {
 public:
  /// `prefix` begins each line: "[CACHE ERROR]". `burst`: lines that may follow one another at once; one more is earned
  /// per `interval`.
  explicit ErrorLog(std::string prefix, unsigned burst = 1,
                    std::chrono::milliseconds interval = std::chrono::seconds(5));
  /// Logs at level error, or counts it to be told with the next line.
  void report(std::string_view text);
  [[nodiscard]] std::uint64_t total() const noexcept { return total_.load(std::memory_order_relaxed); }

 private:
  const std::string prefix_;
  std::mutex mutex_;
  net::Pace pace_;
  std::atomic<std::uint64_t> total_{0};
};

}  // namespace larder::proxy
