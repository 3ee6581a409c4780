#pragma once
// `alerts.rules` and `alerts.webhook` of conf/larder.yaml.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/admin/parameters.hpp"
#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"

namespace larder::config {

/// Reads the list of rules; what is wrong is appended to `faults` with its line in `file`, and that rule left out.
std::vector<admin::AlertRule> read_alert_rules(const TreeNode& node, const std::string& file,
                                               std::vector<Fault>& faults);

/// Reads "hit_rate < 80", "hit_p99 > 20ms", "redis_down" into measure, direction and threshold of `rule`. On error
/// false, and `wrong` and `right` say why.
bool parse_condition(std::string_view text, admin::AlertRule& rule, std::string& wrong, std::string& right);

/// Server and target of "http://host[:port][/path][?query]"; on error empty, and `wrong` says what is wrong without
/// repeating any of it, as paths may be secrets.
struct WebhookAddress {
  std::string server;
  std::string target;
};
std::optional<WebhookAddress> parse_webhook(std::string_view text, std::string& wrong);

}  // namespace larder::config
