// Invariants
// - A stripe's mutex guards its map, its entries' links and counts. Under it only the purge log's lock is taken, never
//   another stripe's.
// - Every linked entry is in two structures: the chain of its resource's variants (newest first, its head in the map),
//   and the stripe's list by age (newest at the head, ids rising towards it). Nodes never move in the latter.
// - `bytes_` of the store is at least the sum of the stripes' bytes and at most the capacity: an insert reserves before
//   it links.
// - Entries are unlinked into a Graveyard, which frees them (bodies are large) after the lock is given back.
#include "larder/store/memory_store.hpp"

#include <algorithm>
#include <bit>
#include <boost/unordered/unordered_flat_set.hpp>
#include <mutex>
#include <thread>
#include <utility>

#include "larder/policy/vary.hpp"
#include "larder/store/keyed_hash.hpp"

namespace larder::store {
namespace {

constexpr std::size_t max_stripes = 64;
constexpr std::size_t bytes_per_stripe = 1UL << 20;
// A stripe's lock is given back after so many entries of a walk.
constexpr std::size_t walk_step = 256;
// So many used entries may the hand pass before it takes the next one whatever its credit: bounds the time under lock.
constexpr unsigned max_hand_steps = 1024;
// A map slot at the usual load, its metadata byte, and what the allocator adds to an entry.
constexpr std::size_t map_overhead = 40;
// A cursor is the stripe's number in these upper bits, and below them the id of the last entry seen.
constexpr unsigned cursor_shift = 56;
constexpr std::uint64_t cursor_id_mask = (1ULL << cursor_shift) - 1;

// What a type's priority does to SIEVE's visited bit; see the header.
struct Weight {
  unsigned char at_start;  ///< credit of a new entry
  unsigned char most;      ///< credit never exceeds it; each use adds one
  unsigned char toll;      ///< what the hand takes in passing; who has less goes
};
constexpr Weight weight_of(policy::Priority priority) noexcept {
  switch (priority) {
    case policy::Priority::low:
      return {0, 2, 2};
    case policy::Priority::normal:
      return {0, 1, 1};
    case policy::Priority::high:
      return {1, 3, 1};
  }
  return {0, 1, 1};
}

std::size_t stripes_for(std::size_t capacity) noexcept {
  return std::bit_floor(std::clamp<std::size_t>(capacity / bytes_per_stripe, 1, max_stripes));
}

}  // namespace

struct MemoryStore::Entry {
  Entry(StoredPtr response, std::uint64_t hash_of_canonical, std::uint64_t checked_sequence)
      : stored(std::move(response)),
        hash(hash_of_canonical),
        generated(stored->parts().lifetime.generation_time()),
        checked(checked_sequence),
        weight(weight_of(stored->parts().priority)),
        credit(weight.at_start) {}

  [[nodiscard]] std::size_t charge() const noexcept { return stored->memory_size() + sizeof(Entry) + map_overhead; }

  const StoredPtr stored;
  const std::uint64_t hash;
  const policy::Seconds generated;  ///< Lifetime::generation_time()
  std::uint64_t checked;            ///< alive as of this sequence of the purge log
  std::uint64_t id = 0;             ///< order of insertion in the stripe
  std::uint64_t hits = 0;
  Entry* older_variant = nullptr;
  Entry* newer = nullptr;  ///< towards the head of the list by age; in a graveyard: the next one
  Entry* older = nullptr;
  const Weight weight;
  unsigned char credit;
};

/// Unlinked entries; frees them when it goes, which must be after the lock has gone.
class MemoryStore::Graveyard {
 public:
  Graveyard() = default;
  Graveyard(const Graveyard&) = delete;
  Graveyard& operator=(const Graveyard&) = delete;
  ~Graveyard() {
    while (first_ != nullptr) delete std::exchange(first_, first_->newer);
  }
  void add(Entry& entry) noexcept {
    entry.newer = first_;
    first_ = &entry;
  }

 private:
  Entry* first_ = nullptr;
};

class alignas(64) MemoryStore::Stripe {
 public:
  /// Who walks through a stripe, each with an own place to resume at.
  enum class Walker : unsigned char { listing, sweep };

  Stripe() = default;
  Stripe(const Stripe&) = delete;
  Stripe& operator=(const Stripe&) = delete;
  ~Stripe() {
    while (newest_ != nullptr) delete std::exchange(newest_, newest_->older);
  }

  std::mutex mutex;
  /// Bytes linked here; written under the mutex.
  std::atomic<std::size_t> bytes{0};

  // All below need the mutex.

  /// The newest variant of a resource, or null.
  [[nodiscard]] Entry* variants(std::uint64_t hash, std::string_view canonical) const {
    const auto found = resources_.find(Wanted{hash, canonical});
    return found == resources_.end() ? nullptr : found->newest;
  }

  void link(Entry& entry) {
    const auto [slot, is_new] = resources_.insert(Resource{entry.hash, &entry});
    if (!is_new) {
      // By the time of generation, which is what Date and Age tell, not by that of arrival (RFC 9111 §4).
      if (slot->newest->generated > entry.generated) {
        auto* before = slot->newest;
        while (before->older_variant != nullptr && before->older_variant->generated > entry.generated) {
          before = before->older_variant;
        }
        entry.older_variant = before->older_variant;
        before->older_variant = &entry;
      } else {
        entry.older_variant = slot->newest;
        slot->newest = &entry;
      }
    }
    entry.id = ++last_id_;
    entry.older = newest_;
    entry.newer = nullptr;
    if (newest_ != nullptr) {
      newest_->newer = &entry;
    } else {
      oldest_ = &entry;
    }
    newest_ = &entry;
    bytes.fetch_add(entry.charge(), std::memory_order_relaxed);
  }

  void unlink(Entry& entry) {
    const auto slot = resources_.find(Wanted{entry.hash, entry.stored->parts().canonical});
    if (slot->newest != &entry) {
      auto* before = slot->newest;
      while (before->older_variant != &entry) before = before->older_variant;
      before->older_variant = entry.older_variant;
    } else if (entry.older_variant != nullptr) {
      slot->newest = entry.older_variant;
    } else {
      resources_.erase(slot);
    }
    (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
    (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
    if (hand_ == &entry) hand_ = entry.newer;
    for (auto*& place : resume_) {
      if (place == &entry) place = entry.older;
    }
    bytes.fetch_sub(entry.charge(), std::memory_order_relaxed);
  }

  /// Moves the hand to the entry that shall go next; null where there is none.
  Entry* victim() noexcept {
    for (unsigned steps = 0; oldest_ != nullptr; ++steps) {
      if (hand_ == nullptr) hand_ = oldest_;
      if (hand_->credit < hand_->weight.toll || steps == max_hand_steps) return hand_;
      hand_->credit = static_cast<unsigned char>(hand_->credit - hand_->weight.toll);
      hand_ = hand_->newer;
    }
    return nullptr;
  }

  /// The oldest entry with an id above `id`.
  [[nodiscard]] Entry* after(std::uint64_t id, Walker walker) const noexcept {
    auto* entry = resume_[static_cast<std::size_t>(walker)];
    // The place is a hint: another listing may have left it further on.
    if (entry == nullptr || entry->id > id) entry = oldest_;
    while (entry != nullptr && entry->id <= id) entry = entry->newer;
    return entry;
  }
  /// The walk will go on after `entry`.
  void remember(Entry* entry, Walker walker) noexcept { resume_[static_cast<std::size_t>(walker)] = entry; }
  [[nodiscard]] std::uint64_t last_id() const noexcept { return last_id_; }

 private:
  struct Resource {
    std::uint64_t hash;
    mutable Entry* newest;  // not part of what makes it equal: that is the canonical request
  };
  struct Wanted {
    std::uint64_t hash;
    std::string_view canonical;
  };
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(const Resource& r) const noexcept { return r.hash; }
    std::size_t operator()(const Wanted& w) const noexcept { return w.hash; }
  };
  struct Equal {
    using is_transparent = void;
    static std::string_view canonical(const Resource& r) noexcept { return r.newest->stored->parts().canonical; }
    static std::string_view canonical(const Wanted& w) noexcept { return w.canonical; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept {
      return a.hash == b.hash && canonical(a) == canonical(b);
    }
  };

  boost::unordered_flat_set<Resource, Hash, Equal> resources_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  Entry* hand_ = nullptr;
  std::array<Entry*, 2> resume_{};
  std::uint64_t last_id_ = 0;
};

MemoryStore::MemoryStore(MemoryStoreParameters parameters, const PurgeLog& log)
    : parameters_(parameters),
      log_(log),
      stripe_count_(stripes_for(parameters.capacity)),
      stripes_(std::make_unique<Stripe[]>(stripe_count_)) {}

MemoryStore::~MemoryStore() = default;

// The maps use the hash's uppermost bits and its last byte; the stripe comes from between.
MemoryStore::Stripe& MemoryStore::stripe_of(std::uint64_t hash) const noexcept {
  return stripes_[(hash >> 32U) & (stripe_count_ - 1)];
}

void MemoryStore::bury(Stripe& stripe, Entry& entry, Cause cause, Graveyard& graveyard) {
  stripe.unlink(entry);
  bytes_.fetch_sub(entry.charge(), std::memory_order_relaxed);
  entries_.fetch_sub(1, std::memory_order_relaxed);
  removed_[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
  graveyard.add(entry);
}

// The log's sequence is loaded before it is asked, so that `checked` never claims a purge that came in between.
Liveness MemoryStore::check(Entry& entry) const {
  const auto sequence = log_.sequence();
  if (entry.checked >= sequence) return Liveness::alive;
  const auto liveness = log_.alive_since(entry.stored->subject(), entry.checked);
  if (liveness == Liveness::alive) entry.checked = sequence;
  return liveness;
}

// Whoever is above its share gives way first; with none above it (others have reserved, but not linked yet) the
// fullest.
void MemoryStore::reserve(std::size_t bytes, Stripe& preferred) {
  const auto share = parameters_.capacity / stripe_count_;
  const auto held_by = [](const Stripe& stripe) { return stripe.bytes.load(std::memory_order_relaxed); };
  auto total = bytes_.load(std::memory_order_relaxed);
  for (;;) {
    while (total + bytes <= parameters_.capacity) {
      if (bytes_.compare_exchange_weak(total, total + bytes, std::memory_order_relaxed)) return;
    }
    auto* from = &preferred;
    const auto here = held_by(preferred);
    if (here == 0 || here + bytes <= share) {
      from = std::max_element(stripes_.get(), stripes_.get() + stripe_count_,
                              [&](const Stripe& a, const Stripe& b) { return held_by(a) < held_by(b); });
    }
    bool is_evicted = false;
    {
      Graveyard graveyard;
      const std::lock_guard lock(from->mutex);
      if (auto* const victim = from->victim()) {
        bury(*from, *victim, Cause::evicted, graveyard);
        is_evicted = true;
      }
    }
    // Nothing is linked, so all of it is reserved by others who are about to link.
    if (!is_evicted) std::this_thread::yield();
    total = bytes_.load(std::memory_order_relaxed);
  }
}

Lookup MemoryStore::find(std::string_view canonical, http::FieldSpan request_fields, bool count_hit) {
  Lookup lookup;
  if (parameters_.capacity == 0) return lookup;
  const auto hash = keyed_hash(canonical);
  auto& stripe = stripe_of(hash);
  Graveyard graveyard;
  const std::lock_guard lock(stripe.mutex);
  auto* entry = stripe.variants(hash, canonical);
  if (entry != nullptr) lookup.reason = policy::NotReused::vary_miss;
  Entry* best = nullptr;
  policy::VariantMatch best_match;
  bool varies = false;
  // Newest first: an older one must match better than what was found to take its place.
  while (entry != nullptr && best_match.rank < policy::full_rank) {
    auto* const older = entry->older_variant;
    const auto& parts = entry->stored->parts();
    const bool lacks_vary = varies && parts.selecting.empty();
    varies = varies || !parts.selecting.empty();
    const auto match =
        lacks_vary ? policy::VariantMatch{} : policy::match_variant(parts.selecting, parts.fields, request_fields);
    if (match.matches && (best == nullptr || match.rank > best_match.rank)) {
      const auto liveness = check(*entry);
      if (liveness == Liveness::alive) {
        best = entry;
        best_match = match;
      } else {
        lookup.reason = liveness == Liveness::epoch ? policy::NotReused::epoch : policy::NotReused::purged;
        bury(stripe, *entry, Cause::purged, graveyard);
      }
    }
    entry = older;
  }
  if (best == nullptr) return lookup;
  if (best->credit < best->weight.most) ++best->credit;
  if (count_hit) ++best->hits;
  lookup.stored = best->stored;
  lookup.reason = policy::NotReused::none;
  lookup.needs_decoding = best_match.needs_decoding;
  return lookup;
}

std::vector<StoredPtr> MemoryStore::variants(std::string_view canonical) const {
  std::vector<StoredPtr> found;
  if (parameters_.capacity == 0) return found;
  const auto hash = keyed_hash(canonical);
  auto& stripe = stripe_of(hash);
  const std::lock_guard lock(stripe.mutex);
  for (auto* entry = stripe.variants(hash, canonical); entry != nullptr; entry = entry->older_variant) {
    if (check(*entry) == Liveness::alive) found.push_back(entry->stored);
  }
  return found;
}

policy::NotStored MemoryStore::insert(StoredPtr response, std::uint64_t checked) {
  if (parameters_.capacity == 0) return policy::NotStored::none;
  const auto& parts = response->parts();
  const auto hash = keyed_hash(parts.canonical);
  auto entry = std::make_unique<Entry>(std::move(response), hash, checked);
  const auto charge = entry->charge();
  if (charge > max_entry()) return policy::NotStored::too_large;
  auto& stripe = stripe_of(hash);
  reserve(charge, stripe);
  struct Reservation {
    std::atomic<std::size_t>& total;
    std::size_t bytes;
    ~Reservation() { total.fetch_sub(bytes, std::memory_order_relaxed); }
  } reservation{bytes_, charge};

  Graveyard graveyard;
  const std::lock_guard lock(stripe.mutex);
  // Under the lock: a purge that comes later finds it linked, as its sequence is then above `checked`.
  if (check(*entry) != Liveness::alive) return policy::NotStored::purged_while_filling;
  std::size_t variants = 1;
  for (auto* held = stripe.variants(hash, parts.canonical); held != nullptr;) {
    auto* const older = held->older_variant;
    if (held->stored->parts().selecting == parts.selecting) {
      // The older answer may be late. A newer one that a purge has killed meanwhile is in nobody's way.
      if (held->stored->parts().stamp.sequence > parts.stamp.sequence && check(*held) == Liveness::alive) {
        return policy::NotStored::none;
      }
      entry->hits = held->hits;
      entry->credit = std::min(held->credit, entry->weight.most);
      bury(stripe, *held, Cause::replaced, graveyard);
    } else if (++variants > parameters_.max_variants) {
      // Newest first, so this one is the oldest that is left.
      bury(stripe, *held, Cause::evicted, graveyard);
    }
    held = older;
  }
  stripe.link(*entry);
  (void)entry.release();
  reservation.bytes = 0;
  entries_.fetch_add(1, std::memory_order_relaxed);
  insertions_.fetch_add(1, std::memory_order_relaxed);
  return policy::NotStored::none;
}

void MemoryStore::erase(const StoredPtr& response) {
  if (parameters_.capacity == 0) return;
  const auto& canonical = response->parts().canonical;
  const auto hash = keyed_hash(canonical);
  auto& stripe = stripe_of(hash);
  Graveyard graveyard;
  const std::lock_guard lock(stripe.mutex);
  for (auto* entry = stripe.variants(hash, canonical); entry != nullptr; entry = entry->older_variant) {
    if (entry->stored == response) {
      bury(stripe, *entry, Cause::erased, graveyard);
      return;
    }
  }
}

std::uint64_t MemoryStore::list(std::string_view key_glob, std::size_t limit, std::uint64_t cursor,
                                const std::function<void(const MemoryEntry&)>& visit) {
  struct Seen {
    MemoryEntry entry;
    std::uint64_t id;
    std::uint64_t checked;
  };
  if (parameters_.capacity == 0 || limit == 0) return 0;
  std::vector<Seen> page;
  page.reserve(walk_step);
  auto id = cursor & cursor_id_mask;
  for (auto number = cursor >> cursor_shift; number < stripe_count_; ++number, id = 0) {
    auto& stripe = stripes_[number];
    // Where it ends: what is stored while we walk would make the walk endless.
    std::uint64_t end = 0;
    do {
      page.clear();
      {
        const std::lock_guard lock(stripe.mutex);
        if (end == 0) end = stripe.last_id();
        Entry* last = nullptr;
        for (auto* entry = stripe.after(id, Stripe::Walker::listing);
             entry != nullptr && entry->id <= end && page.size() < walk_step; entry = entry->newer) {
          page.push_back({{entry->stored, entry->hits}, entry->id, entry->checked});
          last = entry;
        }
        if (last != nullptr) stripe.remember(last, Stripe::Walker::listing);
      }
      for (const auto& seen : page) {
        id = seen.id;
        const auto subject = seen.entry.stored->subject();
        if (!policy::glob_match(key_glob, subject.key)) continue;
        if (log_.alive_since(subject, seen.checked) != Liveness::alive) continue;
        visit(seen.entry);
        if (--limit == 0) return number << cursor_shift | id;
      }
    } while (page.size() == walk_step);
  }
  return 0;
}

std::vector<MemoryEntry> MemoryStore::by_key(std::string_view key) {
  std::vector<MemoryEntry> found;
  // A key is found by a walk: it is asked for by people, and an index of keys would cost every entry.
  std::uint64_t cursor = 0;
  const auto visit = [&](const MemoryEntry& entry) {
    const auto& stored = *entry.stored;
    if (stored.parts().key == key || stored.base_key() == key) found.push_back(entry);
  };
  const auto glob = policy::glob_quoted(key) + '*';
  do {
    cursor = list(glob, walk_step, cursor, visit);
  } while (cursor != 0);
  return found;
}

void MemoryStore::sweep(policy::TimePoint now) {
  if (parameters_.capacity == 0) return;
  auto& stripe = stripes_[next_sweep_.fetch_add(1, std::memory_order_relaxed) & (stripe_count_ - 1)];
  std::uint64_t id = 0;
  std::uint64_t end = 0;
  for (bool is_done = false; !is_done;) {
    Graveyard graveyard;
    const std::lock_guard lock(stripe.mutex);
    if (end == 0) end = stripe.last_id();
    auto* entry = stripe.after(id, Stripe::Walker::sweep);
    Entry* last = nullptr;
    for (std::size_t step = 0; step < walk_step && entry != nullptr && entry->id <= end; ++step) {
      auto* const next = entry->newer;
      id = entry->id;
      const auto& stored = *entry->stored;
      const auto& lifetime = stored.parts().lifetime;
      if (check(*entry) != Liveness::alive) {
        bury(stripe, *entry, Cause::purged, graveyard);
      } else if (lifetime.current_age(now) - lifetime.corrected_initial_age >=
                 lifetime.retention(stored.has_validator())) {
        bury(stripe, *entry, Cause::expired, graveyard);
      } else {
        last = entry;
      }
      entry = next;
    }
    if (last != nullptr) stripe.remember(last, Stripe::Walker::sweep);
    is_done = entry == nullptr || entry->id > end;
  }
}

MemoryCounters MemoryStore::counters() const {
  const auto removed = [this](Cause cause) {
    return removed_[static_cast<std::size_t>(cause)].load(std::memory_order_relaxed);
  };
  return {.entries = entries_.load(std::memory_order_relaxed),
          .bytes = bytes_.load(std::memory_order_relaxed),
          .insertions = insertions_.load(std::memory_order_relaxed),
          .evictions = removed(Cause::evicted),
          .purged = removed(Cause::purged),
          .expired = removed(Cause::expired)};
}

}  // namespace larder::store
