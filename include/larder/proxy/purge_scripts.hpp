#pragma once
// The Lua scripts that keep the purge log in Redis, and the form of what travels between nodes.
//
// One HASH holds all: `epoch`, `clock`, `floor`, `run` (Redis's run_id at the time the epoch began) and, per clock, the
// selectors of that purge. So they are lost together or not at all. A missing hash, or one written by another run of
// Redis (restarted from a snapshot that may lack purges, or failed over to a replica), means a new epoch.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/selector.hpp"
#include "larder/redis/reply.hpp"

namespace larder::proxy {

/// KEYS[1] the log; ARGV: channel, run_id, epoch for a new log, most selectors kept, payload, mark.
/// Returns {epoch, clock}. Raises the clock, records the selectors and publishes them, atomically.
std::string_view purge_script() noexcept;
/// What scripts do that change something together with their purge: KEYS[1] and ARGV[1] to ARGV[6] as purge_script().
/// Lua that raises the clock, records and publishes, and leaves the locals `log`, `epoch` and `text` (the clock).
std::string_view record_purge_lua() noexcept;
/// KEYS[1] the log; ARGV: channel, run_id, epoch for a new log, known epoch, known clock, node.
/// Returns {epoch, clock, floor, clock, payload, clock, payload, …}: the purges above the floor, or above the
/// known clock where the known epoch is the log's.
std::string_view attach_script() noexcept;

/// Purges that the log in Redis keeps; older ones raise its floor.
inline constexpr std::string_view most_selectors = "16384";

/// Selectors as one byte string: netstrings of policy::encode().
std::string encode_payload(std::span<const policy::Selector> selectors);
/// Empty optional for anything encode_payload() did not make.
std::optional<std::vector<policy::Selector>> decode_payload(std::string_view payload);

/// Who has made a purge, and when.
struct PurgeMark {
  std::string node;  ///< without spaces or '@'; not empty
  /// By the clock of that node, to the microsecond; empty where it is not known (a purge that had to wait for Redis).
  std::optional<std::chrono::system_clock::time_point> made;
};
/// "<node>@<microseconds since 1970>"; 0 for a time that is not known.
std::string encode_mark(const PurgeMark& mark);
/// Empty optional for anything encode_mark() did not make.
std::optional<PurgeMark> decode_mark(std::string_view text);

/// A message of the push channel.
struct PushMessage {
  enum class Kind : unsigned char {
    purge,  ///< "p <epoch> <clock> <mark> <payload>"
    epoch,  ///< "e <epoch> <clock>": a new epoch began
    hello   ///< "h <node>": a node has attached
  } kind = Kind::purge;
  std::uint64_t epoch = 0;
  std::uint64_t clock = 0;
  std::vector<policy::Selector> selectors;
  std::string node;                                           ///< who says so; not of an epoch
  std::optional<std::chrono::system_clock::time_point> made;  ///< of a purge: PurgeMark::made
};
std::optional<PushMessage> parse_push(std::string_view message);

/// Removes keys whose records still begin as they did when they were judged: what was stored anew meanwhile stays.
/// Takes the keys, and as many beginnings of store::record_header_size bytes. Returns how many were removed.
std::string_view remove_script() noexcept;

/// What attach_script() returned.
struct AttachReply {
  std::uint64_t epoch = 0;
  std::uint64_t clock = 0;
  std::uint64_t floor = 0;
  std::vector<std::pair<std::uint64_t, std::vector<policy::Selector>>> purges;
};
std::optional<AttachReply> parse_attach(const redis::Reply& reply);
/// The command that records and publishes a purge by purge_script(). Views of its arguments, which must outlive it.
/// `log_key`: the purge log's key, and its channel; `new_epoch`: for a log that has to be begun; `mark`: encode_mark().
std::vector<std::string_view> purge_command(std::string_view log_key, std::string_view run_id,
                                            std::string_view new_epoch, std::string_view payload,
                                            std::string_view mark);

/// What purge_script() returned: epoch and clock.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_purge(const redis::Reply& reply);

/// The run_id line of INFO server; empty where there is none.
std::string run_id_of(std::string_view info);

/// Decimal digits only, no sign, no overflow.
std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

}  // namespace larder::proxy
