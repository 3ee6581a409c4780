#pragma once
// What a purge would take, were it made now: the answer to an order with "dry_run". Pure.
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "larder/admin/answer.hpp"
#include "larder/admin/key_listing.hpp"
#include "larder/policy/selector.hpp"

namespace larder::admin {

/// Counts the stored responses that a selector matches, over both tiers, each key once.
class PurgePreview {
 public:
  static constexpr std::size_t most_examples = 20;
  static constexpr std::size_t most_matches = 1'000'000;  ///< more are not counted

  explicit PurgePreview(policy::Selector selector) : selector_(std::move(selector)) {}

  /// Looks at one live stored response, a StoredResponse's or a RecordSummary's; may be shown the same one again.
  void look_at(const store::MemoryEntry& entry);
  void look_at(const store::RecordSummary& summary);

  /// A key glob that the key of every stored response matches that the selector does: for listings.
  [[nodiscard]] std::string key_glob() const;
  [[nodiscard]] std::size_t matches() const noexcept { return seen_.size(); }
  /// True where no more can be counted.
  [[nodiscard]] bool is_full() const noexcept { return seen_.size() >= most_matches; }

  /// {"dry_run":true,"would_purge":[{"kind","value"}],"matches","in_memory","in_redis","complete","redis",
  /// "examples":[{"key","type","target","tier"}]}. `is_complete`: all there is was looked at, as far as `reach` goes.
  [[nodiscard]] Json to_json(bool is_complete, RemoteReach reach) const;

 private:
  bool mark(std::string_view key, bool in_memory);

  struct Seen {
    bool in_memory = false;
    bool in_redis = false;
  };
  policy::Selector selector_;
  std::unordered_map<std::size_t, Seen> seen_;  ///< by the hash of the key
  KeyPage examples_;
};

}  // namespace larder::admin
