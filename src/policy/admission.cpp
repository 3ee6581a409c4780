#include "larder/policy/admission.hpp"

#include "larder/http/conditional.hpp"

namespace larder::policy {

namespace {

Admission passed(NotReused reason, const Route* route) noexcept { return {Way::pass, reason, route}; }

}  // namespace

std::string_view to_string(Way way) noexcept {
  switch (way) {
    case Way::look_up:
      return "look_up";
    case Way::query:
      return "query";
    case Way::write:
      return "write";
    case Way::pass:
      return "pass";
  }
  return {};
}

Admission admit(const RuleSet& rules, const http::RequestHead& request, const RequestTraits& traits) {
  const bool is_query = request.method == "QUERY";
  if (request.method != "GET" && request.method != "HEAD" && !is_query) {
    return {http::is_safe(request.method) ? Way::pass : Way::write, NotReused::method, nullptr};
  }
  const auto* const route = rules.match_cache(request.method, request.path()).route;
  if (route == nullptr) return passed(NotReused::no_route, nullptr);
  if (route->cache_off) return passed(NotReused::route_off, route);
  if (!is_query && traits.asks_for_upgrade) return passed(NotReused::upgrade, route);
  const bool has_readable_body =
      is_query ? traits.body_length.value_or(0) <= largest_query && !traits.expects_continue : !traits.has_body;
  if (!has_readable_body || http::has_origin_preconditions(request.fields)) {
    return passed(NotReused::expectation, route);
  }
  return {is_query ? Way::query : Way::look_up, NotReused::none, route};
}

}  // namespace larder::policy
