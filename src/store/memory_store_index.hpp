#pragma once
// The index of one stripe: chains of stored responses by the hash of their canonical request (linear hashing). It grows
// and shrinks by one chain at a time, so no insert waits for a table to be rebuilt, and has a word per response.
//
// In a chain, the variants of a resource stand newest first; growing and shrinking keep their order. A walk goes by the
// hash with its bits reversed: so it neither misses nor repeats anything when chains are split or joined meanwhile.
#include <bit>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Not thread-safe. `Links` gives access to the StoreLinks of a response: links(response).
template <class Links>
class MemoryStoreIndex {
 public:
  using Entry = const StoredResponse;

  static constexpr unsigned hash_bits = StoreLinks::hash_bits;
  /// Bytes per entry, at the least favourable load.
  static constexpr std::size_t overhead = sizeof(Entry*) * 4 / 3 + 1;
  /// Behind the last position of a walk.
  static constexpr std::uint32_t end_position = 1U << hash_bits;

  MemoryStoreIndex() { add_segment(); }

  /// The newest variant of a resource, or null.
  [[nodiscard]] Entry* find(std::uint32_t hash, std::string_view canonical) const noexcept {
    return next_of(chain(number_of(hash)), hash, canonical);
  }
  /// The next older variant of the same resource, or null.
  [[nodiscard]] Entry* older_variant(Entry& entry) const noexcept {
    const auto& links = Links::links(entry);
    return next_of(links.next, static_cast<std::uint32_t>(links.hash), entry.canonical());
  }

  /// Puts it before `place`, a variant of its resource, or at the beginning of its chain.
  void insert(Entry& entry, Entry* place) {
    auto& links = Links::links(entry);
    auto** at = &chain(number_of(static_cast<std::uint32_t>(links.hash)));
    while (place != nullptr && *at != place) at = &Links::links(**at).next;
    links.next = *at;
    *at = &entry;
    if (++size_ > chains_ && chains_ < end_position) split();
  }
  /// Puts it behind `place`, a variant of its resource.
  void insert_behind(Entry& entry, Entry& place) {
    Links::links(entry).next = Links::links(place).next;
    Links::links(place).next = &entry;
    if (++size_ > chains_ && chains_ < end_position) split();
  }

  void erase(Entry& entry) {
    auto& links = Links::links(entry);
    auto** at = &chain(number_of(static_cast<std::uint32_t>(links.hash)));
    while (*at != &entry) at = &Links::links(**at).next;
    *at = links.next;
    --size_;
    if (chains_ > segment_size && size_ < chains_ - chains_ / 4) join();
  }

  [[nodiscard]] static std::uint32_t position(Entry& entry) noexcept {
    return reversed(static_cast<std::uint32_t>(Links::links(entry).hash));
  }
  /// Calls `visit` for every entry of the chain that holds `position`, in no order, and returns where the next chain
  /// begins. `visit` may erase the entry if nothing else.
  template <class Visit>
  std::uint32_t visit_chain(std::uint32_t position, Visit visit) {
    const auto number = number_of(reversed(position));
    // The chain has what has its number in the lowest bits, one bit more where it was split: in the walk's order that
    // is one run.
    const auto half = std::bit_floor(chains_);
    const bool is_split = number >= half || number < chains_ - half;
    const unsigned run = hash_bits - static_cast<unsigned>(std::countr_zero(half)) - (is_split ? 1U : 0U);
    for (auto* entry = chain(number); entry != nullptr;) {
      auto* const next = Links::links(*entry).next;
      visit(*entry);
      entry = next;
    }
    return ((position >> run) + 1) << run;
  }

 private:
  static constexpr std::size_t segment_size = 128;

  static std::uint32_t reversed(std::uint32_t hash) noexcept {
    std::uint32_t out = 0;
    for (unsigned bit = 0; bit < hash_bits; ++bit) out |= (hash >> bit & 1U) << (hash_bits - 1 - bit);
    return out;
  }
  [[nodiscard]] Entry* next_of(Entry* entry, std::uint32_t hash, std::string_view canonical) const noexcept {
    while (entry != nullptr && (Links::links(*entry).hash != hash || entry->canonical() != canonical)) {
      entry = Links::links(*entry).next;
    }
    return entry;
  }
  [[nodiscard]] std::uint32_t number_of(std::uint32_t hash) const noexcept {
    const auto half = std::bit_floor(chains_);
    const auto number = hash & (2 * half - 1);
    return number < chains_ ? number : number & (half - 1);
  }
  [[nodiscard]] Entry*& chain(std::uint32_t number) const noexcept {
    return segments_[number / segment_size][number % segment_size];
  }
  void add_segment() { segments_.push_back(std::make_unique<Entry*[]>(segment_size)); }

  // The chain that is split, or that a joined one comes from, has the new one's number without its highest bit.
  void split() {
    const auto added = chains_;
    if (added / segment_size == segments_.size()) add_segment();
    const auto half = std::bit_floor(added);
    auto** stays = &chain(added - half);
    auto** goes = &chain(added);
    for (auto* entry = *stays; entry != nullptr; entry = Links::links(*entry).next) {
      auto**& to = (Links::links(*entry).hash & half) != 0 ? goes : stays;
      *to = entry;
      to = &Links::links(*entry).next;
    }
    *stays = nullptr;
    *goes = nullptr;
    ++chains_;
  }
  void join() {
    const auto removed = --chains_;
    auto** to = &chain(removed - std::bit_floor(removed));
    while (*to != nullptr) to = &Links::links(**to).next;
    *to = std::exchange(chain(removed), nullptr);
    if (removed % segment_size == 0) segments_.pop_back();
  }

  std::vector<std::unique_ptr<Entry*[]>> segments_;
  std::uint32_t chains_ = 1;
  std::size_t size_ = 0;
};

}  // namespace larder::store
