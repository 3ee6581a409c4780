#include "larder/admin/series.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace larder::admin {
namespace {

using policy::CacheOutcome;
using proxy::LatencyOf;
using std::chrono::milliseconds;

constexpr milliseconds recent_window{300000};

std::uint64_t of(const OutcomeTotals& totals, CacheOutcome outcome) noexcept {
  return totals[static_cast<std::size_t>(outcome)];
}

OutcomeTotals between(const OutcomeTotals& first, const OutcomeTotals& last) noexcept {
  auto difference = last;
  for (std::size_t i = 0; i < difference.size(); ++i) difference[i] -= first[i];
  return difference;
}

std::uint64_t cacheable(const OutcomeTotals& totals) noexcept {
  return of(totals, CacheOutcome::hit) + of(totals, CacheOutcome::stale) + of(totals, CacheOutcome::revalidated) +
         of(totals, CacheOutcome::miss);
}

net::LatencyTotals latency_between(const Sample& first, const Sample& last, LatencyOf what) noexcept {
  const auto i = static_cast<std::size_t>(what);
  return last.latencies[i].since(first.latencies[i]);
}

std::optional<double> quantile_ms(const net::LatencyTotals& totals, double part, std::uint64_t least) {
  if (totals.count() < least) return std::nullopt;
  const auto value = totals.quantile(part);
  return value ? std::optional(milliseconds_of(*value)) : std::nullopt;
}

Json quantile_json(const net::LatencyTotals& totals, double part) {
  const auto value = quantile_ms(totals, part, 1);
  return value ? Json(*value) : Json(nullptr);
}

Json point_json(const Sample& first, const Sample& last) {
  const auto outcomes = between(first.outcomes, last.outcomes);
  net::LatencyTotals all;
  for (std::size_t i = 0; i < last.latencies.size(); ++i) all += last.latencies[i].since(first.latencies[i]);
  const auto hits = latency_between(first, last, LatencyOf::hit);
  const auto misses = latency_between(first, last, LatencyOf::miss);
  Json point{{"time", iso_time(last.told_at)},
             {"seconds", std::chrono::duration_cast<std::chrono::duration<double>>(last.at - first.at).count()},
             {"requests", last.requests - first.requests},
             {"hits", of(outcomes, CacheOutcome::hit)},
             {"misses", of(outcomes, CacheOutcome::miss)},
             {"stale", of(outcomes, CacheOutcome::stale)},
             {"revalidated", of(outcomes, CacheOutcome::revalidated)},
             {"bypass", of(outcomes, CacheOutcome::bypass)},
             {"hit_rate", nullptr},
             {"errors", last.errors - first.errors},
             {"origin_errors", last.origin_errors - first.origin_errors},
             {"evictions", last.evictions - first.evictions},
             {"purges", last.purges - first.purges},
             {"connections", last.connections},
             {"memory_bytes", last.memory_bytes},
             {"p50_ms", quantile_json(all, 0.5)},
             {"p95_ms", quantile_json(all, 0.95)},
             {"p99_ms", quantile_json(all, 0.99)},
             {"hit_p50_ms", quantile_json(hits, 0.5)},
             {"hit_p99_ms", quantile_json(hits, 0.99)},
             {"miss_p50_ms", quantile_json(misses, 0.5)},
             {"miss_p99_ms", quantile_json(misses, 0.99)},
             {"redis_down", last.redis_is_down}};
  if (cacheable(outcomes) > 0) point["hit_rate"] = hit_rate(outcomes);
  return point;
}

}  // namespace

Sample make_sample(const Statistics& statistics, std::chrono::steady_clock::time_point at,
                   std::chrono::system_clock::time_point told_at) {
  const auto& totals = statistics.totals;
  const auto& servers = statistics.origin.servers;
  Sample sample;
  sample.at = at;
  sample.told_at = told_at;
  sample.requests = totals.requests;
  sample.errors = totals.redis_errors + totals.undecodable;
  sample.origin_errors = totals.origin_errors;
  sample.origin_requests = statistics.origin.counters.requests;
  sample.evictions = statistics.memory.evictions;
  sample.refused_connections = statistics.sessions.refused;
  sample.purges = totals.purges;
  sample.outcomes = totals.outcomes;
  sample.latencies = totals.latencies;
  sample.redis_latency = totals.latency(proxy::RedisOperation::get);
  sample.origin_latency = statistics.origin.latency;
  sample.redis_is_down = statistics.redis && !statistics.redis->readable;
  sample.origin_is_down = !servers.empty() && std::ranges::all_of(servers, &net::OriginServerState::paused);
  sample.pending_purges = statistics.purge_log.pending;
  sample.waiting_requests = statistics.origin.waiting();
  sample.connections = statistics.sessions.open;
  sample.memory_bytes = statistics.memory.bytes;
  for (const auto& worker : statistics.workers) sample.loop_delay = std::max(sample.loop_delay, worker.loop_delay);
  return sample;
}

std::optional<double> value_of(Measure measure, const Sample& first, const Sample& last, std::uint64_t least) {
  const auto count = [](std::uint64_t before, std::uint64_t after) {
    return std::optional(static_cast<double>(after - before));
  };
  const auto latency = [&](LatencyOf what, double part) {
    return quantile_ms(latency_between(first, last, what), part, least);
  };
  switch (measure) {
    case Measure::hit_rate: {
      const auto outcomes = between(first.outcomes, last.outcomes);
      if (cacheable(outcomes) < std::max<std::uint64_t>(least, 1)) return std::nullopt;
      return hit_rate(outcomes);
    }
    case Measure::requests:
      return count(first.requests, last.requests);
    case Measure::misses:
      return count(of(first.outcomes, CacheOutcome::miss), of(last.outcomes, CacheOutcome::miss));
    case Measure::errors:
      return count(first.errors, last.errors);
    case Measure::origin_errors:
      return count(first.origin_errors, last.origin_errors);
    case Measure::origin_error_rate: {
      const auto asked = last.origin_requests - first.origin_requests;
      if (asked < std::max<std::uint64_t>(least, 1)) return std::nullopt;
      return percent(std::min(asked, last.origin_errors - first.origin_errors), asked);
    }
    case Measure::evictions:
      return count(first.evictions, last.evictions);
    case Measure::refused_connections:
      return count(first.refused_connections, last.refused_connections);
    case Measure::hit_p50:
      return latency(LatencyOf::hit, 0.5);
    case Measure::hit_p95:
      return latency(LatencyOf::hit, 0.95);
    case Measure::hit_p99:
      return latency(LatencyOf::hit, 0.99);
    case Measure::miss_p50:
      return latency(LatencyOf::miss, 0.5);
    case Measure::miss_p95:
      return latency(LatencyOf::miss, 0.95);
    case Measure::miss_p99:
      return latency(LatencyOf::miss, 0.99);
    case Measure::bypass_p99:
      return latency(LatencyOf::bypass, 0.99);
    case Measure::redis_p99:
      return quantile_ms(last.redis_latency.since(first.redis_latency), 0.99, least);
    case Measure::origin_p99:
      return quantile_ms(last.origin_latency.since(first.origin_latency), 0.99, least);
    case Measure::redis_down:
      return last.redis_is_down ? 1 : 0;
    case Measure::origin_down:
      return last.origin_is_down ? 1 : 0;
    case Measure::pending_purges:
      return static_cast<double>(last.pending_purges);
    case Measure::waiting_requests:
      return static_cast<double>(last.waiting_requests);
    case Measure::connections:
      return static_cast<double>(last.connections);
    case Measure::loop_delay:
      return milliseconds_of(last.loop_delay);
    case Measure::count_:
      break;
  }
  return std::nullopt;
}

void Series::add(const Sample& sample) {
  samples_.push_back(sample);
  if (samples_.size() > kept_samples + 1) samples_.pop_front();
}

const Sample* Series::before(milliseconds window) const {
  for (auto sample = samples_.rbegin(); sample != samples_.rend(); ++sample) {
    if (samples_.back().at - sample->at >= window) return &*sample;
  }
  return nullptr;
}

const Sample* Series::within(milliseconds window) const {
  for (const auto& sample : samples_) {
    if (samples_.back().at - sample.at <= window) return &sample;
  }
  return nullptr;
}

RecentState Series::recent() const {
  RecentState state;
  const auto* const first = within(recent_window);
  if (first == nullptr) return state;
  const auto& newest = last();
  state.window = std::chrono::duration_cast<milliseconds>(newest.at - first->at);
  state.outcomes = between(first->outcomes, newest.outcomes);
  for (std::size_t i = 0; i < state.latencies.size(); ++i) {
    state.latencies[i] = newest.latencies[i].since(first->latencies[i]);
  }
  state.redis_latency = newest.redis_latency.since(first->redis_latency);
  state.origin_latency = newest.origin_latency.since(first->origin_latency);
  return state;
}

Json Series::to_json(milliseconds interval) const {
  auto points = Json::array();
  for (std::size_t i = 1; i < samples_.size(); ++i) points.push_back(point_json(samples_[i - 1], samples_[i]));
  return {{"interval_seconds", static_cast<double>(interval.count()) / 1000}, {"points", std::move(points)}};
}

}  // namespace larder::admin
