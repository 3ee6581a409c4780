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

policy::RuleSet two_types_three_routes() {
  policy::RuleSet rules;
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
  return rules;
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
  a.routes[0].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(3);
  b.routes[1].outcomes[static_cast<std::size_t>(CacheOutcome::hit)].add(1);
  b.routes[1].outcomes[static_cast<std::size_t>(CacheOutcome::miss)].add(2);

  const std::vector<const proxy::WorkerCounters*> workers{&a, &b};
  Statistics statistics{.rules = rules,
                        .totals = add_up(workers, rules.counted.size()),
                        .memory = {},
                        .memory_capacity = 1000,
                        .redis = std::nullopt,
                        .fills_in_progress = 1,
                        .fill_bytes = 2,
                        .sessions = {},
                        .purge_log = {.epoch = ~std::uint64_t{0}, .clock = 4, .selectors = 5, .pending = 6},
                        .started = system_clock::time_point(seconds(100)),
                        .version = "1.2.3"};
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
  CHECK(json["routes"][1]["type"] == "product");
  CHECK(json["routes"][1]["misses"] == 2);
  CHECK(json["routes"][2]["type"].is_null());
  CHECK(json["not_stored"]["no_store"] == 1);
  CHECK(json["not_reused"]["stale"] == 1);
  CHECK(json["not_stored"].size() == static_cast<std::size_t>(policy::NotStored::count_) - 1);
  CHECK(json["not_reused"].size() == static_cast<std::size_t>(policy::NotReused::count_) - 1);
  CHECK_FALSE(json["not_stored"].contains(""));
}

TEST_CASE("what was counted for a type stays counted when its routes change") {
  auto rules = two_types_three_routes();
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
  const Statistics statistics{.rules = rules,
                              .totals = add_up(workers, rules.counted.size()),
                              .memory = {},
                              .memory_capacity = 0,
                              .redis = std::nullopt,
                              .fills_in_progress = 0,
                              .fill_bytes = 0,
                              .sessions = {},
                              .purge_log = {},
                              .started = {},
                              .version = {}};
  const auto json = to_json(statistics, system_clock::time_point{})["cache_stats"];
  CHECK(json["types"]["product"]["hits"] == 7);
  REQUIRE(json["routes"].size() == 2);
  CHECK(json["routes"][0]["match"] == "GET /new");
  CHECK(json["routes"][0]["hits"] == 1);
  CHECK(json["routes"][1]["match"] == "GET /1");
  CHECK(json["routes"][1]["hits"] == 4);
}

TEST_CASE("Redis is told of where there is one") {
  const policy::RuleSet rules;
  Statistics statistics{.rules = rules,
                        .totals = add_up({}, 0),
                        .memory = {},
                        .memory_capacity = 0,
                        .redis = RedisState{},
                        .fills_in_progress = 0,
                        .fill_bytes = 0,
                        .sessions = {},
                        .purge_log = {},
                        .started = system_clock::time_point(seconds(100)),
                        .version = {}};
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

}  // namespace
}  // namespace larder::admin
