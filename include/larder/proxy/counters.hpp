#pragma once
// What a worker counts. Each counter and histogram has one writer, its worker; readers (admin) add the workers up.
// Running totals.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "larder/net/counter.hpp"
#include "larder/net/latency_histogram.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/policy/selector.hpp"
#include "larder/proxy/shed.hpp"

namespace larder::proxy {

using net::Counter;

inline constexpr auto outcome_count = static_cast<std::size_t>(policy::CacheOutcome::count_);
inline constexpr auto not_stored_count = static_cast<std::size_t>(policy::NotStored::count_);
inline constexpr auto not_reused_count = static_cast<std::size_t>(policy::NotReused::count_);
inline constexpr auto selector_kind_count = static_cast<std::size_t>(policy::SelectorKind::all) + 1;

/// Counters by number. More can be added while others read; none moves or goes.
template <class T>
class NumberedCounters {
 public:
  explicit NumberedCounters(std::size_t count) : first_(count) {}
  NumberedCounters(const NumberedCounters&) = delete;
  NumberedCounters& operator=(const NumberedCounters&) = delete;
  ~NumberedCounters() {
    for (const auto* block = first_.next.load(); block != nullptr;) {
      const std::unique_ptr<const Block> gone(block);
      block = gone->next.load();
    }
  }

  /// From any thread; `number` is less than what grow() was last called with, or the constructor.
  [[nodiscard]] T& operator[](std::size_t number) noexcept { return find(number); }
  [[nodiscard]] const T& operator[](std::size_t number) const noexcept { return find(number); }
  /// Makes room for `count` in all. On the writer's thread.
  void grow(std::size_t count) {
    auto* last = &first_;
    std::size_t have = last->count;
    while (auto* const next = last->next.load(std::memory_order_relaxed)) {
      last = next;
      have += last->count;
    }
    if (count > have) last->next.store(new Block(count - have), std::memory_order_release);
  }

 private:
  struct Block {
    explicit Block(std::size_t size) : count(size), items(std::make_unique<T[]>(size)) {}
    const std::size_t count;
    const std::unique_ptr<T[]> items;
    std::atomic<Block*> next{nullptr};
  };
  [[nodiscard]] T& find(std::size_t number) const noexcept {
    const auto* block = &first_;
    while (number >= block->count) {
      number -= block->count;
      block = block->next.load(std::memory_order_acquire);
    }
    return block->items[number];
  }
  Block first_;
};

/// Requests by what became of them; the arrays are indexed by the enumerators of their elements' names.
struct OutcomeCounters {
  std::array<Counter, outcome_count> outcomes;
  std::array<Counter, not_stored_count> not_stored;
  std::array<Counter, not_reused_count> not_reused;

  void count(policy::CacheOutcome outcome) noexcept { outcomes[static_cast<std::size_t>(outcome)].add(); }
  void count(policy::NotStored reason) noexcept { not_stored[static_cast<std::size_t>(reason)].add(); }
  void count(policy::NotReused reason) noexcept { not_reused[static_cast<std::size_t>(reason)].add(); }
};

/// Per route of RuleSet::counted.
using RouteCounters = OutcomeCounters;

/// How long requests took (net::Exchange::latency) by what X-Cache says of them, hits in Redis apart.
enum class LatencyOf : unsigned char {
  hit,          ///< a hit in memory
  redis_hit,    ///< a hit in Redis
  stale,        ///< as policy::CacheOutcome, as are the others
  revalidated,  ///< validated with the origin
  miss,         ///< fetched from the origin
  bypass,       ///< the cache was not asked: pass-through, and every unsafe request
  count_        ///< number of enumerators
};
/// "hit", "redis_hit", "stale", "revalidated", "miss", "bypass".
std::string_view to_string(LatencyOf what) noexcept;
LatencyOf latency_of(policy::CacheOutcome outcome) noexcept;

/// Operations on Redis whose duration is counted, from the command's sending to its reply; those without a reply are
/// errors instead.
enum class RedisOperation : unsigned char {
  get,    ///< a look-up: GET or MGET
  set,    ///< a response stored, in the background
  purge,  ///< a purge recorded and published
  count_  ///< number of enumerators
};
/// "get", "set", "purge".
std::string_view to_string(RedisOperation operation) noexcept;

struct WorkerCounters : OutcomeCounters {
  /// `route_count`: of RuleSet::counted.
  explicit WorkerCounters(std::size_t route_count) : routes(route_count) {}

  Counter requests;         ///< all requests that reached the story
  Counter memory_hits;      ///< answered by the memory tier
  Counter redis_hits;       ///< answered by Redis
  Counter collapsed;        ///< joined another request's fill
  Counter followed;         ///< of these, who waits no more: the difference is who waits now
  Counter fills;            ///< origin fetches that might store
  Counter stored;           ///< responses stored
  Counter origin_errors;    ///< origin unreachable, too slow, malformed or cut short
  Counter redis_errors;     ///< Redis operations that failed
  Counter redis_unwritten;  ///< responses not written to Redis because too much waits to be written
  Counter undecodable;      ///< entries of Redis that did not decode, and were removed
  Counter purges;           ///< purges made here
  Counter purged_selectors;
  Counter writes;                                                ///< unsafe requests
  std::array<Counter, selector_kind_count> purged_selectors_by;  ///< by policy::SelectorKind
  std::array<Counter, shed_count> shed;                          ///< requests refused with 503, by the limit
  std::array<net::LatencyHistogram, static_cast<std::size_t>(LatencyOf::count_)> latencies;
  std::array<net::LatencyHistogram, static_cast<std::size_t>(RedisOperation::count_)> redis_latencies;
  NumberedCounters<RouteCounters> routes;  ///< by policy::Route::counter

  using OutcomeCounters::count;
  void count(Shed limit) noexcept { shed[static_cast<std::size_t>(limit)].add(); }

  [[nodiscard]] net::LatencyHistogram& latency(LatencyOf what) noexcept {
    return latencies[static_cast<std::size_t>(what)];
  }
  [[nodiscard]] net::LatencyHistogram& latency(RedisOperation operation) noexcept {
    return redis_latencies[static_cast<std::size_t>(operation)];
  }
};

}  // namespace larder::proxy
