#include "larder/http/content_range.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;

TEST_CASE("valid Content-Range") {
  struct Case {
    std::string_view value;
    ContentRange expected;
  };
  const Case cases[] = {
      {"bytes 0-9/100", {ByteRange{0, 9}, 100}},
      {"bytes 0-0/1", {ByteRange{0, 0}, 1}},
      {"bytes 99-99/100", {ByteRange{99, 99}, 100}},
      {"bytes 0-99/100", {ByteRange{0, 99}, 100}},
      {"bytes 0-9/*", {ByteRange{0, 9}, std::nullopt}},
      {"bytes */100", {std::nullopt, 100}},
      {"bytes */0", {std::nullopt, 0}},
      {"BYTES 0-9/100", {ByteRange{0, 9}, 100}},
      {"Bytes */7", {std::nullopt, 7}},
      {"bytes 00-009/0100", {ByteRange{0, 9}, 100}},
      {"bytes 0-9223372036854775806/9223372036854775807", {ByteRange{0, max_content_length - 1}, max_content_length}},
      {"bytes 9223372036854775807-9223372036854775807/*",
       {ByteRange{max_content_length, max_content_length}, std::nullopt}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    const auto parsed = parse_content_range(c.value);
    REQUIRE(parsed);
    CHECK(*parsed == c.expected);
  }
}

TEST_CASE("malformed Content-Range") {
  const std::string cases[] = {
      "",
      "bytes",
      "bytes ",
      "bytes */",
      "bytes /",
      "bytes /100",
      "bytes */*",
      "bytes 0-9",
      "bytes 0-9/",
      "bytes 0-/100",
      "bytes -9/100",
      "bytes -/100",
      "bytes 9/100",
      "bytes 5-4/100",
      "bytes 0-100/100",
      "bytes 0-0/0",
      "bytes 100-100/100",
      "bytes 0-9/9",
      "bytes=0-9/100",
      "bytes:0-9/100",
      "bytes0-9/100",
      "bytes  0-9/100",
      "bytes\t0-9/100",
      " bytes 0-9/100",
      "bytes 0-9/100 ",
      "bytes 0 -9/100",
      "bytes 0- 9/100",
      "bytes 0-9 /100",
      "bytes 0-9/ 100",
      "bytes +0-9/100",
      "bytes 0-+9/100",
      "bytes 0--9/100",
      "bytes 0-9/-100",
      "bytes 0-9/+100",
      "bytes 0-9/1e3",
      "bytes 0x0-9/100",
      "bytes 0-9/100/100",
      "bytes 0-9-9/100",
      "bytes 0-9/100, bytes 10-19/100",
      "bytes 0-9,20-29/100",
      "bytes 0-9/100;x",
      "bytes **/100",
      "bytes 0-*/100",
      "bytes *-9/100",
      "bytes 0-9/**",
      "items 0-9/100",
      "byte 0-9/100",
      "bytesx 0-9/100",
      "0-9/100",
      "bytes 0-9223372036854775808/*",
      "bytes */9223372036854775808",
      "bytes 0-18446744073709551615/*",
      "bytes 18446744073709551616-18446744073709551617/*",
      "bytes 0-9/18446744073709551626",
      "bytes 99999999999999999999999999999999-99999999999999999999999999999999/*",
      std::string("bytes 0-9/100\0", 14),
      std::string("bytes\0 0-9/100", 14),
      "bytes \xd9\xa0-9/100",
      "bytes " + std::string(100'000, '1') + "-2/*",
  };
  for (const std::string& value : cases) {
    CAPTURE(value.substr(0, 80));
    CHECK_FALSE(parse_content_range(value));
  }
}

TEST_CASE("Content-Range of a head") {
  CHECK_FALSE(parse_content_range(Fields{}));
  CHECK_FALSE(parse_content_range(Fields{{"Content-Length", "bytes 0-9/100"}}));
  CHECK(parse_content_range(Fields{{"A", "b"}, {"content-RANGE", "bytes 0-9/100"}}) ==
        ContentRange{ByteRange{0, 9}, 100});
  CHECK_FALSE(parse_content_range(Fields{{"Content-Range", "bytes 0-9/100"}, {"Content-Range", "bytes 0-9/100"}}));
  CHECK_FALSE(parse_content_range(Fields{{"Content-Range", ""}}));
}

TEST_CASE("what is written is read") {
  CHECK(parse_content_range(content_range({3, 17}, 40)) == ContentRange{ByteRange{3, 17}, 40});
  CHECK(parse_content_range(unsatisfied_content_range(40)) == ContentRange{std::nullopt, 40});
}
