#pragma once
// The admin API on its own listener: statistics, metrics, keys, entries, purges, health. JSON, but for /metrics; every
// request but /health and /ready needs `Authorization: Bearer TOKEN` (RFC 6750), compared in constant time.
#include <functional>
#include <memory>
#include <string>

#include "larder/admin/collector.hpp"
#include "larder/admin/monitor.hpp"
#include "larder/admin/parameters.hpp"
#include "larder/admin/reload_report.hpp"
#include "larder/admin/warmer.hpp"
#include "larder/net/exchange.hpp"
#include "larder/proxy/proxy.hpp"
#include "larder/proxy/values.hpp"

namespace larder::admin {

/// What the API shows and steers. Everything outlives it.
struct ApiContext {
  std::string token;  ///< empty: everything but /health and /ready is refused, with the reason
  proxy::Shared& shared;
  proxy::Proxy& proxy;              ///< of the thread the API runs on: its purge(), its remote()
  proxy::Values* values = nullptr;  ///< the key-value store, of that thread too; null where it is off
  Collector& collector;
  const Monitor& monitor;
  Warmer& warmer;                               ///< of that thread too
  WatchParameters watch;                        ///< who may read /metrics
  std::function<bool()> is_ready;               ///< false while starting or draining
  std::string default_host{};                   ///< of requests that are explained and name none: where clients connect
  std::function<bool()> is_draining = nullptr;  ///< the process is about to end; may be empty
  /// Loads the configuration anew; empty where nothing can be reloaded.
  std::function<net::Awaitable<ReloadReport>()> reload = nullptr;
};

/// Used on one thread, that of `context.proxy`.
class Api {
 public:
  explicit Api(ApiContext context);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// Another token from now on.
  void set_token(std::string token);
  /// Others may read /metrics from now on.
  void set_watch(WatchParameters watch);
  /// The callables for a listener; valid as long as the API.
  net::Handler handler();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::admin
