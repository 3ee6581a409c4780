#include "larder/admin/explain_order.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

TEST_CASE("parse_explain_order: what is right") {
  const auto parsed = parse_explain_order(
      R"({"method":"PUT","target":"/a/../b?c","host":"h:1","headers":{"A":"1","B":["2"," 3 "]},
          "response":{"status":404,"headers":{"Vary":"A"}}})",
      "default:80");
  REQUIRE(std::holds_alternative<ExplainOrder>(parsed));
  const auto& order = std::get<ExplainOrder>(parsed);
  const auto head = order.request.head();
  CHECK(head.method == "PUT");
  CHECK(head.target == "/b?c");
  CHECK(head.authority == "h:1");
  REQUIRE(head.fields.size() == 4);
  CHECK(head.fields[0].value == "1");
  CHECK(head.fields[1].value == "2");
  CHECK(head.fields[2].value == "3");
  REQUIRE(order.response);
  CHECK(order.response->status == 404);
  CHECK(http::first_value(order.response->fields, "Vary") == "A");

  const auto least = parse_explain_order(R"({"target":"/"})", "default:80");
  REQUIRE(std::holds_alternative<ExplainOrder>(least));
  CHECK(std::get<ExplainOrder>(least).request.head().method == "GET");
  CHECK(std::get<ExplainOrder>(least).request.head().authority == "default:80");
  CHECK_FALSE(std::get<ExplainOrder>(least).response);
}

TEST_CASE("parse_explain_order: what is wrong") {
  struct Row {
    std::string body;
    std::string_view error;
    std::string_view says;
  };
  for (const auto& row : std::vector<Row>{
           {"", "bad_json", "not JSON"},
           {"{", "bad_json", "not JSON"},
           {"\xff", "bad_json", "not JSON"},
           {"[]", "bad_order", "not a JSON object"},
           {std::string(50000, '['), "bad_order", "too deeply"},
           {"{}", "bad_order", "no \\\"target\\\""},
           {R"({"target":1})", "bad_order", "not a string"},
           {R"({"target":"/","url":"/"})", "bad_order", "there is no \\\"url\\\""},
           {R"({"target":"/","headers":[]})", "bad_order", "not an object"},
           {R"({"target":"/","headers":{"A":1}})", "bad_order", "neither a string"},
           {R"({"target":"/","headers":{"A b":"1"}})", "bad_request", "name of a field"},
           {R"({"target":"/","headers":{"A":"1\r\nB: 2"}})", "bad_request", "control character"},
           {R"({"target":"/","method":"get"})", "bad_request", "capitals"},
           {R"({"target":"a"})", "bad_request", "request target"},
           {R"({"target":"/","host":"a b"})", "bad_request", "not a host"},
           {R"({"target":"/","response":1})", "bad_order", "not an object"},
           {R"({"target":"/","response":{"status":"200"}})", "bad_order", "not one from 200"},
           {R"({"target":"/","response":{"status":1e99}})", "bad_order", "not one from 200"},
           {R"({"target":"/","response":{"status":18446744073709551615}})", "bad_order", "not one from 200"},
           {R"({"target":"/","response":{"code":200}})", "bad_order", "there is no \\\"code\\\""},
           {R"({"target":"/","response":{"headers":{"A":"\n"}}})", "bad_order", "control character"},
       }) {
    CAPTURE(row.body.substr(0, 100));
    const auto parsed = parse_explain_order(row.body, "h");
    REQUIRE(std::holds_alternative<Answer>(parsed));
    const auto& answer = std::get<Answer>(parsed);
    CHECK(answer.status == 400);
    CHECK(Json::parse(answer.body)["error"] == row.error);
    CHECK(answer.body.find(row.says) != std::string::npos);
  }
}

}  // namespace
}  // namespace larder::admin
