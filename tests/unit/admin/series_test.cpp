#include "larder/admin/series.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace larder::admin {
namespace {

using policy::CacheOutcome;
using proxy::LatencyOf;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Sample at(int second) {
  Sample sample;
  sample.at = std::chrono::steady_clock::time_point(seconds(1000 + second));
  sample.told_at = std::chrono::system_clock::time_point(seconds(second));
  return sample;
}

void add(Sample& sample, CacheOutcome outcome, std::uint64_t n) {
  sample.outcomes[static_cast<std::size_t>(outcome)] += n;
}

void add(net::LatencyTotals& totals, microseconds duration, std::uint64_t n) {
  totals.buckets[net::LatencyBuckets::of(duration)] += n;
  totals.sum += duration * static_cast<std::int64_t>(n);
}

TEST_CASE("windows look back from the last sample") {
  Series series;
  CHECK(series.empty());
  CHECK(series.before(seconds(0)) == nullptr);
  CHECK(series.within(seconds(9)) == nullptr);
  CHECK(series.recent().window == milliseconds(0));
  for (const int second : {0, 5, 10, 15}) series.add(at(second));
  CHECK(series.last().told_at == at(15).told_at);
  CHECK(series.before(seconds(10))->told_at == at(5).told_at);
  CHECK(series.before(seconds(9))->told_at == at(5).told_at);
  CHECK(series.before(seconds(15))->told_at == at(0).told_at);
  CHECK(series.before(seconds(16)) == nullptr);
  CHECK(series.within(seconds(10))->told_at == at(5).told_at);
  CHECK(series.within(seconds(9))->told_at == at(10).told_at);
  CHECK(series.within(seconds(0))->told_at == at(15).told_at);
  CHECK(series.recent().window == seconds(15));
}

TEST_CASE("no more samples are kept than there is room for") {
  Series series;
  for (int i = 0; i < 1000; ++i) series.add(at(5 * i));
  CHECK(series.to_json(seconds(5))["points"].size() == kept_samples);
  CHECK(series.before(seconds(900)) != nullptr);
  CHECK(series.before(seconds(901)) == nullptr);
  CHECK(series.recent().window == seconds(300));
}

TEST_CASE("a point is what came between two samples") {
  Series series;
  auto sample = at(0);
  add(sample, CacheOutcome::hit, 100);
  sample.requests = 500;
  series.add(sample);
  sample.at += seconds(5);
  sample.told_at += seconds(5);
  sample.requests += 10;
  sample.errors += 1;
  sample.origin_errors += 2;
  sample.evictions += 3;
  sample.purges += 4;
  sample.connections = 7;
  sample.memory_bytes = 4096;
  add(sample, CacheOutcome::hit, 6);
  add(sample, CacheOutcome::miss, 2);
  add(sample, CacheOutcome::bypass, 1);
  add(sample.latencies[static_cast<std::size_t>(LatencyOf::hit)], microseconds(10), 6);
  add(sample.latencies[static_cast<std::size_t>(LatencyOf::miss)], microseconds(20000), 2);
  series.add(sample);
  sample.at += seconds(5);
  series.add(sample);
  const auto json = series.to_json(seconds(5));
  CHECK(json["interval_seconds"] == 5.0);
  REQUIRE(json["points"].size() == 2);
  const auto& point = json["points"][0];
  CHECK(point["time"] == "1970-01-01T00:00:05Z");
  CHECK(point["seconds"] == 5.0);
  CHECK(point["requests"] == 10);
  CHECK(point["hits"] == 6);
  CHECK(point["misses"] == 2);
  CHECK(point["bypass"] == 1);
  CHECK(point["hit_rate"] == 75.0);
  CHECK(point["errors"] == 1);
  CHECK(point["origin_errors"] == 2);
  CHECK(point["evictions"] == 3);
  CHECK(point["purges"] == 4);
  CHECK(point["connections"] == 7);
  CHECK(point["memory_bytes"] == 4096);
  CHECK(point["hit_p50_ms"].get<double>() == doctest::Approx(0.01).epsilon(0.13));
  CHECK(point["miss_p99_ms"].get<double>() == doctest::Approx(20).epsilon(0.13));
  CHECK(point["p50_ms"].get<double>() < 0.02);
  CHECK(point["p99_ms"].get<double>() > 15);
  CHECK(point["redis_down"] == false);
  // Nothing came: there is nothing to tell of.
  const auto& quiet = json["points"][1];
  CHECK(quiet["requests"] == 0);
  for (const auto* name : {"hit_rate", "p50_ms", "p95_ms", "p99_ms", "hit_p50_ms", "miss_p99_ms"}) {
    CAPTURE(name);
    CHECK(quiet[name].is_null());
  }
}

TEST_CASE("measures") {
  const auto first = at(0);
  auto last = at(60);
  // Nothing came: percentages and times say nothing, counts and states do.
  for (std::size_t i = 0; i < static_cast<std::size_t>(Measure::count_); ++i) {
    const auto measure = static_cast<Measure>(i);
    CAPTURE(std::string(to_string(measure)));
    const auto kind = kind_of(measure);
    const auto value = value_of(measure, first, last);
    CHECK(value.has_value() == (kind == MeasureKind::count || kind == MeasureKind::state));
    if (value) CHECK(*value == 0);
  }
  add(last, CacheOutcome::hit, 3);
  add(last, CacheOutcome::miss, 1);
  last.requests = 9;
  last.errors = 5;
  last.origin_errors = 2;
  last.origin_requests = 8;
  last.evictions = 11;
  last.refused_connections = 12;
  last.pending_purges = 13;
  last.waiting_requests = 14;
  last.connections = 15;
  last.redis_is_down = last.origin_is_down = true;
  last.loop_delay = milliseconds(16);
  add(last.latencies[static_cast<std::size_t>(LatencyOf::hit)], microseconds(1000), 3);
  add(last.latencies[static_cast<std::size_t>(LatencyOf::miss)], microseconds(2000), 3);
  add(last.latencies[static_cast<std::size_t>(LatencyOf::bypass)], microseconds(4000), 3);
  add(last.redis_latency, microseconds(8000), 3);
  add(last.origin_latency, microseconds(16000), 3);
  struct Case {
    Measure measure;
    double value;
  };
  const std::vector<Case> cases{{Measure::hit_rate, 75},
                                {Measure::requests, 9},
                                {Measure::misses, 1},
                                {Measure::errors, 5},
                                {Measure::origin_errors, 2},
                                {Measure::origin_error_rate, 25},
                                {Measure::evictions, 11},
                                {Measure::refused_connections, 12},
                                {Measure::hit_p50, 1},
                                {Measure::hit_p95, 1},
                                {Measure::hit_p99, 1},
                                {Measure::miss_p50, 2},
                                {Measure::miss_p95, 2},
                                {Measure::miss_p99, 2},
                                {Measure::bypass_p99, 4},
                                {Measure::redis_p99, 8},
                                {Measure::origin_p99, 16},
                                {Measure::redis_down, 1},
                                {Measure::origin_down, 1},
                                {Measure::pending_purges, 13},
                                {Measure::waiting_requests, 14},
                                {Measure::connections, 15},
                                {Measure::loop_delay, 16}};
  CHECK(cases.size() == static_cast<std::size_t>(Measure::count_));
  for (const auto& [measure, right] : cases) {
    CAPTURE(std::string(to_string(measure)));
    CHECK(measure_named(to_string(measure)) == measure);
    const auto value = value_of(measure, first, last);
    REQUIRE(value.has_value());
    CHECK(*value == doctest::Approx(right).epsilon(kind_of(measure) == MeasureKind::time ? 0.13 : 1e-9));
  }
  // Too few to tell.
  CHECK_FALSE(value_of(Measure::hit_rate, first, last, 5).has_value());
  CHECK(value_of(Measure::hit_rate, first, last, 4).has_value());
  CHECK_FALSE(value_of(Measure::hit_p99, first, last, 4).has_value());
  CHECK_FALSE(value_of(Measure::origin_error_rate, first, last, 9).has_value());
  CHECK_FALSE(measure_named("nothing").has_value());
}

TEST_CASE("a sample of the statistics") {
  Statistics statistics{.rules = std::make_shared<const policy::RuleSet>(),
                        .totals = {},
                        .memory = {},
                        .memory_capacity = 0,
                        .redis = RedisState{},
                        .fills_in_progress = 0,
                        .fill_bytes = 0,
                        .sessions = {},
                        .origin = {},
                        .workers = std::vector<WorkerState>(2),
                        .purge_log = {},
                        .process = {},
                        .started = {},
                        .version = {},
                        .recent = {},
                        .alerts = {},
                        .webhook = {}};
  statistics.totals.redis_errors = 2;
  statistics.totals.undecodable = 3;
  statistics.origin.servers = {{.authority = "a", .open = 0, .idle = 0, .waiting = 1, .paused = true},
                               {.authority = "b", .open = 0, .idle = 0, .waiting = 2, .paused = false}};
  statistics.workers[1].loop_delay = milliseconds(3);
  auto sample = make_sample(statistics, at(1).at, at(1).told_at);
  CHECK(sample.errors == 5);
  CHECK(sample.waiting_requests == 3);
  CHECK(sample.loop_delay == milliseconds(3));
  CHECK(sample.redis_is_down);
  CHECK_FALSE(sample.origin_is_down);
  statistics.origin.servers[1].paused = true;
  statistics.redis->readable = true;
  sample = make_sample(statistics, at(1).at, at(1).told_at);
  CHECK(sample.origin_is_down);
  CHECK_FALSE(sample.redis_is_down);
  // Where there is none, it is not down.
  statistics.redis.reset();
  CHECK_FALSE(make_sample(statistics, at(1).at, at(1).told_at).redis_is_down);
}

}  // namespace
}  // namespace larder::admin
