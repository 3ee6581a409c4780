#pragma once
// One listening socket of one worker and the sessions it has accepted.
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <unordered_map>

#include "larder/net/client_session.hpp"

namespace larder::net {

/// Used on its worker's thread, but for the constructor.
class Listener final : private Readiness::Watched {
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
  [[nodiscard]] asio::ip::tcp::endpoint local_endpoint() const { return local_endpoint_; }
  /// Begins to accept.
  void start();
  /// Stops accepting and closes idle sessions; running requests finish and then close.
  void drain();
  /// Ends every session.
  void abort();
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }

 private:
  void on_events(std::uint32_t events) noexcept override;
  void on_shutdown() noexcept override {}
  void watch();
  void accept();
  void begin(int descriptor, std::string client_address);
  void stop_accepting() noexcept;

  const std::shared_ptr<SessionSurroundings> surroundings_;
  Readiness& readiness_;
  Deadline pause_;  ///< when to try again, while there are no descriptors
  int descriptor_ = -1;
  asio::ip::tcp::endpoint local_endpoint_;
  std::unordered_map<ClientSession*, std::shared_ptr<ClientSession>> sessions_;
};

}  // namespace larder::net
