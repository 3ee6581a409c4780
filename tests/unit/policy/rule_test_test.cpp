#include "larder/policy/rule_test.hpp"

#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "larder/policy/rules.hpp"

namespace larder::policy {
namespace {

std::shared_ptr<const RuleSet> rules_of_the_test() {
  auto rules = std::make_shared<RuleSet>();
  auto type = std::make_shared<Type>();
  type->name = "page";
  rules->types.push_back(type);
  std::string error;
  const auto add = [&](std::vector<std::string> methods, std::string_view path) -> Route& {
    Route route;
    route.methods = std::move(methods);
    route.path = PathPattern::parse(path, error).value();
    rules->routes.push_back(std::move(route));
    return rules->routes.back();
  };
  add({"GET"}, "/off").cache_off = true;
  add({"PUT"}, "/p/{id}").purge = {{SelectorKind::tag, Template::parse("p:{id}", {"id"}, error).value()},
                                   {SelectorKind::type, Template::parse("page", {}, error).value()}};
  auto& reader = add({"GET"}, "/p/{id}");
  reader.type = type;
  reader.store.ttl = Seconds(300);
  reader.key = Template::parse("p:{id}", {"id"}, error).value();
  reader.tags = {Template::parse("p:{id}", {"id"}, error).value(), Template::parse("all", {}, error).value()};
  return rules;
}

RuleTest test_of(std::string method, std::string target) {
  RuleTest test;
  test.name = "t";
  test.request.method = std::move(method);
  test.request.target = std::move(target);
  return test;
}

std::vector<RuleTestFailure> run(const RuleTest& test) {
  REQUIRE(fault_of(test) == "");
  return run(test, rules_of_the_test(), {.now = TimePoint(std::chrono::seconds(1700000000))});
}

TEST_CASE("a rule test: each expectation holds and fails") {
  struct Row {
    std::string what;
    std::function<void(RuleTest&)> expect;
    std::string expected;  // of the failure; "" where it holds
    std::string got{};
  };
  const auto type = [](std::string value) { return [value](RuleTest& t) { t.type = {value, 7}; }; };
  const auto key = [](std::string value) { return [value](RuleTest& t) { t.key = {value, 7}; }; };
  const auto stored = [](std::string value) { return [value](RuleTest& t) { t.stored = {value, 7}; }; };
  const auto ttl = [](int value) { return [value](RuleTest& t) { t.ttl = {Seconds(value), 7}; }; };
  const auto tags = [](std::vector<std::string> value) { return [value](RuleTest& t) { t.tags = {value, 7}; }; };
  const auto with = [](std::string name, std::string value, const std::function<void(RuleTest&)>& more) {
    return [=](RuleTest& t) {
      t.has_response = true;
      t.fields.emplace_back(name, value);
      more(t);
    };
  };
  const auto same = [](std::string target, bool is_same) {
    return [=](RuleTest& t) {
      RuleTest::Request other;
      other.target = target;
      (is_same ? t.same_key_as : t.other_key_than) = {other, 7};
    };
  };
  const std::vector<Row> rows{
      {"type", type("page"), ""},
      {"type", type("off"), "type off", "page"},
      {"key", key("cache:p:7"), ""},
      {"key", key("cache:p:8"), "key cache:p:8", "cache:p:7"},
      {"ttl", ttl(300), ""},
      {"ttl", ttl(60), "ttl 60 s", "300 s (ttl of "},
      {"own ttl", with("Cache-Control", "max-age=60", ttl(60)), ""},
      {"own ttl", with("Cache-Control", "max-age=61", ttl(60)), "ttl 60 s", "61 s (Cache-Control: max-age=61)"},
      {"stored", stored("true"), ""},
      {"stored", stored("false"), "stored: false", "it is stored"},
      {"stored", stored("set_cookie"), "stored: set_cookie", "it is stored"},
      {"not stored", with("Set-Cookie", "a", stored("false")), ""},
      {"not stored", with("Set-Cookie", "a", stored("set_cookie")), ""},
      {"not stored", with("Set-Cookie", "a", stored("true")), "stored: true",
       "it is not stored: set_cookie (Set-Cookie)"},
      {"not stored", with("Set-Cookie", "a", stored("private_response")), "stored: private_response",
       "it is not stored: set_cookie (Set-Cookie)"},
      {"tags", tags({"all", "p:7"}), ""},
      {"tags", tags({}), "tags none", "all, p:7"},
      {"same key", same("/p/7?x", true), ""},
      {"same key", same("/p/8", true), "the same key as GET /p/8", "cache:p:7 and cache:p:8"},
      {"same key", same("/off", true), "the same key as GET /off", "one of them is not looked up"},
      {"other key", same("/p/8", false), ""},
      {"other key", same("/p/7?x", false), "another key than GET /p/7?x", "cache:p:7 for both"},
  };
  for (const auto& row : rows) {
    auto test = test_of("GET", "/p/7");
    row.expect(test);
    CAPTURE(row.what);
    CAPTURE(row.expected);
    const auto failures = run(test);
    REQUIRE(failures.size() == (row.expected.empty() ? 0 : 1));
    if (failures.empty()) continue;
    CHECK(failures[0].line == 7);
    CHECK(failures[0].expected == row.expected);
    CHECK(failures[0].got.starts_with(row.got));
  }
}

TEST_CASE("a rule test of what is not looked up") {
  auto off = test_of("GET", "/off");
  off.type = {"off", 1};
  off.stored = {"false", 1};
  CHECK(run(off).empty());
  off.stored = {"route_off", 1};
  CHECK(run(off).empty());
  off.stored = {"true", 1};
  off.key = {"cache:x", 2};
  off.ttl = {Seconds(1), 3};
  const auto failures = run(off);
  REQUIRE(failures.size() == 3);
  for (const auto& failure : failures) CHECK(failure.got == "it is not looked up (route_off)");
  auto none = test_of("GET", "/else");
  none.type = {"none", 1};
  none.stored = {"no_route", 1};
  CHECK(run(none).empty());
}

TEST_CASE("a rule test of a write: the selectors of the rules, all of them") {
  auto write = test_of("PUT", "/p/7");
  write.purges = {{{SelectorKind::type, "page"}, {SelectorKind::tag, "p:7"}}, 4};
  CHECK(run(write).empty());
  write.purges->value.pop_back();
  auto failures = run(write);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].expected == "purges type page");
  CHECK(failures[0].got == "tag p:7, type page");
  // Refused by the origin: nothing has changed.
  write.has_response = true;
  write.status = 409;
  failures = run(write);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].got == "none");
  write.purges->value.clear();
  CHECK(run(write).empty());
}

TEST_CASE("fault_of a rule test") {
  CHECK(fault_of(test_of("GET", "/p/7")) == "");
  CHECK(fault_of(test_of("get", "/p/7")) != "");
  CHECK(fault_of(test_of("GET", "p")) != "");
  auto test = test_of("GET", "/");
  test.fields.emplace_back("a b", "c");
  CHECK(fault_of(test) != "");
  test = test_of("GET", "/");
  test.same_key_as = {{}, 1};
  CHECK(fault_of(test) != "");
}

}  // namespace
}  // namespace larder::policy
