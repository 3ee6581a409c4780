#pragma once
// What is to be sent on a connection: views and short copies, gathered so that all of it leaves in one sendmsg.
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <sys/uio.h>
#include <vector>

namespace larder::net {

/// Not thread-safe. Views added with `add_view` must stay valid until sent, or be covered by `retain`.
class OutputQueue {
 public:
  /// `block_size`: bytes of the blocks that copies lie in; a longer copy gets a block of its own.
  explicit OutputQueue(std::size_t block_size = 4096) noexcept : block_size_(block_size) {}
  ~OutputQueue() { clear(); }
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;

  void add_view(std::string_view bytes);
  void add_copy(std::string_view bytes) { add_copies({bytes}); }
  /// Copies of all, one behind the other.
  void add_copies(std::initializer_list<std::string_view> parts);
  /// `release(object)` is called once all that was queued so far has been sent, or the queue is cleared.
  void retain(const void* object, void (*release)(const void*));

  /// What is left to be sent.
  [[nodiscard]] std::span<const iovec> pieces() const noexcept { return std::span(pieces_).subspan(first_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// `n` bytes were sent.
  void sent(std::size_t n) noexcept;
  /// Drops everything and releases what was retained.
  void clear() noexcept;
  /// Bytes of memory that the copies lie in.
  [[nodiscard]] std::size_t memory() const noexcept { return memory_; }
  /// Calls `visit(object, release)` for everything that is retained.
  template <class Visit>
  void each_retained(Visit visit) const {
    for (const auto& kept : retained_) visit(kept.object, kept.release);
  }
  /// Moves everything that `other` holds here. Only while this queue is empty. Few bytes of copies are copied once
  /// more: a queue that waits must not keep a large block for them.
  void take(OutputQueue& other);

 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    std::size_t size;
  };
  struct Retained {
    const void* object;
    void (*release)(const void*);
  };
  char* scratch(std::size_t n);
  void add_block();
  [[nodiscard]] bool owns(const iovec& piece) const noexcept;

  std::size_t block_size_;
  std::vector<iovec> pieces_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::vector<Retained> retained_;
  std::vector<Block> blocks_;  ///< the first is kept between replies
  std::vector<Block> large_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
  std::size_t memory_ = 0;
};

}  // namespace larder::net
