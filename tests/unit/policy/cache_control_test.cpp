#include "larder/policy/cache_control.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::policy;
using larder::http::Field;
using Fields = std::vector<Field>;

namespace {

ResponseCacheControl response(std::initializer_list<std::string_view> lines) {
  Fields fields;
  for (const auto line : lines) fields.push_back({"cache-CONTROL", line});
  return parse_response_cache_control(fields);
}

RequestCacheControl request(std::initializer_list<std::string_view> lines) {
  Fields fields;
  for (const auto line : lines) fields.push_back({"Cache-Control", line});
  return parse_request_cache_control(fields);
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("max-age in every odd form") {
  struct Case {
    std::string_view value;
    bool present, valid;
    long seconds;
  };
  const Case cases[] = {
      {"max-age=60", true, true, 60},
      {"MAX-Age=60", true, true, 60},
      {"max-age=0", true, true, 0},
      {"max-age=00060", true, true, 60},
      {"max-age=\"60\"", true, true, 60},
      {"a, max-age=60 , b=c", true, true, 60},
      {",,max-age=60,", true, true, 60},
      {"max-age=2147483647", true, true, 2147483647},
      {"max-age=2147483648", true, true, 2147483648},
      {"max-age=2147483649", true, true, 2147483648},
      {"max-age=99999999999999999999999999999999999999", true, true, 2147483648},
      {"max-age=60, max-age=60", true, true, 60},
      {"max-age=60, max-age=0060", true, true, 60},
      // Present and malformed, or contradicting itself: stale, never fresher.
      {"max-age=60, max-age=0", true, false, 0},
      {"max-age=0, max-age=60", true, false, 0},
      {"max-age=60, max-age=x", true, false, 0},
      {"max-age=x, max-age=60", true, false, 0},
      {"max-age=60, max-age=61, max-age=61", true, false, 0},
      {"max-age", true, false, 0},
      {"max-age=", true, false, 0},
      {"max-age=\"\"", true, false, 0},
      {"max-age=-60", true, false, 0},
      {"max-age=+60", true, false, 0},
      {"max-age=60.0", true, false, 0},
      {"max-age=0.5", true, false, 0},
      {"max-age=6e1", true, false, 0},
      {"max-age=0x60", true, false, 0},
      {"max-age=60s", true, false, 0},
      {"max-age=s60", true, false, 0},
      {"max-age=6 0", true, false, 0},
      {"max-age=60 foo", true, false, 0},
      {"max-age =60", true, false, 0},
      {"max-age= 60", true, false, 0},
      {"max-age:60", true, false, 0},
      {"max-age=60;", true, false, 0},
      {"max-age='60'", true, false, 0},
      {"max-age=\"60", true, false, 0},
      {"max-age=60\"", true, false, 0},
      {"max-age=\"60\"x", true, false, 0},
      {"max-age=\"\\60\"", true, true, 60},
      {"max-age=\"60\\\"", true, false, 0},
      {"max-age=\\60", true, false, 0},
      {"max-age==60", true, false, 0},
      // Not max-age.
      {"", false, false, 0},
      {"x-max-age=60", false, false, 0},
      {"max-age60", false, false, 0},
      {"\"max-age=60\"", false, false, 0},
      {"=max-age=60", false, false, 0},
      {"ext=\"max-age=60\"", false, false, 0},
      {"ext=\"a, max-age=60\"", false, false, 0},
      {"ext=\"a\\\", max-age=60\"", false, false, 0},
      // What stands after a quote that is not closed counts.
      {"ext=\"a, max-age=60", true, false, 0},
      {"max-age=60, ext=\"a", true, true, 60},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    const auto cc = response({c.value});
    CHECK(cc.any);
    CHECK(cc.max_age.present == c.present);
    CHECK(cc.max_age.valid == c.valid);
    CHECK(cc.max_age.value.count() == c.seconds);
    const auto other = request({c.value});
    CHECK(other.max_age.valid == c.valid);
    CHECK(other.max_age.value.count() == c.seconds);
  }
}

TEST_CASE("several lines are one list") {
  const auto cc = response({"max-age=60", "no-transform, s-maxage=5", "", "max-age=60"});
  CHECK(cc.max_age.valid);
  CHECK(cc.s_maxage.value == Seconds{5});
  CHECK(cc.no_transform);
  CHECK_FALSE(response({"max-age=60", "max-age=1"}).max_age.valid);
  CHECK_FALSE(response({}).any);
  CHECK_FALSE(response({"s-maxage=60", "s-maxage=61"}).s_maxage.valid);
}

TEST_CASE("directives that restrict count in any form") {
  CHECK(response({"no-store"}).no_store);
  CHECK(response({"NO-STORE"}).no_store);
  CHECK(response({"no-store=1"}).no_store);
  CHECK(response({"no-store; max-age=60"}).no_store);
  CHECK(response({"ext=\"x, no-store"}).no_store);
  CHECK_FALSE(response({"\"no-store\""}).no_store);
  CHECK_FALSE(response({"no-stores"}).no_store);
  CHECK_FALSE(response({"ext=\"no-store\""}).no_store);
  CHECK_FALSE(response({"ext=\", no-store\""}).no_store);
  CHECK(response({"must-revalidate=\"x\""}).must_revalidate);
  CHECK(response({"Proxy-Revalidate"}).proxy_revalidate);
}

TEST_CASE("directives that permit count in their plain form only") {
  CHECK(response({"public"}).is_public);
  CHECK(response({"Public, x"}).is_public);
  CHECK_FALSE(response({"public=x"}).is_public);
  CHECK_FALSE(response({"public;x"}).is_public);
  CHECK(response({"immutable"}).immutable);
  CHECK_FALSE(response({"immutable=1"}).immutable);
  CHECK(response({"must-understand, no-store"}).must_understand);
  CHECK_FALSE(response({"must-understand=0"}).must_understand);
}

TEST_CASE("no-cache and private with field names") {
  struct Case {
    std::string_view argument;  // after "no-cache" and "private"
    bool unqualified;
    Names names;
  };
  const Case cases[] = {
      {"", true, {}},
      {"=\"Set-Cookie\"", false, {"set-cookie"}},
      {"=\"A, b ,\tC,\"", false, {"a", "b", "c"}},
      {"=set-cookie", false, {"set-cookie"}},
      {"=\"\"", true, {}},
      {"=\" , \"", true, {}},
      {"=", true, {}},
      {"=\"a b\"", true, {}},
      {"=\"a;b\"", true, {}},
      {"=\"a\\b\"", true, {}},
      {"=\"a", true, {}},
      {" =\"a\"", true, {}},
      {"= \"a\"", true, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.argument);
    const auto no_cache = response({std::string("no-cache").append(c.argument)});
    CHECK(no_cache.no_cache == c.unqualified);
    CHECK(no_cache.no_cache_fields == c.names);
    const auto priv = response({std::string("Private").append(c.argument)});
    CHECK(priv.is_private == c.unqualified);
    CHECK(priv.private_fields == c.names);
  }
  const auto both = response({"private=\"a\", private, private=\"b\""});
  CHECK(both.is_private);
  CHECK(both.private_fields == Names{"a", "b"});
}

TEST_CASE("stale allowances") {
  const auto cc = response({"stale-while-revalidate=10, stale-if-error=x"});
  CHECK(cc.stale_while_revalidate.value == Seconds{10});
  CHECK(cc.stale_if_error.present);
  CHECK_FALSE(cc.stale_if_error.valid);
}

TEST_CASE("request directives") {
  const auto cc = request({"no-cache, NO-STORE", "only-if-cached, max-stale=5, min-fresh=6, stale-if-error=7"});
  CHECK(cc.no_cache);
  CHECK(cc.no_store);
  CHECK(cc.only_if_cached);
  CHECK(cc.max_stale.value == Seconds{5});
  CHECK_FALSE(cc.max_stale_any);
  CHECK(cc.min_fresh.value == Seconds{6});
  CHECK(cc.stale_if_error.value == Seconds{7});

  CHECK(request({"max-stale"}).max_stale_any);
  CHECK_FALSE(request({"max-stale, max-stale=5"}).max_stale_any);
  for (const auto junk : {"max-stale=", "max-stale;", "max-stale=x", "max-stale =5", "max-stale=-1"}) {
    CAPTURE(junk);
    const auto bad = request({junk});
    CHECK_FALSE(bad.max_stale_any);
    CHECK_FALSE(bad.max_stale.valid);
  }
}

TEST_CASE("Pragma stands in for a missing Cache-Control only") {
  CHECK(parse_request_cache_control(Fields{{"Pragma", "No-Cache"}}).no_cache);
  CHECK(parse_request_cache_control(Fields{{"Pragma", "x, no-cache"}}).no_cache);
  CHECK_FALSE(parse_request_cache_control(Fields{{"Pragma", "x"}}).no_cache);
  CHECK_FALSE(parse_request_cache_control(Fields{{"Pragma", "no-cache"}, {"Cache-Control", "max-age=1"}}).no_cache);
  CHECK_FALSE(parse_response_cache_control(Fields{{"Pragma", "no-cache"}}).no_cache);
}

TEST_CASE("hostile values end") {
  CHECK(response({std::string(300'000, '"')}).any);
  CHECK(response({std::string(300'000, ',')}).any);
  CHECK(response({"private=\"" + std::string(300'000, ',') + "\""}).is_private);
  CHECK(response({std::string(300'000, '=')}).any);
  CHECK(response({"max-age=" + std::string(300'000, '9')}).max_age.value.count() == 2147483648);
}
