#include "larder/admin/metrics.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>

namespace larder::admin {
namespace {

using policy::CacheOutcome;
using std::chrono::microseconds;

Statistics statistics_of(std::shared_ptr<const policy::RuleSet> rules, const proxy::WorkerCounters& counters) {
  const proxy::WorkerCounters* const workers[] = {&counters};
  auto totals = add_up(workers, rules->counted.size());
  return {.rules = std::move(rules),
          .totals = std::move(totals),
          .memory = {},
          .memory_capacity = 1000,
          .redis = std::nullopt,
          .fills_in_progress = 0,
          .fill_bytes = 0,
          .sessions = {},
          .origin = {},
          .workers = {},
          .purge_log = {},
          .process = {},
          .started = std::chrono::system_clock::time_point(std::chrono::seconds(100)),
          .version = "1.2.3",
          .recent = {},
          .alerts = {},
          .webhook = {}};
}

// Is there such a line?
bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

std::shared_ptr<const policy::RuleSet> one_typed_route() {
  auto rules = std::make_shared<policy::RuleSet>();
  policy::Type type;
  type.name = "product";
  rules->types.push_back(std::make_shared<const policy::Type>(std::move(type)));
  policy::Route typed;
  typed.match_text = "GET /a\"b\\c";
  typed.line = 7;
  typed.type = rules->types[0];
  rules->routes.push_back(std::move(typed));
  policy::Route off;
  off.match_text = "GET /off";
  off.cache_off = true;
  rules->routes.push_back(std::move(off));
  policy::number_routes(*rules);
  return rules;
}

TEST_CASE("requests by type, outcome and reason; what no type has is the rest") {
  proxy::WorkerCounters counters(2);
  for (int i = 0; i < 5; ++i) {
    counters.count(CacheOutcome::hit);
    counters.routes[0].count(CacheOutcome::hit);
  }
  counters.count(CacheOutcome::bypass);  // of no route
  counters.count(CacheOutcome::bypass);
  counters.routes[1].count(CacheOutcome::bypass);
  counters.count(policy::NotReused::absent);
  counters.routes[0].count(policy::NotReused::absent);
  counters.count(policy::NotReused::method);
  counters.count(policy::NotStored::no_store);
  counters.routes[0].count(policy::NotStored::no_store);
  const auto text = metrics_text(statistics_of(one_typed_route(), counters));
  CHECK(has(text, R"(larder_requests_total{type="product",outcome="hit"} 5)"));
  CHECK(has(text, R"(larder_requests_total{type="product",outcome="miss"} 0)"));
  CHECK(has(text, R"(larder_requests_total{type="",outcome="hit"} 0)"));
  CHECK(has(text, R"(larder_requests_total{type="",outcome="bypass"} 2)"));
  CHECK(has(text, R"(larder_not_reused_total{type="product",reason="absent"} 1)"));
  CHECK(has(text, R"(larder_not_reused_total{type="",reason="method"} 1)"));
  CHECK(has(text, R"(larder_not_stored_total{type="product",reason="no_store"} 1)"));
  CHECK(text.find(R"(type="",reason="absent")") == std::string::npos);
  // Label values are escaped.
  CHECK(has(text, R"(larder_route_requests_total{route="GET /a\"b\\c",line="7",outcome="hit"} 5)"));
  CHECK(has(text, R"(larder_route_requests_total{route="GET /off",line="0",outcome="bypass"} 1)"));
  CHECK(has(text, R"(larder_build_info{version="1.2.3"} 1)"));
  CHECK(has(text, "larder_memory_capacity_bytes 1000"));
  CHECK(has(text, "process_start_time_seconds 100"));
  CHECK(has(text, "# TYPE larder_requests_total counter"));
  CHECK(has(text, "# TYPE larder_memory_bytes gauge"));
  CHECK(text.ends_with('\n'));
}

TEST_CASE("histograms: cumulative, bounds doubling from a microsecond on, with sum and count") {
  proxy::WorkerCounters counters(0);
  auto& hits = counters.latency(proxy::LatencyOf::hit);
  hits.add(microseconds(1));
  hits.add(microseconds(2), 2);
  hits.add(microseconds(3));
  hits.add(std::chrono::seconds(100));
  counters.latency(proxy::LatencyOf::redis_hit).add(microseconds(500));
  const auto text = metrics_text(statistics_of(std::make_shared<const policy::RuleSet>(), counters));
  const std::string name = R"(larder_request_duration_seconds_bucket{outcome="hit",tier="memory",le=)";
  CHECK(has(text, "# TYPE larder_request_duration_seconds histogram"));
  CHECK(has(text, name + R"("1e-06"} 1)"));
  CHECK(has(text, name + R"("2e-06"} 3)"));
  CHECK(has(text, name + R"("4e-06"} 4)"));
  CHECK(has(text, name + R"("8e-06"} 4)"));
  CHECK(has(text, name + R"("67.108864"} 4)"));
  CHECK(has(text, name + R"("+Inf"} 5)"));
  CHECK(has(text, R"(larder_request_duration_seconds_count{outcome="hit",tier="memory"} 5)"));
  CHECK(text.find(R"(larder_request_duration_seconds_sum{outcome="hit",tier="memory"} 100.000008)") !=
        std::string::npos);
  CHECK(has(text, R"(larder_request_duration_seconds_count{outcome="hit",tier="redis"} 1)"));
  CHECK(has(text, R"(larder_request_duration_seconds_count{outcome="miss",tier=""} 0)"));
}

TEST_CASE("what is not there is not told of") {
  const proxy::WorkerCounters counters(0);
  auto statistics = statistics_of(std::make_shared<const policy::RuleSet>(), counters);
  auto text = metrics_text(statistics);
  for (const auto* name : {"larder_redis_", "larder_purge_propagation", "larder_alert_active", "larder_webhook",
                           "larder_origin_connections{"}) {
    CAPTURE(name);
    CHECK(text.find(name) == std::string::npos);
  }
  CHECK(has(text, "larder_hit_ratio Nan"));
  statistics.redis.emplace();
  statistics.redis->readable = true;
  statistics.redis->bus.trust = proxy::Trust::bounded;
  statistics.redis->connections.queued = 3;
  statistics.redis->others_propagation.buckets[3] = 2;
  statistics.workers.resize(2);
  statistics.workers[1].has_answered = statistics.workers[1].redis_is_connected = true;
  statistics.origin.servers = {{.authority = "o:1", .open = 5, .idle = 2, .waiting = 1, .paused = true}};
  statistics.alerts.push_back({.name = "low", .when = "x", .active = true, .value = 1, .since = {}, .begun = 2});
  statistics.webhook = WebhookState{.delivered = 1, .failed = 2, .waiting = 0};
  statistics.recent.outcomes[static_cast<std::size_t>(CacheOutcome::hit)] = 3;
  statistics.recent.outcomes[static_cast<std::size_t>(CacheOutcome::miss)] = 1;
  text = metrics_text(statistics);
  for (const auto* line :
       {"larder_redis_up 1", "larder_redis_connected_workers 1", R"(larder_memory_trust{trust="bounded"} 1)",
        R"(larder_memory_trust{trust="whole"} 0)", "larder_redis_queued_commands 3",
        R"(larder_purge_propagation_seconds_count{made_by="another_node"} 2)",
        R"(larder_purge_propagation_seconds_count{made_by="this_node"} 0)",
        R"(larder_origin_connections{server="o:1",state="busy"} 3)",
        R"(larder_origin_connections{server="o:1",state="idle"} 2)",
        R"(larder_origin_waiting_requests{server="o:1"} 1)", R"(larder_origin_paused{server="o:1"} 1)",
        R"(larder_worker_responsive{worker="0"} 0)", R"(larder_worker_responsive{worker="1"} 1)",
        R"(larder_alert_active{alert="low"} 1)", R"(larder_alerts_begun_total{alert="low"} 2)",
        R"(larder_webhook_messages_total{result="failed"} 2)", "larder_hit_ratio 0.75"}) {
    CAPTURE(line);
    CHECK(has(text, line));
  }
}

TEST_CASE("limits and budgets") {
  proxy::WorkerCounters counters(0);
  counters.count(proxy::Shed::origin_queue);
  counters.redis_unwritten.add(2);
  auto statistics = statistics_of(std::make_shared<const policy::RuleSet>(), counters);
  statistics.sessions.refused = 3;
  statistics.sessions.shed_readers = 4;
  statistics.budgets = {{.name = "client.buffers", .bytes = 5, .limit = 6}};
  const auto text = metrics_text(statistics);
  for (const auto* line :
       {R"(larder_shed_total{limit="origin_queue"} 1)", R"(larder_shed_total{limit="fill_budget"} 0)",
        R"(larder_shed_total{limit="redis_writes"} 2)", R"(larder_shed_total{limit="connections"} 3)",
        R"(larder_shed_total{limit="slow_readers"} 4)", R"(larder_shed_total{limit="bodies"} 0)",
        R"(larder_budget_bytes{budget="client.buffers"} 5)",
        R"(larder_budget_limit_bytes{budget="client.buffers"} 6)"}) {
    CAPTURE(line);
    CHECK(has(text, line));
  }
}

TEST_CASE("shadow mode, verification and the key-value store") {
  const proxy::WorkerCounters counters(0);
  auto statistics = statistics_of(std::make_shared<const policy::RuleSet>(), counters);
  for (const auto* name : {"larder_shadow_", "larder_checked_", "larder_verify_", "larder_kv_"}) {
    CAPTURE(name);
    CHECK(metrics_text(statistics).find(name) == std::string::npos);
  }
  auto& checks = statistics.checks["GET /a"];
  checks.would[static_cast<std::size_t>(proxy::ShadowOutcome::miss)] = 1;
  checks.verdicts[static_cast<std::size_t>(proxy::CheckKind::verify)]
                 [static_cast<std::size_t>(policy::AnswerVerdict::stale)] = 2;
  checks.skipped[static_cast<std::size_t>(proxy::VerifySkip::rate)] = 3;
  auto& values = statistics.values.emplace();
  values.state.capacity = 4;
  values.state.memory.entries = 5;
  values.spaces.emplace_back("session", ValueCounters{.hits = 6, .lost_leases = 7});
  auto text = metrics_text(statistics);
  for (const auto* line :
       {R"(larder_shadow_requests_total{route="GET /a",would="miss"} 1)",
        R"(larder_checked_answers_total{kind="verify",route="GET /a",verdict="stale"} 2)",
        R"(larder_verify_skipped_total{route="GET /a",reason="rate"} 3)", "larder_kv_capacity_bytes 4",
        "larder_kv_entries 5", R"(larder_kv_events_total{namespace="session",event="hit"} 6)",
        R"(larder_kv_events_total{namespace="session",event="lost_lease"} 7)",
        R"(larder_kv_events_total{namespace="session",event="set"} 0)"}) {
    CAPTURE(line);
    CHECK(has(text, line));
  }
  CHECK(text.find("larder_kv_redis_up") == std::string::npos);
  values.state.bus.emplace();
  values.state.bus->pending = 8;
  values.state.readable = true;
  text = metrics_text(statistics);
  CHECK(has(text, "larder_kv_redis_up 1"));
  CHECK(has(text, "larder_kv_pending_changes 8"));
}

TEST_CASE("warming, by run, request and task") {
  proxy::WorkerCounters counters(2);
  auto statistics = statistics_of(one_typed_route(), counters);
  CHECK(metrics_text(statistics).find("larder_warm") == std::string::npos);
  auto& warm = statistics.warm.emplace();
  warm.runs[static_cast<std::size_t>(WarmTrigger::purge)] = 2;
  warm.ends[static_cast<std::size_t>(proxy::Warmed::stored)] = 7;
  WarmTaskState task;
  task.name = "a \"b\"\n";
  task.is_critical = true;
  task.execution_count = 3;
  task.success_count = 2;
  task.failure_count = 1;
  task.last_run = std::chrono::system_clock::time_point(std::chrono::seconds(200));
  warm.tasks.push_back(task);
  auto text = metrics_text(statistics);
  CHECK(has(text, "larder_warm_running 0"));
  CHECK(has(text, "larder_warm_runs_total{trigger=\"purge\"} 2"));
  CHECK(has(text, "larder_warm_requests_total{end=\"stored\"} 7"));
  const std::string labels = R"({task="a \"b\"\n",critical="true"})";
  CHECK(has(text, "larder_warm_task_executions_total" + labels + " 3"));
  CHECK(has(text, "larder_warm_task_successes_total" + labels + " 2"));
  CHECK(has(text, "larder_warm_task_failures_total" + labels + " 1"));
  CHECK(has(text, "larder_warm_task_last_run_timestamp_seconds" + labels + " 200"));
  CHECK(text.find("larder_warm_task_last_success_timestamp_seconds{") == std::string::npos);
  warm.run.emplace();
  CHECK(has(metrics_text(statistics), "larder_warm_running 1"));
}

}  // namespace
}  // namespace larder::admin
