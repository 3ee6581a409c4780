#pragma once
// Lines of the access log: an entry as it lies in a worker's queue, and as it is written. Pure.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "larder/net/parameters.hpp"

namespace larder::net {

/// One request for the access log. Views.
struct AccessEntry {
  std::int64_t ended_ns = 0;      ///< steady clock
  std::int64_t total_ns = 0;      ///< from the whole request head to the end of the reply
  std::int64_t origin_ns = 0;     ///< waited for an origin's response head; 0 where none was asked
  std::int64_t redis_ns = 0;      ///< waited for Redis; 0 where it was not asked
  std::uint64_t bytes = 0;        ///< of the reply's content
  std::uint32_t target_size = 0;  ///< of the whole target: `target` may be cut
  std::uint16_t status = 0;       ///< 0 where there was no reply
  bool is_http_1_0 = false;
  bool collapsed = false;
  bool cut_short = false;
  std::string_view client;
  std::string_view method;  ///< empty where the head was refused before it was known
  std::string_view host;
  std::string_view target;
  std::string_view request_id;
  std::string_view trace_id;
  std::string_view cache;
  std::string_view reason;
  std::string_view detail;
  std::string_view tier;
  std::string_view key;
  std::string_view type;
  std::string_view route;
};

/// Bytes of a target that are kept; the rest is cut.
inline constexpr std::size_t most_target = 2048;
/// Room that append_entry() needs at the most.
inline constexpr std::size_t largest_entry = 8192;

/// Writes the entry in a form of its own, its size first, into `out` (`largest_entry` bytes). Texts are cut where they
/// are longer than any that Larder makes. Returns the bytes written.
std::size_t pack_entry(const AccessEntry& entry, std::span<char, largest_entry> out) noexcept;
/// The entry at the front of `bytes`, which is moved behind it; empty where there is no whole one.
std::optional<AccessEntry> unpack_entry(std::string_view& bytes) noexcept;

/// Appends the entry as one line, with its line feed. `ended`: the wall-clock time that entry.ended_ns is.
/// `secret_parameters`: http::append_without_secrets().
void append_line(std::string& out, const AccessEntry& entry, LogFormat format,
                 std::chrono::system_clock::time_point ended, std::span<const std::string> secret_parameters);

/// Appends a line that says that `count` requests are missing in the log.
void append_dropped_line(std::string& out, std::uint64_t count, LogFormat format,
                         std::chrono::system_clock::time_point now);

/// Appends "2026-11-26T01:02:03.456Z".
void append_time(std::string& out, std::chrono::system_clock::time_point time);

}  // namespace larder::net
