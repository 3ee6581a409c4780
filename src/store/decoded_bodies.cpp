#include "larder/store/decoded_bodies.hpp"

#include <utility>
#include <variant>

#include "larder/store/content_decoding.hpp"

namespace larder::store {

// An entry for what does not decode takes room as well.
std::size_t DecodedBodies::size_of(const Entry& entry) noexcept {
  constexpr std::size_t own = 128;
  return own + entry.coded->memory_size() + (entry.decoded ? entry.decoded->size() : 0);
}

void DecodedBodies::forget(Entries::iterator entry) {
  bytes_ -= size_of(entry->second);
  by_use_.erase(entry->second.place);
  entries_.erase(entry);
}

SharedBody DecodedBodies::body_of(const StoredPtr& coded, http::Coding coding, std::size_t max_size) {
  const auto* const address = coded->body().data();
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(address); found != entries_.end()) {
      by_use_.splice(by_use_.begin(), by_use_, found->second.place);
      return found->second.decoded;
    }
  }
  auto result = decode(coding, coded->body(), max_size);
  SharedBody decoded;
  if (auto* const bytes = std::get_if<std::string>(&result)) {
    decoded = std::make_shared<const std::string>(std::move(*bytes));
  }
  Entry entry{.coded = coded, .decoded = decoded, .place = {}};
  const std::lock_guard lock(mutex_);
  const auto size = size_of(entry);
  if (entries_.contains(address) || size > capacity_) return decoded;
  by_use_.push_front(address);
  entry.place = by_use_.begin();
  entries_.emplace(address, std::move(entry));
  bytes_ += size;
  while (bytes_ > capacity_) forget(entries_.find(by_use_.back()));
  return decoded;
}

std::size_t DecodedBodies::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace larder::store
