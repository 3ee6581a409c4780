#include "larder/policy/explanation.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

#include "larder/http/http_date.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/storable.hpp"

namespace larder::policy {
namespace {

using Fields = std::vector<http::Field>;
using Texts = std::vector<std::string>;

constexpr TimePoint now{std::chrono::seconds(1700000000)};

Template text_template(std::string_view text, const Texts& captures = {}) {
  std::string error;
  auto parsed = Template::parse(text, captures, error);
  REQUIRE_MESSAGE(parsed.has_value(), error);
  return *parsed;
}

class Rules {
 public:
  Rules() {
    auto type = std::make_shared<Type>();
    type->name = "t";
    type->ttl = Seconds(300);
    rules_->types.push_back(type);
  }
  Route& add(Texts methods, std::string_view path, bool caches = true) {
    std::string error;
    Route route;
    route.methods = std::move(methods);
    route.path = PathPattern::parse(path, error).value();
    route.match_text = route.methods.front() + " " + std::string(path);
    route.file = "r.yaml";
    route.line = static_cast<int>(rules_->routes.size()) + 1;
    if (caches) {
      route.type = rules_->types.front();
      route.store.ttl = route.type->ttl;
    }
    rules_->routes.push_back(std::move(route));
    return rules_->routes.back();
  }
  [[nodiscard]] std::shared_ptr<RuleSet> get() const { return rules_; }

 private:
  std::shared_ptr<RuleSet> rules_ = std::make_shared<RuleSet>();
};

NormalRequest request(std::string method, std::string target, const Fields& fields = {}) {
  AskedRequest asked;
  asked.method = std::move(method);
  asked.target = std::move(target);
  asked.host = "API.example:80";
  asked.fields = http::FieldList::copy_of(fields);
  auto made = NormalRequest::make(asked);
  REQUIRE_MESSAGE(made.index() == 0, std::get<std::string>(made));
  return std::get<NormalRequest>(std::move(made));
}

AskedResponse response(int status, const Fields& fields = {}) {
  AskedResponse out;
  out.status = status;
  out.fields = http::FieldList::copy_of(fields);
  return out;
}

ExplainContext context(const Rules& rules) { return {.rules = rules.get(), .now = now}; }

TEST_CASE("fault_of: what no response can be") {
  CHECK(fault_of(response(200)).empty());
  CHECK_FALSE(fault_of(response(99)).empty());
  CHECK_FALSE(fault_of(response(200, {{"a", "\n"}})).empty());
}

TEST_CASE("explain: the route that decides, those passed over, and the key") {
  Rules rules;
  rules.add({"PUT"}, "/s", false).purge = {{SelectorKind::all, {}}};
  rules.add({"POST", "GET"}, "/other");
  auto& search = rules.add({"GET"}, "/s");
  search.query = {QueryRule::Filter::ignore, {"utm_*"}, true};
  rules.add({"GET"}, "/**");
  const auto asked = request("GET", "/s?z=1&utm_x=2&a=3");
  const auto got = explain(context(rules), asked, nullptr);
  CHECK(got.admission.way == Way::look_up);
  CHECK(got.admission.route == &rules.get()->routes[2]);
  REQUIRE(got.passed_over.size() == 3);
  CHECK(got.passed_over[0].reason == PassedOver::not_caching);
  CHECK(got.passed_over[1].reason == PassedOver::path);
  CHECK_FALSE(got.passed_over[2].reason);
  REQUIRE(got.key);
  CHECK(got.key->parameters == Texts{"a=3", "z=1"});
  CHECK(got.key->left_out == Texts{"utm_x=2"});
  CHECK(got.key->is_sorted);
  CHECK_FALSE(got.key->is_whole_query);
  CHECK(got.key->origin == "http://api.example");
  CHECK(got.key->purge_target == "/s?a=3&z=1");
  // The very key that the proxy computes.
  const auto match = rules.get()->match_cache("GET", "/s");
  std::string canonical;
  (void)canonical_request(asked.head(), match, canonical);
  CHECK(got.key->key == cache_key(asked.head(), match, canonical));
  CHECK_FALSE(got.storing);
  CHECK_FALSE(got.write);
}

TEST_CASE("explain: a template as a key, and one that cannot be used") {
  Rules rules;
  auto& route = rules.add({"GET"}, "/u/{id}");
  route.key = text_template("u:{id}:{query.v}:{identity}", {"id"});
  route.identity = IdentityRule{IdentityRule::Source::header, "Authorization"};
  route.key_has_host = false;
  route.tags = {text_template("u:{id}", {"id"})};
  auto got = explain(context(rules), request("GET", "/u/7?v=1&w=2", {{"Authorization", "x"}}), nullptr);
  REQUIRE(got.key);
  CHECK(got.key->is_template);
  CHECK(got.key->key == "cache:u:7:1:" + *got.key->identity);
  CHECK_FALSE(got.key->origin);
  CHECK(got.tags == Texts{"u:7"});
  CHECK(got.captures == std::vector<std::pair<std::string, std::string>>{{"id", "7"}});

  got = explain(context(rules), request("GET", "/u/7"), nullptr);
  REQUIRE(got.key->variables.size() == 3);
  CHECK(got.key->variables[0].value == "7");
  CHECK(got.key->variables[1].name == "{query.v}");
  CHECK_FALSE(got.key->variables[1].value);
  CHECK_FALSE(got.key->is_template);
  CHECK(got.key->key.starts_with("cache:t:"));
  CHECK_FALSE(got.key->identity);
}

TEST_CASE("explain: what the response says, with the arithmetic by its RFC names") {
  Rules rules;
  auto& route = rules.add({"GET"}, "/**");
  route.store.stale_if_error = Seconds(60);
  const auto date = http::format_http_date(now - std::chrono::seconds(20));
  const auto answer = response(200, {{"Cache-Control", "max-age=100, stale-while-revalidate=30"},
                                     {"Date", date},
                                     {"Age", "15"},
                                     {"Vary", "Accept-Encoding"},
                                     {"ETag", "\"x\""}});
  const auto got = explain(context(rules), request("GET", "/a"), &answer);
  REQUIRE(got.storing);
  const auto& s = *got.storing;
  CHECK(s.reason == NotStored::none);
  CHECK(s.freshness.freshness_lifetime == Seconds(100));
  CHECK(s.freshness.source == LifetimeSource::max_age);
  CHECK(s.lifetime_from == "Cache-Control: max-age=100, stale-while-revalidate=30");
  CHECK(s.freshness.apparent_age == Seconds(20));
  CHECK(s.freshness.age_value == Seconds(15));
  CHECK(s.freshness.response_delay == Seconds(0));
  CHECK(s.freshness.corrected_age_value == Seconds(15));
  CHECK(s.freshness.corrected_initial_age == Seconds(20));
  CHECK(s.freshness.resident_time == Seconds(0));
  CHECK(s.freshness.current_age == Seconds(20));
  CHECK(s.freshness.staleness == Seconds(-80));
  CHECK(s.freshness.stale_while_revalidate == Seconds(30));
  CHECK(s.freshness.stale_if_error == Seconds(60));
  CHECK(s.vary == Texts{"accept-encoding"});
  CHECK(s.variant_key.starts_with(got.key->key + ":"));
  CHECK(s.reuse.use == Use::serve);

  // The same of what is stored, later.
  Lifetime lifetime;
  lifetime.freshness_lifetime = Seconds(100);
  lifetime.corrected_initial_age = Seconds(20);
  lifetime.response_time = now;
  const Fields stored{{"Date", date}};
  const auto later = arithmetic(lifetime, stored, true, now + std::chrono::seconds(90));
  CHECK(later.apparent_age == Seconds(20));
  CHECK(later.resident_time == Seconds(90));
  CHECK(later.current_age == Seconds(110));
  CHECK(later.staleness == Seconds(10));
  CHECK_FALSE(later.corrected_age_value);
  CHECK_FALSE(later.is_fresh);
}

TEST_CASE("explain: why a response is not stored, and what of it says so") {
  struct Row {
    NotStored reason;
    int status;
    Fields fields;
    Texts evidence;
    Fields of_request{};
  };
  const std::vector<Row> rows{
      {NotStored::no_store, 200, {{"Cache-Control", "no-store, max-age=5"}}, {"Cache-Control: no-store, max-age=5"}},
      {NotStored::no_store,
       200,
       {{"CDN-Cache-Control", "no-store"}, {"Cache-Control", "max-age=5"}},
       {"CDN-Cache-Control: no-store"}},
      {NotStored::private_response, 200, {{"Cache-Control", "private"}}, {"Cache-Control: private"}},
      {NotStored::set_cookie, 200, {{"Set-Cookie", "sid=secret"}}, {"Set-Cookie"}},
      {NotStored::vary_star, 200, {{"Vary", "*"}}, {"Vary: *"}},
      {NotStored::status, 500, {}, {"status 500"}},
      {NotStored::partial_content,
       206,
       {{"Content-Range", "bytes 0-1/5"}},
       {"status 206", "Content-Range: bytes 0-1/5"}},
      {NotStored::too_large, 200, {{"Content-Length", "99999999"}}, {"Content-Length: 99999999"}},
      {NotStored::authorization, 200, {}, {"Authorization of the request"}, {{"Authorization", "Bearer secret"}}},
      {NotStored::request_no_store, 200, {}, {"Cache-Control: no-store"}, {{"Cache-Control", "no-store"}}},
  };
  Rules rules;
  rules.add({"GET"}, "/**");
  for (const auto& row : rows) {
    const auto answer = response(row.status, row.fields);
    const auto got = explain(context(rules), request("GET", "/a", row.of_request), &answer);
    CAPTURE(to_string(row.reason));
    REQUIRE(got.storing);
    CHECK(to_string(got.storing->reason) == to_string(row.reason));
    CHECK(got.storing->evidence == row.evidence);
  }
}

TEST_CASE("explain: a write says what it purges, and a reader which writes purge it") {
  Rules rules;
  auto& reader = rules.add({"GET"}, "/p/{id}");
  reader.tags = {text_template("p:{id}", {"id"}), text_template("all")};
  rules.add({"PUT", "DELETE"}, "/p/{id}", false).purge = {{SelectorKind::tag, text_template("p:{id}", {"id"})},
                                                          {SelectorKind::key, text_template("cache:q:{query.q}")}};
  rules.add({"POST"}, "/p", false).purge = {{SelectorKind::path, text_template("/p/**")},
                                            {SelectorKind::type, text_template("other")}};

  const auto write = explain(context(rules), request("PUT", "/p/7"), nullptr);
  CHECK(write.admission.way == Way::write);
  REQUIRE(write.write);
  CHECK(write.write->is_changing);
  const auto is_tag = [](const CausedSelector& s) { return s.selector == Selector{SelectorKind::tag, "p:7"}; };
  const auto tag = std::ranges::find_if(write.write->purges, is_tag);
  REQUIRE(tag != write.write->purges.end());
  CHECK(tag->route == &rules.get()->routes[1]);
  REQUIRE(write.write->without_value.size() == 1);
  CHECK(write.write->without_value[0].second == 1);
  const auto refused = response(404);
  CHECK_FALSE(explain(context(rules), request("PUT", "/p/7"), &refused).write->is_changing);
  CHECK(explain(context(rules), request("PUT", "/p/7"), &refused).write->purges.empty());

  // The answer to a POST that says what a GET would get is kept for it.
  CHECK_FALSE(explain(context(rules), request("PUT", "/p/7"), &refused).storing);
  const auto posted =
      response(200, {{"Content-Location", "/p/7"}, {"Cache-Control", "max-age=60"}, {"Set-Cookie", "a"}});
  const auto kept = explain(context(rules), request("POST", "/p/7"), &posted);
  REQUIRE(kept.storing);
  CHECK(kept.storing->reason == NotStored::set_cookie);
  CHECK(kept.storing->variant_key.starts_with("cache:t:"));
  CHECK_FALSE(explain(context(rules), request("POST", "/p/8"), &posted).storing);

  const auto read = explain(context(rules), request("GET", "/p/7?x=1"), nullptr);
  REQUIRE(read.purged_by.size() == 2);
  CHECK(read.purged_by[0].route == &rules.get()->routes[1]);
  CHECK(read.purged_by[0].when == std::vector<std::pair<std::string, std::string>>{{"{id}", "7"}});
  CHECK(read.purged_by[0].path == "/p/7");
  CHECK(read.purged_by[1].selector->kind == SelectorKind::path);
}

// Each rule that is said to purge does so, for the values that it is said to need.
TEST_CASE("purging_rules: against the purges of real writes") {
  struct Row {
    SelectorKind kind;
    std::string text;
    bool names;
    std::string when{};
  };
  const Texts tags{"p:7", "p:7:x"};
  const PurgeSubject subject{.key = "cache:t:7:abc",
                             .base_key = "cache:t:7",
                             .type = "t",
                             .origin = "http://a",
                             .target = "/p/7/x?q=1",
                             .tags = tags};
  const std::vector<Row> rows{
      {SelectorKind::all, "", true},
      {SelectorKind::tag, "p:{id}", true, "7"},
      {SelectorKind::tag, "p:{id}:x", true, "7"},
      {SelectorKind::tag, "p:{id}:y", false},
      {SelectorKind::tag, "{id}{id}", false},
      {SelectorKind::tag, "p:7", true},
      {SelectorKind::tag, "p", false},
      {SelectorKind::type, "{id}", true, "t"},
      {SelectorKind::type, "u", false},
      {SelectorKind::key, "cache:t:{id}", true, "7"},
      {SelectorKind::key, "cache:u:{id}", false},
      {SelectorKind::glob, "cache:{id}:*", true},
      {SelectorKind::glob, "cache:u:*", false},
      {SelectorKind::path, "/p/{id}/**", true, "7"},
      {SelectorKind::path, "/p/{id}", false},
      {SelectorKind::path, "/p/**", true},
      {SelectorKind::path, "/q/**", false},
      {SelectorKind::path, "/p/a{id}/*", true},  // one too many: it is not said of parts of segments
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    Rules rules;
    SelectorTemplate selector{row.kind, {}};
    if (row.kind != SelectorKind::all) selector.value = text_template(row.text, {"id"});
    rules.add({"PUT"}, "/w/{id}", false).purge = {selector};
    const auto found = purging_rules(*rules.get(), subject);
    CHECK(found.size() == (row.names ? 1 : 0));
    if (row.when.empty() || found.empty()) continue;
    REQUIRE(found[0].when.size() == 1);
    CHECK(found[0].when[0].second == row.when);
    const auto write = request("PUT", found[0].path);
    bool is_purged = false;
    for (const auto& purge : rules.get()->routes[0].purges(write.head())) {
      is_purged = is_purged || matches(purge, subject);
    }
    CHECK(is_purged);
  }
}

TEST_CASE("purging_rules ends on hostile tags, and rather says one too many") {
  Rules rules;
  rules.add({"PUT"}, "/{a}/{b}/{c}", false).purge = {
      {SelectorKind::tag, text_template("{query.a}x{query.b}x{query.c}x{query.d}y")}};
  const Texts tags{std::string(20000, 'x')};
  const auto found = purging_rules(
      *rules.get(), {.key = "k", .base_key = "k", .type = "t", .origin = {}, .target = "/", .tags = tags});
  REQUIRE(found.size() == 1);
  CHECK(found[0].when.empty());
}

TEST_CASE("every reason has a meaning") {
  for (unsigned i = 0; i < static_cast<unsigned>(NotStored::count_); ++i) {
    CHECK_FALSE(meaning(static_cast<NotStored>(i)).empty());
  }
  for (unsigned i = 0; i < static_cast<unsigned>(NotReused::count_); ++i) {
    CHECK_FALSE(meaning(static_cast<NotReused>(i)).empty());
  }
}

}  // namespace
}  // namespace larder::policy
