#pragma once
// The log of what goes wrong again and again: the first of a kind at once, then one line per interval with a count.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace larder::proxy {

/// Thread-safe. One object per kind of error.
class ErrorLog {
 public:
  /// `prefix` begins each line: "[CACHE ERROR]".
  explicit ErrorLog(std::string prefix, std::chrono::seconds interval = std::chrono::seconds(5));
  /// Logs at level error, or counts it to be told with the next line.
  void report(std::string_view text);
  [[nodiscard]] std::uint64_t total() const noexcept { return total_.load(std::memory_order_relaxed); }

 private:
  const std::string prefix_;
  const std::chrono::seconds interval_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point last_{};
  std::uint64_t held_back_ = 0;
  std::atomic<std::uint64_t> total_{0};
};

}  // namespace larder::proxy
