#include "larder/net/stream.hpp"

#include <cerrno>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace larder::net {

namespace {
error_code last_error() noexcept { return {errno, boost::system::system_category()}; }
bool would_block() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK; }

int release(Socket& socket) {
  const int descriptor = socket.release();
  const int flags = ::fcntl(descriptor, F_GETFL);
  (void)::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
  return descriptor;
}
}  // namespace

Stream::Stream(asio::io_context& context, int descriptor, StreamUser* user)
    : executor_(context.get_executor()), readiness_(Readiness::of(context)), user_(user), descriptor_(descriptor) {
  const int on = 1;
  (void)::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  try {
    readiness_.watch(descriptor_, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

Stream::Stream(Socket socket, StreamUser* user)
    : Stream(static_cast<asio::io_context&>(socket.get_executor().context()), release(socket), user) {}

void Stream::on_events(std::uint32_t events) noexcept {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ended_ = true;
  if ((events & EPOLLIN) != 0 || ended_) readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
  const bool wakes_reader = reader_.is_waiting() && readable_;
  const bool wakes_writer = writer_.is_waiting() && writable_;
  // Whoever runs now may destroy the stream, so nothing comes after it.
  if (wakes_reader && wakes_writer) reader_.resume_later(executor_);
  if (wakes_writer) {
    writer_.resume();
  } else if (wakes_reader) {
    reader_.resume();
  } else if (user_ != nullptr && !reader_.is_waiting() && !writer_.is_waiting()) {
    user_->on_ready();
  }
}

void Stream::on_shutdown() noexcept {
  reader_.destroy();
  writer_.destroy();
}

Result<std::size_t> Stream::try_read(std::span<char> room) noexcept {
  while (readable_) {
    const auto n = ::recv(descriptor_, room.data(), room.size(), 0);
    if (n == 0) return error_code(asio::error::eof);
    if (n > 0) {
      const auto size = static_cast<std::size_t>(n);
      readable_ = size == room.size() || ended_;
      return size;
    }
    if (would_block()) {
      readable_ = false;
    } else if (errno != EINTR) {
      return last_error();
    }
  }
  return std::size_t{0};
}

Awaitable<std::tuple<error_code, std::size_t>> Stream::read_some(char* data, std::size_t size) {
  for (;;) {
    const bool resumed = co_await wait_readable();
    if (!resumed) co_return std::tuple(error_code(asio::error::operation_aborted), std::size_t{0});
    const auto n = try_read({data, size});
    if (!n) co_return std::tuple(n.error(), std::size_t{0});
    if (*n > 0) co_return std::tuple(error_code{}, *n);
  }
}

Result<std::size_t> Stream::try_write(std::span<const iovec> pieces) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg does not write through it
  message.msg_iovlen = pieces.size();
  while (writable_) {
    const auto n = pieces.size() == 1 ? ::send(descriptor_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                                      : ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (would_block()) {
      writable_ = false;
    } else if (errno != EINTR) {
      return last_error();
    }
  }
  return std::size_t{0};
}

Awaitable<error_code> Stream::wait_writable() {
  while (!writable_) {
    const bool resumed = co_await writer_.wait();
    if (!resumed) co_return asio::error::operation_aborted;
  }
  co_return error_code{};
}

Stream::Incoming Stream::peek() noexcept {
  char byte = 0;
  const auto n = ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return Incoming::bytes;
  if (n == 0) return Incoming::end;
  return would_block() || errno == EINTR ? Incoming::nothing : Incoming::broken;
}

void Stream::cancel() noexcept {
  reader_.cancel(executor_);
  writer_.cancel(executor_);
}

void Stream::shutdown_send() noexcept {
  if (is_open()) (void)::shutdown(descriptor_, SHUT_WR);
}

void Stream::close(bool reset) noexcept {
  if (!is_open()) return;
  readiness_.forget(descriptor_, *this);
  if (reset) {
    const linger now{1, 0};
    (void)::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(descriptor_);
  descriptor_ = -1;
  readable_ = writable_ = true;  // whoever tries is told that it is closed
  cancel();
}

}  // namespace larder::net
