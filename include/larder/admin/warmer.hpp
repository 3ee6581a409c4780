#pragma once
// Warming: fetches what the rules name before anybody asks for it. At the start, by interval, after purges, and when it
// is told to; one run at a time.
#include <memory>
#include <optional>
#include <vector>

#include "larder/admin/warm_order.hpp"
#include "larder/admin/warm_state.hpp"
#include "larder/net/awaitable.hpp"
#include "larder/policy/rules.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::admin {

/// Used on one thread, that of `proxy`.
class Warmer {
 public:
  /// `proxy` outlives it. Its coroutines may be in the proxy's context still when it is destroyed.
  explicit Warmer(proxy::Proxy& proxy);
  ~Warmer();
  Warmer(const Warmer&) = delete;
  Warmer& operator=(const Warmer&) = delete;

  /// Begins with the tasks of the proxy's present rules; from any thread, before anything else is called.
  void start();
  /// No request from now on; what is under way is let go.
  void stop() noexcept;
  /// Other rules: tasks of a name that was known go on counting. A run that goes on ends with the tasks it began with.
  void adopt(const std::shared_ptr<const policy::RuleSet>& rules);

  /// Begins a run now; empty where one goes on, or is about to. The order's tasks are among those of the rules.
  std::optional<WarmRun> order(const WarmOrder& order);
  /// Waits for the end of the run that goes on or was ordered; returns at once where there is none.
  net::Awaitable<void> ended();
  [[nodiscard]] WarmState state() const;

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace larder::admin
