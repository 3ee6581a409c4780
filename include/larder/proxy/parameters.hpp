#pragma once
// Parameters of the proxy's story and of its Redis tier.
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "larder/redis/connection.hpp"
#include "larder/store/codec.hpp"

namespace larder::proxy {

/// How the cache behaves, rules apart.
struct CacheParameters {
  std::size_t max_object = 8UL << 20;     ///< bytes; larger bodies are relayed unstored
  std::size_t fill_budget = 256UL << 20;  ///< bytes that all fills in progress may hold together; more is not stored
  std::chrono::seconds unstorable_memory{
      60};                           ///< how long a key is remembered as not storable, so that nobody queues for it
  unsigned verify_rate = 10;         ///< hits about which the origin is asked, per worker and second at the most
  unsigned verify_parallel = 4;      ///< of these under way at once, per worker
  std::string node_name = "Larder";  ///< name in Cache-Status and Via (RFC 9211, RFC 9110 §7.6.3); a token
};

/// How requests are named for logs and traces, here and at the origin.
struct TraceParameters {
  std::string request_id_field = "X-Request-Id";  ///< empty: no request ids
  bool accept_request_id = true;   ///< a well-formed one of the client is kept; false: each request gets a new one
  bool return_request_id = false;  ///< the reply has it too
  /// Requests without a valid traceparent (W3C Trace Context) begin a trace here; otherwise it is passed on as it is.
  bool make_traceparent = false;
};

/// When a node that can miss the fleet's purges may use what it has.
enum class Coherence : unsigned char {
  bounded,  ///< while the push channel is down, memory is used for at most `coherence_bound` after a response came
  strict    ///< every look-up asks Redis for the clock; without Redis nothing is served from the cache
};

/// The Redis tier.
struct RedisParameters {
  redis::ConnectionParameters connection;
  std::chrono::milliseconds deadline{100};     ///< the most that Redis may delay a client
  unsigned tries = 3;                          ///< per background operation (writes, purges), from retry_first on
  std::chrono::milliseconds retry_first{100};  ///< doubles
  std::size_t write_budget =
      64UL << 20;  ///< bytes of responses that wait to be written, over all workers; more are not
  store::CodecParameters codec;
  Coherence coherence = Coherence::bounded;
  std::chrono::milliseconds coherence_bound{1000};
  std::chrono::milliseconds push_heartbeat{1000};  ///< PING on the push channel; no answer for as long: it is down
  std::string namespace_key = "larder:purge-log";  ///< the Redis key (and channel) of the purge log
  std::string journal;                             ///< file of undelivered purges; empty for the default place
};

}  // namespace larder::proxy
