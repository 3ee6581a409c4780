#pragma once
// Which query variances (No-Vary-Search) the responses of a path have stated, so that a request can be looked up under
// them. It holds hints only: what is forgotten is a miss, and what is found is compared as ever.
#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "larder/policy/no_vary_search.hpp"

namespace larder::store {

/// Thread-safe and bounded: past max_paths it begins anew.
class VarianceIndex {
 public:
  static constexpr std::size_t max_paths = 4096;
  static constexpr std::size_t max_per_path = 4;
  static constexpr std::size_t max_size = 4096;  ///< bytes of a path and one variance of it

  /// True while nothing is known: one atomic load, for the hit path.
  [[nodiscard]] bool empty() const noexcept { return paths_known_.load(std::memory_order_relaxed) == 0; }
  /// The variances of a path, the one that was stated last first. `path`: the canonical request up to its query.
  [[nodiscard]] std::vector<policy::QueryVariance> find(std::string_view path) const;
  /// A response of this path has stated this variance. False where it is not kept, so that nothing will be looked up
  /// under it: the default one, which needs no look-up of its own, and one that takes more than max_size with its path.
  bool remember(std::string_view path, const policy::QueryVariance& variance);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::vector<policy::QueryVariance>> paths_;
  std::atomic<std::size_t> paths_known_{0};
};

}  // namespace larder::store
