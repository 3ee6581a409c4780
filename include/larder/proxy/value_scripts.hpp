#pragma once
// What the key-value store is in Redis: names, records, and the Lua scripts that change them. Pure.
//
// With the name "larder:kv", the value of a key KEY is the STRING larder:kv:KEY,
//   {"epoch":"123","version":42,"value":…}
// with its TTL; larder:kv-lease:KEY is a lease, larder:kv-log the purge log of the values (see purge_scripts).
// Every change is one script: it raises the log's clock, records and publishes which key it was, and changes the value,
// atomically. So a value in Redis is always the newest that Redis has taken; its version is the clock of that change.
// It is dead where it is of another epoch, or not newer than the last flush (fields "flush" and "flush:NAMESPACE").
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/selector.hpp"
#include "larder/redis/reply.hpp"

namespace larder::proxy {

/// The names in Redis.
struct ValueNames {
  explicit ValueNames(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] std::string log() const { return name_ + "-log"; }
  [[nodiscard]] std::string value(std::string_view key) const { return name_ + ':' + std::string(key); }
  [[nodiscard]] std::string lease(std::string_view key) const { return name_ + "-lease:" + std::string(key); }

 private:
  std::string name_;
};

/// The field of the log that holds the clock of the last flush: of a namespace, or of all where it is empty. A
/// namespace without a name cannot be flushed by itself.
std::string flush_field(std::string_view space);

/// A value as Redis holds it; views of the record.
struct ValueRecord {
  std::uint64_t epoch = 0;
  std::uint64_t version = 0;
  std::string_view text;       ///< JSON; empty where only the front was given
  std::string_view beginning;  ///< of the record, up to the value: differs for each change
};
/// Reads a record, or the front of one (64 bytes at least). Empty optional for what is not ours.
std::optional<ValueRecord> read_value_record(std::string_view record);

/// One change.
struct ValueChange {
  enum class Kind : unsigned char {
    set,     ///< stores `text`
    offer,   ///< the same, but where another node has changed the key since the base, that stays and this is not done
    clear,   ///< removes the value
    flush,   ///< kills every value of the namespace `key`, or all where it is empty
    release  ///< gives the lease `lease` back; what waits elsewhere hears of it
  } kind = Kind::set;
  std::string key;
  std::string_view text;
  std::chrono::milliseconds ttl{0};
  std::string_view lease;  ///< only while this lease is held; empty for none
  /// Microseconds of Redis's own clock after which it must not be carried out: its client was told otherwise.
  std::optional<std::uint64_t> not_after;
  /// The clock up to which other nodes' changes are known here. Where another node has changed the key since, which of
  /// the two came last is not known: a set removes the value.
  std::optional<std::uint64_t> base_clock;
  std::uint64_t base_epoch = 0;
};

/// What a change names in the log.
policy::Selector selector_of(const ValueChange& change);
/// The namespace of a key: what is in front of its first ':'; empty where there is none.
std::string_view namespace_of(std::string_view key) noexcept;
/// The mark of a node's own changes: a selector that names nothing.
policy::Selector node_mark(std::string_view node);

/// The command of a change. `node`: who makes it; `run_id` and `new_epoch` as of purge_command().
std::vector<std::string> change_command(const ValueNames& names, const ValueChange& change, std::string_view node,
                                        std::string_view run_id, std::string_view new_epoch);

/// What came of a change.
enum class ChangeOutcome : unsigned char {
  failed,      ///< Redis refused, or answered what cannot be
  stored,      ///< the value is in Redis
  conflict,    ///< another node has changed the key since: it is removed (set), or left (offer)
  cleared,     ///< there was a value, and it is removed
  absent,      ///< there was none to clear
  flushed,     ///< done
  released,    ///< done
  late,        ///< not carried out: it came after its time
  lease_lost,  ///< not carried out: the lease is over
};
struct ChangeReply {
  ChangeOutcome outcome = ChangeOutcome::failed;
  std::uint64_t epoch = 0;
  std::uint64_t clock = 0;
  std::uint64_t time = 0;  ///< microseconds of Redis's clock; 0 where it did not say
};
ChangeReply parse_change(const redis::Reply& reply);

/// The command that asks for a lease. `token`: what it is to be called behind epoch and clock.
std::vector<std::string> lease_command(const ValueNames& names, std::string_view key, std::string_view run_id,
                                       std::chrono::milliseconds duration, std::string_view token);
/// What came of asking for a lease.
struct LeaseReply {
  enum class Kind : unsigned char {
    failed,   ///< Redis refused or failed
    granted,  ///< under `token`
    held,     ///< by somebody else, for `left` at most
    present   ///< there is a value
  } kind = Kind::failed;
  std::string token;
  std::chrono::milliseconds left{0};
};
LeaseReply parse_lease(const redis::Reply& reply);

}  // namespace larder::proxy
