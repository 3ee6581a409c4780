#pragma once
// What a worker counts. Each counter has one writer, its worker; readers (admin) add the workers up. Running totals.
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "larder/policy/outcome.hpp"

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

/// Per route of RuleSet::counted.
struct RouteCounters {
  std::array<Counter, static_cast<std::size_t>(policy::CacheOutcome::count_)> outcomes;
};

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

struct WorkerCounters {
  /// `route_count`: of RuleSet::counted.
  explicit WorkerCounters(std::size_t route_count) : routes(route_count) {}

  Counter requests;       ///< all requests that reached the story
  Counter memory_hits;    ///< answered by the memory tier
  Counter redis_hits;     ///< answered by Redis
  Counter collapsed;      ///< answered by another request's fill
  Counter fills;          ///< origin fetches that might store
  Counter stored;         ///< responses stored
  Counter origin_errors;  ///< origin unreachable, too slow, malformed or cut short
  Counter redis_errors;   ///< Redis operations that failed
  Counter undecodable;    ///< entries of Redis that did not decode, and were removed
  Counter purges;         ///< purges made here
  Counter purged_selectors;
  Counter writes;  ///< unsafe requests
  std::array<Counter, static_cast<std::size_t>(policy::CacheOutcome::count_)> outcomes;
  std::array<Counter, static_cast<std::size_t>(policy::NotStored::count_)> not_stored;
  std::array<Counter, static_cast<std::size_t>(policy::NotReused::count_)> not_reused;
  NumberedCounters<RouteCounters> routes;  ///< by policy::Route::counter

  void count(policy::CacheOutcome outcome) noexcept { outcomes[static_cast<std::size_t>(outcome)].add(); }
  void count(policy::NotStored reason) noexcept { not_stored[static_cast<std::size_t>(reason)].add(); }
  void count(policy::NotReused reason) noexcept { not_reused[static_cast<std::size_t>(reason)].add(); }
};

}  // namespace larder::proxy
