#pragma once
// Would a stored response have been a wrong answer? It is compared with what the origin says now. Pure.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

/// What a comparison has shown.
enum class AnswerVerdict : unsigned char {
  same,          ///< the origin says the same
  stale,         ///< it says something else, and nothing but the time between explains that
  mixed,         ///< it says something else, and the stored response came from a request with other credentials
  purged,        ///< it says something else, but what was stored has been purged meanwhile, as it should be
  incomparable,  ///< they cannot be compared: parts, another content coding, too large, HEAD
  failed,        ///< the origin did not answer, or with 5xx
  count_         ///< number of enumerators, not an outcome
};
/// The enumerator's own name.
std::string_view to_string(AnswerVerdict verdict) noexcept;

/// What of a response is compared.
struct ComparedAnswer {
  int status = 0;
  http::FieldSpan fields;
  std::string_view body;
};

/// What differs between two responses: "status", "body", and names of `fields` (as given there), whose values are
/// compared as RFC 9110 §5.3 combines them. Empty where they are the same. Both must be whole, in the same content
/// coding.
std::vector<std::string> differences(const ComparedAnswer& stored, const ComparedAnswer& fresh,
                                     std::span<const std::string> fields);

/// True where both bodies are in the same content coding (Content-Encoding).
bool have_same_coding(http::FieldSpan stored, http::FieldSpan fresh);

/// Stands for the credentials of a request (Authorization and Cookie, all lines of them): equal for equal ones, without
/// telling them. 0 where it has none.
std::uint64_t credentials_of(http::FieldSpan request_fields);

}  // namespace larder::policy
