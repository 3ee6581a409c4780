#pragma once
// A connected byte stream: the one place that knows what it is made of (TCP now; TLS joins here).
//
// Edge-triggered: what the kernel has said last of each direction is remembered, and a call that must fail for want of
// bytes or room is not made. A read that filled less than its room has taken everything, unless the peer has ended its
// side: that is read too.
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <span>
#include <sys/uio.h>
#include <tuple>

#include "larder/net/awaitable.hpp"
#include "larder/net/readiness.hpp"
#include "larder/net/waiter.hpp"

namespace larder::net {

/// What is connected with Asio before it becomes a Stream.
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

/// Who wants to be called instead of waiting in a coroutine.
class StreamUser {
 public:
  StreamUser(const StreamUser&) = delete;
  StreamUser& operator=(const StreamUser&) = delete;
  /// Something may be read or written, and no coroutine waits for it. May destroy the stream.
  virtual void on_ready() noexcept = 0;

 protected:
  StreamUser() = default;
  ~StreamUser() = default;
};

/// Used on its context's thread. Waits in progress end with operation_aborted after cancel() and close().
class Stream final : private Readiness::Watched {
 public:
  /// Takes a connected, non-blocking socket over. Throws where it cannot be watched; then the descriptor is closed.
  Stream(asio::io_context& context, int descriptor, StreamUser* user = nullptr);
  /// The same for a socket that Asio has connected.
  explicit Stream(Socket socket, StreamUser* user = nullptr);
  ~Stream() { close(false); }

  /// Reads what is there: bytes read, 0 where there is nothing now; asio::error::eof at the end of the stream. `room`
  /// is not empty.
  Result<std::size_t> try_read(std::span<char> room) noexcept;
  /// Waits until something may be there to be read. Where it is already, the caller goes on in a later turn of the
  /// loop: a peer that never lets us wait must not keep the loop from the others. False after cancel() and close().
  Awaitable<bool> wait_readable() { return readable_ ? Waiter::yield(executor_) : reader_.wait(); }
  /// Waits until there is something and reads it: error and bytes, at least one; asio::error::eof at the end.
  Awaitable<std::tuple<error_code, std::size_t>> read_some(char* data, std::size_t size);
  /// Sends as much as fits without waiting: bytes sent, 0 where nothing fits now.
  Result<std::size_t> try_write(std::span<const iovec> pieces) noexcept;
  /// Waits until something fits.
  Awaitable<error_code> wait_writable();
  /// What a look at the incoming side shows, without taking anything.
  enum class Incoming : unsigned char { nothing, bytes, end, broken };
  [[nodiscard]] Incoming peek() noexcept;
  void cancel() noexcept;
  void shutdown_send() noexcept;
  /// Closes; with `reset` the peer sees a broken connection instead of an orderly end.
  void close(bool reset) noexcept;
  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  /// Something is there to be read, as far as is known without asking.
  [[nodiscard]] bool is_readable() const noexcept { return readable_; }

 private:
  void on_events(std::uint32_t events) noexcept override;
  void on_shutdown() noexcept override;

  const Executor executor_;
  Readiness& readiness_;
  StreamUser* const user_;
  int descriptor_;
  bool readable_ = false;
  bool writable_ = true;
  bool ended_ = false;  ///< the peer sends no more, or the connection is broken: only reading shows the rest
  Waiter reader_;
  Waiter writer_;
};

}  // namespace larder::net
