#include "larder/proxy/error_log.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>
#include <utility>

namespace larder::proxy {

ErrorLog::ErrorLog(std::string prefix, unsigned burst, std::chrono::milliseconds interval)
    : prefix_(std::move(prefix)),
      burst_(burst),
      interval_(interval),
      allowed_(burst),
      earned_at_(std::chrono::steady_clock::now()) {}

void ErrorLog::report(std::string_view text) {
  total_.fetch_add(1, std::memory_order_relaxed);
  const auto now = std::chrono::steady_clock::now();
  std::uint64_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto earned = (now - earned_at_) / interval_;
    if (earned > 0) {
      allowed_ = static_cast<unsigned>(std::min<std::int64_t>(burst_, allowed_ + earned));
      earned_at_ += earned * interval_;
    }
    if (allowed_ == 0) {
      ++held_back_;
      return;
    }
    --allowed_;
    more = std::exchange(held_back_, 0);
  }
  if (more > 0) {
    spdlog::error("{} {} ({} other lines were held back)", prefix_, text, more);
  } else {
    spdlog::error("{} {}", prefix_, text);
  }
}

}  // namespace larder::proxy
