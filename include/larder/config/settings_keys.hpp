#pragma once
// The table of keys of conf/larder.yaml: where each value goes, its bounds, and what would be right instead of a wrong
// one.
#include <functional>
#include <string>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/settings.hpp"

namespace larder::config {

/// One key, bound to the place of its value.
struct SettingsKey {
  std::string path;   ///< "client.head_size"
  std::string right;  ///< what a right value looks like
  bool secret = false;
  /// Stores the value; false, nothing stored and `wrong` perhaps set (what is wrong, else the value is simply not
  /// right).
  std::function<bool(const TreeNode& node, std::string& wrong)> read;
  /// In place of `read`, for a value of several lines: reports its faults itself.
  std::function<void(const TreeNode& node, const std::string& file, std::vector<Fault>& faults)> read_lines;
  std::function<std::string()> show;  ///< the value as it would be written
};

/// All keys, bound to `settings` and `redis` (both must outlive the result): `redis` is apart because settings.redis is
/// empty while Redis is off. In the order of conf/larder.yaml; `redis.url` comes before what it stands for.
std::vector<SettingsKey> settings_keys(Settings& settings, proxy::RedisParameters& redis);

}  // namespace larder::config
