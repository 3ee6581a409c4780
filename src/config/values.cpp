#include "larder/config/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace larder::config {
namespace {

constexpr auto none = std::string_view::npos;
constexpr std::uint64_t max_number = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t max_duration_ms = 100ULL * 365 * 24 * 3600 * 1000;

// Biggest first: show_duration takes the first that divides.
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> duration_units{
    {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 9> size_units{{{"tib", 1ULL << 40U},
                                                                                {"gib", 1ULL << 30U},
                                                                                {"mib", 1ULL << 20U},
                                                                                {"kib", 1ULL << 10U},
                                                                                {"tb", 1000000000000ULL},
                                                                                {"gb", 1000000000ULL},
                                                                                {"mb", 1000000ULL},
                                                                                {"kb", 1000ULL},
                                                                                {"b", 1}}};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The number at the front of `text` and what follows it.
std::optional<std::pair<std::uint64_t, std::string_view>> number_and_unit(std::string_view text) {
  const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_count(text.substr(0, end));
  if (!number) return std::nullopt;
  return std::pair{*number, text.substr(end)};
}

std::optional<std::uint64_t> scaled(std::uint64_t number, std::uint64_t unit, std::uint64_t limit) {
  if (number > limit / unit) return std::nullopt;
  return number * unit;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_count(text);
  if (!port || *port > 65535 || text.size() > 5) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

bool is_host(std::string_view host) noexcept {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '.' || c == '-' || c == '_';
  });
}

bool is_ipv6(std::string_view host) noexcept {
  return host.size() <= 64 && host.find(':') != none && std::ranges::all_of(host, [](char c) {
           return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f') || c == ':' || c == '.';
         });
}

// host[:port] or [v6][:port]; the port is empty where there is none.
struct HostPort {
  std::string_view host;  // without brackets
  std::string_view port;
  bool has_port = false;
};

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort out;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == none) return std::nullopt;
    out.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (!is_ipv6(out.host) || (!text.empty() && text.front() != ':')) return std::nullopt;
  } else {
    const auto colon = text.find(':');
    out.host = text.substr(0, colon);
    if (!is_host(out.host)) return std::nullopt;
    text = colon == none ? std::string_view{} : text.substr(colon);
  }
  out.has_port = !text.empty();
  if (out.has_port) out.port = text.substr(1);
  return out;
}

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
    i += 2;
  }
  return out;
}

std::optional<int> parse_database(std::string_view text) {
  const auto number = parse_count(text);
  if (!number || *number > 65535) return std::nullopt;
  return static_cast<int>(*number);
}

// Takes "user:password@" off the front of `rest`; false where it is not well percent-encoded.
bool take_userinfo(std::string_view& rest, RedisAddress& address) {
  const auto at = rest.rfind('@', std::min(rest.find('?'), rest.size()));
  if (at == none) return true;
  const auto userinfo = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const auto colon = userinfo.find(':');
  const auto user = percent_decoded(userinfo.substr(0, colon));
  const auto password = percent_decoded(colon == none ? std::string_view{} : userinfo.substr(colon + 1));
  if (!user || !password) return false;
  if (!user->empty()) address.user = user;
  if (colon != none) address.password = password;
  return true;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  const auto unit_name = parts->second.empty() ? std::string_view("s") : parts->second;
  for (const auto& [name, unit] : duration_units) {
    if (name != unit_name) continue;
    const auto value = scaled(parts->first, unit, max_duration_ms);
    if (!value) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(*value));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  if (parts->second.empty()) return parts->first;
  const auto unit_name = lowered(parts->second);
  for (const auto& [name, unit] : size_units) {
    if (name == unit_name) return scaled(parts->first, unit, max_number);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max_number) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> parse_share(std::string_view text) {
  constexpr std::uint64_t millionths_of_percent = 10000;
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const auto point = text.find('.');
  const auto whole = parse_count(text.substr(0, point));
  if (!whole || *whole > 100) return std::nullopt;
  auto share = *whole * millionths_of_percent;
  if (point != none) {
    const auto decimals = text.substr(point + 1);
    const auto part = parse_count(decimals);
    if (!part || decimals.size() > 4) return std::nullopt;
    auto scaled_part = *part;
    for (auto i = decimals.size(); i < 4; ++i) scaled_part *= 10;
    share += scaled_part;
  }
  if (share > 100 * millionths_of_percent) return std::nullopt;
  return static_cast<std::uint32_t>(share);
}

std::optional<bool> parse_flag(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes") return true;
  if (text == "false" || text == "off" || text == "no") return false;
  return std::nullopt;
}

std::optional<net::Endpoint> parse_endpoint(std::string_view text) {
  const auto parts = split_host_port(text);
  if (!parts || !parts->has_port) return std::nullopt;
  const auto port = parse_port(parts->port);
  if (!port) return std::nullopt;
  return net::Endpoint{std::string(parts->host), *port};
}

std::optional<std::string> parse_origin(std::string_view text, std::string& wrong) {
  const auto scheme_end = text.find("://");
  if (scheme_end == none) {
    wrong = "it has no scheme";
    return std::nullopt;
  }
  const auto scheme = lowered(text.substr(0, scheme_end));
  auto rest = text.substr(scheme_end + 3);
  if (scheme != "http") {
    wrong = scheme == "https" ? "TLS to origins is not supported by this version" : "its scheme is not http";
    return std::nullopt;
  }
  if (rest.find('@') != none) {
    wrong = "it holds a user or password, which no HTTP request can carry";
    return std::nullopt;
  }
  if (rest.ends_with('/') && rest.find('/') == rest.size() - 1) rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != none) {
    wrong = "it has a path; requests keep their own";
    return std::nullopt;
  }
  const auto parts = split_host_port(rest);
  const auto port = parts && parts->has_port ? parse_port(parts->port) : std::optional<std::uint16_t>(80);
  if (!parts || !port || *port == 0) {
    wrong = parts ? "its port is not from 1 to 65535" : "its host is not a host";
    return std::nullopt;
  }
  return "http://" + show_endpoint({lowered(parts->host), *port});
}

std::optional<RedisAddress> parse_redis_url(std::string_view text, std::string& wrong) {
  using Transport = redis::ConnectionParameters::Transport;
  RedisAddress address;
  const auto fail = [&wrong](std::string_view what) {
    wrong = what;
    return std::nullopt;
  };
  const auto scheme_end = text.find("://");
  const auto scheme = lowered(text.substr(0, scheme_end));
  if (scheme_end == none) return fail("it has no scheme");
  if (scheme == "redis") {
    address.transport = Transport::tcp;
  } else if (scheme == "rediss") {
    address.transport = Transport::tls;
  } else if (scheme == "unix") {
    address.transport = Transport::unix_socket;
  } else {
    return fail("its scheme is not redis, rediss or unix");
  }
  auto rest = text.substr(scheme_end + 3);
  if (!take_userinfo(rest, address)) return fail("its user or password has a '%' that is not percent-encoding");
  if (const auto mark = rest.find('?'); mark != none) {
    const auto query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
    const auto database = query.starts_with("db=") ? parse_database(query.substr(3)) : std::nullopt;
    if (!database) return fail("behind its '?' there is something else than db=NUMBER");
    address.database = database;
  }
  if (address.transport == Transport::unix_socket) {
    // sockaddr_un holds 108 bytes with the final NUL.
    if (!rest.starts_with('/') || rest.size() < 2 || rest.size() > 107) {
      return fail("its socket path does not begin with '/' or is longer than 107 bytes");
    }
    address.host = rest;
    return address;
  }
  const auto slash = rest.find('/');
  if (slash != none && slash + 1 < rest.size()) {
    const auto database = parse_database(rest.substr(slash + 1));
    if (!database) return fail("its database is not a number");
    address.database = database;
  }
  const auto parts = split_host_port(rest.substr(0, slash));
  if (!parts) return fail("its host is not a host");
  address.host = parts->host;
  if (parts->has_port) {
    const auto port = parse_port(parts->port);
    if (!port || *port == 0) return fail("its port is not from 1 to 65535");
    address.port = *port;
  }
  return address;
}

std::string show_duration(std::chrono::milliseconds value) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0));
  if (count == 0) return "0";
  for (const auto& [name, unit] : duration_units) {
    if (count % unit == 0) return std::to_string(count / unit) + std::string(name);
  }
  return {};
}

std::string show_size(std::uint64_t value) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 4> units{
      {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}};
  if (value != 0) {
    for (const auto& [name, bits] : units) {
      if (value % (std::uint64_t{1} << bits) == 0) return std::to_string(value >> bits) + std::string(name);
    }
  }
  return std::to_string(value);
}

std::string show_share(std::uint32_t millionths) {
  auto decimals = std::to_string(millionths % 10000);
  decimals.insert(0, 4 - decimals.size(), '0');
  decimals.erase(decimals.find_last_not_of('0') + 1);
  return std::to_string(millionths / 10000) + (decimals.empty() ? "" : "." + decimals) + "%";
}

std::string show_endpoint(const net::Endpoint& endpoint) {
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

}  // namespace larder::config
