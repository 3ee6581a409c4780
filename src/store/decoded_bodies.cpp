#include "larder/store/decoded_bodies.hpp"

#include <utility>
#include <variant>

#include "larder/store/content_decoding.hpp"

namespace larder::store {

namespace {
// An entry for what does not decode takes room as well.
constexpr std::size_t entry_size = 128;

std::size_t size_of(const SharedBody& body) noexcept { return entry_size + (body ? body->size() : 0); }
}  // namespace

void DecodedBodies::forget(std::unordered_map<const std::string*, Entry>::iterator entry) {
  bytes_ -= size_of(entry->second.decoded);
  by_use_.erase(entry->second.place);
  entries_.erase(entry);
}

SharedBody DecodedBodies::body_of(const SharedBody& coded, http::Coding coding, std::size_t max_size) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(coded.get()); found != entries_.end()) {
      const auto& known = found->second.coded;
      if (!known.owner_before(coded) && !coded.owner_before(known)) {
        by_use_.splice(by_use_.begin(), by_use_, found->second.place);
        return found->second.decoded;
      }
      forget(found);
    }
  }
  auto result = decode(coding, *coded, max_size);
  SharedBody decoded;
  if (auto* const bytes = std::get_if<std::string>(&result)) {
    decoded = std::make_shared<const std::string>(std::move(*bytes));
  }
  const std::lock_guard lock(mutex_);
  if (entries_.contains(coded.get()) || size_of(decoded) > capacity_) return decoded;
  by_use_.push_front(coded.get());
  entries_.emplace(coded.get(), Entry{.coded = coded, .decoded = decoded, .place = by_use_.begin()});
  bytes_ += size_of(decoded);
  while (bytes_ > capacity_) forget(entries_.find(by_use_.back()));
  return decoded;
}

std::size_t DecodedBodies::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace larder::store
