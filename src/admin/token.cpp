#include "larder/admin/token.hpp"

#include "larder/policy/digest.hpp"

namespace larder::admin {

std::optional<std::string_view> bearer_token(http::FieldSpan fields) {
  constexpr std::string_view scheme = "Bearer";
  const auto* const field = http::find(fields, "Authorization");
  if (field == nullptr || http::count(fields, "Authorization") != 1) return std::nullopt;
  // credentials = auth-scheme 1*SP token68 (RFC 9110 §11.4); the scheme in any case.
  const auto space = field->value.find(' ');
  if (space == std::string_view::npos || !http::iequals(field->value.substr(0, space), scheme)) return std::nullopt;
  const auto given = http::trim_ows(field->value.substr(space));
  if (given.empty()) return std::nullopt;
  return given;
}

Access judge_access(http::FieldSpan fields, std::string_view configured) {
  if (configured.empty()) return Access::unset;
  const auto given = bearer_token(fields);
  if (!given) return Access::no_bearer;
  return policy::same_secret(*given, configured) ? Access::granted : Access::wrong;
}

}  // namespace larder::admin
