#pragma once
// Purges by the admin API: what a request names, and what it is told afterwards. Pure.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/policy/rules.hpp"
#include "larder/policy/selector.hpp"

namespace larder::admin {

/// Bytes of a request body; more is 413.
inline constexpr std::size_t max_order_body = 64UL << 10;
/// Bytes of one selector's value: each entry of the cache is matched against it.
inline constexpr std::size_t max_selector = 4096;

/// What is to be purged, or only to be counted.
struct PurgeOrder {
  policy::Selector selector;
  bool dry_run = false;
};

/// Reads {"pattern":…}, {"tag":…}, {"path":…} or {"key":…}: exactly one of them, a string, and perhaps "dry_run", true
/// or false. 400 says what is wrong. A path pattern is brought into the form that stored target URIs have
/// (http::normalise_target).
std::variant<PurgeOrder, Answer> parse_purge_order(std::string_view body);

/// The body of a purge whose selector is in its path: nothing, {} or {"dry_run":…}. True for a dry run. Anything else
/// is 400, so that nothing is purged of which only a count was wanted.
std::variant<bool, Answer> parse_dry_run(std::string_view body);

/// The selector of a type, by its name as it stands in the path; 404 with the known types where the rules have none of
/// that name.
std::variant<policy::Selector, Answer> type_order(std::string_view raw_name, const policy::RuleSet& rules);

/// What became of a purge.
struct PurgeReport {
  std::vector<policy::Selector> selectors;
  std::uint64_t epoch = 0;
  std::uint64_t clock = 0;
  std::size_t pending = 0;    ///< purges that Redis has not got
  bool journalled = false;    ///< those are in a journal on disk
  std::optional<bool> found;  ///< of DELETE: whether there was anything
};
/// {"purged":[…],"found":…,"delivered":…,"epoch","clock",…}. Epochs are text, as they do not fit into a double.
Json to_json(const PurgeReport& report);

}  // namespace larder::admin
