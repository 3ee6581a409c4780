#pragma once
// Conditional requests that a cache may answer itself (RFC 9110 §13.2.2, RFC 9111 §4.3.2).
#include <chrono>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// Result of evaluating a request's preconditions (RFC 9110 §13.2.2).
enum class Precondition : unsigned char {
  proceed,       ///< answer as if the request had none
  not_modified,  ///< answer 304: the client has what is stored
  failed         ///< answer 412; a cache never finds this by itself: If-Match and its kin are the origin's to judge
};

/// Evaluates what RFC 9111 §4.3.2 lets a cache evaluate against a stored response that it would otherwise serve:
/// If-None-Match or, only where there is none, If-Modified-Since; only for GET and HEAD and a stored 200. A stored
/// response without Last-Modified is compared by its Date. If-Modified-Since with an invalid date or more than one
/// line is ignored (RFC 9110 §13.1.3). `now` settles two-digit years.
Precondition evaluate_for_cache(std::string_view method, FieldSpan request_fields, int stored_status,
                                FieldSpan stored_fields, std::chrono::system_clock::time_point now);

/// True where the request has If-Match or If-Unmodified-Since: a cache must not evaluate them, the request goes to the
/// origin (RFC 9111 §4.3.2).
bool has_origin_preconditions(FieldSpan request_fields) noexcept;

/// True where the request has If-None-Match or If-Modified-Since.
bool has_cache_preconditions(FieldSpan request_fields) noexcept;

}  // namespace larder::http
