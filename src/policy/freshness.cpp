#include "larder/policy/freshness.hpp"

#include <algorithm>
#include <cstdint>

#include "larder/http/http_date.hpp"
#include "larder/policy/targeted_cache_control.hpp"

namespace larder::policy {

namespace {

constexpr Seconds longest{std::int64_t{1} << 31};

// How long a stored response is kept beyond the time in which it may be served, so that a 304 can renew it.
constexpr Seconds shortest_renewal = std::chrono::minutes(10);
constexpr Seconds longest_renewal = std::chrono::hours(24);
// The same for one without a validator: only a request's max-stale can use it then.
constexpr Seconds max_stale_allowance = std::chrono::minutes(1);

Seconds whole_seconds(TimePoint later, TimePoint earlier) noexcept {
  // Subtracted as seconds: the difference of two far-apart time points does not fit into nanoseconds.
  return std::chrono::floor<Seconds>(later) - std::chrono::floor<Seconds>(earlier);
}

// The one valid date of a field that must not be repeated; lines that agree count as one.
std::optional<TimePoint> single_date(http::FieldSpan fields, std::string_view name, TimePoint now) {
  const http::Field* first = http::find(fields, name);
  if (first == nullptr) return std::nullopt;
  const bool agree = std::all_of(fields.begin(), fields.end(), [&](const http::Field& field) {
    return !http::iequals(field.name, name) || field.value == first->value;
  });
  return agree ? http::parse_http_date(first->value, now) : std::nullopt;
}

struct Chosen {
  Seconds value{0};
  LifetimeSource source = LifetimeSource::none;
};

Chosen from_delta(const DeltaSeconds& delta, LifetimeSource source) noexcept {
  return {delta.valid ? delta.value : Seconds{0}, source};
}

Chosen from_rule(int status, const StoreRule& rule, bool overriding) {
  if (const auto found = rule.status_ttl.find(status); found != rule.status_ttl.end()) {
    return {found->second, LifetimeSource::rule_status};
  }
  if (rule.ttl && status < 400 && is_heuristically_cacheable(status)) {
    return {*rule.ttl, overriding ? LifetimeSource::rule_override : LifetimeSource::rule};
  }
  return {};
}

Chosen from_response(const http::ResponseHead& response, const CachingDirectives& directives, TimePoint date_value,
                     TimePoint response_time) {
  const ResponseCacheControl& cc = directives.cache_control;
  if (cc.s_maxage.present) return from_delta(cc.s_maxage, LifetimeSource::s_maxage);
  if (cc.max_age.present) return from_delta(cc.max_age, LifetimeSource::max_age);
  if (!directives.targeted && http::find(response.fields, "Expires") != nullptr) {
    const auto expires = single_date(response.fields, "Expires", response_time);
    const Seconds value = expires ? whole_seconds(*expires, date_value) : Seconds{0};
    return {std::clamp(value, Seconds{0}, longest), LifetimeSource::expires};
  }
  return {};
}

Chosen from_heuristic(const http::ResponseHead& response, const ResponseCacheControl& cc, TimePoint date_value,
                      TimePoint response_time) {
  if (!is_heuristically_cacheable(response.status) && !cc.is_public) return {};
  const auto last_modified = single_date(response.fields, "Last-Modified", response_time);
  if (!last_modified) return {};
  // A Date in the future would lengthen the interval.
  const Seconds interval = whole_seconds(std::min(date_value, response_time), *last_modified);
  const Seconds value = std::min(interval / 10, heuristic_limit);
  if (value <= Seconds{0}) return {};
  return {value, LifetimeSource::heuristic};
}

Seconds allowance(const DeltaSeconds& own, const std::optional<Seconds>& of_rule) noexcept {
  if (own.present) return own.valid ? own.value : Seconds{0};
  return of_rule.value_or(Seconds{0});
}

}  // namespace

std::string_view to_string(LifetimeSource source) noexcept {
  switch (source) {
    case LifetimeSource::s_maxage:
      return "s_maxage";
    case LifetimeSource::max_age:
      return "max_age";
    case LifetimeSource::expires:
      return "expires";
    case LifetimeSource::heuristic:
      return "heuristic";
    case LifetimeSource::rule:
      return "rule";
    case LifetimeSource::rule_status:
      return "rule_status";
    case LifetimeSource::rule_override:
      return "rule_override";
    case LifetimeSource::none:
      return "none";
  }
  return {};
}

Seconds Lifetime::resident_time(TimePoint now) const noexcept {
  // Cut to whole seconds as a difference, not as two points, so that a lifetime is not a second short.
  if (now <= response_time) return Seconds{0};
  // Unsigned, as a time that was read from a damaged entry may be too far away for the signed difference.
  const auto resident = static_cast<std::uint64_t>(now.time_since_epoch().count()) -
                        static_cast<std::uint64_t>(response_time.time_since_epoch().count());
  constexpr std::uint64_t ticks = Clock::period::den / Clock::period::num;
  return Seconds{static_cast<std::int64_t>(resident / ticks)};
}

Seconds Lifetime::current_age(TimePoint now) const noexcept { return corrected_initial_age + resident_time(now); }

Seconds Lifetime::generation_time() const noexcept {
  return std::chrono::floor<Seconds>(response_time).time_since_epoch() - corrected_initial_age;
}

Seconds Lifetime::retention(bool has_validator) const noexcept {
  const Seconds remaining = std::max(freshness_lifetime - corrected_initial_age, Seconds{0});
  Seconds stale_use{0};
  if (!must_revalidate && !no_cache) {
    stale_use = std::max(stale_while_revalidate, stale_if_error);
    if (freshness_lifetime > Seconds{0}) stale_use = std::max(stale_use, max_stale_allowance);
  }
  if (has_validator) {
    stale_use = std::max(stale_use, std::clamp(freshness_lifetime, shortest_renewal, longest_renewal));
  }
  return std::min(remaining + stale_use, longest);
}

bool is_heuristically_cacheable(int status) noexcept {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

Seconds parse_age(http::FieldSpan fields) noexcept {
  for (const http::Field& field : fields) {
    if (!http::iequals(field.name, "Age")) continue;
    http::ListMembers members(field.value);
    const auto first = members.next();
    if (!first) continue;
    std::int64_t value = 0;
    for (const char c : *first) {
      if (c < '0' || c > '9') return Seconds{0};
      value = std::min<std::int64_t>(value * 10 + (c - '0'), longest.count());
    }
    return Seconds{value};
  }
  return Seconds{0};
}

std::optional<TimePoint> date_value(http::FieldSpan fields, TimePoint response_time) {
  return single_date(fields, "Date", response_time);
}

Seconds apparent_age(std::optional<TimePoint> date_value, TimePoint response_time) noexcept {
  return date_value ? std::max(Seconds{0}, whole_seconds(response_time, *date_value)) : Seconds{0};
}

InitialAge initial_age(http::FieldSpan response_fields, TimePoint request_time, TimePoint response_time) {
  InitialAge age;
  age.date_value = date_value(response_fields, response_time);
  age.age_value = parse_age(response_fields);
  age.apparent_age = apparent_age(age.date_value, response_time);
  if (response_time > request_time) age.response_delay = std::chrono::floor<Seconds>(response_time - request_time);
  age.corrected_age_value = age.age_value + age.response_delay;
  age.corrected_initial_age = std::max(age.apparent_age, age.corrected_age_value);
  return age;
}

Lifetime compute_lifetime(const http::ResponseHead& response, const StoreRule& rule, TimePoint request_time,
                          TimePoint response_time) {
  const CachingDirectives directives = caching_directives(response.fields);
  const ResponseCacheControl& cc = directives.cache_control;
  const InitialAge age = initial_age(response.fields, request_time, response_time);
  const TimePoint date_value = age.date_value.value_or(response_time);

  Lifetime life;
  life.response_time = response_time;
  life.corrected_initial_age = age.corrected_initial_age;

  Chosen chosen;
  if (rule.ttl_override) chosen = from_rule(response.status, rule, true);
  if (chosen.source == LifetimeSource::none) {
    chosen = from_response(response, directives, date_value, response_time);
  }
  if (chosen.source == LifetimeSource::none) chosen = from_rule(response.status, rule, false);
  if (chosen.source == LifetimeSource::none && !(rule.ttl && response.status >= 400)) {
    chosen = from_heuristic(response, cc, date_value, response_time);
  }
  life.freshness_lifetime = std::clamp(chosen.value, Seconds{0}, longest);
  life.source = chosen.source;

  // s-maxage implies proxy-revalidate (§5.2.2.10); not where the rule replaced it. no-cache says that the lifetime is
  // not to be relied on: a rule that replaces the lifetime replaces that too.
  const bool ruled = rule.ttl_override &&
                     (chosen.source == LifetimeSource::rule_override || chosen.source == LifetimeSource::rule_status);
  life.must_revalidate =
      cc.must_revalidate || cc.proxy_revalidate || (cc.s_maxage.present && !ruled && !rule.s_maxage_allows_stale);
  life.no_cache = cc.no_cache && !ruled;
  if (!life.must_revalidate && !life.no_cache) {
    life.stale_while_revalidate =
        std::clamp(allowance(cc.stale_while_revalidate, rule.stale_while_revalidate), Seconds{0}, longest);
    life.stale_if_error = std::clamp(allowance(cc.stale_if_error, rule.stale_if_error), Seconds{0}, longest);
  }
  return life;
}

}  // namespace larder::policy
