#include "larder/admin/key_listing.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

using policy::Seconds;

constexpr auto top = ~std::uint64_t{0};

TEST_CASE("cursors come back as they went") {
  for (const auto tier : {Cursor::Tier::memory, Cursor::Tier::redis}) {
    for (const std::uint64_t position : {std::uint64_t{0}, std::uint64_t{1}, top}) {
      const Cursor cursor{tier, position};
      CHECK(parse_cursor(encode(cursor)) == cursor);
    }
  }
}

TEST_CASE("bad cursors") {
  for (const std::string_view text : {"", "m", "r", "0", "x1", "M1", "m-1", "m+1", "m 1", "m1 ", "m1x", "m0x1", "m1.5",
                                      "m18446744073709551616", "r99999999999999999999999999", "mm1", "\xFF"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_cursor(text));
  }
}

TEST_CASE("parse_list_order: what is right") {
  struct Row {
    std::string_view query;
    std::string_view pattern;
    std::size_t limit;
    Cursor cursor;
  };
  const Cursor start;
  for (const auto& row :
       std::vector<Row>{{"", "cache:*", 100, start},
                        {"&&", "cache:*", 100, start},
                        {"pattern=&limit=&cursor=", "cache:*", 100, start},
                        {"limit", "cache:*", 100, start},
                        {"limit=1", "cache:*", 1, start},
                        {"limit=1000", "cache:*", 1000, start},
                        {"limit=0007", "cache:*", 7, start},
                        {"pattern=cache:search:*", "cache:search:*", 100, start},
                        {"pattern=cache%3Asearch%3A%2A", "cache:search:*", 100, start},
                        {"pattern=a=b&limit=5", "a=b", 5, start},
                        {"cursor=m12&limit=5", "cache:*", 5, {Cursor::Tier::memory, 12}},
                        {"cursor=r18446744073709551615", "cache:*", 100, {Cursor::Tier::redis, top}}}) {
    CAPTURE(row.query);
    const auto parsed = parse_list_order(row.query);
    REQUIRE(std::holds_alternative<ListOrder>(parsed));
    const auto& order = std::get<ListOrder>(parsed);
    CHECK(order.pattern == row.pattern);
    CHECK(order.limit == row.limit);
    CHECK(order.cursor == row.cursor);
  }
}

TEST_CASE("parse_list_order: by hits") {
  CHECK(std::get<ListOrder>(parse_list_order("sort=hits&limit=5&cursor=")).by_hits);
  CHECK_FALSE(std::get<ListOrder>(parse_list_order("sort=")).by_hits);
}

TEST_CASE("parse_list_order: what is wrong") {
  struct Row {
    std::string query;
    std::string_view error;
  };
  for (const auto& row : std::vector<Row>{{"limit=0", "bad_limit"},
                                          {"limit=-1", "bad_limit"},
                                          {"limit=%2B1", "bad_limit"},
                                          {"limit=1001", "bad_limit"},
                                          {"limit=1e3", "bad_limit"},
                                          {"limit=99999999999999999999999999999999", "bad_limit"},
                                          {"limit=%FF%FE", "bad_limit"},
                                          {"limit=1&limit=2", "repeated_parameter"},
                                          {"limits=5", "unknown_parameter"},
                                          {"sort=age", "bad_sort"},
                                          {"sort=hits&sort=hits", "repeated_parameter"},
                                          {"sort=hits&cursor=m5", "bad_cursor"},
                                          {"=5", "unknown_parameter"},
                                          {"Limit=5", "unknown_parameter"},
                                          {"cursor=junk", "bad_cursor"},
                                          {"cursor=m", "bad_cursor"},
                                          {"cursor=m18446744073709551616", "bad_cursor"},
                                          {"pattern=%", "bad_encoding"},
                                          {"pattern=%zz", "bad_encoding"},
                                          {"pattern=" + std::string(5000, '*'), "bad_pattern"}}) {
    CAPTURE(row.query);
    const auto parsed = parse_list_order(row.query);
    REQUIRE(std::holds_alternative<Answer>(parsed));
    const auto& answer = std::get<Answer>(parsed);
    CHECK(answer.status == 400);
    CHECK(Json::parse(answer.body)["error"] == row.error);
  }
}

KeyRow row_named(std::string key) {
  KeyRow row;
  row.key = key;
  row.base_key = std::move(key);
  row.type = "product";
  row.target = "/api/products/1";
  row.lifetime.freshness_lifetime = Seconds(100);
  return row;
}

TEST_CASE("what is in both tiers is one row") {
  KeyPage page;
  auto in_memory = row_named("cache:product:1");
  in_memory.in_memory = true;
  in_memory.hits = 7;
  in_memory.status = 200;
  auto in_redis = row_named("cache:product:1");
  in_redis.in_redis = true;
  auto other = row_named("cache:product:2");
  other.in_redis = true;
  page.add(in_memory);
  page.add(other);
  page.add(in_redis);
  page.add(other);
  REQUIRE(page.size() == 2);
  const policy::TimePoint now = policy::TimePoint(Seconds(1000));
  const auto json = to_json(page, Cursor{Cursor::Tier::redis, 5}, RemoteReach::read, now);
  CHECK(json["count"] == 2);
  CHECK(json["cursor"] == "r5");
  CHECK(json["redis"] == "read");
  CHECK(json["keys"][0]["tier"] == Json{"memory", "redis"});
  CHECK(json["keys"][0]["hits"] == 7);
  CHECK(json["keys"][0]["status"] == 200);
  CHECK(json["keys"][1]["tier"] == Json::array({"redis"}));
  CHECK_FALSE(json["keys"][1].contains("status"));
  CHECK(to_json(KeyPage{}, std::nullopt, RemoteReach::not_configured, now)["cursor"].is_null());
}

TEST_CASE("a row as JSON") {
  auto row = row_named("cache:product:1:variant\xFF");
  row.base_key = "cache:product:1";
  row.target = "/\xC3";
  row.tags = {"product:1", "\x80"};
  row.size = top;
  row.lifetime.corrected_initial_age = Seconds(30);
  row.lifetime.response_time = policy::TimePoint(Seconds(900));
  const auto json = to_json(row, policy::TimePoint(Seconds(1000)));
  CHECK(json["age"] == 130);
  CHECK(json["ttl"] == -30);
  CHECK(json["size"] == top);
  CHECK(json["variant_of"] == "cache:product:1");
  CHECK(Json::accept(serialise(json)));
}

}  // namespace
}  // namespace larder::admin
