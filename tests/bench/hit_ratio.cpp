// Hit ratios of the memory tier as it is beside an exact LRU of the same bytes, on traces that are the same in each
// run. Takes the number of requests per trace.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "larder/store/memory_store.hpp"

namespace {

using namespace larder;

constexpr std::uint64_t mixed(std::uint64_t n) noexcept {
  n ^= n >> 31U;
  n *= 0x9e3779b97f4a7c15U;
  n ^= n >> 29U;
  n *= 0xbf58476d1ce4e5b9U;
  return n ^ n >> 32U;
}

/// Bytes of an object's body: 256 B to 8 KiB, most of them small, the same whenever it is asked for.
std::size_t body_size(std::uint64_t object) noexcept {
  const auto bits = mixed(object);
  return 256 + static_cast<std::size_t>(bits % 1792) + (bits >> 32U & 7U) / 7 * (bits >> 40U) % 6144;
}

/// Ranks 0 .. objects - 1, each `exponent`-Zipf likely.
class Zipf {
 public:
  Zipf(std::size_t objects, double exponent) {
    sums_.reserve(objects);
    double sum = 0;
    for (std::size_t i = 1; i <= objects; ++i) sums_.push_back(sum += std::pow(static_cast<double>(i), -exponent));
  }
  std::uint64_t operator()(std::mt19937_64& random) const {
    const auto at = static_cast<double>(random() >> 11U) * 0x1p-53 * sums_.back();
    return static_cast<std::uint64_t>(std::ranges::upper_bound(sums_, at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

using Trace = std::vector<std::uint64_t>;
constexpr std::uint64_t never_again = 1ULL << 40;  // and above: objects that are asked for once

Trace zipf(std::size_t requests, std::size_t objects, double exponent, unsigned once_percent) {
  std::mt19937_64 random(20);
  const Zipf popular(objects, exponent);
  Trace trace;
  trace.reserve(requests);
  for (std::size_t i = 0; i < requests; ++i) {
    trace.push_back(random() % 100 < once_percent ? never_again + i : popular(random));
  }
  return trace;
}

// Zipf, and now and then a crawler that goes through as many objects as the whole set has, once.
Trace scans(std::size_t requests, std::size_t objects) {
  auto trace = zipf(requests, objects, 0.9, 0);
  std::mt19937_64 random(21);
  for (std::size_t i = 0; i < requests; ++i) {
    if (i / (requests / 8) % 2 == 1 && random() % 2 == 0) trace[i] = never_again + i;
  }
  return trace;
}

// Half of the requests go round a ring of twice what fits.
Trace loop(std::size_t requests, std::size_t objects) {
  auto trace = zipf(requests, objects, 0.9, 0);
  for (std::size_t i = 1; i < requests; i += 2) trace[i] = never_again + i / 2 % (objects / 5);
  return trace;
}

// What is popular moves on: every eighth of the trace has other favourites.
Trace shift(std::size_t requests, std::size_t objects) {
  auto trace = zipf(requests, objects, 1.0, 20);
  for (std::size_t i = 0; i < requests; ++i) {
    if (trace[i] < never_again) trace[i] = (trace[i] + i / (requests / 8) * (objects / 3)) % objects;
  }
  return trace;
}

/// Exact, by the bytes that the memory tier charges.
class Lru {
 public:
  explicit Lru(std::size_t capacity) : capacity_(capacity) {}
  bool hits(std::uint64_t object) {
    const auto found = places_.find(object);
    if (found == places_.end()) return false;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return true;
  }
  void insert(std::uint64_t object, std::size_t size) {
    by_use_.emplace_front(object, size);
    places_[object] = by_use_.begin();
    bytes_ += size;
    while (bytes_ > capacity_) {
      bytes_ -= by_use_.back().second;
      places_.erase(by_use_.back().first);
      by_use_.pop_back();
    }
  }

 private:
  using Uses = std::list<std::pair<std::uint64_t, std::size_t>>;
  const std::size_t capacity_;
  std::size_t bytes_ = 0;
  Uses by_use_;
  std::unordered_map<std::uint64_t, Uses::iterator> places_;
};

struct Ratios {
  double store = 0;
  double lru = 0;
};

/// Both hold a tenth of the bytes of all objects that the trace asks for more than once.
Ratios run(const Trace& trace, std::size_t objects, double share) {
  const store::PurgeLog log(1);
  const auto response = [&log](std::uint64_t object, std::string canonical) {
    store::StoredParts parts;
    parts.key = "cache:default:0123456789abcdef0123456789abcdef";
    parts.base_key_size = parts.key.size();
    parts.canonical = std::move(canonical);
    parts.stamp = log.stamp();
    parts.body = std::make_shared<const std::string>(body_size(object), 'b');
    return store::StoredResponse::make(std::move(parts));
  };
  std::size_t all = 0;
  {
    store::MemoryStore unbounded({.capacity = 64UL << 30}, log);
    for (std::uint64_t i = 0; i < objects; ++i) (void)unbounded.insert(response(i, std::to_string(i)), 0);
    all = unbounded.counters().bytes;
  }
  const auto capacity = static_cast<std::size_t>(static_cast<double>(all) * share);
  const auto overhead = [&] {
    store::MemoryStore one({.capacity = 1UL << 20}, log);
    const auto stored = response(0, "0");
    (void)one.insert(stored, 0);
    return one.counters().bytes - stored->memory_size();
  }();
  store::MemoryStore memory({.capacity = capacity}, log);
  Lru lru(capacity);
  std::size_t store_hits = 0;
  std::size_t lru_hits = 0;
  for (const auto object : trace) {
    auto canonical = std::to_string(object);
    const bool is_held = memory.find(canonical, {}).stored != nullptr;
    const bool is_in_lru = lru.hits(object);
    store_hits += is_held ? 1U : 0U;
    lru_hits += is_in_lru ? 1U : 0U;
    if (is_held && is_in_lru) continue;
    const auto stored = response(object, std::move(canonical));
    if (!is_held) (void)memory.insert(stored, 0);
    if (!is_in_lru) lru.insert(object, stored->memory_size() + overhead);
  }
  const auto percent = [&](std::size_t hits) {
    return 100.0 * static_cast<double>(hits) / static_cast<double>(trace.size());
  };
  return {percent(store_hits), percent(lru_hits)};
}

}  // namespace

int main(int argc, char** argv) {
  const auto requests = argc > 1 ? static_cast<std::size_t>(std::strtoull(argv[1], nullptr, 10)) : 1'000'000;
  constexpr std::size_t objects = 100'000;
  const std::vector<std::pair<const char*, Trace>> traces{
      {"Zipf 0.8", zipf(requests, objects, 0.8, 0)},
      {"Zipf 0.9", zipf(requests, objects, 0.9, 0)},
      {"Zipf 1.0", zipf(requests, objects, 1.0, 0)},
      {"Zipf 0.9, 30 % asked for once", zipf(requests, objects, 0.9, 30)},
      {"Zipf 0.9, 50 % asked for once", zipf(requests, objects, 0.9, 50)},
      {"Zipf 1.0, 30 % asked for once", zipf(requests, objects, 1.0, 30)},
      {"Zipf 1.0, 50 % asked for once", zipf(requests, objects, 1.0, 50)},
      {"Zipf 0.9 with scans", scans(requests, objects)},
      {"Zipf 0.9 and a loop of twice the cache", loop(requests, objects)},
      {"Zipf 1.0 that moves on", shift(requests, objects)}};
  for (const double share : {0.1, 0.01}) {
    std::printf("%-42s  Larder     LRU  points   (hit ratio in %%, cache of %.0f %%)\n", "trace", share * 100);
    for (const auto& [name, trace] : traces) {
      const auto ratios = run(trace, objects, share);
      std::printf("%-42s  %6.2f  %6.2f  %+6.2f\n", name, ratios.store, ratios.lru, ratios.store - ratios.lru);
    }
  }
}
