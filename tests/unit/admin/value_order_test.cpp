#include "larder/admin/value_order.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>

namespace larder::admin {
namespace {

using Members = std::map<std::string, std::string_view>;

std::string error_of(const Answer& answer) {
  return std::to_string(answer.status) + " " + Json::parse(answer.body).value("error", "");
}

template <class Order>
std::string error_of(const std::variant<Order, Answer>& read) {
  const auto* const answer = std::get_if<Answer>(&read);
  return answer == nullptr ? "none" : error_of(*answer);
}

proxy::ValueParameters small() {
  proxy::ValueParameters bounds;
  bounds.max_value = 100;
  bounds.max_key = 20;
  bounds.max_keys = 3;
  bounds.max_ttl = std::chrono::seconds(1000);
  return bounds;
}

TEST_CASE("members stand as they were written") {
  const std::string values[] = {"1",
                                "-1.50e+10",
                                "true",
                                "null",
                                R"("a,}]\"\\")",
                                R"([1,{"x":"]"},[]])",
                                "{}",
                                "[]",
                                R"({ "a" : { "b" : [ "}" ] } , "c" : 1 })",
                                R"("\u007d\ud83d\ude00")"};
  for (const auto& value : values) {
    for (const auto& [before, behind] : {std::pair{"", ""}, std::pair{" \n", "\t "}}) {
      CAPTURE(value);
      const auto text = std::string(before) + "{" + before + "\"v\"" + before + ":" + before + value + behind + "," +
                        R"("w":)" + value + behind + "}" + behind;
      const auto members = members_of(text);
      REQUIRE(std::holds_alternative<Members>(members));
      CHECK(std::get<Members>(members) == Members{{"v", value}, {"w", value}});
    }
  }
  CHECK(std::get<Members>(members_of("{}")).empty());
  CHECK(std::get<Members>(members_of(R"({"\u006bey":1})")).contains("key"));
}

TEST_CASE("what is no JSON object is refused") {
  for (const char* text : {"", " ", "{", "}", "[]", "1", "\"a\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}x",
                           "{'a':1}", "{\"a\":\"\xff\"}", "{\"a\":\"\n\"}", "{\"a\":01}", "{\"a\":1,\"a\":1}",
                           "{\"a\":1,\"\\u0061\":1}", "\xef\xbb\xbf{"}) {
    CAPTURE(std::string(text));
    CHECK(error_of(members_of(text)) == "400 bad_body");
  }
}

TEST_CASE("parse_set") {
  const auto right = parse_set(R"({"key":"a:\u0062","value": {"x":1.0} ,"ttl":1000,"lease":"t"})", small());
  REQUIRE(std::holds_alternative<SetOrder>(right));
  const auto& order = std::get<SetOrder>(right);
  CHECK(order.key == "a:b");
  CHECK(order.text == R"({"x":1.0})");
  CHECK(order.ttl == std::chrono::seconds(1000));
  CHECK(order.lease == "t");
  CHECK_FALSE(std::get<SetOrder>(parse_set(R"({"key":"a","value":null,"ttl":null,"lease":null})", small())).ttl);
  const struct {
    std::string body;
    const char* error;
  } table[] = {{R"({"key":"a"})", "400 bad_body"},
               {R"({"value":1})", "400 bad_body"},
               {R"({"key":null,"value":1})", "400 bad_body"},
               {R"({"key":"a","value":1,"x":1})", "400 bad_body"},
               {R"({"key":"","value":1})", "400 bad_key"},
               {R"({"key":"aaaaaaaaaaaaaaaaaaaaa","value":1})", "400 key_too_long"},
               {R"({"key":"a","value":")" + std::string(99, 'x') + R"("})", "413 value_too_large"},
               {R"({"key":"a","value":1,"ttl":0})", "400 bad_ttl"},
               {R"({"key":"a","value":1,"ttl":-1})", "400 bad_ttl"},
               {R"({"key":"a","value":1,"ttl":1001})", "400 bad_ttl"},
               {R"({"key":"a","value":1,"ttl":1.5})", "400 bad_ttl"},
               {R"({"key":"a","value":1,"ttl":99999999999999999999})", "400 bad_ttl"},
               {R"({"key":"a","value":1,"ttl":"60"})", "400 bad_ttl"},
               {R"({"key":"a","value":1,"lease":""})", "400 bad_body"},
               {R"({"key":"a","value":1,"lease":1})", "400 bad_body"}};
  for (const auto& row : table) {
    CAPTURE(row.body);
    CHECK(error_of(parse_set(row.body, small())) == row.error);
  }
}

TEST_CASE("parse_keys: each once") {
  CHECK(std::get<std::vector<std::string>>(parse_keys(R"({"keys":["a","b","a"]})", small())) ==
        std::vector<std::string>{"a", "b"});
  CHECK(std::get<std::vector<std::string>>(parse_keys(R"({"keys":[]})", small())).empty());
  CHECK(error_of(parse_keys(R"({"keys":["a","b","c","d"]})", small())) == "413 too_many_keys");
  CHECK(error_of(parse_keys(R"({"keys":["a",""]})", small())) == "400 bad_key");
  CHECK(error_of(parse_keys(R"({"keys":["a",{}]})", small())) == "400 bad_body");
  CHECK(error_of(parse_keys(R"({})", small())) == "400 bad_body");
}

TEST_CASE("parse_lease_order: times in seconds, bounded") {
  const auto read = parse_lease_order(R"({"key":"a","lease":0.5,"wait":0})", small());
  REQUIRE(std::holds_alternative<LeaseOrder>(read));
  CHECK(std::get<LeaseOrder>(read).lease == std::chrono::milliseconds(500));
  CHECK(std::get<LeaseOrder>(read).wait == std::chrono::milliseconds(0));
  CHECK(std::get<LeaseOrder>(parse_lease_order(R"({"key":"a"})", small())).lease == small().lease);
  for (const char* more :
       {"\"lease\":0", "\"lease\":61", "\"lease\":1e300", "\"lease\":\"1\"", "\"wait\":-1", "\"wait\":31"}) {
    CAPTURE(std::string(more));
    CHECK(error_of(parse_lease_order(std::string(R"({"key":"a",)") + more + "}", small())) == "400 bad_time");
  }
}

TEST_CASE("keys of paths and queries") {
  const auto key = [](std::string_view path, std::string_view query) {
    auto read = key_of(path, query, small());
    const auto* const found = std::get_if<std::string>(&read);
    return found != nullptr ? *found : error_of(read);
  };
  CHECK(key("a%2Fb", "") == "a/b");
  CHECK(key("a/b", "x=1") == "a/b");
  CHECK(key("a+b", "") == "a+b");
  CHECK(key("", "key=%2E%2E") == "..");
  CHECK(key("%00", "") == std::string(1, '\0'));
  CHECK(key("", "") == "400 no_key");
  CHECK(key("", "key=") == "400 bad_key");
  CHECK(key("", "key=a&x=b") == "400 no_key");
  CHECK(key("%C3", "") == "400 bad_key");
  CHECK(key("%4", "") == "400 bad_key");
  CHECK(key("aaaaaaaaaaaaaaaaaaaaa", "") == "400 key_too_long");
}

TEST_CASE("media types") {
  const auto wrong = [](const char* type) {
    http::FieldList fields;
    fields.add("Content-Type", type);
    return wrong_media_type(fields).has_value();
  };
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"}) {
    CHECK_FALSE(wrong(type));
  }
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/jsonx", "+json", ""}) {
    CHECK(wrong(type));
  }
  CHECK_FALSE(wrong_media_type(http::FieldList{}).has_value());
}

}  // namespace
}  // namespace larder::admin
