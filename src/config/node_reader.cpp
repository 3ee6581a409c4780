#include "larder/config/node_reader.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>

#include "larder/config/values.hpp"
#include "larder/http/field_list.hpp"

namespace larder::config {

using policy::Seconds;

void NodeReader::fault(int line, std::string wrong, std::string right) {
  faults_.push_back({file_, line, std::move(wrong), std::move(right)});
}
void NodeReader::fault(const TreeNode& node, std::string wrong, std::string right) {
  fault(node.line, std::move(wrong), std::move(right));
}

const TreeNode* NodeReader::usable(const TreeNode* node) noexcept {
  return node != nullptr && !node->broken ? node : nullptr;
}

bool NodeReader::check_keys(const TreeNode& mapping, const std::string& where,
                            std::span<const std::string_view> known) {
  const auto before = faults_.size();
  for (const auto& key : mapping.keys) {
    if (std::ranges::find(known, key.text) != known.end()) continue;
    fault(key.line, "there is no key " + shown(key.text) + (where.empty() ? "" : " in " + where),
          known_words(key.text, known));
  }
  return faults_.size() == before;
}

bool NodeReader::expect_mapping(const TreeNode& node, const std::string& where, std::string right) {
  if (node.kind == TreeNode::Kind::mapping) return true;
  fault(node, where + " is not a mapping", std::move(right));
  return false;
}

std::string NodeReader::written(const TreeNode& node) {
  switch (node.kind) {
    case TreeNode::Kind::null:
      return "nothing";
    case TreeNode::Kind::scalar:
      return shown(node.written);
    case TreeNode::Kind::sequence:
      return "a list";
    case TreeNode::Kind::mapping:
      return "a mapping";
  }
  return {};
}

std::optional<bool> NodeReader::read_flag(const TreeNode& node, const std::string& where) {
  const auto flag = node.is_scalar() ? parse_flag(node.text) : std::nullopt;
  if (!flag) fault(node, where + ": " + written(node) + " is not a yes or no", "write true or false");
  return flag;
}

std::optional<policy::Seconds> NodeReader::read_seconds(const TreeNode& node, const std::string& where) {
  const auto duration = node.is_scalar() ? parse_duration(node.text) : std::nullopt;
  const auto value = duration ? std::chrono::duration_cast<Seconds>(*duration) : Seconds{0};
  // RFC 9111 §1.2.2: delta-seconds need not be represented beyond 2^31.
  if (duration && value == *duration && value.count() <= std::numeric_limits<std::int32_t>::max()) return value;
  fault(node, where + ": " + written(node) + " is not a duration in whole seconds",
        "write one such as 300 (seconds), 30s, 5m, 1h or 1d");
  return std::nullopt;
}

std::vector<const TreeNode*> NodeReader::texts(const TreeNode& node, const std::string& where) {
  std::vector<const TreeNode*> out;
  if (node.is_scalar()) {
    out.push_back(&node);
  } else if (node.kind == TreeNode::Kind::sequence) {
    for (const auto& item : node.items) {
      if (item.is_scalar()) {
        if (!item.broken) out.push_back(&item);
      } else if (!item.broken) {
        fault(item, where + ": " + written(item) + " is not a text", "write a list of texts: [a, b]");
      }
    }
  } else {
    fault(node, where + ": " + written(node) + " is not a list", "write a list of texts: [a, b]");
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> NodeReader::read_headers(const TreeNode& node,
                                                                          const std::string& where) {
  std::vector<std::pair<std::string, std::string>> fields;
  if (!expect_mapping(node, where, "write { Name: value, Other: [value, value] }")) return fields;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    if (node.items[i].broken) continue;
    for (const auto* value : texts(node.items[i], where + "." + node.keys[i].text)) {
      fields.emplace_back(node.keys[i].text, http::trim_ows(value->text));
    }
  }
  return fields;
}

}  // namespace larder::config
