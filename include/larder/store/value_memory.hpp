#pragma once
// The memory of the key-value store: SIEVE eviction, budget in bytes, as of the memory tier; but one thread's, and with
// no purge log to ask: whoever hears of a change removes what it names.
//
// An entry is either as Redis has it (`version`: the clock of its change), or owed: Redis has not got it, and `owed` is
// the purge log's sequence of the purge that waits for it.
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "larder/store/keyed_hash.hpp"

namespace larder::store {

/// A value and what is known of it.
struct HeldValue {
  using Time = std::chrono::steady_clock::time_point;
  std::string text;           ///< JSON
  Time expires;               ///< of no use to anyone from then on
  Time came;                  ///< when it was stored, or read from Redis
  std::uint64_t version = 0;  ///< clock of its change; 0 where Redis does not have it
  std::uint64_t owed = 0;     ///< 0 where Redis has taken its change
};

/// Running totals but for entries and bytes.
struct ValueMemoryCounters {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t evictions = 0;
  std::uint64_t expired = 0;
};

/// Used on one thread.
class ValueMemory {
 public:
  /// `capacity` in bytes: keys, texts and bookkeeping together.
  explicit ValueMemory(std::size_t capacity) : capacity_(capacity), hand_(ages_.end()) {}
  ValueMemory(const ValueMemory&) = delete;
  ValueMemory& operator=(const ValueMemory&) = delete;

  /// The value, marked as used; null where there is none. What has expired is removed. Valid until the next call that
  /// changes anything.
  HeldValue* find(std::string_view key, HeldValue::Time now);
  /// The same without a mark.
  HeldValue* peek(std::string_view key, HeldValue::Time now);
  /// Stores, in place of what is there, and makes room. One that is larger than the capacity is not stored, and what
  /// was there is removed.
  void put(std::string_view key, HeldValue value);
  void erase(std::string_view key);
  /// Removes those for which `is_dead` holds. Linear.
  void erase_if(const std::function<bool(std::string_view key, const HeldValue&)>& is_dead);
  /// Looks at up to `count` entries, in turn from call to call, and removes what has expired.
  void sweep(HeldValue::Time now, std::size_t count);
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] ValueMemoryCounters counters() const noexcept { return counters_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// Bytes that an entry takes beside its key and text.
  static constexpr std::size_t overhead = 192;

 private:
  struct Entry : boost::intrusive::list_base_hook<> {
    HeldValue value;
    const std::string* key = nullptr;  ///< in the map
    bool used = false;
  };
  using Map = std::unordered_map<std::string, Entry, KeyedHash, std::equal_to<>>;
  using Ages = boost::intrusive::list<Entry>;

  static std::size_t charge_of(const Entry& entry) noexcept {
    return overhead + entry.key->size() + entry.value.text.size();
  }
  void remove(Map::iterator at);
  void evict_one();

  const std::size_t capacity_;
  Map map_;
  Ages ages_;  ///< newest first
  Ages::iterator hand_;
  std::string sweep_at_;  ///< key at which the next sweep goes on
  ValueMemoryCounters counters_;
};

}  // namespace larder::store
