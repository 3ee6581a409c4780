#include "larder/admin/alerts.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace larder::admin {
namespace {

// What the measure is worth now; empty where nothing can be said yet.
std::optional<double> current_value(const AlertRule& rule, const Series& series) {
  const auto kind = kind_of(rule.measure);
  if (kind == MeasureKind::state) return value_of(rule.measure, series.last(), series.last());
  const auto* first = series.before(rule.window);
  if (first == nullptr && kind == MeasureKind::count && rule.above) first = series.within(rule.window);
  return first == nullptr ? std::nullopt : value_of(rule.measure, *first, series.last(), rule.least);
}

bool holds(const AlertRule& rule, double value) noexcept {
  if (is_flag(rule.measure)) return value > 0;
  return rule.above ? value > rule.threshold : value < rule.threshold;
}

}  // namespace

std::string describe(const AlertChange& change) {
  if (change.begins) {
    return fmt::format("{} begins: {}, and it is {}", change.name, change.when, change.value.value_or(0));
  }
  const auto lasted = std::chrono::duration_cast<std::chrono::seconds>(change.lasted).count();
  if (change.is_dropped) {
    return fmt::format("{} ends after {} s: the configuration has no such alert any more", change.name, lasted);
  }
  return fmt::format("{} ends after {} s: not {} any more{}", change.name, lasted, change.when,
                     change.value ? fmt::format(", it is {}", *change.value) : ", as too little comes to tell");
}

std::string to_webhook_body(const AlertChange& change) {
  Json body{{"alert", change.name},
            {"state", change.begins ? "begins" : "ends"},
            {"when", change.when},
            {"value", nullptr},
            {"time", iso_time(change.at)}};
  if (change.value) body["value"] = *change.value;
  if (!change.begins) body["lasted_seconds"] = static_cast<double>(change.lasted.count()) / 1000;
  body["text"] = describe(change);
  return serialise(body) + '\n';
}

AlertBook::AlertBook(std::vector<AlertRule> rules) { (void)replace(std::move(rules), {}, {}); }

std::vector<AlertChange> AlertBook::replace(std::vector<AlertRule> rules, std::chrono::steady_clock::time_point now,
                                            std::chrono::system_clock::time_point told_now) {
  auto before = std::exchange(entries_, {});
  for (auto& rule : rules) {
    const auto same = std::ranges::find(before, rule, &Entry::rule);
    if (same != before.end()) {
      entries_.push_back(std::move(*same));
      before.erase(same);
      continue;
    }
    Entry entry;
    entry.state.name = rule.name;
    entry.state.when = admin::describe(rule);
    const auto known = std::ranges::find(before, rule.name, [](const Entry& e) { return e.rule.name; });
    if (known != before.end()) entry.state.begun = known->state.begun;
    entry.rule = std::move(rule);
    entries_.push_back(std::move(entry));
  }
  std::vector<AlertChange> ended;
  for (const auto& entry : before) {
    if (!entry.state.active) continue;
    ended.push_back({.name = entry.rule.name,
                     .when = entry.state.when,
                     .begins = false,
                     .value = {},
                     .at = told_now,
                     .lasted = std::chrono::duration_cast<std::chrono::milliseconds>(now - entry.began),
                     .is_dropped = true});
  }
  return ended;
}

std::vector<AlertChange> AlertBook::judge(const Series& series) {
  std::vector<AlertChange> changes;
  const auto& last = series.last();
  for (auto& [rule, state, holds_since, began] : entries_) {
    state.value = current_value(rule, series);
    if (!state.value || !holds(rule, *state.value)) {
      holds_since.reset();
    } else if (!holds_since) {
      holds_since = last.at;
    }
    const bool is_due = holds_since && last.at - *holds_since >= rule.lasting;
    if (is_due == state.active) continue;
    state.active = is_due;
    AlertChange change{.name = rule.name,
                       .when = state.when,
                       .begins = is_due,
                       .value = state.value,
                       .at = last.told_at,
                       .lasted = {}};
    if (is_due) {
      state.since = last.told_at;
      ++state.begun;
      began = last.at;
    } else {
      change.lasted = std::chrono::duration_cast<std::chrono::milliseconds>(last.at - began);
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

std::vector<AlertState> AlertBook::states() const {
  std::vector<AlertState> states;
  for (const auto& entry : entries_) states.push_back(entry.state);
  return states;
}

}  // namespace larder::admin
