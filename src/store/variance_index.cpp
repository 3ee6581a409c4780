#include "larder/store/variance_index.hpp"

#include <algorithm>

namespace larder::store {

std::vector<policy::QueryVariance> VarianceIndex::find(std::string_view path) const {
  if (empty()) return {};
  const std::lock_guard lock(mutex_);
  const auto found = paths_.find(std::string(path));
  return found == paths_.end() ? std::vector<policy::QueryVariance>{} : found->second;
}

bool VarianceIndex::remember(std::string_view path, const policy::QueryVariance& variance) {
  if (variance.is_default() || path.size() + policy::encode(variance).size() > max_size) return false;
  const std::lock_guard lock(mutex_);
  if (paths_.size() >= max_paths && !paths_.contains(std::string(path))) paths_.clear();
  auto& known = paths_[std::string(path)];
  std::erase(known, variance);
  known.insert(known.begin(), variance);
  if (known.size() > max_per_path) known.pop_back();
  paths_known_.store(paths_.size(), std::memory_order_relaxed);
  return true;
}

}  // namespace larder::store
