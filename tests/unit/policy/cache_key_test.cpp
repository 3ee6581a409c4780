#include "larder/policy/cache_key.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace larder::policy {
namespace {

Route cached(std::string_view path, std::string_view type = "default") {
  Route route;
  std::string error;
  route.methods = {"GET"};
  route.path = *PathPattern::parse(path, error);
  Type named;
  named.name = type;
  route.type = std::make_shared<const Type>(named);
  return route;
}

Template key_of(const Route& route, std::string_view text) {
  std::string error;
  auto parsed = Template::parse(text, route.path.capture_names(), error);
  REQUIRE_MESSAGE(parsed.has_value(), error);
  return *parsed;
}

struct Request {
  std::string_view target = "/";
  std::string_view authority = "api.example";
  std::string_view scheme = "http";
  std::vector<http::Field> fields{};
  std::string_view method = "GET";
};

http::RequestHead head(const Request& request) {
  return {.method = request.method,
          .target = request.target,
          .scheme = request.scheme,
          .authority = request.authority,
          .fields = request.fields};
}

RouteMatch match(const Route& route, const http::RequestHead& request) {
  RouteMatch found{&route, {}};
  REQUIRE(route.path.match(request.path(), &found.captures));
  return found;
}

std::string canonical(const Route& route, const Request& request) {
  std::string out = "left over";
  canonical_request(head(request), match(route, head(request)), out);
  return out;
}

std::string key(const Route& route, const Request& request) {
  return cache_key(head(request), match(route, head(request)), canonical(route, request));
}

TEST_CASE("a purge finds what shares a canonical request") {
  auto route = cached("/**");
  const auto target = [&route](std::string_view of) { return purge_target(head({.target = of}), route); };
  CHECK(target("/a?") == "/a?");
  CHECK(target("/a?b=2&a=1") == "/a?b=2&a=1");
  route.query.sort = true;
  CHECK(target("/a?b=2&a=1&&b=1") == "/a?a=1&b=2&b=1");
  CHECK(target("/a?") == "/a");
  route.query = {.filter = QueryRule::Filter::ignore, .names = {"utm"}};
  CHECK(target("/a?utm=1&b=2&a=1") == "/a?b=2&a=1");
  CHECK(target("/a?utm=1") == "/a");
  CHECK(target("/a?utm=1;b=2") == "/a?utm=1;b=2");
  route.query = {.filter = QueryRule::Filter::only, .names = {"a"}};
  CHECK(target("/a?utm=1&b=2&a=1") == "/a?a=1");
  route.key = key_of(route, "x:{query.a}");
  CHECK(target("/a?a=1") == "/a");
}

TEST_CASE("canonical_request: begins with its version, and GET and HEAD share it") {
  const auto route = cached("/**");
  CHECK(canonical(route, {}).front() == '\x02');
  CHECK(canonical(route, {.target = "/a"}) == canonical(route, {.target = "/a", .method = "HEAD"}));
}

TEST_CASE("canonical_request: different requests never encode alike") {
  const auto plain = cached("/**");
  auto only = cached("/**");
  only.query = {QueryRule::Filter::only, {"a", "b"}, false};
  auto templated = cached("/{a}/{b}");
  templated.key = key_of(templated, "k:{a}:{b}");
  auto identity = cached("/**");
  identity.identity = IdentityRule{IdentityRule::Source::header, "Authorization"};
  auto hostless = cached("/**");
  hostless.key_has_host = false;
  const auto other_type = cached("/**", "defaul");
  const std::vector<std::pair<const Route*, Request>> requests{
      {&plain, {.target = "/"}},
      {&plain, {.target = "/?"}},
      {&plain, {.target = "/?a"}},
      {&plain, {.target = "/?a="}},
      {&plain, {.target = "/?a&b"}},
      {&plain, {.target = "/?a=b"}},
      {&plain, {.target = "/?b&a"}},
      {&plain, {.target = "/?ab"}},
      {&plain, {.target = "/a?b"}},
      {&plain, {.target = "/a"}},
      {&plain, {.target = "/a/"}},
      {&plain, {.target = "//a"}},
      {&plain, {.target = "/", .authority = "api.examplf"}},
      {&plain, {.target = "/", .authority = "api.example:8080"}},
      {&plain, {.target = "/", .authority = ""}},
      {&plain, {.target = "/", .scheme = "https"}},
      // The border between host and path must not be movable.
      {&plain, {.target = "/b", .authority = "a"}},
      {&plain, {.target = "/", .authority = "a/b"}},
      {&plain, {.target = "//b", .authority = "a"}},
      {&other_type, {.target = "/"}},
      {&hostless, {.target = "/"}},
      {&hostless, {.target = "/h"}},
      {&identity, {.target = "/"}},
      {&identity, {.target = "/", .fields = {{"Authorization", ""}}}},
      {&identity, {.target = "/", .fields = {{"Authorization", "a"}}}},
      {&identity, {.target = "/", .fields = {{"Authorization", "b"}}}},
      {&only, {.target = "/"}},
      {&only, {.target = "/?a=1"}},
      {&only, {.target = "/?a=1&b=2"}},
      {&only, {.target = "/?b=2&a=1"}},
      {&only, {.target = "/?a=1%26b=2"}},
      {&only, {.target = "/?a=1&a=1"}},
      {&templated, {.target = "/x/y"}},
      {&templated, {.target = "/x:y/z"}},
      {&templated, {.target = "/x/y:z"}},
      {&templated, {.target = "/xy/z"}},
  };
  std::set<std::string> seen;
  for (const auto& [route, request] : requests) {
    CAPTURE(request.target);
    CAPTURE(request.authority);
    CHECK(seen.insert(canonical(*route, request)).second);
  }
}

TEST_CASE("canonical_request: equal requests encode alike") {
  const auto plain = cached("/**");
  CHECK(canonical(plain, {.authority = "API.example"}) == canonical(plain, {.authority = "api.example"}));
  CHECK(canonical(plain, {.authority = "api.example:80"}) == canonical(plain, {.authority = "api.example"}));
  CHECK(canonical(plain, {.authority = "api.example:"}) == canonical(plain, {.authority = "api.example"}));
  CHECK(canonical(plain, {.authority = "a:443", .scheme = "https"}) ==
        canonical(plain, {.authority = "a", .scheme = "https"}));
  CHECK(canonical(plain, {.authority = "a:443"}) != canonical(plain, {.authority = "a"}));
  auto hostless = cached("/**");
  hostless.key_has_host = false;
  CHECK(canonical(hostless, {.authority = "a"}) == canonical(hostless, {.authority = "b", .scheme = "https"}));
}

TEST_CASE("canonical_request: the query rule") {
  struct Row {
    QueryRule rule;
    std::string_view a;
    std::string_view b;
    bool equal;
  };
  using F = QueryRule::Filter;
  const std::vector<Row> rows{
      {{F::all, {}, false}, "/?a=1&b=2", "/?b=2&a=1", false},
      {{F::all, {}, true}, "/?a=1&b=2", "/?b=2&a=1", true},
      {{F::all, {}, true}, "/?a=1&a=2", "/?a=2&a=1", false},
      {{F::all, {}, true}, "/?b=0&a=1&c&a=2", "/?a=1&c&a=2&b=0", true},
      {{F::all, {}, true}, "/?a=1&&b=2", "/?b=2&a=1&", true},
      {{F::all, {}, true}, "/?", "/", true},
      {{F::only, {"q", "page"}, true}, "/?q=1&page=2&utm=3", "/?page=2&q=1", true},
      {{F::only, {"q", "page"}, true}, "/?q=1", "/?q=2", false},
      {{F::only, {"q", "page"}, false}, "/?q=1&page=2", "/?page=2&q=1", false},
      {{F::only, {}, false}, "/?q=1", "/", true},
      {{F::ignore, {"utm_*"}, false}, "/?utm_source=x&q=1&utm_=y", "/?q=1", true},
      {{F::ignore, {"utm_*"}, false}, "/?utm=x&q=1", "/?q=1", false},
      // What an origin that splits at ';' would read must be in the key.
      {{F::ignore, {"utm_*"}, false}, "/?q=1&utm_x=1;q=2", "/?q=1", false},
      {{F::only, {"q"}, false}, "/?q=1&x=1;q=2", "/?q=1", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.a);
    CAPTURE(row.b);
    auto route = cached("/**");
    route.query = row.rule;
    CHECK((canonical(route, {.target = row.a}) == canonical(route, {.target = row.b})) == row.equal);
  }
}

TEST_CASE("canonical_request: very many parameters are sorted too") {
  auto route = cached("/**");
  route.query.sort = true;
  std::string forwards = "/?";
  std::string backwards = "/?";
  for (int i = 0; i < 5000; ++i) {
    forwards += "p" + std::to_string(i) + "=" + std::to_string(i) + "&";
    backwards += "p" + std::to_string(4999 - i) + "=" + std::to_string(4999 - i) + "&";
  }
  CHECK(canonical(route, {.target = forwards}) == canonical(route, {.target = backwards}));
}

TEST_CASE("cache_key: the md5 form") {
  const auto route = cached("/**", "search");
  const auto made = key(route, {.target = "/api/search?q=1"});
  CHECK(made.starts_with("cache:search:"));
  CHECK(made.size() == std::string_view("cache:search:").size() + 32);
  CHECK(made == "cache:search:" + md5_hex(canonical(route, {.target = "/api/search?q=1"})));
  CHECK(made != key(route, {.target = "/api/search?q=2"}));
}

TEST_CASE("cache_key: templates") {
  auto route = cached("/api/users/{id}", "user");
  route.key = key_of(route, "user:profile:{id}");
  CHECK(key(route, {.target = "/api/users/42"}) == "cache:user:profile:42");
  CHECK(canonical(route, {.target = "/api/users/42?x=1"}) == canonical(route, {.target = "/api/users/42"}));
  CHECK(canonical(route, {.target = "/api/users/42"}) != canonical(route, {.target = "/api/users/43"}));

  route.key = key_of(route, "user:{query.q}");
  CHECK(key(route, {.target = "/api/users/42?q=7"}) == "cache:user:7");
  // No value, or more than one: the md5 form, and then path and query count.
  for (const std::string_view target : {"/api/users/42", "/api/users/42?q=1&q=2"}) {
    CHECK(key(route, {.target = target}) == "cache:user:" + md5_hex(canonical(route, {.target = target})));
  }
  CHECK(canonical(route, {.target = "/api/users/42"}) != canonical(route, {.target = "/api/users/43"}));

  route.key = key_of(route, "user:{header.X-Name}");
  CHECK(key(route, {.target = "/api/users/1", .fields = {{"x-name", "a b\xC3\xA9\t"}}}) == "cache:user:a%20b%C3%A9%09");
  const std::string big(600, 'x');
  CHECK(key(route, {.target = "/api/users/1", .fields = {{"x-name", big}}}).size() == 11 + 32);
}

TEST_CASE("cache_key: an identity is always in the name") {
  auto route = cached("/api/me", "user");
  route.identity = IdentityRule{IdentityRule::Source::cookie, "sid"};
  route.key = key_of(route, "user:me");
  const Request anna{.target = "/api/me", .fields = {{"Cookie", "sid=anna"}}};
  const Request ben{.target = "/api/me", .fields = {{"Cookie", "sid=ben"}}};
  const Request nobody{.target = "/api/me"};
  CHECK(key(route, anna) == "cache:user:me:" + md5_hex(canonical(route, anna)));
  CHECK(key(route, anna) != key(route, ben));
  CHECK(key(route, anna) != key(route, nobody));
  CHECK(canonical(route, anna) != canonical(route, ben));
  CHECK(key(route, anna).find("anna") == std::string::npos);
  CHECK(canonical(route, anna).find("anna") == std::string::npos);

  route.key = key_of(route, "user:me:{identity}");
  CHECK(key(route, anna) == "cache:user:me:" + *identity_of(*route.identity, head(anna)));
  CHECK(key(route, nobody) == "cache:user:" + md5_hex(canonical(route, nobody)));
}

TEST_CASE("parameters_in_key: what counts, in its order") {
  using Parameters = std::vector<std::string_view>;
  const std::string_view query = "b=2&utm_x=1&&a=1&b=1";
  CHECK(parameters_in_key({}, query) == Parameters{"b=2", "utm_x=1", "a=1", "b=1"});
  CHECK(parameters_in_key({QueryRule::Filter::all, {}, true}, query) == Parameters{"a=1", "b=2", "b=1", "utm_x=1"});
  CHECK(parameters_in_key({QueryRule::Filter::ignore, {"utm_*"}, false}, query) == Parameters{"b=2", "a=1", "b=1"});
  CHECK(parameters_in_key({QueryRule::Filter::only, {"a"}, false}, query) == Parameters{"a=1"});
  CHECK(parameters_in_key({}, "").empty());
}

TEST_CASE("variant_key and md5_hex") {
  CHECK(md5_hex("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(md5_hex("abc") == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(variant_key("cache:a:b", "") == "cache:a:b");
  CHECK(variant_key("cache:a:b", "abc") == "cache:a:b:900150983cd24fb0d6963f7d28e17f72");
}

}  // namespace
}  // namespace larder::policy
