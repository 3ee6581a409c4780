#pragma once
// Parameters of the key-value store.
#include <chrono>
#include <cstddef>
#include <string>

namespace larder::proxy {

/// Parameters of the key-value store.
struct ValueParameters {
  std::size_t memory = 64UL << 20;    ///< bytes; 0 switches the store off
  std::size_t max_value = 1UL << 20;  ///< bytes of a value's JSON
  std::size_t max_key = 512;          ///< bytes of a key
  std::size_t max_keys = 100;         ///< of one request
  std::chrono::seconds max_ttl{30 * 86400};
  std::chrono::milliseconds lease{10000};  ///< of a lease whose holder asks for no other time
  std::chrono::milliseconds max_lease{60000};
  std::chrono::milliseconds max_wait{30000};  ///< for somebody else's lease
  std::size_t max_leases = 10000;             ///< at once, of this node
  std::string name = "larder:kv";             ///< what its keys in Redis begin with; the same on all nodes
};

}  // namespace larder::proxy
