#pragma once
// One listening socket of one worker and the sessions it has accepted.
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <unordered_set>

#include "larder/net/client_session.hpp"

namespace larder::net {

/// Used on its worker's thread, but for the constructor.
class Listener {
 public:
  /// Binds and listens at once. With port 0 the system chooses. `shared`: SO_REUSEPORT, so that each worker has a
  /// socket of its own on one port and the kernel spreads the connections. Throws std::exception with a message for the
  /// user where it cannot.
  Listener(asio::io_context& context, DeadlineWheel& wheel, const Endpoint& endpoint, bool shared,
           const ClientLimits& limits, Handler handler, SessionCounters& counters);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// The address and port really bound.
  [[nodiscard]] asio::ip::tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }
  /// Begins to accept.
  void start();
  /// Stops accepting and closes idle sessions; running requests finish and then close.
  void drain();
  /// Ends every session.
  void abort();
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }

 private:
  using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
  Awaitable<void> accept();
  void begin(Socket socket);

  asio::io_context& context_;
  DeadlineWheel& wheel_;
  const ClientLimits& limits_;
  const Handler handler_;
  SessionCounters& counters_;
  Acceptor acceptor_;
  std::unordered_set<ClientSession*> sessions_;
  bool draining_ = false;
};

}  // namespace larder::net
