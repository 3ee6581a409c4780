#include "larder/admin/explanation_view.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

constexpr policy::TimePoint now{std::chrono::seconds(1700000000)};

std::shared_ptr<const policy::RuleSet> rules_of_the_test() {
  auto rules = std::make_shared<policy::RuleSet>();
  auto type = std::make_shared<policy::Type>();
  type->name = "t";
  rules->types.push_back(type);
  std::string error;
  policy::Route reader;
  reader.methods = {"GET"};
  reader.path = policy::PathPattern::parse("/p/{id}", error).value();
  reader.type = type;
  reader.store.ttl = policy::Seconds(300);
  reader.tags = {policy::Template::parse("p:{id}", {"id"}, error).value()};
  reader.query.filter = policy::QueryRule::Filter::only;
  reader.query.names = {"q"};
  reader.match_text = "GET /p/{id}";
  reader.file = "r.yaml";
  reader.line = 3;
  auto writer = reader;
  writer.methods = {"PUT"};
  writer.type = nullptr;
  writer.purge = {{policy::SelectorKind::tag, reader.tags.front()}};
  writer.match_text = "PUT /p/{id}";
  writer.line = 9;
  rules->routes = {reader, writer};
  return rules;
}

policy::Explanation explain(std::string method, std::string target, const policy::AskedResponse* response = nullptr) {
  policy::AskedRequest asked;
  asked.method = std::move(method);
  asked.target = std::move(target);
  asked.host = "h";
  const auto request = policy::NormalRequest::make(asked);
  return policy::explain({.rules = rules_of_the_test(), .now = now}, std::get<policy::NormalRequest>(request),
                         response);
}

policy::AskedResponse answer(std::vector<http::Field> fields) {
  policy::AskedResponse response;
  response.fields = http::FieldList::copy_of(fields);
  return response;
}

TEST_CASE("an explanation as JSON") {
  const auto response = answer({{"Cache-Control", "max-age=60"}});
  const auto json = to_json(explain("GET", "/p/7?q=1&x=2", &response));
  CHECK(json["way"] == "look_up");
  CHECK(json["route"]["line"] == 3);
  CHECK(json["captures"]["id"] == "7");
  CHECK(json["passed_over"][0]["reason"] == "not_looked_at");
  CHECK(json["key"]["query"]["parameters"] == Json::array({"q=1"}));
  CHECK(json["key"]["query"]["left_out"] == Json::array({"x=2"}));
  CHECK(json["key"]["host"] == "http://h");
  CHECK(json["tags"] == Json::array({"p:7"}));
  CHECK(json["response"]["stored"] == true);
  CHECK(json["response"]["reason"]["name"] == "none");
  CHECK(json["response"]["freshness"]["freshness_lifetime"] == 60);
  CHECK(json["response"]["freshness"]["source"] == "max_age");
  CHECK(json["response"]["freshness"]["corrected_age_value"] == 0);
  CHECK(json["purged_by"][0]["route"]["line"] == 9);
  CHECK(json["purged_by"][0]["when"]["{id}"] == "7");
  CHECK(json["write"].is_null());
  CHECK(Json::parse(to_json_text(explain("GET", "/p/7"))) == to_json(explain("GET", "/p/7")));

  const auto write = to_json(explain("PUT", "/p/7"));
  CHECK(write["way"] == "write");
  CHECK(write["reason"]["name"] == "method");
  CHECK(write["route"].is_null());
  CHECK(write["write"]["changes_something"] == true);
  CHECK(write["write"]["purges"].back()["cause"] == "rule");
  CHECK(write["write"]["purges"].back()["value"] == "p:7");
  CHECK(write["write"]["purges"].back()["route"]["line"] == 9);
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST_CASE("an explanation as text: each number by its RFC name, each reason by its own") {
  const auto response = answer({{"Cache-Control", "private"}, {"Age", "5"}});
  const auto text = to_text(explain("GET", "/x/../p/7?x=2", &response));
  CAPTURE(text);
  for (const std::string_view part :
       {"GET http://h/p/7?x=2", "normalised from /x/../p/7?x=2", "r.yaml:3  GET /p/{id}", "cache: t", "{id}=7",
        "not looked at: 1 behind it", "cache:t:", "left out: x=2", "p:7", "is not stored: private_response",
        "because of  Cache-Control: private", "freshness_lifetime = 300 s, source rule", "apparent_age",
        "corrected_age_value = age_value 5 + response_delay 0 = 5 s", "corrected_initial_age", "resident_time",
        "current_age", "r.yaml:9  PUT /p/{id}  tag p:{id}  when {id}=7"}) {
    CAPTURE(part);
    CHECK(has(text, part));
  }
  CHECK(text.ends_with('\n'));
  CHECK(has(to_text(explain("GET", "/none")), "no_route"));
  const auto write = to_text(explain("PUT", "/p/7"));
  CAPTURE(write);
  CHECK(has(write, "target http://h/p/7  (target_uri)"));
  CHECK(has(write, "tag p:7  (rule r.yaml:9)"));
  CHECK_FALSE(has(write, "\x1f"));
}

TEST_CASE("what the tiers hold as JSON") {
  store::StoredParts parts;
  parts.key = "cache:t:1";
  parts.base_key_size = parts.key.size();
  parts.canonical = "c";
  parts.type = "t";
  parts.target = "/p/7";
  parts.tags = {"p:7", std::string(1, policy::own_tag_mark) + "group"};
  parts.lifetime.freshness_lifetime = policy::Seconds(60);
  parts.lifetime.response_time = now - std::chrono::seconds(100);
  proxy::Inspection inspection;
  proxy::TierFinding memory;
  memory.tier = "memory";
  memory.stored = store::StoredResponse::make(std::move(parts));
  memory.reason = policy::NotReused::stale;
  proxy::TierFinding redis;
  redis.tier = "redis";
  redis.is_asked = false;
  inspection.tiers = {memory, redis};
  inspection.reason = policy::NotReused::stale;
  const auto json = to_json(inspection, *rules_of_the_test(), now);
  CHECK(json["outcome"] == "MISS");
  CHECK(json["reason"]["name"] == "stale");
  CHECK(json["tier"].is_null());
  const auto& entry = json["tiers"][0]["entry"];
  CHECK(entry["freshness"]["current_age"] == 100);
  CHECK(entry["freshness"]["staleness"] == 40);
  CHECK(entry["tags"] == Json::array({"p:7"}));
  CHECK(entry["purged_by"][0]["route"]["line"] == 9);
  CHECK(json["tiers"][1]["asked"] == false);
  CHECK(json["tiers"][1]["found"] == false);
}

}  // namespace
}  // namespace larder::admin
