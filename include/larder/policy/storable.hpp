#pragma once
// May this response be stored by a shared cache? (RFC 9111 §3)
#include <cstdint>
#include <optional>

#include "larder/http/message.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/outcome.hpp"

namespace larder::policy {

/// NotStored::none where `response`, the answer to `request`, may be stored under `rule`; else the first reason
/// against it. `lifetime` is compute_lifetime() of the same response. Errors (4xx, 5xx) are stored only where the
/// response's own explicit lifetime or the rule's `status_ttl` says so (428, 429, 431 and 511 only by the latter, RFC
/// 6585), and without a `ttl` of the rule (pure RFC 9111 behaviour) also by the heuristic. A response that is stale at
/// once is stored where it has a validator that a 304 can confirm (2xx only) or may be served stale. Set-Cookie is no
/// obstacle where private="..." or no-cache="..." keeps it out of the stored fields. Answers that depend on request
/// fields which are no part of the key are not stored: 226, 304, 412 to a precondition, 417 to Expect, and all but 200
/// and 206 to Range. A 206 to a Range may be stored as a part where its Content-Range names one range in bytes (§3.3).
/// Answers to GET, HEAD and QUERY are stored; those to POST only with a Content-Location that is the target URI and an
/// explicit lifetime (RFC 9110 §9.3.3). Set-Cookie does not matter where the response's own explicit lifetime says for
/// how long it may be stored and the rule has no ttl (RFC 9111 §7.3). Does not look at sizes, completeness or purges:
/// those are known later.
NotStored storable(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule,
                   const Lifetime& lifetime);

/// The same, and too_large where the body has more than `max_object` bytes (`length`: empty where it is not known yet).
NotStored storable(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule,
                   const Lifetime& lifetime, std::optional<std::uint64_t> length, std::uint64_t max_object);

/// The first reason of storable() where it is one that no lifetime matters to, which most of what is never stored has;
/// else none, and storable() has still to be asked.
NotStored refused_at_sight(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule);

/// The fields that a stored response keeps, in order (RFC 9111 §3.1). Left out: Connection and the fields it names, the
/// other hop-by-hop fields, Trailer (trailers are not stored), those which are ours to write anew (Age, Content-Length,
/// X-Cache, X-Cache-Key), and the fields listed in no-cache="..." and, unless the rule stores despite private, in
/// private="...". Directives are those of caching_directives(). Via and the targeted fields (RFC 9213) stay: a 304 may
/// replace them. `response_fields` is the whole head, which Connection and those lists need.
http::FieldList stored_fields(http::FieldSpan response_fields, const StoreRule& rule);

/// True where no-cache="..." or private="..." keeps fields out of what is stored.
bool lists_fields(http::FieldSpan response_fields);

/// True where the field is never kept in a stored response, whatever the response: hop-by-hop, Trailer, Age,
/// Content-Length, X-Cache, X-Cache-Key.
bool is_never_stored(std::string_view name) noexcept;

/// True for the final status codes whose caching requirements are implemented here (must-understand, RFC 9111
/// §5.2.2.3): those of RFC 9110 §15, RFC 6585, RFC 7725, RFC 8470, and 207, 208 and 508 of WebDAV,
/// and 206, without 304.
bool is_understood(int status) noexcept;

}  // namespace larder::policy
