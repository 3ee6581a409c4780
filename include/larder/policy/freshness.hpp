#pragma once
// Freshness lifetime (RFC 9111 §4.2.1, §4.2.2) and age (§4.2.3). Pure: `now` is always an argument.
#include <map>
#include <optional>
#include <string_view>

#include "larder/http/message.hpp"
#include "larder/policy/cache_control.hpp"

namespace larder::policy {

/// Longest lifetime that is ever computed from a heuristic (§4.2.2).
inline constexpr Seconds heuristic_limit = std::chrono::hours(24);

/// What a rule and its type say about storing; the parameters of the decisions below.
struct StoreRule {
  std::optional<Seconds> ttl;                     ///< lifetime where the response has none of its own
  bool ttl_override = false;                      ///< the rule's ttl wins over the response's
  std::map<int, Seconds> status_ttl;              ///< lifetime per status: negative caching (`status: {404: 30s}`)
  std::optional<Seconds> stale_while_revalidate;  ///< where the response says none of its own
  std::optional<Seconds> stale_if_error;          ///< where the response says none of its own
  bool store_despite_no_store = false;
  bool store_despite_private = false;
  bool store_despite_set_cookie = false;
  bool store_despite_authorization = false;
  bool per_identity = false;  ///< the key holds the identity, so an answer to Authorization is not shared (§3.5)
  bool honour_client_directives = true;  ///< the request's no-store counts (`client_directives: honour | ignore`)
  /// Set-Cookie does not keep a response from being stored that itself says for how long (RFC 9111 §7.3;
  /// `set_cookie: explicit | refuse`). Has no effect where the rule has a ttl.
  bool store_explicit_set_cookie = true;
  /// s-maxage does not forbid stale uses (`s_maxage: forbids_stale | allows_stale`; §5.2.2.10 says that it does).
  bool s_maxage_allows_stale = false;
  friend bool operator==(const StoreRule&, const StoreRule&) = default;
};

/// Where a freshness lifetime came from.
enum class LifetimeSource : unsigned char {
  s_maxage,       ///< s-maxage of Cache-Control or of a targeted field
  max_age,        ///< max-age of either
  expires,        ///< Expires minus Date
  heuristic,      ///< a tenth of the time since Last-Modified (§4.2.2)
  rule,           ///< the type's or defaults' ttl
  rule_status,    ///< the route's `status:` map
  rule_override,  ///< `ttl_override: true`
  none            ///< no lifetime: stale at once
};
std::string_view to_string(LifetimeSource source) noexcept;

/// All that later decisions need to know of a stored response's life; computed once when it is stored or freshened.
struct Lifetime {
  Seconds freshness_lifetime{0};
  LifetimeSource source = LifetimeSource::none;
  Seconds corrected_initial_age{0};  ///< RFC 9111 §4.2.3
  TimePoint response_time{};         ///< when the response was received
  Seconds stale_while_revalidate{0};
  Seconds stale_if_error{0};
  bool must_revalidate = false;  ///< must-revalidate, proxy-revalidate or s-maxage: never served stale (§5.2.2.2)
  bool no_cache = false;         ///< validation before every reuse (§5.2.2.4)

  /// resident_time = now - response_time (§4.2.3); never negative.
  [[nodiscard]] Seconds resident_time(TimePoint now) const noexcept;
  /// current_age = corrected_initial_age + resident_time (§4.2.3); never negative.
  [[nodiscard]] Seconds current_age(TimePoint now) const noexcept;
  /// response_is_fresh = freshness_lifetime > current_age (§4.2).
  [[nodiscard]] bool is_fresh(TimePoint now) const noexcept { return freshness_lifetime > current_age(now); }
  /// How long it has been stale; zero or negative while fresh.
  [[nodiscard]] Seconds staleness(TimePoint now) const noexcept { return current_age(now) - freshness_lifetime; }
  /// When its origin made it, since 1970: what its Date says, or its Age where that tells of an earlier time (§4.2.3).
  [[nodiscard]] Seconds generation_time() const noexcept;
  /// How long from `response_time` it can be of any use: as fresh, stale or, with a validator, for revalidation.
  /// This is the TTL of the entry in Redis and the point after which memory may drop it.
  [[nodiscard]] Seconds retention(bool has_validator) const noexcept;
};

/// True for the status codes that RFC 9110 §15.1 defines as heuristically cacheable: 200, 203, 204, 206, 300, 301, 308,
/// 404, 405, 410, 414 and 501.
bool is_heuristically_cacheable(int status) noexcept;

/// age_value of §4.2.3: the first member of the Age field, clamped to 2^31 s; zero where it is absent or not a
/// non-negative integer, as §5.1 says to ignore it then.
Seconds parse_age(http::FieldSpan fields) noexcept;

/// date_value of §4.2.3: the Date field; empty where it is absent, malformed or comes with different values.
std::optional<TimePoint> date_value(http::FieldSpan fields, TimePoint response_time);
/// apparent_age = max(0, response_time - date_value) (§4.2.3); zero without a date_value.
Seconds apparent_age(std::optional<TimePoint> date_value, TimePoint response_time) noexcept;

/// The age of a response at the time of its arrival, step by step (§4.2.3).
struct InitialAge {
  std::optional<TimePoint> date_value;
  Seconds age_value{0};              ///< parse_age()
  Seconds apparent_age{0};           ///< see above
  Seconds response_delay{0};         ///< response_time - request_time
  Seconds corrected_age_value{0};    ///< age_value + response_delay
  Seconds corrected_initial_age{0};  ///< max(apparent_age, corrected_age_value)
};
InitialAge initial_age(http::FieldSpan response_fields, TimePoint request_time, TimePoint response_time);

/// Computes the lifetime of a response received at `response_time` to a request sent at `request_time`
/// (both by our clock). Missing or malformed Date counts as `response_time`.
///
/// Directives are those of caching_directives(); where they are targeted, Expires does not count (RFC 9213 §2.2).
/// Which lifetime: s-maxage before max-age before Expires (§4.2.1), each of them zero where it is malformed or
/// conflicts with itself; where there is none, the rule's `status_ttl` for this status, else its `ttl` (success and
/// redirect statuses that are heuristically cacheable), else the heuristic (heuristically cacheable statuses, and any
/// other with `public`). `ttl_override` puts the rule's two before the response's own. Stale allowances are zero where
/// the response forbids to serve it stale, whatever the rule says.
Lifetime compute_lifetime(const http::ResponseHead& response, const StoreRule& rule, TimePoint request_time,
                          TimePoint response_time);

}  // namespace larder::policy
