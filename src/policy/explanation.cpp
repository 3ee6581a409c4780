#include "larder/policy/explanation.hpp"

#include <algorithm>
#include <cstddef>

#include "larder/http/target.hpp"
#include "larder/http/token.hpp"
#include "larder/policy/cache_groups.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/no_vary_search.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/targeted_cache_control.hpp"
#include "larder/policy/validation.hpp"
#include "larder/policy/vary.hpp"

namespace larder::policy {
namespace {

// Steps of matching one template with one text: hostile tags must not make an explanation slow.
constexpr std::size_t most_steps = 20000;

std::string line(std::string_view name, std::string_view value) { return std::string(name).append(": ").append(value); }

// All lines of a field as they stand; none where it is absent.
void add_lines(std::vector<std::string>& lines, http::FieldSpan fields, std::string_view name) {
  for (const auto& field : fields) {
    if (http::iequals(field.name, name)) lines.push_back(line(field.name, field.value));
  }
}

std::string variable_name(const Template::Part& part) {
  switch (part.kind) {
    case Template::Part::Kind::literal:
      return part.text;
    case Template::Part::Kind::capture:
      return "{" + part.text + "}";
    case Template::Part::Kind::query:
      return "{query." + part.text + "}";
    case Template::Part::Kind::header:
      return "{header." + part.text + "}";
    case Template::Part::Kind::cookie:
      return "{cookie." + part.text + "}";
    case Template::Part::Kind::identity:
      return "{identity}";
  }
  return {};
}

using Bindings = std::vector<std::pair<std::string, std::string>>;

// Whether a template can be worth `text`, and which values its variables have then.
class TemplateMatcher {
 public:
  explicit TemplateMatcher(const std::vector<Template::Part>& parts) : parts_(parts) {}

  /// Where it takes too long to tell, true and no values.
  bool match(std::string_view text) {
    bindings_.clear();
    steps_ = 0;
    if (match_from(0, text)) return true;
    bindings_.clear();
    return steps_ > most_steps;
  }
  [[nodiscard]] const Bindings& bindings() const noexcept { return bindings_; }

 private:
  bool match_from(std::size_t index, std::string_view text) {
    if (++steps_ > most_steps) return false;
    if (index == parts_.size()) return text.empty();
    const auto& part = parts_[index];
    if (part.kind == Template::Part::Kind::literal) {
      return text.starts_with(part.text) && match_from(index + 1, text.substr(part.text.size()));
    }
    const auto name = variable_name(part);
    const auto known = std::ranges::find(bindings_, name, &Bindings::value_type::first);
    if (known != bindings_.end()) {
      const auto value = known->second;
      return text.starts_with(value) && match_from(index + 1, text.substr(value.size()));
    }
    const bool is_capture = part.kind == Template::Part::Kind::capture;
    // What a path has captured is one segment, and not empty.
    for (std::size_t size = is_capture ? 1 : 0; size <= text.size(); ++size) {
      if (is_capture && text[size - 1] == '/') break;
      bindings_.emplace_back(name, text.substr(0, size));
      if (match_from(index + 1, text.substr(size))) return true;
      bindings_.pop_back();
    }
    return false;
  }

  const std::vector<Template::Part>& parts_;
  Bindings bindings_;
  std::size_t steps_ = 0;
};

// The template's text with each variable replaced: as a path pattern, each segment that holds one becomes '*'.
std::string with_wildcards(const Template& text, bool is_path) {
  constexpr char mark = '\0';
  std::string out;
  for (const auto& part : text.parts()) {
    if (part.kind == Template::Part::Kind::literal) {
      out += part.text;
    } else {
      out += is_path ? mark : '*';
    }
  }
  if (!is_path) return out;
  std::string pattern;
  for (std::size_t at = 0; at < out.size();) {
    const auto end = std::min(out.find('/', at + 1), out.size());
    const auto segment = std::string_view(out).substr(at, end - at);
    if (segment.find(mark) == std::string_view::npos) {
      pattern += segment;
    } else {
      pattern += "/*";
    }
    at = end;
  }
  return pattern;
}

// The values that whole segments of a path selector have, up to its first "**".
Bindings segment_bindings(const Template& text, std::string_view target) {
  Bindings bindings;
  auto rest = target.substr(0, target.find('?'));
  const auto& parts = text.parts();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    if (part.kind == Template::Part::Kind::literal) {
      if (part.text.find('*') != std::string::npos || !rest.starts_with(part.text)) return bindings;
      rest.remove_prefix(part.text.size());
      continue;
    }
    const auto size = std::min(rest.find('/'), rest.size());
    const bool is_whole = i + 1 == parts.size() || parts[i + 1].text.starts_with('/');
    if (!is_whole) return bindings;
    bindings.emplace_back(variable_name(part), rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return bindings;
}

// Empty optional where no write can expand it to a selector that names the subject.
std::optional<Bindings> names(const SelectorTemplate& selector, const PurgeSubject& subject) {
  const auto& text = selector.value;
  if (selector.kind == SelectorKind::all) return Bindings{};
  if (text.is_literal()) {
    return matches({selector.kind, text.text()}, subject) ? std::optional(Bindings{}) : std::nullopt;
  }
  if (selector.kind == SelectorKind::glob || selector.kind == SelectorKind::path) {
    const bool is_path = selector.kind == SelectorKind::path;
    if (!matches({selector.kind, with_wildcards(text, is_path)}, subject)) return std::nullopt;
    return is_path ? segment_bindings(text, subject.target) : Bindings{};
  }
  TemplateMatcher matcher(text.parts());
  const auto tries = [&matcher](std::string_view value) { return matcher.match(value); };
  bool is_named = false;
  if (selector.kind == SelectorKind::tag) {
    is_named = std::ranges::any_of(subject.tags.strings(), tries);
  } else if (selector.kind == SelectorKind::type) {
    is_named = tries(subject.type);
  } else if (selector.kind == SelectorKind::key) {
    is_named = tries(subject.base_key) || tries(subject.key);
  }
  return is_named ? std::optional(matcher.bindings()) : std::nullopt;
}

// A route's path pattern with the values of captures put in.
std::string filled_path(const Route& route, const Bindings& bindings) {
  auto path = route.path.text();
  for (const auto& [name, value] : bindings) {
    const auto at = path.find(name);
    if (at != std::string::npos) path.replace(at, name.size(), value);
  }
  return path;
}

ExplainedKey explain_key(const http::RequestHead& request, const RouteMatch& match) {
  const auto& route = *match.route;
  ExplainedKey out;
  std::string canonical;
  out.is_template = canonical_request(request, match, canonical) == 0;
  out.key = cache_key(request, match, canonical);
  out.type = route.type->name;
  if (route.key_has_host) out.origin = http::origin_text(request.scheme, request.authority);
  if (route.identity) {
    out.has_identity = true;
    out.identity = identity_of(*route.identity, request);
  }
  out.path = request.path();
  if (route.key) {
    out.template_text = route.key->text();
    for (const auto& part : route.key->parts()) {
      if (part.kind == Template::Part::Kind::literal) continue;
      std::string value;
      const bool has_value = append_value(part, request, match.captures, out.identity, Repeated::no_value, value);
      out.variables.push_back({variable_name(part), has_value ? std::optional(std::move(value)) : std::nullopt});
    }
  }
  const auto query = request.query();
  const auto kept = parameters_in_key(route.query, query);
  out.is_whole_query = route.query.filter == QueryRule::Filter::all && !route.query.sort;
  out.is_sorted = route.query.sort;
  out.parameters.assign(kept.begin(), kept.end());
  for (const auto parameter : parameters_in_key({}, query)) {
    const auto is_same = [parameter](std::string_view one) { return one.data() == parameter.data(); };
    if (std::ranges::none_of(kept, is_same)) out.left_out.emplace_back(parameter);
  }
  out.purge_target = purge_target(request, route);
  return out;
}

FreshnessArithmetic arithmetic_of(const Lifetime& lifetime, bool has_validator, TimePoint now) {
  FreshnessArithmetic out;
  out.freshness_lifetime = lifetime.freshness_lifetime;
  out.source = lifetime.source;
  out.corrected_initial_age = lifetime.corrected_initial_age;
  out.response_time = lifetime.response_time;
  out.now = now;
  out.resident_time = lifetime.resident_time(now);
  out.current_age = lifetime.current_age(now);
  out.is_fresh = lifetime.is_fresh(now);
  out.staleness = lifetime.staleness(now);
  out.stale_while_revalidate = lifetime.stale_while_revalidate;
  out.stale_if_error = lifetime.stale_if_error;
  out.must_revalidate = lifetime.must_revalidate;
  out.no_cache = lifetime.no_cache;
  out.retention = lifetime.retention(has_validator);
  return out;
}

std::string lifetime_from(const Lifetime& lifetime, http::FieldSpan fields, const Route& route) {
  const auto directives = caching_directives(fields);
  const auto of_field = [&fields](std::string_view name) {
    return line(name, http::combined(fields, name).value_or(""));
  };
  switch (lifetime.source) {
    case LifetimeSource::s_maxage:
    case LifetimeSource::max_age:
      return of_field(directives.field);
    case LifetimeSource::expires:
      return of_field("Expires");
    case LifetimeSource::heuristic:
      return "a tenth of the time since " + of_field("Last-Modified");
    case LifetimeSource::rule:
      return "ttl of " + place_of(route) + ", its type or the defaults, as the response has none of its own";
    case LifetimeSource::rule_override:
      return "ttl of " + place_of(route) + ", its type or the defaults, which wins by ttl_override";
    case LifetimeSource::rule_status:
      return "status: of " + place_of(route);
    case LifetimeSource::none:
      return "neither the response nor the rules give one";
  }
  return {};
}

// What of request and response a refusal is about.
std::vector<std::string> evidence(NotStored reason, const http::RequestHead& request,
                                  const http::ResponseHead& response, const Lifetime& lifetime) {
  std::vector<std::string> lines;
  switch (reason) {
    case NotStored::method:
      lines.push_back(std::string(request.method));
      break;
    case NotStored::request_no_store:
      add_lines(lines, request.fields, "Cache-Control");
      break;
    case NotStored::range_request:
      add_lines(lines, request.fields, "Range");
      lines.push_back("status " + std::to_string(response.status));
      break;
    case NotStored::status:
    case NotStored::upgrade:
      lines.push_back("status " + std::to_string(response.status));
      break;
    case NotStored::partial_content:
      lines.push_back("status " + std::to_string(response.status));
      add_lines(lines, response.fields, "Content-Range");
      break;
    case NotStored::no_store:
    case NotStored::private_response:
    case NotStored::must_understand:
      add_lines(lines, response.fields, caching_directives(response.fields).field);
      break;
    case NotStored::set_cookie:
      // Not its value, which is somebody's secret.
      lines.emplace_back("Set-Cookie");
      break;
    case NotStored::authorization:
      lines.emplace_back("Authorization of the request");
      break;
    case NotStored::cache_groups:
      add_lines(lines, response.fields, "Cache-Groups");
      break;
    case NotStored::vary_star:
      add_lines(lines, response.fields, "Vary");
      break;
    case NotStored::no_freshness_nor_validator:
    case NotStored::no_lifetime:
      for (const std::string_view name : {"Date", "Age", "Expires", "Last-Modified", "ETag"}) {
        add_lines(lines, response.fields, name);
      }
      add_lines(lines, response.fields, caching_directives(response.fields).field);
      lines.push_back("freshness_lifetime " + std::to_string(lifetime.freshness_lifetime.count()));
      break;
    case NotStored::too_large:
      add_lines(lines, response.fields, "Content-Length");
      break;
    default:
      break;
  }
  return lines;
}

ExplainedStoring explain_storing(const ExplainContext& context, const http::RequestHead& request,
                                 const AskedResponse& asked, const RouteMatch& match, std::string_view key) {
  const auto& route = *match.route;
  const http::ResponseHead response{
      .status = asked.status, .reason = {}, .version = http::Version::http_1_1, .fields = asked.fields};
  ExplainedStoring out;
  // As if the origin had answered at once.
  const auto lifetime = compute_lifetime(response, route.store, context.now, context.now);
  const auto age = initial_age(response.fields, context.now, context.now);
  out.reason = storable(request, response, route.store, lifetime, content_length(response.fields), context.max_object);
  out.evidence = evidence(out.reason, request, response, lifetime);
  out.has_validator = has_validator(response.fields);
  out.freshness = arithmetic_of(lifetime, out.has_validator, context.now);
  out.freshness.date_value = age.date_value;
  out.freshness.apparent_age = age.apparent_age;
  out.freshness.age_value = age.age_value;
  out.freshness.response_delay = age.response_delay;
  out.freshness.corrected_age_value = age.corrected_age_value;
  out.lifetime_from = lifetime_from(lifetime, response.fields, route);
  out.directives_field = caching_directives(response.fields).field;
  out.vary = vary_names(response.fields).names;
  const auto selecting = selecting_fields(out.vary, request.fields);
  out.variant_key =
      selecting.empty() ? std::string(key) : variant_key(key, variant_names(selecting, response.fields).front());
  out.cache_groups = cache_groups(response.fields).names;
  out.has_query_variance = context.rules->honour_no_vary_search && !query_variance(response.fields).is_default();
  RequestCacheControl client;
  if (context.rules->honour_client_directives) client = parse_request_cache_control(request.fields);
  out.reuse = decide_reuse(lifetime, client, context.now);
  return out;
}

// The answer to a POST may be kept for GETs of its target (RFC 9110 §9.3.3). Empty where it is not even a candidate.
std::optional<ExplainedStoring> explain_kept_answer(const ExplainContext& context, const http::RequestHead& request,
                                                    const AskedResponse& response) {
  if (request.method != "POST" || response.status >= 400) return std::nullopt;
  auto as_get = request;
  as_get.method = "GET";
  const auto match = context.rules->match_cache(as_get.method, as_get.path());
  if (match.route == nullptr || !match.route->caches()) return std::nullopt;
  auto out = explain_storing(context, request, response, match, explain_key(as_get, match).key);
  if (out.reason == NotStored::method) return std::nullopt;
  return out;
}

ExplainedWrite explain_write(const ExplainContext& context, const http::RequestHead& request,
                             const AskedResponse* asked) {
  ExplainedWrite out;
  http::ResponseHead response;
  if (asked != nullptr) {
    response.status = asked->status;
    response.fields = asked->fields;
    out.is_changing = may_have_changed(request.method, WriteEnd::answered, asked->status);
  }
  if (out.is_changing) {
    out.purges = write_purges(*context.rules, request, asked != nullptr ? &response : nullptr, context.preserve_host);
  }
  for (const auto& route : context.rules->routes) {
    if (!route.has_method(request.method) || !route.path.match(request.path(), nullptr)) continue;
    const auto count = route.purge.size() - route.purges(request).size();
    if (count > 0) out.without_value.emplace_back(&route, count);
  }
  return out;
}

}  // namespace

std::string fault_of(const AskedResponse& response) {
  if (response.status < 200 || response.status > 599) {
    return "a response has a status from 200 to 599, not " + std::to_string(response.status);
  }
  return field_fault(response.fields);
}

FreshnessArithmetic arithmetic(const Lifetime& lifetime, http::FieldSpan stored_fields, bool has_validator,
                               TimePoint now) {
  auto out = arithmetic_of(lifetime, has_validator, now);
  out.date_value = date_value(stored_fields, lifetime.response_time);
  out.apparent_age = apparent_age(out.date_value, lifetime.response_time);
  if (out.corrected_initial_age > out.apparent_age) out.corrected_age_value = out.corrected_initial_age;
  return out;
}

std::vector<PurgingRule> purging_rules(const RuleSet& rules, const PurgeSubject& subject) {
  std::vector<PurgingRule> out;
  for (const auto& route : rules.routes) {
    for (const auto& selector : route.purge) {
      if (auto when = names(selector, subject)) {
        auto path = filled_path(route, *when);
        out.push_back({&route, &selector, std::move(*when), std::move(path)});
      }
    }
  }
  return out;
}

Explanation explain(const ExplainContext& context, const NormalRequest& request, const AskedResponse* response) {
  const auto head = request.head();
  const auto& rules = *context.rules;
  Explanation out;
  out.rules = context.rules;
  out.method = head.method;
  out.asked_target = request.asked_target();
  out.target = head.target;
  out.origin = http::origin_text(head.scheme, head.authority);
  out.admission = admit(rules, head, request.traits());
  const auto match = rules.match_cache(head.method, head.path());
  bool is_decided = false;
  for (const auto& route : rules.routes) {
    if (&route == match.route) {
      is_decided = true;
      continue;
    }
    out.passed_over.push_back(
        {&route, is_decided ? std::nullopt : std::optional(route.judge(head.method, head.path(), nullptr))});
  }
  if (rules.honour_client_directives) out.client = parse_request_cache_control(head.fields);
  for (const auto& [name, value] : match.captures) out.captures.emplace_back(name, value);
  if (out.admission.way == Way::write) {
    out.write = explain_write(context, head, response);
    if (response != nullptr) out.storing = explain_kept_answer(context, head, *response);
  }
  if (match.route == nullptr || !match.route->caches() || out.admission.way == Way::write) return out;

  out.key = explain_key(head, match);
  out.tags = rule_tags(match, head);
  const PurgeSubject subject{.key = out.key->key,
                             .base_key = out.key->key,
                             .type = out.key->type,
                             .origin = out.key->origin ? std::string_view(*out.key->origin) : std::string_view{},
                             .target = out.key->purge_target,
                             .tags = out.tags};
  out.purged_by = purging_rules(rules, subject);
  const bool is_stored_at_all = out.admission.way == Way::look_up || out.admission.way == Way::query;
  if (response != nullptr && is_stored_at_all) {
    out.storing = explain_storing(context, head, *response, match, out.key->key);
  }
  return out;
}

std::string place_of(const Route& route) {
  return route.line > 0 ? route.file + ":" + std::to_string(route.line) : route.file;
}

std::string_view meaning(NotStored reason) noexcept {
  switch (reason) {
    case NotStored::none:
      return "it is stored";
    case NotStored::no_route:
      return "no route of the rules caches this request; add one with cache: TYPE";
    case NotStored::route_off:
      return "the route says cache: off";
    case NotStored::method:
      return "answers to this method are not stored";
    case NotStored::request_no_store:
      return "the request says no-store (RFC 9111 §5.2.1.5); client_directives: ignore would not obey it";
    case NotStored::range_request:
      return "the request asks for a range, and the answer is neither the whole nor a part of it";
    case NotStored::status:
      return "neither the response nor the rules let this status be stored; status: { CODE: TTL } of the route does";
    case NotStored::partial_content:
      return "it is not one range in bytes that was asked for";
    case NotStored::no_store:
      return "the response says no-store (RFC 9111 §5.2.2.5); store_despite: [no-store] of the route stores it";
    case NotStored::private_response:
      return "the response says private (RFC 9111 §5.2.2.7); store_despite: [private] of the route stores it, and "
             "identity: keeps callers apart";
    case NotStored::must_understand:
      return "the response says must-understand, and this status is not understood (RFC 9111 §5.2.2.3)";
    case NotStored::set_cookie:
      return "the response sets a cookie; store_despite: [set-cookie] of the route stores it, cookie and all";
    case NotStored::authorization:
      return "the request has Authorization, and nothing lets the answer be shared (RFC 9111 §3.5); identity: "
             "header:Authorization keeps one entry per caller";
    case NotStored::cache_groups:
      return "it belongs to more cache groups than are kept (RFC 9875)";
    case NotStored::vary_star:
      return "Vary: * matches no later request (RFC 9111 §4.1)";
    case NotStored::no_freshness_nor_validator:
      return "it has neither a freshness lifetime nor a validator; a ttl of the rules gives it one";
    case NotStored::no_lifetime:
      return "it is stale on arrival, cannot be validated and may not be served stale; ttl_override: true lets the ttl "
             "of the rules win";
    case NotStored::too_large:
      return "its body is larger than cache.max_object";
    case NotStored::incomplete:
      return "it was cut short (RFC 9111 §3.3)";
    case NotStored::changed:
      return "what was to be completed or confirmed has changed meanwhile";
    case NotStored::purged_while_filling:
      return "a purge that is newer than its fetch names it";
    case NotStored::fill_budget:
      return "cache.fill_budget was used up, so it was relayed alone";
    case NotStored::slow_clients:
      return "clients that read slowly keep too much of what memory has let go of (memory.outside)";
    case NotStored::upgrade:
      return "the connection was upgraded";
    case NotStored::rules_changed:
      return "the rules under which it was asked for were replaced meanwhile";
    case NotStored::count_:
      break;
  }
  return {};
}

std::string_view meaning(NotReused reason) noexcept {
  switch (reason) {
    case NotReused::none:
      return "it is reused";
    case NotReused::absent:
      return "nothing is stored under the key";
    case NotReused::vary_miss:
      return "responses are stored, but none with matching selecting header fields (Vary)";
    case NotReused::canonical_differs:
      return "what is stored under the key is of another request";
    case NotReused::purged:
      return "it was purged since it was stored";
    case NotReused::epoch:
      return "it may have been purged without this node having heard of it";
    case NotReused::stale:
      return "its freshness lifetime has passed";
    case NotReused::incomplete:
      return "only another part of it is stored";
    case NotReused::no_cache:
      return "the response says no-cache: it is validated before each use (RFC 9111 §5.2.2.4)";
    case NotReused::request_no_cache:
      return "the request says no-cache; client_directives: ignore would not obey it";
    case NotReused::request_max_age:
      return "it is older than the request's max-age; client_directives: ignore would not obey it";
    case NotReused::request_min_fresh:
      return "it is not fresh for as long as the request's min-fresh asks";
    case NotReused::request_no_store:
      return "the request says no-store; client_directives: ignore would not obey it";
    case NotReused::method:
      return "requests with this method are never answered from the cache";
    case NotReused::no_route:
      return "no route of the rules caches this request; add one with cache: TYPE";
    case NotReused::route_off:
      return "the route says cache: off";
    case NotReused::upgrade:
      return "the request asks for an upgrade of its connection";
    case NotReused::expectation:
      return "the request has a body, Expect, If-Match or If-Unmodified-Since, which are for the origin to judge";
    case NotReused::undecodable:
      return "what Redis held did not decode";
    case NotReused::count_:
      break;
  }
  return {};
}

}  // namespace larder::policy
