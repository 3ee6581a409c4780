#pragma once
// The memory tier: striped, SIEVE eviction, budget in bytes, shared by all workers.
//
// A resource is one canonical request; it holds the variants (stored responses with different selecting header fields),
// newest first. Eviction works on resources' variants; a hit sets a bit and never moves a node. Critical sections hold
// one stripe's mutex, allocate nothing on a hit (see policy::match_variant) and never free a body while holding it.
//
// The budget is kept exactly: bytes are reserved before anything is linked, and room is made first. Up to 64 stripes
// share it; a stripe that holds more than its share gives way first, so that a large response (up to an eighth of the
// budget) may be larger than a stripe's share.
//
// SIEVE per stripe: a hand goes from the oldest entry to the newest; an entry that was used since the hand last passed
// loses its credit and stays, another one goes. A type's priority weighs in that: `low` needs two uses between passes
// to stay, `normal` one, `high` stays for one pass unused and for up to three after as many uses.
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/outcome.hpp"
#include "larder/store/free_memory.hpp"
#include "larder/store/purge_log.hpp"
#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Parameters of the memory tier.
struct MemoryStoreParameters {
  std::size_t capacity = 256UL << 20;  ///< bytes; 0 switches the tier off
  std::size_t max_variants = 64;       ///< per resource; the oldest goes first
  std::size_t outside = 128UL << 20;   ///< bytes of larger stored responses that are sent but not held, all together
};

/// What a look-up found: a live stored response (`none`), or the named reason why there is none.
struct Lookup {
  StoredPtr stored;
  policy::NotReused reason = policy::NotReused::absent;  ///< absent, vary_miss, purged or epoch where `stored` is null
  std::vector<std::string> vary_names;  ///< the selecting header fields of what is stored, where asked for in Redis
  bool needs_decoding = false;  ///< the client accepts `stored` only without its content coding (policy::VariantMatch)
};

/// One line of a listing.
struct MemoryEntry {
  StoredPtr stored;
  std::uint64_t hits = 0;
};

/// Counters, each a running total but for entries and bytes.
struct MemoryCounters {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t insertions = 0;
  std::uint64_t evictions = 0;
  std::uint64_t purged = 0;   ///< removed because a selector matched
  std::uint64_t expired = 0;  ///< removed because its retention had passed
};

/// Thread-safe.
class MemoryStore {
 public:
  MemoryStore(MemoryStoreParameters parameters, const PurgeLog& log);
  ~MemoryStore();
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  /// Finds the live variant of the canonical request that matches best (policy::match_variant), of equally good ones
  /// the newest. One stored without selecting fields does not count where one with them is newer (RFC 9111 §4.1): its
  /// Vary was left out. Marks the variant as used and counts a hit where `count_hit`. Freshness is not looked at. A
  /// dead variant that would have been chosen is removed.
  Lookup find(std::string_view canonical, http::FieldSpan request_fields, bool count_hit = true);

  /// All live variants of a canonical request, newest first. Marks nothing as used.
  [[nodiscard]] std::vector<StoredPtr> variants(std::string_view canonical) const;

  /// Stores `response` (replacing the variant with equal selecting fields), if it is alive since its stamp's
  /// sequence. `checked`: the sequence up to which the caller has already verified it (normally stamp.sequence).
  /// `none` where the store now holds it, or holds a variant in its place whose stamp is newer, which is never
  /// replaced; and where the tier is off, so that it says nothing of other tiers. Else purged_while_filling or
  /// too_large (more than max_entry() bytes), or slow_clients, where what was let go of and is still being sent takes
  /// too much (excess()). A response is stored once, in one store: one that was stored before is
  /// left as it is (`none`), also where it has gone since.
  policy::NotStored insert(StoredPtr response, std::uint64_t checked);

  /// Removes one stored response if it is still the one held (after undecodable or confirmed-dead findings).
  void erase(const StoredPtr& response);

  /// True where it is held here now.
  [[nodiscard]] bool holds(const StoredResponse& response) const;
  /// By how many bytes StoredResponse::bytes_outside() exceeds MemoryStoreParameters::outside.
  [[nodiscard]] std::size_t excess() const noexcept {
    const auto outside = StoredResponse::bytes_outside();
    return outside > parameters_.outside ? outside - parameters_.outside : 0;
  }

  /// Walks entries stripe by stripe without holding more than one lock: calls `visit` for live entries whose key
  /// matches the glob, beginning after `cursor` (0 at first); stops at `limit`. Returns the next cursor, 0 at the end.
  /// `visit` is called without a lock. Entries come in no order; what is stored or removed meanwhile, and its other
  /// variants, may be missed or come again. Any number is a cursor, foreign ones too.
  std::uint64_t list(std::string_view key_glob, std::size_t limit, std::uint64_t cursor,
                     const std::function<void(const MemoryEntry&)>& visit);
  /// All variants held under a cache key (with or without variant suffix).
  std::vector<MemoryEntry> by_key(std::string_view key);

  /// Gives back the space of dead and expired entries: looks at one stripe per call (in turn, its lock given back now
  /// and then); call it now and then, on a thread that serves no hits. Gives free memory back to the system where there
  /// is much of it (FreeMemory).
  void sweep(policy::TimePoint now);

  /// Running totals, each read by itself. `bytes` counts entries on their way in and never exceeds the capacity.
  [[nodiscard]] MemoryCounters counters() const;
  [[nodiscard]] const MemoryStoreParameters& parameters() const noexcept { return parameters_; }
  /// The most bytes that one entry may take, with its head, key and overhead: an eighth of the capacity.
  [[nodiscard]] std::size_t max_entry() const noexcept { return parameters_.capacity / 8; }

 private:
  using Entry = const StoredResponse;
  struct Links;
  class Stripe;
  class Graveyard;
  struct Seen;
  /// Why an entry goes, for the counters.
  enum class Cause : unsigned char { replaced, evicted, purged, expired, erased };

  [[nodiscard]] Stripe& stripe_of(std::uint64_t hash) const noexcept;
  static std::size_t charge_of(Entry& entry) noexcept;
  void reserve(std::size_t bytes, Stripe& preferred);
  void bury(Stripe& stripe, Entry& entry, Cause cause, Graveyard& graveyard);
  [[nodiscard]] Liveness check(Entry& entry) const;
  static std::uint32_t read_page(Stripe& stripe, std::uint32_t position, std::uint32_t rank, std::vector<Seen>& page);

  const MemoryStoreParameters parameters_;
  const PurgeLog& log_;
  const std::size_t stripe_count_;  ///< a power of two
  std::unique_ptr<Stripe[]> stripes_;
  std::atomic<std::size_t> bytes_{0};
  FreeMemory free_memory_;
  std::atomic<std::size_t> next_sweep_{0};
  std::atomic<std::uint64_t> entries_{0};
  std::atomic<std::uint64_t> insertions_{0};
  std::array<std::atomic<std::uint64_t>, 5> removed_{};  ///< by Cause
};

}  // namespace larder::store
