#include "larder/policy/extent.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::policy {
namespace {

const std::vector<http::Field> strong{{"ETag", "\"a\""}};

http::RequestHead get(const std::vector<http::Field>& fields, std::string_view method = "GET") {
  http::RequestHead request;
  request.method = method;
  request.fields = fields;
  return request;
}

TEST_CASE("an extent knows what it holds") {
  const Extent extent{{{2, 4}, {8, 9}}, 12};
  CHECK(extent.size() == 5);
  CHECK_FALSE(extent.is_whole());
  CHECK(extent.holds({2, 4}));
  CHECK(extent.holds({3, 3}));
  CHECK_FALSE(extent.holds({4, 5}));
  CHECK_FALSE(extent.holds({4, 8}));
  CHECK(extent.offset_of(2) == 0);
  CHECK(extent.offset_of(9) == 4);
  CHECK(Extent{{{0, 11}}, 12}.is_whole());
  CHECK_FALSE(Extent{{{0, 11}}, std::nullopt}.is_whole());
  CHECK(Extent{{}, 0}.is_whole());
}

TEST_CASE("an extent is valid where its ranges are in order, apart and within the length") {
  CHECK(Extent{{}, std::nullopt}.is_valid());
  CHECK(Extent{{{0, 4}, {6, 9}}, 10}.is_valid());
  CHECK_FALSE(Extent{{{0, 4}, {5, 9}}, 10}.is_valid());
  CHECK_FALSE(Extent{{{5, 9}, {0, 3}}, 10}.is_valid());
  CHECK_FALSE(Extent{{{0, 10}}, 10}.is_valid());
  CHECK_FALSE(Extent{{{4, 3}}, 10}.is_valid());
  CHECK_FALSE(Extent{{{4, ~0ULL}}, std::nullopt}.is_valid());
}

TEST_CASE("what an incomplete response can answer") {
  struct Row {
    const char* range;
    Extent extent;
    std::vector<http::ByteRange> expected;
  };
  const std::vector<Row> rows{
      {"bytes=2-4", {{{2, 4}}, 10}, {{2, 4}}},
      {"bytes=3-3", {{{2, 4}}, std::nullopt}, {{3, 3}}},
      {"bytes=2-5", {{{2, 4}}, 10}, {}},
      {"bytes=5-", {{{5, 9}}, 10}, {{5, 9}}},
      {"bytes=5-", {{{5, 9}}, std::nullopt}, {}},
      {"bytes=-2", {{{5, 9}}, 10}, {{8, 9}}},
      {"bytes=-2", {{{5, 9}}, std::nullopt}, {}},
      {"bytes=0-0,5-6", {{{0, 2}, {5, 9}}, 10}, {{0, 0}, {5, 6}}},
      {"bytes=0-0,4-6", {{{0, 2}, {5, 9}}, 10}, {}},
      {"bytes=20-30", {{{0, 2}}, 10}, {}},
      {"lines=2-4", {{{2, 4}}, 10}, {}},
      {"bytes=2-4", {{}, 10}, {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.range);
    const std::vector<http::Field> fields{{"Range", row.range}};
    CHECK(held_ranges(get(fields), strong, row.extent) == row.expected);
    CHECK(can_answer(get(fields), strong, row.extent) == !row.expected.empty());
  }
  CHECK(held_ranges(get({}), strong, {{{2, 4}}, 10}).empty());
  CHECK(can_answer(get({}, "HEAD"), strong, {{}, std::nullopt}));
  const std::vector<http::Field> other_tag{{"Range", "bytes=2-4"}, {"If-Range", "\"b\""}};
  CHECK(held_ranges(get(other_tag), strong, {{{2, 4}}, 10}).empty());
}

TEST_CASE("the range that is missing") {
  struct Row {
    const char* range;  // null: the whole is wanted
    Extent extent;
    std::optional<Gap> expected;
  };
  const std::vector<Row> rows{
      {nullptr, {{{0, 4}}, 10}, Gap{5, std::nullopt}},
      {nullptr, {{{0, 4}}, std::nullopt}, Gap{5, std::nullopt}},
      {nullptr, {{{5, 9}}, 10}, Gap{0, 4}},
      {nullptr, {{{5, 9}}, std::nullopt}, std::nullopt},
      {nullptr, {{{0, 1}, {8, 9}}, 10}, Gap{2, 7}},
      {nullptr, {{{0, 1}, {4, 5}}, 10}, Gap{2, std::nullopt}},
      {nullptr, {{{3, 4}}, 10}, std::nullopt},
      {nullptr, {{}, 10}, std::nullopt},
      {"bytes=3-7", {{{0, 4}}, 10}, Gap{5, 7}},
      {"bytes=3-", {{{0, 4}}, 10}, Gap{5, std::nullopt}},
      {"bytes=6-8", {{{0, 4}}, 10}, std::nullopt},
      {"bytes=1-3", {{{0, 4}}, 10}, std::nullopt},
      {"bytes=-7", {{{0, 4}}, 10}, Gap{5, std::nullopt}},
  };
  for (const auto& row : rows) {
    std::vector<http::Field> fields;
    if (row.range != nullptr) fields.push_back({"Range", row.range});
    CAPTURE(fields.empty() ? "" : row.range);
    CHECK(missing_range(get(fields), strong, row.extent) == row.expected);
  }
  const std::vector<http::Field> weak{{"ETag", "W/\"a\""}};
  CHECK_FALSE(missing_range(get({}), weak, {{{0, 4}}, 10}));
  CHECK_FALSE(missing_range(get({}), {}, {{{0, 4}}, 10}));
  CHECK_FALSE(missing_range(get({}, "HEAD"), strong, {{{0, 4}}, 10}));
  CHECK(range_field({5, std::nullopt}) == "bytes=5-");
  CHECK(range_field({5, 9}) == "bytes=5-9");
}

void check_combined(const Extent& held, std::string_view held_bytes, http::ByteRange part, std::string_view bytes,
                    const Extent& expected, std::string_view expected_bytes) {
  CAPTURE(expected_bytes);
  const auto combined = combine(held, held_bytes, part, bytes, 10);
  REQUIRE(combined);
  CHECK(combined->extent == expected);
  CHECK(combined->bytes == expected_bytes);
}

TEST_CASE("parts are combined") {
  check_combined({{{0, 4}}, 10}, "01234", {5, 9}, "56789", {{{0, 9}}, 10}, "0123456789");
  check_combined({{{5, 9}}, 10}, "56789", {0, 4}, "01234", {{{0, 9}}, 10}, "0123456789");
  check_combined({{{0, 4}}, 10}, "01234", {3, 6}, "DEFG", {{{0, 6}}, 10}, "012DEFG");
  check_combined({{{0, 9}}, 10}, "0123456789", {3, 4}, "DE", {{{0, 9}}, 10}, "012DE56789");
  check_combined({{{3, 4}}, 10}, "34", {0, 9}, "0123456789", {{{0, 9}}, 10}, "0123456789");
  check_combined({{{0, 1}}, 10}, "01", {5, 6}, "56", {{{0, 1}, {5, 6}}, 10}, "0156");
  check_combined({{{5, 6}}, 10}, "56", {0, 1}, "01", {{{0, 1}, {5, 6}}, 10}, "0156");
  check_combined({{{0, 1}, {5, 6}}, 10}, "0156", {2, 4}, "234", {{{0, 6}}, 10}, "0123456");
  check_combined({{{0, 1}, {5, 6}, {9, 9}}, 10}, "01569", {3, 5}, "345", {{{0, 1}, {3, 6}, {9, 9}}, 10}, "0134569");
  check_combined({{}, 10}, "", {3, 4}, "34", {{{3, 4}}, 10}, "34");
  check_combined({{{0, 4}}, std::nullopt}, "01234", {5, 6}, "56", {{{0, 6}}, 10}, "0123456");
  CHECK_FALSE(combine({{{0, 4}}, 10}, "01234", {5, 9}, "56789", 11));
  Extent many;
  std::string bytes;
  for (std::uint64_t i = 0; i < max_extent_ranges; ++i) {
    many.ranges.push_back({i * 3, i * 3});
    bytes += 'x';
  }
  CHECK_FALSE(combine(many, bytes, {1000, 1000}, "y", std::nullopt));
}

TEST_CASE("only the same strong entity tag allows to combine") {
  const std::vector<http::Field> weak{{"ETag", "W/\"a\""}};
  const std::vector<http::Field> other{{"ETag", "\"b\""}};
  CHECK(share_strong_validator(strong, strong));
  CHECK_FALSE(share_strong_validator(strong, weak));
  CHECK_FALSE(share_strong_validator(weak, weak));
  CHECK_FALSE(share_strong_validator(strong, other));
  CHECK_FALSE(share_strong_validator({}, {}));
}

}  // namespace
}  // namespace larder::policy
