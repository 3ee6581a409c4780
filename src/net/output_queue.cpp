#include "larder/net/output_queue.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace larder::net {

char* OutputQueue::scratch(std::size_t n) {
  if (n > block_size_) {
    large_.push_back({std::make_unique_for_overwrite<char[]>(n), n});
    memory_ += n;
    return large_.back().bytes.get();
  }
  if (blocks_.empty()) {
    add_block();
  } else if (used_ + n > block_size_) {
    if (++block_ == blocks_.size()) add_block();
    used_ = 0;
  }
  char* at = blocks_[block_].bytes.get() + used_;
  used_ += n;
  return at;
}

void OutputQueue::add_block() {
  blocks_.push_back({std::make_unique_for_overwrite<char[]>(block_size_), block_size_});
  memory_ += block_size_;
}

void OutputQueue::add_view(std::string_view bytes) {
  if (bytes.empty()) return;
  pieces_.push_back({const_cast<char*>(bytes.data()), bytes.size()});  // sendmsg only reads
  size_ += bytes.size();
}

void OutputQueue::add_copies(std::initializer_list<std::string_view> parts) {
  std::size_t bytes = 0;
  for (const auto part : parts) bytes += part.size();
  if (bytes == 0) return;
  char* const copy = scratch(bytes);
  char* at = copy;
  for (const auto part : parts) at = std::copy(part.begin(), part.end(), at);
  size_ += bytes;
  // Copies that follow one another in a block become one piece.
  if (pieces_.size() > first_) {
    auto& last = pieces_.back();
    if (static_cast<char*>(last.iov_base) + last.iov_len == copy) {
      last.iov_len += bytes;
      return;
    }
  }
  pieces_.push_back({copy, bytes});
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
  // A block of another queue's size is of no use to this one.
  if (!blocks_.empty() && blocks_.front().size != block_size_) blocks_.clear();
  memory_ = blocks_.empty() ? 0 : block_size_;
  block_ = 0;
  used_ = 0;
}

bool OutputQueue::owns(const iovec& piece) const noexcept {
  const auto is_in = [at = static_cast<const char*>(piece.iov_base)](const Block& block) {
    return !std::less<>{}(at, block.bytes.get()) && std::less<>{}(at, block.bytes.get() + block.size);
  };
  return std::any_of(blocks_.begin(), blocks_.end(), is_in) || std::any_of(large_.begin(), large_.end(), is_in);
}

void OutputQueue::take(OutputQueue& other) {
  if (other.empty()) return;
  clear();
  std::size_t copied = 0;
  for (const auto& piece : other.pieces()) copied += other.owns(piece) ? piece.iov_len : 0;
  if (copied <= block_size_) {
    for (const auto& piece : other.pieces()) {
      const std::string_view bytes(static_cast<const char*>(piece.iov_base), piece.iov_len);
      other.owns(piece) ? add_copy(bytes) : add_view(bytes);
    }
    retained_.swap(other.retained_);
    other.clear();
    return;
  }
  pieces_.swap(other.pieces_);
  std::swap(first_, other.first_);
  std::swap(size_, other.size_);
  retained_.swap(other.retained_);
  blocks_.swap(other.blocks_);
  large_.swap(other.large_);
  std::swap(memory_, other.memory_);
  std::swap(block_, other.block_);
  // Nothing more is put into the blocks that came along: they may be smaller than ours.
  used_ = block_size_;
  other.clear();
}

}  // namespace larder::net
