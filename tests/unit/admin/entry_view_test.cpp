#include "larder/admin/entry_view.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "larder/policy/vary.hpp"

namespace larder::admin {
namespace {

using policy::Seconds;

TEST_CASE("is_utf8: the table") {
  struct Row {
    std::string_view bytes;
    bool expected;
  };
  for (const auto& row : std::vector<Row>{{"", true},
                                          {"plain", true},
                                          {"caf\xC3\xA9", true},
                                          {"\xE2\x82\xAC", true},
                                          {"\xF0\x9F\x98\x80", true},
                                          {"\xF4\x8F\xBF\xBF", true},
                                          {"\xEF\xBF\xBF", true},
                                          {"\x80", false},
                                          {"\xBF", false},
                                          {"\xC0\xAF", false},
                                          {"\xC1\xBF", false},
                                          {"\xC3", false},
                                          {"\xC3(", false},
                                          {"\xE0\x9F\xBF", false},
                                          {"\xE2\x82", false},
                                          {"\xED\xA0\x80", false},
                                          {"\xF0\x8F\xBF\xBF", false},
                                          {"\xF4\x90\x80\x80", false},
                                          {"\xF0\x9F\x98", false},
                                          {"\xF5\x80\x80\x80", false},
                                          {"\xFF", false}}) {
    CAPTURE(base64(row.bytes));
    CHECK(is_utf8(row.bytes) == row.expected);
  }
}

TEST_CASE("base64: the table of RFC 4648, and all bytes") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xFF\xFE\xFD") == "//79");
}

TEST_CASE("bodies: text, base64 or left out") {
  CHECK(body_json("{\"a\":1}") == Json{{"encoding", "utf-8"}, {"text", "{\"a\":1}"}});
  CHECK(body_json("\xFF") == Json{{"encoding", "base64"}, {"base64", "/w=="}});
  CHECK(body_json(std::string_view("a\0b", 3))["encoding"] == "base64");
  CHECK(body_json(std::string(max_shown_body, 'x'))["encoding"] == "utf-8");
  CHECK(body_json(std::string(max_shown_body + 1, 'x'))["encoding"] == "omitted");
}

TEST_CASE("a stored response as JSON: all there, nothing secret") {
  const std::vector<http::Field> request{{"Cookie", "session=topsecret"}, {"Accept-Language", "de"}};
  store::StoredParts parts;
  parts.key = "cache:product:0123:4567";
  parts.base_key_size = 18;
  parts.canonical = "canonical-topsecret";
  parts.selecting = policy::selecting_fields({"accept-language", "cookie"}, request);
  parts.type = "product";
  parts.target = "/api/products/42";
  parts.tags = {"product:42"};
  parts.priority = policy::Priority::high;
  parts.stamp = {.epoch = ~std::uint64_t{0}, .clock = 3, .sequence = 4};
  parts.lifetime.freshness_lifetime = Seconds(60);
  parts.lifetime.source = policy::LifetimeSource::s_maxage;
  parts.lifetime.corrected_initial_age = Seconds(5);
  parts.lifetime.response_time = policy::TimePoint(Seconds(1000));
  parts.lifetime.stale_while_revalidate = Seconds(10);
  parts.reason = "OK";
  parts.fields.add("Content-Type", "application/json");
  parts.fields.add("ETag", "\"v1\"");
  parts.fields.add("X-Odd", "\xFF\x01");
  parts.body = std::make_shared<const std::string>("{\"id\":42}");
  const auto stored = store::StoredResponse::make(std::move(parts));

  const auto json =
      to_json(*stored, {.in_memory = true, .in_redis = false, .hits = 3}, policy::TimePoint(Seconds(1100)));
  CHECK(json["key"] == "cache:product:0123:4567");
  CHECK(json["tier"] == Json::array({"memory"}));
  CHECK(json["hits"] == 3);
  CHECK(json["status"] == 200);
  CHECK(json["priority"] == "high");
  CHECK(json["fields"][1] == Json{{"name", "ETag"}, {"value", "\"v1\""}});
  CHECK(json["selecting_header_fields"] == Json{"accept-language", "cookie"});
  CHECK(json["validators"] == Json{{"etag", "\"v1\""}, {"last_modified", nullptr}});
  CHECK(json["lifetime"]["freshness_lifetime"] == 60);
  CHECK(json["lifetime"]["source"] == "s_maxage");
  CHECK(json["lifetime"]["current_age"] == 105);
  CHECK(json["lifetime"]["ttl"] == -45);
  CHECK(json["lifetime"]["is_fresh"] == false);
  CHECK(json["lifetime"]["stale_while_revalidate"] == 10);
  CHECK(json["lifetime"]["response_time"] == "1970-01-01T00:16:40Z");
  CHECK(json["purge_stamp"]["epoch"] == "18446744073709551615");
  CHECK(json["purge_stamp"]["clock"] == 3);
  CHECK(json["size"] == 9);
  CHECK(json["memory_size"] > 9);
  CHECK(json["body"]["text"] == "{\"id\":42}");
  CHECK(serialise(json).find("topsecret") == std::string::npos);
}

TEST_CASE("the summary of a record as JSON") {
  store::RecordSummary summary;
  summary.key = "cache:product:0123";
  summary.base_key_size = summary.key.size();
  summary.body_size = 99999999;
  const auto json = to_json(summary, {.in_memory = false, .in_redis = true, .hits = 0}, policy::TimePoint{});
  CHECK(json["size"] == 99999999);
  CHECK(json["body"]["encoding"] == "omitted");
  CHECK(json["tier"] == Json::array({"redis"}));
}

}  // namespace
}  // namespace larder::admin
