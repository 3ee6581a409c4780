#include "larder/policy/vary.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::policy;
using larder::http::Field;
using Fields = std::vector<Field>;
using Names = std::vector<std::string>;

namespace {

VaryNames vary(std::initializer_list<std::string_view> lines) {
  Fields fields;
  for (const auto line : lines) fields.push_back({"Vary", line});
  return vary_names(fields);
}

Fields with(std::string_view name, std::initializer_list<std::string_view> lines) {
  Fields fields{{"Host", "a"}};
  for (const auto line : lines) fields.push_back({name, line});
  return fields;
}

}  // namespace

TEST_CASE("names of Vary") {
  CHECK(vary({}).names.empty());
  CHECK(vary({""}).names.empty());
  CHECK(vary({"Foo"}).names == Names{"foo"});
  CHECK(vary({"foo, BAR ,,foo", "Baz", "bar"}).names == Names{"bar", "baz", "foo"});
  CHECK_FALSE(vary({"foo"}).star);
  for (const auto star :
       {"*", " * ", "*, *", "foo, *", "*, foo", ", *", "foo bar", "foo;bar", "\"foo\"", "f\xC3\xB6"}) {
    CAPTURE(star);
    CHECK(vary({star}).star);
    CHECK(vary({"foo", star}).star);
    CHECK(vary({star, "foo"}).star);
  }
  std::string many;
  for (std::size_t i = 0; i < max_vary_names; ++i) many += "name" + std::to_string(i) + ",";
  CHECK_FALSE(vary({many}).star);
  CHECK(vary({many, "one-more"}).star);
  CHECK(vary({many}).names.size() == max_vary_names);
}

TEST_CASE("which requests match") {
  struct Case {
    std::string_view name;
    std::initializer_list<std::string_view> stored, request;
    bool match;
  };
  const Case cases[] = {
      {"foo", {"1"}, {"1"}, true},
      {"foo", {"1"}, {"2"}, false},
      {"foo", {"1"}, {}, false},
      {"foo", {}, {"1"}, false},
      {"foo", {}, {}, true},
      {"foo", {}, {""}, false},  // absent is not empty
      {"foo", {"1, 2"}, {"1", "2"}, true},
      {"foo", {"1,2"}, {"1 ,\t2"}, true},
      {"foo", {"1, 2"}, {"2, 1"}, false},
      {"foo", {"1 2"}, {"1  2"}, false},
      {"foo", {"a"}, {"A"}, false},
      {"foo", {"\"a, b\""}, {"\"a,b\""}, false},
      {"foo", {"ab"}, {"a", "b"}, false},
      {"user-agent", {"a, b"}, {"a,b"}, false},
      {"cookie", {"a=1; b=2"}, {"a=1", "b=2"}, true},
      {"cookie", {"a=1,b=2"}, {"a=1, b=2"}, false},
      {"authorization", {"x a=1, b=2"}, {"x a=1,b=2"}, false},
      {"accept-language", {"en, de"}, {"de,EN"}, true},
      {"accept-language", {"en, de;q=0.5"}, {"de; Q=0.500 ,en;q=1.0"}, true},
      {"accept-language", {"en;q=0.5, de"}, {"en, de;q=0.5"}, false},
      {"accept-language", {"en;q=0"}, {"en;q=0.000"}, true},
      {"accept-language", {"en;q=0"}, {"en"}, false},
      {"accept-language", {"en-US"}, {"en"}, false},
      {"accept-encoding", {"gzip, br"}, {"BR", "gzip", "br"}, true},
      {"accept-encoding", {"gzip, br;q=0"}, {"gzip, br"}, false},
      {"accept-encoding", {"gzip;x=1"}, {"gzip;X=1"}, false},  // not understood: as it is
      {"accept-encoding", {"gzip;q=1.0.0"}, {"gzip"}, false},
      {"accept-encoding", {"gzip;q="}, {"gzip"}, false},
      {"accept-encoding", {"gz ip"}, {"gzip"}, false},
      {"accept-encoding", {"gzip;x=1, br"}, {"br, gzip;x=1"}, false},
      {"accept-encoding", {""}, {}, false},
      {"accept-encoding", {"gzip"}, {"X-GZip"}, true},
      {"accept-encoding", {"gzip;q=0.1, br;q=0.123"}, {"br;q=0.123, gzip;q=0.10"}, true},
      {"accept-encoding", {"gzip;q=0.1234"}, {"gzip;q=0.123"}, false},
      {"accept-encoding", {"gzip;q=00"}, {"gzip;q=0"}, false},
      {"accept-encoding", {"gzip"}, {"gzip, gzip;q=0.5"}, false},
      {"accept-language", {"en, de, fr;q=0.9, it;q=0.8"}, {"it;q=0.80,FR;q=0.900", "", "de,EN;q=1"}, true},
      {"accept-language", {"en;q=0.01"}, {"en;q=0.010"}, true},
      {"accept-language", {"en;q=0.01"}, {"en;q=0.1"}, false},
      {"accept-language", {"en;q=1.0"}, {"en;q=1.1"}, false},
      {"accept-language", {"en_US"}, {"en-us"}, false},
      {"accept", {"a/b, c/d"}, {"c/d, a/b"}, false},  // servers settle ties by order
      {"accept", {"a/b, c/d"}, {"A/b", "c/D;q=1.0"}, true},
      {"accept", {"a/b, c/d;q=0.5"}, {"c/d ; Q=0.50 , a/b"}, true},
      {"accept", {"a/b, c/d;q=0.5, */*;q=0.5"}, {"c/d;q=0.5, */*;q=0.5, a/b"}, true},
      {"accept", {"a/b, c/d;q=0.5, */*;q=0.5"}, {"*/*;q=0.5, c/d;q=0.5, a/b"}, false},
      {"accept", {"a/b;q=0.5"}, {"a/b"}, false},
      {"accept", {"a/b;Level=1;q=0.5"}, {"A/B; level=1 ;q=0.50"}, true},
      {"accept", {"a/b;x=Y"}, {"a/b;x=y"}, false},
      {"accept", {"a/b;x=y"}, {"a/b;x=\"y\""}, false},
      {"accept", {"a/b;x=\"; q=0, \\\" \""}, {"A/b ; X=\"; q=0, \\\" \""}, true},
      {"accept", {"a/b;x=\"; q=0\""}, {"a/b;x=\";q=0\""}, false},
      {"accept", {"a/b;x=1;y=2"}, {"a/b;y=2;x=1"}, false},
      // Not understood: as it is, but for white space about commas.
      {"accept", {"*"}, {"*"}, true},
      {"accept", {"a /b"}, {"a/b"}, false},
      {"accept", {"a/ b"}, {"a/b"}, false},
      {"accept", {"A/b;"}, {"a/b;"}, false},
      {"accept", {"A/b;x"}, {"a/b;x"}, false},
      {"accept", {"A/b;x="}, {"a/b;x="}, false},
      {"accept", {"A/b;q=2"}, {"a/b;q=2"}, false},
      {"accept", {"A/b;q=1;x=1"}, {"a/b;q=1;x=1"}, false},
      {"accept", {"A/b;x=\"1"}, {"a/b;x=\"1"}, false},
      {"accept", {"A/b/c"}, {"a/b/c"}, false},
      {"accept", {"a/b;q=2 , c/d"}, {"a/b;q=2,c/d"}, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Fields stored = with(c.name, c.stored);
    const Fields request = with(c.name, c.request);
    CAPTURE(larder::http::combined(stored, c.name).value_or("(none)"));
    CAPTURE(larder::http::combined(request, c.name).value_or("(none)"));
    const Names names{std::string(c.name)};
    const std::string encoding = selecting_fields(names, stored);
    CHECK(selecting_fields_match(encoding, request) == c.match);
    CHECK((selecting_fields(names, request) == encoding) == c.match);
    CHECK(selecting_fields_match(encoding, stored));
    CHECK(selecting_names(encoding) == names);
  }
}

TEST_CASE("the encoding is injective") {
  const Names ab{"a", "b"};
  const auto one = selecting_fields(ab, Fields{{"A", "1!1:b"}});
  const auto two = selecting_fields(ab, Fields{{"A", "1"}, {"B", ""}});
  const auto three = selecting_fields(ab, Fields{{"A", "1"}});
  CHECK(one != two);
  CHECK(two != three);
  CHECK(one != three);
  CHECK(selecting_fields({}, Fields{{"A", "1"}}).empty());
  CHECK(selecting_fields_match("", Fields{{"A", "1"}}));
  CHECK(selecting_names(two) == ab);
}

TEST_CASE("a request is made anew from its selecting fields") {
  const Names names{"a", "accept-encoding", "b"};
  const Fields request{{"Accept-Encoding", "x-gzip;q=1.0"}, {"B", "1"}, {"B", " 2"}, {"C", "3"}};
  const auto encoding = selecting_fields(names, request);
  const auto made = selecting_request(encoding);
  CHECK(made.size() == 2);
  CHECK(selecting_fields(names, made) == encoding);
  CHECK(selecting_request("").empty());
  CHECK(selecting_request("3:foo=9:1").empty());
}

TEST_CASE("foreign encodings match nothing and crash nothing") {
  const Fields request{{"foo", "1"}};
  for (const std::string bad :
       {"x", "3", "3:", "3:fo", "3:foo", "3:foo?", "3:foo=", "3:foo=1", "3:foo=1:", "3:foo=2:1", "3:foo=1:1x",
        "-3:foo!", "99999999999999999999999:foo!", "18446744073709551615:foo!", "0:!", ":foo!", "3foo!"}) {
    CAPTURE(bad);
    CHECK_FALSE(selecting_fields_match(bad, request));
    CHECK(selecting_names(bad).size() <= 1);
  }
  CHECK(selecting_fields_match("3:foo=1:1", request));
}

TEST_CASE("values with many members are not reordered, and compare all the same") {
  std::string many = "zz";
  for (int i = 0; i < 32; ++i) many += ", a" + std::to_string(i);
  const Names names{"accept-encoding", "accept-language"};
  const Fields request{{"Accept-Encoding", many}, {"Accept-Language", many}};
  const auto encoding = selecting_fields(names, request);
  CHECK(encoding.find("zz,a0") != std::string::npos);
  CHECK(selecting_fields_match(encoding, request));
  std::string huge;
  for (int i = 0; i < 100000; ++i) huge += "gzip;q=0.5,\"";
  CHECK_FALSE(selecting_fields_match(encoding, Fields{{"Accept-Encoding", huge}, {"Accept-Language", many}}));
}

namespace {

// What a response with these fields, stored for the request `stored_for`, is worth to `request`: its rank, with "d"
// where it needs decoding; "-" where it does not match.
std::string worth(const Names& names, const Fields& stored_for, const Fields& response, const Fields& request) {
  const auto match = match_variant(selecting_fields(names, stored_for), response, request);
  CHECK(match.rank <= full_rank);
  if (!match.matches) {
    CHECK_FALSE(match.needs_decoding);
    CHECK(match.rank == 0);
    return "-";
  }
  return std::to_string(match.rank) + (match.needs_decoding ? "d" : "");
}

Fields line(std::string_view name, const char* value) {
  Fields fields{{"Host", "a"}};
  if (value != nullptr) fields.push_back({name, value});
  return fields;
}

}  // namespace

TEST_CASE("variants by content coding") {
  constexpr const char* none = nullptr;
  struct Case {
    const char *stored_for, *coding, *request, *worth;
  };
  const Case cases[] = {
      // Coded: who accepts it.
      {"gzip", "gzip", "gzip", "1000"},
      {"gzip", "gzip", "gzip, br", "1000"},
      {"gzip", "x-gzip", "br, gzip;q=0.5", "500"},
      {"gzip", "gzip", "x-gzip", "1000"},
      {"gzip", "gzip", "*;q=0.3", "300"},
      {"br", "br", "br;q=0.001", "2"},
      {"br, gzip", "br", "gzip;q=0.9, br;q=0.8", "800"},
      {"gzip;q=0.9, br;q=0.8", "br", "gzip;q=0.9, br;q=0.8", "1000"},
      {none, "zstd", "zstd", "1000"},
      {"zstd", "ZSTD", "identity;q=0, zstd", "1000"},
      // Coded: who does not, and accepts identity.
      {"gzip", "gzip", none, "1d"},
      {"gzip", "gzip", "", "1d"},
      {"gzip", "gzip", "br", "1d"},
      {"gzip", "gzip", "gzip;q=0", "1d"},
      {"gzip", "gzip", "identity", "1d"},
      {"gzip", "gzip", "gzip;q=junk", "1d"},
      {"gzip", "gzip", "identity;q=0", "-"},
      {"gzip", "gzip", "*;q=0", "-"},
      {"gzip", "gzip", "br, identity;q=0", "-"},
      {none, "gzip", none, "1000d"},
      {"*;q=0", "gzip", "*;q=0", "1000"},  // the origin's answer to the same request, good or bad
      // No coding.
      {"gzip", none, "gzip", "1000"},
      {"gzip", none, "GZIP;q=1.0", "1000"},
      {"gzip", "", "gzip", "1000"},
      {"gzip", "identity", "gzip", "1000"},
      {"gzip", none, none, "999"},
      {"gzip", none, "identity", "999"},
      {"gzip", none, "deflate", "999"},
      {"gzip", none, "br;q=0", "999"},
      {"gzip", none, "br", "-"},
      {none, none, "gzip", "-"},
      {none, none, none, "1000"},
      {none, none, "", "999"},
      {none, none, "*;q=0", "-"},
      {none, none, "identity;q=0", "-"},
      {"identity;q=0", none, "identity;q=0.0", "1000"},
      // Codings that nobody here takes off: as ever.
      {"deflate", "deflate", "deflate", "1000"},
      {"deflate", "deflate", "deflate, gzip", "-"},
      {"gzip, br", "gzip, br", "br,gzip", "1000"},
      {"gzip, br", "gzip, br", none, "-"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.stored_for);
    CAPTURE(c.coding);
    CAPTURE(c.request);
    const auto response = line("Content-Encoding", c.coding);
    CHECK(worth({"accept-encoding"}, line("Accept-Encoding", c.stored_for), response,
                line("Accept-Encoding", c.request)) == c.worth);
    // Another selecting field must still be equal.
    auto stored_for = line("Accept-Encoding", c.stored_for);
    auto request = line("Accept-Encoding", c.request);
    stored_for.push_back({"X", "1"});
    request.push_back({"x", "1"});
    CHECK(worth({"accept-encoding", "x"}, stored_for, response, request) == c.worth);
    request.back().value = "2";
    CHECK(worth({"accept-encoding", "x"}, stored_for, response, request) == "-");
  }
}

TEST_CASE("no-transform forbids to decode") {
  const Names names{"accept-encoding"};
  for (const auto* value :
       {"no-transform", "max-age=60, No-Transform", "no-transform=1", "private=\"a, b\", no-transform"}) {
    CAPTURE(value);
    const Fields response{{"Content-Encoding", "gzip"}, {"Cache-Control", value}};
    CHECK(worth(names, line("Accept-Encoding", "gzip"), response, line("Accept-Encoding", "gzip")) == "1000");
    CHECK(worth(names, line("Accept-Encoding", "gzip"), response, {}) == "-");
    CHECK(worth(names, {}, response, {}) == "1000");  // the same request gets what the origin gave it
  }
  const Fields quoted{{"Content-Encoding", "gzip"}, {"Cache-Control", "x=\"no-transform\""}};
  CHECK(worth(names, line("Accept-Encoding", "gzip"), quoted, {}) == "1d");
}

TEST_CASE("variants by language") {
  constexpr const char* none = nullptr;
  struct Case {
    const char *stored_for, *language, *request, *worth;
  };
  const Case cases[] = {
      {"en, de", "en", "de, en", "1000"},
      {"en", none, "en", "1000"},
      {none, "en", none, "1000"},
      {none, "en", "en", "1000"},
      {"fr, en;q=0.5", "en", "en", "1000"},
      {"fr", "EN-us", "en-US, fr;q=0.5", "1000"},
      {"fr", "en", "en;q=0.5, fr;q=0.4, *;q=0.1", "500"},
      {"fr", "en", "en;q=0.5, EN;q=0.5", "500"},
      {"fr", "en", "en;q=0.3, en;q=0.5", "500"},
      {"fr", "en", "en;q=0", "-"},
      {"fr", "en", "fr, en;q=0.5", "-"},
      {"fr, de", "fr", "fr, en", "999"},     // order means nothing
      {"fr, de", "fr", "a, b, c, fr", "-"},  // three at the most
      {"fr", "en", "en, *", "1000"},
      {"fr", "en", "*", "-"},
      {"fr", "*", "*", "-"},
      {"fr", "en", "en-US", "-"},
      {"fr", "en-US", "en", "-"},
      {"fr", "en, de", "en", "-"},
      {"fr", none, "en", "-"},
      {"fr", "", "en", "-"},
      {"fr", "en", none, "-"},
      {"fr", "en", "", "-"},
      {"fr", "en", "en, d e", "-"},  // not understood
      {"fr", "en", "en, de;q=2", "-"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.stored_for);
    CAPTURE(c.language);
    CAPTURE(c.request);
    CHECK(worth({"accept-language"}, line("Accept-Language", c.stored_for), line("Content-Language", c.language),
                line("Accept-Language", c.request)) == c.worth);
  }
  const Fields two_lines{{"Content-Language", "en"}, {"content-language", "de"}};
  CHECK(worth({"accept-language"}, {}, two_lines, line("Accept-Language", "en")) == "-");
}

TEST_CASE("qualities of several fields multiply; decoding stays below") {
  const Names names{"accept-encoding", "accept-language"};
  const Fields response{{"Content-Encoding", "gzip"}, {"Content-Language", "en"}};
  const auto with_coding = [](std::string_view coding) {
    return Fields{{"Accept-Encoding", coding}, {"Accept-Language", "en;q=0.5"}};
  };
  const Fields stored_for{{"Accept-Encoding", "br"}, {"Accept-Language", "fr"}};
  CHECK(worth(names, stored_for, response, with_coding("gzip;q=0.5")) == "250");
  CHECK(worth(names, stored_for, response, with_coding("gzip;q=0.001")) == "2");
  CHECK(worth(names, stored_for, response, with_coding("zstd")) == "1d");
  CHECK(worth(names, stored_for, response, with_coding("br")) == "500d");  // its own answer
}

TEST_CASE("without Vary everything matches, and foreign bytes nothing") {
  const auto match = match_variant("", Fields{{"Content-Encoding", "gzip"}}, {});
  CHECK(match.matches);
  CHECK_FALSE(match.needs_decoding);
  CHECK(match.rank == full_rank);
  for (const std::string bad : {"x", "3:foo", "15:accept-encoding", "15:accept-encoding!x", "15:accept-encoding=1:gx",
                                "15:accept-language=99:en", "15:accept-encoding!3"}) {
    CAPTURE(bad);
    CHECK_FALSE(match_variant(bad, Fields{}, Fields{{"Accept-Encoding", "gzip"}}).matches);
    CHECK_FALSE(match_variant(bad, Fields{}, Fields{}).matches);
  }
}

TEST_CASE("a variant's names are found among the candidates of every request that it may serve") {
  using larder::http::Field;
  const std::vector<std::string> names{"accept-encoding", "accept-language"};
  struct Row {
    const char* what;
    std::vector<Field> stored_for;
    std::vector<Field> response;
    std::vector<Field> request;
    bool found;
  };
  const Field gzip{"Content-Encoding", "gzip"};
  const Field german{"Content-Language", "de"};
  const std::vector<Row> rows{
      {"coded, accepted", {{"Accept-Encoding", "gzip, br"}}, {gzip}, {{"Accept-Encoding", "gzip;q=0.1"}}, true},
      {"coded, to be decoded", {{"Accept-Encoding", "gzip"}}, {gzip}, {{"Accept-Encoding", "identity"}}, true},
      {"coded, nothing said", {{"Accept-Encoding", "gzip"}}, {gzip}, {}, true},
      {"plain, for who wants no coding", {}, {}, {{"Accept-Encoding", "gzip;q=0"}}, true},
      {"plain, for who wants one", {}, {}, {{"Accept-Encoding", "gzip"}}, false},
      {"plain, equal", {{"Accept-Encoding", "gzip"}}, {}, {{"Accept-Encoding", "GZIP"}}, true},
      {"unknown coding, equal",
       {{"Accept-Encoding", "x"}},
       {{"Content-Encoding", "x"}},
       {{"Accept-Encoding", "x"}},
       true},
      {"unknown coding, other",
       {{"Accept-Encoding", "x"}},
       {{"Content-Encoding", "x"}},
       {{"Accept-Encoding", "y"}},
       false},
      {"language preferred", {{"Accept-Language", "en, de"}}, {german}, {{"Accept-Language", "de, en;q=0.5"}}, true},
      {"language equal", {{"Accept-Language", "en, de"}}, {german}, {{"Accept-Language", "de,en"}}, true},
      {"language not preferred", {{"Accept-Language", "de"}}, {german}, {{"Accept-Language", "en, de;q=0.5"}}, false},
      {"both",
       {{"Accept-Encoding", "br"}, {"Accept-Language", "en, de"}},
       {{"Content-Encoding", "br"}, german},
       {{"Accept-Language", "DE"}},
       true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto encoding = selecting_fields(names, row.stored_for);
    const auto stored_under = variant_names(encoding, row.response);
    const auto candidates = variant_candidates(names, row.request);
    CHECK(candidates.size() <= 20);
    bool found = false;
    for (const auto& name : stored_under)
      found = found || std::find(candidates.begin(), candidates.end(), name) != candidates.end();
    CHECK(found == row.found);
    CHECK(match_variant(encoding, row.response, row.request).matches == row.found);
  }
}

TEST_CASE("what a confirmed response was selected by stays, and new names are added") {
  using larder::http::Field;
  const std::vector<Field> first{{"A", "1"}, {"B", "2"}};
  const std::vector<Field> second{{"A", "9"}, {"C", "3"}};
  const auto stored = selecting_fields({"a", "b"}, first);
  CHECK(extended_selecting(stored, {"a"}, second) == stored);
  const std::vector<Field> expected{{"A", "1"}, {"B", "2"}, {"C", "3"}};
  CHECK(extended_selecting(stored, {"c"}, second) == selecting_fields({"a", "b", "c"}, expected));
  CHECK(extended_selecting("", {"c"}, second) == selecting_fields({"c"}, second));
  CHECK(extended_selecting("", {}, second).empty());
}
