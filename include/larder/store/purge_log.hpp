#pragma once
// The purge log: which selectors are newer than a stored response. One per process, shared by all workers.
//
// Two counts. `sequence` is this node's own: every selector applied here, ours or the fleet's, gets the next one, and
// the memory tier needs only it. `clock` is the fleet's (kept in Redis together with `epoch`); entries in Redis carry
// it. A selector that Redis has not got yet is `pending`: it has a sequence but no clock, and it kills every entry of
// Redis that it matches, whatever that entry's clock, until it is delivered.
//
// Bounded: past `max_selectors` the oldest are dropped and the floor is raised to them: everything older than the floor
// is dead. Lost memory of purges fails towards a miss.
//
// Two rules make it exact. A sequence is published only after the index holds its selectors, so who sees it finds
// them. And clock() is contiguous: where 12 comes before 11, it stays at 10 until 11 has come, so that no stamp claims
// to have seen a purge that is still under way.
//
// Locks: readers take a shared lock only when something was applied since they last checked.
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "larder/policy/selector.hpp"
#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Whether a stored response is alive, by name.
enum class Liveness : unsigned char {
  alive,   ///< no newer selector matches
  purged,  ///< a newer (or pending) selector matches it, or it is older than the floor
  epoch    ///< it is of another epoch
};

/// A selector that waits to be delivered to Redis.
struct PendingPurge {
  std::uint64_t sequence = 0;  ///< the local sequence of the first of `selectors`
  std::vector<policy::Selector> selectors;
};

/// Thread-safe.
class PurgeLog {
 public:
  /// `epoch`: any random number; `max_selectors` bounds the memory of the log.
  /// Sequence and clock begin at 0.
  explicit PurgeLog(std::uint64_t epoch, std::size_t max_selectors = 65536);
  ~PurgeLog();
  PurgeLog(const PurgeLog&) = delete;
  PurgeLog& operator=(const PurgeLog&) = delete;

  /// The stamp to take before an origin request begins.
  [[nodiscard]] PurgeStamp stamp() const noexcept;
  /// This node's sequence; one relaxed-enough atomic load, for the hit path's one compare.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t clock() const noexcept { return clock_.load(std::memory_order_acquire); }

  /// Applies a purge of this node. Where `pending` is false (no Redis configured) the clock rises by one; where it is
  /// true the selectors are pending until delivered(). Returns the sequence of the purge, which names it; its selectors
  /// share it. A stamp taken after the return is newer than the purge. No selectors are no purge.
  ///
  /// Pending purges are bounded too: the older ones of equal purges are dropped where there are many, and past
  /// `max_selectors` all of them become one that names everything.
  std::uint64_t apply_local(std::span<const policy::Selector> selectors, bool pending);
  /// Redis has taken the pending purge `sequence` under `clock`.
  /// Unknown sequences are ignored.
  void delivered(std::uint64_t sequence, std::uint64_t clock);
  /// The same, but only while we are in `epoch`, the one that the clock belongs to; else the purge stays pending, since
  /// the new epoch's log does not hold it, and the return is false.
  bool delivered(std::uint64_t sequence, std::uint64_t clock, std::uint64_t epoch);
  /// Applies a purge learnt from the fleet (push, or catching up after attach). Purges whose clock was applied
  /// already are ignored, also those that delivered() has given; a clock that was skipped is applied when it comes.
  void apply_fleet(std::uint64_t clock, std::span<const policy::Selector> selectors);
  /// Enters an epoch and clock learnt from Redis. Another epoch than ours, or a lower clock, kills all that memory
  /// holds (it begins again with the selectors that are still pending). `floor`: Redis entries with a lower clock are
  /// dead.
  ///
  /// Purges up to `clock` that were not applied here count as lost: memory, and Redis entries with a clock below
  /// `clock`, are dead then. So apply what is known of this epoch before; or, to keep what Redis holds on entering
  /// another epoch, enter it with `clock` = `floor` and apply every purge after that.
  void enter_epoch(std::uint64_t epoch, std::uint64_t clock, std::uint64_t floor);
  /// The same where clocks may be delivered meanwhile: `known` is what clock() said before Redis was asked, and only a
  /// `clock` below that is a lower one.
  void enter_epoch(std::uint64_t epoch, std::uint64_t clock, std::uint64_t floor, std::uint64_t known);
  /// Undelivered purges, oldest first.
  [[nodiscard]] std::vector<PendingPurge> pending() const;
  [[nodiscard]] std::size_t pending_count() const noexcept { return pending_count_.load(std::memory_order_acquire); }
  /// Selectors held now.
  [[nodiscard]] std::size_t size() const;

  /// For the memory tier and for fills: is it alive, looking only at selectors with a sequence above `since`?
  /// `since` is the entry's last checked sequence, or the stamp's sequence for a fresh fill. An answer holds for all
  /// that was applied before the call: load sequence() before it to remember how far was checked.
  [[nodiscard]] Liveness alive_since(const policy::PurgeSubject& subject, std::uint64_t since) const;
  /// For entries read from Redis: epoch and clock of the stamp, and every pending selector.
  [[nodiscard]] Liveness alive_remote(const policy::PurgeSubject& subject, const PurgeStamp& stamp) const;

 private:
  class Index;
  void enter(std::uint64_t epoch, std::uint64_t clock, std::uint64_t floor, std::uint64_t known);
  // Written under the index's lock only.
  std::atomic<std::uint64_t> sequence_{0};
  std::atomic<std::uint64_t> epoch_;
  std::atomic<std::uint64_t> clock_{0};
  std::atomic<std::size_t> pending_count_{0};
  std::unique_ptr<Index> index_;
};

}  // namespace larder::store
