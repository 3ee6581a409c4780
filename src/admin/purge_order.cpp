#include "larder/admin/purge_order.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "larder/admin/endpoint.hpp"
#include "larder/admin/json_object.hpp"
#include "larder/http/target.hpp"

namespace larder::admin {
namespace {

using policy::Selector;
using policy::SelectorKind;

constexpr std::string_view right_order =
    R"(right would be one of {"pattern":"cache:search:*"}, {"tag":"product:42"}, {"path":"/api/products/**"} and )"
    R"({"key":"cache:user:profile:42"}, with "dry_run":true to count only)";

Answer bad_order(std::string_view name, std::string_view what) {
  return failure(400, name, fmt::format("{}; {}", what, right_order));
}

// '*' and '**' are whole segments, so a '*' anywhere else would be looked for literally: hardly what was meant.
bool has_partial_wildcard(std::string_view pattern) noexcept {
  while (!pattern.empty()) {
    const auto end = std::min(pattern.find('/'), pattern.size());
    const auto segment = pattern.substr(0, end);
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
    if (segment == "*" || segment == "**" || segment.starts_with('\\')) continue;
    if (segment.find('*') != std::string_view::npos) return true;
  }
  return false;
}

std::variant<Selector, Answer> path_order(std::string value) {
  if (!value.starts_with('/')) {
    return failure(400, "bad_path", "a path begins with '/'; right would be /api/products/** or /api/products/*");
  }
  if (value.find_first_of("?#") != std::string::npos) {
    return failure(400, "bad_path",
                   "a path pattern has no query or fragment: every query of a matching path is purged; leave it out");
  }
  if (value.find_first_of("{}") != std::string::npos) {
    return failure(400, "bad_path", "there is nothing to capture here; write * for one segment, ** for any number");
  }
  if (has_partial_wildcard(value)) {
    return failure(400, "bad_path",
                   "'*' and '**' stand for whole segments; for a literal '*' write a '\\' at the segment's beginning");
  }
  // Quoted segments are not URI text; who writes them knows the stored form.
  if (value.find('\\') == std::string::npos) {
    auto normal = http::normalise_target(policy::printable_key(value));
    if (!normal) {
      return failure(400, "bad_path", "no target URI has such a path; percent-encode what is not a URI character");
    }
    value = std::move(*normal);
  }
  return Selector{SelectorKind::path, std::move(value)};
}

std::variant<Selector, Answer> selector_of(std::string_view name, std::string value) {
  if (value.empty() || value.size() > max_selector) {
    return failure(400, "bad_length",
                   fmt::format("{} has {} bytes; right would be 1 to {}", name, value.size(), max_selector));
  }
  if (name == "tag") return Selector{SelectorKind::tag, std::move(value)};
  if (name == "path") return path_order(std::move(value));
  if (!value.starts_with("cache:")) {
    return failure(400, name == "key" ? "bad_key" : "bad_pattern",
                   fmt::format("every cache key begins with \"cache:\", so this {} names none; right would be "
                               "cache:<type>:*, and POST /api/cache/clear-all to purge everything",
                               name));
  }
  return Selector{name == "key" ? SelectorKind::key : SelectorKind::glob, std::move(value)};
}

constexpr const char* dry_run_is_no_boolean = "\"dry_run\" is not true or false";

}  // namespace

std::variant<PurgeOrder, Answer> parse_purge_order(std::string_view body) {
  auto parsed = parse_object(body);
  if (const auto* const wrong = std::get_if<NoObject>(&parsed)) return bad_order(wrong->name, wrong->what);
  auto& order = std::get<Json>(parsed);
  PurgeOrder result;
  if (const auto dry_run = order.find("dry_run"); dry_run != order.end()) {
    if (!dry_run->is_boolean()) return bad_order("bad_order", dry_run_is_no_boolean);
    result.dry_run = dry_run->get<bool>();
    order.erase("dry_run");
  }
  if (order.size() != 1) {
    return bad_order("bad_order", fmt::format("the body has {} members that say what to purge, not one", order.size()));
  }
  const auto& name = order.begin().key();
  if (name != "pattern" && name != "tag" && name != "path" && name != "key") {
    return bad_order("bad_order", fmt::format("there is no \"{}\"", name.substr(0, 64)));
  }
  const auto& value = order.begin().value();
  if (!value.is_string()) return bad_order("bad_order", fmt::format("\"{}\" is not a string", name));
  auto selector = selector_of(name, value.get<std::string>());
  if (auto* const wrong = std::get_if<Answer>(&selector)) return std::move(*wrong);
  result.selector = std::get<Selector>(std::move(selector));
  return result;
}

std::variant<bool, Answer> parse_dry_run(std::string_view body) {
  constexpr std::string_view right = R"(right would be no body, or {"dry_run":true} to count only)";
  if (body.empty()) return false;
  const auto parsed = parse_object(body);
  if (const auto* const wrong = std::get_if<NoObject>(&parsed)) {
    return failure(400, wrong->name, fmt::format("{}; {}", wrong->what, right));
  }
  const auto& order = std::get<Json>(parsed);
  if (order.empty()) return false;
  const auto dry_run = order.find("dry_run");
  if (dry_run == order.end() || order.size() != 1) {
    return failure(400, "bad_order", fmt::format("the body has members that mean nothing here; {}", right));
  }
  if (!dry_run->is_boolean()) return failure(400, "bad_order", fmt::format("{}; {}", dry_run_is_no_boolean, right));
  return dry_run->get<bool>();
}

std::variant<Selector, Answer> type_order(std::string_view raw_name, const policy::RuleSet& rules) {
  if (auto name = percent_decoded(raw_name); name && rules.type(*name) != nullptr) {
    return Selector{SelectorKind::type, std::move(*name)};
  }
  auto types = Json::array();
  for (const auto& type : rules.types) types.push_back(type->name);
  return failure(404, "unknown_type",
                 fmt::format("the rules have no type {}; see \"types\" for those they have", raw_name.substr(0, 64)),
                 {{"types", std::move(types)}});
}

Json to_json(const PurgeReport& report) {
  auto purged = Json::array();
  for (const auto& selector : report.selectors) {
    purged.push_back({{"kind", policy::to_string(selector.kind)}, {"value", selector.value}});
  }
  Json json{{"purged", std::move(purged)}};
  if (report.found) json["found"] = *report.found;
  json["delivered"] = report.pending == 0;
  if (report.pending > 0) {
    json["note"] = report.journalled ? "holds on this node; Redis has not taken it yet, and it waits in the journal "
                                       "until Redis does"
                                     : "holds on this node as long as this process runs; Redis has not taken it yet, "
                                       "and there is no journal";
  }
  json["pending_purges"] = report.pending;
  json["epoch"] = std::to_string(report.epoch);
  json["clock"] = report.clock;
  return json;
}

}  // namespace larder::admin
