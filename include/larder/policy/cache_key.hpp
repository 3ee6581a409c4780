#pragma once
// Cache keys. The canonical request is an injective, length-prefixed encoding of everything the key depends on; its md5
// names the entry, and the canonical form is compared on each hit, because md5 is a name and never a proof.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/no_vary_search.hpp"
#include "larder/policy/rules.hpp"

namespace larder::policy {

/// Canonical request and the cache key made of it.
struct CacheKey {
  std::string canonical;  ///< injective encoding, never shown to clients
  std::string key;        ///< "cache:<type>:<md5>", or "cache:<key template's value>"; empty until name() was called
};

/// Writes the canonical request of `request` for the matched route into `out` (cleared first; reuse it to save
/// allocations: this is on the hit path). Holds type, host where the route says so, path, filtered query, the
/// identity, and the expanded `key:` template where the route has one (then path and query are left out: the
/// template is the key; identity and host still are part of it). The method is left out: HEAD and GET share an entry.
/// Returns the length of what stands before the query; 0 where a template is the key.
std::size_t canonical_request(const http::RequestHead& request, const RouteMatch& match, std::string& out);

/// The parameters of `query` that are part of the key under this rule, in the order in which they are, as views into
/// `query`. Without a filter and a sort the whole query counts, byte for byte; then these are its parameters.
std::vector<std::string_view> parameters_in_key(const QueryRule& rule, std::string_view query);

/// The canonical request modulo a query variance (No-Vary-Search): equal for requests that differ only in what the
/// variance says does not matter. `canonical`: that of the request itself, `path_size`: what canonical_request()
/// returned.
std::string canonical_modulo(std::string_view canonical, std::size_t path_size, const RouteMatch& match,
                             const http::RequestHead& request, const QueryVariance& variance);

/// The tag of responses that answer more than their own query: what is written to any query of the path makes them
/// stale.
std::string varied_path_tag(std::string_view path);

/// The path and query by which a purge finds what answers this request (RFC 9111 §4.4): the target itself, where the
/// route keys the whole query; else without the parameters that it leaves out, and sorted where it sorts. Without any
/// query where a template is the key. Equal for all targets of one path that share a canonical request.
std::string purge_target(const http::RequestHead& request, const Route& route);

/// The cache key of that request: "cache:<type>:<md5 of canonical>", or "cache:" + the expanded `key:` template (bytes
/// outside of printable ASCII, and spaces, percent-encoded; at most 512 bytes, else the md5 form). A templated key on
/// a route with an identity gets ":<md5 of canonical>" appended unless the template itself names {identity}.
std::string cache_key(const http::RequestHead& request, const RouteMatch& match, std::string_view canonical);

/// Makes the key of a GET that of a QUERY with this content (RFC 10008 §2.7): its bytes, Content-Type,
/// Content-Encoding and Content-Language become part of the canonical request (by their SHA-256), and the name ends
/// with ":" and the md5 of that.
void add_query_content(CacheKey& key, http::FieldSpan request_fields, std::string_view content);

/// The key of a variant: `key` + ":" + md5 of the selecting fields' encoding; `key` itself where that is empty.
std::string variant_key(std::string_view key, std::string_view selecting);

/// Lower-case hex md5.
std::string md5_hex(std::string_view bytes);

}  // namespace larder::policy
