#pragma once
// What the key-value API counts.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "larder/proxy/values.hpp"

namespace larder::admin {

/// Running totals of a namespace. Written and read on the API's thread.
struct ValueCounters {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t sets = 0;
  std::uint64_t clears = 0;
  std::uint64_t flushes = 0;
  std::uint64_t leases = 0;       ///< granted
  std::uint64_t lease_waits = 0;  ///< requests that got a value which another one had computed
  std::uint64_t lease_timeouts = 0;
  std::uint64_t lost_leases = 0;  ///< values refused because their lease was over
  std::uint64_t refused = 0;      ///< requests of a known token without access to it
};

/// The key-value store at one moment.
struct ValueTotals {
  proxy::ValueState state;
  std::vector<std::pair<std::string, ValueCounters>> spaces;  ///< by name of the namespace, in the order of the rules
};

}  // namespace larder::admin
