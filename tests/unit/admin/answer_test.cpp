#include "larder/admin/answer.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;

TEST_CASE("iso_time: the table") {
  struct Row {
    std::int64_t since_epoch;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{{0, "1970-01-01T00:00:00Z"},
                                          {1709210096, "2024-02-29T12:34:56Z"},
                                          {4102444799, "2099-12-31T23:59:59Z"},
                                          {-1, "1969-12-31T23:59:59Z"}}) {
    CHECK(iso_time(system_clock::time_point(seconds(row.since_epoch))) == row.expected);
  }
  CHECK(iso_time(system_clock::time_point(std::chrono::milliseconds(1999))) == "1970-01-01T00:00:01Z");
  // The ends of what the clock can hold.
  CHECK(iso_time(system_clock::time_point::max()) == "2262-04-11T23:47:16Z");
  CHECK(iso_time(system_clock::time_point::min()) == "1677-09-21T00:12:43Z");
}

TEST_CASE("percent") {
  CHECK(percent(0, 0) == 0);
  CHECK(percent(0, 5) == 0);
  CHECK(percent(1, 2) == 50);
  CHECK(percent(2, 3) == 66.67);
  CHECK(percent(1, 3) == 33.33);
  CHECK(percent(3, 3) == 100);
  CHECK(percent(~0ULL, ~0ULL) == 100);
}

TEST_CASE("success and failure") {
  const auto good = success({{"a", 1}}, system_clock::time_point{});
  CHECK(good.status == 200);
  CHECK(good.body == "{\"status\":\"success\",\"a\":1,\"timestamp\":\"1970-01-01T00:00:00Z\"}\n");
  const auto bad = failure(404, "no_entry", "nothing there", {{"types", {"a", "b"}}});
  CHECK(bad.status == 404);
  CHECK(bad.body ==
        "{\"status\":\"error\",\"error\":\"no_entry\",\"message\":\"nothing there\",\"types\":[\"a\",\"b\"]}\n");
  CHECK(failure(500, "x", "y").body == "{\"status\":\"error\",\"error\":\"x\",\"message\":\"y\"}\n");
}

TEST_CASE("any bytes can be serialised") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const auto text = serialise({{"bytes", bytes}});
  CHECK(Json::accept(text));
  CHECK(text.find("\xEF\xBF\xBD") != std::string::npos);
}

}  // namespace
}  // namespace larder::admin
