#include "larder/admin/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

namespace larder::admin {
namespace {

using policy::CacheOutcome;

std::uint64_t of(const OutcomeTotals& totals, CacheOutcome outcome) noexcept {
  return totals[static_cast<std::size_t>(outcome)];
}

// Every value of X-Cache by its count.
Json outcomes_json(const OutcomeTotals& totals) {
  return {{"hits", of(totals, CacheOutcome::hit)},      {"misses", of(totals, CacheOutcome::miss)},
          {"stale", of(totals, CacheOutcome::stale)},   {"revalidated", of(totals, CacheOutcome::revalidated)},
          {"bypass", of(totals, CacheOutcome::bypass)}, {"hit_rate", hit_rate(totals)}};
}

// One member per enumerator but `none`, so that a reader finds the same members at all times.
template <class Reason, std::size_t size>
Json reasons_json(const std::array<std::uint64_t, size>& counts) {
  auto json = Json::object();
  for (std::size_t i = 1; i < size; ++i) json[std::string(policy::to_string(static_cast<Reason>(i)))] = counts[i];
  return json;
}

Json types_json(const Statistics& statistics) {
  // Routes of earlier rules too: what was counted for a type stays counted.
  const auto& routes = statistics.rules->counted;
  auto json = Json::object();
  for (const auto& type : statistics.rules->types) {
    OutcomeTotals totals{};
    for (std::size_t i = 0; i < std::min(routes.size(), statistics.totals.routes.size()); ++i) {
      if (routes[i].type != type->name) continue;
      for (std::size_t k = 0; k < totals.size(); ++k) totals[k] += statistics.totals.routes[i].outcomes[k];
    }
    json[type->name] = outcomes_json(totals);
  }
  return json;
}

Json route_json(const policy::Route& route, const RequestTotals& totals) {
  Json row{{"match", route.match_text}, {"file", route.file}, {"line", route.line}, {"type", nullptr}};
  if (route.type) row["type"] = route.type->name;
  row["mode"] = !route.caches() ? "off" : route.is_shadow ? "shadow" : "serve";
  row["verify"] = route.verify_ppm / 10000.0;
  row.update(outcomes_json(totals.outcomes));
  return row;
}

Json routes_json(const Statistics& statistics) {
  auto json = Json::array();
  for (const auto& route : statistics.rules->routes) {
    if (route.counter >= statistics.totals.routes.size()) continue;
    json.push_back(route_json(route, statistics.totals.routes[route.counter]));
  }
  return json;
}

// Those that came, the most frequent first.
template <class Reason, std::size_t size>
Json ranked_reasons_json(const std::array<std::uint64_t, size>& counts) {
  std::vector<std::size_t> order;
  for (std::size_t i = 1; i < size; ++i) {
    if (counts[i] > 0) order.push_back(i);
  }
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return counts[i]; });
  auto json = Json::array();
  for (const auto i : order) {
    json.push_back({{"reason", policy::to_string(static_cast<Reason>(i))}, {"count", counts[i]}});
  }
  return json;
}

Json top_routes_json(const Statistics& statistics) {
  constexpr std::size_t most = 10;
  const auto& totals = statistics.totals.routes;
  const auto requests = [&](const policy::Route* route) {
    const auto& outcomes = totals[route->counter].outcomes;
    return std::accumulate(outcomes.begin(), outcomes.end(), std::uint64_t{0});
  };
  std::vector<const policy::Route*> order;
  for (const auto& route : statistics.rules->routes) {
    if (route.counter < totals.size() && requests(&route) > 0) order.push_back(&route);
  }
  std::ranges::stable_sort(order, std::greater{}, requests);
  order.resize(std::min(order.size(), most));
  auto json = Json::array();
  for (const auto* const route : order) {
    const auto& of_route = totals[route->counter];
    auto row = route_json(*route, of_route);
    row["requests"] = requests(route);
    row["miss_reasons"] = ranked_reasons_json<policy::NotReused>(of_route.not_reused);
    row["not_stored_reasons"] = ranked_reasons_json<policy::NotStored>(of_route.not_stored);
    json.push_back(std::move(row));
  }
  return json;
}

Json latencies_json(const RecentState& recent) {
  Json json{{"window_seconds", recent.window.count() / 1000}};
  for (std::size_t i = 0; i < recent.latencies.size(); ++i) {
    json[std::string(proxy::to_string(static_cast<proxy::LatencyOf>(i)))] = latency_json(recent.latencies[i]);
  }
  json["redis"] = latency_json(recent.redis_latency);
  json["origin"] = latency_json(recent.origin_latency);
  return json;
}

Json alerts_json(const Statistics& statistics) {
  auto json = Json::array();
  for (const auto& alert : statistics.alerts) {
    Json row{{"name", alert.name}, {"when", alert.when}, {"active", alert.active},
             {"value", nullptr},   {"since", nullptr},   {"begun", alert.begun}};
    if (alert.value) row["value"] = *alert.value;
    if (alert.begun > 0) row["since"] = iso_time(alert.since);
    json.push_back(std::move(row));
  }
  return json;
}

Json origin_json(const OriginState& origin) {
  auto servers = Json::array();
  for (const auto& server : origin.servers) {
    servers.push_back({{"server", server.authority},
                       {"open", server.open},
                       {"idle", server.idle},
                       {"waiting", server.waiting},
                       {"paused", server.paused}});
  }
  const auto& counters = origin.counters;
  return {{"servers", std::move(servers)}, {"requests", counters.requests},
          {"connects", counters.connects}, {"connect_failures", counters.connect_failures},
          {"reused", counters.reused},     {"retries", counters.retries}};
}

Json workers_json(std::span<const WorkerState> workers) {
  auto json = Json::array();
  for (const auto& worker : workers) {
    json.push_back({{"responsive", worker.has_answered}, {"loop_delay_ms", milliseconds_of(worker.loop_delay)}});
  }
  return json;
}

Json redis_json(const Statistics& statistics) {
  if (!statistics.redis) return nullptr;
  const auto& redis = *statistics.redis;
  return {{"connected", redis.connected},
          {"readable", redis.readable},
          {"attached", redis.bus.attached},
          {"trust", proxy::to_string(redis.bus.trust)},
          {"alone", redis.bus.alone},
          {"pending_purges", redis.bus.pending},
          {"journalled", redis.bus.journalled},
          {"attaches", redis.bus.attaches},
          {"epochs", redis.bus.epochs},
          {"heard_purges", redis.bus.heard},
          {"swept", redis.bus.swept},
          {"commands", redis.connections.commands},
          {"failures", redis.connections.failures},
          {"timeouts", redis.connections.timeouts},
          {"connects", redis.connections.connects},
          {"queued", redis.connections.queued},
          {"queued_bytes", redis.connections.queued_bytes},
          {"errors", statistics.totals.redis_errors},
          {"undecodable", statistics.totals.undecodable}};
}

// One member per limit.
Json shed_json(const Statistics& statistics) {
  const auto& sessions = statistics.sessions;
  Json json{{"connections", sessions.refused},
            {"unfinished_heads", sessions.shed_heads},
            {"bodies", sessions.shed_bodies},
            {"slow_readers", sessions.shed_readers},
            {"redis_writes", statistics.totals.redis_unwritten}};
  for (std::size_t i = 0; i < statistics.totals.shed.size(); ++i) {
    json[std::string(proxy::to_string(static_cast<proxy::Shed>(i)))] = statistics.totals.shed[i];
  }
  return json;
}

template <std::size_t size, class Counters>
void add(std::array<std::uint64_t, size>& totals, const Counters& counters) noexcept {
  for (std::size_t i = 0; i < size; ++i) totals[i] += counters[i].value();
}

void add(RequestTotals& totals, const proxy::OutcomeCounters& counters) noexcept {
  add(totals.outcomes, counters.outcomes);
  add(totals.not_stored, counters.not_stored);
  add(totals.not_reused, counters.not_reused);
}

template <std::size_t size>
void add(std::array<std::uint64_t, size>& totals, const std::array<std::uint64_t, size>& others) noexcept {
  for (std::size_t i = 0; i < size; ++i) totals[i] += others[i];
}

}  // namespace

double hit_rate(const OutcomeTotals& totals) noexcept {
  const auto hits = of(totals, CacheOutcome::hit) + of(totals, CacheOutcome::stale);
  return percent(hits, hits + of(totals, CacheOutcome::revalidated) + of(totals, CacheOutcome::miss));
}

RequestTotals& RequestTotals::operator+=(const RequestTotals& other) noexcept {
  add(outcomes, other.outcomes);
  add(not_stored, other.not_stored);
  add(not_reused, other.not_reused);
  return *this;
}

double milliseconds_of(std::chrono::nanoseconds duration) noexcept {
  return std::round(static_cast<double>(duration.count()) / 1e3) / 1e3;
}

Json latency_json(const net::LatencyTotals& totals) {
  const auto count = totals.count();
  if (count == 0) return nullptr;
  const auto at = [&](double part) { return milliseconds_of(totals.quantile(part).value_or(totals.sum)); };
  return {{"count", count},
          {"p50_ms", at(0.5)},
          {"p95_ms", at(0.95)},
          {"p99_ms", at(0.99)},
          {"mean_ms", milliseconds_of(totals.sum / static_cast<std::int64_t>(count))}};
}

Totals add_up(std::span<const proxy::WorkerCounters* const> workers, std::size_t route_count) {
  Totals totals;
  totals.routes.resize(route_count);
  for (const auto* const worker : workers) {
    totals.requests += worker->requests.value();
    totals.memory_hits += worker->memory_hits.value();
    totals.redis_hits += worker->redis_hits.value();
    totals.collapsed += worker->collapsed.value();
    totals.fills += worker->fills.value();
    totals.stored += worker->stored.value();
    totals.origin_errors += worker->origin_errors.value();
    totals.redis_errors += worker->redis_errors.value();
    totals.redis_unwritten += worker->redis_unwritten.value();
    totals.undecodable += worker->undecodable.value();
    totals.purges += worker->purges.value();
    totals.purged_selectors += worker->purged_selectors.value();
    totals.writes += worker->writes.value();
    totals.followed += worker->followed.value();
    add(totals.shed, worker->shed);
    add(totals.purged_selectors_by, worker->purged_selectors_by);
    for (std::size_t i = 0; i < totals.latencies.size(); ++i) worker->latencies[i].read_into(totals.latencies[i]);
    for (std::size_t i = 0; i < totals.redis_latencies.size(); ++i) {
      worker->redis_latencies[i].read_into(totals.redis_latencies[i]);
    }
    add(static_cast<RequestTotals&>(totals), *worker);
    for (std::size_t i = 0; i < route_count; ++i) add(totals.routes[i], worker->routes[i]);
  }
  return totals;
}

// The two are read one after the other, and the first may have risen meanwhile but never the second beyond it.
std::uint64_t waiters(const Totals& totals) noexcept {
  return totals.collapsed - std::min(totals.collapsed, totals.followed);
}

std::size_t OriginState::waiting() const noexcept {
  std::size_t all = 0;
  for (const auto& server : servers) all += server.waiting;
  return all;
}

OriginState add_up(std::span<const WorkerState> workers) {
  OriginState state;
  for (const auto& worker : workers) {
    state.latency += worker.origin_latency;
    state.counters.connects += worker.origin.connects;
    state.counters.connect_failures += worker.origin.connect_failures;
    state.counters.reused += worker.origin.reused;
    state.counters.requests += worker.origin.requests;
    state.counters.retries += worker.origin.retries;
    state.counters.open += worker.origin.open;
    state.counters.idle += worker.origin.idle;
    for (const auto& server : worker.servers) {
      auto known = std::ranges::find(state.servers, server.authority, &net::OriginServerState::authority);
      if (known == state.servers.end()) {
        state.servers.push_back(server);
        continue;
      }
      known->open += server.open;
      known->idle += server.idle;
      known->waiting += server.waiting;
      known->paused = known->paused || server.paused;
    }
  }
  return state;
}

redis::ConnectionCounters add_up_redis(std::span<const WorkerState> workers) {
  redis::ConnectionCounters totals;
  for (const auto& worker : workers) {
    if (!worker.redis) continue;
    totals.commands += worker.redis->commands;
    totals.failures += worker.redis->failures;
    totals.timeouts += worker.redis->timeouts;
    totals.connects += worker.redis->connects;
    totals.writes += worker.redis->writes;
    totals.queued += worker.redis->queued;
    totals.queued_bytes += worker.redis->queued_bytes;
  }
  return totals;
}

SessionTotals read(const net::SessionCounters& counters) noexcept {
  return {.open = counters.open.load(std::memory_order_relaxed),
          .accepted = counters.accepted.load(std::memory_order_relaxed),
          .refused = counters.refused.load(std::memory_order_relaxed),
          .malformed = counters.malformed.load(std::memory_order_relaxed),
          .timed_out = counters.timed_out.load(std::memory_order_relaxed),
          .cut_short = counters.cut_short.load(std::memory_order_relaxed),
          .shed_heads = counters.shed_heads.load(std::memory_order_relaxed),
          .shed_bodies = counters.shed_bodies.load(std::memory_order_relaxed),
          .shed_readers = counters.shed_readers.load(std::memory_order_relaxed)};
}

Json to_json(const Statistics& statistics, std::chrono::system_clock::time_point now) {
  const auto& totals = statistics.totals;
  const auto& memory = statistics.memory;
  const auto& sessions = statistics.sessions;
  const auto& log = statistics.purge_log;
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(now - statistics.started).count();
  Json stats{{"hits", of(totals.outcomes, CacheOutcome::hit)},
             {"misses", of(totals.outcomes, CacheOutcome::miss)},
             {"errors", totals.redis_errors + totals.undecodable},
             {"total_requests", totals.requests},
             {"hit_rate", hit_rate(totals.outcomes)},
             {"is_available", !statistics.redis || statistics.redis->readable},
             {"stale", of(totals.outcomes, CacheOutcome::stale)},
             {"revalidated", of(totals.outcomes, CacheOutcome::revalidated)},
             {"bypass", of(totals.outcomes, CacheOutcome::bypass)},
             {"collapsed", totals.collapsed},
             {"stored", totals.stored},
             {"writes", totals.writes},
             {"purges", totals.purges},
             {"purged_selectors", totals.purged_selectors},
             {"origin_errors", totals.origin_errors},
             {"uptime_seconds", std::max<std::int64_t>(0, uptime)},
             {"version", statistics.version}};
  stats["tiers"] = {{"memory", {{"hits", totals.memory_hits}}}, {"redis", {{"hits", totals.redis_hits}}}};
  stats["memory"] = {{"capacity", statistics.memory_capacity},
                     {"bytes", memory.bytes},
                     {"entries", memory.entries},
                     {"insertions", memory.insertions},
                     {"evictions", memory.evictions},
                     {"purged", memory.purged},
                     {"expired", memory.expired}};
  stats["redis"] = redis_json(statistics);
  stats["purge_log"] = {{"epoch", std::to_string(log.epoch)},
                        {"clock", log.clock},
                        {"selectors", log.selectors},
                        {"pending", log.pending}};
  stats["fills"] = {{"total", totals.fills},
                    {"in_progress", statistics.fills_in_progress},
                    {"bytes", statistics.fill_bytes},
                    {"waiters", waiters(totals)}};
  stats["connections"] = {{"open", sessions.open},           {"accepted", sessions.accepted},
                          {"refused", sessions.refused},     {"malformed", sessions.malformed},
                          {"timed_out", sessions.timed_out}, {"cut_short", sessions.cut_short}};
  stats["shed"] = shed_json(statistics);
  stats["budgets"] = Json::object();
  for (const auto& budget : statistics.budgets) {
    stats["budgets"][std::string(budget.name)] = {{"bytes", budget.bytes}, {"limit", budget.limit}};
  }
  stats["access_log"] = nullptr;
  if (const auto& access_log = statistics.access_log) {
    stats["access_log"] = {
        {"written", access_log->written}, {"dropped", access_log->dropped}, {"lost", access_log->lost}};
  }
  stats["origin"] = origin_json(statistics.origin);
  stats["workers"] = workers_json(statistics.workers);
  stats["latency"] = latencies_json(statistics.recent);
  stats["alerts"] = alerts_json(statistics);
  stats["warm"] = statistics.warm ? to_json(*statistics.warm) : Json(nullptr);
  stats["types"] = types_json(statistics);
  stats["routes"] = routes_json(statistics);
  stats["top_routes"] = top_routes_json(statistics);
  stats["not_stored"] = reasons_json<policy::NotStored>(totals.not_stored);
  stats["not_reused"] = reasons_json<policy::NotReused>(totals.not_reused);
  return {{"cache_stats", std::move(stats)}};
}

}  // namespace larder::admin
