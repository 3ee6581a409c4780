#include "larder/policy/selector.hpp"

#include <chrono>
#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::policy {
namespace {

TEST_CASE("glob_match: the table") {
  struct Row {
    std::string_view pattern;
    std::string_view text;
    bool expected;
  };
  const std::vector<Row> rows{
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "cache:search:1", true},
      {"**", "", true},
      {"?", "", false},
      {"?", "a", true},
      {"?", "ab", false},
      {"cache:search:*", "cache:search:", true},
      {"cache:search:*", "cache:search:a:b/c", true},
      {"cache:search:*", "cache:searches:a", false},
      {"cache:*:42", "cache:user:profile:42", true},
      {"cache:*:42", "cache:user:profile:421", false},
      {"*a*b", "xxaxxab", true},
      {"*a*b", "xxaxxabc", false},
      {"a*a", "a", false},
      {"a*a", "aa", true},
      {"*ab", "aab", true},
      {"*aab", "aaaab", true},
      {"a?c*", "abcd", true},
      {"[abc]", "b", true},
      {"[abc]", "d", false},
      {"[a-c]x", "bx", true},
      {"[c-a]x", "bx", true},
      {"[^a-c]x", "bx", false},
      {"[^a-c]x", "dx", true},
      {"[^]", "a", true},
      {"[]", "a", false},
      {"[", "a", false},
      {"[", "[", false},
      {"[a", "a", true},
      {"[a-", "a", true},
      {"[a-", "-", true},
      {"[\\]]", "]", true},
      {"[a\\]b]", "]", true},
      {"[\\", "\\", true},
      {"x[a-z]*[0-9]", "xqqqq7", true},
      {"x[a-z]*[0-9]", "xqqqqq", false},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\?\\[\\\\", "?[\\", true},
      {"a\\", "a\\", true},
      {"a\\", "a", false},
      {std::string_view("a\0*", 3), std::string_view("a\0b", 3), true},
      {"\xff*", "\xff\xfe", true},
      {"[\x80-\xff]", "\xc3", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.text);
    CHECK(glob_match(row.pattern, row.text) == row.expected);
  }
}

TEST_CASE("glob_match: hostile patterns take no exponential time") {
  const std::string text(20000, 'a');
  std::string stars;
  for (int i = 0; i < 2000; ++i) stars += "*a";
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(glob_match(stars + "b", text));
  CHECK(glob_match(stars, text));
  CHECK_FALSE(glob_match(std::string(5000, '*') + "b", text));
  CHECK_FALSE(glob_match("*" + std::string(2000, '?') + "b", text));
  CHECK_FALSE(glob_match("*[" + std::string(500, 'x'), text));
  CHECK_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("glob_match: random patterns agree with a plain recursive matcher") {
  struct Plain {
    static bool match(std::string_view p, std::string_view t) {
      if (p.empty()) return t.empty();
      if (p[0] == '*') return match(p.substr(1), t) || (!t.empty() && match(p, t.substr(1)));
      return !t.empty() && (p[0] == '?' || p[0] == t[0]) && match(p.substr(1), t.substr(1));
    }
  };
  std::uint32_t seed = 1;
  const auto next = [&seed](std::uint32_t bound) {
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 16U) % bound;
  };
  for (int i = 0; i < 20000; ++i) {
    std::string pattern;
    std::string text;
    for (auto n = next(8); n > 0; --n) pattern += "ab*?"[next(4)];
    for (auto n = next(9); n > 0; --n) text += "ab"[next(2)];
    CAPTURE(pattern);
    CAPTURE(text);
    REQUIRE(glob_match(pattern, text) == Plain::match(pattern, text));
  }
}

TEST_CASE("glob_quoted matches exactly its text") {
  for (const std::string text : {"", "*", "a?b", "[x]", "\\", "a\\*", "cache:user:42"}) {
    CAPTURE(text);
    CHECK(glob_match(glob_quoted(text), text));
    CHECK_FALSE(glob_match(glob_quoted(text), text + "x"));
  }
  CHECK_FALSE(glob_match(glob_quoted("[a]"), "a"));
}

TEST_CASE("path_match: the table") {
  struct Row {
    std::string_view pattern;
    std::string_view path;
    bool expected;
  };
  const std::vector<Row> rows{
      {"/", "/", true},
      {"/", "/a", false},
      {"/a", "/a", true},
      {"/a", "/a/", false},
      {"/a/", "/a/", true},
      {"/a", "/a?x=/b", true},
      {"/a", "/ab", false},
      {"/*", "/a", true},
      {"/*", "/", false},
      {"/*", "/a/b", false},
      {"/**", "/", true},
      {"/**", "/a/b/c/", true},
      {"/api/products/**", "/api/products", true},
      {"/api/products/**", "/api/products/", true},
      {"/api/products/**", "/api/products/42?x=1", true},
      {"/api/products/**", "/api/products/42/reviews", true},
      {"/api/products/**", "/api/products2", false},
      {"/api/*/reviews", "/api/42/reviews", true},
      {"/api/*/reviews", "/api/42/x/reviews", false},
      {"/api/**/reviews", "/api/reviews", true},
      {"/api/**/reviews", "/api/1/2/reviews", true},
      {"/api/**/reviews", "/api/1/2/reviews/3", false},
      {"/**/a/**/b", "/a/x/a/y/b", true},
      {"/**/a/**/b", "/x/b/a", false},
      {"/**/*", "/", false},
      {"/**/*", "/x", true},
      {"/**/**", "/x/y", true},
      {"/a*", "/ab", false},
      {"/a*", "/a*", true},
      {"/\\*", "/*", true},
      {"/\\*", "/a", false},
      {"/\\**", "/**", true},
      {"/\\**", "/a/b", false},
      {"/\\\\x", "/\\x", true},
      {"", "", false},
      {"", "/", false},
      {"a", "/a", false},
      {"/a", "a", false},
      {"/a", "*", false},
      {"/a//b", "/a//b", true},
      {"/a//b", "/a/b", false},
      {"/a/*/b", "/a//b", false},
      {"/a/**/b", "/a//b", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.path);
    CHECK(path_match(row.pattern, row.path) == row.expected);
  }
}

TEST_CASE("path_match: hostile patterns take no exponential time") {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "/**/a";
  std::string path;
  for (int i = 0; i < 5000; ++i) path += "/a";
  const auto begin = std::chrono::steady_clock::now();
  CHECK(path_match(pattern, path));
  CHECK_FALSE(path_match(pattern + "/b", path));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("matches: each kind names what it says and no more") {
  const std::vector<std::string> tags{"product:42", "shop"};
  const PurgeSubject subject{.key = "cache:product:abc:variant",
                             .base_key = "cache:product:abc",
                             .type = "product",
                             .origin = "http://a.example",
                             .target = "/api/products/42?x=1",
                             .tags = tags};
  struct Row {
    SelectorKind kind;
    std::string value;
    bool expected;
  };
  const std::vector<Row> rows{
      {SelectorKind::key, "cache:product:abc", true},
      {SelectorKind::key, "cache:product:abc:variant", true},
      {SelectorKind::key, "cache:product:ab", false},
      {SelectorKind::key, "", false},
      {SelectorKind::type, "product", true},
      {SelectorKind::type, "prod", false},
      {SelectorKind::glob, "cache:product:*", true},
      {SelectorKind::glob, "cache:product:ab?", true},
      {SelectorKind::glob, "cache:search:*", false},
      {SelectorKind::tag, "product:42", true},
      {SelectorKind::tag, "shop", true},
      {SelectorKind::tag, "product:4", false},
      {SelectorKind::path, "/api/products/*", true},
      {SelectorKind::path, "/api/users/**", false},
      {SelectorKind::target, "/api/products/42?x=1", true},
      {SelectorKind::target, "/api/products/42", false},
      {SelectorKind::target, "http://a.example/api/products/42?x=1", true},
      {SelectorKind::target, "http://b.example/api/products/42?x=1", false},
      {SelectorKind::target, "http://a.example/api/products/42", false},
      {SelectorKind::target, "http://a.example", false},
      {SelectorKind::all, "", true},
  };
  for (const auto& row : rows) {
    CAPTURE(to_string(row.kind));
    CAPTURE(row.value);
    CHECK(matches({row.kind, row.value}, subject) == row.expected);
  }
}

TEST_CASE("literal_prefix begins every subject that matches") {
  struct Row {
    Selector selector;
    std::string_view expected;
  };
  const std::vector<Row> rows{
      {{SelectorKind::key, "cache:a:b"}, "cache:a:b"},
      {{SelectorKind::target, "/a?x"}, "/a?x"},
      {{SelectorKind::glob, "cache:a:*"}, "cache:a:"},
      {{SelectorKind::glob, "cache:a\\*"}, "cache:a"},
      {{SelectorKind::glob, "*"}, ""},
      {{SelectorKind::glob, "cache:a"}, "cache:a"},
      {{SelectorKind::path, "/api/products/**"}, "/api/products"},
      {{SelectorKind::path, "/api/products/*"}, "/api/products/"},
      {{SelectorKind::path, "/api/products/\\*"}, "/api/products/"},
      {{SelectorKind::path, "/**"}, ""},
      {{SelectorKind::path, "/a/b"}, "/a/b"},
      {{SelectorKind::tag, "t"}, ""},
      {{SelectorKind::type, "t"}, ""},
      {{SelectorKind::all, ""}, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(encode(row.selector));
    CHECK(literal_prefix(row.selector) == row.expected);
  }
}

TEST_CASE("encode and parse_selector are inverse; what is not a selector is refused") {
  const std::vector<Selector> selectors{
      {SelectorKind::key, "cache:a:b"}, {SelectorKind::type, "product"},    {SelectorKind::glob, "cache:*"},
      {SelectorKind::tag, "a:b:c"},     {SelectorKind::path, "/api/**"},    {SelectorKind::target, "/a?b=c:d"},
      {SelectorKind::all, ""},          {SelectorKind::tag, "line\nbreak"}, {SelectorKind::tag, std::string(1, '\0')},
  };
  for (const auto& selector : selectors) {
    CAPTURE(encode(selector));
    CHECK(parse_selector(encode(selector)) == selector);
  }
  for (const std::string_view bad : {"", ":", "all", "all:x", "key", "key:", "tag:", "Key:a", "unknown:x", " key:a"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_selector(bad).has_value());
  }
}

TEST_CASE("selector_kind knows each name") {
  for (const auto kind : {SelectorKind::key, SelectorKind::type, SelectorKind::glob, SelectorKind::tag,
                          SelectorKind::path, SelectorKind::target, SelectorKind::all}) {
    CHECK(selector_kind(to_string(kind)) == kind);
  }
  CHECK_FALSE(selector_kind("").has_value());
}

TEST_CASE("a tag view is the same of strings and of their packed form") {
  const std::vector<std::vector<std::string>> rows{{}, {""}, {"a"}, {"", "b", std::string(70'000, 'c'), ""}};
  for (const auto& row : rows) {
    const auto text = TagView::pack(row);
    CHECK(TagView(row).strings() == row);
    CHECK(TagView::packed(text).strings() == row);
    CHECK(TagView::packed(text).empty() == row.empty());
  }
}

}  // namespace
}  // namespace larder::policy
