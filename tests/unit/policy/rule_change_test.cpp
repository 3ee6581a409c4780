#include "larder/policy/rule_change.hpp"

#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace larder::policy {
namespace {

using Types = std::vector<std::string>;

Template text_template(std::string_view text) {
  std::string error;
  auto parsed = Template::parse(text, {"id"}, error);
  REQUIRE_MESSAGE(parsed.has_value(), error);
  return *parsed;
}

// `type` "": the route only purges; "off": `cache: off`.
Route route(std::string_view method, std::string_view path, const std::string& type) {
  Route made;
  std::string error;
  made.methods = {std::string(method)};
  auto parsed = PathPattern::parse(path, error);
  REQUIRE_MESSAGE(parsed.has_value(), error);
  made.path = *parsed;
  made.match_text = std::string(method) + " " + std::string(path);
  made.cache_off = type == "off";
  if (!type.empty() && type != "off") {
    Type of;
    of.name = type;
    made.type = std::make_shared<const Type>(of);
    made.store.ttl = Seconds(3600);
  }
  return made;
}

RuleSet rules_of(std::vector<Route> routes) {
  RuleSet rules;
  rules.routes = std::move(routes);
  number_routes(rules);
  return rules;
}

TEST_CASE("a change of one route touches its type where stored responses depend on it") {
  struct Row {
    std::string what;
    std::function<void(Route&)> change;
    bool purges;
  };
  const std::vector<Row> rows{
      {"nothing", [](Route&) {}, false},
      {"another line", [](Route& r) { r.line = 99; }, false},
      {"a purge of writes",
       [](Route& r) {
         r.purge.push_back({SelectorKind::type, text_template("user")});
       },
       false},
      {"a lower ttl", [](Route& r) { r.store.ttl = Seconds(60); }, true},
      {"a higher ttl", [](Route& r) { r.store.ttl = Seconds(7200); }, true},
      {"negative caching", [](Route& r) { r.store.status_ttl[404] = Seconds(30); }, true},
      {"store_despite", [](Route& r) { r.store.store_despite_private = true; }, true},
      {"a key", [](Route& r) { r.key = text_template("user:{id}"); }, true},
      {"host: false", [](Route& r) { r.key_has_host = false; }, true},
      {"a query rule", [](Route& r) { r.query.sort = true; }, true},
      {"an identity",
       [](Route& r) {
         r.identity = IdentityRule{IdentityRule::Source::header, "Authorization"};
       },
       true},
      {"a tag", [](Route& r) { r.tags.push_back(text_template("user:{id}")); }, true},
      {"cache: off",
       [](Route& r) {
         r.cache_off = true;
         r.type = nullptr;
       },
       true},
      {"another method", [](Route& r) { r.methods = {"QUERY"}; }, true},
      {"another type",
       [](Route& r) {
         Type other;
         other.name = "member";
         r.type = std::make_shared<const Type>(other);
       },
       true},
  };
  const auto before = rules_of({route("GET", "/users/{id}", "user"), route("GET", "/other/**", "other")});
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto routes = before.routes;
    row.change(routes.front());
    CHECK(types_to_purge(before, rules_of(routes)) == (row.purges ? Types{"user"} : Types{}));
  }
}

TEST_CASE("routes that come, go and change places") {
  const auto user = route("GET", "/users/{id}", "user");
  const auto other = route("GET", "/other/**", "other");
  const auto all = route("GET", "/**", "all");
  const auto write = route("POST", "/users/{id}", "");
  struct Row {
    std::string what;
    std::vector<Route> before;
    std::vector<Route> after;
    Types purged;
  };
  const std::vector<Row> rows{
      {"one is added behind", {user}, {user, other}, {}},
      {"one is added in front, with no request in common", {user}, {other, user}, {}},
      {"one is removed", {user, other}, {other}, {"user"}},
      {"all are removed", {user, other}, {}, {"other", "user"}},
      {"those without a request in common change places", {user, other}, {other, user}, {}},
      {"one takes requests of another", {all}, {user, all}, {"all"}},
      {"`cache: off` takes requests of another", {all}, {route("GET", "/private/**", "off"), all}, {"all"}},
      {"those with requests in common change places", {user, all}, {all, user}, {"user"}},
      {"one that took requests goes", {user, all}, {all}, {"user"}},
      {"a write's route in front takes nothing", {user}, {write, user}, {}},
      {"another method takes nothing", {user}, {route("QUERY", "/users/{id}", "query"), user}, {}},
      {"any method does", {user}, {route("*", "/users/{id}", "any"), user}, {"user"}},
      {"the built-in rules", {}, {user}, {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK(types_to_purge(rules_of(row.before), rules_of(row.after)) == row.purged);
  }
}

TEST_CASE("patterns overlap where a path is matched by both") {
  struct Row {
    std::string a;
    std::string b;
    bool overlap;
  };
  const std::vector<Row> rows{
      {"/a", "/a", true},           {"/a", "/b", false},       {"/a", "/a/b", false},
      {"/a/*", "/a/b", true},       {"/a/*", "/a/", false},    {"/a/*", "/*/b", true},
      {"/a/{x}", "/b/{x}", false},  {"/**", "/", true},        {"/**", "/a/b/c", true},
      {"/a/**", "/a", true},        {"/a/**", "/**/b", true},  {"/a/**/z", "/a/**/y", false},
      {"/a/**/z", "/**/y/z", true}, {"/a/**", "/b/**", false}, {"/**/x/**", "/**/y/**", true},
      {"/*/*", "/*", false},        {"/a/*", "/a//", false},
  };
  std::string error;
  for (const auto& row : rows) {
    CAPTURE(row.a);
    CAPTURE(row.b);
    const auto a = PathPattern::parse(row.a, error);
    const auto b = PathPattern::parse(row.b, error);
    REQUIRE(a.has_value());
    REQUIRE(b.has_value());
    CHECK(a->overlaps(*b) == row.overlap);
    CHECK(b->overlaps(*a) == row.overlap);
  }
}

TEST_CASE("a route keeps its counter, whatever comes and goes around it") {
  const auto user = route("GET", "/users/{id}", "user");
  const auto other = route("GET", "/other/**", "other");
  const auto first = rules_of({user, other});
  CHECK(first.routes[0].counter == 0);
  CHECK(first.routes[1].counter == 1);

  // Another type makes another route of it; the old one stays among the counted.
  auto second = rules_of({other, route("GET", "/users/{id}", "member")});
  number_routes(second, first.counted);
  CHECK(second.routes[0].counter == 1);
  CHECK(second.routes[1].counter == 2);
  CHECK(second.counted.size() == 3);
  CHECK(second.counted[0] == CountedRoute{"GET /users/{id}", "user"});

  // And is there when it comes back.
  auto third = rules_of({user});
  number_routes(third, second.counted);
  CHECK(third.routes[0].counter == 0);
  CHECK(third.counted.size() == 3);

  // Two of one name are two.
  auto twice = rules_of({user, user});
  number_routes(twice, third.counted);
  CHECK(twice.routes[0].counter == 0);
  CHECK(twice.routes[1].counter == 3);
}

}  // namespace
}  // namespace larder::policy
