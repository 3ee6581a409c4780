#pragma once
// A connected byte stream: the one place that knows what it is made of (TCP now; TLS joins here).
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <span>
#include <sys/uio.h>

#include "larder/net/awaitable.hpp"

namespace larder::net {

using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

/// Used on its executor's thread. Operations in flight end with operation_aborted after cancel().
class Stream {
 public:
  explicit Stream(Socket socket);

  /// Reads what is there, at least one byte; 0 at the end of the stream.
  auto read_some(char* data, std::size_t size) {
    return socket_.async_read_some(asio::mutable_buffer(data, size), as_result);
  }
  /// Sends as much as fits without waiting: bytes sent, 0 where nothing fits now.
  Result<std::size_t> try_write(std::span<const iovec> pieces) noexcept;
  /// Waits until something fits.
  auto wait_writable() { return socket_.async_wait(Socket::wait_write, as_result); }
  /// What a look at the incoming side shows, without taking anything.
  enum class Incoming : unsigned char { nothing, bytes, end, broken };
  [[nodiscard]] Incoming peek() noexcept;
  void cancel() noexcept;
  void shutdown_send() noexcept;
  /// Closes; with `reset` the peer sees a broken connection instead of an orderly end.
  void close(bool reset) noexcept;
  [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }
  [[nodiscard]] Socket& socket() noexcept { return socket_; }

 private:
  Socket socket_;
};

}  // namespace larder::net
