#include "larder/admin/statistics.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace larder::admin {
namespace {

using policy::CacheOutcome;

std::uint64_t of(const OutcomeTotals& totals, CacheOutcome outcome) noexcept {
  return totals[static_cast<std::size_t>(outcome)];
}

double hit_rate(const OutcomeTotals& totals) noexcept {
  const auto hits = of(totals, CacheOutcome::hit) + of(totals, CacheOutcome::stale);
  return percent(hits, hits + of(totals, CacheOutcome::revalidated) + of(totals, CacheOutcome::miss));
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
  const auto& routes = statistics.rules.counted;
  auto json = Json::object();
  for (const auto& type : statistics.rules.types) {
    OutcomeTotals totals{};
    for (std::size_t i = 0; i < std::min(routes.size(), statistics.totals.routes.size()); ++i) {
      if (routes[i].type != type->name) continue;
      for (std::size_t k = 0; k < totals.size(); ++k) totals[k] += statistics.totals.routes[i][k];
    }
    json[type->name] = outcomes_json(totals);
  }
  return json;
}

Json routes_json(const Statistics& statistics) {
  auto json = Json::array();
  for (const auto& route : statistics.rules.routes) {
    if (route.counter >= statistics.totals.routes.size()) continue;
    Json row{{"match", route.match_text}, {"file", route.file}, {"line", route.line}, {"type", nullptr}};
    if (route.type) row["type"] = route.type->name;
    row.update(outcomes_json(statistics.totals.routes[route.counter]));
    json.push_back(std::move(row));
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
          {"errors", statistics.totals.redis_errors},
          {"undecodable", statistics.totals.undecodable}};
}

template <std::size_t size, class Counters>
void add(std::array<std::uint64_t, size>& totals, const Counters& counters) noexcept {
  for (std::size_t i = 0; i < size; ++i) totals[i] += counters[i].value();
}

}  // namespace

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
    totals.undecodable += worker->undecodable.value();
    totals.purges += worker->purges.value();
    totals.purged_selectors += worker->purged_selectors.value();
    totals.writes += worker->writes.value();
    add(totals.outcomes, worker->outcomes);
    add(totals.not_stored, worker->not_stored);
    add(totals.not_reused, worker->not_reused);
    for (std::size_t i = 0; i < route_count; ++i) add(totals.routes[i], worker->routes[i].outcomes);
  }
  return totals;
}

SessionTotals read(const net::SessionCounters& counters) noexcept {
  return {.open = counters.open.load(std::memory_order_relaxed),
          .accepted = counters.accepted.load(std::memory_order_relaxed),
          .refused = counters.refused.load(std::memory_order_relaxed),
          .malformed = counters.malformed.load(std::memory_order_relaxed),
          .timed_out = counters.timed_out.load(std::memory_order_relaxed),
          .cut_short = counters.cut_short.load(std::memory_order_relaxed)};
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
  stats["fills"] = {
      {"total", totals.fills}, {"in_progress", statistics.fills_in_progress}, {"bytes", statistics.fill_bytes}};
  stats["connections"] = {{"open", sessions.open},           {"accepted", sessions.accepted},
                          {"refused", sessions.refused},     {"malformed", sessions.malformed},
                          {"timed_out", sessions.timed_out}, {"cut_short", sessions.cut_short}};
  stats["types"] = types_json(statistics);
  stats["routes"] = routes_json(statistics);
  stats["not_stored"] = reasons_json<policy::NotStored>(totals.not_stored);
  stats["not_reused"] = reasons_json<policy::NotReused>(totals.not_reused);
  return {{"cache_stats", std::move(stats)}};
}

}  // namespace larder::admin
