#include "larder/admin/metrics.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <utility>

namespace larder::admin {
namespace {

using policy::CacheOutcome;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

double seconds_of(std::chrono::nanoseconds duration) noexcept { return static_cast<double>(duration.count()) / 1e9; }

// One metric with its series, as they are added.
class Family {
 public:
  Family(std::string name, std::string help, MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  template <class Number>
  Family& add(const Labels& labels, Number value) {
    auto& metric = series(labels);
    if (family_.type == MetricType::Counter) {
      metric.counter.value = static_cast<double>(value);
    } else {
      metric.gauge.value = static_cast<double>(value);
    }
    return *this;
  }
  // Of our buckets one in four is told: each bound is twice the one before.
  Family& add(const Labels& labels, const net::LatencyTotals& totals) {
    auto& histogram = series(labels).histogram;
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i + 1 < totals.buckets.size(); ++i) {
      so_far += totals.buckets[i];
      if (i % 4 != 3) continue;
      histogram.bucket.push_back(
          {.cumulative_count = so_far, .upper_bound = seconds_of(net::LatencyBuckets::upper_bound(i))});
    }
    histogram.sample_count = so_far + totals.buckets.back();
    histogram.bucket.push_back(
        {.cumulative_count = histogram.sample_count, .upper_bound = std::numeric_limits<double>::infinity()});
    histogram.sample_sum = seconds_of(totals.sum);
    return *this;
  }
  [[nodiscard]] bool empty() const noexcept { return family_.metric.empty(); }
  [[nodiscard]] MetricFamily take() && { return std::move(family_); }

 private:
  ClientMetric& series(const Labels& labels) {
    auto& metric = family_.metric.emplace_back();
    for (const auto& [name, value] : labels) metric.label.push_back({.name = name, .value = value});
    return metric;
  }

  MetricFamily family_;
};

// All families, in the order in which they are told.
class Page {
 public:
  Family& counter(std::string name, std::string help) {
    return add(std::move(name), std::move(help), MetricType::Counter);
  }
  Family& gauge(std::string name, std::string help) { return add(std::move(name), std::move(help), MetricType::Gauge); }
  Family& histogram(std::string name, std::string help) {
    return add(std::move(name), std::move(help), MetricType::Histogram);
  }
  [[nodiscard]] std::string text() && {
    std::vector<MetricFamily> families;
    for (auto& family : families_) {
      if (!family.empty()) families.push_back(std::move(family).take());
    }
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  Family& add(std::string name, std::string help, MetricType type) {
    families_.emplace_back(std::move(name), std::move(help), type);
    return families_.back();
  }
  std::deque<Family> families_;  // references to its elements stay valid
};

// "hit", as Prometheus's users write label values; X-Cache has it in capitals.
std::string label_of(CacheOutcome outcome) {
  std::string text(policy::to_string(outcome));
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

template <class Enum, std::size_t size>
void add_counted(Family& family, const Labels& labels, const std::string& name,
                 const std::array<std::uint64_t, size>& counts) {
  for (std::size_t i = 1; i < size; ++i) {
    if (counts[i] == 0) continue;
    auto all = labels;
    all.emplace_back(name, policy::to_string(static_cast<Enum>(i)));
    family.add(all, counts[i]);
  }
}

// Requests by the types of their routes; what no type has is the type "".
std::map<std::string, RequestTotals> by_type(const Statistics& statistics) {
  std::map<std::string, RequestTotals> types;
  // Routes of earlier rules too: no counter goes back when rules change.
  const auto& routes = statistics.rules->counted;
  auto& rest = types[""];
  rest = statistics.totals;
  for (std::size_t i = 0; i < std::min(routes.size(), statistics.totals.routes.size()); ++i) {
    if (routes[i].type.empty()) continue;
    const auto& of_route = statistics.totals.routes[i];
    types[routes[i].type] += of_route;
    // Counted a moment after the total at the earliest, so that it may be ahead of it.
    const auto take = [](auto& all, const auto& part) {
      for (std::size_t k = 0; k < all.size(); ++k) all[k] -= std::min(all[k], part[k]);
    };
    take(rest.outcomes, of_route.outcomes);
    take(rest.not_stored, of_route.not_stored);
    take(rest.not_reused, of_route.not_reused);
  }
  return types;
}

void add_requests(Page& page, const Statistics& statistics) {
  const auto& totals = statistics.totals;
  const auto types = by_type(statistics);
  auto& requests = page.counter("larder_requests_total", "Requests by the type of their route and by X-Cache.");
  auto& not_reused = page.counter("larder_not_reused_total", "Requests that no stored response answered, by reason.");
  auto& not_stored = page.counter("larder_not_stored_total", "Responses that were not stored, by reason.");
  for (const auto& [type, of_type] : types) {
    for (std::size_t i = 0; i < of_type.outcomes.size(); ++i) {
      requests.add({{"type", type}, {"outcome", label_of(static_cast<CacheOutcome>(i))}}, of_type.outcomes[i]);
    }
    add_counted<policy::NotReused>(not_reused, {{"type", type}}, "reason", of_type.not_reused);
    add_counted<policy::NotStored>(not_stored, {{"type", type}}, "reason", of_type.not_stored);
  }
  auto& routes = page.counter("larder_route_requests_total", "Requests by route of the rules file and by X-Cache.");
  for (const auto& route : statistics.rules->routes) {
    if (route.counter >= totals.routes.size()) continue;
    for (std::size_t k = 0; k < proxy::outcome_count; ++k) {
      const auto n = totals.routes[route.counter].outcomes[k];
      if (n == 0) continue;
      // Two routes may say the same: the line tells them apart.
      routes.add({{"route", route.match_text},
                  {"line", std::to_string(route.line)},
                  {"outcome", label_of(static_cast<CacheOutcome>(k))}},
                 n);
    }
  }
  page.counter("larder_unsafe_requests_total", "Requests with an unsafe method.").add({}, totals.writes);
  page.counter("larder_hits_total", "Requests answered from the cache, by what answered: memory, redis.")
      .add({{"tier", "memory"}}, totals.memory_hits)
      .add({{"tier", "redis"}}, totals.redis_hits);
  auto& ratio = page.gauge("larder_hit_ratio",
                           "HIT and STALE among HIT, STALE, REVALIDATED and MISS over the last 5 minutes, 0 to 1; NaN "
                           "where none came.");
  const auto& recent = statistics.recent.outcomes;
  const auto cacheable = recent[static_cast<std::size_t>(CacheOutcome::hit)] +
                         recent[static_cast<std::size_t>(CacheOutcome::stale)] +
                         recent[static_cast<std::size_t>(CacheOutcome::revalidated)] +
                         recent[static_cast<std::size_t>(CacheOutcome::miss)];
  ratio.add({}, cacheable == 0 ? std::numeric_limits<double>::quiet_NaN() : hit_rate(recent) / 100);

  auto& durations = page.histogram("larder_request_duration_seconds",
                                   "From the reading of a request's head to the end of its reply, by X-Cache; a hit's "
                                   "tier is memory or redis.");
  for (std::size_t i = 0; i < totals.latencies.size(); ++i) {
    const auto what = static_cast<proxy::LatencyOf>(i);
    const bool is_redis_hit = what == proxy::LatencyOf::redis_hit;
    const bool is_hit = is_redis_hit || what == proxy::LatencyOf::hit;
    durations.add({{"outcome", is_hit ? std::string("hit") : std::string(proxy::to_string(what))},
                   {"tier", is_redis_hit ? "redis"
                            : is_hit     ? "memory"
                                         : ""}},
                  totals.latencies[i]);
  }
}

void add_tiers(Page& page, const Statistics& statistics) {
  const auto& totals = statistics.totals;
  const auto& memory = statistics.memory;
  page.gauge("larder_memory_bytes", "Bytes of stored responses in memory, bookkeeping included.").add({}, memory.bytes);
  page.gauge("larder_memory_capacity_bytes", "Bytes that the memory tier may hold.")
      .add({}, statistics.memory_capacity);
  page.gauge("larder_memory_entries", "Stored responses in memory.").add({}, memory.entries);
  page.counter("larder_memory_insertions_total", "Stored responses put into memory.").add({}, memory.insertions);
  page.counter("larder_memory_removals_total",
               "Stored responses that left memory: evicted for want of room, purged, or expired.")
      .add({{"cause", "evicted"}}, memory.evictions)
      .add({{"cause", "purged"}}, memory.purged)
      .add({{"cause", "expired"}}, memory.expired);
  page.counter("larder_stored_responses_total", "Responses of the origin that were stored.").add({}, totals.stored);
  page.counter("larder_fills_total", "Fetches from the origin that might store.").add({}, totals.fills);
  page.gauge("larder_fills_in_progress", "Fills that can be joined now.").add({}, statistics.fills_in_progress);
  page.gauge("larder_fill_bytes", "Bytes held by fills in progress.").add({}, statistics.fill_bytes);
  page.gauge("larder_fill_waiters", "Requests that read another request's fill now.").add({}, waiters(totals));
  page.counter("larder_collapsed_requests_total", "Requests that joined another request's fill.")
      .add({}, totals.collapsed);
}

void add_purges(Page& page, const Statistics& statistics) {
  const auto& totals = statistics.totals;
  page.counter("larder_purges_total", "Purges made at this node.").add({}, totals.purges);
  auto& selectors = page.counter("larder_purge_selectors_total", "Selectors of purges made at this node, by kind.");
  for (std::size_t i = 0; i < totals.purged_selectors_by.size(); ++i) {
    selectors.add({{"kind", std::string(policy::to_string(static_cast<policy::SelectorKind>(i)))}},
                  totals.purged_selectors_by[i]);
  }
  page.gauge("larder_purge_log_selectors", "Selectors that stored responses are checked against.")
      .add({}, statistics.purge_log.selectors);
  page.gauge("larder_purge_log_clock", "The fleet's clock of purges as this node knows it.")
      .add({}, statistics.purge_log.clock);
  page.gauge("larder_purges_pending", "Purges that Redis has not got yet.").add({}, statistics.purge_log.pending);
  if (!statistics.redis) return;
  const auto& redis = *statistics.redis;
  page.counter("larder_purges_heard_total", "Purges heard from other nodes.").add({}, redis.bus.heard);
  page.gauge("larder_purge_journal_records", "Purges in the journal on disk.").add({}, redis.bus.journalled);
  page.histogram("larder_purge_propagation_seconds",
                 "From the making of a purge to its application where it was heard by push. made_by=\"this_node\": its "
                 "own purges, which come back to it, by one clock. made_by=\"another_node\": by the clocks of two "
                 "nodes, so that their difference is part of it. Without those that waited for Redis.")
      .add({{"made_by", "this_node"}}, redis.own_propagation)
      .add({{"made_by", "another_node"}}, redis.others_propagation);
}

void add_redis(Page& page, const Statistics& statistics) {
  if (!statistics.redis) return;
  const auto& redis = *statistics.redis;
  const auto& totals = statistics.totals;
  page.gauge("larder_redis_up", "1 where every worker may use what Redis holds, else 0.")
      .add({}, redis.readable ? 1 : 0);
  const auto connected = std::ranges::count_if(statistics.workers, &WorkerState::redis_is_connected);
  page.gauge("larder_redis_connected_workers", "Workers whose connection to Redis is up.").add({}, connected);
  page.gauge("larder_redis_push_channel_up", "1 where purges of other nodes are heard, else 0.")
      .add({}, redis.bus.attached ? 1 : 0);
  auto& trust =
      page.gauge("larder_memory_trust", "How far memory is trusted to have missed no purge: 1 for what holds.");
  for (const auto one : {proxy::Trust::whole, proxy::Trust::bounded, proxy::Trust::none}) {
    trust.add({{"trust", std::string(proxy::to_string(one))}}, redis.bus.trust == one ? 1 : 0);
  }
  page.counter("larder_redis_errors_total", "Operations on Redis that failed.").add({}, totals.redis_errors);
  page.counter("larder_redis_undecodable_total", "Entries of Redis that did not decode, and were removed.")
      .add({}, totals.undecodable);
  page.counter("larder_redis_commands_total", "Commands accepted for sending.").add({}, redis.connections.commands);
  page.counter("larder_redis_command_failures_total", "Commands without a reply, refused ones too.")
      .add({}, redis.connections.failures);
  page.counter("larder_redis_command_timeouts_total", "Commands that were not answered in time.")
      .add({}, redis.connections.timeouts);
  page.counter("larder_redis_connects_total", "Connections made to Redis.").add({}, redis.connections.connects);
  page.gauge("larder_redis_queued_commands", "Commands not yet answered.").add({}, redis.connections.queued);
  page.gauge("larder_redis_queued_bytes", "Bytes of commands not yet answered.")
      .add({}, redis.connections.queued_bytes);
  page.counter("larder_redis_swept_total", "Dead entries removed from Redis in the background.")
      .add({}, redis.bus.swept);
  auto& durations = page.histogram("larder_redis_duration_seconds",
                                   "From the sending of a command to its reply: a look-up (get), a response stored "
                                   "(set), a purge.");
  for (std::size_t i = 0; i < totals.redis_latencies.size(); ++i) {
    durations.add({{"operation", std::string(proxy::to_string(static_cast<proxy::RedisOperation>(i)))}},
                  totals.redis_latencies[i]);
  }
}

void add_origin(Page& page, const Statistics& statistics) {
  const auto& origin = statistics.origin;
  auto& connections = page.gauge("larder_origin_connections", "Open connections to the origin's servers, by state.");
  auto& waiting = page.gauge("larder_origin_waiting_requests", "Requests that wait for a connection to the origin.");
  auto& paused = page.gauge("larder_origin_paused", "1 where the server refused a connection lately, else 0.");
  for (const auto& server : origin.servers) {
    connections.add({{"server", server.authority}, {"state", "busy"}},
                    server.open - std::min(server.open, server.idle));
    connections.add({{"server", server.authority}, {"state", "idle"}}, server.idle);
    waiting.add({{"server", server.authority}}, server.waiting);
    paused.add({{"server", server.authority}}, server.paused ? 1 : 0);
  }
  page.counter("larder_origin_requests_total", "Requests to the origin.").add({}, origin.counters.requests);
  page.counter("larder_origin_errors_total",
               "Requests to the origin that failed: unreachable, too slow, malformed, cut short.")
      .add({}, statistics.totals.origin_errors);
  page.counter("larder_origin_retries_total", "Requests to the origin that were sent again.")
      .add({}, origin.counters.retries);
  page.counter("larder_origin_connects_total", "Connections made to the origin.").add({}, origin.counters.connects);
  page.counter("larder_origin_connect_failures_total", "Connections to the origin that could not be made.")
      .add({}, origin.counters.connect_failures);
  page.counter("larder_origin_connections_reused_total", "Requests that took a kept connection.")
      .add({}, origin.counters.reused);
  page.histogram(
          "larder_origin_duration_seconds",
          "From the sending of a request to the head of its response; without uploads, whose pace is the client's.")
      .add({}, origin.latency);
}

// What was refused, closed or not written because a limit was reached, by the name it has in the statistics too.
void add_limits(Page& page, const Statistics& statistics) {
  auto& shed = page.counter("larder_shed_total",
                            "What was refused, closed or not written because a limit was reached, by the limit.");
  for (std::size_t i = 0; i < statistics.totals.shed.size(); ++i) {
    shed.add({{"limit", std::string(proxy::to_string(static_cast<proxy::Shed>(i)))}}, statistics.totals.shed[i]);
  }
  const auto& sessions = statistics.sessions;
  shed.add({{"limit", "connections"}}, sessions.refused)
      .add({{"limit", "unfinished_heads"}}, sessions.shed_heads)
      .add({{"limit", "bodies"}}, sessions.shed_bodies)
      .add({{"limit", "slow_readers"}}, sessions.shed_readers)
      .add({{"limit", "redis_writes"}}, statistics.totals.redis_unwritten);
  auto& used = page.gauge("larder_budget_bytes", "Bytes used of a bound on memory, by its key of the configuration.");
  auto& limits = page.gauge("larder_budget_limit_bytes", "The bound on memory, by its key of the configuration.");
  for (const auto& budget : statistics.budgets) {
    used.add({{"budget", std::string(budget.name)}}, budget.bytes);
    limits.add({{"budget", std::string(budget.name)}}, budget.limit);
  }
}

// Routes are told apart only where something was found, as they may be many.
void add_checks(Page& page, const Statistics& statistics) {
  auto& would = page.counter("larder_shadow_requests_total",
                             "Requests of routes in shadow mode, by route and by what the cache would have done.");
  auto& verdicts = page.counter("larder_checked_answers_total",
                                "Stored answers that were compared with the origin's, in shadow mode or of hits that "
                                "are verified, by route and verdict.");
  auto& skipped =
      page.counter("larder_verify_skipped_total", "Hits that were to be verified and were not, by route and reason.");
  for (const auto& [route, totals] : statistics.checks) {
    for (std::size_t i = 0; i < totals.would.size(); ++i) {
      if (totals.would[i] == 0) continue;
      would.add({{"route", route}, {"would", std::string(to_string(static_cast<proxy::ShadowOutcome>(i)))}},
                totals.would[i]);
    }
    for (std::size_t kind = 0; kind < totals.verdicts.size(); ++kind) {
      for (std::size_t i = 0; i < totals.verdicts[kind].size(); ++i) {
        if (totals.verdicts[kind][i] == 0) continue;
        verdicts.add({{"kind", std::string(to_string(static_cast<proxy::CheckKind>(kind)))},
                      {"route", route},
                      {"verdict", std::string(to_string(static_cast<policy::AnswerVerdict>(i)))}},
                     totals.verdicts[kind][i]);
      }
    }
    for (std::size_t i = 0; i < totals.skipped.size(); ++i) {
      if (totals.skipped[i] == 0) continue;
      skipped.add({{"route", route}, {"reason", std::string(to_string(static_cast<proxy::VerifySkip>(i)))}},
                  totals.skipped[i]);
    }
  }
}

void add_values(Page& page, const Statistics& statistics) {
  if (!statistics.values) return;
  const auto& [state, spaces] = *statistics.values;
  page.gauge("larder_kv_bytes", "Bytes of the key-value store in memory, bookkeeping included.")
      .add({}, state.memory.bytes);
  page.gauge("larder_kv_capacity_bytes", "Bytes that the key-value store may hold in memory.").add({}, state.capacity);
  page.gauge("larder_kv_entries", "Values in memory.").add({}, state.memory.entries);
  page.counter("larder_kv_removals_total", "Values that left memory: evicted for want of room, or expired.")
      .add({{"cause", "evicted"}}, state.memory.evictions)
      .add({{"cause", "expired"}}, state.memory.expired);
  page.gauge("larder_kv_leases", "Leases that are held at this node.").add({}, state.leases);
  page.gauge("larder_kv_lease_waiters", "Requests that wait for somebody else's lease.").add({}, state.waiting);
  page.counter("larder_kv_conflicts_total", "Values removed because two nodes had changed them apart.")
      .add({}, state.conflicts);
  if (state.bus) {
    page.gauge("larder_kv_redis_up", "1 where the key-value store may use what Redis holds, else 0.")
        .add({}, state.readable ? 1 : 0);
    page.gauge("larder_kv_pending_changes", "Changes that Redis has not got yet.").add({}, state.bus->pending);
    page.counter("larder_kv_redis_errors_total", "Operations of the key-value store on Redis that failed.")
        .add({}, state.redis_errors);
  }
  auto& requests = page.counter("larder_kv_events_total", "What came to the key-value store, by namespace and event.");
  for (const auto& [name, counts] : spaces) {
    const auto add = [&requests, &name = name](const char* event, std::uint64_t count) {
      requests.add({{"namespace", name}, {"event", event}}, count);
    };
    add("hit", counts.hits);
    add("miss", counts.misses);
    add("set", counts.sets);
    add("clear", counts.clears);
    add("flush", counts.flushes);
    add("lease", counts.leases);
    add("lease_wait", counts.lease_waits);
    add("lease_timeout", counts.lease_timeouts);
    add("lost_lease", counts.lost_leases);
    add("refused", counts.refused);
  }
}

void add_warming(Page& page, const Statistics& statistics) {
  if (!statistics.warm) return;
  const auto& warm = *statistics.warm;
  page.gauge("larder_warm_running", "1 while a warming run goes on, else 0.").add({}, warm.is_running() ? 1 : 0);
  auto& runs = page.counter("larder_warm_runs_total", "Warming runs, by what began them.");
  for (std::size_t i = 0; i < warm.runs.size(); ++i) {
    runs.add({{"trigger", std::string(to_string(static_cast<WarmTrigger>(i)))}}, warm.runs[i]);
  }
  auto& requests = page.counter("larder_warm_requests_total", "Requests of warming runs, by how they ended.");
  for (std::size_t i = 0; i < warm.ends.size(); ++i) {
    requests.add({{"end", std::string(proxy::to_string(static_cast<proxy::Warmed>(i)))}}, warm.ends[i]);
  }
  auto& executions = page.counter("larder_warm_task_executions_total", "Runs of a warm task.");
  auto& successes = page.counter("larder_warm_task_successes_total", "Runs after which all that it names was warm.");
  auto& failures = page.counter("larder_warm_task_failures_total", "Runs after which something that it names was not.");
  auto& last_run = page.gauge("larder_warm_task_last_run_timestamp_seconds", "When the task ran last, since 1970.");
  auto& last_success =
      page.gauge("larder_warm_task_last_success_timestamp_seconds", "When it last ended well, since 1970.");
  for (const auto& task : warm.tasks) {
    const Labels labels{{"task", task.name}, {"critical", task.is_critical ? "true" : "false"}};
    executions.add(labels, task.execution_count);
    successes.add(labels, task.success_count);
    failures.add(labels, task.failure_count);
    if (task.last_run) last_run.add(labels, seconds_of(task.last_run->time_since_epoch()));
    if (task.last_success) last_success.add(labels, seconds_of(task.last_success->time_since_epoch()));
  }
}

void add_process(Page& page, const Statistics& statistics) {
  const auto& sessions = statistics.sessions;
  page.gauge("larder_client_connections", "Open connections of clients.").add({}, sessions.open);
  page.counter("larder_client_connections_accepted_total", "Connections of clients.").add({}, sessions.accepted);
  page.counter("larder_client_connections_refused_total", "Connections over the limit, answered with 503.")
      .add({}, sessions.refused);
  page.counter("larder_client_requests_malformed_total", "Requests refused by the parser.").add({}, sessions.malformed);
  page.counter("larder_client_timeouts_total", "Heads, bodies and replies that took too long.")
      .add({}, sessions.timed_out);
  page.counter("larder_client_replies_cut_short_total", "Replies that could not be ended.").add({}, sessions.cut_short);

  auto& delays = page.gauge("larder_worker_loop_delay_seconds",
                            "How long the worker's loop took to look at the question behind this very scrape; worker 0 "
                            "is the one of the admin API.");
  auto& responsive = page.gauge("larder_worker_responsive", "1 where the worker answered it in time, else 0.");
  for (std::size_t i = 0; i < statistics.workers.size(); ++i) {
    const auto worker = std::to_string(i);
    delays.add({{"worker", worker}}, seconds_of(statistics.workers[i].loop_delay));
    responsive.add({{"worker", worker}}, statistics.workers[i].has_answered ? 1 : 0);
  }
  if (const auto& log = statistics.access_log) {
    page.counter("larder_access_log_lines_total", "Lines of the access log, by what became of them.")
        .add({{"result", "written"}}, log->written)
        .add({{"result", "dropped"}}, log->dropped)
        .add({{"result", "lost"}}, log->lost);
  }
  auto& firing = page.gauge("larder_alert_active", "1 while the alert of the configuration is active, else 0.");
  auto& begun = page.counter("larder_alerts_begun_total", "How often the alert of the configuration has begun.");
  for (const auto& alert : statistics.alerts) {
    firing.add({{"alert", alert.name}}, alert.active ? 1 : 0);
    begun.add({{"alert", alert.name}}, alert.begun);
  }
  if (statistics.webhook) {
    page.counter("larder_webhook_messages_total", "Messages to the webhook of the alerts, by what became of them.")
        .add({{"result", "delivered"}}, statistics.webhook->delivered)
        .add({{"result", "failed"}}, statistics.webhook->failed);
  }
  page.gauge("larder_build_info", "Always 1; the version is a label.").add({{"version", statistics.version}}, 1);
  page.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")
      .add({}, seconds_of(statistics.started.time_since_epoch()));
  page.gauge("process_resident_memory_bytes", "Resident memory.").add({}, statistics.process.resident_bytes);
  page.counter("process_cpu_seconds_total", "User and system time.").add({}, statistics.process.cpu_seconds);
  page.gauge("process_open_fds", "Open file descriptors.").add({}, statistics.process.open_descriptors);
  page.gauge("process_max_fds", "File descriptors that may be open.").add({}, statistics.process.most_descriptors);
}

}  // namespace

std::string metrics_text(const Statistics& statistics) {
  Page page;
  add_requests(page, statistics);
  add_tiers(page, statistics);
  add_purges(page, statistics);
  add_redis(page, statistics);
  add_origin(page, statistics);
  add_limits(page, statistics);
  add_checks(page, statistics);
  add_values(page, statistics);
  add_warming(page, statistics);
  add_process(page, statistics);
  return std::move(page).text();
}

}  // namespace larder::admin
