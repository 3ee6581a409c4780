#pragma once
// May this stored response answer that request now? (RFC 9111 §4, §4.2.4, §5.2.1; RFC 5861)
#include "larder/policy/cache_control.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/outcome.hpp"

namespace larder::policy {

/// How a stored response may be used.
enum class Use : unsigned char {
  serve,                       ///< fresh: HIT
  serve_stale,                 ///< stale, but the client accepts it (max-stale): STALE
  serve_stale_and_revalidate,  ///< stale-while-revalidate: STALE now, refreshed in the background
  revalidate                   ///< ask the origin first (conditionally where there is a validator)
};

/// A use and, for anything but `serve`, the named reason why it is not simply served.
struct Reuse {
  Use use = Use::revalidate;
  NotReused reason = NotReused::none;
};

/// Decides for a GET or HEAD whose key and selecting fields already match. `client` is a default-constructed object
/// where the configuration says `client_directives: ignore`.
Reuse decide_reuse(const Lifetime& lifetime, const RequestCacheControl& client, TimePoint now);

/// True for the statuses that count as errors in stale-if-error: 500, 502, 503 and 504 (RFC 5861 §4).
bool is_server_failure(int status) noexcept;

/// May the stale response be served because the origin failed (5xx, connection error, timeout)? RFC 5861 §4,
/// RFC 9111 §4.2.4; false where must-revalidate, proxy-revalidate, s-maxage or no-cache forbid it.
bool may_serve_on_error(const Lifetime& lifetime, const RequestCacheControl& client, TimePoint now);

}  // namespace larder::policy
