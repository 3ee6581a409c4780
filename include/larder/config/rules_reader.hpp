#pragma once
// conf/rules.yaml: text to policy::RuleSet, with all faults of the file.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"
#include "larder/policy/rules.hpp"

namespace larder::config {

/// Reads a rules file. `default_ttl` stands in for `defaults.ttl` where the file gives none. All faults are appended to
/// `faults`, and what is legal but cannot be meant (a route that an earlier one hides) to `warnings`. Null where there
/// was a fault. `files` reads the files that it names.
std::shared_ptr<const policy::RuleSet> read_rules(std::string_view text, const std::string& file,
                                                  const Environment& environment, const FileReader& files,
                                                  std::optional<policy::Seconds> default_ttl,
                                                  std::vector<Fault>& faults, std::vector<Fault>& warnings);

/// The keys that a mapping of a rules file may have.
struct RulesKeys {
  std::string_view section;  ///< "", "defaults", "types.*", "routes[]", "routes[].query", …
  std::vector<std::string_view> names;
};
/// All of them, for who describes the file elsewhere (conf/rules.schema.json).
std::vector<RulesKeys> rules_keys();

/// The rules without a file: every GET is of the type "default" and cached as RFC 9111 lets a shared cache, with
/// `default_ttl` where a response has no lifetime of its own (empty: pure RFC behaviour).
std::shared_ptr<const policy::RuleSet> built_in_rules(std::optional<policy::Seconds> default_ttl);

}  // namespace larder::config
