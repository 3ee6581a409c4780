#include "larder/admin/favourites.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/http/target.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/vary.hpp"

namespace larder::admin {
namespace {

using Texts = std::vector<std::string>;
using Fields = std::vector<http::Field>;

policy::Route& add_route(policy::RuleSet& rules, std::string_view path, std::string_view key = {}) {
  std::string error;
  policy::Route route;
  route.methods = {"GET", "QUERY"};
  route.path = policy::PathPattern::parse(path, error).value();
  route.type = rules.types.front();
  if (!key.empty()) route.key = policy::Template::parse(key, route.path.capture_names(), error).value();
  rules.routes.push_back(std::move(route));
  return rules.routes.back();
}

policy::RuleSet some_rules() {
  policy::RuleSet rules;
  policy::Type type;
  type.name = "t";
  rules.types.push_back(std::make_shared<const policy::Type>(std::move(type)));
  add_route(rules, "/own").identity = policy::IdentityRule{policy::IdentityRule::Source::header, "Authorization"};
  add_route(rules, "/shared").key_has_host = false;
  add_route(rules, "/users/{id}", "user:{id}");
  add_route(rules, "/tenant/{id}", "tenant:{header.x-tenant}:{id}");
  auto& sorted = add_route(rules, "/sorted");
  sorted.query = {policy::QueryRule::Filter::ignore, {"utm_*"}, true};
  add_route(rules, "/**");
  return rules;
}

// As the story makes it for a GET with these fields, where the origin's Vary names `vary`.
store::StoredPtr stored(const policy::RuleSet& rules, const std::string& target, const Fields& fields = {},
                        const Texts& vary = {}, std::string_view query_content = {}) {
  policy::AskedRequest asked;
  asked.target = target;
  asked.host = "api.example:8080";
  asked.fields = http::FieldList::copy_of(fields);
  const auto request = std::get<policy::NormalRequest>(policy::NormalRequest::make(asked));
  const auto head = request.head();
  const auto match = rules.match_cache("GET", head.path());
  REQUIRE(match.route != nullptr);
  policy::CacheKey key;
  (void)policy::canonical_request(head, match, key.canonical);
  key.key = policy::cache_key(head, match, key.canonical);
  if (!query_content.empty()) policy::add_query_content(key, head.fields, query_content);
  store::StoredParts parts;
  parts.key = key.key;
  parts.base_key_size = parts.key.size();
  parts.canonical = key.canonical;
  parts.selecting = policy::selecting_fields(vary, head.fields);
  parts.type = "t";
  if (match.route->key_has_host) parts.origin = http::origin_text(head.scheme, head.authority);
  parts.target = policy::purge_target(head, *match.route);
  return store::StoredResponse::make(std::move(parts));
}

TEST_CASE("a request is made anew from what was stored for it, or not at all") {
  const auto rules = some_rules();
  const struct {
    std::string name;
    store::StoredPtr stored;
    std::string target;  // none: it cannot be
    std::string authority;
    std::string accept;
  } table[] = {
      {"plain", stored(rules, "/a?b=1&c"), "/a?b=1&c", "api.example:8080", ""},
      {"whole URI", stored(rules, "https://h/a"), "/a", "h", ""},
      {"variant", stored(rules, "/a", {{"Accept", "text/html"}, {"X", "y"}}, {"accept"}), "/a", "api.example:8080",
       "text/html"},
      {"absent selecting field", stored(rules, "/a", {}, {"accept"}), "/a", "api.example:8080", ""},
      {"shared by hosts", stored(rules, "/shared"), "/shared", "fallback", ""},
      {"named by its path", stored(rules, "/users/42?x=1"), "/users/42", "api.example:8080", ""},
      {"part of its query", stored(rules, "/sorted?z=1&utm_x=2&a=3"), "/sorted?a=3&z=1", "api.example:8080", ""},
      {"an identity", stored(rules, "/own", {{"Authorization", "Bearer x"}}), "", "", ""},
      {"none, where one may be", stored(rules, "/own"), "/own", "api.example:8080", ""},
      {"named by a header", stored(rules, "/tenant/1", {{"X-Tenant", "a"}}), "", "", ""},
      {"a QUERY", stored(rules, "/a", {}, {}, "select"), "", "", ""}};
  for (const auto& row : table) {
    CAPTURE(row.name);
    const auto got = request_of(*row.stored, rules, "fallback");
    CHECK(got.has_value() == !row.target.empty());
    if (!got) continue;
    CHECK(got->head().method == "GET");
    CHECK(got->head().target == row.target);
    CHECK(got->head().authority == row.authority);
    CHECK(http::first_value(got->head().fields, "Accept").value_or("") == row.accept);
    CHECK(http::first_value(got->head().fields, "X") == std::nullopt);
  }
  // The rules may have changed.
  auto others = some_rules();
  others.routes.clear();
  CHECK_FALSE(request_of(*table[0].stored, others, "fallback").has_value());
}

Texts targets(const Favourites& favourites, std::size_t most) {
  Texts out;
  for (const auto& request : favourites.requests(most)) out.emplace_back(request->head().target);
  return out;
}

TEST_CASE("favourites: those that were asked for since the last look, and a while longer") {
  const auto rules = some_rules();
  const auto a = stored(rules, "/a");
  const auto b = stored(rules, "/b");
  const auto c = stored(rules, "/c");
  const auto own = stored(rules, "/own", {{"Authorization", "x"}});
  Favourites favourites;
  favourites.look({{own, 1000}, {a, 100}, {b, 10}, {c, 0}}, rules, "h");
  CHECK(favourites.unrepeatable() == 1);
  CHECK(targets(favourites, 9) == Texts{"/a", "/b"});
  CHECK(targets(favourites, 1) == Texts{"/a"});
  // a had no hit since, b had 90.
  favourites.look({{b, 100}, {a, 100}}, rules, "h");
  CHECK(favourites.unrepeatable() == 0);
  CHECK(targets(favourites, 9) == Texts{"/b", "/a"});
  // a was purged: it is remembered for as long as it was busy.
  int looks = 0;
  for (; targets(favourites, 9) != Texts{"/b"} && looks < 20; ++looks) favourites.look({{b, 100}}, rules, "h");
  CHECK(looks == 6);
  // Warming keeps b in memory; without hits it is forgotten all the same.
  for (; !targets(favourites, 9).empty() && looks < 20; ++looks) favourites.look({{b, 100}}, rules, "h");
  CHECK(looks == 7);
  // Its hits are counted from the beginning where it was away.
  favourites.look({{b, 3}}, rules, "h");
  CHECK(targets(favourites, 9) == Texts{"/b"});
}

TEST_CASE("favourites: variants are requests of their own, and what no route caches is forgotten") {
  const auto rules = some_rules();
  const auto german = stored(rules, "/a", {{"Accept-Language", "de"}}, {"accept-language"});
  const auto french = stored(rules, "/a", {{"Accept-Language", "fr"}}, {"accept-language"});
  Favourites favourites;
  favourites.look({{german, 5}, {french, 4}}, rules, "h");
  const auto requests = favourites.requests(9);
  REQUIRE(requests.size() == 2);
  CHECK(http::first_value(requests[0]->head().fields, "Accept-Language") == "de");
  CHECK(http::first_value(requests[1]->head().fields, "Accept-Language") == "fr");
  auto others = some_rules();
  others.routes.clear();
  favourites.look({}, others, "h");
  CHECK(favourites.requests(9).empty());
}

}  // namespace
}  // namespace larder::admin
