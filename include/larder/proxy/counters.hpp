#pragma once
// What a worker counts. Each counter has one writer, its worker; readers (admin) add the workers up. Running totals.
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "larder/policy/outcome.hpp"
#include "larder/proxy/shed.hpp"

namespace larder::proxy {

/// A counter with a single writer: cheaper than an atomic increment, and safe to read from other threads.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Per route of the rules.
struct RouteCounters {
  std::array<Counter, static_cast<std::size_t>(policy::CacheOutcome::count_)> outcomes;
};

struct WorkerCounters {
  explicit WorkerCounters(std::size_t route_count) : routes(std::make_unique<RouteCounters[]>(route_count)) {}

  Counter requests;         ///< all requests that reached the story
  Counter memory_hits;      ///< answered by the memory tier
  Counter redis_hits;       ///< answered by Redis
  Counter collapsed;        ///< answered by another request's fill
  Counter fills;            ///< origin fetches that might store
  Counter stored;           ///< responses stored
  Counter origin_errors;    ///< origin unreachable, too slow, malformed or cut short
  Counter redis_errors;     ///< Redis operations that failed
  Counter redis_unwritten;  ///< responses not written to Redis because too much waits to be written
  Counter undecodable;      ///< entries of Redis that did not decode, and were removed
  Counter purges;           ///< purges made here
  Counter purged_selectors;
  Counter writes;  ///< unsafe requests
  std::array<Counter, static_cast<std::size_t>(policy::CacheOutcome::count_)> outcomes;
  std::array<Counter, static_cast<std::size_t>(policy::NotStored::count_)> not_stored;
  std::array<Counter, static_cast<std::size_t>(policy::NotReused::count_)> not_reused;
  std::array<Counter, static_cast<std::size_t>(Shed::count_)> shed;  ///< requests refused with 503, by the limit
  std::unique_ptr<RouteCounters[]> routes;

  void count(policy::CacheOutcome outcome) noexcept { outcomes[static_cast<std::size_t>(outcome)].add(); }
  void count(policy::NotStored reason) noexcept { not_stored[static_cast<std::size_t>(reason)].add(); }
  void count(Shed limit) noexcept { shed[static_cast<std::size_t>(limit)].add(); }
  void count(policy::NotReused reason) noexcept { not_reused[static_cast<std::size_t>(reason)].add(); }
};

}  // namespace larder::proxy
