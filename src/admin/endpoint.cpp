#include "larder/admin/endpoint.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "larder/admin/value_api.hpp"
#include "larder/http/field_list.hpp"
#include "larder/policy/rules.hpp"

namespace larder::admin {
namespace {

struct Row {
  Endpoint endpoint;
  std::string_view path;  // ends with '/' where an argument follows
  std::string_view shown;
  std::string_view allow;
};

constexpr std::array<Row, 14> rows{{
    {Endpoint::health, "/health", "/health", "GET, HEAD"},
    {Endpoint::ready, "/ready", "/ready", "GET, HEAD"},
    {Endpoint::metrics, "/metrics", "/metrics", "GET, HEAD"},
    {Endpoint::stats, "/api/cache/stats", "/api/cache/stats", "GET, HEAD"},
    {Endpoint::series, "/api/cache/series", "/api/cache/series", "GET, HEAD"},
    {Endpoint::keys, "/api/cache/keys", "/api/cache/keys?pattern=&limit=&cursor=&sort=", "GET, HEAD"},
    {Endpoint::entry, "/api/cache/entry/", "/api/cache/entry/{key}", "GET, HEAD, DELETE"},
    {Endpoint::invalidate_type, "/api/cache/invalidate/", "/api/cache/invalidate/{type}", "POST"},
    {Endpoint::invalidate_pattern, "/api/cache/invalidate-pattern", "/api/cache/invalidate-pattern", "POST"},
    {Endpoint::clear_all, "/api/cache/clear-all", "/api/cache/clear-all?kv=", "POST"},
    {Endpoint::checks, "/api/cache/checks", "/api/cache/checks", "GET, HEAD"},
    {Endpoint::explain, "/api/cache/explain", "/api/cache/explain", "POST"},
    {Endpoint::warm, "/api/cache/warm", "/api/cache/warm", "GET, HEAD, POST"},
    {Endpoint::reload, "/api/cache/reload", "/api/cache/reload", "POST"},
}};

// No cache key is longer: 512 bytes of a base key and an md5 behind it, and each byte may have come percent-encoded.
constexpr std::size_t max_raw_key = 4096;

bool allows(std::string_view allow, std::string_view method) noexcept {
  http::ListMembers members(allow);
  while (const auto member = members.next()) {
    if (*member == method) return true;
  }
  return false;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Routed route(std::string_view method, std::string_view path) noexcept {
  for (const auto& row : rows) {
    const bool has_argument = row.path.ends_with('/');
    const bool is_there = has_argument ? path.size() > row.path.size() && path.starts_with(row.path) : path == row.path;
    if (!is_there) continue;
    return {.endpoint = row.endpoint,
            .argument = has_argument ? path.substr(row.path.size()) : std::string_view{},
            .allow = row.allow,
            .has_method = allows(row.allow, method)};
  }
  return {};
}

bool is_open(Endpoint endpoint) noexcept { return endpoint == Endpoint::health || endpoint == Endpoint::ready; }

Answer unknown_path(std::string_view path) {
  auto endpoints = Json::array();
  for (const auto& row : rows) endpoints.push_back(fmt::format("{} {}", row.allow, row.shown));
  endpoints.push_back("GET, HEAD /");
  for (auto& endpoint : value_endpoints()) endpoints.push_back(std::move(endpoint));
  return failure(404, "unknown_path",
                 fmt::format("there is no {} here; see \"endpoints\" for what there is", path.substr(0, 256)),
                 {{"endpoints", std::move(endpoints)}});
}

Answer wrong_method(std::string_view method, std::string_view allow) {
  auto answer =
      failure(405, "wrong_method", fmt::format("{} is not for this path; allowed: {}", method.substr(0, 64), allow));
  answer.more_lines = fmt::format("Allow: {}\r\n", allow);
  return answer;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::vector<std::string> key_candidates(std::string_view raw) {
  std::vector<std::string> candidates;
  if (raw.size() > max_raw_key) return candidates;
  const auto add = [&candidates](std::string key) {
    if (key.starts_with("cache:") && std::ranges::find(candidates, key) == candidates.end()) {
      candidates.push_back(std::move(key));
    }
  };
  if (auto decoded = percent_decoded(raw)) {
    auto printable = policy::printable_key(*decoded);
    add(std::move(*decoded));
    add(std::move(printable));
  }
  add(std::string(raw));
  return candidates;
}

}  // namespace larder::admin
