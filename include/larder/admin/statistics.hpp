#pragma once
// The numbers of all workers added up, and GET /api/cache/stats, which tells them as JSON. Pure.
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/admin/process_usage.hpp"
#include "larder/admin/value_counters.hpp"
#include "larder/admin/warm_state.hpp"
#include "larder/admin/worker_poll.hpp"
#include "larder/net/access_log.hpp"
#include "larder/net/client_session.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/policy/rules.hpp"
#include "larder/proxy/answer_checks.hpp"
#include "larder/proxy/counters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::admin {

/// How many requests had each outcome; indexed by policy::CacheOutcome.
using OutcomeTotals = std::array<std::uint64_t, proxy::outcome_count>;
/// Indexed by policy::NotStored and policy::NotReused.
using NotStoredTotals = std::array<std::uint64_t, proxy::not_stored_count>;
using NotReusedTotals = std::array<std::uint64_t, proxy::not_reused_count>;

/// proxy::OutcomeCounters at one moment.
struct RequestTotals {
  OutcomeTotals outcomes{};
  NotStoredTotals not_stored{};
  NotReusedTotals not_reused{};

  RequestTotals& operator+=(const RequestTotals& other) noexcept;
};
/// HIT and STALE among HIT, STALE, REVALIDATED and MISS, in percent (0..100).
double hit_rate(const OutcomeTotals& totals) noexcept;

/// The workers' counters added up; each member as in proxy::WorkerCounters.
struct Totals : RequestTotals {
  std::uint64_t requests = 0;
  std::uint64_t memory_hits = 0;
  std::uint64_t redis_hits = 0;
  std::uint64_t collapsed = 0;
  std::uint64_t followed = 0;
  std::uint64_t fills = 0;
  std::uint64_t stored = 0;
  std::uint64_t origin_errors = 0;
  std::uint64_t redis_errors = 0;
  std::uint64_t redis_unwritten = 0;
  std::uint64_t undecodable = 0;
  std::uint64_t purges = 0;
  std::uint64_t purged_selectors = 0;
  std::uint64_t writes = 0;
  std::array<std::uint64_t, proxy::shed_count> shed{};
  std::array<std::uint64_t, proxy::selector_kind_count> purged_selectors_by{};
  std::array<net::LatencyTotals, static_cast<std::size_t>(proxy::LatencyOf::count_)> latencies;
  std::array<net::LatencyTotals, static_cast<std::size_t>(proxy::RedisOperation::count_)> redis_latencies;
  std::vector<RequestTotals> routes;  ///< in the order of RuleSet::counted

  [[nodiscard]] const net::LatencyTotals& latency(proxy::LatencyOf what) const noexcept {
    return latencies[static_cast<std::size_t>(what)];
  }
  [[nodiscard]] const net::LatencyTotals& latency(proxy::RedisOperation operation) const noexcept {
    return redis_latencies[static_cast<std::size_t>(operation)];
  }
};
Totals add_up(std::span<const proxy::WorkerCounters* const> workers, std::size_t route_count);

/// Requests that wait for another's fill now.
std::uint64_t waiters(const Totals& totals) noexcept;

/// In milliseconds, to the microsecond.
double milliseconds_of(std::chrono::nanoseconds duration) noexcept;
/// {"count","p50_ms","p95_ms","p99_ms","mean_ms"}; null where nothing was counted.
Json latency_json(const net::LatencyTotals& totals);

/// net::SessionCounters at one moment.
struct SessionTotals {
  std::uint64_t open = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t malformed = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t cut_short = 0;
  std::uint64_t shed_heads = 0;
  std::uint64_t shed_bodies = 0;
  std::uint64_t shed_readers = 0;
};
SessionTotals read(const net::SessionCounters& counters) noexcept;

/// The Redis tier at one moment.
struct RedisState {
  bool connected = false;  ///< of the admin thread's own connection
  bool readable = false;   ///< its entries may be used, by every worker
  proxy::PurgeBusState bus;
  redis::ConnectionCounters connections;  ///< of all workers, added up
  net::LatencyTotals own_propagation;     ///< proxy::PurgeBus::own_propagation()
  net::LatencyTotals others_propagation;
};

/// The connections to the origin, of all workers added up.
struct OriginState {
  std::vector<net::OriginServerState> servers;
  net::OriginCounters counters;
  net::LatencyTotals latency;

  [[nodiscard]] std::size_t waiting() const noexcept;
};
OriginState add_up(std::span<const WorkerState> workers);
redis::ConnectionCounters add_up_redis(std::span<const WorkerState> workers);

/// What came lately, as the last samples show.
struct RecentState {
  std::chrono::milliseconds window{0};  ///< how far they reach back, 5 minutes at the most; 0 while there are too few
  OutcomeTotals outcomes{};
  std::array<net::LatencyTotals, static_cast<std::size_t>(proxy::LatencyOf::count_)> latencies;
  net::LatencyTotals redis_latency;  ///< of look-ups
  net::LatencyTotals origin_latency;
};

/// An alert at one moment.
struct AlertState {
  std::string name;
  std::string when;  ///< the condition: "hit_rate < 80 over 5m"
  bool active = false;
  std::optional<double> value;                  ///< of what the condition compares; empty where too little came to tell
  std::chrono::system_clock::time_point since;  ///< begin of the present or last time; the epoch where there was none
  std::uint64_t begun = 0;                      ///< how often
};

/// POSTs to the webhook.
struct WebhookState {
  std::uint64_t delivered = 0;
  std::uint64_t failed = 0;  ///< given up after all tries, or for want of room
  std::size_t waiting = 0;
};

/// The purge log at one moment.
struct PurgeLogState {
  std::uint64_t epoch = 0;
  std::uint64_t clock = 0;
  std::size_t selectors = 0;
  std::size_t pending = 0;
};

/// A bound on memory, and how much of it is used.
struct BudgetState {
  std::string_view name;  ///< the key of the configuration
  std::size_t bytes = 0;
  std::size_t limit = 0;
};

/// Everything the statistics tell.
struct Statistics {
  std::shared_ptr<const policy::RuleSet> rules;  ///< never null
  Totals totals;
  store::MemoryCounters memory;
  std::size_t memory_capacity = 0;
  std::optional<RedisState> redis;  ///< empty without Redis
  std::size_t fills_in_progress = 0;
  std::size_t fill_bytes = 0;
  SessionTotals sessions;
  std::vector<BudgetState> budgets{};
  std::optional<net::AccessLogTotals> access_log{};  ///< empty while it is off
  OriginState origin;
  std::vector<WorkerState> workers;
  PurgeLogState purge_log;
  ProcessUsage process;
  std::chrono::system_clock::time_point started;
  std::string version;
  RecentState recent;
  std::vector<AlertState> alerts;                      ///< in the order of the configuration
  std::optional<WebhookState> webhook;                 ///< empty where none is configured
  std::map<std::string, proxy::CheckTotals> checks{};  ///< of shadow mode and verification, by route
  std::optional<WarmState> warm{};                     ///< empty where the rules have no warm tasks
  std::optional<ValueTotals> values{};                 ///< empty where the key-value store is off
};

/// {"cache_stats":{…}}. `hits`, `misses`, `stale`, `revalidated` and `bypass` count the values of X-Cache; `hit_rate`
/// is the percentage (0..100) of HIT and STALE among HIT, STALE, REVALIDATED and MISS, that is, of the requests of
/// cacheable routes for which the origin was not waited for. `errors` are those of the cache (Redis operations that
/// failed, and entries that did not decode), not the origin's. `shed` counts what was refused, closed or not written
/// because a limit was reached, `budgets` tells how near the limits on memory are. Times are in seconds, sizes in
/// bytes, but for latencies, which are in milliseconds.
///
/// `latency`: {"window_seconds", "hit": {"count","p50_ms","p95_ms","p99_ms","mean_ms"}, "redis_hit", "stale",
/// "revalidated", "miss", "bypass", "redis", "origin"}: of the last samples, 5 minutes at the most; estimates that are
/// wrong by an eighth at the most; null where nothing came. The first six are from the reading of a request's head to
/// the end of its reply; "redis" is a look-up there, "origin" the time to a response's head.
/// `top_routes`: up to 10 of `routes`, the busiest first, each with "requests", and "miss_reasons" (why nothing was
/// reused) and "not_stored_reasons" as [{"reason","count"}], the most frequent first.
/// `routes`: each with "match", "file", "line", "mode" ("serve", "shadow" or "off") and "verify" (the share in
/// percent). `access_log`: {"written","dropped","lost"}, lines; null while it is off. `alerts`:
/// [{"name","when","active","value","since","begun"}]. `warm`: to_json(WarmState); null where the rules have no warm
/// tasks. `origin`: {"servers":[{"server","open","idle","waiting","paused"}],"requests","connects","connect_failures",
/// "reused","retries"}; `workers`: [{"responsive","loop_delay_ms"}], the first is that of the admin API itself.
Json to_json(const Statistics& statistics, std::chrono::system_clock::time_point now);

}  // namespace larder::admin
