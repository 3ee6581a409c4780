#pragma once
// Vary and selecting header fields (RFC 9110 §12.5.5, RFC 9111 §4.1).
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

/// The names in all Vary lines of a response, lower case, sorted, without repetition. `star` where a member is "*".
struct VaryNames {
  bool star = false;
  std::vector<std::string> names;
};
VaryNames vary_names(http::FieldSpan response_fields);

/// The selecting header fields of a request as an injective, length-prefixed encoding of (name, absent | value) pairs
/// in the order of `names` (lower case). Values are joined and their white space around commas is folded
/// where the field is a list, so that equal requests in the sense of RFC 9111 §4.1 encode alike. Empty for no names.
std::string selecting_fields(const std::vector<std::string>& names, http::FieldSpan request_fields);

/// True where the request's fields match the stored encoding made by selecting_fields() (§4.1). Allocates nothing for
/// an empty encoding.
bool selecting_fields_match(std::string_view stored_encoding, http::FieldSpan request_fields);

/// The names inside an encoding made by selecting_fields().
std::vector<std::string> selecting_names(std::string_view stored_encoding);

}  // namespace larder::policy
