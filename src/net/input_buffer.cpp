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
  grow(std::min(std::max(capacity_ * 2, first_capacity_), std::max(limit, first_capacity_)));
  return true;
}

void InputBuffer::grow(std::size_t capacity) {
  auto grown = std::make_unique_for_overwrite<char[]>(capacity);
  const auto content = data();
  std::copy(content.begin(), content.end(), grown.get());
  block_ = std::move(grown);
  capacity_ = capacity;
  begin_ = 0;
  end_ = content.size();
}

void InputBuffer::append(std::string_view bytes) {
  if (room().size() < bytes.size()) grow(std::max(first_capacity_, data().size() + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), room().begin());
  filled(bytes.size());
}

void InputBuffer::shrink() noexcept {
  if (!empty()) return;
  block_.reset();
  begin_ = end_ = capacity_ = 0;
}

void InputBuffer::clear() noexcept {
  begin_ = end_ = 0;
  if (capacity_ <= first_capacity_) return;
  block_.reset();
  capacity_ = 0;
}

}  // namespace larder::net
