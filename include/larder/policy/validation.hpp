#pragma once
// Validation of stored responses (RFC 9111 §4.3): conditional requests to the origin, 304s from it.
#include "larder/http/message.hpp"

namespace larder::policy {

/// True where the stored head holds an ETag or a valid Last-Modified.
bool has_validator(http::FieldSpan stored_fields) noexcept;

/// Adds If-None-Match and If-Modified-Since made of the stored validators to a request for the origin, after removing
/// the client's own preconditions (RFC 9111 §4.3.1).
void add_validators(http::FieldList& request_fields, http::FieldSpan stored_fields);

/// The head of the freshened response: the stored fields with those of the 304 in their place, except the ones that
/// belong to the stored body (Content-Length, Content-Encoding, Content-Type, Content-Range, hop-by-hop; RFC 9111 §3.2).
http::FieldList freshen(http::FieldSpan stored_fields, http::FieldSpan not_modified_fields);

/// True where a 304 with these fields can confirm this stored response: its strong validator matches, or its weak one,
/// or it has none (RFC 9111 §4.3.4).
bool confirms(http::FieldSpan not_modified_fields, http::FieldSpan stored_fields) noexcept;

}  // namespace larder::policy
