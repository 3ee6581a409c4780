#include "larder/net/output_queue.hpp"

#include <cstring>

namespace larder::net {

char* OutputQueue::scratch(std::size_t n) {
  if (n > block_size) return large_.emplace_back(std::make_unique<char[]>(n)).get();
  if (blocks_.empty()) {
    blocks_.push_back(std::make_unique<char[]>(block_size));
  } else if (used_ + n > block_size) {
    if (++block_ == blocks_.size()) blocks_.push_back(std::make_unique<char[]>(block_size));
    used_ = 0;
  }
  char* at = blocks_[block_].get() + used_;
  used_ += n;
  return at;
}

void OutputQueue::add_view(std::string_view bytes) {
  if (bytes.empty()) return;
  pieces_.push_back({const_cast<char*>(bytes.data()), bytes.size()});  // sendmsg only reads
  size_ += bytes.size();
}

void OutputQueue::add_copy(std::string_view bytes) {
  if (bytes.empty()) return;
  char* copy = scratch(bytes.size());
  std::memcpy(copy, bytes.data(), bytes.size());
  size_ += bytes.size();
  // Copies that follow one another in a block become one piece.
  if (pieces_.size() > first_) {
    auto& last = pieces_.back();
    if (static_cast<char*>(last.iov_base) + last.iov_len == copy) {
      last.iov_len += bytes.size();
      return;
    }
  }
  pieces_.push_back({copy, bytes.size()});
}

void OutputQueue::retain(const void* object, void (*release)(const void*)) {
  if (object != nullptr && release != nullptr) retained_.push_back({object, release});
}

void OutputQueue::sent(std::size_t n) noexcept {
  size_ -= n;
  if (size_ == 0) {
    clear();
    return;
  }
  while (n >= pieces_[first_].iov_len) {
    n -= pieces_[first_].iov_len;
    ++first_;
  }
  pieces_[first_].iov_base = static_cast<char*>(pieces_[first_].iov_base) + n;
  pieces_[first_].iov_len -= n;
}

void OutputQueue::clear() noexcept {
  pieces_.clear();
  first_ = 0;
  size_ = 0;
  for (const auto& kept : retained_) kept.release(kept.object);
  retained_.clear();
  large_.clear();
  if (blocks_.size() > 1) blocks_.resize(1);
  block_ = 0;
  used_ = 0;
}

}  // namespace larder::net
