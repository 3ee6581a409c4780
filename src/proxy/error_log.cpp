#include "larder/proxy/error_log.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace larder::proxy {

ErrorLog::ErrorLog(std::string prefix, std::chrono::seconds interval)
    : prefix_(std::move(prefix)), interval_(interval) {}

void ErrorLog::report(std::string_view text) {
  total_.fetch_add(1, std::memory_order_relaxed);
  const auto now = std::chrono::steady_clock::now();
  std::uint64_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    if (last_ != std::chrono::steady_clock::time_point{} && now - last_ < interval_) {
      ++held_back_;
      return;
    }
    last_ = now;
    more = std::exchange(held_back_, 0);
  }
  if (more > 0) {
    spdlog::error("{} {} (and {} more since the last line)", prefix_, text, more);
  } else {
    spdlog::error("{} {}", prefix_, text);
  }
}

}  // namespace larder::proxy
