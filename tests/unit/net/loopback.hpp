#pragma once
// Sockets over loopback for tests: a loop that runs until something has happened, and peers that send and receive plain
// bytes, so that a test can be rude at any step. No thread and no sleep: the peer is looked at between the loop's
// steps.
#include <arpa/inet.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "larder/net/deadlines.hpp"
#include "larder/net/stream.hpp"

namespace larder::net::test {

using Clock = std::chrono::steady_clock;

/// A context with its wheel, run on the test's own thread.
class Loop {
 public:
  asio::io_context context{1};
  DeadlineWheel wheel{context};

  /// Runs until `happened()` is true; throws where it does not become so in time.
  template <class Predicate>
  void run_until(Predicate happened, const char* what = "nothing happened") {
    const auto limit = Clock::now() + std::chrono::seconds(20);
    while (!happened()) {
      if (Clock::now() >= limit) throw std::runtime_error(what);
      if (context.stopped()) context.restart();
      context.run_one_for(std::chrono::milliseconds(2));
    }
  }

  /// Runs what can run now.
  void settle() {
    if (context.stopped()) context.restart();
    for (int quiet = 0; quiet < 3; ++quiet) {
      while (context.run_one_for(std::chrono::milliseconds(2)) > 0) quiet = 0;
      if (context.stopped()) context.restart();
    }
  }

  /// Runs a coroutine to its end and gives its result.
  template <class T>
  T run(Awaitable<T> awaitable) {
    std::optional<T> result;
    std::exception_ptr thrown;
    bool done = false;
    asio::co_spawn(context.get_executor(), std::move(awaitable), [&](std::exception_ptr error, T value) {
      thrown = error;
      result.emplace(std::move(value));
      done = true;
    });
    run_until([&] { return done; }, "a coroutine did not end");
    if (thrown) std::rethrow_exception(thrown);
    return std::move(*result);
  }
  void run(Awaitable<void> awaitable) {
    bool done = false;
    start(std::move(awaitable), done);
    run_until([&] { return done; }, "a coroutine did not end");
  }
  /// Begins a coroutine; `done` becomes true at its end. An exception ends the program.
  void start(Awaitable<void> awaitable, bool& done) {
    asio::co_spawn(context.get_executor(), std::move(awaitable), [&done](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
      done = true;
    });
  }
};

/// One end of a connection, as plain bytes.
class Peer {
 public:
  Peer() = default;
  explicit Peer(int fd) : fd_(fd) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  }
  Peer(Peer&& other) noexcept { *this = std::move(other); }
  Peer& operator=(Peer&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(received_, other.received_);
    std::swap(ended_, other.ended_);
    std::swap(reset_, other.reset_);
    return *this;
  }
  ~Peer() { close(); }

  /// Sends all of it; for what fits into the kernel's buffers.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = send_some(bytes);
      if (n == 0) throw std::runtime_error("cannot send");
      bytes.remove_prefix(n);
    }
  }
  /// Sends what fits; 0 where nothing does or the other side is gone.
  std::size_t send_some(std::string_view bytes) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  /// All that has been received so far and not been taken.
  std::string& received() {
    char buffer[65536];
    while (fd_ >= 0 && !ended_ && !reset_) {
      const auto n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) {
        received_.append(buffer, static_cast<std::size_t>(n));
      } else if (n == 0) {
        ended_ = true;
      } else if (errno == EAGAIN || errno == EINTR) {
        break;
      } else {
        reset_ = true;
      }
    }
    return received_;
  }
  [[nodiscard]] bool has(std::string_view text) { return received().find(text) != std::string::npos; }
  /// The other side has ended its sending, in an orderly way.
  [[nodiscard]] bool ended() {
    received();
    return ended_;
  }
  [[nodiscard]] bool was_reset() {
    received();
    return reset_;
  }
  [[nodiscard]] bool is_over() { return ended() || was_reset(); }
  std::string take() { return std::exchange(received(), {}); }

  void end_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  /// Breaks the connection.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void receive_buffer(int bytes) { ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  std::string received_;
  bool ended_ = false;
  bool reset_ = false;
};

/// Connects to a port of 127.0.0.1.
inline Peer connect_to(std::uint16_t port, int receive_buffer = 0) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    throw std::runtime_error("cannot connect");
  }
  return Peer(fd);
}

/// A listening socket of 127.0.0.1.
class PeerListener {
 public:
  explicit PeerListener(int backlog = 64) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, backlog) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~PeerListener() { close(); }
  PeerListener(const PeerListener&) = delete;
  PeerListener& operator=(const PeerListener&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// A connection that waits to be accepted, where there is one.
  std::optional<Peer> try_accept() {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return std::nullopt;
    return Peer(fd);
  }
  Peer accept(Loop& loop) {
    std::optional<Peer> peer;
    loop.run_until([&] { return (peer = try_accept()).has_value(); }, "nobody connected");
    return std::move(*peer);
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

/// A port where nobody listens.
inline std::uint16_t dead_port() {
  const PeerListener gone;
  return gone.port();
}

/// A connection whose one end is ours to be tested and whose other end is the test's.
inline std::pair<Socket, Peer> connected_pair(Loop& loop, int peer_receive_buffer = 0) {
  PeerListener listener;
  auto peer = connect_to(listener.port(), peer_receive_buffer);
  std::optional<Peer> accepted;
  loop.run_until([&] { return (accepted = listener.try_accept()).has_value(); }, "nobody connected");
  const int fd = ::fcntl(accepted->fd(), F_DUPFD_CLOEXEC, 0);
  accepted->close();
  Socket socket(loop.context.get_executor());
  socket.assign(asio::ip::tcp::v4(), fd);
  return {std::move(socket), std::move(peer)};
}

}  // namespace larder::net::test
