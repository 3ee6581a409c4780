#pragma once
// Fills: origin fetches that may store, and the requests that share them (single flight).
//
// The request that finds nothing leads a fill; equal requests follow it until it ends. A fill is answered in one of
// four ways: a response streams through it (publish_head, append, complete), a stored response answers it at once
// (answer), it is declined (the response is not storable: followers go on by themselves, at once and in parallel), or
// it fails. A request that arrives after a purge never follows an older fill.
//
// Bytes live in segments that never move, so readers use views outside of the lock. Up to `max_object` everything is
// kept; a body of unknown length that grows past it becomes unstorable, the table forgets the fill, and what all
// present readers have read is dropped while the producer waits for the slowest one. The same happens to a body for
// which the budget of all fills has no room; such a fill holds a piece of the body at a time, and no more.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "larder/http/message.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/store/purge_log.hpp"
#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Called (once) when something a waiter may care about has happened; from any thread, must not block.
using Wake = std::function<void()>;

/// The head of the response that streams through a fill.
struct FillHead {
  int status = 0;
  std::string reason;
  http::FieldList fields;               ///< end-to-end fields, as they are relayed
  std::optional<std::uint64_t> length;  ///< Content-Length, where known
  std::string selecting;                ///< encoding of the leader's selecting header fields; empty without Vary
  http::FieldList shared_fields;        ///< what of `fields` is stored, and is for followers too
  policy::Lifetime lifetime;
};

/// Where a fill is in its life.
enum class FillPhase : unsigned char {
  waiting,    ///< nothing is known yet
  streaming,  ///< the head is there, the body comes
  complete,   ///< head and body are there
  answered,   ///< a stored response answers it
  declined,   ///< not storable: followers go on by themselves
  failed      ///< no response, or one cut short
};

/// What a reader sees.
struct FillView {
  FillPhase phase = FillPhase::waiting;
  std::shared_ptr<const FillHead> head;  ///< from `streaming` on
  std::string_view bytes;                ///< body bytes from the reader's offset on; valid until the reader advances
  std::shared_ptr<const http::FieldList> trailers;            ///< of `complete`; null where there were none
  StoredPtr stored;                                           ///< `answered`, and `complete` where it was stored
  policy::CacheOutcome outcome = policy::CacheOutcome::miss;  ///< of `answered`
  int failure_status = 0;  ///< `failed`: 502, 503 or 504 for who has been told nothing yet
  int failure_error = 0;   ///< `failed`: what the producer said beside
};

/// What became of an append.
enum class Append : unsigned char {
  kept,      ///< go on
  unstored,  ///< kept for the present readers, but it will not be stored: too large, or over the budget of all fills
  wait,      ///< not taken: the slowest reader is too far behind, or it is more than may be offered; wait (on_space)
             ///< and offer it again, as much as most_at_once() says
  no_reader  ///< not taken: nobody reads and it cannot be stored; give up (who comes now is declined)
};

/// Thread-safe. One producer, any number of readers.
class Fill {
 public:
  /// `budget`: what `bytes_in_fills` should not exceed.
  Fill(PurgeStamp stamp, std::size_t max_object, std::atomic<std::size_t>& bytes_in_fills,
       std::size_t budget = std::numeric_limits<std::size_t>::max());
  ~Fill();
  Fill(const Fill&) = delete;
  Fill& operator=(const Fill&) = delete;

  /// The stamp taken before the origin request.
  [[nodiscard]] const PurgeStamp& stamp() const noexcept { return stamp_; }

  // The producer's side.
  void publish_head(FillHead head);
  Append append(std::string_view bytes);
  /// How many bytes may be offered in one piece: few where the budget is used up.
  [[nodiscard]] std::size_t most_at_once();
  /// All bytes were appended; `stored` may be null where the response was not stored after all.
  void complete(StoredPtr stored, http::FieldSpan trailers = {});
  void answer(StoredPtr stored, policy::CacheOutcome outcome);
  void decline();
  /// `error`: anything that the producer wants its followers to know; it means nothing here.
  void fail(int status, int error = 0);
  /// What was published.
  [[nodiscard]] std::shared_ptr<const FillHead> head();
  /// The whole body, once; only before complete() and only while nothing was dropped. Null where it outgrew max_object.
  [[nodiscard]] SharedBody whole_body();
  /// What complete() or answer() were given; null before.
  [[nodiscard]] StoredPtr stored();
  /// True where the body will not be stored because the budget of all fills was used up.
  [[nodiscard]] bool is_over_budget();
  /// Called once when append() may succeed again or no reader is left.
  void on_space(Wake wake);

  // The readers' side, through FillReader.
  friend class FillReader;

 private:
  void wake_readers(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] std::uint64_t slowest() const noexcept;
  void drop_read_segments();
  [[nodiscard]] std::uint64_t unread() const noexcept { return total_ - std::max(slowest(), dropped_); }
  [[nodiscard]] std::uint64_t window() const noexcept;
  std::string_view append_within_budget(std::string_view bytes);
  void append_to_window(std::string_view bytes);
  [[nodiscard]] bool add_segment(std::size_t capacity, bool within_budget);
  void fill_last_segment(std::string_view& bytes);
  void end(FillPhase phase, std::unique_lock<std::mutex>& lock);

  const PurgeStamp stamp_;
  const std::size_t max_object_;
  std::atomic<std::size_t>& bytes_in_fills_;
  const std::size_t budget_;
  std::size_t charged_ = 0;

  std::mutex mutex_;
  FillPhase phase_ = FillPhase::waiting;
  std::shared_ptr<const FillHead> head_;
  std::vector<std::shared_ptr<std::string>> segments_;
  std::uint64_t dropped_ = 0;  ///< bytes before the first segment
  std::uint64_t total_ = 0;    ///< bytes appended
  bool outgrown_ = false;      ///< it will not be stored
  bool over_budget_ = false;   ///< because the budget is used up
  std::shared_ptr<const http::FieldList> trailers_;
  bool abandoned_ = false;  ///< bytes were refused because nobody read: nobody can begin to read any more
  StoredPtr stored_;
  policy::CacheOutcome outcome_ = policy::CacheOutcome::miss;
  int failure_status_ = 502;
  int failure_error_ = 0;
  std::uint64_t next_reader_ = 1;
  std::unordered_map<std::uint64_t, std::uint64_t> reader_offsets_;
  std::vector<std::pair<std::uint64_t, Wake>> waiting_;  ///< with the id of the reader that waits
  Wake space_wake_;
};

/// One reader of a fill. Not thread-safe itself.
class FillReader {
 public:
  explicit FillReader(std::shared_ptr<Fill> fill);
  ~FillReader();
  FillReader(const FillReader&) = delete;
  FillReader& operator=(const FillReader&) = delete;

  /// What there is to see now. To a reader that came too late to see the body from its first byte the fill is declined.
  [[nodiscard]] FillView view();
  /// The reader has used `n` bytes of the last view.
  void advance(std::size_t n);
  /// Calls `wake` once as soon as the fill has changed from `seen` (at once where it already has); never once the
  /// reader is gone.
  void on_change(const FillView& seen, Wake wake);
  [[nodiscard]] Fill& fill() noexcept { return *fill_; }

 private:
  std::shared_ptr<Fill> fill_;
  std::uint64_t id_ = 0;
  std::uint64_t offset_ = 0;
  bool late_ = false;
};

/// What a request shall do about a miss.
enum class FillRole : unsigned char {
  lead,    ///< fetch, and tell the followers
  follow,  ///< another request is fetching the same
  alone    ///< lately the answer proved not storable: fetch without leading anyone
};

/// The role and its fill (null for `alone`).
struct FillTicket {
  FillRole role = FillRole::alone;
  std::shared_ptr<Fill> fill;
};

/// Bytes of the fills' budget that something else than a fill holds, until it goes.
class BudgetShare {
 public:
  BudgetShare(std::atomic<std::size_t>& total, std::size_t bytes) noexcept : total_(&total), bytes_(bytes) {
    total.fetch_add(bytes, std::memory_order_relaxed);
  }
  BudgetShare(BudgetShare&& other) noexcept : total_(std::exchange(other.total_, nullptr)), bytes_(other.bytes_) {}
  BudgetShare& operator=(BudgetShare&&) = delete;
  ~BudgetShare() {
    if (total_ != nullptr) total_->fetch_sub(bytes_, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::size_t>* total_;
  std::size_t bytes_;
};

/// The fills in progress, by canonical request. Thread-safe.
class FillTable {
 public:
  /// `max_object`: bytes; `budget`: bytes that all fills may hold together. What comes when they are used up is relayed
  /// and not stored.
  FillTable(std::size_t max_object, std::size_t budget);

  /// Joins or begins the fill of `canonical`. A fill that began before a purge of `subject` is not joined but replaced.
  FillTicket join(const std::string& canonical, const policy::PurgeSubject& subject, const PurgeLog& log,
                  policy::TimePoint now);
  /// True while a fill of `canonical` is listed; whether it can be joined is for join() to say.
  [[nodiscard]] bool is_filling(const std::string& canonical);
  /// A fill that nobody can join: for a request that goes alone. `stamp`: taken before the origin was asked. Null where
  /// the budget is used up.
  std::shared_ptr<Fill> unlisted(const PurgeStamp& stamp);
  /// Takes `bytes` of the budget for a body that is gathered outside of a fill; empty where that would exceed it. The
  /// table must outlive the share.
  std::optional<BudgetShare> reserve(std::size_t bytes);
  /// The fill has ended, or must not be joined any more.
  void leave(const std::string& canonical, const std::shared_ptr<Fill>& fill);
  /// Nobody shall queue for this request until `until`, because its answers are not storable; a bounded memory.
  void remember_unstorable(std::string_view canonical, policy::TimePoint until);
  /// True while that memory lasts.
  [[nodiscard]] bool is_unstorable(std::string_view canonical, policy::TimePoint now);
  /// An answer was storable after all.
  void forget_unstorable(std::string_view canonical);
  /// Forgets all that was remembered so: the rules have changed.
  void forget_unstorable();

  [[nodiscard]] std::size_t fills() const;
  [[nodiscard]] std::size_t budget() const noexcept { return budget_; }
  [[nodiscard]] std::size_t bytes_in_fills() const noexcept { return bytes_in_fills_.load(std::memory_order_relaxed); }

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::shared_ptr<Fill>> fills;
    std::unordered_map<std::size_t, policy::TimePoint> unstorable;  ///< by hash: a collision costs one shared fetch
  };
  static constexpr std::size_t shard_count = 64;
  static constexpr std::size_t max_unstorable_per_shard = 1024;
  Shard& shard(std::string_view canonical, std::size_t& hash);

  const std::size_t max_object_;
  const std::size_t budget_;
  std::atomic<std::size_t> bytes_in_fills_{0};
  std::vector<Shard> shards_;
};

}  // namespace larder::store
