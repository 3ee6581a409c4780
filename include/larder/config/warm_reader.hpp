#pragma once
// `warm:` of conf/rules.yaml, and the files of URLs that it names.
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"
#include "larder/config/rules_reader.hpp"
#include "larder/policy/rules.hpp"

namespace larder::config {

/// Reads `warm:` into `rules.warming`; types and routes of `rules` have been read. What no route caches is a fault, as
/// it could never be warm. Files are read with `files`; what is in them is appended to `read_besides`, for who wants to
/// know whether they have changed.
///
/// A file has one URL on a line, and may have header fields ("Name: value") for it on the lines behind that begin with
/// a blank; empty lines and those that begin with '#' mean nothing.
void read_warming(const TreeNode& node, const std::string& file, const FileReader& files, std::vector<Fault>& faults,
                  policy::RuleSet& rules, std::string& read_besides);

/// The keys that the mappings of `warm:` may have.
std::vector<RulesKeys> warm_keys();

}  // namespace larder::config
