#include "larder/policy/validation.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/http/http_date.hpp"

using namespace larder::policy;
using namespace std::chrono_literals;
using larder::http::Field;
using larder::http::FieldList;
using larder::http::FieldSpan;
using Fields = std::vector<Field>;
using Lines = std::vector<std::string>;

namespace {

constexpr std::string_view modified = "Sun, 06 Nov 1994 08:49:37 GMT";

Lines lines_of(FieldSpan fields) {
  Lines lines;
  for (const Field& field : fields) lines.push_back(std::string(field.name) + ": " + std::string(field.value));
  return lines;
}

Lines validating(const Fields& request, const Fields& stored) {
  FieldList fields = FieldList::copy_of(request);
  add_validators(fields, stored);
  return lines_of(fields);
}

Lines freshened(const Fields& stored, const Fields& not_modified) { return lines_of(freshen(stored, not_modified)); }

}  // namespace

TEST_CASE("what counts as a validator, and is sent") {
  struct Case {
    const char* what;
    Fields stored;
    Lines sent;
  };
  const Case cases[] = {
      {"nothing", {}, {}},
      {"tag", {{"ETag", "\"a\""}}, {"If-None-Match: \"a\""}},
      {"weak tag", {{"etag", "W/\"a\""}}, {"If-None-Match: W/\"a\""}},
      {"date", {{"Last-Modified", modified}}, {"If-Modified-Since: " + std::string(modified)}},
      {"both",
       {{"Last-Modified", modified}, {"ETag", "\"a\""}},
       {"If-None-Match: \"a\"", "If-Modified-Since: " + std::string(modified)}},
      {"bare tag goes back as it came", {{"ETag", "abc"}}, {"If-None-Match: abc"}},
      {"star would match everything", {{"ETag", "*"}}, {}},
      {"a list", {{"ETag", "a,b"}}, {}},
      {"half a quote", {{"ETag", "\"a"}}, {}},
      {"white space", {{"ETag", "a b"}}, {}},
      {"empty", {{"ETag", ""}}, {}},
      {"two tags", {{"ETag", "\"a\""}, {"ETag", "\"b\""}}, {}},
      {"no date", {{"Last-Modified", "0"}}, {}},
      {"two dates", {{"Last-Modified", modified}, {"Last-Modified", modified}}, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(validating({}, c.stored) == c.sent);
    CHECK(has_validator(c.stored) == !c.sent.empty());
  }
}

TEST_CASE("the client's own preconditions and range do not go along") {
  CHECK(validating({{"Host", "a"},
                    {"If-None-Match", "\"x\""},
                    {"if-modified-since", modified},
                    {"If-Match", "*"},
                    {"If-Unmodified-Since", modified},
                    {"If-Range", "\"x\""},
                    {"Range", "bytes=0-1"},
                    {"Accept", "b"}},
                   {{"ETag", "\"a\""}}) == Lines{"Host: a", "Accept: b", "If-None-Match: \"a\""});
}

TEST_CASE("freshening") {
  const Fields stored{{"Content-Type", "text/plain"}, {"X-A", "1"}, {"ETag", "\"a\""}, {"X-a", "2"},
                      {"Content-Encoding", "gzip"},   {"X-B", "3"}};
  CHECK(freshened(stored, {}) == lines_of(stored));
  CHECK(freshened(stored, {{"x-a", "9"}, {"New", "n"}, {"Date", "d"}}) == Lines{"Content-Type: text/plain", "x-a: 9",
                                                                                "ETag: \"a\"", "Content-Encoding: gzip",
                                                                                "X-B: 3", "New: n", "Date: d"});
  CHECK(freshened({{"X-A", "1"}}, {{"X-A", "2"}, {"X-A", "3"}}) == Lines{"X-A: 2", "X-A: 3"});
  CHECK(freshened(stored, {{"Content-Length", "0"},
                           {"Content-Encoding", "br"},
                           {"Content-Range", "bytes 0-1/2"},
                           {"Age", "5"},
                           {"X-Cache", "HIT"},
                           {"Connection", "x-hop"},
                           {"X-Hop", "1"},
                           {"Transfer-Encoding", "chunked"}}) == lines_of(stored));
  CHECK(freshened({{"Content-Type", "a/b"}}, {{"Content-Type", "c/d"}}) == Lines{"Content-Type: c/d"});
  CHECK(freshened({{"Content-MD5", "a"}, {"Vary", "a, b"}}, {{"Content-MD5", "c"}, {"Vary", "a"}}) ==
        Lines{"Content-MD5: c", "Vary: a"});
}

TEST_CASE("a 304 brings in nothing that would not have been stored") {
  CHECK(freshened({{"A", "1"}}, {{"Set-Cookie", "a=b"}}) == Lines{"A: 1"});
  CHECK(freshened({{"Set-Cookie", "a=b"}}, {{"Set-Cookie", "a=c"}}) == Lines{"Set-Cookie: a=c"});
  CHECK(freshened({{"A", "1"}}, {{"Cache-Control", "private=\"X\", no-cache=\"y\""}, {"x", "1"}, {"Y", "2"}}) ==
        Lines{"A: 1", "Cache-Control: private=\"X\", no-cache=\"y\""});
}

TEST_CASE("the lifetime after freshening") {
  const TimePoint now = std::chrono::sys_days{std::chrono::year{2025} / 6 / 1};
  const std::string old_date = larder::http::format_http_date(now - 3600s);
  const std::string new_date = larder::http::format_http_date(now - 5s);
  const Fields stored{{"Cache-Control", "max-age=60"}, {"Date", old_date}};
  const auto after = [&](const Fields& not_modified) {
    return compute_freshened_lifetime(200, freshen(stored, not_modified), not_modified, {}, now, now);
  };
  CHECK(after({{"Date", new_date}}).corrected_initial_age == 5s);
  CHECK(after({{"Date", new_date}, {"Age", "30"}}).corrected_initial_age == 30s);
  CHECK(after({}).corrected_initial_age == 0s);
  CHECK(after({}).is_fresh(now));
  CHECK(after({{"Cache-Control", "max-age=120"}}).freshness_lifetime == 120s);
  CHECK(after({{"Date", old_date}}).corrected_initial_age == 3600s);
}

TEST_CASE("which stored response a 304 confirms") {
  struct Case {
    const char* what;
    Fields not_modified, stored;
    bool confirmed;
  };
  constexpr std::string_view other = "Sun, 06 Nov 1994 08:49:38 GMT";
  const Fields strong{{"ETag", "\"a\""}, {"Last-Modified", modified}};
  const Fields weak{{"ETag", "W/\"a\""}};
  const Fields dated{{"Last-Modified", modified}};
  const Case cases[] = {
      {"strong", {{"ETag", "\"a\""}}, strong, true},
      {"strong, other date", {{"ETag", "\"a\""}, {"Last-Modified", other}}, strong, true},
      {"other", {{"ETag", "\"b\""}}, strong, false},
      {"other, same date", {{"ETag", "\"b\""}, {"Last-Modified", modified}}, strong, false},
      {"weak to strong", {{"ETag", "W/\"a\""}}, strong, true},
      {"weak to weak", {{"ETag", "W/\"a\""}}, weak, true},
      {"weak to other weak", {{"ETag", "W/\"b\""}}, weak, false},
      {"strong to weak", {{"ETag", "\"a\""}}, weak, false},
      {"tag, none stored", {{"ETag", "\"a\""}}, dated, false},
      {"bare", {{"ETag", "abc"}}, {{"ETag", "abc"}}, true},
      {"bare, other", {{"ETag", "abd"}}, {{"ETag", "abc"}}, false},
      {"bare to quoted", {{"ETag", "a"}}, strong, false},
      {"broken", {{"ETag", "\"a"}}, strong, false},
      {"broken both", {{"ETag", "\"a"}}, {{"ETag", "\"a"}}, false},
      {"same date", {{"Last-Modified", modified}}, strong, true},
      {"same date in another form", {{"Last-Modified", "Sun Nov  6 08:49:37 1994"}}, dated, true},
      {"other date", {{"Last-Modified", other}}, dated, false},
      {"date, none stored", {{"Last-Modified", modified}}, weak, false},
      {"no validator", {}, strong, true},
      {"no validator at all", {}, {}, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(confirms(c.not_modified, c.stored) == c.confirmed);
  }
}

TEST_CASE("fields without the content coding") {
  const auto plain = decoded_fields(Fields{{"Content-Encoding", "gzip"},
                                           {"ETag", "\"a\""},
                                           {"Vary", "Accept-Encoding"},
                                           {"Content-MD5", "x"},
                                           {"Content-Digest", "x"},
                                           {"Repr-Digest", "x"},
                                           {"Content-Type", "a/b"}});
  CHECK(lines_of(plain) == Lines{"ETag: W/\"a\"", "Vary: Accept-Encoding", "Content-Type: a/b"});
  CHECK(lines_of(decoded_fields(Fields{{"ETag", "W/\"a\""}})) == Lines{"ETag: W/\"a\""});
  CHECK(lines_of(decoded_fields(Fields{{"ETag", "a"}})) == Lines{"ETag: a"});
}

TEST_CASE("the head of a stored response") {
  const Fields stored{{"ETag", "\"a\""}, {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}};
  CHECK(is_head_of(Fields{}, std::nullopt, stored, 5));
  CHECK(is_head_of(Fields{{"ETag", "\"a\""}}, 5, stored, 5));
  CHECK(is_head_of(Fields{{"ETag", "\"a\""}}, 5, stored, std::nullopt));
  CHECK_FALSE(is_head_of(Fields{{"ETag", "\"a\""}}, 6, stored, 5));
  CHECK_FALSE(is_head_of(Fields{{"ETag", "W/\"a\""}}, 5, stored, 5));
  CHECK_FALSE(is_head_of(Fields{{"ETag", "\"b\""}}, 5, stored, 5));
  CHECK_FALSE(is_head_of(Fields{{"Last-Modified", "Sun, 06 Nov 1994 08:49:38 GMT"}}, 5, stored, 5));
  CHECK_FALSE(is_head_of(Fields{{"ETag", "\"a\""}}, 5, Fields{}, 5));
}
