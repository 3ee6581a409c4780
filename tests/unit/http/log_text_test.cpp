#include "larder/http/log_text.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

#include "larder/http/utf8.hpp"

using namespace larder::http;

namespace {

std::string log_text(std::string_view text) {
  std::string out;
  append_log_text(out, text);
  return out;
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_text(out, text);
  return out;
}

std::string without_secrets(std::string_view target) {
  static const std::vector<std::string> names{"token", "X-Amz-*", "pass word"};
  std::string out;
  append_without_secrets(out, target, names);
  return out;
}

}  // namespace

TEST_CASE("what would break a line, move a cursor or is no UTF-8 is escaped") {
  struct Case {
    std::string_view text;
    std::string_view log;
    std::string_view json;
  };
  using namespace std::string_view_literals;
  const Case cases[] = {
      {"plain /a?b=c", "plain /a?b=c", "plain /a?b=c"},
      {"Zürich €", "Zürich €", "Zürich €"},
      {"a\r\nb", "a\\x0d\\x0ab", "a\\u000d\\u000ab"},
      {"\x1b[2J", "\\x1b[2J", "\\u001b[2J"},
      {"a\0b"sv, "a\\x00b", "a\\u0000b"},
      {"\x7f", "\\x7f", "\\u007f"},
      {"\xC2\x9B", "\\xc2\\x9b", "\\\\xc2\\\\x9b"},                  // CSI as one C1 character
      {"\xE2\x80\xAE", "\\xe2\\x80\\xae", "\\\\xe2\\\\x80\\\\xae"},  // right-to-left override
      {"\xE2\x80\xA8", "\\xe2\\x80\\xa8", "\\\\xe2\\\\x80\\\\xa8"},  // line separator
      {"\xE2\x81\xA6", "\\xe2\\x81\\xa6", "\\\\xe2\\\\x81\\\\xa6"},  // left-to-right isolate
      {"\xFF", "\\xff", "\\\\xff"},
      {"\xC3", "\\xc3", "\\\\xc3"},
      {"\xED\xA0\x80", "\\xed\\xa0\\x80", "\\\\xed\\\\xa0\\\\x80"},  // a surrogate
      {R"("quoted\")", R"("quoted\")", R"(\"quoted\\\")"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(log_text(c.text) == c.log);
    CHECK(json_text(c.text) == c.json);
  }
}

TEST_CASE("whatever the bytes, both forms are one line of UTF-8") {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> byte(0, 255);
  for (int i = 0; i < 2000; ++i) {
    std::string text(32, '\0');
    for (auto& c : text) c = static_cast<char>(byte(random));
    for (const auto& out : {log_text(text), json_text(text)}) {
      CHECK(is_utf8(out));
      for (const char c : out) CHECK(static_cast<unsigned char>(c) >= 0x20);
    }
  }
}

TEST_CASE("secrets of targets are hidden") {
  struct Case {
    std::string_view target;
    std::string_view shown;
  };
  const Case cases[] = {
      {"/a", "/a"},
      {"/a?b=c", "/a?b=c"},
      {"/a?token=abc", "/a?token=***"},
      {"/a?token=abc&b=c", "/a?token=***&b=c"},
      {"/a?b=c;token=abc;d", "/a?b=c;token=***;d"},
      {"/a?TOKEN=abc", "/a?TOKEN=***"},
      {"/a?%74oken=abc", "/a?%74oken=***"},
      {"/a?token=a=b", "/a?token=***"},
      {"/a?token", "/a?token"},
      {"/a?token=", "/a?token=***"},
      {"/a?tokens=abc", "/a?tokens=abc"},
      {"/a?my_token=abc", "/a?my_token=abc"},
      {"/a?X-Amz-Signature=abc&x-amz-date=1", "/a?X-Amz-Signature=***&x-amz-date=***"},
      {"/a?pass%20word=abc", "/a?pass%20word=***"},
      {"/a?b=c?token=abc", "/a?b=c?token=abc"},  // a '?' in a value is data
      {"/a?&&token=x&&", "/a?&&token=***&&"},
      {"/a?u=http://me:secret@host/x", "/a?u=http://***@host/x"},
      {"/a?u=http%3A%2F%2Fme%3Asecret%40host%2Fx%40y", "/a?u=http%3A%2F%2F***%40host%2Fx%40y"},
      {"/a?u=http://me:se@cret@host/x@y", "/a?u=http://***@host/x@y"},
      {"/proxy/http://me:secret@host/x", "/proxy/http://***@host/x"},
      {"/a?u=http://host/x", "/a?u=http://host/x"},
      {"/a?u=://", "/a?u=://"},
      {"*", "*"},
      {"", ""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.target);
    CHECK(without_secrets(c.target) == c.shown);
  }
}
