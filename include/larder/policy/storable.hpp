#pragma once
// May this response be stored by a shared cache? (RFC 9111 §3)
#include "larder/http/message.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/outcome.hpp"

namespace larder::policy {

/// NotStored::none where `response`, the answer to `request`, may be stored under `rule`; else the first reason
/// against it. `lifetime` is compute_lifetime() of the same response. Without a `ttl` anywhere the rule leaves pure
/// RFC 9111 behaviour; errors (4xx, 5xx) are stored only where the response's own explicit lifetime or the rule's
/// `status_ttl` says so. Does not look at sizes, completeness or purges: those are known later.
NotStored storable(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule,
                   const Lifetime& lifetime);

/// True for the fields which a stored response does not keep: Connection and the fields it names, the other
/// hop-by-hop fields, and those which are ours to write anew (RFC 9111 §3.1): Age, X-Cache, X-Cache-Key, Via stays.
/// `response_fields` is the whole head, needed for Connection's and for private="..." and no-cache="..." lists.
http::FieldList stored_fields(http::FieldSpan response_fields, const StoreRule& rule);

}  // namespace larder::policy
