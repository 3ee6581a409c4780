#pragma once
// Cache-Control (RFC 9111 §5.2), with RFC 5861 and RFC 8246 directives, and Pragma (§5.4).
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

using Seconds = std::chrono::seconds;
using Clock = std::chrono::system_clock;
using TimePoint = Clock::time_point;

/// Longest time that a delta-seconds can name; larger values count as this one (RFC 9111 §1.2.2).
inline constexpr Seconds max_delta_seconds{std::int64_t{1} << 31};

/// A delta-seconds directive (RFC 9111 §1.2.2). Present but malformed, negative or conflicting values are kept apart
/// from absent ones: they make a response stale, never fresher.
struct DeltaSeconds {
  bool present = false;
  bool valid = false;
  Seconds value{0};  ///< at most max_delta_seconds
};

/// Response directives, all lines of Cache-Control (or of a targeted field, RFC 9213) taken together.
struct ResponseCacheControl {
  bool any = false;  ///< there was such a field
  bool no_store = false;
  bool no_cache = false;                     ///< unqualified form
  std::vector<std::string> no_cache_fields;  ///< no-cache="a, b", lower case
  bool is_private = false;                   ///< unqualified form
  std::vector<std::string> private_fields;   ///< private="a, b", lower case
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool no_transform = false;
  bool immutable = false;  ///< RFC 8246
  DeltaSeconds max_age;
  DeltaSeconds s_maxage;
  DeltaSeconds stale_while_revalidate;  ///< RFC 5861 §3
  DeltaSeconds stale_if_error;          ///< RFC 5861 §4
};

/// Request directives. Pragma: no-cache counts as no-cache where there is no Cache-Control (RFC 9111 §5.4).
struct RequestCacheControl {
  bool no_store = false;
  bool no_cache = false;
  bool only_if_cached = false;
  bool max_stale_any = false;  ///< max-stale without a value
  DeltaSeconds max_age;
  DeltaSeconds max_stale;
  DeltaSeconds min_fresh;
  DeltaSeconds stale_if_error;
};

/// Parses the response's Cache-Control lines. Never fails: what is malformed errs towards less reuse. Directives that
/// restrict count whatever argument they have; those that permit (public, immutable, must-understand) count only
/// without one. no-cache and private with a malformed or empty list are the unqualified form. Repeated delta-seconds
/// must agree, else the directive is present and invalid.
ResponseCacheControl parse_response_cache_control(http::FieldSpan fields);
/// The names, in lower case, of the list that no-cache="..." or private="..." has as its argument (RFC 9111 §5.2.2.4).
/// Empty where there is none or any member is no field name: the directive then means the whole response.
std::vector<std::string> parse_field_names(std::string_view list);
/// Parses the request's Cache-Control and Pragma lines.
RequestCacheControl parse_request_cache_control(http::FieldSpan fields);

}  // namespace larder::policy
