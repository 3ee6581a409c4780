#include "larder/policy/invalidation.hpp"

#include <algorithm>

#include "larder/http/target.hpp"
#include "larder/policy/cache_groups.hpp"
#include "larder/policy/cache_key.hpp"

namespace larder::policy {

bool may_have_changed(std::string_view method, WriteEnd end, int status) noexcept {
  if (http::is_safe(method)) return false;
  return end == WriteEnd::unknown || status < 400 || status >= 500;
}

std::vector<std::string> invalidated_targets(const http::RequestHead& request, const http::ResponseHead* response) {
  std::vector<std::string> targets;
  if (request.target.empty() || request.target.front() != '/') return targets;
  targets.emplace_back(request.target);
  const http::Target base{std::string(request.scheme), std::string(request.authority), std::string(request.target)};
  const auto add = [&](std::string_view reference) {
    auto resolved = http::resolve_reference(reference, base);
    if (!resolved || !http::same_origin(*resolved, base)) return;
    if (std::find(targets.begin(), targets.end(), resolved->target) == targets.end()) {
      targets.push_back(std::move(resolved->target));
    }
  };
  // What MOVE and COPY overwrite is named by the request (RFC 4918 §10.3).
  if (request.method == "MOVE" || request.method == "COPY") {
    if (const auto* destination = http::find(request.fields, "Destination")) add(destination->value);
  }
  if (response == nullptr || response->status < 200 || response->status >= 400) return targets;
  for (const http::Field& field : response->fields) {
    if (http::iequals(field.name, "Location") || http::iequals(field.name, "Content-Location")) add(field.value);
  }
  return targets;
}

std::string_view to_string(PurgeCause cause) noexcept {
  switch (cause) {
    case PurgeCause::target_uri:
      return "target_uri";
    case PurgeCause::named_target:
      return "named_target";
    case PurgeCause::rule:
      return "rule";
    case PurgeCause::cache_group:
      return "cache_group";
    case PurgeCause::too_many_cache_groups:
      return "too_many_cache_groups";
  }
  return {};
}

std::vector<CausedSelector> write_purges(const RuleSet& rules, const http::RequestHead& request,
                                         const http::ResponseHead* response, bool origin_knows_host) {
  std::vector<CausedSelector> purges;
  const auto add = [&purges](Selector selector, PurgeCause cause, const Route* route = nullptr) {
    const auto is_same = [&selector](const CausedSelector& known) { return known.selector == selector; };
    if (std::ranges::none_of(purges, is_same)) purges.push_back({std::move(selector), cause, route});
  };
  const auto origin = http::origin_text(request.scheme, request.authority);
  // An origin that is not told the client's Host is the same under all of them.
  const bool is_for_all_hosts = rules.shares_hosts() || !origin_knows_host;
  const auto add_target = [&](const std::string& target, PurgeCause cause) {
    add({SelectorKind::target, origin + target}, cause);
    if (is_for_all_hosts) add({SelectorKind::target, target}, cause);
  };
  // RFC 9111 §4.4 has errors invalidate nothing; a ttl of the rules makes us, not the origin, answer for what is
  // stored.
  const bool is_doubtful = response != nullptr && response->status >= 400 && !rules.failed_writes_purge;
  for (const auto& target : invalidated_targets(request, response)) {
    const auto cause = target == request.target ? PurgeCause::target_uri : PurgeCause::named_target;
    const auto path = target.substr(0, target.find('?'));
    if (is_doubtful) {
      const auto match = rules.match_cache("GET", path);
      if (match.route != nullptr && !match.route->store.ttl) continue;
    }
    if (rules.honour_no_vary_search) add({SelectorKind::tag, varied_path_tag(path)}, cause);
    add_target(target, cause);
    // Where a route leaves a part of the query out of its key, others' targets share the response.
    for (const std::string_view method : {"GET", "QUERY"}) {
      auto reader = request;
      reader.method = method;
      reader.target = target;
      const auto match = rules.match_cache(reader.method, reader.path());
      if (match.route != nullptr && !match.route->cache_off) add_target(purge_target(reader, *match.route), cause);
    }
  }
  for (const auto& route : rules.routes) {
    for (auto& selector : route.purges(request)) add(std::move(selector), PurgeCause::rule, &route);
  }
  if (response == nullptr) return purges;
  const auto groups = invalidated_groups(response->fields);
  if (groups.overflow) return {{{SelectorKind::all, {}}, PurgeCause::too_many_cache_groups, nullptr}};
  for (const auto& group : groups.names) {
    add({SelectorKind::tag, group_tag(request.scheme, request.authority, group)}, PurgeCause::cache_group);
    if (rules.shares_hosts()) add({SelectorKind::tag, group_tag({}, {}, group)}, PurgeCause::cache_group);
  }
  return purges;
}

}  // namespace larder::policy
