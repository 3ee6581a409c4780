// The canonical request, version 2. Every item is its length (LEB128; 4 bytes little-endian for the values of
// variables) and that many bytes, and every choice is one byte, so no two different requests have equal encodings:
//   version, type, host ('h' scheme "://" authority | '-'), identity ('-' no rule | 'a' absent | 'i' hex),
//   'k' template text, value of each variable                             (route with `key:`, all variables known)
//   'p' path, ('-' no query | 'q' query as it stands | 'f' each parameter | 'v' variance, query in normal form)
//                                                                           (otherwise)
//   'Q' SHA-256 of the content and its metadata                                (QUERY only)
// Stored responses carry it, and have their type, origin and target where it has them. A change of this form is a new
// version: entries of another version are then misses.
#include "larder/policy/cache_key.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "larder/policy/digest.hpp"

namespace larder::policy {
namespace {

constexpr char canonical_version = 2;
constexpr std::size_t max_key = 512;
constexpr std::size_t length_size = 4;

void write_length(std::size_t length, char* at) noexcept {
  const auto value = static_cast<std::uint32_t>(length);
  for (unsigned i = 0; i < length_size; ++i) at[i] = static_cast<char>(value >> (8 * i) & 0xFFU);
}

void put_length(std::string& out, std::size_t length) {
  for (; length >= 0x80; length >>= 7U) out += static_cast<char>(length | 0x80U);
  out += static_cast<char>(length);
}
void put(std::string& out, std::string_view item) {
  put_length(out, item.size());
  out.append(item);
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Host names compare without regard to case, and the scheme's own port is no other authority (RFC 9110 §4.2.3). The
// scheme is part of the target URI: a redirect from http to https must not be found under https.
void put_host(std::string& out, const http::RequestHead& request) {
  auto authority = request.authority;
  const std::string_view default_port = request.scheme == "https" ? ":443" : ":80";
  if (authority.ends_with(default_port)) {
    authority.remove_suffix(default_port.size());
  } else if (authority.ends_with(':')) {
    authority.remove_suffix(1);
  }
  constexpr std::string_view separator = "://";
  out += 'h';
  put_length(out, request.scheme.size() + separator.size() + authority.size());
  out.append(request.scheme).append(separator);
  const auto begin = static_cast<std::ptrdiff_t>(out.size());
  out.append(authority);
  std::transform(out.begin() + begin, out.end(), out.begin() + begin, lower);
}

bool put_template(std::string& out, const Template& text, const http::RequestHead& request,
                  const PathPattern::Captures& captures, std::optional<std::string_view> identity) {
  const auto mark = out.size();
  out += 'k';
  put(out, text.text());
  for (const auto& part : text.parts()) {
    if (part.kind == Template::Part::Kind::literal) continue;
    const auto length_at = out.size();
    out.append(length_size, '\0');
    const auto begin = out.size();
    if (!append_value(part, request, captures, identity, Repeated::no_value, out)) {
      out.resize(mark);
      return false;
    }
    write_length(out.size() - begin, out.data() + length_at);
  }
  return true;
}

// Some origins take ';' for another '&': a parameter that holds one is never left out, or a client could hide from the
// key what the origin reads.
bool is_kept(const QueryRule& rule, std::string_view parameter) noexcept {
  if (rule.filter == QueryRule::Filter::all || parameter.find(';') != std::string_view::npos) return true;
  const auto name = parameter.substr(0, parameter.find('='));
  const bool named =
      std::ranges::any_of(rule.names, [name](const std::string& known) { return parameter_named(name, known); });
  return named == (rule.filter == QueryRule::Filter::only);
}

template <class Visit>
void for_each_kept(const QueryRule& rule, std::string_view query, Visit visit) {
  for (std::size_t at = 0; at < query.size();) {
    const auto end = std::min(query.find('&', at), query.size());
    const auto parameter = query.substr(at, end - at);
    at = end + 1;
    if (!parameter.empty() && is_kept(rule, parameter)) visit(parameter);
  }
}

// Visits what is kept in the order of its names.
template <class Visit>
void for_each_sorted(const QueryRule& rule, std::string_view query, Visit visit) {
  // Equal names keep their order: all views point into one query, so their addresses tell it.
  const auto before = [](std::string_view a, std::string_view b) {
    const int order = a.substr(0, a.find('=')).compare(b.substr(0, b.find('=')));
    return order != 0 ? order < 0 : a.data() < b.data();
  };
  std::array<std::string_view, 32> few;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
  std::vector<std::string_view> many;
  std::size_t count = 0;
  for_each_kept(rule, query, [&](std::string_view parameter) {
    if (count < few.size()) {
      few[count] = parameter;
    } else {
      if (many.empty()) many.assign(few.begin(), few.end());
      many.push_back(parameter);
    }
    ++count;
  });
  const std::span<std::string_view> parameters =
      many.empty() ? std::span(few).first(count) : std::span<std::string_view>(many);
  std::sort(parameters.begin(), parameters.end(), before);
  for (const auto parameter : parameters) visit(parameter);
}

template <class Visit>
void for_each_parameter(const QueryRule& rule, std::string_view query, Visit visit) {
  if (rule.sort) {
    for_each_sorted(rule, query, visit);
  } else {
    for_each_kept(rule, query, visit);
  }
}

// The query counts as it stands.
bool is_plain(const QueryRule& rule) noexcept { return rule.filter == QueryRule::Filter::all && !rule.sort; }

void put_query(std::string& out, const QueryRule& rule, const http::RequestHead& request) {
  if (is_plain(rule)) {
    const bool is_present = request.target.find('?') != std::string_view::npos;
    out += is_present ? 'q' : '-';
    if (is_present) put(out, request.query());
    return;
  }
  out += 'f';
  for_each_parameter(rule, request.query(), [&out](std::string_view parameter) { put(out, parameter); });
}

std::string md5_key(const Route& route, std::string_view canonical) {
  std::string key = "cache:";
  key += route.type->name;
  key += ':';
  key += md5_hex(canonical);
  return key;
}

}  // namespace

std::size_t canonical_request(const http::RequestHead& request, const RouteMatch& match, std::string& out) {
  const auto& route = *match.route;
  out.clear();
  out += canonical_version;
  put(out, route.type ? std::string_view(route.type->name) : std::string_view{});
  if (route.key_has_host) {
    put_host(out, request);
  } else {
    out += '-';
  }
  std::optional<std::string_view> identity;
  std::array<char, 64> hex{};
  if (!route.identity) {
    out += '-';
  } else if (identity_of(*route.identity, request, hex)) {
    identity = std::string_view(hex.data(), hex.size());
    out += 'i';
    out += *identity;
  } else {
    out += 'a';
  }
  if (route.key && put_template(out, *route.key, request, match.captures, identity)) return 0;
  out += 'p';
  put(out, request.path());
  const auto path_size = out.size();
  put_query(out, route.query, request);
  return path_size;
}

std::vector<std::string_view> parameters_in_key(const QueryRule& rule, std::string_view query) {
  std::vector<std::string_view> parameters;
  for_each_parameter(rule, query, [&parameters](std::string_view parameter) { parameters.push_back(parameter); });
  return parameters;
}

std::string canonical_modulo(std::string_view canonical, std::size_t path_size, const RouteMatch& match,
                             const http::RequestHead& request, const QueryVariance& variance) {
  const auto& rule = match.route->query;
  std::string kept;
  for_each_kept(rule, request.query(), [&kept](std::string_view parameter) {
    if (!kept.empty()) kept += '&';
    kept += parameter;
  });
  std::string out(canonical.substr(0, path_size));
  out += 'v';
  put(out, encode(variance));
  put(out, normalised_query(variance, kept));
  return out;
}

std::string varied_path_tag(std::string_view path) { return own_tag_mark + ("path:" + std::string(path)); }

std::string purge_target(const http::RequestHead& request, const Route& route) {
  if (route.key) return std::string(request.path());
  if (is_plain(route.query)) return std::string(request.target);
  std::string target(request.path());
  char separator = '?';
  for_each_parameter(route.query, request.query(), [&](std::string_view parameter) {
    target.append(1, separator).append(parameter);
    separator = '&';
  });
  return target;
}

std::string cache_key(const http::RequestHead& request, const RouteMatch& match, std::string_view canonical) {
  const auto& route = *match.route;
  if (!route.key) return md5_key(route, canonical);
  const auto identity = route.identity ? identity_of(*route.identity, request) : std::nullopt;
  std::string value;
  bool names_identity = false;
  for (const auto& part : route.key->parts()) {
    names_identity = names_identity || part.kind == Template::Part::Kind::identity;
    if (!append_value(part, request, match.captures, identity, Repeated::no_value, value)) {
      return md5_key(route, canonical);
    }
  }
  std::string key = "cache:" + printable_key(value);
  if (route.identity && !names_identity) {
    key += ':';
    key += md5_hex(canonical);
  }
  return key.size() <= max_key ? key : md5_key(route, canonical);
}

void add_query_content(CacheKey& key, http::FieldSpan request_fields, std::string_view content) {
  std::string described;
  put(described, http::combined(request_fields, "Content-Type").value_or(""));
  put(described, http::combined(request_fields, "Content-Encoding").value_or(""));
  put(described, http::combined(request_fields, "Content-Language").value_or(""));
  std::array<char, 64> hex{};
  Digest digest(Digest::Algorithm::sha256);
  digest.update(described);
  digest.update(content);
  digest.finish_hex(hex.data());
  key.canonical += 'Q';
  key.canonical.append(hex.data(), hex.size());
  key.key += ':';
  key.key += md5_hex(key.canonical);
}

std::string variant_key(std::string_view key, std::string_view selecting) {
  std::string out(key);
  if (selecting.empty()) return out;
  out += ':';
  out += md5_hex(selecting);
  return out;
}

std::string md5_hex(std::string_view bytes) {
  Digest digest(Digest::Algorithm::md5);
  digest.update(bytes);
  std::string out(32, '\0');
  digest.finish_hex(out.data());
  return out;
}

}  // namespace larder::policy
