#include "larder/policy/invalidation.hpp"

#include <algorithm>

#include "larder/http/target.hpp"

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

}  // namespace larder::policy
