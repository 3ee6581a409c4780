#include "larder/admin/json_object.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>

namespace larder::admin {
namespace {

TEST_CASE("parse_object: one object of few levels, each member once") {
  const auto parsed = parse_object(R"( {"a":[1,{"b":{}}]} )");
  REQUIRE(std::holds_alternative<Json>(parsed));
  CHECK(std::get<Json>(parsed)["a"][0] == 1);
  const struct {
    std::string body;
    std::string_view name;
    std::string_view what;
  } table[] = {{"", "bad_json", "not JSON"},
               {"{", "bad_json", "not JSON"},
               {"{\"a\":\"\xff\"}", "bad_json", "not JSON"},
               {"[]", "bad_order", "not a JSON object"},
               {"1", "bad_order", "not a JSON object"},
               {R"({"a":1,"a":2})", "bad_order", "comes twice"},
               {R"({"a":[[[[1]]]]})", "bad_order", "too deeply"},
               {"{\"a\":" + std::string(100000, '['), "bad_order", "too deeply"}};
  for (const auto& row : table) {
    CAPTURE(row.body.substr(0, 40));
    const auto got = parse_object(row.body);
    REQUIRE(std::holds_alternative<NoObject>(got));
    CHECK(std::get<NoObject>(got).name == row.name);
    CHECK(std::get<NoObject>(got).what.find(row.what) != std::string_view::npos);
  }
}

}  // namespace
}  // namespace larder::admin
