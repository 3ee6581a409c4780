#include "larder/policy/outcome.hpp"

namespace larder::policy {

std::string_view to_string(NotStored reason) noexcept {
  switch (reason) {
    case NotStored::none:
      return "none";
    case NotStored::no_route:
      return "no_route";
    case NotStored::route_off:
      return "route_off";
    case NotStored::method:
      return "method";
    case NotStored::request_no_store:
      return "request_no_store";
    case NotStored::range_request:
      return "range_request";
    case NotStored::status:
      return "status";
    case NotStored::partial_content:
      return "partial_content";
    case NotStored::no_store:
      return "no_store";
    case NotStored::private_response:
      return "private_response";
    case NotStored::must_understand:
      return "must_understand";
    case NotStored::set_cookie:
      return "set_cookie";
    case NotStored::authorization:
      return "authorization";
    case NotStored::cache_groups:
      return "cache_groups";
    case NotStored::vary_star:
      return "vary_star";
    case NotStored::no_freshness_nor_validator:
      return "no_freshness_nor_validator";
    case NotStored::no_lifetime:
      return "no_lifetime";
    case NotStored::too_large:
      return "too_large";
    case NotStored::incomplete:
      return "incomplete";
    case NotStored::changed:
      return "changed";
    case NotStored::purged_while_filling:
      return "purged_while_filling";
    case NotStored::fill_budget:
      return "fill_budget";
    case NotStored::slow_clients:
      return "slow_clients";
    case NotStored::upgrade:
      return "upgrade";
    case NotStored::rules_changed:
      return "rules_changed";
    case NotStored::count_:
      break;
  }
  return {};
}

std::string_view to_string(NotReused reason) noexcept {
  switch (reason) {
    case NotReused::none:
      return "none";
    case NotReused::absent:
      return "absent";
    case NotReused::vary_miss:
      return "vary_miss";
    case NotReused::canonical_differs:
      return "canonical_differs";
    case NotReused::purged:
      return "purged";
    case NotReused::epoch:
      return "epoch";
    case NotReused::stale:
      return "stale";
    case NotReused::incomplete:
      return "incomplete";
    case NotReused::no_cache:
      return "no_cache";
    case NotReused::request_no_cache:
      return "request_no_cache";
    case NotReused::request_max_age:
      return "request_max_age";
    case NotReused::request_min_fresh:
      return "request_min_fresh";
    case NotReused::request_no_store:
      return "request_no_store";
    case NotReused::method:
      return "method";
    case NotReused::no_route:
      return "no_route";
    case NotReused::route_off:
      return "route_off";
    case NotReused::upgrade:
      return "upgrade";
    case NotReused::expectation:
      return "expectation";
    case NotReused::undecodable:
      return "undecodable";
    case NotReused::count_:
      break;
  }
  return {};
}

std::string_view to_string(CacheOutcome outcome) noexcept {
  switch (outcome) {
    case CacheOutcome::hit:
      return "HIT";
    case CacheOutcome::miss:
      return "MISS";
    case CacheOutcome::stale:
      return "STALE";
    case CacheOutcome::revalidated:
      return "REVALIDATED";
    case CacheOutcome::bypass:
      return "BYPASS";
    case CacheOutcome::count_:
      break;
  }
  return {};
}

}  // namespace larder::policy
