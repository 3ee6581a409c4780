#include "larder/policy/reuse.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::policy;
using namespace std::chrono_literals;
using larder::http::Field;

namespace {

const TimePoint stored_at = std::chrono::sys_days{std::chrono::year{2025} / 6 / 1};

RequestCacheControl client(std::string_view value) {
  const std::vector<Field> fields{{"Cache-Control", value}};
  return parse_request_cache_control(fields);
}

Lifetime minute() {
  Lifetime life;
  life.freshness_lifetime = 60s;
  life.source = LifetimeSource::max_age;
  life.response_time = stored_at;
  return life;
}

constexpr auto serve = Use::serve;
constexpr auto stale = Use::serve_stale;
constexpr auto refresh = Use::serve_stale_and_revalidate;
constexpr auto revalidate = Use::revalidate;

}  // namespace

TEST_CASE("reuse of a response that is fresh for a minute") {
  struct Case {
    Clock::duration age;
    std::string_view client;
    Use use;
    NotReused reason;
  };
  const Case cases[] = {
      {0s, "", serve, NotReused::none},
      {59999ms, "", serve, NotReused::none},
      {60s, "", revalidate, NotReused::stale},
      {10s, "no-cache", revalidate, NotReused::request_no_cache},
      {10s, "no-store", revalidate, NotReused::request_no_store},
      {10s, "only-if-cached", serve, NotReused::none},
      {10s, "max-age=10", serve, NotReused::none},
      {11s, "max-age=10", revalidate, NotReused::request_max_age},
      {0s, "max-age=0", revalidate, NotReused::request_max_age},
      {0s, "max-age=x", revalidate, NotReused::request_max_age},
      {10s, "max-age=9, max-stale", revalidate, NotReused::request_max_age},
      {10s, "min-fresh=50", serve, NotReused::none},
      {10s, "min-fresh=51", revalidate, NotReused::request_min_fresh},
      {10s, "min-fresh=x", revalidate, NotReused::request_min_fresh},
      {61s, "min-fresh=1, max-stale", revalidate, NotReused::request_min_fresh},
      {70s, "max-stale", stale, NotReused::stale},
      {1000h, "max-stale", stale, NotReused::stale},
      {70s, "max-stale=11", stale, NotReused::stale},
      {70s, "max-stale=10", revalidate, NotReused::stale},
      {70s, "max-stale=x", revalidate, NotReused::stale},
      {60s, "max-stale=0", revalidate, NotReused::stale},
      {70s, "max-age=3600", revalidate, NotReused::stale},
      {70s, "max-age=3600, max-stale=60", stale, NotReused::stale},
  };
  for (const Case& c : cases) {
    CAPTURE(c.client);
    CAPTURE(c.age.count());
    const auto reuse = decide_reuse(minute(), client(c.client), stored_at + c.age);
    CHECK(reuse.use == c.use);
    CHECK(to_string(reuse.reason) == to_string(c.reason));
  }
}

TEST_CASE("stale-while-revalidate") {
  Lifetime life = minute();
  life.stale_while_revalidate = 10s;
  CHECK(decide_reuse(life, {}, stored_at + 59s).use == serve);
  CHECK(decide_reuse(life, {}, stored_at + 60s).use == refresh);
  CHECK(decide_reuse(life, {}, stored_at + 69999ms).use == refresh);
  CHECK(decide_reuse(life, {}, stored_at + 70s).use == revalidate);
  CHECK(decide_reuse(life, client("max-stale=5"), stored_at + 61s).use == refresh);
  CHECK(decide_reuse(life, client("max-stale=20"), stored_at + 71s).use == stale);
  CHECK(decide_reuse(life, client("max-age=100"), stored_at + 61s).use == revalidate);
  CHECK(decide_reuse(life, client("min-fresh=0"), stored_at + 61s).use == revalidate);
}

TEST_CASE("what forbids stale use") {
  Lifetime life = minute();
  life.must_revalidate = true;
  life.stale_while_revalidate = 10s;  // compute_lifetime() never says both; the prohibition wins all the same
  life.stale_if_error = 10s;
  CHECK(decide_reuse(life, {}, stored_at + 59s).use == serve);
  CHECK(decide_reuse(life, client("max-stale"), stored_at + 61s).use == revalidate);
  CHECK_FALSE(may_serve_on_error(life, {}, stored_at + 61s));

  life = minute();
  life.no_cache = true;
  CHECK(decide_reuse(life, client("max-stale"), stored_at).use == revalidate);
  CHECK(decide_reuse(life, {}, stored_at).reason == NotReused::no_cache);
  CHECK_FALSE(may_serve_on_error(life, client("stale-if-error=100"), stored_at));
}

TEST_CASE("stale-if-error") {
  Lifetime life = minute();
  CHECK_FALSE(may_serve_on_error(life, {}, stored_at + 61s));
  CHECK(may_serve_on_error(life, client("stale-if-error=5"), stored_at + 61s));
  CHECK_FALSE(may_serve_on_error(life, client("stale-if-error=5"), stored_at + 65s));
  CHECK_FALSE(may_serve_on_error(life, client("stale-if-error=x"), stored_at + 61s));
  life.stale_if_error = 10s;
  CHECK(may_serve_on_error(life, {}, stored_at + 69999ms));
  CHECK_FALSE(may_serve_on_error(life, {}, stored_at + 70s));
  CHECK(may_serve_on_error(life, client("stale-if-error=0"), stored_at + 69s));
  CHECK(may_serve_on_error(life, client("max-age=0"), stored_at + 5s));
  CHECK_FALSE(may_serve_on_error(life, client("no-cache"), stored_at + 61s));
}

TEST_CASE("what counts as a server's failure (RFC 5861)") {
  for (const int status : {500, 502, 503, 504}) CHECK(is_server_failure(status));
  for (const int status : {200, 304, 404, 499, 501, 505, 507, 511, 599}) CHECK_FALSE(is_server_failure(status));
}

TEST_CASE("a response without a lifetime is validated each time") {
  Lifetime life;
  life.response_time = stored_at;
  CHECK(decide_reuse(life, {}, stored_at).use == revalidate);
  CHECK(decide_reuse(life, {}, stored_at).reason == NotReused::stale);
}
