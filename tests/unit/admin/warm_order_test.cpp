#include "larder/admin/warm_order.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

policy::Warming two_tasks() {
  policy::Warming warming;
  warming.tasks.resize(2);
  warming.tasks[0].name = "a";
  warming.tasks[1].name = "b";
  return warming;
}

TEST_CASE("parse_warm_order: what is right") {
  const auto warming = two_tasks();
  const auto read = [&](std::string_view body) {
    const auto order = parse_warm_order(body, warming);
    REQUIRE(std::holds_alternative<WarmOrder>(order));
    return std::get<WarmOrder>(order);
  };
  for (const auto* const body : {"", "{}", R"({"force":false,"wait":false})"}) {
    const auto order = read(body);
    CHECK(order.tasks.empty());
    CHECK_FALSE(order.force);
    CHECK_FALSE(order.wait);
  }
  const auto order = read(R"({"tasks":["b","b"],"force":true,"wait":true})");
  CHECK(order.tasks == std::vector<std::string>{"b"});
  CHECK(order.force);
  CHECK(order.wait);
}

TEST_CASE("parse_warm_order: what is wrong") {
  const auto warming = two_tasks();
  const struct {
    std::string_view body;
    int status;
    std::string_view error;
    std::string_view message;
  } table[] = {{"[]", 400, "bad_order", "not a JSON object"},
               {"{", 400, "bad_json", "not JSON"},
               {R"({"task":["a"]})", 400, "bad_order", "there is no \"task\""},
               {R"({"force":1})", 400, "bad_order", "\"force\" is not true or false"},
               {R"({"wait":"yes"})", 400, "bad_order", "\"wait\" is not true or false"},
               {R"({"tasks":"a"})", 400, "bad_order", "not a list of names"},
               {R"({"tasks":[]})", 400, "bad_order", "not a list of names"},
               {R"({"tasks":[1]})", 400, "bad_order", "no name"},
               {R"({"tasks":["a","c"]})", 404, "unknown_task", "no warm task c"}};
  for (const auto& row : table) {
    CAPTURE(row.body);
    const auto order = parse_warm_order(row.body, warming);
    REQUIRE(std::holds_alternative<Answer>(order));
    const auto& answer = std::get<Answer>(order);
    const auto json = Json::parse(answer.body);
    CHECK(answer.status == row.status);
    CHECK(json["error"] == row.error);
    CHECK(json["message"].get<std::string>().find(row.message) != std::string::npos);
    if (row.status == 404) CHECK(json["tasks"] == Json::array({"a", "b"}));
  }
  const auto none = parse_warm_order("", {});
  REQUIRE(std::holds_alternative<Answer>(none));
  CHECK(Json::parse(std::get<Answer>(none).body)["error"] == "nothing_to_warm");
}

}  // namespace
}  // namespace larder::admin
