#include "larder/admin/token.hpp"

#include <array>
#include <openssl/crypto.h>

#include "larder/policy/digest.hpp"

namespace larder::admin {
namespace {

using HexDigest = std::array<char, 64>;

HexDigest digest_of(std::string_view text) {
  policy::Digest digest(policy::Digest::Algorithm::sha256);
  digest.update(text);
  HexDigest hex{};
  digest.finish_hex(hex.data());
  return hex;
}

}  // namespace

Access judge_access(http::FieldSpan fields, std::string_view configured) {
  if (configured.empty()) return Access::unset;
  constexpr std::string_view scheme = "Bearer";
  const auto* const field = http::find(fields, "Authorization");
  if (field == nullptr || http::count(fields, "Authorization") != 1) return Access::no_bearer;
  // credentials = auth-scheme 1*SP token68 (RFC 9110 §11.4); the scheme in any case.
  const auto space = field->value.find(' ');
  if (space == std::string_view::npos || !http::iequals(field->value.substr(0, space), scheme)) {
    return Access::no_bearer;
  }
  const auto given = http::trim_ows(field->value.substr(space));
  if (given.empty()) return Access::no_bearer;
  const auto a = digest_of(given);
  const auto b = digest_of(configured);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0 ? Access::granted : Access::wrong;
}

}  // namespace larder::admin
