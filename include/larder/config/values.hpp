#pragma once
// The notations of single values: durations, sizes, endpoints, URLs. Pure; the file, the environment and the command
// line are all read with these.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/net/parameters.hpp"
#include "larder/redis/connection.hpp"

namespace larder::config {

/// "300" (seconds), "500ms", "30s", "5m", "1h", "1d"; whole numbers, at most 100 years. Empty optional for anything
/// else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "4096" (bytes), "64KiB", "1GiB" (powers of 1024: KiB MiB GiB TiB), "10MB" (powers of 1000: kB MB GB TB), "10B";
/// without regard to case. Empty optional for anything else and for what does not fit 63 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// Decimal digits only; empty optional for anything else and for what does not fit 63 bits.
std::optional<std::uint64_t> parse_count(std::string_view text);
/// "1%", "0.01%", "100%" in millionths: a percentage from 0 to 100 with at most four decimals. Empty optional for
/// anything else.
std::optional<std::uint32_t> parse_share(std::string_view text);
/// true, on, yes, false, off, no.
std::optional<bool> parse_flag(std::string_view text);
/// "host:port" or "[::1]:port"; the host is kept without brackets. Port 0 is allowed.
std::optional<net::Endpoint> parse_endpoint(std::string_view text);

/// "http://host[:port]" as "http://host:port", lower case; on error empty, and `wrong` says what is wrong without
/// repeating userinfo.
std::optional<std::string> parse_origin(std::string_view text, std::string& wrong);

/// What a Redis URL says; what it does not say is empty.
struct RedisAddress {
  redis::ConnectionParameters::Transport transport = redis::ConnectionParameters::Transport::tcp;
  std::string host;  ///< or the path of the Unix socket
  std::uint16_t port = 6379;
  std::optional<std::string> user;
  std::optional<std::string> password;
  std::optional<int> database;
};

/// redis://[user:password@]host[:port][/db], rediss:// (TLS), unix://[user:password@]/path[?db=N]. User and password
/// may be percent-encoded. On error empty, and `wrong` says what is wrong without repeating any part that may be
/// secret.
std::optional<RedisAddress> parse_redis_url(std::string_view text, std::string& wrong);

/// The shortest exact notation: "75s", "1m", "500ms", "0".
std::string show_duration(std::chrono::milliseconds value);
/// The shortest exact notation with powers of 1024: "64KiB", "1500".
std::string show_size(std::uint64_t value);
/// "1%", "0.01%".
std::string show_share(std::uint32_t millionths);
/// "host:port", brackets around an IPv6 address.
std::string show_endpoint(const net::Endpoint& endpoint);

}  // namespace larder::config
