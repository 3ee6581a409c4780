#include "larder/proxy/error_log.hpp"

#include <spdlog/spdlog.h>
#include <utility>

namespace larder::proxy {

ErrorLog::ErrorLog(std::string prefix, unsigned burst, std::chrono::milliseconds interval)
    : prefix_(std::move(prefix)), pace_(burst, interval, std::chrono::steady_clock::now()) {}

void ErrorLog::report(std::string_view text) {
  total_.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto held_back = pace_.allow(std::chrono::steady_clock::now());
    if (!held_back) return;
    more = *held_back;
  }
  if (more > 0) {
    spdlog::error("{} {} ({} other lines were held back)", prefix_, text, more);
  } else {
    spdlog::error("{} {}", prefix_, text);
  }
}

}  // namespace larder::proxy
