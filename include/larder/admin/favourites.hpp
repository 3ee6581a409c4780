#pragma once
// The requests that were answered from memory most often, also when what answered them has been purged since. Pure.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "larder/policy/normal_request.hpp"
#include "larder/policy/rules.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::admin {

/// The request that a stored response answers, made anew from what is known of it; empty where that does not suffice:
/// the route keys by an identity, by a header or a cookie that no Vary names, or by the content of a QUERY. `host`: of
/// responses that hosts share.
std::optional<policy::NormalRequest> request_of(const store::StoredResponse& stored, const policy::RuleSet& rules,
                                                std::string_view host);

/// Remembers the busiest requests from one look to the next. The hits between two looks count twice as much as those
/// before: what was purged is remembered, and what nobody asks for any more is forgotten although warming keeps it in
/// memory.
class Favourites {
 public:
  /// Takes note of what was seen now. Those that cannot be made anew, or that no route caches any more, are left out.
  void look(const std::vector<store::MemoryEntry>& busiest, const policy::RuleSet& rules, std::string_view host);
  /// So many at most, the busiest first.
  [[nodiscard]] std::vector<std::shared_ptr<const policy::NormalRequest>> requests(std::size_t most) const;
  /// How many of the last look could not be made anew.
  [[nodiscard]] std::size_t unrepeatable() const noexcept { return unrepeatable_; }

 private:
  struct Favourite {
    std::shared_ptr<const policy::NormalRequest> request;
    std::uint64_t score = 0;
    std::uint64_t seen_hits = 0;  ///< at the last look
    bool is_in_memory = false;    ///< likewise
  };
  std::unordered_map<std::string, Favourite> by_variant_;  ///< by canonical request and selecting fields
  std::size_t unrepeatable_ = 0;
};

}  // namespace larder::admin
