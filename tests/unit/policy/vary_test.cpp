#include "larder/policy/vary.hpp"

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
      {"accept", {"a/b, c/d"}, {"c/d, a/b"}, false},  // servers settle ties by order
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
