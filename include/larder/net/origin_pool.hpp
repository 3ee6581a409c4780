#pragma once
// The origin servers of one worker and the connections kept to them: round robin, bounded, with a pause for servers
// that refuse connections.
#include <boost/container/small_vector.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "larder/net/latency_histogram.hpp"
#include "larder/net/origin_connection.hpp"
#include "larder/net/wait_point.hpp"

namespace larder::net {

/// One origin server as the pool knows it.
struct OriginServer {
  std::string authority;  ///< "host:port" (without the default port 80)
  std::string host;
  std::string port;
  std::vector<asio::ip::tcp::endpoint> addresses;
  std::chrono::steady_clock::time_point resolved_at{};
  std::chrono::steady_clock::time_point paused_until{};
  std::string last_failure;  ///< what the system said when connecting failed last
  std::vector<std::unique_ptr<OriginConnection>> idle;
  std::size_t open = 0;                            ///< connections in use or idle
  std::deque<std::shared_ptr<WaitPoint>> waiting;  ///< requests waiting for a connection
};

/// Counters, running totals but for `open` and `idle`.
struct OriginCounters {
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t reused = 0;
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;
  std::size_t open = 0;
  std::size_t idle = 0;
};

/// One server at one moment.
struct OriginServerState {
  std::string authority;
  std::size_t open = 0;     ///< connections in use or idle
  std::size_t idle = 0;     ///< of these, kept for the next request
  std::size_t waiting = 0;  ///< requests that wait for a connection
  bool paused = false;      ///< it refused a connection lately, and is asked only where there is no other
};

/// The servers that a request has been sent to or could not be sent to, in order.
using TriedServers = boost::container::small_vector<const OriginServer*, 1>;  // seldom more

class OriginPool;

/// A connection on loan. Giving it back (or destroying it) closes it unless it is reusable.
class OriginLease {
 public:
  OriginLease() = default;
  OriginLease(OriginPool& pool, OriginServer& server, std::unique_ptr<OriginConnection> connection, bool reused);
  OriginLease(OriginLease&& other) noexcept;
  OriginLease& operator=(OriginLease&& other) noexcept;
  OriginLease(const OriginLease&) = delete;
  OriginLease& operator=(const OriginLease&) = delete;
  ~OriginLease() { give_back(); }

  void give_back();
  [[nodiscard]] explicit operator bool() const noexcept { return connection_ != nullptr; }
  [[nodiscard]] OriginConnection& connection() const noexcept { return *connection_; }
  [[nodiscard]] OriginServer& server() const noexcept { return *server_; }
  /// True where the connection has carried a request before: the origin may have closed it meanwhile.
  [[nodiscard]] bool is_reused() const noexcept { return reused_; }

 private:
  OriginPool* pool_ = nullptr;
  std::weak_ptr<const void> pool_lives_;  ///< a lease in a coroutine that outlived its pool has nowhere to go back to
  OriginServer* server_ = nullptr;
  std::unique_ptr<OriginConnection> connection_;
  bool reused_ = false;
};

/// Used on its worker's thread. Outlives its leases, but for those in coroutines that the context destroys in the end.
class OriginPool {
 public:
  /// `parameters.servers` must be valid "http://host[:port]" (config has checked them).
  OriginPool(asio::io_context& context, DeadlineWheel& wheel, OriginParameters parameters);
  ~OriginPool();
  OriginPool(const OriginPool&) = delete;
  OriginPool& operator=(const OriginPool&) = delete;

  /// A connection to the next server in turn that is not among `tried` nor paused (a paused one where there is no
  /// other). One that has no connection free is asked only where there is no other. `fresh`: do not reuse a kept
  /// connection. The server asked is appended to `tried`, also on failure.
  /// Errors: Error::origin_* of unresolved, unreachable, connect_timeout, queue_full, busy.
  Awaitable<Result<OriginLease>> acquire(TriedServers& tried, bool fresh);
  /// What acquire() would give at once: a kept connection. Empty where there is none; then `tried` stays as it is.
  /// `may_repeat`: the request can be sent again where the connection proves closed, so that what the loop has not
  /// heard of yet need not be asked of the kernel.
  OriginLease acquire_kept(TriedServers& tried, bool may_repeat);
  /// Requests that wait for a connection now.
  [[nodiscard]] std::size_t waiting() const noexcept;
  /// Other servers and bounds. Servers that stay keep their connections; requests at those that go are finished there,
  /// their unused connections are closed.
  void set_parameters(OriginParameters parameters);
  [[nodiscard]] std::size_t server_count() const noexcept { return servers_.size(); }
  [[nodiscard]] const OriginParameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] OriginCounters counters() const noexcept;
  void count_request() noexcept { ++counters_.requests; }
  void count_retry() noexcept { ++counters_.retries; }
  /// In the order of the parameters.
  [[nodiscard]] std::vector<OriginServerState> servers() const;
  /// From the sending of requests to the heads of their final responses, but for uploads whose pace is the client's.
  /// Written on the worker's thread, read on any.
  [[nodiscard]] LatencyHistogram& latency() noexcept { return latency_; }
  /// Closes every idle connection.
  void close_idle();

 private:
  friend class OriginLease;
  std::unique_ptr<OriginConnection> take_idle(OriginServer& server, bool may_repeat);
  void wake_next(OriginServer& server);
  [[nodiscard]] bool is_full(const OriginServer& server) const noexcept {
    return server.idle.empty() && server.open >= parameters_.connections;
  }
  // The server whose turn it is; `next` becomes the turn after it.
  OriginServer& choose(const TriedServers& tried, std::size_t& next) const;
  Awaitable<error_code> resolve(OriginServer& server);
  Awaitable<Result<Socket>> connect(OriginServer& server);
  void give_back(OriginServer& server, std::unique_ptr<OriginConnection> connection);
  [[nodiscard]] bool is_former(const OriginServer& server) const noexcept;
  static void close_idle(OriginServer& server);

  asio::io_context& context_;
  DeadlineWheel& wheel_;
  OriginParameters parameters_;
  std::vector<std::unique_ptr<OriginServer>> servers_;
  std::vector<std::unique_ptr<OriginServer>> former_servers_;  ///< requests may still be there; they may come back
  std::shared_ptr<const void> lives_ = std::make_shared<char>();
  std::size_t next_ = 0;
  OriginCounters counters_;
  LatencyHistogram latency_;
};

}  // namespace larder::net
