#pragma once
// Parameters of what watches the cache: how often it is sampled, who may scrape its metrics, and its alerts.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::admin {

/// Samples that are kept: with one every 5 s, the last 15 minutes.
inline constexpr std::size_t kept_samples = 180;

/// What an alert looks at.
enum class Measure : unsigned char {
  // Over the window.
  hit_rate,             ///< percent: HIT and STALE of HIT, STALE, REVALIDATED and MISS
  requests,             ///< that reached the cache
  misses,               ///< X-Cache: MISS
  errors,               ///< of the cache: Redis operations that failed, and entries that did not decode
  origin_errors,        ///< origin unreachable, too slow, malformed or cut short
  origin_error_rate,    ///< percent: origin_errors of all requests to the origin
  evictions,            ///< from memory, for want of room
  refused_connections,  ///< over client.connections
  hit_p50,              ///< milliseconds, as are the others
  hit_p95,
  hit_p99,
  miss_p50,
  miss_p95,
  miss_p99,
  bypass_p99,
  redis_p99,   ///< of look-ups in Redis
  origin_p99,  ///< to the head of the response
  // As it is now.
  redis_down,        ///< 1 where Redis is configured and its entries cannot be used by every worker, else 0
  origin_down,       ///< 1 where every origin server refused its last connection, else 0
  pending_purges,    ///< purges that Redis has not got
  waiting_requests,  ///< for a connection to the origin
  connections,       ///< of clients, open
  loop_delay,        ///< milliseconds until the slowest worker looked at what it was asked
  count_             ///< number of enumerators
};
/// The enumerator's own name.
std::string_view to_string(Measure measure) noexcept;
std::optional<Measure> measure_named(std::string_view name) noexcept;
/// All names, in the order of the enumerators.
std::span<const std::string_view> measure_names() noexcept;

/// What a measure's values are.
enum class MeasureKind : unsigned char {
  count,    ///< events in the window
  percent,  ///< of what came in the window
  time,     ///< milliseconds, of what came in the window
  state     ///< no window: as it is now
};
MeasureKind kind_of(Measure measure) noexcept;
/// True for redis_down and origin_down, which need nothing to be compared with.
bool is_flag(Measure measure) noexcept;

/// "hit_rate < 80": begins where the condition has held for `lasting`, and ends where it does not.
struct AlertRule {
  std::string name;
  Measure measure = Measure::hit_rate;
  bool above = false;  ///< true: `measure > threshold`; false: `measure < threshold`
  double threshold = 0;
  std::chrono::milliseconds window{300000};  ///< that the measure looks back; not of a state
  std::chrono::milliseconds lasting{0};
  /// Requests (hits, misses … of which the measure tells) that must have come in the window for a percentage or a time
  /// to mean anything.
  std::uint64_t least = 1;
  friend bool operator==(const AlertRule&, const AlertRule&) = default;
};
/// "hit_rate < 80 over 5m", "redis_down".
std::string describe(const AlertRule& rule);

/// Where to POST what begins and ends.
struct WebhookParameters {
  std::string server;                        ///< "http://host:port"; empty: nowhere
  std::string target;                        ///< path and query; may hold a secret, and is never logged
  std::string token;                         ///< sent as Authorization: Bearer; empty for none. Never logged
  std::chrono::milliseconds deadline{5000};  ///< of one try
  unsigned tries = 3;
  std::chrono::milliseconds retry_first{1000};  ///< pause before the second try; doubles
  friend bool operator==(const WebhookParameters&, const WebhookParameters&) = default;
};

/// All of it.
struct WatchParameters {
  std::chrono::milliseconds sample_interval{5000};
  std::string metrics_token;  ///< opens /metrics and nothing else; empty: the admin token does alone. Never logged
  bool metrics_open = false;  ///< /metrics needs no token
  std::vector<AlertRule> alerts;
  WebhookParameters webhook;
};

}  // namespace larder::admin
