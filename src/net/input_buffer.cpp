#include "larder/net/input_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace larder::net {

bool InputBuffer::make_room(std::size_t limit) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ < capacity_) return true;
  if (begin_ > 0) {
    std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    return true;
  }
  if (capacity_ >= limit) return false;
  const auto larger = std::min(std::max(capacity_ * 2, first_capacity_), std::max(limit, first_capacity_));
  auto grown = std::make_unique_for_overwrite<char[]>(larger);
  if (end_ > 0) std::memcpy(grown.get(), block_.get(), end_);
  block_ = std::move(grown);
  capacity_ = larger;
  return true;
}

void InputBuffer::clear() noexcept {
  begin_ = end_ = 0;
  if (capacity_ <= first_capacity_) return;
  block_.reset();
  capacity_ = 0;
}

}  // namespace larder::net
