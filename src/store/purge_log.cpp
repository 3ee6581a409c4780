// Invariants
// - Everything in Index, and every store to the four atomics, happens under Index::mutex; readers of the index hold it
//   shared. No other lock is taken while it is held.
// - A selector is held once, with the newest sequence and the newest clock under which it was applied. It is pending
//   while `pending` > 0, which is how many undelivered purges name it; pending selectors are never evicted.
// - Per kind, `newest_sequence` and `newest_clock` are upper bounds, so that kinds without news cost one compare.
// - Globs and paths lie in buckets by their literal prefix. A bucket's lists are ordered, newest first, so that a
//   look-up ends at the first selector that is not newer.
// - Floors only rise within an epoch. What is evicted raises them, so nothing that a forgotten selector named lives on.
#include "larder/store/purge_log.hpp"

#include <algorithm>
#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>

#include "larder/store/keyed_hash.hpp"

namespace larder::store {
namespace {

namespace intrusive = boost::intrusive;
using policy::PurgeSubject;
using policy::Selector;
using policy::SelectorKind;

constexpr std::size_t kind_count = 7;
// Equal pending purges are looked for when there are so many.
constexpr std::size_t first_compaction = 1024;
// More holes than this in the clocks heard of means that purges are being lost.
constexpr std::size_t max_gaps = 1024;

constexpr std::size_t index_of(SelectorKind kind) noexcept { return static_cast<std::size_t>(kind); }

using Hook = intrusive::list_member_hook<intrusive::link_mode<intrusive::auto_unlink>>;
struct Bucket;

// A selector and when it was last applied.
struct Node {
  explicit Node(Selector s) : selector(std::move(s)) {}
  Selector selector;
  std::uint64_t sequence = 0;
  std::uint64_t clock = 0;    ///< 0: not delivered in this epoch
  std::uint32_t pending = 0;  ///< undelivered purges that name it
  Bucket* bucket = nullptr;   ///< globs and paths only
  Hook age;                   ///< in Index::evictable_, or in one of its pending lists
  Hook in_sequence;           ///< in Bucket::by_sequence
  Hook in_clock;              ///< in Bucket::by_clock, where clock > 0
};

template <Hook Node::*hook>
using NodeList = intrusive::list<Node, intrusive::member_hook<Node, Hook, hook>, intrusive::constant_time_size<false>>;

struct Bucket {
  NodeList<&Node::in_sequence> by_sequence;
  NodeList<&Node::in_clock> by_clock;
};

// A glob or path is filed under the first bytes of its literal prefix. Clients can choose prefixes (a captured
// segment), so the lengths in use are bounded: a look-up probes each of them.
constexpr std::array<std::size_t, 6> long_lengths{48, 64, 96, 128, 192, 256};
constexpr std::size_t filed_length(std::size_t length) noexcept {
  if (length <= long_lengths.front()) return length;
  std::size_t filed = long_lengths.front();
  for (const auto l : long_lengths) {
    if (l <= length) filed = l;
  }
  return filed;
}

// Patterns of one kind, by literal prefix.
class PatternIndex {
 public:
  PatternIndex() : length_counts_(long_lengths.back() + 1) {}

  void insert(Node& node) {
    const auto prefix = policy::literal_prefix(node.selector);
    const auto filed = prefix.substr(0, filed_length(prefix.size()));
    auto found = buckets_.find(filed);
    if (found == buckets_.end()) {
      found = buckets_.emplace(std::string(filed), std::make_unique<Bucket>()).first;
      if (length_counts_[filed.size()]++ == 0) lengths_.push_back(filed.size());
    }
    node.bucket = found->second.get();
    node.bucket->by_sequence.push_front(node);
  }

  void erase(Node& node) {
    auto& bucket = *node.bucket;
    node.in_sequence.unlink();
    node.in_clock.unlink();
    node.bucket = nullptr;
    if (!bucket.by_sequence.empty()) return;
    const auto prefix = policy::literal_prefix(node.selector);
    const auto filed = prefix.substr(0, filed_length(prefix.size()));
    if (--length_counts_[filed.size()] == 0) std::erase(lengths_, filed.size());
    buckets_.erase(buckets_.find(filed));
  }

  // True where `test` holds for any bucket under which a pattern matching `text` may be filed.
  template <class Test>
  bool any_bucket(std::string_view text, Test test) const {
    for (const auto length : lengths_) {
      if (length > text.size()) continue;
      const auto found = buckets_.find(text.substr(0, length));
      if (found != buckets_.end() && test(*found->second)) return true;
    }
    return false;
  }

 private:
  boost::unordered_flat_map<std::string, std::unique_ptr<Bucket>, KeyedHash, std::equal_to<>> buckets_;
  std::vector<std::uint32_t> length_counts_;
  std::vector<std::size_t> lengths_;
};

bool is_pattern(SelectorKind kind) noexcept { return kind == SelectorKind::glob || kind == SelectorKind::path; }

}  // namespace

class PurgeLog::Index {
 public:
  explicit Index(std::size_t max_selectors) : max_selectors_(std::max<std::size_t>(max_selectors, 1)) {}
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  mutable std::shared_mutex mutex;

  std::size_t size() const noexcept { return size_; }
  std::vector<PendingPurge> pending() const { return {pending_.begin(), pending_.end()}; }
  std::size_t pending_count() const noexcept { return pending_.size(); }
  std::uint64_t watermark() const noexcept { return watermark_; }

  // Applies a purge that Redis has not got. Returns the last sequence used.
  std::uint64_t apply_pending(std::uint64_t sequence, std::span<const Selector> selectors) {
    for (const auto& selector : selectors) {
      auto& node = touch(selector, sequence);
      ++node.pending;
      file_by_age(node);
    }
    pending_.push_back({sequence, {selectors.begin(), selectors.end()}});
    pending_selectors_ += selectors.size();
    if (pending_.size() >= compact_at_ || pending_selectors_ > max_selectors_) {
      // A name of its own: who delivers the purge of `sequence` has not delivered everything.
      if (compact_pending(sequence + 1)) ++sequence;
    }
    evict();
    return sequence;
  }

  // Applies a purge of the fleet's log.
  void apply(std::uint64_t sequence, std::uint64_t clock, std::span<const Selector> selectors) {
    for (const auto& selector : selectors) {
      auto& node = touch(selector, sequence);
      file_by_age(node);
      raise_clock(node, clock);
    }
    evict();
  }

  // False where no such purge is pending.
  bool deliver(std::uint64_t sequence, std::uint64_t clock) {
    const auto found = std::ranges::lower_bound(pending_, sequence, {}, &PendingPurge::sequence);
    if (found == pending_.end() || found->sequence != sequence) return false;
    for (const auto& selector : found->selectors) {
      auto& node = *find(selector);
      --node.pending;
      file_by_age(node);
      raise_clock(node, clock);
    }
    pending_selectors_ -= found->selectors.size();
    pending_.erase(found);
    evict();
    return true;
  }

  [[nodiscard]] bool is_applied(std::uint64_t clock) const {
    if (clock <= watermark_) return true;
    const auto after = above_.upper_bound(clock);
    return after != above_.begin() && clock <= std::prev(after)->second;
  }

  // Takes note that the purge of `clock` is applied. False where too many are missing: then the history is lost.
  bool mark_applied(std::uint64_t clock) {
    if (is_applied(clock)) return true;
    const auto after = above_.upper_bound(clock);
    auto begin = clock;
    auto end = clock;
    if (after != above_.end() && after->first - 1 == clock) end = after->second;
    if (after != above_.begin()) {
      const auto before = std::prev(after);
      if (before->second == clock - 1) begin = before->first;
    }
    if (end != clock) above_.erase(after);
    if (begin - 1 == watermark_) {
      above_.erase(begin);
      watermark_ = end;
    } else {
      above_.insert_or_assign(begin, end);
    }
    return above_.size() <= max_gaps;
  }
  [[nodiscard]] std::uint64_t highest_clock() const noexcept {
    return above_.empty() ? watermark_ : above_.rbegin()->second;
  }

  void raise_clock_floor(std::uint64_t floor) noexcept { clock_floor_ = std::max(clock_floor_, floor); }

  // Purges up to `clock` may be missing: all older than now is dead, here from `sequence` on and in Redis by `clock`.
  void lose_history(std::uint64_t sequence, std::uint64_t clock) {
    sequence_floor_ = sequence;
    raise_clock_floor(clock);
    forget([clock](const Node& node) { return node.clock <= clock; });
    watermark_ = clock;
    while (!above_.empty() && above_.begin()->first - 1 <= watermark_) {
      watermark_ = std::max(watermark_, above_.begin()->second);
      above_.erase(above_.begin());
    }
  }

  // Begins anew: clocks that are known mean nothing any more.
  void restart(std::uint64_t sequence, std::uint64_t clock, std::uint64_t floor) {
    sequence_floor_ = sequence;
    clock_floor_ = std::max(clock, floor);
    forget([](const Node&) { return true; });
    above_.clear();
    watermark_ = clock;
    for (auto& kind : kinds_) kind.newest_clock = 0;
    for (auto* const list : {&pending_exact_, &pending_patterns_}) {
      for (auto& node : *list) {
        node.clock = 0;
        node.in_clock.unlink();
      }
    }
  }
  void begin_epoch(std::uint64_t sequence) noexcept { epoch_sequence_ = sequence; }

  [[nodiscard]] Liveness alive_since(const PurgeSubject& subject, std::uint64_t since) const {
    if (since < epoch_sequence_) return Liveness::epoch;
    if (since < sequence_floor_) return Liveness::purged;
    const auto has_news = [&](const Kind& kind) { return kind.newest_sequence > since; };
    const auto is_newer = [since](const Node& node) { return node.sequence > since; };
    const auto names_it = [&](const Bucket& bucket) {
      for (const auto& node : bucket.by_sequence) {
        if (node.sequence <= since) break;
        if (policy::matches(node.selector, subject)) return true;
      }
      return false;
    };
    return any_newer(subject, has_news, is_newer, names_it) ? Liveness::purged : Liveness::alive;
  }

  [[nodiscard]] Liveness alive_remote(const PurgeSubject& subject, std::uint64_t clock) const {
    if (clock < clock_floor_) return Liveness::purged;
    const auto has_news = [&](const Kind& kind) { return kind.newest_clock > clock || !pending_.empty(); };
    const auto is_newer = [clock](const Node& node) { return node.clock > clock || node.pending > 0; };
    const auto names_it = [&](const Bucket& bucket) {
      for (const auto& node : bucket.by_clock) {
        if (node.clock <= clock) break;
        if (policy::matches(node.selector, subject)) return true;
      }
      return false;
    };
    if (any_newer(subject, has_news, is_newer, names_it)) return Liveness::purged;
    for (const auto& node : pending_patterns_) {
      if (policy::matches(node.selector, subject)) return Liveness::purged;
    }
    return Liveness::alive;
  }

 private:
  struct Kind {
    // Keys are views of the nodes' own values.
    boost::unordered_flat_map<std::string_view, std::unique_ptr<Node>, KeyedHash> by_value;
    std::uint64_t newest_sequence = 0;
    std::uint64_t newest_clock = 0;
  };

  Kind& kind(SelectorKind k) noexcept { return kinds_[index_of(k)]; }
  [[nodiscard]] const Kind& kind(SelectorKind k) const noexcept { return kinds_[index_of(k)]; }
  PatternIndex& patterns(SelectorKind k) noexcept { return k == SelectorKind::glob ? globs_ : paths_; }

  Node* find(const Selector& selector) noexcept {
    auto& by_value = kind(selector.kind).by_value;
    const auto found = by_value.find(selector.value);
    return found == by_value.end() ? nullptr : found->second.get();
  }

  Node& touch(const Selector& selector, std::uint64_t sequence) {
    auto& k = kind(selector.kind);
    k.newest_sequence = sequence;
    auto* node = find(selector);
    if (node == nullptr) {
      auto made = std::make_unique<Node>(selector);
      node = made.get();
      k.by_value.emplace(node->selector.value, std::move(made));
      ++size_;
      if (is_pattern(selector.kind)) patterns(selector.kind).insert(*node);
    } else if (node->bucket != nullptr) {
      auto& list = node->bucket->by_sequence;
      list.splice(list.begin(), list, list.iterator_to(*node));
    }
    node->sequence = sequence;
    return *node;
  }

  // To the newest end of the list it belongs to by now.
  void file_by_age(Node& node) noexcept {
    node.age.unlink();
    if (node.pending == 0) {
      evictable_.push_back(node);
    } else {
      (is_pattern(node.selector.kind) ? pending_patterns_ : pending_exact_).push_back(node);
    }
  }

  void raise_clock(Node& node, std::uint64_t clock) noexcept {
    if (clock <= node.clock) return;
    auto& k = kind(node.selector.kind);
    k.newest_clock = std::max(k.newest_clock, clock);
    node.clock = clock;
    if (node.bucket == nullptr) return;
    auto& list = node.bucket->by_clock;
    node.in_clock.unlink();
    // Clocks come almost in order, so the place is near the newest end.
    const auto place = std::ranges::find_if(list, [clock](const Node& other) { return other.clock <= clock; });
    list.insert(place, node);
  }

  void drop(Node& node) {
    if (node.bucket != nullptr) patterns(node.selector.kind).erase(node);
    auto& by_value = kind(node.selector.kind).by_value;
    // Through an iterator: the key views the value of the node that goes with it.
    by_value.erase(by_value.find(node.selector.value));
    --size_;
  }

  template <class Predicate>
  void forget(Predicate predicate) {
    for (auto it = evictable_.begin(); it != evictable_.end();) {
      auto& node = *it++;
      if (predicate(node)) drop(node);
    }
  }

  void evict() {
    while (size_ > max_selectors_ && !evictable_.empty()) {
      auto& oldest = evictable_.front();
      sequence_floor_ = std::max(sequence_floor_, oldest.sequence);
      clock_floor_ = std::max(clock_floor_, oldest.clock);
      drop(oldest);
    }
  }

  void release(const PendingPurge& purge) noexcept {
    for (const auto& selector : purge.selectors) {
      auto& node = *find(selector);
      --node.pending;
      file_by_age(node);
    }
    pending_selectors_ -= purge.selectors.size();
  }

  // Of equal pending purges the newest suffices. If what remains is still too much (half of the bound, so that the work
  // pays), one purge of everything replaces it, under `sequence`: then the return is true.
  bool compact_pending(std::uint64_t sequence) {
    boost::unordered_flat_set<std::string, KeyedHash> seen;
    std::deque<PendingPurge> kept;
    for (auto it = pending_.rbegin(); it != pending_.rend(); ++it) {
      std::string text;
      for (const auto& selector : it->selectors) {
        const auto one = policy::encode(selector);
        text.append(std::to_string(one.size())).append(":").append(one);
      }
      if (seen.insert(std::move(text)).second) {
        kept.push_front(std::move(*it));
      } else {
        release(*it);
      }
    }
    pending_ = std::move(kept);
    const bool is_too_much = pending_selectors_ > max_selectors_ / 2;
    if (is_too_much) {
      for (const auto& purge : pending_) release(purge);
      pending_.clear();
      const Selector everything{SelectorKind::all, {}};
      auto& node = touch(everything, sequence);
      ++node.pending;
      file_by_age(node);
      pending_.push_back({sequence, {everything}});
      pending_selectors_ = 1;
    }
    compact_at_ = std::max(first_compaction, 2 * pending_.size());
    return is_too_much;
  }

  // True where a selector for which `is_newer` holds names the subject. `has_news`: whether a kind has any of them.
  // `names_it`: whether one in a bucket of patterns does.
  template <class HasNews, class IsNewer, class NamesIt>
  [[nodiscard]] bool any_newer(const PurgeSubject& subject, HasNews has_news, IsNewer is_newer,
                               NamesIt names_it) const {
    const auto named = [&](SelectorKind k, std::string_view value) {
      const auto& by_value = kind(k).by_value;
      const auto found = by_value.find(value);
      return found != by_value.end() && is_newer(*found->second);
    };
    const auto news = [&](SelectorKind k) { return !kind(k).by_value.empty() && has_news(kind(k)); };
    if (news(SelectorKind::all) && named(SelectorKind::all, {})) return true;
    if (news(SelectorKind::key) && (named(SelectorKind::key, subject.base_key) ||
                                    (subject.key != subject.base_key && named(SelectorKind::key, subject.key)))) {
      return true;
    }
    if (news(SelectorKind::type) && named(SelectorKind::type, subject.type)) return true;
    if (news(SelectorKind::target)) {
      if (named(SelectorKind::target, subject.target)) return true;
      if (!subject.origin.empty()) {
        // Kept between calls, as this may be the path of a hit.
        thread_local std::string uri;
        uri.assign(subject.origin).append(subject.target);
        if (named(SelectorKind::target, uri)) return true;
      }
    }
    if (news(SelectorKind::tag) &&
        std::ranges::any_of(subject.tags, [&](std::string_view tag) { return named(SelectorKind::tag, tag); })) {
      return true;
    }
    if (news(SelectorKind::glob)) {
      if (globs_.any_bucket(subject.key, names_it)) return true;
      // The variant suffix follows the base key, so its prefixes are among those of the key.
      if (!subject.key.starts_with(subject.base_key) && globs_.any_bucket(subject.base_key, names_it)) return true;
    }
    return news(SelectorKind::path) && paths_.any_bucket(subject.target, names_it);
  }

  const std::size_t max_selectors_;
  std::array<Kind, kind_count> kinds_;
  PatternIndex globs_;
  PatternIndex paths_;
  NodeList<&Node::age> evictable_;  ///< oldest first
  NodeList<&Node::age> pending_exact_;
  NodeList<&Node::age> pending_patterns_;
  std::size_t size_ = 0;

  std::deque<PendingPurge> pending_;  ///< by sequence
  std::size_t pending_selectors_ = 0;
  std::size_t compact_at_ = first_compaction;

  std::uint64_t epoch_sequence_ = 0;  ///< older ones are of another epoch
  std::uint64_t sequence_floor_ = 0;  ///< older ones are dead
  std::uint64_t clock_floor_ = 0;     ///< entries of Redis with a lower clock are dead

  std::uint64_t watermark_ = 0;                   ///< every clock up to it is applied
  std::map<std::uint64_t, std::uint64_t> above_;  ///< applied beyond it: first to last of each run
};

PurgeLog::PurgeLog(std::uint64_t epoch, std::size_t max_selectors)
    : epoch_(epoch), index_(std::make_unique<Index>(max_selectors)) {}

PurgeLog::~PurgeLog() = default;

// The three are not read at one instant, and need not be. Each by itself claims no more than was known before the
// origin request; and an epoch is stored after its clock and read before it, so that the clock of an older epoch never
// goes with a newer one.
PurgeStamp PurgeLog::stamp() const noexcept {
  PurgeStamp stamp;
  stamp.epoch = epoch_.load(std::memory_order_acquire);
  stamp.clock = clock_.load(std::memory_order_acquire);
  stamp.sequence = sequence_.load(std::memory_order_acquire);
  return stamp;
}

std::uint64_t PurgeLog::apply_local(std::span<const policy::Selector> selectors, bool pending) {
  const std::unique_lock lock(index_->mutex);
  const auto last = sequence_.load(std::memory_order_relaxed);
  if (selectors.empty()) return last;
  const auto sequence = last + 1;
  auto newest = sequence;
  if (pending) {
    newest = index_->apply_pending(sequence, selectors);
    pending_count_.store(index_->pending_count(), std::memory_order_release);
  } else {
    const auto clock = index_->highest_clock() + 1;
    index_->apply(sequence, clock, selectors);
    index_->mark_applied(clock);
    clock_.store(index_->watermark(), std::memory_order_release);
  }
  sequence_.store(newest, std::memory_order_release);
  return sequence;
}

void PurgeLog::delivered(std::uint64_t sequence, std::uint64_t clock) {
  // The epoch may change before the lock is taken; who cannot rule that out says which epoch the clock is of.
  delivered(sequence, clock, epoch());
}

bool PurgeLog::delivered(std::uint64_t sequence, std::uint64_t clock, std::uint64_t epoch) {
  const std::unique_lock lock(index_->mutex);
  if (epoch != epoch_.load(std::memory_order_relaxed)) return false;
  if (!index_->deliver(sequence, clock)) return true;
  pending_count_.store(index_->pending_count(), std::memory_order_release);
  if (!index_->mark_applied(clock)) {
    const auto next = sequence_.load(std::memory_order_relaxed) + 1;
    index_->lose_history(next, index_->highest_clock());
    sequence_.store(next, std::memory_order_release);
  }
  clock_.store(index_->watermark(), std::memory_order_release);
  return true;
}

void PurgeLog::apply_fleet(std::uint64_t clock, std::span<const policy::Selector> selectors) {
  const std::unique_lock lock(index_->mutex);
  if (index_->is_applied(clock)) return;
  auto sequence = sequence_.load(std::memory_order_relaxed);
  if (!selectors.empty()) index_->apply(++sequence, clock, selectors);
  if (!index_->mark_applied(clock)) index_->lose_history(++sequence, index_->highest_clock());
  clock_.store(index_->watermark(), std::memory_order_release);
  sequence_.store(sequence, std::memory_order_release);
}

void PurgeLog::enter_epoch(std::uint64_t epoch, std::uint64_t clock, std::uint64_t floor) {
  const std::unique_lock lock(index_->mutex);
  enter(epoch, clock, floor, index_->watermark());
}

void PurgeLog::enter_epoch(std::uint64_t epoch, std::uint64_t clock, std::uint64_t floor, std::uint64_t known) {
  const std::unique_lock lock(index_->mutex);
  enter(epoch, clock, floor, known);
}

void PurgeLog::enter(std::uint64_t epoch, std::uint64_t clock, std::uint64_t floor, std::uint64_t known) {
  const auto next = sequence_.load(std::memory_order_relaxed) + 1;
  if (epoch != epoch_.load(std::memory_order_relaxed) || clock < known) {
    const bool is_other_epoch = epoch != epoch_.load(std::memory_order_relaxed);
    index_->restart(next, clock, floor);
    if (is_other_epoch) index_->begin_epoch(next);
  } else {
    index_->raise_clock_floor(floor);
    if (clock <= index_->watermark()) return;
    index_->lose_history(next, clock);
  }
  clock_.store(index_->watermark(), std::memory_order_release);
  epoch_.store(epoch, std::memory_order_release);
  sequence_.store(next, std::memory_order_release);
}

std::vector<PendingPurge> PurgeLog::pending() const {
  const std::shared_lock lock(index_->mutex);
  return index_->pending();
}

std::size_t PurgeLog::size() const {
  const std::shared_lock lock(index_->mutex);
  return index_->size();
}

Liveness PurgeLog::alive_since(const policy::PurgeSubject& subject, std::uint64_t since) const {
  if (since >= sequence()) return Liveness::alive;
  const std::shared_lock lock(index_->mutex);
  return index_->alive_since(subject, since);
}

Liveness PurgeLog::alive_remote(const policy::PurgeSubject& subject, const PurgeStamp& stamp) const {
  const std::shared_lock lock(index_->mutex);
  if (stamp.epoch != epoch_.load(std::memory_order_relaxed)) return Liveness::epoch;
  return index_->alive_remote(subject, stamp.clock);
}

}  // namespace larder::store
