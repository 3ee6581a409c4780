#include "larder/policy/reuse.hpp"

#include <algorithm>

namespace larder::policy {

namespace {

// §5.2.1.1. max-age=0 asks for validation, also within the first second in which an age in whole seconds is still 0.
// A malformed value is read as 0.
bool is_too_old(const DeltaSeconds& max_age, Seconds age) noexcept {
  return max_age.present && (!max_age.valid || max_age.value == Seconds{0} || age > max_age.value);
}

bool accepts_stale(const RequestCacheControl& client, Seconds staleness) noexcept {
  return client.max_stale_any || (client.max_stale.valid && staleness < client.max_stale.value);
}

}  // namespace

Reuse decide_reuse(const Lifetime& lifetime, const RequestCacheControl& client, TimePoint now) {
  if (client.no_store) return {Use::revalidate, NotReused::request_no_store};
  if (client.no_cache) return {Use::revalidate, NotReused::request_no_cache};
  if (lifetime.no_cache) return {Use::revalidate, NotReused::no_cache};

  const Seconds age = lifetime.current_age(now);
  if (is_too_old(client.max_age, age)) return {Use::revalidate, NotReused::request_max_age};
  if (lifetime.freshness_lifetime > age) {
    const DeltaSeconds& min_fresh = client.min_fresh;
    if (min_fresh.present && (!min_fresh.valid || lifetime.freshness_lifetime - age < min_fresh.value)) {
      return {Use::revalidate, NotReused::request_min_fresh};
    }
    return {Use::serve, NotReused::none};
  }

  // Ages are cut to whole seconds, so "less than" is what keeps a stale use within its bound.
  const Seconds staleness = age - lifetime.freshness_lifetime;
  if (lifetime.must_revalidate) return {Use::revalidate, NotReused::stale};
  if (client.min_fresh.present) return {Use::revalidate, NotReused::request_min_fresh};
  const bool accepted = accepts_stale(client, staleness);
  // max-age without max-stale: "the client does not wish to receive a stale response" (§5.2.1.1).
  const bool refused = client.max_age.present && !accepted;
  if (!refused && staleness < lifetime.stale_while_revalidate) {
    return {Use::serve_stale_and_revalidate, NotReused::stale};
  }
  if (accepted) return {Use::serve_stale, NotReused::stale};
  return {Use::revalidate, NotReused::stale};
}

bool is_server_failure(int status) noexcept { return status == 500 || status == 502 || status == 503 || status == 504; }

bool may_serve_on_error(const Lifetime& lifetime, const RequestCacheControl& client, TimePoint now) {
  if (lifetime.must_revalidate || lifetime.no_cache || client.no_cache || client.no_store) return false;
  // The request's own stale-if-error speaks for this request only (RFC 5861 §4), so it may widen.
  Seconds window = lifetime.stale_if_error;
  if (client.stale_if_error.valid) window = std::max(window, client.stale_if_error.value);
  return lifetime.staleness(now) < window;
}

}  // namespace larder::policy
