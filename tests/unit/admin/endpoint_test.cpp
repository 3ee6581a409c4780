#include "larder/admin/endpoint.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

TEST_CASE("route: the table") {
  struct Row {
    std::string_view method;
    std::string_view path;
    std::optional<Endpoint> endpoint;
    bool has_method;
    std::string_view argument;
  };
  for (const auto& row :
       std::vector<Row>{{"GET", "/health", Endpoint::health, true, ""},
                        {"HEAD", "/health", Endpoint::health, true, ""},
                        {"POST", "/health", Endpoint::health, false, ""},
                        {"get", "/health", Endpoint::health, false, ""},
                        {"", "/health", Endpoint::health, false, ""},
                        {"GET, HEAD", "/health", Endpoint::health, false, ""},
                        {"GET", "/ready", Endpoint::ready, true, ""},
                        {"GET", "/api/cache/stats", Endpoint::stats, true, ""},
                        {"GET", "/api/cache/series", Endpoint::series, true, ""},
                        {"HEAD", "/metrics", Endpoint::metrics, true, ""},
                        {"GET", "/api/cache/checks", Endpoint::checks, true, ""},
                        {"GET", "/api/cache/keys", Endpoint::keys, true, ""},
                        {"DELETE", "/api/cache/keys", Endpoint::keys, false, ""},
                        {"GET", "/api/cache/entry/cache:a:b", Endpoint::entry, true, "cache:a:b"},
                        {"DELETE", "/api/cache/entry/cache:a/b/c", Endpoint::entry, true, "cache:a/b/c"},
                        {"GET", "/api/cache/entry//", Endpoint::entry, true, "/"},
                        {"POST", "/api/cache/entry/x", Endpoint::entry, false, "x"},
                        {"GET", "/api/cache/entry/", std::nullopt, false, ""},
                        {"GET", "/api/cache/entry", std::nullopt, false, ""},
                        {"POST", "/api/cache/invalidate/product", Endpoint::invalidate_type, true, "product"},
                        {"GET", "/api/cache/invalidate/product", Endpoint::invalidate_type, false, "product"},
                        {"POST", "/api/cache/invalidate/", std::nullopt, false, ""},
                        {"POST", "/api/cache/invalidate-pattern", Endpoint::invalidate_pattern, true, ""},
                        {"POST", "/api/cache/invalidate-pattern/", std::nullopt, false, ""},
                        {"POST", "/api/cache/clear-all", Endpoint::clear_all, true, ""},
                        {"GET", "/api/cache/clear-all", Endpoint::clear_all, false, ""},
                        {"POST", "/api/cache/explain", Endpoint::explain, true, ""},
                        {"GET", "/api/cache/explain", Endpoint::explain, false, ""},
                        {"GET", "/", std::nullopt, false, ""},
                        {"GET", "", std::nullopt, false, ""},
                        {"OPTIONS", "*", std::nullopt, false, ""},
                        {"GET", "/health/", std::nullopt, false, ""},
                        {"GET", "/HEALTH", std::nullopt, false, ""}}) {
    CAPTURE(row.method);
    CAPTURE(row.path);
    const auto routed = route(row.method, row.path);
    CHECK(routed.endpoint == row.endpoint);
    CHECK(routed.has_method == row.has_method);
    CHECK(routed.argument == row.argument);
  }
}

TEST_CASE("refusals name what there is") {
  const auto unknown = unknown_path("/nowhere\xFF");
  CHECK(unknown.status == 404);
  const auto json = Json::parse(unknown.body);
  CHECK(json["error"] == "unknown_path");
  CHECK(json["endpoints"].size() == 23);
  CHECK(json["endpoints"][6] == "GET, HEAD, DELETE /api/cache/entry/{key}");
  const auto wrong = wrong_method("PATCH", "GET, HEAD");
  CHECK(wrong.status == 405);
  CHECK(wrong.more_lines == "Allow: GET, HEAD\r\n");
}

TEST_CASE("percent_decoded: the table") {
  struct Row {
    std::string_view text;
    std::optional<std::string> expected;
  };
  for (const auto& row : std::vector<Row>{{"", ""},
                                          {"cache:a:b", "cache:a:b"},
                                          {"a%2Fb%3a", "a/b:"},
                                          {"a+b", "a+b"},
                                          {"%2525", "%25"},
                                          {"%00", std::string(1, '\0')},
                                          {"%FF", "\xFF"},
                                          {"%", std::nullopt},
                                          {"a%2", std::nullopt},
                                          {"%G0", std::nullopt},
                                          {"%-1", std::nullopt}}) {
    CAPTURE(row.text);
    CHECK(percent_decoded(row.text) == row.expected);
  }
}

TEST_CASE("key_candidates: the table") {
  struct Row {
    std::string raw;
    std::vector<std::string> expected;
  };
  for (const auto& row : std::vector<Row>{{"cache:user:profile:42", {"cache:user:profile:42"}},
                                          {"cache%3Auser%3A42", {"cache:user:42"}},
                                          {"cache:user:a%20b", {"cache:user:a b", "cache:user:a%20b"}},
                                          {"cache:user:a%2520b", {"cache:user:a%20b", "cache:user:a%2520b"}},
                                          {"cache:user:a%2Fb", {"cache:user:a/b", "cache:user:a%2Fb"}},
                                          {"cache:user:%zz", {"cache:user:%zz"}},
                                          {"larder:purge-log", {}},
                                          {"", {}},
                                          {"cache", {}},
                                          {"%63ache:x", {"cache:x"}},
                                          {"cache:" + std::string(5000, 'x'), {}}}) {
    CAPTURE(row.raw);
    CHECK(key_candidates(row.raw) == row.expected);
  }
}

}  // namespace
}  // namespace larder::admin
