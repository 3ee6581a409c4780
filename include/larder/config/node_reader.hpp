#pragma once
// What readers of a document's values have in common: each reports what is wrong and goes on, so that one run shows all
// faults of a file. A node that is `broken` was reported already and is passed over in silence.
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"
#include "larder/policy/cache_control.hpp"

namespace larder::config {

/// Base of readers; reports to `faults`, which outlives it, as `file` does.
class NodeReader {
 protected:
  NodeReader(const std::string& file, std::vector<Fault>& faults) : file_(file), faults_(faults) {}

  void fault(int line, std::string wrong, std::string right);
  void fault(const TreeNode& node, std::string wrong, std::string right);
  /// Null for what is not there or was reported already.
  static const TreeNode* usable(const TreeNode* node) noexcept;
  /// False where there was an unknown key.
  bool check_keys(const TreeNode& mapping, const std::string& where, std::span<const std::string_view> known);
  bool expect_mapping(const TreeNode& node, const std::string& where, std::string right);
  /// The value as messages show it.
  static std::string written(const TreeNode& node);
  std::optional<bool> read_flag(const TreeNode& node, const std::string& where);
  std::optional<policy::Seconds> read_seconds(const TreeNode& node, const std::string& where);
  /// One text or a list of texts.
  std::vector<const TreeNode*> texts(const TreeNode& node, const std::string& where);
  /// `headers:`: names and values, one for each line of the message; not whether they can be those of one.
  std::vector<std::pair<std::string, std::string>> read_headers(const TreeNode& node, const std::string& where);

  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] std::size_t fault_count() const noexcept { return faults_.size(); }
  [[nodiscard]] std::vector<Fault>& all_faults() noexcept { return faults_; }

 private:
  const std::string& file_;
  std::vector<Fault>& faults_;
};

}  // namespace larder::config
