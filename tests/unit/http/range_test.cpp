#include "larder/http/range.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;
using Kind = RangeDecision::Kind;

TEST_CASE("Range") {
  struct Case {
    std::string value;
    std::uint64_t size;
    Kind kind;
    std::vector<ByteRange> ranges = {};
  };
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const Case cases[] = {
      {"bytes=0-0", 10, Kind::partial, {{0, 0}}},
      {"bytes=0-9", 10, Kind::partial, {{0, 9}}},
      {"bytes=2-", 10, Kind::partial, {{2, 9}}},
      {"bytes=-3", 10, Kind::partial, {{7, 9}}},
      {"bytes=-30", 10, Kind::partial, {{0, 9}}},
      {"bytes=5-99999", 10, Kind::partial, {{5, 9}}},
      {"BYTES=1-2", 10, Kind::partial, {{1, 2}}},
      {"bytes=1-2, 4-5", 10, Kind::partial, {{1, 2}, {4, 5}}},
      {"bytes=7-8,\t, 1-2", 10, Kind::partial, {{7, 8}, {1, 2}}},
      {"bytes=0-1,-1", 10, Kind::partial, {{0, 1}, {9, 9}}},
      {"bytes=0-1,50-60", 10, Kind::partial, {{0, 1}}},
      {"bytes=10-", 10, Kind::unsatisfiable},
      {"bytes=10-20, 30-", 10, Kind::unsatisfiable},
      {"bytes=-0", 10, Kind::unsatisfiable},
      {"bytes=0-", 0, Kind::unsatisfiable},
      {"bytes=-0", 0, Kind::unsatisfiable},
      {"bytes=-5", 0, Kind::whole},
      // Numbers that fit nowhere.
      {"bytes=0-99999999999999999999999999999999", 10, Kind::partial, {{0, 9}}},
      {"bytes=99999999999999999999999999999999-", 10, Kind::unsatisfiable},
      {"bytes=-99999999999999999999999999999999", 10, Kind::partial, {{0, 9}}},
      {"bytes=18446744073709551614-", most, Kind::partial, {{most - 1, most - 1}}},
      // Malformed: ignored.
      {"", 10, Kind::whole},
      {"bytes", 10, Kind::whole},
      {"bytes=", 10, Kind::whole},
      {"bytes=,", 10, Kind::whole},
      {"bytes=-", 10, Kind::whole},
      {"bytes=5-4", 10, Kind::whole},
      {"bytes=a-b", 10, Kind::whole},
      {"bytes=1", 10, Kind::whole},
      {"bytes=1-2-3", 10, Kind::whole},
      {"bytes=--2", 10, Kind::whole},
      {"bytes=+1-2", 10, Kind::whole},
      {"bytes=0x1-2", 10, Kind::whole},
      {"bytes=1 -2", 10, Kind::whole},
      {"bytes =1-2", 10, Kind::whole},
      {"bytes: 1-2", 10, Kind::whole},
      {"bytes=1-2;3-4", 10, Kind::whole},
      {"bytes=1-2,x", 10, Kind::whole},
      // Other units.
      {"lines=1-2", 10, Kind::whole},
      {"byte=1-2", 10, Kind::whole},
      // Hostile sets.
      {"bytes=0-5,5-9", 10, Kind::whole},
      {"bytes=0-,0-,0-", 10, Kind::whole},
      {"bytes=0-9,-1", 10, Kind::whole},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    const auto decision = decide_range("GET", Fields{{"Range", c.value}}, {}, c.size);
    CHECK(decision.kind == c.kind);
    CHECK((decision.ranges == c.ranges));
  }
}

TEST_CASE("at most so many parts") {
  std::string value = "bytes=";
  for (std::size_t i = 0; i < max_byte_ranges; ++i) value += std::to_string(i * 2) + "-" + std::to_string(i * 2) + ",";
  CHECK(decide_range("GET", Fields{{"Range", value}}, {}, 1000).ranges.size() == max_byte_ranges);
  value += "500-501";
  CHECK(decide_range("GET", Fields{{"Range", value}}, {}, 1000).kind == Kind::whole);
  std::string flood = "bytes=";
  for (int i = 0; i < 10'000; ++i) flood += "2000-,";
  CHECK(decide_range("GET", Fields{{"Range", flood}}, {}, 1000).kind == Kind::whole);
}

TEST_CASE("only GET, and only one Range line") {
  const Fields one{{"Range", "bytes=0-1"}};
  CHECK(decide_range("GET", one, {}, 10).kind == Kind::partial);
  CHECK(decide_range("HEAD", one, {}, 10).kind == Kind::whole);
  CHECK(decide_range("POST", one, {}, 10).kind == Kind::whole);
  CHECK(decide_range("GET", {}, {}, 10).kind == Kind::whole);
  CHECK(decide_range("GET", Fields{{"Range", "bytes=0-1"}, {"Range", "bytes=0-1"}}, {}, 10).kind == Kind::whole);
}

TEST_CASE("If-Range") {
  struct Case {
    const char* what;
    std::vector<std::string_view> condition;
    Fields stored;
    bool holds;
  };
  constexpr std::string_view modified = "Sun, 06 Nov 1994 08:49:37 GMT";
  constexpr std::string_view second_later = "Sun, 06 Nov 1994 08:49:38 GMT";
  const Fields tagged{{"ETag", R"("a")"}};
  const Fields dated{{"Last-Modified", modified}, {"Date", second_later}};
  const Case cases[] = {
      {"strong tag", {R"("a")"}, tagged, true},
      {"other tag", {R"("b")"}, tagged, false},
      {"weak tag", {R"(W/"a")"}, tagged, false},
      {"weak stored", {R"("a")"}, {{"ETag", R"(W/"a")"}}, false},
      {"unquoted", {"a"}, {{"ETag", "a"}}, false},
      {"list", {R"("a", "b")"}, tagged, false},
      {"star", {"*"}, tagged, false},
      {"two lines", {R"("a")", R"("a")"}, tagged, false},
      {"no tag stored", {R"("a")"}, dated, false},
      {"date", {modified}, dated, true},
      {"other date", {second_later}, dated, false},
      {"same moment in another form", {"Sun Nov  6 08:49:37 1994"}, dated, false},
      {"weak date", {modified}, {{"Last-Modified", modified}, {"Date", modified}}, false},
      {"no Date", {modified}, {{"Last-Modified", modified}}, false},
      {"no Last-Modified", {modified}, {{"Date", second_later}}, false},
      {"junk that is equal", {"x"}, {{"Last-Modified", "x"}, {"Date", second_later}}, false},
      {"empty", {""}, dated, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    Fields request{{"Range", "bytes=0-1"}};
    for (const auto condition : c.condition) request.push_back({"If-Range", condition});
    CHECK((decide_range("GET", request, c.stored, 10).kind == Kind::partial) == c.holds);
  }
}

TEST_CASE("the forms of the answers") {
  CHECK(content_range({0, 9}, 100) == "bytes 0-9/100");
  CHECK(unsatisfied_content_range(0) == "bytes */0");
  const std::string boundary = multipart_boundary(0x0123456789abcdefULL, 0xfedcba9876543210ULL);
  CHECK(boundary == "0123456789abcdeffedcba9876543210");
  CHECK(multipart_content_type(boundary) == "multipart/byteranges; boundary=" + boundary);
  CHECK(multipart_part_head("B", "text/plain", {1, 2}, 10) ==
        "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 1-2/10\r\n\r\n");
  CHECK(multipart_part_head("B", "", {1, 2}, 10) == "\r\n--B\r\nContent-Range: bytes 1-2/10\r\n\r\n");
  CHECK(multipart_end("B") == "\r\n--B--\r\n");
}
