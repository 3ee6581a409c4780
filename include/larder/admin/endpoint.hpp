#pragma once
// The paths of the admin API and their methods. Pure.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/admin/answer.hpp"

namespace larder::admin {

/// What can be asked for.
enum class Endpoint : unsigned char {
  health,              ///< GET /health: the process is alive; no token
  ready,               ///< GET /ready: it takes requests; no token
  metrics,             ///< GET /metrics; a token of its own, or none, where configured
  stats,               ///< GET /api/cache/stats
  series,              ///< GET /api/cache/series: the last 15 minutes
  keys,                ///< GET /api/cache/keys
  checks,              ///< GET /api/cache/checks: wrong answers that shadow mode and verification have found
  entry,               ///< GET or DELETE /api/cache/entry/{key}; the key may hold '/' and ':'
  invalidate_type,     ///< POST /api/cache/invalidate/{type}
  invalidate_pattern,  ///< POST /api/cache/invalidate-pattern
  clear_all,           ///< POST /api/cache/clear-all
  explain,             ///< POST /api/cache/explain
  warm,                ///< GET or POST /api/cache/warm
  reload               ///< POST /api/cache/reload
};

/// Where a request goes.
struct Routed {
  std::optional<Endpoint> endpoint;  ///< empty for a path that there is not
  std::string_view argument;         ///< {key} or {type} as it stands in the path, still percent-encoded; never empty
  std::string_view allow;            ///< the methods of that path, as for Allow (RFC 9110 §10.2.1)
  bool has_method = false;           ///< false where the path does not have the request's method
};

/// `path`: normalised, without a query. HEAD goes where GET does.
Routed route(std::string_view method, std::string_view path) noexcept;

/// True for the endpoints that answer without a token.
bool is_open(Endpoint endpoint) noexcept;

/// 404 with the list of endpoints.
Answer unknown_path(std::string_view path);
/// 405 with Allow (RFC 9110 §15.5.6).
Answer wrong_method(std::string_view method, std::string_view allow);

/// Percent-decodes (RFC 3986 §2.1); '+' is a plus. Empty optional where a '%' has no two hex digits behind it.
std::optional<std::string> percent_decoded(std::string_view text);

/// The cache keys that {key} of a path may mean, without repetition: the key decoded; its printable form, as keys are
/// printable ("%20" in a key may have been sent as it is); the text as it stands. Only what begins with "cache:"; none
/// where it is no cache key, or longer than any.
std::vector<std::string> key_candidates(std::string_view raw);

}  // namespace larder::admin
