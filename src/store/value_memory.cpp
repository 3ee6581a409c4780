#include "larder/store/value_memory.hpp"

#include <utility>

namespace larder::store {

HeldValue* ValueMemory::peek(std::string_view key, HeldValue::Time now) {
  const auto found = map_.find(key);
  if (found == map_.end()) return nullptr;
  if (found->second.value.expires <= now) {
    ++counters_.expired;
    remove(found);
    return nullptr;
  }
  return &found->second.value;
}

HeldValue* ValueMemory::find(std::string_view key, HeldValue::Time now) {
  if (peek(key, now) == nullptr) return nullptr;
  auto& entry = map_.find(key)->second;
  entry.used = true;
  return &entry.value;
}

void ValueMemory::put(std::string_view key, HeldValue value) {
  erase(key);
  const auto size = overhead + key.size() + value.text.size();
  if (size > capacity_) return;
  while (counters_.bytes + size > capacity_) evict_one();
  const auto [at, is_new] = map_.try_emplace(std::string(key));
  auto& entry = at->second;
  entry.value = std::move(value);
  entry.key = &at->first;
  ages_.push_front(entry);
  counters_.bytes += size;
  counters_.entries = map_.size();
}

void ValueMemory::erase(std::string_view key) {
  if (const auto found = map_.find(key); found != map_.end()) remove(found);
}

void ValueMemory::erase_if(const std::function<bool(std::string_view key, const HeldValue&)>& is_dead) {
  for (auto at = map_.begin(); at != map_.end();) {
    const auto next = std::next(at);
    if (is_dead(at->first, at->second.value)) remove(at);
    at = next;
  }
}

void ValueMemory::sweep(HeldValue::Time now, std::size_t count) {
  auto at = sweep_at_.empty() ? map_.begin() : map_.find(sweep_at_);
  if (at == map_.end()) at = map_.begin();
  for (; count > 0 && at != map_.end(); --count) {
    const auto next = std::next(at);
    if (at->second.value.expires <= now) {
      ++counters_.expired;
      remove(at);
    }
    at = next;
  }
  sweep_at_ = at == map_.end() ? std::string{} : at->first;
}

std::vector<std::string> ValueMemory::keys() const {
  std::vector<std::string> keys;
  keys.reserve(map_.size());
  for (const auto& [key, entry] : map_) keys.push_back(key);
  return keys;
}

void ValueMemory::remove(Map::iterator at) {
  auto& entry = at->second;
  counters_.bytes -= charge_of(entry);
  const auto place = ages_.iterator_to(entry);
  if (hand_ == place) hand_ = place == ages_.begin() ? ages_.end() : std::prev(place);
  ages_.erase(place);
  map_.erase(at);
  counters_.entries = map_.size();
}

// SIEVE: the hand goes from the oldest to the newest; what was used since it last passed loses its mark and stays.
void ValueMemory::evict_one() {
  for (;;) {
    if (hand_ == ages_.end()) hand_ = std::prev(ages_.end());
    auto& entry = *hand_;
    if (!std::exchange(entry.used, false)) {
      remove(map_.find(*entry.key));  // the hand goes on by itself
      ++counters_.evictions;
      return;
    }
    hand_ = hand_ == ages_.begin() ? ages_.end() : std::prev(hand_);
  }
}

}  // namespace larder::store
