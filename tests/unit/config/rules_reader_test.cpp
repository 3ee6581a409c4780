#include "larder/config/rules_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/loader.hpp"

namespace larder::config {
namespace {

using policy::Seconds;
using policy::SelectorKind;

struct Read {
  std::shared_ptr<const policy::RuleSet> rules;
  std::vector<Fault> faults;
  std::vector<Fault> warnings;
};

Read read(std::string_view text, std::optional<Seconds> default_ttl = std::nullopt) {
  Read out;
  const auto environment = [](std::string_view name) -> std::optional<std::string> {
    return name == "TENANT" ? std::optional<std::string>("t1") : std::nullopt;
  };
  out.rules = read_rules(text, "rules.yaml", environment, {}, default_ttl, out.faults, out.warnings);
  CHECK((out.rules != nullptr) == out.faults.empty());
  return out;
}

std::string all(const std::vector<Fault>& faults) {
  std::string out;
  for (const auto& fault : faults) out += format(fault) + "\n";
  return out;
}

// The example of the specification, letter by letter.
constexpr std::string_view example = R"(defaults: { ttl: 5m }              # for types without one
types:                             # the <type> of cache:<type>:<md5>
  dashboard: { ttl: 5m }
  search:    { ttl: 1h }
  user:      { ttl: 30m }
  product:   { ttl: 2h, stale_while_revalidate: 1m, stale_if_error: 1d }
  analytics: { ttl: 10m, priority: low }
routes:                            # for caching, the first match in file order wins
  - match: GET /docs/**
    cache: off                     # X-Cache: BYPASS
  - match: GET /api/dashboard
    cache: dashboard
  - match: GET /api/search
    cache: search
    query: { only: [q, page], sort: true }     # or ignore: [utm_*]
  - match: GET /api/users/{id}
    cache: user
    key: "user:profile:{id}"       # -> cache:user:profile:42 ; {query.x} {header.x} {cookie.x} {identity} too
    tags: ["user:{id}"]
  - match: GET /api/me/**
    cache: user
    identity: header:Authorization # own entry per identity; header:NAME, cookie:NAME; never shared between identities
  - match: GET /api/products/**
    cache: product
    status: { 404: 30s }           # negative caching; otherwise errors are not stored
  - match: [POST, PUT, PATCH, DELETE] /api/products/{id}
    purge: [ { type: analytics }, { tag: "product:{id}" }, { path: /api/products/** }, { key: "cache:search:*" } ]
)";

TEST_CASE("read_rules: mode, verify and compared_fields, for all routes and for one") {
  const auto got = read(R"(
mode: shadow
verify: 0.5%
compared_fields: [Content-Type, X-Version]
types: { page: {} }
routes:
  - { match: GET /a, cache: page }
  - { match: GET /b, cache: page, mode: serve, verify: off }
  - { match: GET /c, cache: page, verify: { share: 100%, credentials: true } }
)");
  REQUIRE_MESSAGE(got.rules != nullptr, all(got.faults));
  const auto& routes = got.rules->routes;
  REQUIRE(routes.size() == 3);
  CHECK(routes[0].is_shadow);
  CHECK(routes[0].verify_ppm == 5000);
  CHECK_FALSE(routes[0].verify_credentials);
  CHECK_FALSE(routes[1].is_shadow);
  CHECK(routes[1].verify_ppm == 0);
  CHECK(routes[2].is_shadow);
  CHECK(routes[2].verify_ppm == 1000000);
  CHECK(routes[2].verify_credentials);
  CHECK(got.rules->compared_fields == std::vector<std::string>{"Content-Type", "X-Version"});

  const auto plain = read("types: { page: {} }\nroutes: [ { match: GET /a, cache: page } ]");
  REQUIRE(plain.rules != nullptr);
  CHECK_FALSE(plain.rules->routes[0].is_shadow);
  CHECK(plain.rules->routes[0].verify_ppm == 0);
  CHECK(plain.rules->compared_fields.size() == 3);
}

TEST_CASE("read_rules: the example") {
  const auto got = read(example);
  REQUIRE_MESSAGE(got.rules != nullptr, all(got.faults));
  CHECK(got.warnings.empty());
  const auto& rules = *got.rules;
  REQUIRE(rules.types.size() == 5);
  REQUIRE(rules.routes.size() == 7);
  CHECK(rules.honour_client_directives);
  const auto& product = *rules.type("product");
  CHECK(product.ttl == Seconds(7200));
  CHECK(product.stale_while_revalidate == Seconds(60));
  CHECK(product.stale_if_error == Seconds(86400));
  CHECK(product.priority == policy::Priority::normal);
  CHECK(rules.type("analytics")->priority == policy::Priority::low);

  const auto& docs = rules.routes[0];
  CHECK(docs.cache_off);
  CHECK_FALSE(docs.caches());
  CHECK(docs.line == 9);
  CHECK(docs.match_text == "GET /docs/**");
  CHECK(docs.file == "rules.yaml");
  const auto& search = rules.routes[2];
  CHECK(search.type->name == "search");
  CHECK(search.query.filter == policy::QueryRule::Filter::only);
  CHECK(search.query.names == std::vector<std::string>{"q", "page"});
  CHECK(search.query.sort);
  CHECK(search.store.ttl == Seconds(3600));
  const auto& user = rules.routes[3];
  CHECK(user.key->text() == "user:profile:{id}");
  REQUIRE(user.tags.size() == 1);
  CHECK(user.key_has_host);
  CHECK_FALSE(user.store.per_identity);
  const auto& me = rules.routes[4];
  CHECK(me.identity->name == "Authorization");
  CHECK(me.identity->source == policy::IdentityRule::Source::header);
  CHECK(me.store.per_identity);
  const auto& products = rules.routes[5];
  CHECK(products.store.status_ttl == std::map<int, Seconds>{{404, Seconds(30)}});
  CHECK(products.store.stale_if_error == Seconds(86400));
  const auto& write = rules.routes[6];
  CHECK(write.methods == std::vector<std::string>{"POST", "PUT", "PATCH", "DELETE"});
  CHECK(write.match_text == "POST|PUT|PATCH|DELETE /api/products/{id}");
  CHECK(write.line == 26);
  REQUIRE(write.purge.size() == 4);
  CHECK(write.purge[0].kind == SelectorKind::type);
  CHECK(write.purge[1].kind == SelectorKind::tag);
  CHECK(write.purge[2].kind == SelectorKind::path);
  CHECK(write.purge[3].kind == SelectorKind::glob);
}

TEST_CASE("read_rules: every way to write a match") {
  struct Row {
    std::string_view match;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{{"GET /x", "GET /x"},
                                          {"\"GET /x\"", "GET /x"},
                                          {"GET|HEAD /x", "GET|HEAD /x"},
                                          {"[GET,HEAD]/x", "GET|HEAD /x"},
                                          {"[ GET , HEAD ]   /x", "GET|HEAD /x"},
                                          {"* /x", "* /x"},
                                          {"\"* /x\"", "* /x"},
                                          {"{methods: [GET, PUT], path: /x}", "GET|PUT /x"},
                                          {"{methods: GET, path: \"/{id}\"}", "GET /{id}"}}) {
    CAPTURE(row.match);
    const auto got = read("types: {t: }\nroutes:\n  - match: " + std::string(row.match) + "\n    cache: t\n");
    REQUIRE_MESSAGE(got.rules != nullptr, all(got.faults));
    CHECK(got.rules->routes[0].match_text == row.expected);
  }
}

TEST_CASE("read_rules: defaults, types and routes take after one another") {
  const auto got = read(R"(
client_directives: ignore
defaults: { ttl: 1m, stale_if_error: 2m }
types:
  a:
  b: { ttl: off, stale_if_error: off }
  c: { ttl: 3m, stale_while_revalidate: 4m, priority: high }
routes:
  - { match: GET /a, cache: a }
  - { match: GET /b, cache: b }
  - { match: GET /c, cache: c, ttl: 5, ttl_override: true, stale_while_revalidate: off, host: false }
  - { match: GET /d, cache: c, store_despite: [no-store, private, set-cookie, authorization], tags: one }
  - { match: GET /e, cache: c, store_despite: set-cookie, query: { ignore: [ "utm_*" ] }, tags: ["${TENANT}"] }
)");
  REQUIRE_MESSAGE(got.rules != nullptr, all(got.faults));
  const auto& routes = got.rules->routes;
  CHECK_FALSE(got.rules->honour_client_directives);
  REQUIRE_FALSE(got.rules->routes.empty());
  for (const auto& route : got.rules->routes) {
    if (route.caches()) CHECK_FALSE(route.store.honour_client_directives);
  }
  CHECK(routes[0].store.ttl == Seconds(60));
  CHECK(routes[0].store.stale_if_error == Seconds(120));
  CHECK_FALSE(routes[1].store.ttl.has_value());
  CHECK_FALSE(routes[1].store.stale_if_error.has_value());
  CHECK(routes[2].store.ttl == Seconds(5));
  CHECK(routes[2].store.ttl_override);
  CHECK_FALSE(routes[2].store.stale_while_revalidate.has_value());
  CHECK_FALSE(routes[2].key_has_host);
  CHECK(routes[3].store.ttl == Seconds(180));
  CHECK(routes[3].store.stale_while_revalidate == Seconds(240));
  CHECK(routes[3].store.store_despite_no_store);
  CHECK(routes[3].store.store_despite_private);
  CHECK(routes[3].store.store_despite_set_cookie);
  CHECK(routes[3].store.store_despite_authorization);
  CHECK(routes[3].tags.size() == 1);
  CHECK_FALSE(routes[4].store.store_despite_no_store);
  CHECK(routes[4].store.store_despite_set_cookie);
  CHECK(routes[4].query.filter == policy::QueryRule::Filter::ignore);
  CHECK(routes[4].tags[0].text() == "t1");
}

TEST_CASE("read_rules: the default ttl stands in for defaults.ttl only") {
  CHECK(read("types: {a: }", Seconds(9)).rules->type("a")->ttl == Seconds(9));
  CHECK(read("defaults: {ttl: 1}\ntypes: {a: }", Seconds(9)).rules->type("a")->ttl == Seconds(1));
  CHECK_FALSE(read("defaults: {ttl: off}\ntypes: {a: }", Seconds(9)).rules->type("a")->ttl.has_value());
  CHECK_FALSE(read("types: {a: }").rules->type("a")->ttl.has_value());
  CHECK(read("").rules->routes.empty());
}

TEST_CASE("read_rules: purges") {
  const auto got = read(R"(
types: {t: }
routes:
  - match: PUT /a/{id}
    purge: [{ key: "cache:t:{id}" }, { key: "cache:t:?" }, { glob: "cache:t:{id}:[ab]" }, { path: "/a/{id}/**" }, { all: true }]
  - match: DELETE /a/{id}
    purge: { tag: "{query.x}" }
  - match: POST /b
    identity: cookie:sid
    purge: [{ tag: "{identity}" }]
  - match: "* /c"
    cache: t
    purge: [{ type: t }]
)");
  REQUIRE_MESSAGE(got.rules != nullptr, all(got.faults));
  const auto& purge = got.rules->routes[0].purge;
  REQUIRE(purge.size() == 5);
  CHECK(purge[0].kind == SelectorKind::key);
  CHECK(purge[1].kind == SelectorKind::glob);
  CHECK(purge[2].kind == SelectorKind::glob);
  CHECK(purge[3].kind == SelectorKind::path);
  CHECK(purge[4].kind == SelectorKind::all);
  CHECK(got.rules->routes[1].purge.size() == 1);
  http::RequestHead request;
  request.method = "PUT";
  request.target = "/a/7";
  CHECK(got.rules->routes[0].purges(request) == std::vector<policy::Selector>{{SelectorKind::key, "cache:t:7"},
                                                                              {SelectorKind::glob, "cache:t:?"},
                                                                              {SelectorKind::glob, "cache:t:7:[ab]"},
                                                                              {SelectorKind::path, "/a/7/**"},
                                                                              {SelectorKind::all, ""}});
}

TEST_CASE("read_rules: each fault is found, with its line and what would be right") {
  struct Row {
    std::string_view route;  // the lines of one route, the first in line 3
    int line;
    std::string_view says;
  };
  const std::vector<Row> rows{
      {"cache: t", 3, "has no match"},
      {"match: GET", 3, "is not a method and a path"},
      {"match: /x", 3, "is not a method and a path"},
      {"match: ", 3, "is not a method and a path"},
      {"match: []", 3, "is not a method and a path"},
      {"match: {methods: [GET]}", 3, "methods and a path"},
      {"match: {methods: [GET], path: /x, host: y}\n    cache: t", 3, "no key \"host\" in match"},
      {"match: GTE /x\n    cache: t", 3, "did you mean GET?"},
      {"match: get /x\n    cache: t", 3, "did you mean GET?"},
      {"match: BREW /x\n    cache: t", 3, "not a known method"},
      {"match: GET|GET /x\n    cache: t", 3, "comes twice"},
      {"match: GET x\n    cache: t", 3, "begins with '/'"},
      {"match: GET /a*\n    cache: t", 3, "whole segments"},
      {"match: GET /x?y\n    cache: t", 3, "no query"},
      {"match: GET /{id}/{id}\n    cache: t", 3, "comes twice"},
      {"match: GET /x\n    cahce: t", 4, "did you mean cache?"},
      {"match: GET /x", 3, "neither caches nor purges"},
      {"match: GET /x\n    cache: tt", 4, "did you mean t?"},
      {"match: GET /x\n    cache: [t]", 4, "there is no type"},
      {"match: PUT /x\n    cache: t", 4, "only answers to GET and HEAD"},
      {"match: GET /x\n    cache: off\n    tags: [a]", 5, "no effect"},
      {"match: PUT /x\n    purge: [{all: true}]\n    ttl: 5m", 5, "no effect"},
      {"match: GET /x\n    cache: t\n    ttl: 5 minutes", 5, "not a duration"},
      {"match: GET /x\n    cache: t\n    ttl: -5", 5, "not a duration"},
      {"match: GET /x\n    cache: t\n    ttl: 500ms", 5, "whole seconds"},
      {"match: GET /x\n    cache: t\n    ttl: 100000d", 5, "not a duration"},
      {"match: GET /x\n    cache: t\n    ttl: [1]", 5, "a list is not a duration"},
      {"match: GET /x\n    cache: t\n    ttl_override: true", 5, "no ttl that could win"},
      {"match: GET /x\n    cache: t\n    ttl_override: maybe", 5, "true or false"},
      {"match: GET /x\n    cache: t\n    host: maybe", 5, "true or false"},
      {"match: GET /x\n    cache: t\n    status: 404", 5, "not a mapping"},
      {"match: GET /x\n    cache: t\n    status: {\"4x4\": 1}", 5, "not the code"},
      {"match: GET /x\n    cache: t\n    status: {206: 1}", 5, "not the code"},
      {"match: GET /x\n    cache: t\n    status: {99999999999999999999: 1}", 5, "not the code"},
      {"match: GET /x\n    cache: t\n    status: {404: x}", 5, "not a duration"},
      {"match: GET /x\n    cache: t\n    store_despite: [cookies]", 5, "not a known reason"},
      {"match: GET /x\n    cache: t\n    store_despite: [[a]]", 5, "is not a text"},
      {"match: GET /x\n    cache: t\n    identity: Authorization", 5, "header:Authorization"},
      {"match: GET /x\n    cache: t\n    identity: \"header:a b\"", 5, "not a header or a cookie"},
      {"match: GET /x\n    cache: t\n    query: { only: [a], ignore: [b] }", 5, "stand together"},
      {"match: GET /x\n    cache: t\n    query: { only: [\"a*b\"] }", 5, "not the name of a parameter"},
      {"match: GET /x\n    cache: t\n    query: { except: [a] }", 5, "no key \"except\" in query"},
      {"match: GET /x\n    cache: t\n    query: all", 5, "not a mapping"},
      {"match: GET /x/{id}\n    cache: t\n    key: \"u:{idd}\"", 5, "it captures {id}"},
      {"match: GET /x\n    cache: t\n    key: \"u:{id}\"", 5, "captures nothing"},
      {"match: GET /x\n    cache: t\n    key: \"u:{identity}\"", 5, "this route has none"},
      {"match: GET /x\n    cache: t\n    key: \"\"", 5, "it is empty"},
      {"match: GET /x\n    cache: t\n    tags: [\"a{\"]", 5, "braces"},
      {"match: GET /x\n    cache: t\n    tags: {a: b}", 5, "not a list"},
      {"match: GET /x\n    purge: [{all: true}]", 4, "safe methods"},
      {"match: PUT /x\n    purge: []", 4, "not a list of selectors"},
      {"match: PUT /x\n    purge: all", 4, "not a list of selectors"},
      {"match: PUT /x\n    purge: [{type: t, tag: x}]", 4, "one key and its value"},
      {"match: PUT /x\n    purge: [{typ: t}]", 4, "did you mean type?"},
      {"match: PUT /x\n    purge: [{type: nope}]", 4, "there is no type"},
      {"match: PUT /x\n    purge: [{all: false}]", 4, "means nothing"},
      {"match: PUT /x\n    purge: [{key: \"search:*\"}]", 4, "does not begin with \"cache:\""},
      {"match: PUT /x/{a}\n    purge: [{key: \"{a}:b\"}]", 4, "does not begin with \"cache:\""},
      {"match: PUT /x\n    purge: [{path: api/**}]", 4, "begins with '/'"},
      {"match: PUT /x\n    purge: [{path: /api/a**}]", 4, "whole segments"},
      {"match: PUT /x\n    purge: [{path: /%7euser}]", 4, "normal form"},
      {"match: PUT /x\n    purge: [{tag: \"{id}\"}]", 4, "captures nothing"},
      {"match: PUT /x\n    purge: [{tag: \"${NOPE}\"}]", 4, "NOPE is not set"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.route);
    const auto got = read("types: {t: }\nroutes:\n  - " + std::string(row.route) + "\n");
    CHECK(got.faults.size() == 1);
    if (got.faults.empty()) continue;
    CAPTURE(format(got.faults[0]));
    CHECK(got.faults[0].line == row.line);
    CHECK(format(got.faults[0]).find(row.says) != std::string::npos);
    CHECK_FALSE(got.faults[0].right.empty());
  }
}

TEST_CASE("read_rules: faults outside of routes") {
  struct Row {
    std::string_view text;
    int line;
    std::string_view says;
  };
  for (const auto& row : std::vector<Row>{{"[a]", 1, "is a mapping"},
                                          {"\ntyps: {}", 2, "did you mean types?"},
                                          {"defaults: 5m", 1, "not a mapping"},
                                          {"defaults: {ttl: x}", 1, "defaults.ttl"},
                                          {"defaults: {tll: 5}", 1, "did you mean ttl?"},
                                          {"types: [a]", 1, "not a mapping"},
                                          {"types: {\"a:b\": }", 1, "cannot be the name"},
                                          {"types: {off: }", 1, "cannot be the name"},
                                          {"types: {a: {priority: urgent}}", 1, "low, normal or high"},
                                          {"types: {a: {priority: hihg}}", 1, "did you mean high?"},
                                          {"types: {a: {x: 1}}", 1, "in types.a"},
                                          {"types: {a: 5m}", 1, "types.a is not a mapping"},
                                          {"types:\n  a:\n  a:", 3, "comes twice"},
                                          {"client_directives: obey", 1, "neither honour nor ignore"},
                                          {"set_cookie: yes", 1, "neither explicit nor refuse"},
                                          {"failed_writes: no", 1, "neither purge nor rfc"},
                                          {"s_maxage: 5", 1, "neither allows_stale nor forbids_stale"},
                                          {"no_vary_search: [a]", 1, "neither honour nor ignore"},
                                          {"targeted_fields: drop", 1, "neither forward nor remove"},
                                          {"routes: {match: x}", 1, "not a list"},
                                          {"routes: [x]", 1, "not a mapping"},
                                          {"routes: [", 1, "not YAML"}}) {
    CAPTURE(row.text);
    const auto got = read(row.text);
    CHECK(got.faults.size() == 1);
    if (got.faults.empty()) continue;
    CAPTURE(format(got.faults[0]));
    CHECK(got.faults[0].line == row.line);
    CHECK(format(got.faults[0]).find(row.says) != std::string::npos);
  }
}

TEST_CASE("read_rules: all faults of a file, not only the first") {
  const auto got = read(R"(types: {a: {ttl: x}}
routes:
  - match: GTE /x
    cache: a
  - match: GET /y
    cache: b
    ttl: z
  - match: GET /z
    cache: a
    key: "{q}"
    tags: ["{r}"]
    host: 3
)");
  std::vector<int> lines;
  for (const auto& fault : got.faults) lines.push_back(fault.line);
  CHECK(lines == std::vector<int>{1, 3, 6, 10, 12, 11});
}

TEST_CASE("read_rules: a route that can never match is a warning") {
  struct Row {
    std::string_view first;
    std::string_view second;
    bool warned;
  };
  for (const auto& row : std::vector<Row>{{"GET /api/**", "GET /api/users", true},
                                          {"GET /api/users", "GET /api/**", false},
                                          {"GET /a/{id}", "GET /a/{x}", true},
                                          {"GET /a/{id}", "HEAD /a/1", true},
                                          {"GET /a/{id}", "* /a/1", false},
                                          {"* /a/{id}", "GET /a/1", true},
                                          {"GET|HEAD /a", "GET /a", true},
                                          {"HEAD /a", "GET /a", false}}) {
    CAPTURE(row.first);
    CAPTURE(row.second);
    const auto got = read("types: {t: }\nroutes:\n  - match: " + std::string(row.first) +
                          "\n    cache: t\n  - match: " + std::string(row.second) + "\n    cache: off\n");
    REQUIRE(got.rules != nullptr);
    REQUIRE(got.warnings.size() == (row.warned ? 1 : 0));
    if (row.warned) CHECK(got.warnings[0].line == 5);
  }
  CHECK(read("types: {t: }\nroutes:\n  - match: \"* /**\"\n    purge: [{all: true}]\n  - match: GET /a\n    cache: t\n")
            .warnings.empty());
}

TEST_CASE("read_rules: mangled files give rules or faults, never a crash") {
  std::uint32_t seed = 3;
  const auto next = [&seed](std::size_t bound) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8U) % bound;
  };
  constexpr std::string_view alphabet = "{}[]:*/-,'\"#&|$ \n\tax0\xff";
  for (int round = 0; round < 1500; ++round) {
    std::string text(example);
    for (auto changes = 1 + next(6); changes > 0; --changes) {
      const auto at = next(text.size());
      switch (next(3)) {
        case 0:
          text[at] = alphabet[next(alphabet.size())];
          break;
        case 1:
          text.erase(at, 1 + next(20));
          break;
        default:
          text.insert(at, 1, alphabet[next(alphabet.size())]);
          break;
      }
    }
    const auto got = read(text);
    for (const auto& fault : got.faults) CHECK_FALSE(fault.right.empty());
  }
}

TEST_CASE("built_in_rules: every GET, pure RFC 9111") {
  const auto rules = built_in_rules(std::nullopt);
  const auto match = rules->match_cache("GET", "/any/thing");
  REQUIRE(match.route != nullptr);
  CHECK(match.route->type->name == "default");
  CHECK_FALSE(match.route->store.ttl.has_value());
  CHECK(rules->match_cache("HEAD", "/").route != nullptr);
  CHECK(rules->match_cache("POST", "/").route == nullptr);
  CHECK(built_in_rules(Seconds(60))->routes[0].store.ttl == Seconds(60));
}

TEST_CASE("the switches between the letter of the RFCs and other practice") {
  const auto plain = read("types: { a: {} }\nroutes:\n  - match: GET /a\n    cache: a\n");
  REQUIRE(plain.rules != nullptr);
  CHECK(plain.rules->routes[0].store.store_explicit_set_cookie);
  CHECK_FALSE(plain.rules->routes[0].store.s_maxage_allows_stale);
  CHECK(plain.rules->honour_no_vary_search);
  CHECK_FALSE(plain.rules->failed_writes_purge);
  CHECK_FALSE(plain.rules->forward_targeted_fields);
  const auto other = read(
      "failed_writes: purge\nset_cookie: refuse\ns_maxage: allows_stale\nno_vary_search: ignore\ntargeted_fields: "
      "forward\n"
      "types: { a: {} }\nroutes:\n  - match: GET /a\n    cache: a\n");
  REQUIRE_MESSAGE(other.rules != nullptr, all(other.faults));
  CHECK_FALSE(other.rules->routes[0].store.store_explicit_set_cookie);
  CHECK(other.rules->routes[0].store.s_maxage_allows_stale);
  CHECK_FALSE(other.rules->honour_no_vary_search);
  CHECK(other.rules->failed_writes_purge);
  CHECK(other.rules->forward_targeted_fields);
}

TEST_CASE("conf/rules.yaml holds the example and passes") {
  std::string error;
  const auto text = read_file(std::string(LARDER_SOURCE_DIR) + "/conf/rules.yaml", error);
  REQUIRE_MESSAGE(text.has_value(), error);
  const auto got = read(*text);
  CHECK_MESSAGE(got.rules != nullptr, all(got.faults));
  CHECK_MESSAGE(got.warnings.empty(), all(got.warnings));
  CHECK(got.rules->types.size() == 5);
  // Each key of the grammar is documented in the file's first comment.
  for (const std::string_view key : {"client_directives",
                                     "set_cookie",
                                     "failed_writes",
                                     "s_maxage",
                                     "no_vary_search",
                                     "targeted_fields",
                                     "defaults",
                                     "types",
                                     "priority",
                                     "match",
                                     "methods",
                                     "path",
                                     "cache",
                                     "key",
                                     "host",
                                     "query",
                                     "only",
                                     "ignore",
                                     "sort",
                                     "identity",
                                     "tags",
                                     "ttl",
                                     "stale_while_revalidate",
                                     "stale_if_error",
                                     "ttl_override",
                                     "status",
                                     "store_despite",
                                     "no-store",
                                     "private",
                                     "set-cookie",
                                     "authorization",
                                     "purge",
                                     "glob",
                                     "type",
                                     "tag",
                                     "all",
                                     "namespaces",
                                     "read",
                                     "write"}) {
    CAPTURE(key);
    CHECK(text->substr(0, text->find("\nclient_directives:")).find(key) != std::string::npos);
  }
}

}  // namespace
}  // namespace larder::config
