#include "larder/net/access_line.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::sys_days;
using namespace std::chrono_literals;

const std::vector<std::string> secrets{"token"};
const auto noon = sys_days(std::chrono::year(2026) / 11 / 26) + 12h + 1min + 2s + 34ms;

AccessEntry some_entry() {
  return {.ended_ns = 1,
          .total_ns = 12345678,
          .origin_ns = 11000000,
          .redis_ns = 500000,
          .bytes = 321,
          .target_size = 19,
          .status = 200,
          .is_http_1_0 = false,
          .collapsed = false,
          .cut_short = false,
          .client = "192.0.2.1",
          .method = "GET",
          .host = "api.example",
          .target = "/a?q=x&token=secret",
          .request_id = "id-1",
          .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
          .cache = "MISS",
          .reason = "absent",
          .detail = "no_store",
          .tier = {},
          .key = "cache:page:1",
          .type = "page",
          .route = "rules.yaml:7"};
}

std::string line(const AccessEntry& entry, LogFormat format) {
  std::string out;
  append_line(out, entry, format, noon, secrets);
  return out;
}

TEST_CASE("a line as JSON") {
  CHECK(line(some_entry(), LogFormat::json) ==
        R"({"time":"2026-11-26T12:01:02.034Z","event":"request","client":"192.0.2.1","method":"GET",)"
        R"("host":"api.example","target":"/a?q=x&token=***","version":"1.1","status":200,"bytes":321,"cache":"MISS",)"
        R"("reason":"absent","detail":"no_store","key":"cache:page:1","type":"page","route":"rules.yaml:7",)"
        R"("total_ms":12.346,"origin_ms":11.000,"redis_ms":0.500,"id":"id-1",)"
        R"("trace":"4bf92f3577b34da6a3ce929d0e0e4736"})"
        "\n");
}

TEST_CASE("a line for people") {
  CHECK(line(some_entry(), LogFormat::human) ==
        "2026-11-26T12:01:02.034Z request client=192.0.2.1 method=GET host=api.example "
        "target=\"/a?q=x&token=***\" version=1.1 status=200 bytes=321 cache=MISS reason=absent detail=no_store "
        "key=cache:page:1 type=page route=rules.yaml:7 total_ms=12.346 origin_ms=11.000 redis_ms=0.500 id=id-1 "
        "trace=4bf92f3577b34da6a3ce929d0e0e4736\n");
}

TEST_CASE("what is not known is left out, what is hostile is escaped") {
  AccessEntry entry;
  entry.status = 400;
  entry.client = "192.0.2.1";
  entry.detail = "a\nb \"c\\ \xFF";
  CHECK(line(entry, LogFormat::human) ==
        "2026-11-26T12:01:02.034Z request client=192.0.2.1 status=400 bytes=0 detail=\"a\\x0ab \\\"c\\\\ \\xff\" "
        "total_ms=0.000\n");
  CHECK(line(entry, LogFormat::json) ==
        R"({"time":"2026-11-26T12:01:02.034Z","event":"request","client":"192.0.2.1","status":400,"bytes":0,)"
        R"("detail":"a\u000ab \"c\\ \\xff","total_ms":0.000})"
        "\n");
}

TEST_CASE("an entry survives its queue") {
  std::array<char, largest_entry> first{};
  std::array<char, largest_entry> second{};
  auto other = some_entry();
  other.is_http_1_0 = other.collapsed = other.cut_short = true;
  other.tier = "redis";
  const auto first_size = pack_entry(some_entry(), first);
  const auto second_size = pack_entry(other, second);
  const auto both = std::string(first.data(), first_size) + std::string(second.data(), second_size);
  std::string_view rest(both);
  for (const auto& expected : {some_entry(), other}) {
    const auto found = unpack_entry(rest);
    REQUIRE(found);
    CHECK(line(*found, LogFormat::json) == line(expected, LogFormat::json));
    CHECK(found->ended_ns == expected.ended_ns);
  }
  CHECK(rest.empty());
  CHECK_FALSE(unpack_entry(rest));
  std::string_view cut(both.data(), first_size - 1);
  CHECK_FALSE(unpack_entry(cut));
}

TEST_CASE("texts without end are cut, and the target's length is told") {
  const std::string huge(100000, 'x');
  AccessEntry entry;
  entry.client = entry.method = entry.host = entry.request_id = entry.trace_id = entry.cache = entry.reason =
      entry.detail = entry.tier = entry.key = entry.type = entry.route = huge;
  const auto target = "/" + huge;
  entry.target = target;
  entry.target_size = static_cast<std::uint32_t>(target.size());
  std::array<char, largest_entry> packed{};
  const auto size = pack_entry(entry, packed);
  CHECK(size <= largest_entry);
  std::string_view bytes(packed.data(), size);
  const auto found = unpack_entry(bytes);
  REQUIRE(found);
  CHECK(found->target.size() == most_target);
  CHECK(line(*found, LogFormat::json).find("\"target_bytes\":100001,") != std::string::npos);
}

TEST_CASE("the line that tells how much is missing") {
  std::string out;
  append_dropped_line(out, 7, LogFormat::json, noon);
  CHECK(
      out ==
      R"({"time":"2026-11-26T12:01:02.034Z","event":"dropped","requests":7,"why":"the queue of the access log was full"})"
      "\n");
}

}  // namespace
}  // namespace larder::net
