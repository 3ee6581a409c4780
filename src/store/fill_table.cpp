#include "larder/store/fill_table.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace larder::store {

namespace {
constexpr std::size_t segment_size = 64UL << 10;
// How far the producer may run ahead of the slowest reader once the body can no longer be stored.
constexpr std::size_t usual_window = 1UL << 20;
// What is taken at a time of a body for which the budget has no room; and while the budget is nearly used up.
constexpr std::size_t least_piece = 16UL << 10;
constexpr std::size_t careful_piece = 64UL << 10;
constexpr std::size_t nearly_used_up = 1UL << 20;
}  // namespace

Fill::Fill(PurgeStamp stamp, std::size_t max_object, std::atomic<std::size_t>& bytes_in_fills, std::size_t budget)
    : stamp_(stamp), max_object_(max_object), bytes_in_fills_(bytes_in_fills), budget_(budget) {}

Fill::~Fill() { bytes_in_fills_.fetch_sub(charged_, std::memory_order_relaxed); }

void Fill::wake_readers(std::unique_lock<std::mutex>& lock) {
  auto waiting = std::exchange(waiting_, {});
  lock.unlock();
  for (auto& [reader, wake] : waiting) wake();
}

std::uint64_t Fill::slowest() const noexcept {
  std::uint64_t offset = total_;
  for (const auto& [id, at] : reader_offsets_) offset = std::min(offset, at);
  return offset;
}

// How many unread bytes there may be when more are offered. While there is no room for anyone it is one piece at a
// time.
std::uint64_t Fill::window() const noexcept {
  return bytes_in_fills_.load(std::memory_order_relaxed) > budget_ ? 0 : usual_window;
}

void Fill::drop_read_segments() {
  if (segments_.empty()) return;
  const auto read = slowest();
  auto first_kept = segments_.begin();
  // The last one is still written to.
  for (; first_kept + 1 < segments_.end() && dropped_ + (*first_kept)->size() <= read; ++first_kept) {
    const auto capacity = (*first_kept)->capacity();
    dropped_ += (*first_kept)->size();
    charged_ -= capacity;
    bytes_in_fills_.fetch_sub(capacity, std::memory_order_relaxed);
  }
  segments_.erase(segments_.begin(), first_kept);
}

// The producer is not called any more: it may be gone, with all that its wake would touch.
void Fill::end(FillPhase phase, std::unique_lock<std::mutex>& lock) {
  phase_ = phase;
  space_wake_ = nullptr;
  wake_readers(lock);
}

void Fill::publish_head(FillHead head) {
  std::unique_lock lock(mutex_);
  head_ = std::make_shared<const FillHead>(std::move(head));
  phase_ = FillPhase::streaming;
  wake_readers(lock);
}

Append Fill::append(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (!outgrown_ && total_ + bytes.size() > max_object_) outgrown_ = true;
  const auto left = outgrown_ ? bytes : append_within_budget(bytes);
  if (outgrown_ && !left.empty()) {
    if (reader_offsets_.empty()) {
      abandoned_ = true;
      return Append::no_reader;
    }
    drop_read_segments();
    // Of what is taken in part, the rest must be taken too.
    const bool is_offered_too_much = over_budget_ && left.size() > least_piece;
    if (left.size() == bytes.size() && (unread() > window() || is_offered_too_much)) return Append::wait;
    append_to_window(left);
  }
  const auto result = outgrown_ ? Append::unstored : Append::kept;
  wake_readers(lock);
  return result;
}

// Returns what is left of it when the budget is used up; from then on the body will not be stored.
std::string_view Fill::append_within_budget(std::string_view bytes) {
  while (!bytes.empty()) {
    if (segments_.empty() || segments_.back()->size() == segments_.back()->capacity()) {
      // A known length gets one segment of just that size, which then is the stored body as it stands.
      const bool whole = segments_.empty() && head_ && head_->length && *head_->length <= max_object_;
      const auto capacity = whole ? static_cast<std::size_t>(*head_->length) : segment_size;
      if (!add_segment(capacity, true)) {
        outgrown_ = over_budget_ = true;
        break;
      }
    }
    fill_last_segment(bytes);
  }
  return bytes;
}

// Who streams must have room for a piece, whatever the budget says.
void Fill::append_to_window(std::string_view bytes) {
  while (!bytes.empty()) {
    if (segments_.empty() || segments_.back()->size() == segments_.back()->capacity()) {
      (void)add_segment(over_budget_ ? least_piece : segment_size, false);
    }
    fill_last_segment(bytes);
  }
}

bool Fill::add_segment(std::size_t capacity, bool within_budget) {
  auto segment = std::make_shared<std::string>();
  segment->reserve(capacity);
  const auto bytes = segment->capacity();
  if (bytes_in_fills_.fetch_add(bytes, std::memory_order_relaxed) + bytes > budget_ && within_budget) {
    bytes_in_fills_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  charged_ += bytes;
  segments_.push_back(std::move(segment));
  return true;
}

std::size_t Fill::most_at_once() {
  const std::unique_lock lock(mutex_);
  if (over_budget_) return least_piece;
  const bool is_nearly_used_up = bytes_in_fills_.load(std::memory_order_relaxed) + nearly_used_up > budget_;
  return is_nearly_used_up ? careful_piece : std::numeric_limits<std::size_t>::max();
}

StoredPtr Fill::stored() {
  const std::unique_lock lock(mutex_);
  return stored_;
}

bool Fill::is_over_budget() {
  const std::unique_lock lock(mutex_);
  return over_budget_;
}

// Takes off `bytes` what fits.
void Fill::fill_last_segment(std::string_view& bytes) {
  auto& last = *segments_.back();
  const auto n = std::min(bytes.size(), last.capacity() - last.size());
  last.append(bytes.substr(0, n));
  total_ += n;
  bytes.remove_prefix(n);
}

std::shared_ptr<const FillHead> Fill::head() {
  const std::unique_lock lock(mutex_);
  return head_;
}

SharedBody Fill::whole_body() {
  const std::unique_lock lock(mutex_);
  if (outgrown_ || dropped_ != 0) return nullptr;
  if (segments_.empty()) return std::make_shared<const std::string>();
  if (segments_.size() == 1 && segments_.front()->size() * 5 >= segments_.front()->capacity() * 4) {
    return segments_.front();
  }
  auto body = std::make_shared<std::string>();
  body->reserve(static_cast<std::size_t>(total_));
  for (const auto& segment : segments_) body->append(*segment);
  return body;
}

void Fill::complete(StoredPtr stored, http::FieldSpan trailers) {
  std::unique_lock lock(mutex_);
  if (!trailers.empty()) trailers_ = std::make_shared<const http::FieldList>(http::FieldList::copy_of(trailers));
  stored_ = std::move(stored);
  end(FillPhase::complete, lock);
}

void Fill::answer(StoredPtr stored, policy::CacheOutcome outcome) {
  std::unique_lock lock(mutex_);
  stored_ = std::move(stored);
  outcome_ = outcome;
  end(FillPhase::answered, lock);
}

void Fill::decline() {
  std::unique_lock lock(mutex_);
  end(FillPhase::declined, lock);
}

void Fill::fail(int status, int error) {
  std::unique_lock lock(mutex_);
  failure_status_ = status;
  failure_error_ = error;
  end(FillPhase::failed, lock);
}

void Fill::on_space(Wake wake) {
  std::unique_lock lock(mutex_);
  if (reader_offsets_.empty() || unread() <= window()) {
    lock.unlock();
    wake();
    return;
  }
  space_wake_ = std::move(wake);
}

FillReader::FillReader(std::shared_ptr<Fill> fill) : fill_(std::move(fill)) {
  const std::unique_lock lock(fill_->mutex_);
  id_ = fill_->next_reader_++;
  // A reader that comes after bytes were dropped cannot be served whole. The table soon hands such a fill out no more,
  // but who has got it shortly before may only now begin to read.
  late_ = fill_->dropped_ > 0 || fill_->abandoned_;
  if (!late_) fill_->reader_offsets_.emplace(id_, offset_);
}

FillReader::~FillReader() {
  Wake wake;
  {
    const std::unique_lock lock(fill_->mutex_);
    fill_->reader_offsets_.erase(id_);
    std::erase_if(fill_->waiting_, [&](const auto& entry) { return entry.first == id_; });
    wake = std::exchange(fill_->space_wake_, nullptr);
  }
  if (wake) wake();
}

FillView FillReader::view() {
  const std::unique_lock lock(fill_->mutex_);
  FillView view;
  view.phase = late_ ? FillPhase::declined : fill_->phase_;
  view.head = fill_->head_;
  view.trailers = fill_->trailers_;
  view.stored = fill_->stored_;
  view.outcome = fill_->outcome_;
  view.failure_status = fill_->failure_status_;
  view.failure_error = fill_->failure_error_;
  if (late_) return view;
  auto at = fill_->dropped_;
  for (const auto& segment : fill_->segments_) {
    if (offset_ < at + segment->size()) {
      view.bytes = std::string_view(*segment).substr(static_cast<std::size_t>(offset_ - at));
      break;
    }
    at += segment->size();
  }
  return view;
}

void FillReader::advance(std::size_t n) {
  Wake wake;
  {
    const std::unique_lock lock(fill_->mutex_);
    offset_ += n;
    if (!late_) fill_->reader_offsets_[id_] = offset_;
    if (fill_->space_wake_ && fill_->unread() <= fill_->window()) {
      wake = std::exchange(fill_->space_wake_, nullptr);
    }
  }
  if (wake) wake();
}

void FillReader::on_change(const FillView& seen, Wake wake) {
  std::unique_lock lock(fill_->mutex_);
  if (late_ || fill_->phase_ != seen.phase || fill_->total_ > offset_) {
    lock.unlock();
    wake();
    return;
  }
  fill_->waiting_.emplace_back(id_, std::move(wake));
}

FillTable::FillTable(std::size_t max_object, std::size_t budget)
    : max_object_(max_object), budget_(budget), shards_(shard_count) {}

FillTable::Shard& FillTable::shard(std::string_view canonical, std::size_t& hash) {
  hash = std::hash<std::string_view>{}(canonical);
  return shards_[hash % shard_count];
}

FillTicket FillTable::join(const std::string& canonical, const policy::PurgeSubject& subject, const PurgeLog& log,
                           policy::TimePoint now) {
  std::size_t hash = 0;
  auto& shard = this->shard(canonical, hash);
  const std::unique_lock lock(shard.mutex);
  if (const auto unstorable = shard.unstorable.find(hash); unstorable != shard.unstorable.end()) {
    if (unstorable->second > now) return {FillRole::alone, nullptr};
    shard.unstorable.erase(unstorable);
  }
  const auto found = shard.fills.find(canonical);
  if (found != shard.fills.end() && log.alive_since(subject, found->second->stamp().sequence) == Liveness::alive) {
    return {FillRole::follow, found->second};
  }
  auto fill = std::make_shared<Fill>(log.stamp(), max_object_, bytes_in_fills_, budget_);
  shard.fills.insert_or_assign(canonical, fill);
  return {FillRole::lead, std::move(fill)};
}

bool FillTable::is_filling(const std::string& canonical) {
  std::size_t hash = 0;
  auto& shard = this->shard(canonical, hash);
  const std::unique_lock lock(shard.mutex);
  return shard.fills.contains(canonical);
}

std::shared_ptr<Fill> FillTable::unlisted(const PurgeStamp& stamp) {
  if (bytes_in_fills() > budget_) return nullptr;
  return std::make_shared<Fill>(stamp, max_object_, bytes_in_fills_, budget_);
}

std::optional<BudgetShare> FillTable::reserve(std::size_t bytes) {
  if (bytes > budget_ || bytes_in_fills() > budget_ - bytes) return std::nullopt;
  return BudgetShare(bytes_in_fills_, bytes);
}

void FillTable::leave(const std::string& canonical, const std::shared_ptr<Fill>& fill) {
  std::size_t hash = 0;
  auto& shard = this->shard(canonical, hash);
  const std::unique_lock lock(shard.mutex);
  const auto found = shard.fills.find(canonical);
  // A newer fill may have taken the place of one that a purge made unjoinable.
  if (found != shard.fills.end() && found->second == fill) shard.fills.erase(found);
}

void FillTable::remember_unstorable(std::string_view canonical, policy::TimePoint until) {
  std::size_t hash = 0;
  auto& shard = this->shard(canonical, hash);
  const std::unique_lock lock(shard.mutex);
  if (shard.unstorable.size() >= max_unstorable_per_shard) shard.unstorable.clear();
  shard.unstorable.insert_or_assign(hash, until);
}

bool FillTable::is_unstorable(std::string_view canonical, policy::TimePoint now) {
  std::size_t hash = 0;
  auto& shard = this->shard(canonical, hash);
  const std::unique_lock lock(shard.mutex);
  const auto found = shard.unstorable.find(hash);
  return found != shard.unstorable.end() && found->second > now;
}

void FillTable::forget_unstorable() {
  for (auto& shard : shards_) {
    const std::unique_lock lock(shard.mutex);
    shard.unstorable.clear();
  }
}

void FillTable::forget_unstorable(std::string_view canonical) {
  std::size_t hash = 0;
  auto& shard = this->shard(canonical, hash);
  const std::unique_lock lock(shard.mutex);
  shard.unstorable.erase(hash);
}

std::size_t FillTable::fills() const {
  std::size_t n = 0;
  for (const auto& shard : shards_) {
    const std::unique_lock lock(shard.mutex);
    n += shard.fills.size();
  }
  return n;
}

}  // namespace larder::store
