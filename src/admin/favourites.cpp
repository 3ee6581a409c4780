#include "larder/admin/favourites.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <variant>

#include "larder/policy/admission.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/vary.hpp"

namespace larder::admin {

std::optional<policy::NormalRequest> request_of(const store::StoredResponse& stored, const policy::RuleSet& rules,
                                                std::string_view host) {
  policy::AskedRequest asked;
  asked.target = std::string(stored.origin()).append(stored.target());
  asked.host = host;
  asked.fields = policy::selecting_request(stored.selecting());
  auto made = policy::NormalRequest::make(asked);
  auto* const request = std::get_if<policy::NormalRequest>(&made);
  if (request == nullptr) return std::nullopt;
  const auto head = request->head();
  if (policy::admit(rules, head, request->traits()).way != policy::Way::look_up) return std::nullopt;
  // Only what is found under the same canonical request is the same request.
  std::string canonical;
  (void)policy::canonical_request(head, rules.match_cache(head.method, head.path()), canonical);
  if (canonical != stored.canonical()) return std::nullopt;
  return std::move(*request);
}

void Favourites::look(const std::vector<store::MemoryEntry>& busiest, const policy::RuleSet& rules,
                      std::string_view host) {
  for (auto& [variant, favourite] : by_variant_) {
    favourite.score /= 2;
    favourite.is_in_memory = false;
  }
  unrepeatable_ = 0;
  for (const auto& entry : busiest) {
    auto request = request_of(*entry.stored, rules, host);
    if (!request) {
      ++unrepeatable_;
      continue;
    }
    auto& favourite =
        by_variant_[std::string(entry.stored->canonical()).append(1, '\0').append(entry.stored->selecting())];
    favourite.request = std::make_shared<const policy::NormalRequest>(std::move(*request));
    // Fewer than before: it has left memory meanwhile, and is counted from its return.
    favourite.score += entry.hits - (entry.hits < favourite.seen_hits ? 0 : favourite.seen_hits);
    favourite.seen_hits = entry.hits;
    favourite.is_in_memory = true;
  }
  for (auto& [variant, favourite] : by_variant_) {
    if (!favourite.is_in_memory) favourite.seen_hits = 0;
  }
  std::erase_if(by_variant_, [&rules](const auto& one) {
    const auto& favourite = one.second;
    if (favourite.is_in_memory) return false;
    const auto& request = *favourite.request;
    return favourite.score == 0 || policy::admit(rules, request.head(), request.traits()).way != policy::Way::look_up;
  });
}

std::vector<std::shared_ptr<const policy::NormalRequest>> Favourites::requests(std::size_t most) const {
  std::vector<const Favourite*> sorted;
  for (const auto& [variant, favourite] : by_variant_) {
    if (favourite.score > 0) sorted.push_back(&favourite);
  }
  const auto count = std::min(most, sorted.size());
  std::ranges::partial_sort(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>(),
                            &Favourite::score);
  std::vector<std::shared_ptr<const policy::NormalRequest>> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(sorted[i]->request);
  return out;
}

}  // namespace larder::admin
