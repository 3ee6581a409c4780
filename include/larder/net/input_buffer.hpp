#pragma once
// What was read from a connection and not used yet. One block that grows when it must.
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace larder::net {

/// Not thread-safe. Views of its content are valid until room is made or it is cleared.
class InputBuffer {
 public:
  /// `first_capacity`: bytes of the first block, allocated when room is first made.
  explicit InputBuffer(std::size_t first_capacity) noexcept : first_capacity_(first_capacity) {}

  [[nodiscard]] std::string_view data() const noexcept { return {block_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  /// The free bytes behind the content, to be read into.
  [[nodiscard]] std::span<char> room() noexcept { return {block_.get() + end_, capacity_ - end_}; }
  /// True where the content has reached the end of the block and fills all of it.
  [[nodiscard]] bool is_full() const noexcept { return begin_ == 0 && end_ == capacity_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// Makes sure that there is room, by moving the content to the front or by doubling the block, up to `limit` bytes.
  /// False where the content fills `limit` bytes.
  bool make_room(std::size_t limit);
  /// `n` bytes were read into room().
  void filled(std::size_t n) noexcept { end_ += n; }
  /// Puts a copy of `bytes` behind the content, whatever its size.
  void append(std::string_view bytes);
  /// The first `n` bytes of the content are used.
  void consume(std::size_t n) noexcept { begin_ += n; }
  /// Drops the content, and the block where it is larger than the first one.
  void clear() noexcept;
  /// Drops the block where it has no content: idle connections stay small.
  void shrink() noexcept;

 private:
  void grow(std::size_t capacity);

  const std::size_t first_capacity_;
  std::unique_ptr<char[]> block_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace larder::net
