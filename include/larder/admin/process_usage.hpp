#pragma once
// What the system says of this process.
#include <cstdint>

namespace larder::admin {

/// At one moment; 0 where the system does not say.
struct ProcessUsage {
  std::uint64_t resident_bytes = 0;
  double cpu_seconds = 0;  ///< user and system time, running total
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;  ///< the soft limit
};

/// Reads /proc; never throws but for std::bad_alloc.
ProcessUsage process_usage();

}  // namespace larder::admin
