#include "larder/http/target.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace larder::http;

TEST_CASE("the normal form of a path and query") {
  struct Case {
    std::string_view target;
    std::string_view normal;  // empty: invalid
  };
  const Case cases[] = {
      {"/", "/"},
      {"/a/b?c=d&e=f", "/a/b?c=d&e=f"},
      {"/a%20b", "/a%20b"},
      {"/a%2fb", "/a%2Fb"},
      {"/%7euser/%41", "/~user/A"},
      {"/a?x=%7e%2f%zz", ""},
      {"/a?x=%7e%2f", "/a?x=~%2F"},
      {"/%25%34%31", "/%2541"},  // decoded once only
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a/"},
      {"/a/b/.", "/a/b/"},
      {"/..", "/"},
      {"/../../etc/passwd", "/etc/passwd"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/%2e/b", "/a/b"},
      {"/a/.../b/..c/.d/e.", "/a/.../b/..c/.d/e."},
      {"/a/..?x=/../", "/?x=/../"},
      {"/.?", "/?"},
      {"/a?", "/a?"},
      {"/a?b?c/../d", "/a?b?c/../d"},
      {"//a//b", "//a//b"},
      {"/a/..//b", "//b"},
      {"/filter?f[name]=x:@!$&'()*+,;=", "/filter?f[name]=x:@!$&'()*+,;="},
      {"", ""},
      {"a", ""},
      {"*", ""},
      {"?a", ""},
      {"/a#b", ""},
      {"/a b", ""},
      {"/a\tb", ""},
      {"/a\r\nX: y", ""},
      {"/a\\b", "/a%5Cb"},  // no URI characters, but sent raw by browsers and curl
      {"/a\"b", "/a%22b"},
      {"/<x>", "/%3Cx%3E"},
      {"/{x}?`^", "/%7Bx%7D?%60%5E"},
      {"/a|b?c|d", "/a%7Cb?c%7Cd"},
      {"/\xC3\xA4", "/%C3%A4"},
      {"/%", ""},
      {"/%a", ""},
      {"/%g0", ""},
      {"/?%", ""},
      {"/?%4", ""},
      {std::string_view("/a\0b", 4), ""},
      {"/%00", "/%00"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.target);
    const auto normal = normalise_target(c.target);
    REQUIRE(normal.has_value() == !c.normal.empty());
    CHECK(is_normal_target(c.target) == (!c.normal.empty() && c.target == c.normal));
    if (!normal) continue;
    CHECK(*normal == c.normal);
    CHECK(is_normal_target(*normal));
    CHECK(normalise_target(*normal) == *normal);
  }
}

TEST_CASE("hostile paths take linear time") {
  std::string dots;
  for (int i = 0; i < 200'000; ++i) dots += "/.a";
  CHECK(is_normal_target(dots));
  std::string up;
  for (int i = 0; i < 200'000; ++i) up += "/a";
  for (int i = 0; i < 200'000; ++i) up += "/..";
  CHECK(normalise_target(up) == "/");
}

TEST_CASE("request targets") {
  struct Case {
    std::string_view method, target;
    bool valid;
    std::string_view scheme = {}, authority = {}, path = {};
  };
  const Case cases[] = {
      {"GET", "/a?b", true, "", "", "/a?b"},
      {"GET", "/a/../b", true, "", "", "/b"},
      {"GET", "//host/path", true, "", "", "//host/path"},
      {"GET", "http://Example.COM:8080/A%7e", true, "http", "example.com:8080", "/A~"},
      {"GET", "HTTPS://h", true, "https", "h", "/"},
      {"GET", "http://h?x", true, "http", "h", "/?x"},
      {"GET", "http://[::1]:80/", true, "http", "[::1]:80", "/"},
      {"OPTIONS", "*", true, "", "", "*"},
      {"OPTIONS", "http://h", true, "http", "h", "*"},
      {"OPTIONS", "http://h/", true, "http", "h", "/"},
      {"GET", "*", false},
      {"GET", "", false},
      {"GET", "a", false},
      {"GET", "h:80", false},
      {"CONNECT", "h:80", false},
      {"CONNECT", "/", false},
      {"GET", "ftp://h/", false},
      {"GET", "http:/a", false},
      {"GET", "http:a", false},
      {"GET", "http://", false},
      {"GET", "http:///a", false},
      {"GET", "http://:80/", false},
      {"GET", "http://u@h/", false},
      {"GET", "http://u:p@h/", false},
      {"GET", "http://h:99999/", false},
      {"GET", "http://h/#f", false},
      {"GET", "http://h#f", false},
      {"GET", "http://h /", false},
      {"GET", "http://h\\a/", false},
      {"GET", "/a#b", false},
      {"GET", "1http://h/", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.target);
    const auto target = parse_target(c.method, c.target);
    REQUIRE(target.has_value() == c.valid);
    if (!target) continue;
    CHECK(target->scheme == c.scheme);
    CHECK(target->authority == c.authority);
    CHECK(target->target == c.path);
  }
}

TEST_CASE("references are resolved (RFC 3986 §5.4, as far as http goes)") {
  const Target base{"http", "a", "/b/c/d;p?q"};
  struct Case {
    std::string_view reference, expected;
  };
  const Case cases[] = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {";x", "http://a/b/c/;x"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../../../../g", "http://a/g"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"HTTP://B:80/%7e", "http://b:80/~"},
      {"https://b?x", "https://b/?x"},
      {"http://b#/x", "http://b/"},
      {"http:g", ""},
      {"g:h", ""},
      {"mailto:x@y", ""},
      {"javascript:alert(1)", ""},
      {"http://u@b/", ""},
      {"//u@b/", ""},
      {"///x", ""},
      {"/a b", ""},
      {"/\xC3\xA4", "http://a/%C3%A4"},
      {"/%zz", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reference);
    const auto resolved = resolve_reference(c.reference, base);
    REQUIRE(resolved.has_value() == !c.expected.empty());
    if (resolved) CHECK(resolved->scheme + "://" + resolved->authority + resolved->target == c.expected);
  }
  CHECK(resolve_reference("x", {"http", "a", "*"})->target == "/x");
  CHECK(resolve_reference("x", {"", "", "/y"})->target == "/x");
}

TEST_CASE("authorities") {
  for (const auto valid : {"", "a", "a.b", "a:80", "a:", "127.0.0.1:8080", "[::1]", "[::ffff:1.2.3.4]:443", "a_b",
                           "%41b", "[v1.a:b]", "xn--a", "a:65535"}) {
    CAPTURE(valid);
    CHECK(is_valid_authority(valid));
  }
  for (const auto invalid : {":80",          "a:b",
                             "a:80:80",      "a:65536",
                             "a:-1",         "a b",
                             "a/b",          "a?b",
                             "a#b",          "u@a",
                             "[::1",         "::1",
                             "[]",           "[::1]x",
                             "[::1]:x",      "[1.2.3.4]",
                             "[::1%25eth0]", "[v.a]",
                             "[v1.]",        "%4",
                             "%zz",          "a\\b",
                             "a\tb",         "\xC3\xA4",
                             "a,b/c",        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333:4444]"}) {
    CAPTURE(invalid);
    CHECK_FALSE(is_valid_authority(invalid));
  }
}

TEST_CASE("default ports") {
  CHECK(without_default_port("http", "a:80") == "a");
  CHECK(without_default_port("HTTPS", "a:443") == "a");
  CHECK(without_default_port("http", "a:443") == "a:443");
  CHECK(without_default_port("http", "a:") == "a");
  CHECK(without_default_port("http", "a") == "a");
  CHECK(without_default_port("http", "[::80]") == "[::80]");
  CHECK(without_default_port("http", "[::1]:80") == "[::1]");
  CHECK(without_default_port("", "").empty());
}
