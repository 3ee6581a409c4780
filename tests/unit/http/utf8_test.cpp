#include "larder/http/utf8.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace larder::http;

TEST_CASE("one step") {
  struct Case {
    std::string text;
    std::size_t size;
    bool well_formed;
  };
  const Case cases[] = {
      {"", 0, true},
      {"a", 1, true},
      {std::string(1, '\0'), 1, true},
      {"\x7f", 1, true},
      {"\xc2\x80", 2, true},
      {"\xdf\xbf", 2, true},
      {"\xe0\xa0\x80", 3, true},
      {"\xed\x9f\xbf", 3, true},
      {"\xee\x80\x80", 3, true},
      {"\xef\xbf\xbf", 3, true},
      {"\xf0\x90\x80\x80", 4, true},
      {"\xf4\x8f\xbf\xbf", 4, true},
      {"\xc3\xbc after", 2, true},
      // Alone or out of place.
      {"\x80", 1, false},
      {"\xbf\xbf", 1, false},
      {"\xff", 1, false},
      {"\xfe", 1, false},
      {"\xf5\x80\x80\x80", 1, false},
      // Too long for their character.
      {"\xc0\x80", 1, false},
      {"\xc1\xbf", 1, false},
      {"\xe0\x9f\xbf", 1, false},
      {"\xf0\x8f\xbf\xbf", 1, false},
      // Surrogates, and beyond the last character.
      {"\xed\xa0\x80", 1, false},
      {"\xed\xbf\xbf", 1, false},
      {"\xf4\x90\x80\x80", 1, false},
      // Cut off.
      {"\xc3", 1, false},
      {"\xe2\x82", 2, false},
      {"\xf0\x9f\x98", 3, false},
      {"\xf0\x9f\x98 ", 3, false},
      {"\xe2\x82\xe2\x82\xac", 2, false},
      {"\xc3\xc3\xbc", 1, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto step = utf8_step(c.text);
    CHECK(step.size == c.size);
    CHECK(step.well_formed == c.well_formed);
  }
}

TEST_CASE("whole texts") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("f\xc3\xbc\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80"));
  CHECK_FALSE(is_utf8("f\xfc\xfc"));
  CHECK_FALSE(is_utf8("ab\xe2\x82"));
  CHECK_FALSE(is_utf8(std::string(100'000, '\x80')));
  CHECK(is_utf8(std::string(100'000, 'a')));
}
