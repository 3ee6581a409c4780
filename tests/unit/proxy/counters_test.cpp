#include "larder/proxy/counters.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <set>
#include <thread>

namespace larder::proxy {
namespace {

TEST_CASE("counting by name, in all and per route") {
  WorkerCounters counters(2);
  counters.requests.add();
  counters.requests.add(4);
  CHECK(counters.requests.value() == 5);
  counters.count(policy::CacheOutcome::hit);
  counters.count(policy::CacheOutcome::hit);
  counters.count(policy::NotStored::none);
  counters.count(policy::NotReused::absent);
  CHECK(counters.outcomes[static_cast<std::size_t>(policy::CacheOutcome::hit)].value() == 2);
  CHECK(counters.not_stored[static_cast<std::size_t>(policy::NotStored::none)].value() == 1);
  CHECK(counters.not_reused[static_cast<std::size_t>(policy::NotReused::absent)].value() == 1);
  for (int route = 0; route < 2; ++route) {
    for (const auto& outcome : counters.routes[static_cast<std::size_t>(route)].outcomes) CHECK(outcome.value() == 0);
  }
  const WorkerCounters none(0);
  CHECK(none.requests.value() == 0);
}

TEST_CASE("counters by number: more come while others are read, and none moves") {
  NumberedCounters<Counter> counters(2);
  counters[1].add(7);
  const auto* const second = &counters[1];
  std::atomic<bool> done{false};
  std::uint64_t seen = 0;
  std::thread reader([&] {
    while (!done) seen = counters[1].value();
  });
  std::size_t size = 5;
  for (; size < 200; size += 3) {
    counters.grow(size);
    counters[size - 1].add(size);
  }
  done = true;
  reader.join();
  CHECK(seen <= 7);
  CHECK(&counters[1] == second);
  CHECK(counters[1].value() == 7);
  for (std::size_t i = 5; i < size; i += 3) CHECK(counters[i - 1].value() == i);
  counters.grow(1);
  CHECK(counters[0].value() == 0);
  NumberedCounters<Counter> none(0);
  none.grow(1);
  none[0].add();
  CHECK(none[0].value() == 1);
}

TEST_CASE("one thread counts while another reads") {
  Counter counter;
  std::thread writer([&] {
    for (int i = 0; i < 100000; ++i) counter.add();
  });
  std::uint64_t last = 0;
  while (last < 100000) {
    const auto value = counter.value();
    if (value < last) FAIL("it went back");
    last = value;
  }
  writer.join();
  CHECK(counter.value() == 100000);
}

TEST_CASE("every outcome has its histogram, and every histogram a name") {
  CHECK(latency_of(policy::CacheOutcome::hit) == LatencyOf::hit);
  CHECK(latency_of(policy::CacheOutcome::miss) == LatencyOf::miss);
  CHECK(latency_of(policy::CacheOutcome::stale) == LatencyOf::stale);
  CHECK(latency_of(policy::CacheOutcome::revalidated) == LatencyOf::revalidated);
  CHECK(latency_of(policy::CacheOutcome::bypass) == LatencyOf::bypass);
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < static_cast<std::size_t>(LatencyOf::count_); ++i) {
    names.insert(to_string(static_cast<LatencyOf>(i)));
  }
  CHECK(names.size() == static_cast<std::size_t>(LatencyOf::count_));
  CHECK(to_string(RedisOperation::get) == "get");
  CHECK(to_string(RedisOperation::set) == "set");
  CHECK(to_string(RedisOperation::purge) == "purge");
  // The last selector kind is the last element of what is counted by kind.
  WorkerCounters counters(0);
  CHECK(counters.purged_selectors_by.size() == static_cast<std::size_t>(policy::SelectorKind::all) + 1);
}

}  // namespace
}  // namespace larder::proxy
