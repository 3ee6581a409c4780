#pragma once
// Explanations for people and programs: as text for a terminal, and as JSON. Pure.
#include <optional>
#include <string>

#include "larder/admin/answer.hpp"
#include "larder/policy/explanation.hpp"
#include "larder/proxy/inspection.hpp"

namespace larder::admin {

/// All of an explanation. Durations in seconds, named as in RFC 9111; reasons by the names of their enumerators, each
/// with a sentence on what it means. Of selecting header fields the names alone.
Json to_json(const policy::Explanation& explanation);

/// What the tiers hold: {"outcome","reason","tier",…,"tiers":[…]}; of each entry its arithmetic, and what of `rules`
/// would purge it.
Json to_json(const proxy::Inspection& inspection, const policy::RuleSet& rules, policy::TimePoint now);

/// The same as text that ends with a line feed.
std::string to_json_text(const policy::Explanation& explanation);

/// The explanation as lines for people; ends with a line feed.
std::string to_text(const policy::Explanation& explanation);

}  // namespace larder::admin
