#include "larder/policy/storable.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/http/http_date.hpp"

using namespace larder::policy;
using namespace std::chrono_literals;
using larder::http::Field;
using Fields = std::vector<Field>;

namespace {

const TimePoint now = std::chrono::sys_days{std::chrono::year{2025} / 6 / 1};

struct Exchange {
  const char* what;
  NotStored expected;
  Fields response{};
  int status = 200;
  Fields request{};
  std::string_view method = "GET";
};

NotStored decide(const Exchange& exchange, const StoreRule& rule = {}) {
  larder::http::RequestHead request;
  request.method = exchange.method;
  request.target = "/";
  request.fields = exchange.request;
  larder::http::ResponseHead response;
  response.status = exchange.status;
  response.fields = exchange.response;
  return storable(request, response, rule, compute_lifetime(response, rule, now, now));
}

void check(std::initializer_list<Exchange> exchanges, const StoreRule& rule = {}) {
  for (const Exchange& exchange : exchanges) {
    CAPTURE(exchange.what);
    CAPTURE(exchange.status);
    CHECK(to_string(decide(exchange, rule)) == to_string(exchange.expected));
  }
}

const Field fresh{"Cache-Control", "max-age=60"};
const std::string old_date = larder::http::format_http_date(now - 1000s);

std::vector<std::string> kept(const Fields& fields, const StoreRule& rule = {}) {
  std::vector<std::string> lines;
  const auto list = stored_fields(fields, rule);
  for (const Field& field : list.span()) lines.push_back(std::string(field.name) + ": " + std::string(field.value));
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("methods, request directives and interim answers") {
  check({
      {"GET", NotStored::none, {fresh}},
      {"HEAD", NotStored::none, {fresh}, 200, {}, "HEAD"},
      {"QUERY", NotStored::none, {fresh}, 200, {}, "QUERY"},
      {"POST", NotStored::method, {fresh}, 200, {}, "POST"},
      {"POST, its target", NotStored::none, {fresh, {"Content-Location", "/"}}, 200, {}, "POST"},
      {"POST, another target", NotStored::method, {fresh, {"Content-Location", "/a"}}, 200, {}, "POST"},
      {"POST, another origin", NotStored::method, {fresh, {"Content-Location", "http://b/"}}, 200, {}, "POST"},
      {"POST, two targets",
       NotStored::method,
       {fresh, {"Content-Location", "/"}, {"Content-Location", "/"}},
       200,
       {},
       "POST"},
      {"POST, heuristic lifetime",
       NotStored::method,
       {{"Last-Modified", old_date}, {"Content-Location", "/"}},
       200,
       {},
       "POST"},
      {"PUT, its target", NotStored::method, {fresh, {"Content-Location", "/"}}, 200, {}, "PUT"},
      {"get", NotStored::method, {fresh}, 200, {}, "get"},
      {"upgraded", NotStored::upgrade, {fresh}, 101},
      {"interim", NotStored::status, {fresh}, 103},
      {"beyond the codes", NotStored::status, {fresh}, 600},
      {"no code", NotStored::status, {fresh}, 0},
      {"request no-store", NotStored::request_no_store, {fresh}, 200, {{"Cache-Control", "no-store"}}},
      {"request no-cache", NotStored::none, {fresh}, 200, {{"Cache-Control", "no-cache"}}},
  });
  StoreRule ignoring;
  ignoring.honour_client_directives = false;
  check({{"ignored", NotStored::none, {fresh}, 200, {{"Cache-Control", "no-store"}}}}, ignoring);
}

TEST_CASE("every final status with an explicit lifetime") {
  for (const int status : {200, 201, 202, 203, 204, 299, 300, 301, 302, 303, 307, 308, 399, 400,
                           401, 403, 404, 410, 412, 416, 417, 451, 499, 500, 502, 503, 504, 599}) {
    check({{"max-age", NotStored::none, {fresh}, status}});
    check({{"s-maxage", NotStored::none, {{"Cache-Control", "s-maxage=60"}}, status}});
    check({{"Expires", NotStored::none, {{"Expires", "Mon, 01 Jan 2035 00:00:00 GMT"}}, status}});
  }
}

TEST_CASE("statuses that RFC 6585 forbids to store") {
  for (const int status : {428, 429, 431, 511}) {
    check({{"max-age", NotStored::status, {fresh}, status}});
    StoreRule rule;
    rule.status_ttl[status] = 5s;
    check({{"unless the rule says so", NotStored::none, {fresh}, status}}, rule);
  }
}

TEST_CASE("what is stale on arrival may still be wanted by who accepts stale answers") {
  check({{"older than its lifetime", NotStored::none, {fresh, {"Age", "100"}}},
         {"no lifetime", NotStored::no_lifetime, {{"Cache-Control", "max-age=0"}}},
         {"expired", NotStored::no_lifetime, {{"Expires", "0"}}},
         {"nobody may have it stale",
          NotStored::no_lifetime,
          {{"Cache-Control", "max-age=60, must-revalidate"}, {"Age", "100"}}}});
  StoreRule ignoring;
  ignoring.honour_client_directives = false;
  check({{"nobody is heard", NotStored::no_lifetime, {fresh, {"Age", "100"}}}}, ignoring);
}

TEST_CASE("statuses without a lifetime") {
  const Field modified{"Last-Modified", old_date};
  for (const int status : {200, 203, 204}) {
    check({{"heuristic", NotStored::none, {modified}, status},
           {"validator", NotStored::none, {{"ETag", "\"a\""}}, status},
           {"nothing", NotStored::no_freshness_nor_validator, {}, status}});
  }
  for (const int status : {300, 301, 308, 404, 405, 410, 414, 501}) {
    check({{"heuristic", NotStored::none, {modified}, status},
           {"a tag is of no use", NotStored::status, {{"ETag", "\"a\""}}, status},
           {"nothing", NotStored::status, {}, status}});
  }
  for (const int status : {201, 202, 299, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599}) {
    check({{"heuristic", NotStored::status, {modified}, status}, {"nothing", NotStored::status, {}, status}});
    check({{"public", NotStored::none, {modified, {"Cache-Control", "public"}}, status}});
  }
}

TEST_CASE("errors under a rule with a ttl") {
  StoreRule rule;
  rule.ttl = 300s;
  rule.status_ttl[404] = 30s;
  check(
      {
          {"success", NotStored::none},
          {"redirect", NotStored::none, {}, 301},
          {"status map", NotStored::none, {}, 404},
          {"other error", NotStored::status, {}, 410},
          {"other error, old", NotStored::status, {{"Last-Modified", old_date}}, 410},
          {"server error", NotStored::status, {}, 500},
          {"server error with its own lifetime", NotStored::none, {fresh}, 500},
          {"own max-age=0", NotStored::no_lifetime, {{"Cache-Control", "max-age=0"}}},
          {"own max-age=0 with a tag", NotStored::none, {{"Cache-Control", "max-age=0"}, {"ETag", "\"a\""}}},
      },
      rule);
}

TEST_CASE("parts and answers to one request alone") {
  const Fields range{{"Range", "bytes=0-1"}};
  check({
      {"206 without Content-Range", NotStored::partial_content, {fresh}, 206, range},
      {"206", NotStored::none, {fresh, {"Content-Range", "bytes 0-4/10"}}, 206, range},
      {"206 of unknown length", NotStored::none, {fresh, {"Content-Range", "bytes 0-4/*"}}, 206, range},
      {"206 of lines", NotStored::partial_content, {fresh, {"Content-Range", "lines 0-4/10"}}, 206, range},
      {"206 of nothing", NotStored::partial_content, {fresh, {"Content-Range", "bytes */10"}}, 206, range},
      {"206 no-store",
       NotStored::no_store,
       {{"Cache-Control", "no-store"}, {"Content-Range", "bytes 0-4/10"}},
       206,
       range},
      {"206 unasked", NotStored::partial_content, {fresh, {"Content-Range", "bytes 0-4/10"}}, 206},
      {"Content-Range on 200", NotStored::partial_content, {fresh, {"Content-Range", "bytes 0-1/2"}}},
      {"whole in answer to a range", NotStored::none, {fresh}, 200, range},
      {"416", NotStored::range_request, {fresh}, 416, range},
      {"404 to a range", NotStored::range_request, {fresh}, 404, range},
      {"304", NotStored::status, {fresh}, 304, {{"If-None-Match", "*"}}},
      {"304 unasked", NotStored::status, {fresh}, 304},
      {"412", NotStored::status, {fresh}, 412, {{"If-Match", "*"}}},
      {"417", NotStored::status, {fresh}, 417, {{"Expect", "x"}}},
      {"226", NotStored::status, {fresh}, 226},
  });
}

TEST_CASE("response directives") {
  check({
      {"no-store", NotStored::no_store, {{"Cache-Control", "max-age=60, no-store"}}},
      {"no-store in another line", NotStored::no_store, {fresh, {"cache-control", "x, NO-STORE"}}},
      {"no-store behind an open quote", NotStored::no_store, {{"Cache-Control", "x=\"y, no-store"}}},
      {"private", NotStored::private_response, {{"Cache-Control", "private, max-age=60"}}},
      {"private with fields", NotStored::none, {{"Cache-Control", "private=\"x\", max-age=60"}}},
      {"private with junk", NotStored::private_response, {{"Cache-Control", "private=\"x y\", max-age=60"}}},
      {"must-understand", NotStored::none, {{"Cache-Control", "max-age=60, no-store, must-understand"}}},
      {"must-understand, unknown", NotStored::must_understand, {{"Cache-Control", "max-age=60, must-understand"}}, 599},
      {"must-understand with junk",
       NotStored::no_store,
       {{"Cache-Control", "max-age=60, no-store, must-understand=0"}}},
      {"no-cache", NotStored::no_freshness_nor_validator, {{"Cache-Control", "no-cache, max-age=60"}}},
      {"no-cache and a tag", NotStored::none, {{"Cache-Control", "no-cache"}, {"ETag", "\"a\""}}},
      {"no-cache and a date", NotStored::none, {{"Cache-Control", "no-cache"}, {"Last-Modified", old_date}}},
      {"Pragma is nothing in a response", NotStored::none, {fresh, {"Pragma", "no-cache"}}},
      {"Vary: *", NotStored::vary_star, {fresh, {"Vary", "accept, *"}}},
      {"stale at once", NotStored::no_lifetime, {{"Cache-Control", "max-age=60, proxy-revalidate"}, {"Age", "60"}}},
      {"stale at once, with an allowance",
       NotStored::none,
       {{"Cache-Control", "max-age=60, stale-if-error=5"}, {"Age", "60"}}},
      {"allowance used up", NotStored::no_lifetime, {{"Cache-Control", "max-age=0, stale-if-error=5"}, {"Age", "65"}}},
      {"negative max-age", NotStored::no_lifetime, {{"Cache-Control", "max-age=-1"}}},
  });
}

TEST_CASE("Set-Cookie") {
  check({
      {"explicit lifetime", NotStored::none, {fresh, {"Set-Cookie", "a=b"}}},
      {"heuristic lifetime", NotStored::set_cookie, {{"Last-Modified", old_date}, {"Set-Cookie", "a=b"}}},
      {"old, heuristic lifetime", NotStored::set_cookie, {{"Last-Modified", old_date}, {"Set-Cookie2", "a=b"}}},
      {"kept out by no-cache",
       NotStored::none,
       {{"Cache-Control", "max-age=60, no-cache=\"Set-Cookie\""}, {"Set-Cookie", "a=b"}}},
      {"kept out by private",
       NotStored::none,
       {{"Cache-Control", "max-age=60, private=\"Set-Cookie\""}, {"Set-Cookie", "a=b"}}},
  });
}

TEST_CASE("Set-Cookie keeps an answer from being stored under a ttl, or where the rules refuse it") {
  StoreRule with_ttl;
  with_ttl.ttl = 60s;
  check({{"ttl", NotStored::set_cookie, {fresh, {"Set-Cookie", "a=b"}}}}, with_ttl);
  StoreRule refusing;
  refusing.store_explicit_set_cookie = false;
  check({{"refused", NotStored::set_cookie, {fresh, {"Set-Cookie", "a=b"}}},
         {"refused, old", NotStored::set_cookie, {fresh, {"Set-Cookie2", "a=b"}}}},
        refusing);
}

TEST_CASE("Authorization") {
  const Fields authorized{{"Authorization", "Bearer x"}};
  const auto with = [](std::string_view value) { return Fields{{"Cache-Control", value}}; };
  check({
      {"plain", NotStored::authorization, {fresh}, 200, authorized},
      {"public", NotStored::none, with("max-age=60, public"), 200, authorized},
      {"s-maxage", NotStored::none, with("s-maxage=60"), 200, authorized},
      {"must-revalidate", NotStored::none, with("max-age=60, must-revalidate"), 200, authorized},
      {"proxy-revalidate is none of them", NotStored::authorization, with("max-age=60, proxy-revalidate"), 200,
       authorized},
      {"public with junk", NotStored::authorization, with("max-age=60, public=x"), 200, authorized},
  });
  StoreRule identity;
  identity.per_identity = true;
  check({{"own entry", NotStored::none, {fresh}, 200, authorized}}, identity);
}

TEST_CASE("store_despite switches off single refusals") {
  struct Case {
    bool StoreRule::*leave;
    Exchange refused;
  };
  const Case cases[] = {
      {&StoreRule::store_despite_no_store,
       {"no-store", NotStored::no_store, {{"Cache-Control", "no-store, max-age=60"}}}},
      {&StoreRule::store_despite_private,
       {"private", NotStored::private_response, {{"Cache-Control", "private, max-age=60"}}}},
      {&StoreRule::store_despite_set_cookie,
       {"cookie", NotStored::set_cookie, {{"Last-Modified", old_date}, {"Set-Cookie", "a=b"}}}},
      {&StoreRule::store_despite_authorization,
       {"authorization", NotStored::authorization, {fresh}, 200, {{"Authorization", "x"}}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.refused.what);
    CHECK(decide(c.refused) == c.refused.expected);
    for (const Case& other : cases) {
      StoreRule rule;
      rule.*other.leave = true;
      CHECK(decide(c.refused, rule) == (c.leave == other.leave ? NotStored::none : c.refused.expected));
    }
    StoreRule overriding;
    overriding.ttl = 300s;
    overriding.ttl_override = true;
    CHECK(decide(c.refused, overriding) == c.refused.expected);
  }
}

TEST_CASE("fields that are kept") {
  CHECK(kept({{"Content-Type", "text/plain"},
              {"content-length", "5"},
              {"Date", "x"},
              {"AGE", "5"},
              {"Connection", "close, X-Hop, ETag"},
              {"X-Hop", "1"},
              {"ETag", "\"a\""},
              {"Keep-Alive", "timeout=5"},
              {"Transfer-Encoding", "chunked"},
              {"Trailer", "X-T"},
              {"Proxy-Authenticate", "x"},
              {"X-Cache", "HIT"},
              {"X-Cache-Key", "k"},
              {"Via", "1.1 x"},
              {"link", "a"},
              {"Link", "b"}}) == Lines{"Content-Type: text/plain", "Date: x", "Via: 1.1 x", "link: a", "Link: b"});
  const Fields lists{{"Cache-Control", "no-cache=\"A\", private=\"b, c\""}, {"a", "1"}, {"B", "2"}, {"D", "3"}};
  CHECK(kept(lists) == Lines{"Cache-Control: no-cache=\"A\", private=\"b, c\"", "D: 3"});
  StoreRule despite;
  despite.store_despite_private = true;
  CHECK(kept(lists, despite) == Lines{"Cache-Control: no-cache=\"A\", private=\"b, c\"", "B: 2", "D: 3"});
  CHECK(kept({}).empty());
}

TEST_CASE("understood statuses") {
  for (const int status : {200, 204, 301, 404, 451, 503, 511}) CHECK(is_understood(status));
  for (const int status : {0, 100, 226, 299, 304, 306, 418, 499, 599, 1000}) CHECK_FALSE(is_understood(status));
}

TEST_CASE("a body that is larger than what may be stored") {
  larder::http::RequestHead request;
  request.method = "GET";
  request.target = "/";
  larder::http::ResponseHead response;
  response.status = 200;
  const Fields fields{fresh};
  response.fields = fields;
  const auto lifetime = compute_lifetime(response, {}, now, now);
  CHECK(storable(request, response, {}, lifetime, 100, 100) == NotStored::none);
  CHECK(storable(request, response, {}, lifetime, 101, 100) == NotStored::too_large);
  CHECK(storable(request, response, {}, lifetime, std::nullopt, 100) == NotStored::none);
  response.status = 500;
  CHECK(storable(request, response, {}, compute_lifetime(response, {}, now, now), 101, 100) != NotStored::none);
  request.method = "PUT";
  CHECK(storable(request, response, {}, lifetime, 101, 100) == NotStored::method);
}
