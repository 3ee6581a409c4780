#include "larder/http/conditional.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;

namespace {

constexpr std::string_view older = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view same = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view newer = "Sun, 06 Nov 1994 08:49:38 GMT";
constexpr auto proceed = Precondition::proceed;
constexpr auto not_modified = Precondition::not_modified;

}  // namespace

TEST_CASE("preconditions that a cache evaluates") {
  struct Case {
    const char* what;
    Fields request;
    Fields stored;
    Precondition expected;
    std::string_view method = "GET";
    int status = 200;
  };
  const Fields stored{{"ETag", R"("a")"}, {"Last-Modified", same}};
  const Case cases[] = {
      {"none", {}, stored, proceed},
      {"tag matches", {{"If-None-Match", R"("a")"}}, stored, not_modified},
      {"HEAD", {{"If-None-Match", R"("a")"}}, stored, not_modified, "HEAD"},
      {"tag differs", {{"If-None-Match", R"("b")"}}, stored, proceed},
      {"star", {{"If-None-Match", "*"}}, stored, not_modified},
      {"star, no tag stored", {{"If-None-Match", "*"}}, {}, not_modified},
      {"tag before date", {{"If-None-Match", R"("b")"}, {"If-Modified-Since", same}}, stored, proceed},
      {"tag before date 2", {{"If-None-Match", R"("a")"}, {"If-Modified-Since", older}}, stored, not_modified},
      {"malformed tag still hides the date", {{"If-None-Match", "x"}, {"If-Modified-Since", same}}, stored, proceed},
      {"same date", {{"If-Modified-Since", same}}, stored, not_modified},
      {"later date", {{"If-Modified-Since", newer}}, stored, not_modified},
      {"earlier date", {{"If-Modified-Since", older}}, stored, proceed},
      {"asctime", {{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}}, stored, not_modified},
      {"rfc850", {{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}}, stored, not_modified},
      {"bad date", {{"If-Modified-Since", "0"}}, stored, proceed},
      {"two lines", {{"If-Modified-Since", same}, {"If-Modified-Since", same}}, stored, proceed},
      {"Date in place of Last-Modified", {{"If-Modified-Since", same}}, {{"Date", same}}, not_modified},
      {"Date is newer", {{"If-Modified-Since", same}}, {{"Date", newer}}, proceed},
      {"bad Last-Modified", {{"If-Modified-Since", same}}, {{"Last-Modified", "x"}, {"Date", same}}, proceed},
      {"nothing to compare", {{"If-Modified-Since", same}}, {}, proceed},
      {"POST", {{"If-None-Match", R"("a")"}}, stored, proceed, "POST"},
      {"stored 404", {{"If-None-Match", R"("a")"}}, stored, proceed, "GET", 404},
      {"stored 204", {{"If-Modified-Since", same}}, stored, proceed, "GET", 204},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(evaluate_for_cache(c.method, c.request, c.status, c.stored, std::chrono::system_clock::time_point{}) ==
          c.expected);
  }
}

TEST_CASE("whose business a precondition is") {
  CHECK(has_origin_preconditions(Fields{{"if-match", "*"}}));
  CHECK(has_origin_preconditions(Fields{{"If-Unmodified-Since", "x"}}));
  CHECK_FALSE(has_origin_preconditions(Fields{{"If-None-Match", "*"}}));
  CHECK(has_cache_preconditions(Fields{{"If-None-Match", "*"}}));
  CHECK(has_cache_preconditions(Fields{{"if-modified-since", "x"}}));
  CHECK_FALSE(has_cache_preconditions(Fields{{"If-Match", "*"}}));
}
