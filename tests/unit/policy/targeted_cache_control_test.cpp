#include "larder/policy/targeted_cache_control.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/http/http_date.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/validation.hpp"

using namespace larder::policy;
using namespace std::chrono_literals;
using larder::http::Field;
using Fields = std::vector<Field>;
using Names = std::vector<std::string>;

namespace {

const TimePoint now = std::chrono::sys_days{std::chrono::year{2025} / 6 / 1};
const std::string in_an_hour = larder::http::format_http_date(now + 1h);
const std::string long_ago = larder::http::format_http_date(now - 10000s);

// Directives of one targeted field, which must be valid.
ResponseCacheControl targeted(std::string_view value) {
  const Fields fields{{"CDN-Cache-Control", value}};
  const auto directives = caching_directives(fields);
  CHECK(directives.targeted);
  CHECK(directives.field == "CDN-Cache-Control");
  CHECK(directives.cache_control.any);
  return directives.cache_control;
}

Lifetime lifetime(const Fields& fields) {
  larder::http::ResponseHead head;
  head.status = 200;
  head.fields = fields;
  return compute_lifetime(head, {}, now, now);
}

NotStored decide(const Fields& fields, const Fields& request_fields = {}) {
  larder::http::RequestHead request;
  request.method = "GET";
  request.target = "/";
  request.fields = request_fields;
  larder::http::ResponseHead response;
  response.status = 200;
  response.fields = fields;
  return storable(request, response, {}, lifetime(fields));
}

std::string names_of(larder::http::FieldSpan fields) {
  std::string names;
  for (const Field& field : fields) names.append(names.empty() ? "" : " ").append(field.name);
  return names;
}

}  // namespace

TEST_CASE("which field governs") {
  struct Case {
    const char* what;
    Fields fields;
    std::string_view field;
    Seconds max_age;
  };
  const Case cases[] = {
      {"none", {}, "Cache-Control", 0s},
      {"Cache-Control alone", {{"Cache-Control", "max-age=1"}}, "Cache-Control", 1s},
      {"CDN alone", {{"CDN-Cache-Control", "max-age=2"}}, "CDN-Cache-Control", 2s},
      {"CDN over Cache-Control",
       {{"Cache-Control", "no-store, max-age=1"}, {"CDN-Cache-Control", "max-age=2"}},
       "CDN-Cache-Control",
       2s},
      {"Larder over CDN",
       {{"CDN-Cache-Control", "max-age=2"}, {"larder-cache-control", "max-age=3"}, {"Cache-Control", "max-age=1"}},
       "Larder-Cache-Control",
       3s},
      {"others' fields do not count",
       {{"Fastly-Cache-Control", "max-age=9"}, {"Surrogate-Control", "max-age=9"}, {"X-Cache-Control", "max-age=9"}},
       "Cache-Control",
       0s},
      {"empty", {{"CDN-Cache-Control", ""}, {"Cache-Control", "max-age=1"}}, "Cache-Control", 1s},
      {"white space", {{"CDN-Cache-Control", "  "}, {"Cache-Control", "max-age=1"}}, "Cache-Control", 1s},
      {"empty Larder", {{"Larder-Cache-Control", ""}, {"CDN-Cache-Control", "max-age=2"}}, "CDN-Cache-Control", 2s},
      {"faulty Larder", {{"Larder-Cache-Control", "a b"}, {"CDN-Cache-Control", "max-age=2"}}, "CDN-Cache-Control", 2s},
      {"no fit directive is no fault",
       {{"CDN-Cache-Control", "none"}, {"Cache-Control", "max-age=1"}},
       "CDN-Cache-Control",
       0s},
      {"two lines",
       {{"CDN-Cache-Control", "no-transform"}, {"CDN-Cache-Control", "max-age=2"}},
       "CDN-Cache-Control",
       2s},
      {"a fault in one line fails both",
       {{"CDN-Cache-Control", "max-age=2"}, {"CDN-Cache-Control", "&"}, {"Cache-Control", "max-age=1"}},
       "Cache-Control",
       1s},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const auto directives = caching_directives(c.fields);
    CHECK(directives.field == c.field);
    CHECK(directives.targeted == (c.field != "Cache-Control"));
    CHECK(directives.cache_control.max_age.value == c.max_age);
  }
}

TEST_CASE("what Cache-Control would forgive is a fault here, and the field is ignored") {
  for (const char* value : {"max-age=60,",
                            ",max-age=60",
                            "max-age=60,,no-store",
                            "MAX-AGE=60",
                            "Max-Age=60",
                            "max-age =60",
                            "max-age= 60",
                            "max-age=60 no-store",
                            "max-age=60; ",
                            "max-age=60;x=",
                            "max-age='60'",
                            "max-age=\"60",
                            "max-age=60s",
                            "max-age=1000000000000000",
                            "max-age=",
                            "max-age=+60",
                            "max-age=.5",
                            "max-age=1.",
                            "no-cache=\"a\\b\"",
                            "private=(a",
                            "no-store, @",
                            "no-store, \x80",
                            "max-age=60, No-Store",
                            "max-age:60",
                            "\"max-age\"=60",
                            "60"}) {
    CAPTURE(value);
    const Fields fields{{"CDN-Cache-Control", value}, {"Cache-Control", "max-age=1"}};
    const auto directives = caching_directives(fields);
    CHECK_FALSE(directives.targeted);
    CHECK(directives.cache_control.max_age.value == 1s);
    CHECK_FALSE(directives.cache_control.no_store);
  }
}

TEST_CASE("delta-seconds") {
  struct Case {
    const char* value;
    bool valid;
    Seconds expected;
  };
  const Case cases[] = {
      {"0", true, 0s},
      {"60", true, 60s},
      {"060", true, 60s},
      {"-0", true, 0s},
      {"2147483648", true, max_delta_seconds},
      {"2147483649", true, max_delta_seconds},
      {"999999999999999", true, max_delta_seconds},
      {"60;x=1", true, 60s},
      {"60;max-age=90", true, 60s},
      {"-1", false, 0s},
      {"-999999999999999", false, 0s},
      {"60.0", false, 0s},
      {"1.5", false, 0s},
      {"\"60\"", false, 0s},
      {"sixty", false, 0s},
      {"?1", false, 0s},
      {"?0", false, 0s},
      {":NjA=:", false, 0s},
      {"@60", false, 0s},
      {"%\"60\"", false, 0s},
      {"(60)", false, 0s},
      {"()", false, 0s},
  };
  const std::pair<const char*, DeltaSeconds ResponseCacheControl::*> directives[] = {
      {"max-age", &ResponseCacheControl::max_age},
      {"s-maxage", &ResponseCacheControl::s_maxage},
      {"stale-while-revalidate", &ResponseCacheControl::stale_while_revalidate},
      {"stale-if-error", &ResponseCacheControl::stale_if_error},
  };
  for (const auto& [name, member] : directives) {
    for (const Case& c : cases) {
      const std::string value = std::string(name) + "=" + c.value;
      CAPTURE(value);
      const ResponseCacheControl cc = targeted(value);
      CHECK((cc.*member).present);
      CHECK((cc.*member).valid == c.valid);
      CHECK((cc.*member).value == c.expected);
    }
    CHECK((targeted(name).*member).present);
    CHECK_FALSE((targeted(name).*member).valid);
  }
  // §3.2 of RFC 9651: of a repeated key the last value counts.
  CHECK(targeted("max-age=60, max-age=5").max_age.value == 5s);
  CHECK_FALSE(targeted("max-age=60, max-age=x").max_age.valid);
  CHECK(targeted("max-age=x, max-age=60").max_age.valid);
  CHECK_FALSE(targeted("x-max-age=60, max-agee=60").max_age.present);
}

TEST_CASE("directives without an argument") {
  const std::pair<const char*, bool ResponseCacheControl::*> restricting[] = {
      {"no-store", &ResponseCacheControl::no_store},
      {"no-cache", &ResponseCacheControl::no_cache},
      {"private", &ResponseCacheControl::is_private},
      {"must-revalidate", &ResponseCacheControl::must_revalidate},
      {"proxy-revalidate", &ResponseCacheControl::proxy_revalidate},
      {"no-transform", &ResponseCacheControl::no_transform},
  };
  const std::pair<const char*, bool ResponseCacheControl::*> permitting[] = {
      {"public", &ResponseCacheControl::is_public},
      {"must-understand", &ResponseCacheControl::must_understand},
      {"immutable", &ResponseCacheControl::immutable},
  };
  const auto check = [](const auto& directives, bool of_another_type) {
    for (const auto& [directive, member] : directives) {
      const std::string name = directive;
      CAPTURE(name);
      CHECK(targeted(name).*member);
      CHECK(targeted(name + "=?1").*member);
      CHECK(targeted(name + ";x=1").*member);
      CHECK(targeted(name + "=?0, " + name).*member);
      CHECK_FALSE(targeted(name + "=?0").*member);
      CHECK_FALSE(targeted(name + ", " + name + "=?0").*member);
      CHECK_FALSE(targeted("x, max-age=1").*member);
      for (const char* value : {"1", "0", "1.0", "()", ":AA==:", "@1", "\"\"", "%\"\""}) {
        CAPTURE(value);
        CHECK(targeted(name + "=" + value).*member == of_another_type);
      }
    }
  };
  check(restricting, true);
  check(permitting, false);
  CHECK(targeted("no-store=yes").no_store);
  CHECK_FALSE(targeted("public=yes").is_public);
}

TEST_CASE("no-cache and private with field names") {
  struct Case {
    const char* argument;
    Names names;  // empty: the whole response is meant
  };
  const Case cases[] = {
      {"\"set-cookie\"", {"set-cookie"}},
      {"\"Set-Cookie, X-A\"", {"set-cookie", "x-a"}},
      {"\" a ,, b \"", {"a", "b"}},
      {"Set-Cookie", {"set-cookie"}},
      {"\"a\";x", {"a"}},
      {"\"\"", {}},
      {"\",\"", {}},
      {"\"a b\"", {}},
      {"\"a, b c\"", {}},
      {"a/b", {}},
      {"(\"a\" \"b\")", {}},
      {"(a)", {}},
      {"%\"a\"", {}},
      {"1", {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.argument);
    const ResponseCacheControl no_cache = targeted(std::string("no-cache=") + c.argument);
    CHECK(no_cache.no_cache_fields == c.names);
    CHECK(no_cache.no_cache == c.names.empty());
    const ResponseCacheControl is_private = targeted(std::string("private=") + c.argument);
    CHECK(is_private.private_fields == c.names);
    CHECK(is_private.is_private == c.names.empty());
  }
}

TEST_CASE("names on the target list") {
  CHECK(is_targeted_field("CDN-Cache-Control"));
  CHECK(is_targeted_field("cdn-cache-control"));
  CHECK(is_targeted_field("LARDER-CACHE-CONTROL"));
  CHECK_FALSE(is_targeted_field("Cache-Control"));
  CHECK_FALSE(is_targeted_field("X-Cache-Control"));
  CHECK_FALSE(is_targeted_field("-Cache-Control"));
  CHECK_FALSE(is_targeted_field(""));
}

TEST_CASE("the lifetime is that of the targeted field") {
  struct Case {
    const char* what;
    Fields fields;
    Seconds expected;
    LifetimeSource source;
  };
  const Case cases[] = {
      {"over Cache-Control",
       {{"Cache-Control", "max-age=1"}, {"CDN-Cache-Control", "max-age=60"}},
       60s,
       LifetimeSource::max_age},
      {"shorter too",
       {{"Cache-Control", "s-maxage=3600"}, {"CDN-Cache-Control", "max-age=60"}},
       60s,
       LifetimeSource::max_age},
      {"its own s-maxage", {{"CDN-Cache-Control", "max-age=1, s-maxage=60"}}, 60s, LifetimeSource::s_maxage},
      {"Expires does not count", {{"CDN-Cache-Control", "none"}, {"Expires", in_an_hour}}, 0s, LifetimeSource::none},
      {"neither does Cache-Control",
       {{"CDN-Cache-Control", "none"}, {"Cache-Control", "max-age=60"}},
       0s,
       LifetimeSource::none},
      {"the heuristic does",
       {{"CDN-Cache-Control", "none"}, {"Expires", in_an_hour}, {"Last-Modified", long_ago}},
       1000s,
       LifetimeSource::heuristic},
      {"malformed is stale",
       {{"CDN-Cache-Control", "max-age=60.0"}, {"Cache-Control", "max-age=60"}, {"Last-Modified", long_ago}},
       0s,
       LifetimeSource::max_age},
      {"ignored: Cache-Control",
       {{"CDN-Cache-Control", "max-age=60,"}, {"Cache-Control", "max-age=1"}},
       1s,
       LifetimeSource::max_age},
      {"ignored: Expires", {{"CDN-Cache-Control", ""}, {"Expires", in_an_hour}}, 3600s, LifetimeSource::expires},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const Lifetime life = lifetime(c.fields);
    CHECK(life.freshness_lifetime == c.expected);
    CHECK(to_string(life.source) == to_string(c.source));
  }
  const Fields stale_rules{{"Cache-Control", "must-revalidate, no-cache"},
                           {"CDN-Cache-Control", "max-age=60, stale-while-revalidate=30"}};
  CHECK_FALSE(lifetime(stale_rules).must_revalidate);
  CHECK_FALSE(lifetime(stale_rules).no_cache);
  CHECK(lifetime(stale_rules).stale_while_revalidate == 30s);
}

TEST_CASE("storing goes by the targeted field") {
  struct Case {
    const char* what;
    NotStored expected;
    Fields fields;
    Fields request{};
  };
  const Case cases[] = {
      {"over no-store", NotStored::none, {{"Cache-Control", "no-store"}, {"CDN-Cache-Control", "max-age=60"}}},
      {"over private", NotStored::none, {{"Cache-Control", "private"}, {"CDN-Cache-Control", "max-age=60"}}},
      {"its no-store", NotStored::no_store, {{"Cache-Control", "max-age=60"}, {"CDN-Cache-Control", "no-store"}}},
      {"its private", NotStored::private_response, {{"Cache-Control", "public"}, {"CDN-Cache-Control", "private"}}},
      {"its must-understand",
       NotStored::none,
       {{"Cache-Control", "max-age=60"}, {"CDN-Cache-Control", "no-store, must-understand, max-age=60"}}},
      {"faulty", NotStored::no_store, {{"Cache-Control", "no-store"}, {"CDN-Cache-Control", "max-age=60,"}}},
      {"Authorization and its public",
       NotStored::none,
       {{"CDN-Cache-Control", "public, max-age=60"}},
       {{"Authorization", "x"}}},
      {"Authorization and public elsewhere",
       NotStored::authorization,
       {{"Cache-Control", "public"}, {"CDN-Cache-Control", "max-age=60"}},
       {{"Authorization", "x"}}},
      {"Set-Cookie that it keeps out",
       NotStored::none,
       {{"Set-Cookie", "a=b"}, {"CDN-Cache-Control", "max-age=60, private=\"set-cookie\""}}},
      {"Set-Cookie kept out elsewhere",
       NotStored::set_cookie,
       {{"Set-Cookie", "a=b"},
        {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
        {"Cache-Control", "private=\"set-cookie\""},
        {"CDN-Cache-Control", "must-revalidate"}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(to_string(decide(c.fields, c.request)) == to_string(c.expected));
  }
  const Fields fields{{"X-A", "1"},
                      {"X-B", "2"},
                      {"Cache-Control", "private=\"x-a\""},
                      {"CDN-Cache-Control", "max-age=60, private=\"x-b\""}};
  CHECK(names_of(stored_fields(fields, {})) == "X-A Cache-Control CDN-Cache-Control");
}

TEST_CASE("a 304 is taken by the directives of the freshened response") {
  const Fields stored{{"ETag", "\"a\""}, {"CDN-Cache-Control", "max-age=60, private=\"x-b\""}};
  // The stored field governs where the 304 has none.
  CHECK(names_of(freshen(stored, Fields{{"X-A", "1"}, {"X-B", "2"}, {"Cache-Control", "max-age=1"}})) ==
        "ETag CDN-Cache-Control X-A Cache-Control");
  // The 304's takes its place.
  CHECK(names_of(freshen(stored, Fields{{"X-A", "1"}, {"X-B", "2"}, {"CDN-Cache-Control", "private=\"x-a\""}})) ==
        "ETag CDN-Cache-Control X-B");
  // A faulty one takes its place too, and is ignored.
  CHECK(names_of(freshen(stored,
                         Fields{{"X-A", "1"}, {"CDN-Cache-Control", "private="}, {"Cache-Control", "private=x-a"}})) ==
        "ETag CDN-Cache-Control Cache-Control");
  const auto freshened = freshen(stored, Fields{{"Cache-Control", "max-age=1"}});
  CHECK(compute_freshened_lifetime(200, freshened, {}, {}, now, now).freshness_lifetime == 60s);
}
