#pragma once
// Every decision of the cache by its name. These enumerators are counted in metrics and shown by explain, so each one
// says what it means and nothing is decided without one.
#include <string_view>

namespace larder::policy {

/// Why a response was not stored (RFC 9111 §3). `none` means it was.
enum class NotStored : unsigned char {
  none,              ///< it is stored
  no_route,          ///< no route of the rules caches this request
  route_off,         ///< the route says `cache: off`
  method,            ///< the request method's answers are not stored
  request_no_store,  ///< request Cache-Control: no-store (RFC 9111 §5.2.1.5)
  range_request,     ///< the request had a Range field, and the answer is neither the whole nor a part
  status,            ///< an error or other status which neither the rule nor the response lets be stored
  partial_content,   ///< a 206 that is not one range in bytes, or was not asked for; Content-Range on another status
  no_store,          ///< response Cache-Control: no-store (RFC 9111 §5.2.2.5)
  private_response,  ///< response Cache-Control: private (RFC 9111 §5.2.2.7)
  must_understand,   ///< must-understand with a status whose caching rules we do not implement (§5.2.2.3)
  set_cookie,        ///< Set-Cookie, and the rule does not say `store_despite: [set-cookie]`
  authorization,     ///< request had Authorization; nothing in the response or the rule allows sharing (§3.5)
  cache_groups,      ///< more Cache-Groups than are kept, so that purges would not find it (RFC 9875)
  vary_star,         ///< Vary: * can never match (RFC 9111 §4.1)
  no_freshness_nor_validator,  ///< neither a freshness lifetime nor a validator: it could never be reused
  no_lifetime,                 ///< lifetime is zero or past, and there is no validator and no stale allowance
  too_large,                   ///< body larger than the stored-object limit; relayed unstored
  incomplete,                  ///< the response was cut short (RFC 9111 §3.3)
  changed,                     ///< what was to be completed or confirmed has another validator or length by now
  purged_while_filling,        ///< a purge newer than the start of the fill names it
  fill_budget,                 ///< the memory budget for fills in progress is used up
  slow_clients,                ///< clients that read slowly keep too much of what memory has let go of
  upgrade,                     ///< the connection was upgraded (101)
  rules_changed,               ///< the rules under which it was asked for were replaced meanwhile
  count_                       ///< number of enumerators, not an outcome
};

/// Why no stored response was reused for a request without asking the origin (RFC 9111 §4). `none` means it was.
enum class NotReused : unsigned char {
  none,               ///< it is reused
  absent,             ///< nothing is stored under that key (Cache-Status: uri-miss)
  vary_miss,          ///< responses are stored, none with matching selecting header fields (vary-miss)
  canonical_differs,  ///< the stored canonical request is another one: an md5 collision or foreign data
  purged,             ///< a newer purge names it
  epoch,              ///< it is of another epoch of the purge log
  stale,              ///< its freshness lifetime has passed (stale)
  incomplete,         ///< only other parts of it are stored (RFC 9111 §3.3; Cache-Status: partial)
  no_cache,           ///< response no-cache: may be used after validation only (§5.2.2.4)
  request_no_cache,   ///< request no-cache or Pragma: no-cache (§5.2.1.4)
  request_max_age,    ///< older than the request's max-age (§5.2.1.1)
  request_min_fresh,  ///< not fresh for as long as the request's min-fresh asks (§5.2.1.3)
  request_no_store,   ///< request no-store: not looked up
  method,             ///< method which is never answered from the cache
  no_route,           ///< no route caches this request
  route_off,          ///< the route says `cache: off`
  upgrade,            ///< the request asks for an upgrade
  expectation,        ///< the request has a body or an Expect field and is passed on whole
  undecodable,        ///< the entry in Redis did not decode; it was removed
  count_              ///< number of enumerators, not an outcome
};

/// What X-Cache says of a response.
enum class CacheOutcome : unsigned char {
  hit,          ///< answered from a fresh stored response
  miss,         ///< answered by the origin
  stale,        ///< answered from a stale stored response that may be used (RFC 5861, max-stale)
  revalidated,  ///< answered from a stored response that the origin just confirmed (304)
  bypass,       ///< the cache was not asked
  count_        ///< number of enumerators, not an outcome
};

/// The enumerator's own name ("request_no_store"), for logs, metrics, JSON and Cache-Status details.
std::string_view to_string(NotStored reason) noexcept;
std::string_view to_string(NotReused reason) noexcept;
/// "HIT", "MISS", "STALE", "REVALIDATED", "BYPASS": the value of X-Cache.
std::string_view to_string(CacheOutcome outcome) noexcept;

}  // namespace larder::policy
