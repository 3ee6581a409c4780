#include "larder/policy/answer_check.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>
#include <vector>

namespace larder::policy {
namespace {

using Fields = std::vector<http::Field>;
using Names = std::vector<std::string>;

TEST_CASE("what differs between two answers") {
  const Names compared{"Content-Type", "Location"};
  const Fields json{{"Content-Type", "application/json"}, {"Date", "now"}};
  const Fields later{{"content-type", "application/json"}, {"Date", "later"}, {"X-Runtime", "7"}};
  const Fields html{{"Content-Type", "text/html"}};
  const Fields two{{"Location", "/a"}, {"Location", "/b"}};
  const Fields joined{{"Location", "/a, /b"}};
  struct Row {
    const char* what;
    ComparedAnswer stored;
    ComparedAnswer fresh;
    Names expected;
  };
  const std::vector<Row> rows{
      {"nothing", {200, json, "x"}, {200, json, "x"}, {}},
      {"what is not compared", {200, json, "x"}, {200, later, "x"}, {}},
      {"the status", {200, json, "x"}, {404, json, "x"}, {"status"}},
      {"a field", {200, json, "x"}, {200, html, "x"}, {"Content-Type"}},
      {"a field that is gone", {200, json, "x"}, {200, {}, "x"}, {"Content-Type"}},
      {"two lines are one value", {301, two, ""}, {301, joined, ""}, {}},
      {"the body", {200, json, "x"}, {200, json, "y"}, {"body"}},
      {"its length", {200, json, "x"}, {200, json, "xx"}, {"body"}},
      {"all", {200, json, "x"}, {302, two, ""}, {"status", "Content-Type", "Location", "body"}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK(differences(row.stored, row.fresh, compared) == row.expected);
  }
  CHECK(differences({200, json, "x"}, {200, html, "x"}, {}).empty());
}

TEST_CASE("bodies in different codings are not compared") {
  const Fields gzip{{"Content-Encoding", "gzip"}};
  CHECK(have_same_coding(gzip, Fields{{"content-encoding", "gzip"}}));
  CHECK(have_same_coding({}, {}));
  CHECK_FALSE(have_same_coding(gzip, {}));
  CHECK_FALSE(have_same_coding(gzip, Fields{{"Content-Encoding", "br"}}));
}

TEST_CASE("credentials: equal for equal ones, different for all others") {
  const std::vector<Fields> all{{},
                                {{"Authorization", "a"}},
                                {{"Authorization", "b"}},
                                {{"Cookie", "a"}},
                                {{"Cookie", "a"}, {"Cookie", "b"}},
                                {{"Cookie", "ab"}},
                                {{"Authorization", "a"}, {"Cookie", "a"}}};
  std::set<std::uint64_t> seen;
  for (const auto& fields : all) seen.insert(credentials_of(fields));
  CHECK(seen.size() == all.size());
  CHECK(credentials_of({}) == 0);
  CHECK(credentials_of(Fields{{"Accept", "a"}}) == 0);
  CHECK(credentials_of(Fields{{"cookie", "a"}, {"X", "y"}, {"AUTHORIZATION", "a"}}) == credentials_of(all.back()));
}

}  // namespace
}  // namespace larder::policy
