#include "larder/http/target.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>

#include "larder/http/field_list.hpp"

namespace larder::http {

namespace {

// What a byte may be in a URI (RFC 3986 appendix A). "[" and "]" are reserved characters that paths and queries of APIs
// do hold ("filter[name]=x"), so they are let through as they are.
enum : unsigned char {
  in_path = 1,       // pchar, "/", "[", "]"
  in_query = 2,      // the same and "?"
  unreserved = 4,    // ALPHA DIGIT - . _ ~
  hex_digit = 8,     // 0-9 A-F a-f
  lower_hex = 16,    // a-f
  in_reg_name = 32,  // unreserved and sub-delims
  raw = 64,          // not allowed in a URI, but sent as they are by browsers and curl: escaped in the normal form
};

constexpr std::array<unsigned char, 256> make_classes() {
  std::array<unsigned char, 256> classes{};
  const auto mark = [&](std::string_view bytes, unsigned bits) {
    for (const char c : bytes) {
      auto& entry = classes[static_cast<unsigned char>(c)];
      entry = static_cast<unsigned char>(entry | bits);
    }
  };
  constexpr unsigned plain = in_path | in_query | unreserved | in_reg_name;
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", plain);
  mark("!$&'()*+,;=", in_path | in_query | in_reg_name);
  mark(":@/[]", in_path | in_query);
  mark("?", in_query);
  mark("0123456789ABCDEFabcdef", hex_digit);
  mark("abcdef", lower_hex);
  mark("\"<>\\^`{|}", raw);
  for (std::size_t byte = 0x80; byte < classes.size(); ++byte) classes[byte] = raw;
  return classes;
}

constexpr std::array<unsigned char, 256> classes = make_classes();

constexpr bool is(char c, unsigned bits) noexcept { return (classes[static_cast<unsigned char>(c)] & bits) != 0; }

constexpr unsigned hex_value(char c) noexcept {
  if (c <= '9') return static_cast<unsigned>(c - '0');
  return static_cast<unsigned>((c | 0x20) - 'a') + 10U;
}

constexpr char upper_hex(char c) noexcept { return is(c, lower_hex) ? static_cast<char>(c - 0x20) : c; }

constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c; }

std::string lower(std::string_view s) {
  std::string text(s);
  std::transform(text.begin(), text.end(), text.begin(), to_lower);
  return text;
}

bool is_escape(std::string_view s, std::size_t at) noexcept {
  return at + 2 < s.size() && is(s[at + 1], hex_digit) && is(s[at + 2], hex_digit);
}

char decoded(std::string_view s, std::size_t at) noexcept {
  return static_cast<char>(hex_value(s[at + 1]) * 16 + hex_value(s[at + 2]));
}

// Does a segment of a path end at `at`?
bool segment_ends(std::string_view s, std::size_t at) noexcept {
  return at >= s.size() || s[at] == '/' || s[at] == '?';
}

// Is there a "." or ".." segment whose first byte is at `at`?
bool is_dot_segment(std::string_view s, std::size_t at) noexcept {
  if (at >= s.size() || s[at] != '.') return false;
  return segment_ends(s, at + 1) || (s[at + 1] == '.' && segment_ends(s, at + 2));
}

// Appends `part` with its escapes in normal form; false where it holds a byte that is not allowed.
bool append_normal(std::string_view part, unsigned allowed, std::string& out) {
  for (std::size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (c != '%') {
      if (is(c, allowed)) {
        out.push_back(c);
      } else if (is(c, raw)) {
        constexpr std::string_view digits = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(digits[byte >> 4U]);
        out.push_back(digits[byte & 15U]);
      } else {
        return false;
      }
      continue;
    }
    if (!is_escape(part, i)) return false;
    if (const char plain = decoded(part, i); is(plain, unreserved)) {
      out.push_back(plain);
    } else {
      out.push_back('%');
      out.push_back(upper_hex(part[i + 1]));
      out.push_back(upper_hex(part[i + 2]));
    }
    i += 2;
  }
  return true;
}

// RFC 3986 §5.2.4 for a path that begins with "/".
std::string remove_dot_segments(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  while (!path.empty()) {
    const auto end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);  // with its leading "/"
    const bool last = end == path.size();
    if (segment == "/.") {
      if (last) out.push_back('/');
    } else if (segment == "/..") {
      const auto parent = out.rfind('/');
      out.resize(parent == std::string::npos ? 0 : parent);
      if (last) out.push_back('/');
    } else {
      out.append(segment);
    }
    path.remove_prefix(end);
  }
  return out;
}

// Length of a scheme and its ":" in front, or 0 (RFC 3986 §3.1).
std::size_t scheme_length(std::string_view s) noexcept {
  if (s.empty() || to_lower(s[0]) < 'a' || to_lower(s[0]) > 'z') return 0;
  for (std::size_t i = 1; i < s.size(); ++i) {
    const char c = s[i];
    if (c == ':') return i + 1;
    if (!(is(c, unreserved) && c != '_' && c != '~') && c != '+') return 0;
  }
  return 0;
}

bool is_http_scheme(std::string_view scheme) noexcept { return iequals(scheme, "http") || iequals(scheme, "https"); }

// Splits "//authority/path?query" after its slashes and normalises both; `rest` has no fragment.
std::optional<Target> from_authority(std::string_view scheme, std::string_view rest) {
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  if (authority.empty() || authority.front() == ':' || !is_valid_authority(authority)) return std::nullopt;
  rest.remove_prefix(end);
  std::optional<std::string> path_and_query;
  if (rest.empty() || rest.front() == '?') {
    path_and_query = normalise_target(std::string("/").append(rest));
  } else {
    path_and_query = normalise_target(rest);
  }
  if (!path_and_query) return std::nullopt;
  return Target{lower(scheme), lower(authority), std::move(*path_and_query)};
}

bool is_ipv6(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return false;
  std::copy(text.begin(), text.end(), terminated.begin());
  in6_addr address{};
  return inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

// IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
bool is_ip_future(std::string_view text) noexcept {
  if (text.size() < 4 || to_lower(text[0]) != 'v') return false;
  const auto dot = text.find('.');
  if (dot == std::string_view::npos || dot < 2 || dot + 1 == text.size()) return false;
  const auto version = text.substr(1, dot - 1);
  const auto address = text.substr(dot + 1);
  return std::all_of(version.begin(), version.end(), [](char c) { return is(c, hex_digit); }) &&
         std::all_of(address.begin(), address.end(), [](char c) { return c == ':' || is(c, in_reg_name); });
}

bool is_port(std::string_view text) noexcept {
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = std::min(value * 10 + static_cast<unsigned>(c - '0'), 65536U);
  }
  return value <= 65535;
}

}  // namespace

bool is_normal_target(std::string_view path_and_query) noexcept {
  const std::string_view s = path_and_query;
  if (s.empty() || s[0] != '/') return false;
  const std::size_t size = s.size();
  std::size_t i = 0;
  unsigned allowed = in_path;
  for (; i < size; ++i) {
    const char c = s[i];
    if (is(c, allowed)) {
      if (c == '/' && allowed == in_path && is_dot_segment(s, i + 1)) return false;
      continue;
    }
    if (c == '?') {
      allowed = in_query;
      continue;
    }
    if (c != '%' || !is_escape(s, i) || is(s[i + 1], lower_hex) || is(s[i + 2], lower_hex) ||
        is(decoded(s, i), unreserved)) {
      return false;
    }
    i += 2;
  }
  return true;
}

std::optional<std::string> normalise_target(std::string_view path_and_query) {
  if (path_and_query.empty() || path_and_query.front() != '/') return std::nullopt;
  if (is_normal_target(path_and_query)) return std::string(path_and_query);
  const auto mark = std::min(path_and_query.find('?'), path_and_query.size());
  std::string path;
  path.reserve(path_and_query.size());
  if (!append_normal(path_and_query.substr(0, mark), in_path, path)) return std::nullopt;
  std::string target = remove_dot_segments(path);
  if (!append_normal(path_and_query.substr(mark), in_query, target)) return std::nullopt;
  return target;
}

std::optional<Target> parse_target(std::string_view method, std::string_view target) {
  if (method == "CONNECT" || target.empty()) return std::nullopt;
  if (target == "*") {
    if (method != "OPTIONS") return std::nullopt;
    return Target{{}, {}, "*"};
  }
  if (target.front() == '/') {
    auto path_and_query = normalise_target(target);
    if (!path_and_query) return std::nullopt;
    return Target{{}, {}, std::move(*path_and_query)};
  }
  const std::size_t colon = scheme_length(target);
  if (colon == 0 || !is_http_scheme(target.substr(0, colon - 1)) || target.substr(colon, 2) != "//") {
    return std::nullopt;
  }
  const std::string_view rest = target.substr(colon + 2);
  auto absolute = from_authority(target.substr(0, colon - 1), rest);
  // "OPTIONS http://host" without path and query asks about the server as a whole (RFC 9112 §3.2.4).
  if (absolute && method == "OPTIONS" && rest.find_first_of("/?") == std::string_view::npos) absolute->target = "*";
  return absolute;
}

std::optional<Target> resolve_reference(std::string_view reference, const Target& base) {
  reference = reference.substr(0, reference.find('#'));
  if (const std::size_t colon = scheme_length(reference); colon > 0) {
    if (!is_http_scheme(reference.substr(0, colon - 1)) || reference.substr(colon, 2) != "//") return std::nullopt;
    return from_authority(reference.substr(0, colon - 1), reference.substr(colon + 2));
  }
  if (reference.substr(0, 2) == "//") return from_authority(base.scheme, reference.substr(2));

  const std::string_view base_target = base.target == "*" ? std::string_view("/") : std::string_view(base.target);
  const std::string_view base_path = base_target.substr(0, base_target.find('?'));
  std::string merged;
  if (reference.empty()) {
    merged = base_target;
  } else if (reference.front() == '/') {
    merged = reference;
  } else if (reference.front() == '?') {
    merged = std::string(base_path).append(reference);
  } else {
    const auto directory = base_path.rfind('/');
    merged = std::string(base_path.substr(0, directory == std::string_view::npos ? 0 : directory + 1));
    merged.append(reference);
  }
  auto path_and_query = normalise_target(merged);
  if (!path_and_query) return std::nullopt;
  return Target{base.scheme, base.authority, std::move(*path_and_query)};
}

std::string_view without_default_port(std::string_view scheme, std::string_view authority) noexcept {
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) return authority;
  const std::string_view port = authority.substr(colon + 1);
  const bool is_default =
      port.empty() || (port == "80" && iequals(scheme, "http")) || (port == "443" && iequals(scheme, "https"));
  return is_default ? authority.substr(0, colon) : authority;
}

std::string origin_text(std::string_view scheme, std::string_view authority) {
  return lower(scheme) + "://" + lower(without_default_port(scheme, authority));
}

bool same_origin(const Target& a, const Target& b) noexcept {
  return iequals(a.scheme, b.scheme) &&
         iequals(without_default_port(a.scheme, a.authority), without_default_port(b.scheme, b.authority));
}

bool is_valid_authority(std::string_view authority) noexcept {
  if (authority.empty()) return true;
  if (authority.front() == '[') {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return false;
    const std::string_view literal = authority.substr(1, close - 1);
    if (!is_ipv6(literal) && !is_ip_future(literal)) return false;
    const std::string_view rest = authority.substr(close + 1);
    return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
  }
  const auto colon = std::min(authority.find(':'), authority.size());
  const std::string_view host = authority.substr(0, colon);
  if (host.empty()) return false;
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (host[i] == '%') {
      if (!is_escape(host, i)) return false;
      i += 2;
    } else if (!is(host[i], in_reg_name)) {
      return false;
    }
  }
  return colon == authority.size() || is_port(authority.substr(colon + 1));
}

}  // namespace larder::http
