#pragma once
// The last samples of the numbers: what the recent past looked like, for the dashboard and for alerts. Pure.
#include <chrono>
#include <deque>
#include <optional>

#include "larder/admin/parameters.hpp"
#include "larder/admin/statistics.hpp"

namespace larder::admin {

/// Running totals and states at one moment.
struct Sample {
  std::chrono::steady_clock::time_point at;       ///< for windows
  std::chrono::system_clock::time_point told_at;  ///< for people
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  ///< of the cache, as "errors" of the statistics
  std::uint64_t origin_errors = 0;
  std::uint64_t origin_requests = 0;
  std::uint64_t evictions = 0;
  std::uint64_t refused_connections = 0;
  std::uint64_t purges = 0;
  OutcomeTotals outcomes{};
  std::array<net::LatencyTotals, static_cast<std::size_t>(proxy::LatencyOf::count_)> latencies;
  net::LatencyTotals redis_latency;  ///< of look-ups
  net::LatencyTotals origin_latency;
  // As it was then.
  bool redis_is_down = false;
  bool origin_is_down = false;
  std::uint64_t pending_purges = 0;
  std::uint64_t waiting_requests = 0;
  std::uint64_t connections = 0;
  std::uint64_t memory_bytes = 0;
  std::chrono::nanoseconds loop_delay{0};  ///< of the slowest worker
};
Sample make_sample(const Statistics& statistics, std::chrono::steady_clock::time_point at,
                   std::chrono::system_clock::time_point told_at);

/// The value of a measure between two samples; empty where fewer than `least` of what it tells of came between.
std::optional<double> value_of(Measure measure, const Sample& first, const Sample& last, std::uint64_t least = 1);

/// A ring of samples: `kept_samples` intervals.
class Series {
 public:
  void add(const Sample& sample);
  [[nodiscard]] bool empty() const noexcept { return samples_.empty(); }
  [[nodiscard]] const Sample& last() const { return samples_.back(); }
  /// The newest sample that is at least `window` older than the last; null where none is.
  [[nodiscard]] const Sample* before(std::chrono::milliseconds window) const;
  /// The oldest that is at most `window` older than the last (the last itself where no other is); null where empty.
  [[nodiscard]] const Sample* within(std::chrono::milliseconds window) const;
  /// Of the last 5 minutes, or as far as the samples go.
  [[nodiscard]] RecentState recent() const;

  /// GET /api/cache/series: {"interval_seconds", "points": […]}, the oldest first; one point for each interval between
  /// two samples: {"time" (its end), "seconds" (its length), "requests", "hits", "misses", "stale", "revalidated",
  /// "bypass", "hit_rate" (percent, null where nothing cacheable came), "errors" (of the cache), "origin_errors",
  /// "evictions", "purges", "connections", "memory_bytes", "p50_ms", "p95_ms", "p99_ms" (of all requests, null where
  /// none came), "hit_p50_ms", "hit_p99_ms" (of hits in memory), "miss_p50_ms", "miss_p99_ms", "redis_down"}.
  [[nodiscard]] Json to_json(std::chrono::milliseconds interval) const;

 private:
  std::deque<Sample> samples_;
};

}  // namespace larder::admin
