// Invariants
// - A stripe's mutex guards its index and the links of its entries. Under it only the purge log's lock is taken, never
//   another stripe's.
// - An entry is a stored response whose links are ours, with a reference of ours to it. Every linked one is in two
//   structures: the index, and the stripe's list by age (newest at the head). Nodes never move in the latter.
// - `bytes_` of the store is at least the sum of the stripes' bytes and at most the capacity: an insert reserves before
//   it links.
// - Entries are unlinked into a Graveyard, which lets go of them (bodies are large) after the lock is given back. What
//   was unlinked is never linked again: others may still hold it, and another thread its links.
#include "larder/store/memory_store.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <thread>
#include <utility>

#include "larder/store/keyed_hash.hpp"

#include "memory_store_index.hpp"

namespace larder::store {
namespace {

constexpr std::size_t max_stripes = 64;
constexpr std::size_t bytes_per_stripe = 1UL << 20;
// A stripe's lock is given back after so many entries of a walk.
constexpr std::size_t walk_step = 256;
// So many used entries may the hand pass before it takes the next one whatever its credit: bounds the time under lock.
constexpr unsigned max_hand_steps = 1024;
// A cursor is the stripe's number, a position in its index, and how many entries of that position are done.
constexpr unsigned cursor_stripe_shift = 56;
constexpr unsigned cursor_position_shift = 32;

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

Weight weight_of(const StoreLinks& links) noexcept { return weight_of(static_cast<policy::Priority>(links.priority)); }

std::uint32_t short_hash(std::uint64_t hash) noexcept {
  return static_cast<std::uint32_t>(hash) & StoreLinks::hash_mask;
}

std::size_t stripes_for(std::size_t capacity) noexcept {
  return std::bit_floor(std::clamp<std::size_t>(capacity / bytes_per_stripe, 1, max_stripes));
}

}  // namespace

struct MemoryStore::Links {
  static StoreLinks& links(Entry& entry) noexcept { return entry.links_; }
  static void note_held(Entry& entry, bool is_held) noexcept { entry.note_held(is_held); }
};

/// Unlinked entries; lets go of them when it goes, which must be after the lock has gone.
class MemoryStore::Graveyard {
 public:
  Graveyard() = default;
  Graveyard(const Graveyard&) = delete;
  Graveyard& operator=(const Graveyard&) = delete;
  ~Graveyard() {
    while (first_ != nullptr) intrusive_ptr_release(std::exchange(first_, Links::links(*first_).newer));
  }
  void add(Entry& entry) noexcept { Links::links(entry).newer = std::exchange(first_, &entry); }

 private:
  Entry* first_ = nullptr;
};

class alignas(64) MemoryStore::Stripe {
 public:
  using Index = MemoryStoreIndex<Links>;

  Stripe() = default;
  Stripe(const Stripe&) = delete;
  Stripe& operator=(const Stripe&) = delete;
  ~Stripe() {
    while (newest_ != nullptr) {
      Links::note_held(*newest_, false);
      intrusive_ptr_release(std::exchange(newest_, Links::links(*newest_).older));
    }
  }

  std::mutex mutex;
  /// Bytes linked here; written under the mutex.
  std::atomic<std::size_t> bytes{0};

  // All below need the mutex.

  Index index;

  void link(Entry& entry) {
    auto& links = Links::links(entry);
    put_into_index(entry);
    links.older = newest_;
    links.newer = nullptr;
    (newest_ != nullptr ? Links::links(*newest_).newer : oldest_) = &entry;
    newest_ = &entry;
    bytes.fetch_add(charge_of(entry), std::memory_order_relaxed);
    Links::note_held(entry, true);
  }

  void unlink(Entry& entry) {
    auto& links = Links::links(entry);
    index.erase(entry);
    if (hand_ == &entry) hand_ = links.newer;
    (links.newer != nullptr ? Links::links(*links.newer).older : newest_) = links.older;
    (links.older != nullptr ? Links::links(*links.older).newer : oldest_) = links.newer;
    bytes.fetch_sub(charge_of(entry), std::memory_order_relaxed);
    Links::note_held(entry, false);
  }

  /// Moves the hand to the entry that shall go next; null where there is none.
  Entry* victim() noexcept {
    for (unsigned steps = 0; oldest_ != nullptr; ++steps) {
      if (hand_ == nullptr) hand_ = oldest_;
      auto& links = Links::links(*hand_);
      const unsigned toll = weight_of(links).toll;
      if (links.credit < toll || steps == max_hand_steps) return hand_;
      links.credit = static_cast<unsigned char>(links.credit - toll);
      hand_ = links.newer;
    }
    return nullptr;
  }

 private:
  // By the time of generation, which is what Date and Age tell, not by that of arrival (RFC 9111 §4).
  void put_into_index(Entry& entry) {
    auto* const newest = index.find(static_cast<std::uint32_t>(Links::links(entry).hash), entry.canonical());
    if (newest == nullptr) {
      index.insert(entry, nullptr);
      return;
    }
    const auto generated = [](Entry& e) { return e.lifetime().generation_time(); };
    const auto own = generated(entry);
    if (generated(*newest) <= own) {
      index.insert(entry, newest);
      return;
    }
    auto* newer = newest;
    for (auto* older = index.older_variant(*newer); older != nullptr && generated(*older) > own;) {
      newer = std::exchange(older, index.older_variant(*older));
    }
    index.insert_behind(entry, *newer);
  }

  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  Entry* hand_ = nullptr;
};

MemoryStore::MemoryStore(MemoryStoreParameters parameters, const PurgeLog& log)
    : parameters_(parameters),
      log_(log),
      stripe_count_(stripes_for(parameters.capacity)),
      stripes_(std::make_unique<Stripe[]>(stripe_count_)),
      free_memory_(parameters.capacity) {}

MemoryStore::~MemoryStore() = default;

// The index uses the lowest bits.
MemoryStore::Stripe& MemoryStore::stripe_of(std::uint64_t hash) const noexcept {
  return stripes_[(hash >> 32U) & (stripe_count_ - 1)];
}

std::size_t MemoryStore::charge_of(Entry& entry) noexcept { return entry.memory_size() + Stripe::Index::overhead; }

void MemoryStore::bury(Stripe& stripe, Entry& entry, Cause cause, Graveyard& graveyard) {
  stripe.unlink(entry);
  const auto charge = charge_of(entry);
  bytes_.fetch_sub(charge, std::memory_order_relaxed);
  free_memory_.add(charge);
  entries_.fetch_sub(1, std::memory_order_relaxed);
  removed_[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
  graveyard.add(entry);
}

// The log's sequence is loaded before it is asked, so that `checked` never claims a purge that came in between.
Liveness MemoryStore::check(Entry& entry) const {
  auto& links = Links::links(entry);
  const auto sequence = log_.sequence();
  if (links.checked >= sequence) return Liveness::alive;
  const auto liveness = log_.alive_since(entry.subject(), links.checked);
  if (liveness == Liveness::alive)
    links.checked = std::min(sequence, StoreLinks::latest_check) & StoreLinks::latest_check;
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
  auto* entry = stripe.index.find(short_hash(hash), canonical);
  if (entry != nullptr) lookup.reason = policy::NotReused::vary_miss;
  Entry* best = nullptr;
  policy::VariantMatch best_match;
  bool varies = false;
  // Newest first: an older one must match better than what was found to take its place.
  while (entry != nullptr) {
    const bool lacks_vary = varies && !entry->varies();
    varies = varies || entry->varies();
    const auto match = lacks_vary ? policy::VariantMatch{} : entry->match(request_fields);
    Entry* dead = nullptr;
    if (match.matches && (best == nullptr || match.rank > best_match.rank)) {
      const auto liveness = check(*entry);
      if (liveness == Liveness::alive) {
        best = entry;
        best_match = match;
        if (match.rank == policy::full_rank) break;
      } else {
        lookup.reason = liveness == Liveness::epoch ? policy::NotReused::epoch : policy::NotReused::purged;
        dead = entry;
      }
    }
    entry = stripe.index.older_variant(*entry);
    if (dead != nullptr) bury(stripe, *dead, Cause::purged, graveyard);
  }
  if (best == nullptr) return lookup;
  auto& links = Links::links(*best);
  if (links.credit < weight_of(links).most) ++links.credit;
  if (count_hit) ++links.hits;
  lookup.stored = best;
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
  for (auto* entry = stripe.index.find(short_hash(hash), canonical); entry != nullptr;
       entry = stripe.index.older_variant(*entry)) {
    if (check(*entry) == Liveness::alive) found.emplace_back(entry);
  }
  return found;
}

policy::NotStored MemoryStore::insert(StoredPtr response, std::uint64_t checked) {
  if (parameters_.capacity == 0) return policy::NotStored::none;
  auto& entry = *response;
  const auto hash = keyed_hash(entry.canonical());
  const auto charge = charge_of(entry);
  if (charge > max_entry()) return policy::NotStored::too_large;
  // What goes for its sake may be kept by a slow client, and is as large at least.
  if (excess() > 0) return policy::NotStored::slow_clients;
  auto& stripe = stripe_of(hash);
  reserve(charge, stripe);
  struct Reservation {
    std::atomic<std::size_t>& total;
    std::size_t bytes;
    ~Reservation() { total.fetch_sub(bytes, std::memory_order_relaxed); }
  } reservation{bytes_, charge};

  Graveyard graveyard;
  const std::lock_guard lock(stripe.mutex);
  auto& links = Links::links(entry);
  if (links.is_taken) return policy::NotStored::none;
  links.hash = short_hash(hash) & StoreLinks::hash_mask;
  links.checked = std::min(checked, StoreLinks::latest_check) & StoreLinks::latest_check;
  links.priority = static_cast<unsigned>(entry.priority()) & 0xFU;
  links.credit = weight_of(links).at_start;
  // Under the lock: a purge that comes later finds it linked, as its sequence is then above `checked`.
  if (check(entry) != Liveness::alive) return policy::NotStored::purged_while_filling;
  const auto selecting = entry.selecting();
  std::size_t variants = 1;
  for (auto* held = stripe.index.find(short_hash(hash), entry.canonical()); held != nullptr;) {
    auto* const older = stripe.index.older_variant(*held);
    if (held->selecting() == selecting) {
      // The older answer may be late. A newer one that a purge has killed meanwhile is in nobody's way.
      if (held->stamp().sequence > entry.stamp().sequence && check(*held) == Liveness::alive) {
        return policy::NotStored::none;
      }
      links.hits = Links::links(*held).hits;
      links.credit = std::min(static_cast<unsigned char>(Links::links(*held).credit), weight_of(links).most);
      bury(stripe, *held, Cause::replaced, graveyard);
    } else if (++variants > parameters_.max_variants) {
      // Newest first, so this one is the oldest that is left.
      bury(stripe, *held, Cause::evicted, graveyard);
    }
    held = older;
  }
  links.is_taken = 1;
  stripe.link(entry);
  intrusive_ptr_add_ref(&entry);
  reservation.bytes = 0;
  entries_.fetch_add(1, std::memory_order_relaxed);
  insertions_.fetch_add(1, std::memory_order_relaxed);
  return policy::NotStored::none;
}

bool MemoryStore::holds(const StoredResponse& response) const {
  if (parameters_.capacity == 0) return false;
  const std::lock_guard lock(stripe_of(keyed_hash(response.canonical())).mutex);
  return Links::links(response).is_held != 0;
}

void MemoryStore::erase(const StoredPtr& response) {
  if (parameters_.capacity == 0) return;
  const auto canonical = response->canonical();
  const auto hash = keyed_hash(canonical);
  auto& stripe = stripe_of(hash);
  Graveyard graveyard;
  const std::lock_guard lock(stripe.mutex);
  for (auto* entry = stripe.index.find(short_hash(hash), canonical); entry != nullptr;
       entry = stripe.index.older_variant(*entry)) {
    if (entry == response) {
      bury(stripe, *entry, Cause::erased, graveyard);
      return;
    }
  }
}

struct MemoryStore::Seen {
  MemoryEntry entry;
  std::uint64_t checked;
  std::uint32_t position;
  std::uint32_t rank;  ///< among those of the same position
};

// Some chains' entries from a place on, in the order of the walk; returns where to go on.
std::uint32_t MemoryStore::read_page(Stripe& stripe, std::uint32_t position, std::uint32_t rank,
                                     std::vector<Seen>& page) {
  page.clear();
  const auto from = position;
  const std::lock_guard lock(stripe.mutex);
  for (std::size_t step = 0; step < walk_step && page.size() < walk_step && position < Stripe::Index::end_position;
       ++step) {
    const auto begin = static_cast<std::ptrdiff_t>(page.size());
    const auto here = position;
    position = stripe.index.visit_chain(here, [&](Entry& entry) {
      const auto at = Stripe::Index::position(entry);
      const auto& links = Links::links(entry);
      if (at >= here) page.push_back({{StoredPtr(&entry), links.hits}, links.checked, at, 0});
    });
    // Variants newest first, as newer ones come in front: so the ranks of the others stay.
    std::reverse(page.begin() + begin, page.end());
    std::stable_sort(page.begin() + begin, page.end(),
                     [](const Seen& a, const Seen& b) { return a.position < b.position; });
    for (auto seen = page.begin() + begin; seen != page.end(); ++seen) {
      if (seen != page.begin() && std::prev(seen)->position == seen->position) seen->rank = std::prev(seen)->rank + 1;
    }
  }
  std::erase_if(page, [&](const Seen& seen) { return seen.position == from && seen.rank < rank; });
  return position;
}

std::uint64_t MemoryStore::list(std::string_view key_glob, std::size_t limit, std::uint64_t cursor,
                                const std::function<void(const MemoryEntry&)>& visit) {
  if (parameters_.capacity == 0 || limit == 0) return 0;
  std::vector<Seen> page;
  auto position = static_cast<std::uint32_t>(cursor >> cursor_position_shift) & (Stripe::Index::end_position - 1);
  auto rank = static_cast<std::uint32_t>(cursor);
  for (auto number = cursor >> cursor_stripe_shift; number < stripe_count_; ++number, position = 0, rank = 0) {
    while (position < Stripe::Index::end_position) {
      position = read_page(stripes_[number], position, rank, page);
      rank = 0;
      for (const auto& seen : page) {
        const auto subject = seen.entry.stored->subject();
        if (!policy::glob_match(key_glob, subject.key)) continue;
        if (log_.alive_since(subject, seen.checked) != Liveness::alive) continue;
        visit(seen.entry);
        if (--limit == 0) {
          return number << cursor_stripe_shift | std::uint64_t{seen.position} << cursor_position_shift |
                 (seen.rank + 1);
        }
      }
    }
  }
  return 0;
}

std::vector<MemoryEntry> MemoryStore::by_key(std::string_view key) {
  std::vector<MemoryEntry> found;
  // A key is found by a walk: it is asked for by people, and an index of keys would cost every entry.
  std::uint64_t cursor = 0;
  const auto visit = [&](const MemoryEntry& entry) {
    const auto& stored = *entry.stored;
    if (stored.key() == key || stored.base_key() == key) found.push_back(entry);
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
  for (std::uint32_t position = 0; position < Stripe::Index::end_position;) {
    Graveyard graveyard;
    const std::lock_guard lock(stripe.mutex);
    for (std::size_t step = 0; step < walk_step && position < Stripe::Index::end_position; ++step) {
      position = stripe.index.visit_chain(position, [&](Entry& entry) {
        const auto lifetime = entry.lifetime();
        if (check(entry) != Liveness::alive) {
          bury(stripe, entry, Cause::purged, graveyard);
        } else if (lifetime.current_age(now) - lifetime.corrected_initial_age >=
                   lifetime.retention(entry.has_validator())) {
          bury(stripe, entry, Cause::expired, graveyard);
        }
      });
    }
  }
  free_memory_.give_back(bytes_.load(std::memory_order_relaxed));
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
