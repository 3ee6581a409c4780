#include "larder/net/stream.hpp"

#include <cerrno>

namespace larder::net {

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  // try_write() and peek() must never block, whether or not Asio has made the descriptor non-blocking yet.
  socket_.native_non_blocking(true, ignored);
}

Result<std::size_t> Stream::try_write(std::span<const iovec> pieces) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg does not write through it
  message.msg_iovlen = pieces.size();
  for (;;) {
    const auto n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    return error_code(errno, boost::system::system_category());
  }
}

Stream::Incoming Stream::peek() noexcept {
  char byte = 0;
  const auto n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return Incoming::bytes;
  if (n == 0) return Incoming::end;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Incoming::nothing : Incoming::broken;
}

void Stream::cancel() noexcept {
  error_code ignored;
  socket_.cancel(ignored);
}

void Stream::shutdown_send() noexcept {
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close(bool reset) noexcept {
  error_code ignored;
  if (reset && socket_.is_open()) socket_.set_option(Socket::linger(true, 0), ignored);
  socket_.close(ignored);
}

}  // namespace larder::net
