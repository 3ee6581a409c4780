#pragma once
// `tests:` of a rules file: reading them, and running them for `larder check`.
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"
#include "larder/config/settings.hpp"
#include "larder/policy/rule_test.hpp"

namespace larder::config {

struct RulesKeys;

/// Appends the tests of a `tests:` node; what is wrong with them goes to `faults`.
void read_rule_tests(const TreeNode& node, const std::string& file, const std::vector<std::string_view>& types,
                     std::vector<Fault>& faults, std::vector<policy::RuleTest>& tests);

/// The keys that they may have.
std::vector<RulesKeys> rule_test_keys();

/// Runs the tests of the rules: one fault for each thing that is not as expected ("expected ttl 60 s, got 300 s").
std::vector<Fault> failed_rule_tests(const Settings& settings);

}  // namespace larder::config
