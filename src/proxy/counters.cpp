#include "larder/proxy/counters.hpp"

namespace larder::proxy {

std::string_view to_string(LatencyOf what) noexcept {
  switch (what) {
    case LatencyOf::hit:
      return "hit";
    case LatencyOf::redis_hit:
      return "redis_hit";
    case LatencyOf::stale:
      return "stale";
    case LatencyOf::revalidated:
      return "revalidated";
    case LatencyOf::miss:
      return "miss";
    case LatencyOf::bypass:
    case LatencyOf::count_:
      break;
  }
  return "bypass";
}

LatencyOf latency_of(policy::CacheOutcome outcome) noexcept {
  switch (outcome) {
    case policy::CacheOutcome::hit:
      return LatencyOf::hit;
    case policy::CacheOutcome::stale:
      return LatencyOf::stale;
    case policy::CacheOutcome::revalidated:
      return LatencyOf::revalidated;
    case policy::CacheOutcome::miss:
      return LatencyOf::miss;
    case policy::CacheOutcome::bypass:
    case policy::CacheOutcome::count_:
      break;
  }
  return LatencyOf::bypass;
}

std::string_view to_string(RedisOperation operation) noexcept {
  switch (operation) {
    case RedisOperation::get:
      return "get";
    case RedisOperation::set:
      return "set";
    case RedisOperation::purge:
    case RedisOperation::count_:
      break;
  }
  return "purge";
}

}  // namespace larder::proxy
