#pragma once
// `namespaces:` of conf/rules.yaml.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"
#include "larder/policy/namespaces.hpp"

namespace larder::config {

/// Reads the namespaces of the key-value store. Faults are appended to `faults`; none of them shows a token. Without
/// `default:` there is the default namespace as it is without a file.
policy::Namespaces read_namespaces(const TreeNode& node, const std::string& file, std::vector<Fault>& faults);

/// The keys that one of them may have.
std::span<const std::string_view> namespace_keys() noexcept;

}  // namespace larder::config
