#pragma once
// Validation of stored responses (RFC 9111 §4.3): conditional requests to the origin, 304s from it.
#include <cstdint>
#include <optional>

#include "larder/http/message.hpp"
#include "larder/policy/freshness.hpp"

namespace larder::policy {

/// True where the stored head holds an ETag or a valid Last-Modified, one line of each. An ETag without quotes counts
/// where it can be sent back as it is and be nothing else in If-None-Match (no quote, comma, space or "*"): origins
/// that write it so compare it so.
bool has_validator(http::FieldSpan stored_fields) noexcept;

/// Adds If-None-Match and If-Modified-Since made of the stored validators to a request for the origin, after removing
/// the client's own preconditions, and with them Range, whose meaning depends on them (RFC 9111 §4.3.1).
void add_validators(http::FieldList& request_fields, http::FieldSpan stored_fields);

/// Removes the client's preconditions and Range.
void remove_preconditions(http::FieldList& request_fields);

/// The fields of the same response without its content coding (RFC 9110 §7.7, §8.4): no Content-Encoding and no digests
/// of the coded bytes, and a strong ETag becomes weak, as the bytes are others (§8.8.1). Vary stays.
http::FieldList decoded_fields(http::FieldSpan stored_fields);

/// The head of the freshened response (RFC 9111 §3.2): the stored fields in their order, those that the 304 has too in
/// its form, and the 304's new ones after them. Not taken from the 304: what is never stored (is_never_stored(),
/// Connection-named), and what the stored bytes are to be read by: Content-Encoding and Content-Range. Set-Cookie and
/// fields that no-cache="..." or private="..." lists in the directives of the freshened response (caching_directives())
/// are taken only where the stored response has them already, which is where a rule allowed it.
http::FieldList freshen(http::FieldSpan stored_fields, http::FieldSpan not_modified_fields);

/// The lifetime of the freshened response: compute_lifetime() of its status and `freshened` fields, with the Age that
/// came with the 304 (freshen() leaves it out), and as of `response_time` where the 304 has no Date. Times are those of
/// the validation request.
Lifetime compute_freshened_lifetime(int stored_status, http::FieldSpan freshened, http::FieldSpan not_modified_fields,
                                    const StoreRule& rule, TimePoint request_time, TimePoint response_time);

/// True where the head of a 200 to HEAD is that of the stored response to GET (RFC 9111 §4.3.5): ETag and Last-Modified
/// are equal where it has them, and so is its length where both are known.
bool is_head_of(http::FieldSpan head_fields, std::optional<std::uint64_t> head_length, http::FieldSpan stored_fields,
                std::optional<std::uint64_t> stored_length) noexcept;

/// True where a 304 with these fields can confirm this stored response: its strong ETag matches in strong comparison,
/// its weak one in weak comparison, without an ETag its Last-Modified is the stored one, or it has no validator at
/// all, as then the request named the stored response (RFC 9111 §4.3.4).
bool confirms(http::FieldSpan not_modified_fields, http::FieldSpan stored_fields) noexcept;

}  // namespace larder::policy
