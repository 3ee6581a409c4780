#pragma once
// Bounds for everything a client or an origin can make big or slow, and the origin servers. Defaults inline; config
// checks them once at start.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace larder::net {

using Milliseconds = std::chrono::milliseconds;

/// Bounds on clients.
struct ClientLimits {
  std::size_t head_size = 64UL << 10;   ///< bytes of a request head; more is 431
  std::size_t fields = 100;             ///< field lines in a head, and in a trailer section; more is 431
  std::size_t connections = 10000;      ///< open client connections of the process; more get 503 and close
  std::size_t buffers = 128UL << 20;    ///< bytes of unfinished heads, request bodies and unread replies, all together
  Milliseconds header_timeout{10000};   ///< from the first byte of a head to its last; then 408
  Milliseconds idle_timeout{75000};     ///< keep-alive connection without a request; then closed
  Milliseconds io_timeout{30000};       ///< one read of a body or one write that makes no progress
  std::size_t body_rate = 256;          ///< bytes per second a body must make on average, both ways; 0 for none
  Milliseconds body_rate_grace{20000};  ///< time before the rate counts
  Milliseconds tunnel_idle_timeout{3600000};  ///< upgraded connection without traffic either way
  Milliseconds half_closed_timeout{
      30000};  ///< how long a reply may still take after the client closed its sending side
};

/// Bounds on origins, and how they are reached.
struct OriginParameters {
  std::vector<std::string> servers;        ///< "http://host:port" each; round robin
  std::size_t head_size = 64UL << 10;      ///< bytes of a response head; more is 502
  std::size_t fields = 200;                ///< field lines in a response head; more is 502
  Milliseconds connect_timeout{5000};      ///< name resolution included; then another server, else 504
  Milliseconds read_timeout{60000};        ///< to the response head, and between reads of the body; then 504
  Milliseconds idle_timeout{50000};        ///< how long an unused connection is kept
  std::size_t idle_connections = 64;       ///< kept per worker and server
  std::size_t connections = 1024;          ///< open per worker and server; more wait
  std::size_t queue = 1024;                ///< requests that wait, per worker and server; more get 503 at once
  Milliseconds queue_timeout{1000};        ///< how long a request waits for a connection; then 503
  Milliseconds failed_server_pause{2000};  ///< a server that refused a connection is skipped for this long
  bool preserve_host = true;               ///< send the client's Host (true) or the server's own authority (false)
};

/// How a log's lines look.
enum class LogFormat : unsigned char {
  human,  ///< time, then name=value
  json    ///< one JSON object per line
};

/// The log of what Larder itself does and suffers.
struct LogParameters {
  LogFormat format = LogFormat::human;
  std::string file = "stderr";  ///< or a path
  std::size_t queue = 4096;     ///< lines that wait for the writer; then the oldest are dropped, and counted
};

/// The log of requests.
struct AccessLogParameters {
  std::string file;  ///< "stderr" or a path; empty: off
  LogFormat format = LogFormat::json;
  std::uint32_t sample_ppm = 1000000;  ///< share of requests that is logged, in millionths
  /// What is logged whatever `sample_ppm` is.
  struct Always {
    bool errors = true;          ///< 5xx, replies that were cut short, requests that were refused as malformed
    bool client_errors = false;  ///< 4xx
    bool slow = true;            ///< took longer than AccessLogParameters::slow
    bool misses = false;         ///< X-Cache: MISS
    bool writes = false;         ///< unsafe methods
  } always;
  Milliseconds slow{1000};
  std::size_t queue = 1UL << 20;  ///< bytes that wait for the writer, per worker; what does not fit is dropped, counted
};

/// Where to listen: "host:port", port 0 lets the system choose.
struct Endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
};

}  // namespace larder::net
