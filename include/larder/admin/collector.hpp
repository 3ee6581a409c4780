#pragma once
// Gathers the statistics: the workers' counters, what they must be asked for, and what all share.
#include <functional>
#include <string>
#include <vector>

#include "larder/admin/statistics.hpp"
#include "larder/admin/worker_poll.hpp"
#include "larder/net/client_session.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::admin {

/// Where the numbers are. Everything outlives the collector.
struct Sources {
  proxy::Shared& shared;
  proxy::Proxy& proxy;                 ///< of the thread the collector is used on
  std::vector<proxy::Proxy*> workers;  ///< all of them, and `proxy`
  const net::SessionCounters& sessions;
  std::chrono::system_clock::time_point started;
  std::function<bool()> redis_is_in_use;  ///< every worker may read Redis; empty where there is no Redis
  std::string version;
  std::function<std::vector<BudgetState>()> budgets{};  ///< from any thread; empty where there are none to show
  const net::AccessLog* access_log = nullptr;           ///< null while it is off
};

/// Used on one thread, that of `sources.proxy`.
class Collector {
 public:
  explicit Collector(Sources sources);

  /// Everything but what samples and alerts tell, the process's own usage, and the key-value store.
  net::Awaitable<Statistics> collect();

 private:
  const Sources sources_;
  std::vector<const proxy::WorkerCounters*> counters_;
  WorkerPoll poll_;
};

}  // namespace larder::admin
