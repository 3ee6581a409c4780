#include "larder/http/validator.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;

TEST_CASE("entity tags are read strictly") {
  struct Case {
    std::string_view text;
    bool valid;
    bool weak = false;
    std::string_view opaque = {};
  };
  const Case cases[] = {
      {R"("a")", true, false, "a"},
      {R"("")", true, false, ""},
      {R"(W/"a")", true, true, "a"},
      {R"("a\")", true, false, "a\\"},
      {R"("a,b")", true, false, "a,b"},
      {"\"\xE4\"", true, false, "\xE4"},
      {R"(w/"a")", false},
      {R"(W"a")", false},
      {R"(W\"a")", false},
      {R"(W/ "a")", false},
      {"a", false},
      {"", false},
      {R"(")", false},
      {"W/", false},
      {R"(W/")", false},
      {R"("a)", false},
      {R"(a")", false},
      {R"("a"b)", false},
      {R"("a" )", false},
      {R"("a b")", false},
      {"\"a\tb\"", false},
      {"\"a\x7F\"", false},
      {R"('a')", false},
      {"*", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto tag = parse_entity_tag(c.text);
    REQUIRE(tag.has_value() == c.valid);
    if (!tag) continue;
    CHECK(tag->weak == c.weak);
    CHECK(tag->opaque == c.opaque);
  }
}

TEST_CASE("comparison (RFC 9110 §8.8.3.2, its table)") {
  struct Case {
    std::string_view a, b;
    bool strong, weak;
  };
  const Case cases[] = {
      {R"(W/"1")", R"(W/"1")", false, true}, {R"(W/"1")", R"(W/"2")", false, false},
      {R"(W/"1")", R"("1")", false, true},   {R"("1")", R"("1")", true, true},
      {R"("a")", R"("A")", false, false},
  };
  for (const Case& c : cases) {
    const auto a = parse_entity_tag(c.a);
    const auto b = parse_entity_tag(c.b);
    REQUIRE((a && b));
    CHECK(strong_match(*a, *b) == c.strong);
    CHECK(strong_match(*b, *a) == c.strong);
    CHECK(weak_match(*a, *b) == c.weak);
    CHECK(weak_match(*b, *a) == c.weak);
  }
}

TEST_CASE("the ETag of a head") {
  CHECK(entity_tag(Fields{{"etag", R"("a")"}})->opaque == "a");
  CHECK_FALSE(entity_tag({}));
  CHECK_FALSE(entity_tag(Fields{{"ETag", "a"}}));
  CHECK_FALSE(entity_tag(Fields{{"ETag", R"("a")"}, {"ETag", R"("a")"}}));
}

TEST_CASE("If-None-Match") {
  struct Case {
    std::vector<std::string_view> lines;
    std::string_view stored;  // empty: none
    bool names;
  };
  const Case cases[] = {
      {{R"("a")"}, R"("a")", true},
      {{R"("a")"}, R"(W/"a")", true},
      {{R"(W/"a")"}, R"("a")", true},
      {{R"("b")"}, R"("a")", false},
      {{R"("x","a")"}, R"("a")", true},
      {{R"("x" , , "a" ,)"}, R"("a")", true},
      {{R"("x")", R"("a")"}, R"("a")", true},
      {{R"("a,b")"}, R"("a,b")", true},
      {{R"("a,b")"}, R"("b")", false},
      {{R"("x\", "a")"}, R"("a")", true},  // a backslash quotes nothing here
      {{"*"}, R"("a")", true},
      {{" * "}, "", true},
      {{"*", R"("b")"}, R"("a")", false},
      {{R"(*, "b")"}, R"("a")", false},
      {{"a"}, R"("a")", false},
      {{R"(a, "a")"}, R"("a")", true},
      {{R"("b, "a")"}, R"("a")", true},
      {{R"("a"b)"}, R"("a")", false},
      {{R"(w/"a")"}, R"("a")", false},
      {{R"("a")"}, "", false},
      {{""}, R"("a")", false},
      {{}, R"("a")", false},
  };
  for (const Case& c : cases) {
    Fields fields;
    for (const auto line : c.lines) fields.push_back({"If-None-Match", line});
    CAPTURE(c.stored);
    CAPTURE(larder::http::combined(fields, "if-none-match").value_or("(none)"));
    CHECK(if_none_match_names(fields, parse_entity_tag(c.stored)) == c.names);
  }
}

TEST_CASE("a hostile If-None-Match ends") {
  const auto stored = parse_entity_tag(R"("a")");
  CHECK_FALSE(if_none_match_names(Fields{{"If-None-Match", std::string(200'000, '"')}}, stored));
  CHECK_FALSE(if_none_match_names(Fields{{"If-None-Match", std::string(200'000, ',')}}, stored));
}
