#pragma once
// Who may use the admin API: bearer tokens (RFC 6750 §2.1). Pure.
#include <optional>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::admin {

/// What the Authorization field of a request is worth.
enum class Access : unsigned char {
  granted,    ///< the token is the configured one
  unset,      ///< no token is configured: nobody has access
  no_bearer,  ///< no Authorization field, several of them, or not the scheme Bearer
  wrong       ///< a bearer token, but not the configured one
};

/// The bearer token of a request; empty where it has no Authorization field, several, or not the scheme Bearer.
std::optional<std::string_view> bearer_token(http::FieldSpan fields);

/// Judges a request. The time it takes tells nothing of `configured` but its length: digests are compared, and those in
/// constant time.
Access judge_access(http::FieldSpan fields, std::string_view configured);

}  // namespace larder::admin
