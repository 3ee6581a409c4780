#include "larder/policy/rules.hpp"

#include <chrono>
#include <doctest/doctest.h>
#include <initializer_list>
#include <string>
#include <vector>

#include "larder/policy/digest.hpp"

namespace larder::policy {
namespace {

PathPattern pattern(std::string_view text) {
  std::string error;
  auto parsed = PathPattern::parse(text, error);
  REQUIRE_MESSAGE(parsed.has_value(), error);
  return *parsed;
}

Template text_template(std::string_view text, const std::vector<std::string>& captures = {}) {
  std::string error;
  auto parsed = Template::parse(text, captures, error);
  REQUIRE_MESSAGE(parsed.has_value(), error);
  return *parsed;
}

http::RequestHead get(std::string_view target, http::FieldSpan fields = {}) {
  return {.method = "GET", .target = target, .scheme = "http", .authority = "api", .fields = fields};
}

std::string sha256(std::string_view bytes) {
  Digest digest(Digest::Algorithm::sha256);
  digest.update(bytes);
  std::string out(64, '\0');
  CHECK(digest.finish_hex(out.data()) == 64);
  return out;
}

TEST_CASE("PathPattern: what matches, and what is captured") {
  struct Row {
    std::string_view pattern;
    std::string_view path;
    bool expected;
    std::string captures;  // "name=value;…"
  };
  const std::vector<Row> rows{
      {"/", "/", true, ""},
      {"/", "/a", false, ""},
      {"/docs/**", "/docs", true, ""},
      {"/docs/**", "/docs/", true, ""},
      {"/docs/**", "/docs/a/b", true, ""},
      {"/docs/**", "/docsx", false, ""},
      {"/**", "/", true, ""},
      {"/**", "/a/b/c", true, ""},
      {"/**", "*", false, ""},
      {"/api/users/{id}", "/api/users/42", true, "id=42;"},
      {"/api/users/{id}", "/api/users/4%202", true, "id=4%202;"},
      {"/api/users/{id}", "/api/users/", false, ""},
      {"/api/users/{id}", "/api/users", false, ""},
      {"/api/users/{id}", "/api/users/42/", false, ""},
      {"/api/users/{id}/", "/api/users/42/", true, "id=42;"},
      {"/api/*/x", "/api/1/x", true, ""},
      {"/api/*/x", "/api//x", false, ""},
      {"/{a}/**/{b}", "/1/2", true, "a=1;b=2;"},
      {"/{a}/**/{b}", "/1/2/3/4", true, "a=1;b=4;"},
      {"/{a}/**/{b}", "/1", false, ""},
      {"/**/{a}/x/{b}", "/p/q/x/r/x/s", true, "a=r;b=s;"},
      {"/**/{a}/x", "/p/x/y", false, ""},
      {"/caf%c3%a9/%7Eme", "/caf%C3%A9/~me", true, ""},
      {"/a", "", false, ""},
      {"/a", "a", false, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.path);
    PathPattern::Captures captures{{"before", "kept"}};
    CHECK(pattern(row.pattern).match(row.path, nullptr) == row.expected);
    const auto parsed = pattern(row.pattern);
    CHECK(parsed.match(row.path, &captures) == row.expected);
    std::string got;
    for (std::size_t i = 1; i < captures.size(); ++i) {
      got += std::string(captures[i].first) + "=" + std::string(captures[i].second) + ";";
    }
    CHECK(got == row.captures);
    CHECK(captures.front().second == "kept");
  }
}

TEST_CASE("PathPattern: hostile paths take no exponential time") {
  std::string text;
  for (int i = 0; i < 31; ++i) text += "/**/a";
  std::string path;
  for (int i = 0; i < 30000; ++i) path += "/a";
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(pattern(text + "/b").match(path, nullptr));
  CHECK(pattern(text).match(path, nullptr));
  CHECK_FALSE(pattern("/**/b").match(std::string(60000, '/'), nullptr));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("PathPattern: what is not a pattern says what would be right") {
  std::string many;
  for (int i = 0; i < 65; ++i) many += "/a";
  for (const std::string& bad : {std::string{},
                                 std::string("api"),
                                 std::string("*"),
                                 std::string("/a?x=1"),
                                 std::string("/a#b"),
                                 std::string("/a*"),
                                 std::string("/***"),
                                 std::string("/x**"),
                                 std::string("/{"),
                                 std::string("/}"),
                                 std::string("/{}"),
                                 std::string("/{id"),
                                 std::string("/x{id}"),
                                 std::string("/{id}.json"),
                                 std::string("/{a b}"),
                                 std::string("/{1}"),
                                 std::string("/{query.x}"),
                                 std::string("/{identity}"),
                                 std::string("/{id}/{id}"),
                                 std::string("/a b"),
                                 std::string("/%zz"),
                                 std::string("/a/../b"),
                                 std::string("/./a"),
                                 std::string("/%2e%2E"),
                                 std::string("/\x01"),
                                 many}) {
    CAPTURE(bad);
    std::string error;
    CHECK_FALSE(PathPattern::parse(bad, error).has_value());
    CHECK(error.size() > 10);
  }
  CHECK(pattern("/{a}/x/{b}").capture_names() == std::vector<std::string>{"a", "b"});
  CHECK(pattern("/{a}/x").text() == "/{a}/x");
}

TEST_CASE("PathPattern::covers is true only where nothing escapes") {
  struct Row {
    std::string_view wide;
    std::string_view narrow;
    bool expected;
  };
  const std::vector<Row> rows{
      {"/a", "/a", true},
      {"/a", "/b", false},
      {"/{x}", "/{y}", true},
      {"/{x}", "/a", true},
      {"/a", "/{x}", false},
      {"/*", "/{x}", true},
      {"/**", "/a/{b}/c", true},
      {"/**", "/", true},
      {"/a/**", "/a", true},
      {"/a/**", "/a/b", true},
      {"/a/**", "/a/**", true},
      {"/a/*", "/a/**", false},
      {"/a/**", "/**", false},
      {"/a/{x}", "/a/", false},
      {"/a/*/c", "/a/b/c", true},
      {"/a/**/c", "/a/x/y/c", true},
      {"/a/**/c", "/a/x/y/d", false},
      {"/a/**/c", "/a/**/b/c", true},
      {"/**/x/**", "/a/x", true},
      {"/**/x/**", "/a/y", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.wide);
    CAPTURE(row.narrow);
    CHECK(pattern(row.wide).covers(pattern(row.narrow)) == row.expected);
  }
}

TEST_CASE("Template: what is not one says why") {
  const std::vector<std::string> captures{"id"};
  for (const std::string_view bad : {"", "{", "}", "a}", "{id", "{}", "{i d}", "{idd}", "{{id}}", "{id}}", "{query.}",
                                     "{header.}", "{header.a b}", "{cookie.a;b}", "{env.HOME}", "{.x}", "{Identity}"}) {
    CAPTURE(bad);
    std::string error;
    CHECK_FALSE(Template::parse(bad, captures, error).has_value());
    CHECK_FALSE(error.empty());
  }
  std::string error;
  CHECK_FALSE(Template::parse("x:{idd}", captures, error).has_value());
  CHECK(error.find("{idd}") != std::string::npos);
  CHECK(error.find("{id}") != std::string::npos);
  CHECK(text_template("plain").is_literal());
  CHECK_FALSE(text_template("x{id}", captures).is_literal());
  CHECK(text_template("x{id}y", captures).parts().size() == 3);
}

TEST_CASE("expand: each kind of variable") {
  const std::vector<http::Field> fields{{"X-Tenant", "t1"},
                                        {"Accept", "a"},
                                        {"accept", "b"},
                                        {"Cookie", "sid=abc; theme=\"dark\"; empty="},
                                        {"Cookie", "sid=second; sidx=no"}};
  const auto request = get("/u/42?q=a%20b&n%C3%A9e=1&q=2&flag&empty=", fields);
  const PathPattern::Captures captures{{"id", "42"}};
  struct Row {
    std::string_view text;
    std::optional<std::string> expected;
  };
  const std::vector<Row> rows{
      {"user:{id}", "user:42"},
      {"{id}{id}", "4242"},
      {"{query.q}", "a%20b"},
      {"{query.n\xC3\xA9"
       "e}",
       "1"},
      {"{query.flag}", ""},
      {"{query.empty}", ""},
      {"{query.none}", std::nullopt},
      {"{query.Q}", std::nullopt},
      {"{header.x-tenant}", "t1"},
      {"{header.Accept}", "a, b"},
      {"{header.none}", std::nullopt},
      {"{cookie.sid}", "abc"},
      {"{cookie.theme}", "\"dark\""},
      {"{cookie.empty}", ""},
      {"{cookie.SID}", std::nullopt},
      {"{identity}", "who"},
      {"literal", "literal"},
      {"a:{query.none}:b", std::nullopt},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(expand(text_template(row.text, {"id"}), request, captures, "who") == row.expected);
  }
  CHECK_FALSE(expand(text_template("{identity}"), request, captures, std::nullopt).has_value());
}

TEST_CASE("append_value: for keys a repeated parameter or cookie has no value") {
  const std::vector<http::Field> fields{{"Cookie", "sid=a; sid=b; one=1"}};
  const auto request = get("/?q=1&%71=2&p=3", fields);
  struct Row {
    std::string_view text;
    bool first;
    bool key;
  };
  for (const auto& row : std::vector<Row>{{"{query.q}", true, false},
                                          {"{query.p}", true, true},
                                          {"{cookie.sid}", true, false},
                                          {"{cookie.one}", true, true}}) {
    CAPTURE(row.text);
    const auto parsed = text_template(row.text);
    std::string out = "x";
    CHECK(append_value(parsed.parts().front(), request, {}, std::nullopt, Repeated::first, out) == row.first);
    out = "x";
    CHECK(append_value(parsed.parts().front(), request, {}, std::nullopt, Repeated::no_value, out) == row.key);
    if (!row.key) CHECK(out == "x");
  }
}

TEST_CASE("identity_of: a hash, never the value; several values are another identity") {
  const IdentityRule header{IdentityRule::Source::header, "Authorization"};
  const IdentityRule sid{IdentityRule::Source::cookie, "sid"};
  const std::vector<http::Field> one{{"authorization", "Bearer secret"}, {"Cookie", "a=1; sid=s1"}};
  const std::vector<http::Field> two{
      {"Authorization", "Bearer secret"}, {"Authorization", "Bearer other"}, {"Cookie", "sid=s1; sid=s2"}};
  const std::vector<http::Field> joined{{"Authorization", "Bearer secretBearer other"}, {"Cookie", "sid=s1s2"}};
  CHECK(identity_of(header, get("/", one)) == sha256("Bearer secret"));
  CHECK(identity_of(sid, get("/", one)) == sha256("s1"));
  CHECK_FALSE(identity_of(header, get("/")).has_value());
  CHECK_FALSE(identity_of(sid, get("/")).has_value());
  for (const auto& rule : {header, sid}) {
    CHECK(identity_of(rule, get("/", two)) != identity_of(rule, get("/", one)));
    CHECK(identity_of(rule, get("/", two)) != identity_of(rule, get("/", joined)));
  }
  std::array<char, 64> hex{};
  CHECK(identity_of(header, get("/", one), hex));
  CHECK(std::string(hex.data(), hex.size()) == sha256("Bearer secret"));
}

TEST_CASE("query_parameter: first value, decoded") {
  struct Row {
    std::string_view query;
    std::string_view name;
    std::optional<std::string> expected;
  };
  for (const auto& row : std::vector<Row>{{"", "a", std::nullopt},
                                          {"a=1&a=2", "a", "1"},
                                          {"a", "a", ""},
                                          {"a=", "a", ""},
                                          {"a=%41%zz%4", "a", "A%zz%4"},
                                          {"a=1+2", "a", "1+2"},
                                          {"a=b=c", "a", "b=c"},
                                          {"%61=1", "a", "1"},
                                          {"&&a=1", "a", "1"},
                                          {"aa=1", "a", std::nullopt},
                                          {"=1", "a", std::nullopt},
                                          {"a%00b=1", std::string_view("a\0b", 3), "1"},
                                          {"a=%", "a", "%"}}) {
    CAPTURE(row.query);
    CHECK(query_parameter(row.query, row.name) == row.expected);
  }
}

TEST_CASE("cookie: RFC 6265 pairs, hostile ones too") {
  const std::vector<http::Field> fields{{"cookie", ";;a; =x;  b=1;b=2;c==;d=\"q;r\""}, {"Other", "e=1"}};
  CHECK(cookie(fields, "b") == "1");
  CHECK(cookie(fields, "c") == "=");
  CHECK(cookie(fields, "d") == "\"q");
  CHECK_FALSE(cookie(fields, "a").has_value());
  CHECK_FALSE(cookie(fields, "e").has_value());
}

TEST_CASE("parameter_named: names are compared decoded, a '*' at the end takes any ending") {
  CHECK(parameter_named("q", "q"));
  CHECK(parameter_named("%71", "q"));
  CHECK(parameter_named("a%5Bb%5D", "a[b]"));
  CHECK_FALSE(parameter_named("qq", "q"));
  CHECK_FALSE(parameter_named("", "q"));
  CHECK(parameter_named("utm_source", "utm_*"));
  CHECK(parameter_named("utm_", "utm_*"));
  CHECK(parameter_named("utm%5Fsource", "utm_*"));
  CHECK_FALSE(parameter_named("utm", "utm_*"));
  CHECK(parameter_named("anything", "*"));
}

Route route(std::initializer_list<std::string> methods, std::string_view path) {
  Route made;
  made.methods = methods;
  made.path = pattern(path);
  return made;
}

TEST_CASE("RuleSet::match_cache: the first route in file order that says anything of caching") {
  RuleSet rules;
  Type user;
  user.name = "user";
  const auto type = std::make_shared<const Type>(user);
  rules.types.push_back(type);
  rules.routes.push_back(route({"GET"}, "/docs/**"));
  rules.routes.back().cache_off = true;
  rules.routes.push_back(route({"PUT", "GET"}, "/api/users/{id}"));  // purges only: not for caching
  rules.routes.push_back(route({"GET"}, "/api/users/{id}"));
  rules.routes.back().type = type;
  rules.routes.push_back(route({"*"}, "/api/**"));
  rules.routes.back().type = type;
  CHECK(rules.match_cache("GET", "/docs/x").route == &rules.routes[0]);
  const auto found = rules.match_cache("GET", "/api/users/42");
  CHECK(found.route == &rules.routes[2]);
  REQUIRE(found.captures.size() == 1);
  CHECK(found.captures[0].second == "42");
  CHECK(rules.match_cache("HEAD", "/api/users/42").route == &rules.routes[2]);
  CHECK(rules.match_cache("PUT", "/api/users/42").route == &rules.routes[3]);
  CHECK(rules.match_cache("get", "/docs/x").route == nullptr);
  CHECK(rules.match_cache("GET", "/other").route == nullptr);
  CHECK(rules.match_cache("GET", "*").route == nullptr);
  CHECK(rules.type("user") == type.get());
  CHECK(rules.type("nobody") == nullptr);
}

TEST_CASE("Route::purges: what matches, with nothing that a client could widen") {
  auto of_product = route({"PUT", "DELETE"}, "/api/products/{id}");
  of_product.purge.push_back({SelectorKind::type, text_template("analytics")});
  of_product.purge.push_back({SelectorKind::tag, text_template("product:{id}", {"id"})});
  of_product.purge.push_back({SelectorKind::path, text_template("/api/products/{id}/**", {"id"})});
  of_product.purge.push_back({SelectorKind::glob, text_template("cache:search:{id}:*", {"id"})});
  of_product.purge.push_back({SelectorKind::key, text_template("cache:q:{query.q}")});
  auto of_all = route({"*"}, "/api/**");
  of_all.purge.push_back({SelectorKind::path, text_template("/x/{query.p}")});

  using K = SelectorKind;
  auto request = get("/api/products/42");
  CHECK(of_product.purges(request).empty());
  request.method = "PUT";
  CHECK(of_product.purges(request) == std::vector<Selector>{{K::type, "analytics"},
                                                            {K::tag, "product:42"},
                                                            {K::path, "/api/products/42/**"},
                                                            {K::glob, "cache:search:42:*"}});
  request.target = "/api/products/**?q=a b";
  CHECK(of_product.purges(request) == std::vector<Selector>{{K::type, "analytics"},
                                                            {K::tag, "product:**"},
                                                            {K::path, "/api/products/\\**/**"},
                                                            {K::glob, "cache:search:\\*\\*:*"},
                                                            {K::key, "cache:q:a%20b"}});
  CHECK(path_match("/api/products/\\**/**", "/api/products/**"));
  CHECK_FALSE(path_match("/api/products/\\**/**", "/api/products/1"));
  request.target = "/api/x?p=*/a/**";
  CHECK(of_all.purges(request) == std::vector<Selector>{{K::path, "/x/\\*/a/\\**"}});
  request.method = "MKCOL";
  CHECK(of_all.purges(request).size() == 1);
  CHECK(of_product.purges(request).empty());
  request.target = "/elsewhere";
  CHECK(of_all.purges(request).empty());
}

TEST_CASE("Route::judge: why it is passed over for caching") {
  auto purging = route({"GET"}, "/a");
  auto caching = route({"GET"}, "/a/{id}");
  caching.type = std::make_shared<const Type>();
  auto off = route({"GET"}, "/off/**");
  off.cache_off = true;
  PathPattern::Captures captures;
  CHECK(purging.judge("GET", "/a", &captures) == PassedOver::not_caching);
  CHECK(caching.judge("PUT", "/a/1", &captures) == PassedOver::method);
  CHECK(caching.judge("GET", "/a", &captures) == PassedOver::path);
  CHECK(captures.empty());
  CHECK(caching.judge("HEAD", "/a/1", &captures) == PassedOver::none);
  CHECK(captures.size() == 1);
  CHECK(off.judge("GET", "/off/x", nullptr) == PassedOver::none);
  CHECK(to_string(PassedOver::not_caching) == "not_caching");
}

TEST_CASE("rule_tags: those whose variables have values") {
  auto caching = route({"GET"}, "/a/{id}");
  caching.tags = {text_template("a:{id}", {"id"}), text_template("q:{query.q}"), text_template("all")};
  const auto request = get("/a/7");
  RouteMatch match;
  match.route = &caching;
  REQUIRE(caching.path.match(request.path(), &match.captures));
  CHECK(rule_tags(match, request) == std::vector<std::string>{"a:7", "all"});
}

TEST_CASE("Priority has names") {
  CHECK(to_string(Priority::low) == "low");
  CHECK(to_string(Priority::normal) == "normal");
  CHECK(to_string(Priority::high) == "high");
}

}  // namespace
}  // namespace larder::policy
