#pragma once
// GET /api/cache/stats: the numbers of all workers added up, as JSON. Pure.
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/net/client_session.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/policy/rules.hpp"
#include "larder/proxy/counters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::admin {

/// How many requests had each outcome; indexed by policy::CacheOutcome.
using OutcomeTotals = std::array<std::uint64_t, static_cast<std::size_t>(policy::CacheOutcome::count_)>;

/// The workers' counters added up; each member as in proxy::WorkerCounters.
struct Totals {
  std::uint64_t requests = 0;
  std::uint64_t memory_hits = 0;
  std::uint64_t redis_hits = 0;
  std::uint64_t collapsed = 0;
  std::uint64_t fills = 0;
  std::uint64_t stored = 0;
  std::uint64_t origin_errors = 0;
  std::uint64_t redis_errors = 0;
  std::uint64_t undecodable = 0;
  std::uint64_t purges = 0;
  std::uint64_t purged_selectors = 0;
  std::uint64_t writes = 0;
  OutcomeTotals outcomes{};
  std::array<std::uint64_t, static_cast<std::size_t>(policy::NotStored::count_)> not_stored{};
  std::array<std::uint64_t, static_cast<std::size_t>(policy::NotReused::count_)> not_reused{};
  std::vector<OutcomeTotals> routes;  ///< in the order of RuleSet::counted
};
Totals add_up(std::span<const proxy::WorkerCounters* const> workers, std::size_t route_count);

/// net::SessionCounters at one moment.
struct SessionTotals {
  std::uint64_t open = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t malformed = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t cut_short = 0;
};
SessionTotals read(const net::SessionCounters& counters) noexcept;

/// The Redis tier at one moment.
struct RedisState {
  bool connected = false;  ///< of the admin thread's own connection
  bool readable = false;   ///< its entries may be used, by every worker
  proxy::PurgeBusState bus;
};

/// The purge log at one moment.
struct PurgeLogState {
  std::uint64_t epoch = 0;
  std::uint64_t clock = 0;
  std::size_t selectors = 0;
  std::size_t pending = 0;
};

/// Everything the statistics tell.
struct Statistics {
  const policy::RuleSet& rules;
  Totals totals;
  store::MemoryCounters memory;
  std::size_t memory_capacity = 0;
  std::optional<RedisState> redis;  ///< empty without Redis
  std::size_t fills_in_progress = 0;
  std::size_t fill_bytes = 0;
  SessionTotals sessions;
  PurgeLogState purge_log;
  std::chrono::system_clock::time_point started;
  std::string version;
};

/// {"cache_stats":{…}}. `hits`, `misses`, `stale`, `revalidated` and `bypass` count the values of X-Cache; `hit_rate`
/// is the percentage (0..100) of HIT and STALE among HIT, STALE, REVALIDATED and MISS, that is, of the requests of
/// cacheable routes for which the origin was not waited for. `errors` are those of the cache (Redis operations that
/// failed, and entries that did not decode), not the origin's. Times are in seconds, sizes in bytes.
Json to_json(const Statistics& statistics, std::chrono::system_clock::time_point now);

}  // namespace larder::admin
