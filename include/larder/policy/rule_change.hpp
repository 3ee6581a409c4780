#pragma once
// What a change of the rules means for what was stored under the old ones. Pure.
#include <string>
#include <vector>

#include "larder/policy/rules.hpp"

namespace larder::policy {

/// The types whose stored responses the new rules may not answer with, sorted: of each route of `before` that caches
/// and that `after` has not any more, or has with another key, lifetime, tag or other thing that a stored response is
/// made by, or behind a new route that takes some of its requests. What such a response carries (its tags above all) is
/// what the old rules said, so that the purges of the new ones might not find it. Other changes (routes that are added,
/// purges of writes, the order of routes that have no request in common) touch nothing that is stored.
std::vector<std::string> types_to_purge(const RuleSet& before, const RuleSet& after);

}  // namespace larder::policy
