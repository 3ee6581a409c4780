#pragma once
// RESP2 on the wire: commands are written as arrays of bulk strings, replies are read by hiredis' incremental reader
// straight into `Reply`, within bounds of our own: whatever a peer sends, memory stays bounded and nothing throws.
// No sockets. Not thread-safe.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "larder/redis/reply.hpp"

namespace larder::redis {

/// What a reply may be at most; a larger one is a fault of the peer.
struct ReplyLimits {
  std::size_t max_bulk_bytes = 128UL << 20;   ///< one bulk string
  std::size_t max_line_bytes = 64UL << 10;    ///< one status, error, integer or length line
  std::size_t max_elements = 1UL << 20;       ///< array elements of one reply, nested ones included
  std::size_t max_depth = 7;                  ///< arrays within arrays; hiredis 0.14 itself ends at 7
  std::size_t max_reply_bytes = 256UL << 20;  ///< all strings of one reply together
};

/// Reads a byte stream as a sequence of replies. After a fault it stays broken: the stream has no next boundary.
class ReplyReader {
 public:
  /// What `next` came to.
  enum class Step : unsigned char {
    reply,       ///< one complete reply was read
    incomplete,  ///< all input was taken; more is needed
    broken       ///< the peer does not speak RESP, or passed a limit; see fault()
  };

  /// Throws std::bad_alloc.
  explicit ReplyReader(ReplyLimits limits = {});
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// Takes what it needs from the front of `input` and moves the next reply to `reply`. Call it until it says
  /// incomplete (`input` is then empty) or broken. Running out of memory is a fault like others.
  Step next(std::string_view& input, Reply& reply);

  /// Why the reader is broken, in words, without any of the peer's text beyond one byte; empty while it is not.
  [[nodiscard]] std::string_view fault() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Bytes that `append_command` will add.
[[nodiscard]] std::size_t command_size(std::span<const std::string_view> arguments) noexcept;

/// Appends one command to `out` as Redis' protocol wants it: an array of bulk strings. The arguments may hold any
/// bytes.
void append_command(std::string& out, std::span<const std::string_view> arguments);

}  // namespace larder::redis
