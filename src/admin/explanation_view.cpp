#include "larder/admin/explanation_view.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/policy/cache_groups.hpp"
#include "larder/policy/vary.hpp"

namespace larder::admin {
namespace {

using policy::Explanation;
using policy::Route;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json seconds_or_null(const std::optional<policy::Seconds>& value) {
  return value ? Json(value->count()) : Json(nullptr);
}

template <class Reason>
Json reason_json(Reason reason) {
  return {{"name", policy::to_string(reason)}, {"meaning", policy::meaning(reason)}};
}

Json route_json(const Route& route) {
  Json json{{"match", route.match_text}, {"file", route.file}, {"line", route.line}};
  if (route.cache_off) json["cache"] = "off";
  if (route.type) json["cache"] = route.type->name;
  return json;
}

std::string_view use_name(policy::Use use) noexcept {
  switch (use) {
    case policy::Use::serve:
      return "serve";
    case policy::Use::serve_stale:
      return "serve_stale";
    case policy::Use::serve_stale_and_revalidate:
      return "serve_stale_and_revalidate";
    case policy::Use::revalidate:
      return "revalidate";
  }
  return {};
}

// Tags of our own begin with a control byte; they are shown as what they stand for.
std::string shown_selector(const policy::Selector& selector) {
  if (selector.kind == policy::SelectorKind::all) return "everything";
  if (selector.kind != policy::SelectorKind::tag || !policy::is_own_tag(selector.value)) {
    return fmt::format("{} {}", policy::to_string(selector.kind), selector.value);
  }
  std::string text;
  for (const char c : selector.value) {
    if (c == policy::own_tag_mark) {
      if (!text.empty()) text += ' ';
    } else {
      text += c;
    }
  }
  return "tag of our own: " + text;
}

Json key_json(const policy::ExplainedKey& key) {
  auto variables = Json::array();
  for (const auto& [name, value] : key.variables) variables.push_back({{"name", name}, {"value", or_null(value)}});
  return {{"key", key.key},
          {"type", key.type},
          {"host", or_null(key.origin)},
          {"identity", key.has_identity ? Json(key.identity.value_or("absent")) : Json(nullptr)},
          {"path", key.path},
          {"template", or_null(key.template_text)},
          {"template_is_the_key", key.is_template},
          {"variables", std::move(variables)},
          {"query",
           {{"counts", key.is_template      ? "as the template names it"
                       : key.is_whole_query ? "whole"
                                            : "filtered"},
            {"sorted", key.is_sorted},
            {"parameters", key.parameters},
            {"left_out", key.left_out}}},
          {"purge_target", key.purge_target}};
}

Json freshness_json(const policy::FreshnessArithmetic& f) {
  return {{"freshness_lifetime", f.freshness_lifetime.count()},
          {"source", policy::to_string(f.source)},
          {"date_value", f.date_value ? Json(iso_time(*f.date_value)) : Json(nullptr)},
          {"apparent_age", f.apparent_age.count()},
          {"age_value", seconds_or_null(f.age_value)},
          {"response_delay", seconds_or_null(f.response_delay)},
          {"corrected_age_value", seconds_or_null(f.corrected_age_value)},
          {"corrected_initial_age", f.corrected_initial_age.count()},
          {"response_time", iso_time(f.response_time)},
          {"now", iso_time(f.now)},
          {"resident_time", f.resident_time.count()},
          {"current_age", f.current_age.count()},
          {"response_is_fresh", f.is_fresh},
          {"staleness", f.staleness.count()},
          {"stale_while_revalidate", f.stale_while_revalidate.count()},
          {"stale_if_error", f.stale_if_error.count()},
          {"must_revalidate", f.must_revalidate},
          {"no_cache", f.no_cache},
          {"retention", f.retention.count()}};
}

Json reuse_json(const policy::Reuse& reuse) {
  return {{"use", use_name(reuse.use)}, {"reason", reason_json(reuse.reason)}};
}

Json storing_json(const policy::ExplainedStoring& storing) {
  return {{"stored", storing.reason == policy::NotStored::none},
          {"reason", reason_json(storing.reason)},
          {"evidence", storing.evidence},
          {"directives_from", storing.directives_field},
          {"lifetime_from", storing.lifetime_from},
          {"freshness", freshness_json(storing.freshness)},
          {"has_validator", storing.has_validator},
          {"selecting_header_fields", storing.vary},
          {"variant_key", storing.variant_key},
          {"cache_groups", storing.cache_groups},
          {"answers_other_queries", storing.has_query_variance},
          {"reuse", reuse_json(storing.reuse)}};
}

Json purging_json(const policy::PurgingRule& rule) {
  auto when = Json::object();
  for (const auto& [name, value] : rule.when) when[name] = value;
  return {{"route", route_json(*rule.route)},
          {"kind", policy::to_string(rule.selector->kind)},
          {"selector", rule.selector->value.text()},
          {"when", std::move(when)},
          {"path", rule.path}};
}

Json write_json(const policy::ExplainedWrite& write) {
  auto purges = Json::array();
  for (const auto& [selector, cause, route] : write.purges) {
    Json json{{"kind", policy::to_string(selector.kind)},
              {"value", selector.value},
              {"shown", shown_selector(selector)},
              {"cause", policy::to_string(cause)}};
    if (route != nullptr) json["route"] = route_json(*route);
    purges.push_back(std::move(json));
  }
  auto without = Json::array();
  for (const auto& [route, count] : write.without_value) {
    without.push_back({{"route", route_json(*route)}, {"selectors", count}});
  }
  return {
      {"changes_something", write.is_changing}, {"purges", std::move(purges)}, {"without_value", std::move(without)}};
}

Json stored_json(const store::StoredResponse& stored, const policy::RuleSet& rules, policy::TimePoint now) {
  auto purged_by = Json::array();
  for (const auto& rule : policy::purging_rules(rules, stored.subject())) purged_by.push_back(purging_json(rule));
  auto tags = Json::array();
  for (const auto tag : stored.tags()) {
    if (!policy::is_own_tag(tag)) tags.push_back(tag);
  }
  const auto fields = stored.fields();
  return {{"key", stored.key()},
          {"status", stored.status()},
          {"target", stored.target()},
          {"size", stored.body().size()},
          {"complete", stored.is_complete()},
          {"selecting_header_fields", policy::selecting_names(stored.selecting())},
          {"tags", std::move(tags)},
          {"purged_by", std::move(purged_by)},
          {"has_validator", stored.has_validator()},
          {"freshness", freshness_json(policy::arithmetic(stored.lifetime(), fields, stored.has_validator(), now))}};
}

// Text.

class Lines {
 public:
  // A line with its label; what follows it has none.
  void add(std::string_view label, std::string_view text) { text_ += fmt::format("{:<9} {}\n", label, text); }
  void more(std::string_view text) { add("", text); }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string shown_route(const Route& route) { return fmt::format("{}  {}", policy::place_of(route), route.match_text); }

std::string joined(const std::vector<std::string>& texts, std::string_view separator = ", ") {
  return fmt::format("{}", fmt::join(texts, separator));
}

std::string_view why_passed_over(policy::PassedOver reason) noexcept {
  switch (reason) {
    case policy::PassedOver::not_caching:
      return "it only purges";
    case policy::PassedOver::method:
      return "other method";
    case policy::PassedOver::path:
      return "path does not match";
    case policy::PassedOver::none:
      break;
  }
  return "it matches";
}

void add_rule(Lines& lines, const Explanation& e) {
  const auto* const route = e.admission.route;
  if (route != nullptr) {
    std::string captures;
    for (const auto& [name, value] : e.captures) captures += fmt::format("  {{{}}}={}", name, value);
    lines.add("rule",
              fmt::format("{}  ->  cache: {}{}", shown_route(*route),
                          route->cache_off ? std::string_view("off") : std::string_view(route->type->name), captures));
  } else {
    lines.add("rule", e.admission.reason == policy::NotReused::method ? "none is looked for: the method is not cached"
                                                                      : "none matches");
  }
  if (e.admission.reason == policy::NotReused::method) return;
  std::size_t behind = 0;
  for (const auto& [passed, reason] : e.passed_over) {
    if (reason) {
      lines.more(fmt::format("passed over: {}  ({})", shown_route(*passed), why_passed_over(*reason)));
    } else {
      ++behind;
    }
  }
  if (behind > 0) lines.more(fmt::format("not looked at: {} behind it, as the first match counts", behind));
}

void add_key(Lines& lines, const policy::ExplainedKey& key) {
  lines.add("key", key.key);
  lines.more(fmt::format("type {}; host {}", key.type, key.origin ? *key.origin : "shared by all (host: false)"));
  if (key.has_identity) {
    lines.more(key.identity ? fmt::format("identity: SHA-256 {}", *key.identity)
                            : "identity: the request has none; entries of requests without one are their own");
  }
  for (const auto& [name, value] : key.variables) {
    lines.more(value ? fmt::format("{} = {}", name, *value) : fmt::format("{} has no value (or more than one)", name));
  }
  if (key.template_text) {
    lines.more(key.is_template
                   ? fmt::format("template \"{}\" is the key: path and query count as far as it names them",
                                 *key.template_text)
                   : fmt::format("template \"{}\" cannot be used, so it is the md5 form", *key.template_text));
  }
  if (key.is_template) return;
  lines.more(fmt::format("path {}", key.path));
  lines.more(fmt::format("query: {}{}{}",
                         key.parameters.empty() ? std::string("nothing of it counts") : joined(key.parameters, "&"),
                         key.is_whole_query && !key.parameters.empty() ? " (all of it, in this order)" : "",
                         key.is_sorted ? " (sorted by name)" : ""));
  if (!key.left_out.empty()) lines.more(fmt::format("left out: {}", joined(key.left_out, "&")));
}

void add_freshness(Lines& lines, const policy::FreshnessArithmetic& f, std::string_view from) {
  lines.add("freshness", fmt::format("freshness_lifetime = {} s, source {} ({})", f.freshness_lifetime.count(),
                                     policy::to_string(f.source), from));
  lines.more(fmt::format("apparent_age = max(0, response_time - date_value) = {} s{}", f.apparent_age.count(),
                         f.date_value ? "" : " (no valid Date)"));
  if (f.age_value && f.response_delay && f.corrected_age_value) {
    lines.more(fmt::format("corrected_age_value = age_value {} + response_delay {} = {} s", f.age_value->count(),
                           f.response_delay->count(), f.corrected_age_value->count()));
  }
  lines.more(fmt::format("corrected_initial_age = max(apparent_age, corrected_age_value) = {} s",
                         f.corrected_initial_age.count()));
  lines.more(fmt::format("current_age = corrected_initial_age {} + resident_time {} = {} s",
                         f.corrected_initial_age.count(), f.resident_time.count(), f.current_age.count()));
  lines.more(fmt::format("{}; stale_while_revalidate {} s, stale_if_error {} s{}{}",
                         f.is_fresh ? fmt::format("fresh for {} s more", -f.staleness.count())
                                    : fmt::format("stale since {} s", f.staleness.count()),
                         f.stale_while_revalidate.count(), f.stale_if_error.count(),
                         f.must_revalidate ? "; must be revalidated once it is stale" : "",
                         f.no_cache ? "; no-cache: validated before each use" : ""));
}

// `reader`: who would be given it later.
void add_storing(Lines& lines, const policy::ExplainedStoring& storing, std::string_view reader) {
  const bool is_stored = storing.reason == policy::NotStored::none;
  lines.add("response", is_stored ? std::string("is stored")
                                  : fmt::format("is not stored: {} ({})", policy::to_string(storing.reason),
                                                policy::meaning(storing.reason)));
  for (const auto& line : storing.evidence) lines.more(fmt::format("because of  {}", line));
  add_freshness(lines, storing.freshness, storing.lifetime_from);
  if (!is_stored) return;
  if (!storing.vary.empty()) {
    lines.add("variants", fmt::format("by {}: {}", joined(storing.vary), storing.variant_key));
  } else {
    lines.add("variants", "none: the response has no Vary");
  }
  if (!storing.cache_groups.empty()) lines.more(fmt::format("cache groups: {}", joined(storing.cache_groups)));
  if (storing.has_query_variance) lines.more("No-Vary-Search: it answers other queries of its path too");
  lines.add("reuse", storing.reuse.use == policy::Use::serve
                         ? fmt::format("{} is a hit", reader)
                         : fmt::format("{}: {}, as {} ({})", reader, use_name(storing.reuse.use),
                                       policy::to_string(storing.reuse.reason), policy::meaning(storing.reuse.reason)));
}

std::string shown_when(const std::vector<std::pair<std::string, std::string>>& when) {
  std::string text;
  for (const auto& [name, value] : when) text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  return text;
}

void add_purged_by(Lines& lines, const Explanation& e) {
  lines.add("purged by", fmt::format("any write to {}{} (RFC 9111 §4.4)", e.origin, e.key->purge_target));
  for (const auto& rule : e.purged_by) {
    const auto when = shown_when(rule.when);
    lines.more(fmt::format("{}  {} {}{}{}", shown_route(*rule.route), policy::to_string(rule.selector->kind),
                           rule.selector->value.text(), when.empty() ? "" : "  when ", when));
  }
}

void add_write(Lines& lines, const policy::ExplainedWrite& write) {
  if (!write.is_changing) {
    lines.add("purges", "nothing: the origin has refused the write (4xx), so nothing has changed");
    return;
  }
  lines.add("purges", write.purges.empty() ? "nothing" : "before the client gets its answer:");
  for (const auto& [selector, cause, route] : write.purges) {
    lines.more(fmt::format("{}  ({}{}{})", shown_selector(selector), policy::to_string(cause),
                           route != nullptr ? " " : "", route != nullptr ? policy::place_of(*route) : std::string()));
  }
  for (const auto& [route, count] : write.without_value) {
    lines.more(fmt::format("{}: {} selector(s) left out, as a variable has no value in this request",
                           policy::place_of(*route), count));
  }
}

}  // namespace

Json to_json(const Explanation& e) {
  auto passed = Json::array();
  for (const auto& [route, reason] : e.passed_over) {
    auto json = route_json(*route);
    json["reason"] = reason ? Json(policy::to_string(*reason)) : Json("not_looked_at");
    passed.push_back(std::move(json));
  }
  auto captures = Json::object();
  for (const auto& [name, value] : e.captures) captures[name] = value;
  Json json{{"method", e.method},
            {"asked_target", e.asked_target},
            {"target", e.target},
            {"host", e.origin},
            {"way", policy::to_string(e.admission.way)},
            {"reason", reason_json(e.admission.reason)},
            {"route", e.admission.route != nullptr ? route_json(*e.admission.route) : Json(nullptr)},
            {"captures", std::move(captures)},
            {"passed_over", std::move(passed)},
            {"key", e.key ? key_json(*e.key) : Json(nullptr)},
            {"tags", e.tags}};
  auto purged_by = Json::array();
  for (const auto& rule : e.purged_by) purged_by.push_back(purging_json(rule));
  json["purged_by"] = std::move(purged_by);
  json["response"] = e.storing ? storing_json(*e.storing) : Json(nullptr);
  json["write"] = e.write ? write_json(*e.write) : Json(nullptr);
  return json;
}

Json to_json(const proxy::Inspection& inspection, const policy::RuleSet& rules, policy::TimePoint now) {
  auto tiers = Json::array();
  for (const auto& finding : inspection.tiers) {
    Json json{{"tier", finding.tier}, {"asked", finding.is_asked}, {"found", finding.stored != nullptr}};
    json["reason"] = reason_json(finding.reason);
    if (finding.stored) {
      json["use"] = use_name(finding.use);
      json["may_serve_on_error"] = finding.may_serve_on_error;
      json["entry"] = stored_json(*finding.stored, rules, now);
    }
    tiers.push_back(std::move(json));
  }
  auto variants = Json::array();
  for (const auto& variant : inspection.variants) {
    variants.push_back({{"key", variant->key()},
                        {"selecting_header_fields", policy::selecting_names(variant->selecting())},
                        {"ttl", -variant->lifetime().staleness(now).count()}});
  }
  return {{"outcome", policy::to_string(inspection.outcome)},
          {"reason", reason_json(inspection.reason)},
          {"tier", inspection.tier.empty() ? Json(nullptr) : Json(inspection.tier)},
          {"would_validate", inspection.would_validate},
          {"is_filling", inspection.is_filling},
          {"variants_in_memory", std::move(variants)},
          {"tiers", std::move(tiers)}};
}

std::string to_json_text(const Explanation& e) { return serialise(to_json(e)) + '\n'; }

std::string to_text(const Explanation& e) {
  Lines lines;
  lines.add("request", fmt::format("{} {}{}", e.method, e.origin, e.target));
  if (e.asked_target != e.target) lines.more(fmt::format("normalised from {}", e.asked_target));
  add_rule(lines, e);
  switch (e.admission.way) {
    case policy::Way::look_up:
      lines.add("way", "it is looked up; without a stored response the origin is asked");
      break;
    case policy::Way::query:
      lines.add("way", "it is looked up by its content too: the key ends with \":\" and its digest");
      break;
    case policy::Way::write:
      lines.add("way", "it goes to the origin, and purges");
      break;
    case policy::Way::pass:
      lines.add("way", fmt::format("it is passed on: {} ({})", policy::to_string(e.admission.reason),
                                   policy::meaning(e.admission.reason)));
      break;
  }
  if (e.key) {
    add_key(lines, *e.key);
    lines.add("tags", e.tags.empty() ? "none" : joined(e.tags));
  }
  if (e.storing) add_storing(lines, *e.storing, e.write ? "a GET of its target" : "the same request again");
  if (e.key) add_purged_by(lines, e);
  if (e.write) add_write(lines, *e.write);
  return lines.take();
}

}  // namespace larder::admin
