#include "larder/admin/value_order.hpp"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "larder/admin/endpoint.hpp"
#include "larder/http/utf8.hpp"
#include "larder/policy/rules.hpp"

namespace larder::admin {
namespace {

using proxy::ValueParameters;
using Members = std::map<std::string, std::string_view>;

constexpr std::size_t escaped = 6;  // bytes of \u0000
constexpr std::size_t small_members = 4096;

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Behind the string that begins at `at`. The text is known to be JSON.
std::size_t behind_string(std::string_view text, std::size_t at) noexcept {
  for (++at; text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

// Behind the value that begins at `at`, or rather at the ',' or '}' that follows it.
std::size_t behind_value(std::string_view text, std::size_t at) noexcept {
  for (std::size_t depth = 0;;) {
    const char c = text[at];
    if (c == '"') {
      at = behind_string(text, at);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) return at;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
}

Answer bad_body(std::string message) { return failure(400, "bad_body", message); }

std::variant<Members, Answer> members_among(std::string_view body, std::initializer_list<std::string_view> known,
                                            std::string_view right) {
  auto members = members_of(body);
  if (auto* const read = std::get_if<Members>(&members)) {
    for (const auto& [name, value] : *read) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return bad_body(fmt::format("there is no member \"{}\"; right would be {}", name.substr(0, 64), right));
      }
    }
  }
  return members;
}

std::optional<std::string> text_of(std::string_view json) {
  const auto value = Json::parse(json, nullptr, false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::variant<std::string, Answer> key_among(const Members& members, const ValueParameters& bounds) {
  const auto member = members.find("key");
  auto key = member == members.end() ? std::nullopt : text_of(member->second);
  if (!key) return bad_body("\"key\" is missing or is no string; right would be {\"key\":\"session:42\",…}");
  if (auto wrong = wrong_key(*key, bounds)) return std::move(*wrong);
  return std::move(*key);
}

std::variant<std::string, Answer> token_among(const Members& members) {
  const auto member = members.find("lease");
  if (member == members.end() || member->second == "null") return std::string{};
  auto token = text_of(member->second);
  if (!token || token->empty() || token->size() > 256) {
    return bad_body("\"lease\" is no token; right would be that of an answer of /cache/get-or-set");
  }
  return std::move(*token);
}

// Seconds, with a fraction, in milliseconds; empty where it is not in [least, most].
std::optional<std::chrono::milliseconds> seconds_of(std::string_view json, std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most) {
  const auto value = Json::parse(json, nullptr, false);
  if (!value.is_number()) return std::nullopt;
  const auto milliseconds = std::round(value.get<double>() * 1000);
  if (!(milliseconds >= static_cast<double>(least.count())) || !(milliseconds <= static_cast<double>(most.count()))) {
    return std::nullopt;
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
}

}  // namespace

std::variant<Members, Answer> members_of(std::string_view text) {
  text = trimmed(text);
  if (!Json::accept(text)) return bad_body("the body is no JSON (RFC 8259), or not in UTF-8");
  if (text.front() != '{') return bad_body("the body is no JSON object");
  Members members;
  std::size_t at = 1;
  for (;;) {
    while (is_space(text[at])) ++at;
    if (text[at] == '}') return members;
    const auto name_end = behind_string(text, at);
    auto name = text_of(text.substr(at, name_end - at)).value_or(std::string{});
    at = text.find(':', name_end) + 1;
    const auto end = behind_value(text, at);
    const auto shown = name.substr(0, 64);
    if (!members.emplace(std::move(name), trimmed(text.substr(at, end - at))).second) {
      return bad_body(fmt::format("the member \"{}\" comes twice", shown));
    }
    at = text[end] == ',' ? end + 1 : end;
  }
}

std::optional<Answer> wrong_key(std::string_view key, const ValueParameters& bounds) {
  if (key.empty()) return failure(400, "bad_key", "the key is empty; right would be such as session:42");
  if (key.size() > bounds.max_key) {
    return failure(400, "key_too_long",
                   fmt::format("the key has {} bytes; kv.max_key allows {}", key.size(), bounds.max_key));
  }
  if (!http::is_utf8(key)) return failure(400, "bad_key", "the key is not UTF-8 (percent-encoded in a path or query)");
  return std::nullopt;
}

std::variant<std::string, Answer> key_of(std::string_view raw_path, std::string_view query,
                                         const ValueParameters& bounds) {
  std::optional<std::string> key;
  if (!raw_path.empty()) {
    key = percent_decoded(raw_path);
  } else {
    constexpr std::string_view name = "key=";
    // The whole query is one parameter; a second one would be part of no key.
    if (!query.starts_with(name) || query.find('&') != std::string_view::npos) {
      return failure(
          400, "no_key",
          "name a key behind the path, percent-encoded, or as ?key=KEY (for keys with \".\" or \"..\" between "
          "slashes, which a path cannot hold)");
    }
    key = percent_decoded(query.substr(name.size()));
  }
  if (!key) return failure(400, "bad_key", "a '%' of the key has no two hexadecimal digits behind it");
  if (auto wrong = wrong_key(*key, bounds)) return std::move(*wrong);
  return std::move(*key);
}

std::variant<SetOrder, Answer> parse_set(std::string_view body, const ValueParameters& bounds) {
  constexpr std::string_view right = R"({"key":"session:42","value":…,"ttl":3600})";
  auto read = members_among(body, {"key", "value", "ttl", "lease"}, right);
  if (auto* const wrong = std::get_if<Answer>(&read)) return std::move(*wrong);
  const auto& members = std::get<Members>(read);
  SetOrder order;
  auto key = key_among(members, bounds);
  if (auto* const wrong = std::get_if<Answer>(&key)) return std::move(*wrong);
  order.key = std::get<std::string>(std::move(key));
  const auto value = members.find("value");
  if (value == members.end()) return bad_body(fmt::format("\"value\" is missing; right would be {}", right));
  if (value->second.size() > bounds.max_value) {
    return failure(
        413, "value_too_large",
        fmt::format("the value has {} bytes; kv.max_value allows {}", value->second.size(), bounds.max_value));
  }
  order.text = value->second;
  if (const auto ttl = members.find("ttl"); ttl != members.end() && ttl->second != "null") {
    const auto number = Json::parse(ttl->second, nullptr, false);
    const bool is_right = number.is_number_unsigned() && number.get<std::uint64_t>() >= 1 &&
                          number.get<std::uint64_t>() <= static_cast<std::uint64_t>(bounds.max_ttl.count());
    if (!is_right) {
      return failure(
          400, "bad_ttl",
          fmt::format("\"ttl\" is a whole number of seconds from 1 to {} (kv.max_ttl); leave it out for that of "
                      "the namespace",
                      bounds.max_ttl.count()));
    }
    order.ttl = std::chrono::seconds(number.get<std::int64_t>());
  }
  auto lease = token_among(members);
  if (auto* const wrong = std::get_if<Answer>(&lease)) return std::move(*wrong);
  order.lease = std::get<std::string>(std::move(lease));
  return order;
}

std::variant<std::vector<std::string>, Answer> parse_keys(std::string_view body, const ValueParameters& bounds) {
  auto read = members_among(body, {"keys"}, R"({"keys":["a","b"]})");
  if (auto* const wrong = std::get_if<Answer>(&read)) return std::move(*wrong);
  const auto& members = std::get<Members>(read);
  const auto member = members.find("keys");
  const auto list = member == members.end() ? Json() : Json::parse(member->second, nullptr, false);
  if (!list.is_array()) return bad_body(R"("keys" is missing or is no list; right would be {"keys":["a","b"]})");
  if (list.size() > bounds.max_keys) {
    return failure(413, "too_many_keys", fmt::format("{} keys; kv.max_keys allows {}", list.size(), bounds.max_keys));
  }
  std::vector<std::string> keys;
  for (const auto& item : list) {
    if (!item.is_string()) return bad_body("\"keys\" holds something that is no string");
    auto key = item.get<std::string>();
    if (auto wrong = wrong_key(key, bounds)) return std::move(*wrong);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  }
  return keys;
}

std::variant<LeaseOrder, Answer> parse_lease_order(std::string_view body, const ValueParameters& bounds) {
  constexpr std::chrono::milliseconds least_lease{100};
  auto read = members_among(body, {"key", "lease", "wait"}, R"({"key":"user:42","lease":10,"wait":5})");
  if (auto* const wrong = std::get_if<Answer>(&read)) return std::move(*wrong);
  const auto& members = std::get<Members>(read);
  auto key = key_among(members, bounds);
  if (auto* const wrong = std::get_if<Answer>(&key)) return std::move(*wrong);
  LeaseOrder order{.key = std::get<std::string>(std::move(key)), .lease = bounds.lease, .wait = bounds.max_wait};
  const auto number = [&](std::string_view name, std::chrono::milliseconds least, std::chrono::milliseconds most,
                          std::chrono::milliseconds& value) -> std::optional<Answer> {
    const auto member = members.find(std::string(name));
    if (member == members.end() || member->second == "null") return std::nullopt;
    const auto given = seconds_of(member->second, least, most);
    if (!given) {
      return failure(400, "bad_time",
                     fmt::format("\"{}\" is a number of seconds from {} to {}", name,
                                 static_cast<double>(least.count()) / 1000, static_cast<double>(most.count()) / 1000));
    }
    value = *given;
    return std::nullopt;
  };
  if (auto wrong = number("lease", least_lease, bounds.max_lease, order.lease)) return std::move(*wrong);
  if (auto wrong = number("wait", {}, bounds.max_wait, order.wait)) return std::move(*wrong);
  return order;
}

std::variant<ReleaseOrder, Answer> parse_release(std::string_view body, const ValueParameters& bounds) {
  auto read = members_among(body, {"key", "lease"}, R"({"key":"user:42","lease":"TOKEN"})");
  if (auto* const wrong = std::get_if<Answer>(&read)) return std::move(*wrong);
  const auto& members = std::get<Members>(read);
  auto key = key_among(members, bounds);
  if (auto* const wrong = std::get_if<Answer>(&key)) return std::move(*wrong);
  auto lease = token_among(members);
  if (auto* const wrong = std::get_if<Answer>(&lease)) return std::move(*wrong);
  ReleaseOrder order{.key = std::get<std::string>(std::move(key)), .lease = std::get<std::string>(std::move(lease))};
  if (order.lease.empty()) return bad_body("\"lease\" is missing: the token of the lease that is given back");
  return order;
}

std::optional<Answer> wrong_media_type(http::FieldSpan fields) {
  const auto* const field = http::find(fields, "Content-Type");
  if (field == nullptr) return std::nullopt;
  const auto type = http::trim_ows(field->value.substr(0, field->value.find(';')));
  const bool has_suffix = type.size() > 5 && http::iequals(type.substr(type.size() - 5), "+json");
  if (http::iequals(type, "application/json") || has_suffix) return std::nullopt;
  return failure(415, "not_json", "the body has to be JSON; send Content-Type: application/json");
}

std::size_t most_set_body(const ValueParameters& bounds) noexcept {
  return bounds.max_value + escaped * bounds.max_key + small_members;
}

std::size_t most_keys_body(const ValueParameters& bounds) noexcept {
  return bounds.max_keys * (escaped * bounds.max_key + 8) + small_members;
}

}  // namespace larder::admin
