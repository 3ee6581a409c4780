#pragma once
// A TCP socket that listens: bound here, or handed over by another process (systemd, or the one that we replace).
#include <boost/asio/ip/tcp.hpp>
#include <utility>

#include "larder/net/parameters.hpp"

namespace larder::net {

/// Owns its descriptor, which is non-blocking and not inherited by programs that are executed.
class ListeningSocket {
 public:
  /// Binds and listens. With port 0 the system chooses. `shared`: SO_REUSEPORT, so that each worker has a socket of its
  /// own on one port and the kernel spreads the connections. Throws std::exception with a message for the user where it
  /// cannot.
  static ListeningSocket bind(const Endpoint& endpoint, bool shared);
  /// Takes a descriptor over, whatever becomes of the call. Throws std::exception where it is no listening TCP socket.
  static ListeningSocket adopt(int descriptor);

  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&& other) noexcept;
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket() { close(); }

  /// Another descriptor of the same socket: what is queued in it is accepted by whoever comes first.
  [[nodiscard]] ListeningSocket duplicate() const;
  /// Gives the descriptor out of hand.
  [[nodiscard]] int release() noexcept { return std::exchange(descriptor_, -1); }
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// The address and port really bound; also after close().
  [[nodiscard]] boost::asio::ip::tcp::endpoint local_endpoint() const { return local_endpoint_; }

 private:
  explicit ListeningSocket(int descriptor) noexcept : descriptor_(descriptor) {}
  int descriptor_ = -1;
  boost::asio::ip::tcp::endpoint local_endpoint_;
};

}  // namespace larder::net
