#include "larder/net/pace.hpp"

#include <algorithm>
#include <utility>

namespace larder::net {

std::optional<std::uint64_t> Pace::allow(std::chrono::steady_clock::time_point now) noexcept {
  const auto earned = (now - earned_at_) / interval_;
  if (earned > 0) {
    allowed_ = static_cast<unsigned>(std::min<std::int64_t>(burst_, allowed_ + earned));
    earned_at_ += earned * interval_;
  }
  if (allowed_ == 0) {
    ++held_back_;
    return std::nullopt;
  }
  --allowed_;
  return std::exchange(held_back_, 0);
}

}  // namespace larder::net
