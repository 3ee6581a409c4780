#pragma once
// Vary and selecting header fields (RFC 9110 §12.5.5, RFC 9111 §4.1).
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

/// Most names that a Vary may have; with more the response matches nothing, as with "*".
inline constexpr std::size_t max_vary_names = 32;

/// The names in all Vary lines of a response, lower case, sorted, without repetition. `star` where a member is "*", is
/// not a field name (what it would select on is unknown), or is one too many.
struct VaryNames {
  bool star = false;
  std::vector<std::string> names;
};
VaryNames vary_names(http::FieldSpan response_fields);

/// The selecting header fields of a request as an injective, length-prefixed encoding of (name, absent | value) pairs
/// in the order of `names` (lower case). Values of several lines are joined and their white space around commas is
/// folded where the field may be a list, so that equal requests in the sense of RFC 9111 §4.1 encode alike; fields
/// known not to be lists (User-Agent, Cookie, Authorization, ...) are taken byte for byte. Accept-Encoding and
/// Accept-Language are also lower-cased, sorted and freed of "q=1", which changes nothing of their meaning. Empty for
/// no names.
std::string selecting_fields(const std::vector<std::string>& names, http::FieldSpan request_fields);

/// True where the request's fields match the stored encoding made by selecting_fields() (§4.1). Allocates nothing for
/// an empty encoding. False for bytes that selecting_fields() did not make.
bool selecting_fields_match(std::string_view stored_encoding, http::FieldSpan request_fields);

/// The names inside an encoding made by selecting_fields(). Foreign bytes give the names before the first fault.
std::vector<std::string> selecting_names(std::string_view stored_encoding);

}  // namespace larder::policy
