#pragma once
// Request targets (RFC 9112 §3.2) and their normal form (RFC 3986 §6.2.2). The normal form is both what the cache
// key is made of and what the origin is sent: an origin that treats two spellings of one path differently can
// therefore never put the answer of one under the other's key.
#include <optional>
#include <string>
#include <string_view>

namespace larder::http {

/// A parsed request target.
struct Target {
  std::string scheme;     ///< lower case; empty for origin-form and asterisk-form
  std::string authority;  ///< lower case host[:port] (userinfo is an error); empty for origin-form
  std::string target;     ///< "/path?query" normalised, or "*"
};

/// True where `path_and_query` is already in normal form (the usual case, no allocation).
bool is_normal_target(std::string_view path_and_query) noexcept;

/// Normalises a path and query: percent-encoded unreserved characters are decoded, hex digits upper-cased, dot
/// segments removed from the path (RFC 3986 §5.2.4), and the bytes that are not allowed in a URI but that browsers and
/// curl send as they are (non-ASCII and "<>\^`{|}) are percent-encoded. Empty optional for what is not a valid
/// path-and-query: a control character, a space, a '#', a '%' without two hex digits, or no leading '/'.
std::optional<std::string> normalise_target(std::string_view path_and_query);

/// Parses any request-target of RFC 9112 §3.2 except authority-form (CONNECT): origin-form, absolute-form (http or
/// https) and "*" (for OPTIONS only). Empty optional where it is invalid.
std::optional<Target> parse_target(std::string_view method, std::string_view target);

/// Resolves a URI reference (Location, Content-Location) against a base of scheme, authority and target (RFC 3986 §5);
/// returns the result in normal form, or an empty optional where the reference is not a valid http(s) URI.
std::optional<Target> resolve_reference(std::string_view reference, const Target& base);

/// `authority` without the port that `scheme` has by default (":80" for http, ":443" for https, or an empty port), so
/// that two authorities of one origin compare equal (RFC 9110 §4.2.3). Not lower-cased.
std::string_view without_default_port(std::string_view scheme, std::string_view authority) noexcept;

/// "http://a.example:8080": scheme and authority in lower case, without the scheme's own port (RFC 9110 §4.3.1). Equal
/// for equal origins.
std::string origin_text(std::string_view scheme, std::string_view authority);

/// True where scheme, host and port of both are equal (RFC 9110 §4.3.1).
bool same_origin(const Target& a, const Target& b) noexcept;

/// True where `authority` is a valid Host value (RFC 9110 §7.2, RFC 3986 §3.2.2), empty included.
bool is_valid_authority(std::string_view authority) noexcept;

}  // namespace larder::http
