#include "larder/admin/value_api.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>

namespace larder::admin {
namespace {

TEST_CASE("routes") {
  const struct {
    const char* method;
    const char* path;
    std::optional<ValueEndpoint> endpoint;
    const char* argument;
    bool has_method;
  } table[] = {{"POST", "/cache/set", ValueEndpoint::set, "", true},
               {"GET", "/cache/set", ValueEndpoint::set, "", false},
               {"POST", "/cache/set/x", std::nullopt, "", false},
               {"GET", "/cache/get/a/b", ValueEndpoint::get, "a/b", true},
               {"HEAD", "/cache/get/a", ValueEndpoint::get, "a", true},
               {"GET", "/cache/get//a", ValueEndpoint::get, "/a", true},
               {"GET", "/cache/get", ValueEndpoint::get, "", true},
               {"GET", "/cache/get/", ValueEndpoint::get, "", true},
               {"POST", "/cache/get-many", ValueEndpoint::get_many, "", true},
               {"POST", "/cache/get-or-set", ValueEndpoint::get_or_set, "", true},
               {"GET", "/cache/getter", std::nullopt, "", false},
               {"GET", "/cache/exists/a", ValueEndpoint::exists, "a", true},
               {"DELETE", "/cache/clear/a", ValueEndpoint::clear, "a", true},
               {"DELETE", "/cache/flush", ValueEndpoint::flush, "", true},
               {"DELETE", "/cache/flush/session", ValueEndpoint::flush, "session", true},
               {"POST", "/cache/release", ValueEndpoint::release, "", true},
               {"GET", "/cache/", std::nullopt, "", false}};
  for (const auto& row : table) {
    CAPTURE(std::string(row.path));
    const auto to = route_value(row.method, row.path);
    CHECK(to.endpoint == row.endpoint);
    CHECK(to.argument == row.argument);
    CHECK(to.has_method == row.has_method);
  }
  CHECK(value_endpoints().size() == 8);
}

TEST_CASE("only paths below /cache are its own") {
  CHECK(ValueApi::is_path("/cache/set"));
  CHECK(ValueApi::is_path("/cache"));
  CHECK_FALSE(ValueApi::is_path("/cached/x"));
  CHECK_FALSE(ValueApi::is_path("/api/cache/stats"));
}

}  // namespace
}  // namespace larder::admin
