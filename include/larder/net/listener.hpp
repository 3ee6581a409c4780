#pragma once
// The listening sockets of one worker and the sessions it has accepted.
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <unordered_map>
#include <vector>

#include "larder/net/client_session.hpp"
#include "larder/net/listening_socket.hpp"

namespace larder::net {

/// What becomes of the connections that wait in the sockets' queues when a listener stops accepting.
enum class Queued : unsigned char {
  accept,  ///< the sockets end with us: whoever waits there is accepted first
  leave    ///< another process accepts from the same sockets, or keeps them for the next one
};

/// Used on its worker's thread, but for the constructor.
class Listener final {
 public:
  /// Accepts from each of `sockets`, of which there is one at least. Some may be shared with other workers or
  /// processes.
  Listener(asio::io_context& context, DeadlineWheel& wheel, std::vector<ListeningSocket> sockets,
           const ClientLimits& limits, Handler handler, SessionCounters& counters);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// The address and port really bound, of the first socket.
  [[nodiscard]] asio::ip::tcp::endpoint local_endpoint() const;
  /// Begins to accept.
  void start();
  /// Other limits, also for the sessions that there are; a deadline that runs goes on as it was armed.
  void set_limits(const ClientLimits& limits) { surroundings_->limits = limits; }
  /// Stops accepting. Every reply from now on ends its connection; one that is idle ends when it still is after
  /// `idle_grace`, so that a request on its way finds it open.
  void drain(Queued queued, Milliseconds idle_grace);
  /// Ends every session.
  void abort();
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }

 private:
  class Acceptor;

  int accept(Acceptor& acceptor);
  void begin(int descriptor, std::string client_address);
  void close_idle();

  const std::shared_ptr<SessionSurroundings> surroundings_;
  Readiness& readiness_;
  Deadline idle_grace_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unordered_map<ClientSession*, std::shared_ptr<ClientSession>> sessions_;
};

}  // namespace larder::net
