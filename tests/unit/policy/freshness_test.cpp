#include "larder/policy/freshness.hpp"

#include <deque>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/http/http_date.hpp"

using namespace larder::policy;
using namespace std::chrono_literals;
using larder::http::Field;
using larder::http::format_http_date;
using Fields = std::vector<Field>;
using Source = LifetimeSource;

namespace {

const TimePoint now = std::chrono::sys_days{std::chrono::year{2025} / 6 / 1} + 12h;

// The views last as long as the program, so that tables may hold them.
std::string_view date(Seconds from_now) {
  static std::deque<std::string> dates;
  return dates.emplace_back(format_http_date(now + from_now));
}

Lifetime lifetime(const Fields& fields, const StoreRule& rule = {}, int status = 200, Clock::duration delay = 0s) {
  larder::http::ResponseHead head;
  head.status = status;
  head.fields = fields;
  return compute_lifetime(head, rule, now - delay, now);
}

StoreRule with_ttl(Seconds ttl, bool override_own = false) {
  StoreRule rule;
  rule.ttl = ttl;
  rule.ttl_override = override_own;
  return rule;
}

}  // namespace

TEST_CASE("the response's own lifetime, and which one wins") {
  struct Case {
    const char* what;
    Fields fields;
    Seconds expected;
    Source source;
  };
  const std::string_view here = date(0s);
  const std::string_view minute = date(60s);
  const std::string_view past = date(-60s);
  const Case cases[] = {
      {"nothing", {{"Date", here}}, 0s, Source::none},
      {"max-age", {{"Cache-Control", "max-age=60"}}, 60s, Source::max_age},
      {"max-age=0", {{"Cache-Control", "max-age=0"}}, 0s, Source::max_age},
      {"max-age over Expires", {{"Expires", date(3600s)}, {"Cache-Control", "max-age=0"}}, 0s, Source::max_age},
      {"s-maxage over max-age", {{"Cache-Control", "max-age=3600, s-maxage=1"}}, 1s, Source::s_maxage},
      {"longer s-maxage", {{"Cache-Control", "s-maxage=3600, max-age=1"}}, 3600s, Source::s_maxage},
      {"bad s-maxage is stale", {{"Cache-Control", "s-maxage=x, max-age=60"}}, 0s, Source::s_maxage},
      {"bad max-age hides Expires", {{"Cache-Control", "max-age=x"}, {"Expires", minute}}, 0s, Source::max_age},
      {"negative", {{"Cache-Control", "max-age=-60"}}, 0s, Source::max_age},
      {"Expires", {{"Date", here}, {"Expires", minute}}, 60s, Source::expires},
      {"Expires without Date", {{"Expires", minute}}, 60s, Source::expires},
      {"Expires with a bad Date", {{"Date", "x"}, {"Expires", minute}}, 60s, Source::expires},
      {"Expires counts from Date", {{"Date", past}, {"Expires", minute}}, 120s, Source::expires},
      {"Expires and a Date ahead", {{"Date", date(30s)}, {"Expires", minute}}, 30s, Source::expires},
      {"Expires in the past", {{"Date", here}, {"Expires", past}}, 0s, Source::expires},
      {"Expires is Date", {{"Date", here}, {"Expires", here}}, 0s, Source::expires},
      {"Expires: 0", {{"Expires", "0"}}, 0s, Source::expires},
      {"Expires: -1", {{"Expires", "-1"}}, 0s, Source::expires},
      {"empty Expires", {{"Expires", ""}}, 0s, Source::expires},
      {"two Expires", {{"Expires", minute}, {"Expires", date(90s)}}, 0s, Source::expires},
      {"the same Expires twice", {{"Expires", minute}, {"Expires", minute}}, 60s, Source::expires},
      {"far future", {{"Expires", "Fri, 31 Dec 9999 23:59:59 GMT"}}, Seconds{1LL << 31}, Source::expires},
      {"ancient", {{"Expires", "Mon, 01 Jan 0001 00:00:00 GMT"}}, 0s, Source::expires},
      {"two-digit year", {{"Date", here}, {"Expires", "Sunday, 01-Jun-25 12:01:00 GMT"}}, 60s, Source::expires},
      {"local time", {{"Expires", "Sun, 01 Jun 2025 12:01:00 EST"}}, 0s, Source::expires},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const auto life = lifetime(c.fields);
    CHECK(life.freshness_lifetime.count() == c.expected.count());
    CHECK(life.source == c.source);
  }
}

TEST_CASE("Age") {
  struct Case {
    std::vector<std::string_view> lines;
    long expected;
  };
  const Case cases[] = {
      {{}, 0},         {{"60"}, 60},     {{"0"}, 0},
      {{"0060"}, 60},  {{"60, 0"}, 60},  {{"60", "0"}, 60},
      {{"0, 60"}, 0},  {{"", "60"}, 60}, {{"99999999999999999999999"}, 2147483648},
      {{"-60"}, 0},    {{"+60"}, 0},     {{"60.0"}, 0},
      {{"60s"}, 0},    {{"a60"}, 0},     {{"6 0"}, 0},
      {{"60;x=y"}, 0}, {{"\"60\""}, 0},  {{"x, 60"}, 0},
  };
  for (const Case& c : cases) {
    Fields fields;
    for (const auto line : c.lines) fields.push_back({"Age", line});
    CAPTURE(larder::http::combined(fields, "Age").value_or("(none)"));
    CHECK(parse_age(fields).count() == c.expected);
  }
}

TEST_CASE("corrected_initial_age") {
  const std::string_view ten_ago = date(-10s);
  const std::string_view ahead = date(3600s);
  CHECK(lifetime({}).corrected_initial_age == 0s);
  CHECK(lifetime({{"Date", ten_ago}}).corrected_initial_age == 10s);
  CHECK(lifetime({{"Date", ten_ago}, {"Age", "5"}}).corrected_initial_age == 10s);
  CHECK(lifetime({{"Date", ten_ago}, {"Age", "50"}}).corrected_initial_age == 50s);
  CHECK(lifetime({{"Date", ahead}}).corrected_initial_age == 0s);
  CHECK(lifetime({{"Date", ahead}, {"Age", "7"}}).corrected_initial_age == 7s);
  CHECK(lifetime({{"Date", "junk"}}).corrected_initial_age == 0s);
  CHECK(lifetime({{"Age", "5"}}, {}, 200, 3s).corrected_initial_age == 8s);
  CHECK(lifetime({}, {}, 200, 900ms).corrected_initial_age == 0s);
  CHECK(lifetime({}, {}, 200, -5s).corrected_initial_age == 0s);
  CHECK(lifetime({{"Date", "Mon, 01 Jan 0001 00:00:00 GMT"}}).corrected_initial_age > 100 * 365 * 24h);
}

TEST_CASE("current age, freshness and staleness go by the clock that is handed in") {
  const auto life = lifetime({{"Cache-Control", "max-age=60"}, {"Age", "10"}});
  CHECK(life.current_age(now) == 10s);
  CHECK(life.current_age(now + 999ms) == 10s);
  CHECK(life.current_age(now + 1s) == 11s);
  CHECK(life.current_age(now - 1h) == 10s);  // the clock was set back
  CHECK(life.is_fresh(now + 49s));
  CHECK_FALSE(life.is_fresh(now + 50s));
  CHECK(life.staleness(now + 49s) == -1s);
  CHECK(life.staleness(now + 55s) == 5s);
  CHECK_FALSE(lifetime({}).is_fresh(now));
  Lifetime damaged;
  damaged.response_time = TimePoint::min();
  CHECK(damaged.current_age(TimePoint::max()) > 0s);
}

TEST_CASE("heuristic freshness") {
  struct Case {
    const char* what;
    Fields fields;
    int status;
    Seconds expected;
  };
  const std::string_view here = date(0s);
  const std::string_view old = date(-1000s);
  const Case cases[] = {
      {"a tenth", {{"Date", here}, {"Last-Modified", old}}, 200, 100s},
      {"no Date", {{"Last-Modified", old}}, 200, 100s},
      {"a Date ahead does not lengthen it", {{"Date", date(5000s)}, {"Last-Modified", old}}, 200, 100s},
      {"bounded", {{"Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"}}, 200, heuristic_limit},
      {"in the future", {{"Last-Modified", date(1000s)}}, 200, 0s},
      {"just now", {{"Last-Modified", date(-5s)}}, 200, 0s},
      {"junk", {{"Last-Modified", "yesterday"}}, 200, 0s},
      {"two", {{"Last-Modified", old}, {"Last-Modified", date(-2000s)}}, 200, 0s},
      {"explicit wins", {{"Last-Modified", old}, {"Cache-Control", "max-age=1"}}, 200, 1s},
      {"bad explicit wins", {{"Last-Modified", old}, {"Cache-Control", "max-age=x"}}, 200, 0s},
      {"bad Expires wins", {{"Last-Modified", old}, {"Expires", "0"}}, 200, 0s},
      {"203", {{"Last-Modified", old}}, 203, 100s},
      {"204", {{"Last-Modified", old}}, 204, 100s},
      {"300", {{"Last-Modified", old}}, 300, 100s},
      {"301", {{"Last-Modified", old}}, 301, 100s},
      {"308", {{"Last-Modified", old}}, 308, 100s},
      {"404", {{"Last-Modified", old}}, 404, 100s},
      {"405", {{"Last-Modified", old}}, 405, 100s},
      {"410", {{"Last-Modified", old}}, 410, 100s},
      {"414", {{"Last-Modified", old}}, 414, 100s},
      {"501", {{"Last-Modified", old}}, 501, 100s},
      {"201", {{"Last-Modified", old}}, 201, 0s},
      {"302", {{"Last-Modified", old}}, 302, 0s},
      {"403", {{"Last-Modified", old}}, 403, 0s},
      {"500", {{"Last-Modified", old}}, 500, 0s},
      {"599", {{"Last-Modified", old}}, 599, 0s},
      {"599 public", {{"Last-Modified", old}, {"Cache-Control", "public"}}, 599, 100s},
      {"403 public", {{"Last-Modified", old}, {"Cache-Control", "public"}}, 403, 100s},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(lifetime(c.fields, {}, c.status).freshness_lifetime.count() == c.expected.count());
  }
}

TEST_CASE("lifetimes of the rule") {
  const Fields own{{"Cache-Control", "max-age=60"}};
  const std::string_view old = date(-1000s);
  CHECK(lifetime({}, with_ttl(300s)).freshness_lifetime == 300s);
  CHECK(lifetime({}, with_ttl(300s)).source == Source::rule);
  CHECK(lifetime(own, with_ttl(300s)).freshness_lifetime == 60s);
  CHECK(lifetime({{"Cache-Control", "max-age=0"}}, with_ttl(300s)).freshness_lifetime == 0s);
  CHECK(lifetime({{"Expires", "0"}}, with_ttl(300s)).source == Source::expires);
  CHECK(lifetime({{"Last-Modified", old}}, with_ttl(300s)).source == Source::rule);
  CHECK(lifetime({}, with_ttl(300s), 301).source == Source::rule);
  for (const int status : {201, 302, 307, 404, 410, 500, 501, 503}) {
    CAPTURE(status);
    CHECK(lifetime({}, with_ttl(300s), status).source == Source::none);
    CHECK(lifetime({{"Last-Modified", old}}, with_ttl(300s), status).source == Source::none);
    CHECK(lifetime(own, with_ttl(300s, true), status).source == Source::max_age);
  }

  const auto overridden = lifetime({{"Cache-Control", "s-maxage=60, no-cache"}}, with_ttl(300s, true));
  CHECK(overridden.freshness_lifetime == 300s);
  CHECK(overridden.source == Source::rule_override);
  CHECK_FALSE(overridden.no_cache);
  CHECK_FALSE(overridden.must_revalidate);
  CHECK(lifetime({{"Cache-Control", "must-revalidate"}}, with_ttl(300s, true)).must_revalidate);

  StoreRule negative = with_ttl(300s);
  negative.status_ttl[404] = 30s;
  CHECK(lifetime({}, negative, 404).freshness_lifetime == 30s);
  CHECK(lifetime({}, negative, 404).source == Source::rule_status);
  CHECK(lifetime(own, negative, 404).freshness_lifetime == 60s);
  CHECK(lifetime({}, negative, 410).source == Source::none);
  negative.ttl_override = true;
  CHECK(lifetime(own, negative, 404).freshness_lifetime == 30s);
  negative.ttl = Seconds{-5};
  CHECK(lifetime({}, negative).freshness_lifetime == 0s);
}

TEST_CASE("stale allowances and what forbids them") {
  StoreRule rule;
  rule.stale_while_revalidate = 10s;
  rule.stale_if_error = 20s;
  auto life = lifetime({{"Cache-Control", "max-age=60"}}, rule);
  CHECK(life.stale_while_revalidate == 10s);
  CHECK(life.stale_if_error == 20s);
  life = lifetime({{"Cache-Control", "max-age=60, stale-while-revalidate=1, stale-if-error=x"}}, rule);
  CHECK(life.stale_while_revalidate == 1s);
  CHECK(life.stale_if_error == 0s);
  for (const auto forbids : {"must-revalidate", "proxy-revalidate", "s-maxage=5", "s-maxage=x", "no-cache"}) {
    CAPTURE(forbids);
    const std::string value = std::string("max-age=60, stale-while-revalidate=9, ") + forbids;
    life = lifetime({{"Cache-Control", value}}, rule);
    CHECK((life.must_revalidate || life.no_cache));
    CHECK(life.stale_while_revalidate == 0s);
    CHECK(life.stale_if_error == 0s);
  }
  CHECK_FALSE(lifetime({{"Cache-Control", "max-age=60, no-cache=\"x\""}}).no_cache);
}

TEST_CASE("retention covers every use and is bounded") {
  Lifetime life;
  CHECK(life.retention(false) == 0s);
  CHECK(life.retention(true) == 10min);
  life.freshness_lifetime = 300s;
  life.corrected_initial_age = 100s;
  CHECK(life.retention(false) == 260s);
  CHECK(life.retention(true) == 800s);
  life.stale_if_error = 3600s;
  CHECK(life.retention(false) == 3800s);
  life.must_revalidate = true;
  CHECK(life.retention(false) == 200s);
  life.corrected_initial_age = 1000s;
  CHECK(life.retention(false) == 0s);
  life.freshness_lifetime = Seconds{1LL << 31};
  CHECK(life.retention(true).count() <= (1LL << 31));
}

TEST_CASE("sources have names") {
  for (int i = 0; i <= static_cast<int>(Source::none); ++i) CHECK_FALSE(to_string(static_cast<Source>(i)).empty());
}

TEST_CASE("initial_age: each step of RFC 9111 §4.2.3") {
  const Fields fields{{"Date", date(-20s)}, {"Age", "15"}};
  const auto age = initial_age(fields, now - 10s, now);
  CHECK(age.date_value == now - 20s);
  CHECK(age.age_value == 15s);
  CHECK(age.apparent_age == 20s);
  CHECK(age.response_delay == 10s);
  CHECK(age.corrected_age_value == 25s);
  CHECK(age.corrected_initial_age == 25s);
  larder::http::ResponseHead response;
  response.status = 200;
  response.fields = fields;
  CHECK(compute_lifetime(response, {}, now - 10s, now).corrected_initial_age == 25s);
  const auto none = initial_age({}, now, now);
  CHECK_FALSE(none.date_value);
  CHECK(none.apparent_age == 0s);
  CHECK(none.corrected_initial_age == 0s);
  Lifetime life;
  life.response_time = now;
  CHECK(life.resident_time(now + 1999ms) == 1s);
  CHECK(life.resident_time(now - 5s) == 0s);
}
