#include "larder/policy/admission.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

namespace larder::policy {
namespace {

RuleSet rules_of_the_test() {
  RuleSet rules;
  const auto add = [&rules](std::string_view path) -> Route& {
    std::string error;
    Route route;
    route.methods = {"GET", "QUERY"};
    route.path = PathPattern::parse(path, error).value();
    rules.routes.push_back(std::move(route));
    return rules.routes.back();
  };
  add("/off").cache_off = true;
  add("/a/**").type = std::make_shared<const Type>();
  return rules;
}

TEST_CASE("admit: where each request goes, and why") {
  const auto rules = rules_of_the_test();
  const std::vector<http::Field> none;
  const std::vector<http::Field> if_match{{"If-Match", "x"}};
  struct Row {
    std::string_view method;
    std::string_view target;
    RequestTraits traits;
    Way way;
    NotReused reason = NotReused::none;
    bool conditional = false;
    bool has_route = true;
  };
  const RequestTraits plain;
  RequestTraits upgrade;
  upgrade.asks_for_upgrade = true;
  const auto with_body = [](std::optional<std::uint64_t> length, bool expects_continue = false) {
    RequestTraits traits;
    traits.has_body = true;
    traits.body_length = length;
    traits.expects_continue = expects_continue;
    return traits;
  };
  const std::vector<Row> rows{
      {"GET", "/a?x", plain, Way::look_up},
      {"HEAD", "/a", plain, Way::look_up},
      {"GET", "/b", plain, Way::pass, NotReused::no_route, false, false},
      {"GET", "/off", plain, Way::pass, NotReused::route_off},
      {"GET", "/off", upgrade, Way::pass, NotReused::route_off},
      {"GET", "/a", upgrade, Way::pass, NotReused::upgrade},
      {"GET", "/a", with_body(std::nullopt), Way::pass, NotReused::expectation},
      {"GET", "/a", plain, Way::pass, NotReused::expectation, true},
      {"QUERY", "/a", with_body(std::nullopt), Way::query},
      {"QUERY", "/a", with_body(largest_query), Way::query},
      {"QUERY", "/a", with_body(largest_query + 1), Way::pass, NotReused::expectation},
      {"QUERY", "/a", with_body(std::nullopt, true), Way::pass, NotReused::expectation},
      {"QUERY", "/b", plain, Way::pass, NotReused::no_route, false, false},
      {"QUERY", "/off", plain, Way::pass, NotReused::route_off},
      {"PUT", "/a", plain, Way::write, NotReused::method, false, false},
      {"NEW", "*", plain, Way::write, NotReused::method, false, false},
      {"OPTIONS", "*", plain, Way::pass, NotReused::method, false, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.method);
    CAPTURE(row.target);
    const http::RequestHead request{.method = row.method,
                                    .target = row.target,
                                    .scheme = "http",
                                    .authority = "a",
                                    .fields = row.conditional ? if_match : none};
    const auto got = admit(rules, request, row.traits);
    CHECK(to_string(got.way) == to_string(row.way));
    CHECK(got.reason == row.reason);
    CHECK((got.route != nullptr) == row.has_route);
  }
}

}  // namespace
}  // namespace larder::policy
