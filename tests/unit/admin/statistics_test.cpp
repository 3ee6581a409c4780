#include "larder/admin/statistics.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

using policy::CacheOutcome;
using std::chrono::seconds;
using std::chrono::system_clock;

std::shared_ptr<const policy::RuleSet> two_types_three_routes() {
  auto set = std::make_shared<policy::RuleSet>();
  auto& rules = *set;
  for (const char* name : {"product", "user"}) {
    policy::Type type;
    type.name = name;
    rules.types.push_back(std::make_shared<const policy::Type>(std::move(type)));
  }
  for (int i = 0; i < 3; ++i) {
    policy::Route route;
    route.match_text = "GET /" + std::to_string(i);
    route.file = "rules.yaml";
    route.line = 10 + i;
    if (i < 2) route.type = rules.types[0];
    rules.routes.push_back(std::move(route));
  }
  policy::number_routes(rules);
  return set;
}

TEST_CASE("workers are added up, routes to their types") {
  const auto rules = two_types_three_routes();
  proxy::WorkerCounters a(3);
  proxy::WorkerCounters b(3);
  a.requests.add(10);
  b.requests.add(5);
  a.memory_hits.add(4);
  b.redis_hits.add(2);
  a.redis_errors.add(1);
  b.undecodable.add(2);
  a.origin_errors.add(3);
  for (int i = 0; i < 4; ++i) a.count(CacheOutcome::hit);
  b.count(CacheOutcome::stale);
  b.count(CacheOutcome::stale);
  a.count(CacheOutcome::miss);
  b.count(CacheOutcome::miss);
  b.count(CacheOutcome::revalidated);
  b.count(CacheOutcome::bypass);
  b.count(policy::NotStored::no_store);
  a.count(policy::NotReused::stale);
  a.count(proxy::Shed::origin_queue);
  b.count(proxy::Shed::origin_queue);
  b.redis_unwritten.add(7);
  a.routes[0].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(3);
  b.routes[1].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(1);
  b.routes[1].outcomes[static_cast<std::size_t>(CacheOutcome::miss)].add(2);
  b.routes[1].count(policy::NotReused::purged);
  a.routes[1].count(policy::NotReused::absent);
  b.routes[1].count(policy::NotReused::absent);
  b.routes[1].count(policy::NotStored::set_cookie);
  a.collapsed.add(3);
  a.followed.add(1);
  a.purged_selectors_by[static_cast<std::size_t>(policy::SelectorKind::tag)].add(2);
  b.latency(proxy::LatencyOf::hit).add(std::chrono::microseconds(3));

  const std::vector<const proxy::WorkerCounters*> workers{&a, &b};
  Statistics statistics{.rules = rules,
                        .totals = add_up(workers, rules->counted.size()),
                        .memory = {},
                        .memory_capacity = 1000,
                        .redis = std::nullopt,
                        .fills_in_progress = 1,
                        .fill_bytes = 2,
                        .sessions = {.refused = 8, .shed_heads = 9, .shed_bodies = 10, .shed_readers = 11},
                        .budgets = {{.name = "client.buffers", .bytes = 12, .limit = 13}},
                        .origin = {},
                        .workers = {},
                        .purge_log = {.epoch = ~std::uint64_t{0}, .clock = 4, .selectors = 5, .pending = 6},
                        .process = {},
                        .started = system_clock::time_point(seconds(100)),
                        .version = "1.2.3",
                        .recent = {},
                        .alerts = {},
                        .webhook = {}};
  const auto json = to_json(statistics, system_clock::time_point(seconds(160)))["cache_stats"];
  CHECK(json["total_requests"] == 15);
  CHECK(json["hits"] == 4);
  CHECK(json["misses"] == 2);
  CHECK(json["stale"] == 2);
  CHECK(json["revalidated"] == 1);
  CHECK(json["bypass"] == 1);
  CHECK(json["errors"] == 3);
  CHECK(json["origin_errors"] == 3);
  CHECK(json["hit_rate"] == 66.67);
  CHECK(json["is_available"] == true);
  CHECK(json["uptime_seconds"] == 60);
  CHECK(json["tiers"]["memory"]["hits"] == 4);
  CHECK(json["tiers"]["redis"]["hits"] == 2);
  CHECK(json["redis"].is_null());
  CHECK(json["memory"]["capacity"] == 1000);
  CHECK(json["purge_log"] == Json{{"epoch", "18446744073709551615"}, {"clock", 4}, {"selectors", 5}, {"pending", 6}});
  CHECK(json["types"]["product"]["hits"] == 4);
  CHECK(json["types"]["product"]["misses"] == 2);
  CHECK(json["types"]["product"]["hit_rate"] == 66.67);
  CHECK(json["types"]["user"]["hit_rate"] == 0);
  REQUIRE(json["routes"].size() == 3);
  CHECK(json["routes"][1]["match"] == "GET /1");
  CHECK(json["routes"][1]["line"] == 11);
  CHECK(json["routes"][0]["mode"] == "serve");
  CHECK(json["routes"][0]["verify"] == 0);
  CHECK(json["routes"][1]["type"] == "product");
  CHECK(json["routes"][1]["misses"] == 2);
  CHECK(json["routes"][2]["type"].is_null());
  CHECK(json["fills"]["waiters"] == 2);
  CHECK(statistics.totals.purged_selectors_by[static_cast<std::size_t>(policy::SelectorKind::tag)] == 2);
  CHECK(statistics.totals.latency(proxy::LatencyOf::hit).count() == 1);
  // The busiest first; equally busy ones as they are written; none without requests.
  REQUIRE(json["top_routes"].size() == 2);
  CHECK(json["top_routes"][0]["match"] == "GET /0");
  const auto& top = json["top_routes"][1];
  CHECK(top["match"] == "GET /1");
  CHECK(top["requests"] == 3);
  CHECK(top["miss_reasons"] ==
        Json::array({{{"reason", "absent"}, {"count", 2}}, {{"reason", "purged"}, {"count", 1}}}));
  CHECK(top["not_stored_reasons"] == Json::array({{{"reason", "set_cookie"}, {"count", 1}}}));
  CHECK(json["not_stored"]["no_store"] == 1);
  CHECK(json["not_reused"]["stale"] == 1);
  CHECK(json["not_stored"].size() == static_cast<std::size_t>(policy::NotStored::count_) - 1);
  CHECK(json["not_reused"].size() == static_cast<std::size_t>(policy::NotReused::count_) - 1);
  CHECK_FALSE(json["not_stored"].contains(""));
  CHECK(json["shed"] == Json{{"connections", 8},
                             {"unfinished_heads", 9},
                             {"bodies", 10},
                             {"slow_readers", 11},
                             {"redis_writes", 7},
                             {"origin_queue", 2},
                             {"origin_queue_timeout", 0},
                             {"client_buffers", 0},
                             {"fill_budget", 0}});
  CHECK(json["budgets"] == Json{{"client.buffers", {{"bytes", 12}, {"limit", 13}}}});
}

TEST_CASE("what was counted for a type stays counted when its routes change") {
  auto set = std::make_shared<policy::RuleSet>(*two_types_three_routes());
  auto& rules = *set;
  proxy::WorkerCounters worker(3);
  worker.routes[0].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(3);
  worker.routes[1].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(4);
  const auto counted = rules.counted;
  // The first route goes, the second becomes the last, and a new one comes.
  rules.routes.erase(rules.routes.begin());
  std::swap(rules.routes[0], rules.routes[1]);
  rules.routes[0].match_text = "GET /new";
  policy::number_routes(rules, counted);
  worker.routes.grow(rules.counted.size());
  worker.routes[3].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(1);
  const std::vector<const proxy::WorkerCounters*> workers{&worker};
  const Statistics statistics{.rules = set,
                              .totals = add_up(workers, rules.counted.size()),
                              .memory = {},
                              .memory_capacity = 0,
                              .redis = std::nullopt,
                              .fills_in_progress = 0,
                              .fill_bytes = 0,
                              .sessions = {},
                              .budgets = {},
                              .origin = {},
                              .workers = {},
                              .purge_log = {},
                              .process = {},
                              .started = {},
                              .version = {},
                              .recent = {},
                              .alerts = {},
                              .webhook = {}};
  const auto json = to_json(statistics, system_clock::time_point{})["cache_stats"];
  CHECK(json["types"]["product"]["hits"] == 7);
  REQUIRE(json["routes"].size() == 2);
  CHECK(json["routes"][0]["match"] == "GET /new");
  CHECK(json["routes"][0]["hits"] == 1);
  CHECK(json["routes"][1]["match"] == "GET /1");
  CHECK(json["routes"][1]["hits"] == 4);
}

TEST_CASE("Redis is told of where there is one") {
  const auto rules = std::make_shared<const policy::RuleSet>();
  Statistics statistics{.rules = rules,
                        .totals = add_up(std::span<const proxy::WorkerCounters* const>{}, 0),
                        .memory = {},
                        .memory_capacity = 0,
                        .redis = RedisState{},
                        .fills_in_progress = 0,
                        .fill_bytes = 0,
                        .sessions = {},
                        .budgets = {},
                        .origin = {},
                        .workers = {},
                        .purge_log = {},
                        .process = {},
                        .started = system_clock::time_point(seconds(100)),
                        .version = {},
                        .recent = {},
                        .alerts = {},
                        .webhook = {}};
  statistics.redis->bus.pending = 3;
  // A clock that was set back is no negative uptime.
  auto json = to_json(statistics, system_clock::time_point(seconds(50)))["cache_stats"];
  CHECK(json["is_available"] == false);
  CHECK(json["redis"]["connected"] == false);
  CHECK(json["redis"]["pending_purges"] == 3);
  CHECK(json["redis"]["trust"] == "none");
  CHECK(json["uptime_seconds"] == 0);
  // Connected is not enough: entries are used once its purge log is followed.
  statistics.redis->connected = true;
  CHECK(to_json(statistics, system_clock::time_point{})["cache_stats"]["is_available"] == false);
  statistics.redis->readable = true;
  json = to_json(statistics, system_clock::time_point(seconds(50)))["cache_stats"];
  CHECK(json["is_available"] == true);
  CHECK(json["types"].is_object());
  CHECK(json["routes"].is_array());
}

TEST_CASE("workers' connections to the origin and to Redis are added up") {
  std::vector<WorkerState> workers(3);
  workers[0].servers = {{.authority = "a:1", .open = 2, .idle = 1, .waiting = 0, .paused = false},
                        {.authority = "b:1", .open = 0, .idle = 0, .waiting = 4, .paused = true}};
  workers[1].servers = {{.authority = "a:1", .open = 3, .idle = 0, .waiting = 5, .paused = false},
                        {.authority = "b:1", .open = 0, .idle = 0, .waiting = 0, .paused = false}};
  workers[0].origin.connects = 7;
  workers[1].origin.connects = 1;
  workers[1].origin_latency.buckets[5] = 2;
  workers[0].redis = redis::ConnectionCounters{.commands = 2, .queued = 1, .queued_bytes = 30};
  workers[1].redis = redis::ConnectionCounters{.commands = 3, .queued = 0, .queued_bytes = 4};
  const auto origin = add_up(workers);
  REQUIRE(origin.servers.size() == 2);
  CHECK(origin.servers[0].open == 5);
  CHECK(origin.servers[0].idle == 1);
  CHECK_FALSE(origin.servers[0].paused);
  CHECK(origin.servers[1].paused);
  CHECK(origin.waiting() == 9);
  CHECK(origin.counters.connects == 8);
  CHECK(origin.latency.count() == 2);
  const auto redis = add_up_redis(workers);
  CHECK(redis.commands == 5);
  CHECK(redis.queued_bytes == 34);
}

TEST_CASE("latencies in milliseconds") {
  CHECK(latency_json({}).is_null());
  net::LatencyHistogram histogram;
  for (int i = 0; i < 4; ++i) histogram.add(std::chrono::microseconds(1000));
  net::LatencyTotals totals;
  histogram.read_into(totals);
  const auto json = latency_json(totals);
  CHECK(json["count"] == 4);
  CHECK(json["mean_ms"] == 1.0);
  CHECK(json["p99_ms"].get<double>() == doctest::Approx(1.0).epsilon(0.13));
}

}  // namespace
}  // namespace larder::admin
