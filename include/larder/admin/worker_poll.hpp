#pragma once
// Asks every worker for what only its own thread may look at: its origin connections and its connection to Redis. How
// long a worker's loop took to come to the question is itself worth knowing.
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "larder/net/latency_histogram.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::admin {

/// What a worker said last.
struct WorkerState {
  bool has_answered = false;  ///< the last question, in time; else the rest is as old as its last answer
  std::chrono::nanoseconds loop_delay{0};
  std::vector<net::OriginServerState> servers;
  net::OriginCounters origin;
  net::LatencyTotals origin_latency;
  std::optional<redis::ConnectionCounters> redis;  ///< empty without Redis
  bool redis_is_connected = false;
};

/// Used on one thread, that of `context`.
class WorkerPoll {
 public:
  /// `workers` outlive it; their contexts may be other ones.
  WorkerPoll(boost::asio::io_context& context, std::vector<proxy::Proxy*> workers);
  ~WorkerPoll();
  WorkerPoll(const WorkerPoll&) = delete;
  WorkerPoll& operator=(const WorkerPoll&) = delete;

  /// Asks all of them, and returns when all have answered, or after `patience`: who has not by then is shown as not
  /// having answered, with its delay so far.
  net::Awaitable<std::vector<WorkerState>> ask(std::chrono::milliseconds patience = std::chrono::milliseconds(500));

 private:
  struct Answers;
  boost::asio::io_context& context_;
  const std::vector<proxy::Proxy*> workers_;
  const std::shared_ptr<Answers> answers_;
};

}  // namespace larder::admin
