#include "larder/admin/purge_order.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

using policy::Selector;
using policy::SelectorKind;

TEST_CASE("parse_purge_order: what is right") {
  struct Row {
    std::string_view body;
    Selector expected;
  };
  for (const auto& row :
       std::vector<Row>{{R"({"pattern":"cache:search:*"})", {SelectorKind::glob, "cache:search:*"}},
                        {R"({"pattern":"cache:*"})", {SelectorKind::glob, "cache:*"}},
                        {" \n{ \"tag\" : \"product:42\" }\n", {SelectorKind::tag, "product:42"}},
                        {R"({"tag":"\u00e9\u0000"})", {SelectorKind::tag, std::string("\xC3\xA9\0", 3)}},
                        {R"({"key":"cache:user:profile:42"})", {SelectorKind::key, "cache:user:profile:42"}},
                        {R"({"path":"/api/products/**"})", {SelectorKind::path, "/api/products/**"}},
                        {R"({"path":"/api/*/x"})", {SelectorKind::path, "/api/*/x"}},
                        {R"({"path":"/"})", {SelectorKind::path, "/"}},
                        // As target URIs are stored: normalised.
                        {R"({"path":"/api/caf\u00e9"})", {SelectorKind::path, "/api/caf%C3%A9"}},
                        {R"({"path":"/api/%7euser/a%2fb"})", {SelectorKind::path, "/api/~user/a%2Fb"}},
                        {R"({"path":"/api/./x/../y"})", {SelectorKind::path, "/api/y"}},
                        {R"({"path":"/api/\\*"})", {SelectorKind::path, "/api/\\*"}}}) {
    CAPTURE(row.body);
    const auto order = parse_purge_order(row.body);
    REQUIRE(std::holds_alternative<PurgeOrder>(order));
    CHECK(std::get<PurgeOrder>(order).selector == row.expected);
    CHECK_FALSE(std::get<PurgeOrder>(order).dry_run);
  }
}

TEST_CASE("parse_purge_order: a dry run is asked for with true, and nothing else") {
  for (const auto* const body : {R"({"tag":"a","dry_run":true})", R"({"dry_run":true,"tag":"a"})"}) {
    const auto order = parse_purge_order(body);
    REQUIRE(std::holds_alternative<PurgeOrder>(order));
    CHECK(std::get<PurgeOrder>(order).dry_run);
    CHECK(std::get<PurgeOrder>(order).selector == Selector{SelectorKind::tag, "a"});
  }
  CHECK_FALSE(std::get<PurgeOrder>(parse_purge_order(R"({"tag":"a","dry_run":false})")).dry_run);
  for (const auto* const body :
       {R"({"tag":"a","dry_run":"true"})", R"({"tag":"a","dry_run":1})", R"({"tag":"a","dry_run":null})",
        R"({"tag":"a","dry_run":true,"dry_run":false})", R"({"dry_run":true})", R"({"tag":"a","Dry_run":true})",
        R"({"tag":"a","path":"/a","dry_run":true})"}) {
    CAPTURE(body);
    const auto order = parse_purge_order(body);
    REQUIRE(std::holds_alternative<Answer>(order));
    CHECK(Json::parse(std::get<Answer>(order).body)["error"] == "bad_order");
  }
}

TEST_CASE("parse_dry_run") {
  for (const auto* const body : {"", "{}", " { } ", R"({"dry_run":false})"}) {
    CAPTURE(body);
    const auto parsed = parse_dry_run(body);
    REQUIRE(std::holds_alternative<bool>(parsed));
    CHECK_FALSE(std::get<bool>(parsed));
  }
  CHECK(std::get<bool>(parse_dry_run(R"({"dry_run":true})")));
  struct Row {
    std::string body;
    std::string_view error;
  };
  for (const auto& row : std::vector<Row>{{" ", "bad_json"},
                                          {"dry_run=true", "bad_json"},
                                          {R"({"dry_run":true)", "bad_json"},
                                          {R"(["dry_run"])", "bad_order"},
                                          {"true", "bad_order"},
                                          {std::string(60000, '['), "bad_order"},
                                          {R"({"dry_run":"yes"})", "bad_order"},
                                          {R"({"dry_run":true,"dry_run":false})", "bad_order"},
                                          {R"({"dryrun":true})", "bad_order"},
                                          {R"({"dry_run":true,"tag":"a"})", "bad_order"}}) {
    CAPTURE(row.body.substr(0, 80));
    const auto parsed = parse_dry_run(row.body);
    REQUIRE(std::holds_alternative<Answer>(parsed));
    const auto& answer = std::get<Answer>(parsed);
    CHECK(answer.status == 400);
    CHECK(Json::parse(answer.body)["error"] == row.error);
  }
}

TEST_CASE("parse_purge_order: what is wrong") {
  struct Row {
    std::string body;
    std::string_view error;
  };
  const std::string deep_arrays(60000, '[');
  std::string deep_objects;
  for (int i = 0; i < 8000; ++i) deep_objects += "{\"tag\":";
  std::string deep_whole = "{\"tag\":" + std::string(1000, '[') + std::string(1000, ']') + "}";
  for (const auto& row : std::vector<Row>{{"", "bad_json"},
                                          {"   ", "bad_json"},
                                          {"pattern=cache:*", "bad_json"},
                                          {"{", "bad_json"},
                                          {R"({"tag":"x"} trailing)", "bad_json"},
                                          {R"({"tag":"x",})", "bad_json"},
                                          {"{\"tag\":\"\xFF\"}", "bad_json"},
                                          {R"({"tag":"\ud800"})", "bad_json"},
                                          {std::string("{\"tag\":\"a\0\"}", 12), "bad_json"},
                                          {deep_arrays, "bad_order"},
                                          {deep_objects, "bad_order"},
                                          {deep_whole, "bad_order"},
                                          {"null", "bad_order"},
                                          {"1e999", "bad_json"},
                                          {"\"cache:*\"", "bad_order"},
                                          {"[]", "bad_order"},
                                          {R"([{"tag":"x"}])", "bad_order"},
                                          {"{}", "bad_order"},
                                          {R"({"tag":"x","path":"/y"})", "bad_order"},
                                          {R"({"tag":"x","tag":"y"})", "bad_order"},
                                          {R"({"Tag":"x"})", "bad_order"},
                                          {R"({"type":"product"})", "bad_order"},
                                          {R"({"tag":5})", "bad_order"},
                                          {R"({"tag":null})", "bad_order"},
                                          {R"({"tag":["a"]})", "bad_order"},
                                          {R"({"tag":{"a":"b"}})", "bad_order"},
                                          {R"({"tag":""})", "bad_length"},
                                          {"{\"tag\":\"" + std::string(5000, 'x') + "\"}", "bad_length"},
                                          {R"({"pattern":"*"})", "bad_pattern"},
                                          {R"({"pattern":"cache*"})", "bad_pattern"},
                                          {R"({"pattern":"search:*"})", "bad_pattern"},
                                          {R"({"key":"user:profile:42"})", "bad_key"},
                                          {R"({"path":"api/x"})", "bad_path"},
                                          {R"({"path":"/api/x?y=1"})", "bad_path"},
                                          {R"({"path":"/api/x#y"})", "bad_path"},
                                          {R"({"path":"/api/{id}"})", "bad_path"},
                                          {R"({"path":"/api/prod*"})", "bad_path"},
                                          {R"({"path":"/api/***"})", "bad_path"},
                                          {R"({"path":"/api/%zz"})", "bad_path"}}) {
    CAPTURE(row.body.substr(0, 100));
    const auto order = parse_purge_order(row.body);
    REQUIRE(std::holds_alternative<Answer>(order));
    CHECK(std::get<Answer>(order).status == 400);
    CHECK(Json::parse(std::get<Answer>(order).body)["error"] == row.error);
  }
}

TEST_CASE("types are those of the rules") {
  policy::RuleSet rules;
  for (const char* name : {"product", "user"}) {
    policy::Type type;
    type.name = name;
    rules.types.push_back(std::make_shared<const policy::Type>(std::move(type)));
  }
  CHECK(std::get<Selector>(type_order("product", rules)) == Selector{SelectorKind::type, "product"});
  CHECK(std::get<Selector>(type_order("%70roduct", rules)) == Selector{SelectorKind::type, "product"});
  for (const std::string_view name : {"products", "", "%", "PRODUCT", "user/x", "\xFF"}) {
    CAPTURE(name);
    const auto order = type_order(name, rules);
    REQUIRE(std::holds_alternative<Answer>(order));
    CHECK(std::get<Answer>(order).status == 404);
    CHECK(Json::parse(std::get<Answer>(order).body)["types"] == Json{"product", "user"});
  }
}

TEST_CASE("what a purge is told") {
  PurgeReport report;
  report.selectors = {{SelectorKind::glob, "cache:\xFF*"}, {SelectorKind::all, ""}};
  report.epoch = ~std::uint64_t{0};
  report.clock = 5;
  auto json = to_json(report);
  CHECK(json["purged"][1] == Json{{"kind", "all"}, {"value", ""}});
  CHECK(json["delivered"] == true);
  CHECK(json["epoch"] == "18446744073709551615");
  CHECK(json["clock"] == 5);
  CHECK_FALSE(json.contains("note"));
  CHECK_FALSE(json.contains("found"));
  report.pending = 2;
  report.journalled = true;
  report.found = false;
  json = to_json(report);
  CHECK(json["delivered"] == false);
  CHECK(json["pending_purges"] == 2);
  CHECK(json["found"] == false);
  CHECK(json["note"].get<std::string>().find("journal until") != std::string::npos);
}

}  // namespace
}  // namespace larder::admin
