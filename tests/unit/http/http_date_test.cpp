#include "larder/http/http_date.hpp"

#include <array>
#include <doctest/doctest.h>
#include <limits>

using namespace larder::http;
namespace chr = std::chrono;
using TimePoint = chr::system_clock::time_point;

namespace {

TimePoint at(int year, unsigned month, unsigned day, int hour = 0, int minute = 0, int second = 0) {
  return chr::sys_days{chr::year{year} / chr::month{month} / chr::day{day}} + chr::hours{hour} + chr::minutes{minute} +
         chr::seconds{second};
}

const TimePoint now = at(2025, 6, 1);

}  // namespace

TEST_CASE("valid dates in the three forms") {
  struct Case {
    std::string_view text;
    TimePoint time;
  };
  const Case cases[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", at(1994, 11, 6, 8, 49, 37)},
      {"Sunday, 06-Nov-94 08:49:37 GMT", at(1994, 11, 6, 8, 49, 37)},
      {"Sun Nov  6 08:49:37 1994", at(1994, 11, 6, 8, 49, 37)},
      {"Wed Nov 16 08:49:37 1994", at(1994, 11, 16, 8, 49, 37)},
      {"Thu, 01 Jan 1970 00:00:00 GMT", at(1970, 1, 1)},
      {"Thu, 29 Feb 2024 23:59:59 GMT", at(2024, 2, 29, 23, 59, 59)},
      // Case is matched loosely (RFC 9111 §4.2).
      {"SUN, 06 NOV 1994 08:49:37 gmt", at(1994, 11, 6, 8, 49, 37)},
      {"sun nov  6 08:49:37 1994", at(1994, 11, 6, 8, 49, 37)},
      // A weekday that does not fit is still unambiguous.
      {"Mon, 06 Nov 1994 08:49:37 GMT", at(1994, 11, 6, 8, 49, 37)},
      // Leap second.
      {"Sat, 31 Dec 2016 23:59:60 GMT", at(2016, 12, 31, 23, 59, 59)},
      // Two-digit years: at most 50 years ahead.
      {"Monday, 06-Nov-75 08:49:37 GMT", at(1975, 11, 6, 8, 49, 37)},
      {"Monday, 06-May-75 08:49:37 GMT", at(2075, 5, 6, 8, 49, 37)},
      {"Monday, 06-Nov-00 08:49:37 GMT", at(2000, 11, 6, 8, 49, 37)},
      {"Thursday, 29-Feb-24 08:49:37 GMT", at(2024, 2, 29, 8, 49, 37)},
      // Out of the clock's range.
      {"Fri, 31 Dec 9999 23:59:59 GMT", at(2190, 1, 1)},
      {"Mon, 01 Jan 0001 00:00:00 GMT", at(1900, 1, 1)},
      {"Mon Jan  1 00:00:00 0000", at(1900, 1, 1)},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto time = parse_http_date(c.text, now);
    REQUIRE(time);
    CHECK(*time == c.time);
  }
}

TEST_CASE("a two-digit year near the turn of a century") {
  CHECK(parse_http_date("Monday, 06-Nov-05 08:49:37 GMT", at(2095, 1, 1)) == at(2105, 11, 6, 8, 49, 37));
  CHECK(parse_http_date("Monday, 06-Nov-94 08:49:37 GMT", at(2095, 1, 1)) == at(2094, 11, 6, 8, 49, 37));
  CHECK(parse_http_date("Monday, 06-Nov-94 08:49:37 GMT", TimePoint{}) == at(1994, 11, 6, 8, 49, 37));
}

TEST_CASE("what is not exactly a date") {
  const std::string_view texts[] = {
      "",
      "0",
      "-1",
      "now",
      "Sun",
      "Sun,",
      "Sun ",
      " Sun, 06 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT ",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 EST",
      "Sun, 06 Nov 1994 08:49:37 +0000",
      "Sun, 06 Nov 1994 08:49:37 AEST",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 94 08:49:37 GMT",
      "Sun, 06-Nov-1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 8:49:37 GMT",
      "Sun, 06 Nov 1994 08.49.37 GMT",
      "Sun, 06  Nov 1994 08:49:37 GMT",
      "Sun 06 Nov 1994 08:49:37 GMT",
      "06 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT",
      "Sun, 06 Nov 1994 08:60:00 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 31 Feb 1994 08:49:37 GMT",
      "Sun, 29 Feb 2023 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 06 Foo 1994 08:49:37 GMT",
      "Foo, 06 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov -994 08:49:37 GMT",
      "Sun, +6 Nov 1994 08:49:37 GMT",
      "Sunday, 6-Nov-94 08:49:37 GMT",
      "Sunday, 06-Nov-1994 08:49:37 GMT",
      "Sunday, 31-Feb-94 08:49:37 GMT",
      "Sun Nov 6 08:49:37 1994",
      "Sun Nov  6 08:49:37 94",
      "Sun Nov  6 08:49:37 1994 GMT",
      "1994-11-06T08:49:37Z",
      "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
      std::string_view("Sun, 06 Nov 1994 08:49:37 GM\0", 29),
      "Thursday, 99-Dec-99 99:99:99 GMT",
  };
  for (const auto text : texts) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_date(text, now));
  }
}

TEST_CASE("every prefix of a date is refused, none reads past its end") {
  for (const std::string_view whole :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::string part(whole.substr(0, size));
      CHECK_FALSE(parse_http_date(part, now));
    }
  }
}

TEST_CASE("formatting, and reading it back") {
  const TimePoint times[] = {at(1994, 11, 6, 8, 49, 37), at(1970, 1, 1), at(2024, 2, 29, 23, 59, 59), at(1969, 12, 31)};
  for (const TimePoint time : times) {
    const std::string text = format_http_date(time);
    CAPTURE(text);
    CHECK(parse_http_date(text, now) == time);
  }
  CHECK(format_http_date(at(1994, 11, 6, 8, 49, 37) + chr::milliseconds(999)) == "Sun, 06 Nov 1994 08:49:37 GMT");
  std::array<char, http_date_size> buffer{};
  format_http_date(at(2026, 1, 31, 1, 2, 3), buffer);
  CHECK(std::string_view(buffer.data(), buffer.size()) == "Sat, 31 Jan 2026 01:02:03 GMT");
  CHECK(format_http_date(TimePoint::max()).size() == http_date_size);
  CHECK(format_http_date(TimePoint::min()).size() == http_date_size);
}
