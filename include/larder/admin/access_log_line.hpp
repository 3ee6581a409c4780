#pragma once
// One line of an access log as a request: Common and Combined Log Format (Apache, nginx, Varnish), and JSON with one
// object per line (Larder's own, and others with the usual names). Pure.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace larder::admin {

/// A request that was answered once.
struct LoggedRequest {
  std::chrono::system_clock::time_point time;
  std::string method;
  std::string target;  ///< as a client wrote it
  std::string host;    ///< "" where the log does not say
  std::string client;  ///< address or user; "" where the log does not say
  int status = 0;
  std::optional<std::uint64_t> bytes;  ///< of the reply's content
  std::string cache;                   ///< what a cache made of it (HIT, MISS, …), in capitals; "" where unknown
};

/// Why a line is left out.
enum class LineFault : unsigned char {
  empty,         ///< nothing on it
  other_event,   ///< not about a request (an event of the log itself)
  unknown_form,  ///< neither of the formats
  bad_json,      ///< begins as JSON and is none
  no_target,     ///< JSON without a target, or a request line without one
  bad_method,    ///< no method
  bad_time,      ///< no time, or one of no known form
  bad_status,    ///< no status
  too_long,      ///< more bytes than a line may have
  bad_request,   ///< a request that no server would have taken: its target or host is invalid
  count_         ///< number of enumerators, not a fault
};
std::string_view to_string(LineFault fault) noexcept;
/// One sentence on what it means.
std::string_view meaning(LineFault fault) noexcept;

/// Longest line that is read.
inline constexpr std::size_t most_line = 64UL << 10;

/// Reads a line without its line feed. Of JSON the usual names are known: time, ts, timestamp, @timestamp, time_local,
/// time_iso8601 (ISO 8601, seconds since 1970, or as in Combined); method, request_method; target, uri, request_uri,
/// url, path; request (a whole request line); host, http_host; status; bytes, body_bytes_sent, bytes_sent, size;
/// client, remote_addr, ip; user, remote_user; cache, x_cache, outcome, upstream_cache_status.
std::variant<LoggedRequest, LineFault> parse_access_line(std::string_view line);

/// "2026-11-26T01:02:03.456Z" with any offset, "26/Nov/2026:01:02:03 +0000", and seconds or milliseconds since 1970.
std::optional<std::chrono::system_clock::time_point> parse_log_time(std::string_view text);

}  // namespace larder::admin
