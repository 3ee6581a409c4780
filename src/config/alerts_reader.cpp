#include "larder/config/alerts_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "larder/config/values.hpp"
#include "larder/http/target.hpp"

namespace larder::config {
namespace {

using admin::AlertRule;
using admin::MeasureKind;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 5> rule_keys{"name", "when", "window", "for", "least"};
constexpr milliseconds longest_window{3600000};
constexpr milliseconds day{86400000};
constexpr std::size_t most_rules = 100;
constexpr std::size_t longest_name = 64;
constexpr std::string_view condition_right =
    "write MEASURE < NUMBER or MEASURE > NUMBER, such as hit_rate < 80, errors > 10, hit_p99 > 20ms, or redis_down";

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool is_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest_name && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

// "80", "99.5", "80%", "20ms", "1s".
std::optional<double> parse_threshold(std::string_view text, MeasureKind kind, bool is_time) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
  const auto unit = trimmed({end, static_cast<std::size_t>(text.data() + text.size() - end)});
  if (unit.empty() || (unit == "%" && kind == MeasureKind::percent) || (unit == "ms" && is_time)) return number;
  if (unit == "s" && is_time) return number * 1000;
  return std::nullopt;
}

class RuleReader {
 public:
  RuleReader(const std::string& file, std::vector<Fault>& faults) : file_(file), faults_(faults) {}

  std::optional<AlertRule> read(const TreeNode& node) {
    if (node.kind != TreeNode::Kind::mapping) {
      if (!node.broken) fault(node.line, "alerts.rules: this is not a rule", "write { name: …, when: … }");
      return std::nullopt;
    }
    const auto before = faults_.size();
    AlertRule rule;
    for (const auto& key : node.keys) {
      if (std::ranges::find(rule_keys, key.text) != rule_keys.end()) continue;
      fault(key.line, "there is no key " + shown(key.text) + " in a rule of alerts", known_words(key.text, rule_keys));
    }
    read_name(node, rule);
    const bool has_condition = read_condition(node, rule);
    if (const auto* const window = node.find("window")) {
      if (has_condition && admin::kind_of(rule.measure) == MeasureKind::state) {
        fault(window->line, "window: " + std::string(admin::to_string(rule.measure)) + " is as it is now",
              "leave window away; for: 30s lets it last before it counts");
      } else {
        read_duration(*window, "window", milliseconds(100), longest_window, rule.window);
      }
    }
    if (const auto* const lasting = node.find("for")) read_duration(*lasting, "for", {}, day, rule.lasting);
    if (const auto* const least = node.find("least")) read_least(*least, has_condition, rule);
    // What is broken was reported when the document was read.
    const bool is_whole = std::ranges::none_of(node.items, &TreeNode::broken);
    return faults_.size() == before && is_whole ? std::optional(std::move(rule)) : std::nullopt;
  }

 private:
  void fault(int line, std::string wrong, std::string right) {
    faults_.push_back({file_, line, std::move(wrong), std::move(right)});
  }

  void read_name(const TreeNode& node, AlertRule& rule) {
    const auto* const name = node.find("name");
    if (name == nullptr) {
      fault(node.line, "a rule of alerts has no name", "write name: low-hit-rate");
    } else if (!name->broken && (!name->is_scalar() || !is_name(name->text))) {
      fault(name->line, "name: " + (name->is_scalar() ? shown(name->written) : "this") + " is no name of an alert",
            "write up to 64 letters, digits, '-', '_' and '.'");
    } else {
      rule.name = name->text;
    }
  }

  bool read_condition(const TreeNode& node, AlertRule& rule) {
    const auto* const when = node.find("when");
    if (when == nullptr) {
      fault(node.line, "a rule of alerts has no condition", "write when: hit_rate < 80");
      return false;
    }
    if (when->broken) return false;
    std::string wrong;
    std::string right;
    if (when->is_scalar() && parse_condition(when->text, rule, wrong, right)) return true;
    if (!when->is_scalar()) {
      wrong = "this is no condition";
      right = condition_right;
    }
    fault(when->line, "when: " + wrong, right);
    return false;
  }

  void read_duration(const TreeNode& node, std::string_view name, milliseconds min, milliseconds max,
                     milliseconds& value) {
    if (node.broken) return;
    const auto duration = node.is_scalar() ? parse_duration(node.text) : std::nullopt;
    if (duration && *duration >= min && *duration <= max) {
      value = *duration;
      return;
    }
    fault(node.line,
          std::string(name) + ": " + (node.is_scalar() ? shown(node.written) : "this") + " is not a right value",
          "write a duration from " + show_duration(min) + " to " + show_duration(max) + ", such as 30s or 5m");
  }

  void read_least(const TreeNode& node, bool has_condition, AlertRule& rule) {
    if (node.broken) return;
    const auto kind = admin::kind_of(rule.measure);
    if (has_condition && kind != MeasureKind::percent && kind != MeasureKind::time) {
      fault(node.line,
            "least: " + std::string(admin::to_string(rule.measure)) + " means something however few there are",
            "leave it away; it is for percentages and latencies");
      return;
    }
    const auto count = node.is_scalar() ? parse_count(node.text) : std::nullopt;
    if (count && *count >= 1) {
      rule.least = *count;
      return;
    }
    fault(node.line, "least: " + (node.is_scalar() ? shown(node.written) : "this") + " is not a right value",
          "write a whole number from 1 on");
  }

  const std::string& file_;
  std::vector<Fault>& faults_;
};

}  // namespace

bool parse_condition(std::string_view text, AlertRule& rule, std::string& wrong, std::string& right) {
  right = condition_right;
  const auto sign = text.find_first_of("<>");
  const auto name = trimmed(text.substr(0, sign));
  const auto measure = admin::measure_named(name);
  if (!measure) {
    wrong = name.empty() ? "nothing is measured" : "there is no measure " + shown(name);
    if (!name.empty()) right = known_words(name, admin::measure_names());
    return false;
  }
  rule.measure = *measure;
  if (sign == std::string_view::npos) {
    if (admin::is_flag(*measure)) return true;
    wrong = std::string(name) + " is compared with nothing";
    return false;
  }
  if (admin::is_flag(*measure)) {
    wrong = std::string(name) + " is true or not, and compared with nothing";
    right = "write when: " + std::string(name);
    return false;
  }
  const auto kind = admin::kind_of(*measure);
  const bool is_time = kind == MeasureKind::time || *measure == admin::Measure::loop_delay;
  const auto number_text = trimmed(text.substr(sign + 1));
  const auto number = parse_threshold(number_text, kind, is_time);
  if (!number) {
    wrong = shown(number_text) + " is not a number that " + std::string(name) + " can have";
    return false;
  }
  rule.above = text[sign] == '>';
  rule.threshold = *number;
  // Nothing is under 0, and no percentage is above 100.
  if ((!rule.above && *number == 0) ||
      (kind == MeasureKind::percent && (*number > 100 || (rule.above && *number == 100)))) {
    wrong = shown(text) + " can never be";
    return false;
  }
  return true;
}

std::vector<AlertRule> read_alert_rules(const TreeNode& node, const std::string& file, std::vector<Fault>& faults) {
  std::vector<AlertRule> rules;
  if (node.broken || node.kind == TreeNode::Kind::null) return rules;
  if (node.kind != TreeNode::Kind::sequence) {
    faults.push_back({file, node.line, "alerts.rules: this is not a list", "write \"- name: …\" for each rule"});
    return rules;
  }
  if (node.items.size() > most_rules) {
    faults.push_back({file, node.line, "alerts.rules: there are " + std::to_string(node.items.size()) + " rules",
                      "write " + std::to_string(most_rules) + " at the most"});
    return rules;
  }
  RuleReader reader(file, faults);
  for (const auto& item : node.items) {
    auto rule = reader.read(item);
    if (!rule) continue;
    if (std::ranges::find(rules, rule->name, &AlertRule::name) != rules.end()) {
      faults.push_back(
          {file, item.line, "two rules of alerts are called " + shown(rule->name), "give each its own name"});
      continue;
    }
    rules.push_back(std::move(*rule));
  }
  return rules;
}

std::optional<WebhookAddress> parse_webhook(std::string_view text, std::string& wrong) {
  const auto scheme_end = text.find("://");
  const auto authority = scheme_end == std::string_view::npos ? std::string_view::npos : scheme_end + 3;
  const auto path = text.find_first_of("/?#", std::min(authority, text.size()));
  const auto scheme = text.substr(0, std::min(scheme_end, text.size()));
  if (scheme == "https" || scheme == "HTTPS") {
    wrong = "TLS to webhooks is not supported by this version; a relay on this machine can speak it";
    return std::nullopt;
  }
  auto server = parse_origin(text.substr(0, path), wrong);
  if (!server) return std::nullopt;
  std::string rest(path == std::string_view::npos ? std::string_view("/") : text.substr(path));
  if (rest.starts_with('?')) rest.insert(0, "/");
  auto target = http::normalise_target(rest);
  if (!target) {
    wrong = "its path is not a valid one";
    return std::nullopt;
  }
  return WebhookAddress{std::move(*server), std::move(*target)};
}

}  // namespace larder::config
