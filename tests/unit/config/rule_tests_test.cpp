#include "larder/config/rule_tests.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/config/rules_reader.hpp"

namespace larder::config {
namespace {

struct Got {
  std::shared_ptr<const policy::RuleSet> rules;
  std::string faults;
};

Got read(const std::string& tests) {
  std::vector<Fault> faults;
  std::vector<Fault> warnings;
  Got got;
  got.rules = read_rules(
      "types: { t: { ttl: 5m } }\nroutes:\n  - match: GET /**\n    cache: t\ntests:\n" + tests, "r",
      [](std::string_view) { return std::nullopt; }, {}, std::nullopt, faults, warnings);
  for (const auto& fault : faults) got.faults += format(fault) + "\n";
  return got;
}

TEST_CASE("tests: everything that can be written") {
  const auto got = read(R"(
  - request: GET /a?b=1
    expect: { type: t, ttl: 5m, stored: yes }
  - name: n
    request: { method: PUT, target: /b, host: h, headers: { A: 1, B: [2, " 3 "] } }
    response:
      status: 404
      headers: { Vary: A }
    expect:
      type: none
      key: "cache:x"
      same_key_as: GET /c
      other_key_than: { target: /d }
      stored: set_cookie
      tags: [a, b]
      purges: [ { tag: x }, { key: "cache:*" }, { all: true } ]
)");
  REQUIRE_MESSAGE(got.rules, got.faults);
  REQUIRE(got.rules->tests.size() == 2);
  const auto& first = got.rules->tests[0];
  CHECK(first.name == "GET /a?b=1");
  CHECK(first.line == 7);
  CHECK(first.type->value == "t");
  CHECK(first.ttl->value == policy::Seconds(300));
  CHECK(first.stored->value == "true");
  CHECK_FALSE(first.has_response);
  const auto& second = got.rules->tests[1];
  CHECK(second.name == "n");
  CHECK(second.request.method == "PUT");
  CHECK(second.request.host == "h");
  CHECK(second.request.fields == policy::RuleTest::Fields{{"A", "1"}, {"B", "2"}, {"B", "3"}});
  CHECK(second.status == 404);
  CHECK(second.fields == policy::RuleTest::Fields{{"Vary", "A"}});
  CHECK(second.same_key_as->value.target == "/c");
  CHECK(second.other_key_than->value.method == "GET");
  CHECK(second.tags->value == std::vector<std::string>{"a", "b"});
  CHECK(second.purges->value == std::vector<policy::Selector>{{policy::SelectorKind::tag, "x"},
                                                              {policy::SelectorKind::glob, "cache:*"},
                                                              {policy::SelectorKind::all, ""}});
  CHECK(second.purges->line == 21);
}

TEST_CASE("tests: what is wrong with them, and where") {
  struct Row {
    std::string tests;
    std::string fault;
  };
  for (const auto& row : std::vector<Row>{
           {"  a: b\n", "r:6: tests is not a list"},
           {"  - a\n", "r:6: a test is not a mapping"},
           {"  - requst: GET /\n    expect: { type: t }\n", "r:6: there is no key \"requst\" in a test"},
           {"  - expect: { type: t }\n", "r:6: this test has no request"},
           {"  - request: GET /\n", "r:6: this test expects nothing"},
           {"  - request: GET /\n    expect: {}\n", "r:7: this test expects nothing"},
           {"  - request: GET\n    expect: { type: t }\n", "r:6: request: \"GET\" is not a method and a target"},
           {"  - request: [GET]\n    expect: { type: t }\n", "r:6: request: a list is not"},
           {"  - request: get /\n    expect: { type: t }\n", "r:6: this test can never be"},
           {"  - request: GET x\n    expect: { type: t }\n", "r:6: this test can never be"},
           {"  - request: { target: /, headers: { a b: c } }\n    expect: { type: t }\n",
            "r:6: this test can never be"},
           {"  - request: { target: /, headers: [a] }\n    expect: { type: t }\n",
            "r:6: request.headers is not a mapping"},
           {"  - request: GET /\n    expect: { typ: t }\n", "r:7: there is no key \"typ\" in expect"},
           {"  - request: GET /\n    expect: { type: u }\n", "r:7: expect.type: \"u\" cannot be expected"},
           {"  - request: GET /\n    expect: { key: x }\n", "r:7: expect.key: \"x\" cannot be expected"},
           {"  - request: GET /\n    expect: { ttl: soon }\n", "r:7: expect.ttl: \"soon\" is not a duration"},
           {"  - request: GET /\n    expect: { stored: set_cooky }\n",
            "r:7: expect.stored: \"set_cooky\" cannot be expected, did you mean set_cookie?"},
           {"  - request: GET /\n    expect: { purges: all }\n", "r:7: expect.purges: \"all\" is not a list"},
           {"  - request: GET /\n    expect: { purges: [ { tga: x } ] }\n", "r:7: expect.purges: a mapping is not"},
           {"  - request: GET /\n    expect: { same_key_as: x }\n", "r:7: expect.same_key_as: \"x\" is not a method"},
           {"  - request: GET /\n    response: { status: 99 }\n    expect: { type: t }\n",
            "r:7: response.status: \"99\" is not a final status code"},
           {"  - request: GET /\n    response: 404\n    expect: { type: t }\n", "r:7: response is not a mapping"},
       }) {
    CAPTURE(row.tests);
    const auto got = read(row.tests);
    CHECK_FALSE(got.rules);
    CAPTURE(got.faults);
    CHECK(got.faults.starts_with(row.fault));
  }
}

TEST_CASE("failed_rule_tests: file, line, what was expected and what was got") {
  Settings settings;
  settings.rules = read(R"(
  - request: GET /a
    expect: { ttl: 5m }
  - name: wrong one
    request: GET /b
    expect:
      type: off
      ttl: 1m
)")
                       .rules;
  REQUIRE(settings.rules);
  const auto failures = failed_rule_tests(settings);
  REQUIRE(failures.size() == 2);
  CHECK(format(failures[0]) == "r:12: test \"wrong one\": expected type off, got t");
  CHECK(format(failures[1]).starts_with("r:13: test \"wrong one\": expected ttl 60 s, got 300 s (ttl of r:3"));
}

}  // namespace
}  // namespace larder::config
