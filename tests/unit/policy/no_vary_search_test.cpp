#include "larder/policy/no_vary_search.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::policy;
using larder::http::Field;
using Fields = std::vector<Field>;
using Names = std::vector<std::string>;

namespace {

QueryVariance of(std::string_view value) { return query_variance(Fields{{"No-Vary-Search", value}}); }

bool equivalent(std::string_view value, std::string_view a, std::string_view b) {
  const QueryVariance variance = of(value);
  return normalised_query(variance, a) == normalised_query(variance, b);
}

}  // namespace

TEST_CASE("valid fields") {
  struct Case {
    const char* value;
    QueryVariance expected;
  };
  const Case cases[] = {
      {"params", {true, true, {}}},
      {"params=?1", {true, true, {}}},
      {"params=(\"a\")", {true, false, {"a"}}},
      {"params, except=(\"x\")", {true, true, {"x"}}},
      {"params, except=()", {true, true, {}}},
      {"params=?1, except=(\"x\")", {true, true, {"x"}}},
      {"except=(\"x\"), params", {true, true, {"x"}}},
      {"key-order", {false, false, {}}},
      {"key-order=?1", {false, false, {}}},
      {"key-order, params", {false, true, {}}},
      {"params, key-order, except=(\"x\")", {false, true, {"x"}}},
      {"key-order, params=(\"b\" \"a\" \"b\")", {false, false, {"a", "b"}}},
      {"params=(\"utm_source\" \"utm_medium\")", {true, false, {"utm_medium", "utm_source"}}},
      // The default in other words.
      {"", {}},
      {"params=?0", {}},
      {"params=()", {}},
      {"key-order=?0", {}},
      {"key-order=?0, params=()", {}},
      // Unknown members, and parameters.
      {"unknown-key", {}},
      {"unknown-key=7, key-order", {false, false, {}}},
      {"params;x=1", {true, true, {}}},
      {"params=(\"a\";x);y", {true, false, {"a"}}},
      // The last of repeated members counts.
      {"params=(\"a\"), params=(\"b\")", {true, false, {"b"}}},
      {"params, params=?0", {}},
      // Names are decoded (§5.3).
      {"params=(\"%C3%A9+%E6%B0%97\")", {true, false, {"%C3%A9%20%E6%B0%97"}}},
      {"params=(\"%61\" \"a\")", {true, false, {"a"}}},
      {"params=(\"a%2Bb\" \"a%2bb\")", {true, false, {"a%2Bb"}}},
      {"params=(\"%f6\" \"%ef%bf%bd\")", {true, false, {"%EF%BF%BD"}}},
      {"params=(\"%\" \"%25\" \"%4\")", {true, false, {"%25", "%254"}}},
      {"params=(\"\")", {true, false, {""}}},
      {"params=(\"a=b&c\")", {true, false, {"a%3Db%26c"}}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    const QueryVariance variance = of(c.value);
    CHECK(variance == c.expected);
    CHECK(variance.is_default() == (c.expected == QueryVariance{}));
  }
}

TEST_CASE("faults are the default variance") {
  for (const char* value : {"key-order=\"not a boolean\"",
                            "key-order=1",
                            "key-order=yes",
                            "key-order=()",
                            "params=\"not a boolean or inner list\"",
                            "params=a",
                            "params=1",
                            "params=(not-a-string)",
                            "params=(\"a\" b)",
                            "params=(\"a\" 1)",
                            "params=(\"a\" %\"b\")",
                            "params=(\"a\" :YQ==:)",
                            "params=(\"a\"), except=(\"x\")",
                            "params=(), except=()",
                            "params=?0, except=(\"x\")",
                            "params, except=(not-a-string)",
                            "params, except=\"not an inner list\"",
                            "params, except=?1",
                            "params, except",
                            "except=(\"x\")",
                            "except=()",
                            "key-order, except=()",
                            "key-order, params=x",
                            "key-order, params=(\"a\"",
                            "key-order,",
                            "key-order key-order",
                            "Key-Order",
                            "params=(\"a\",\"b\")",
                            "params=(\"\xc3\xa9\")",
                            "key-order, &"}) {
    CAPTURE(value);
    CHECK(of(value).is_default());
  }
  CHECK(query_variance(Fields{}).is_default());
  CHECK(query_variance(Fields{{"No-Vary-Search", "key-order"}, {"No-Vary-Search", "("}}).is_default());
  CHECK(query_variance(Fields{{"No-Vary-Search", "key-order"}, {"no-vary-search", "params"}}) ==
        QueryVariance{false, true, {}});
}

TEST_CASE("too many or too long names are the default variance") {
  CHECK_FALSE(of("params=(\"" + std::string(max_query_names_size - 1, 'a') + "\")").is_default());
  CHECK(of("params=(\"" + std::string(max_query_names_size, 'a') + "\")").is_default());
  CHECK(of("params=(\"" + std::string(max_query_names_size / 3 + 1, '%') + "\")").is_default());
  CHECK(of("params, except=(\"" + std::string(max_query_names_size, 'a') + "\")").is_default());
  std::string names;
  for (int i = 0; i < 300; ++i) names += " \"" + std::to_string(i) + "\"";
  CHECK(of("params=(" + names + ")").is_default());
}

TEST_CASE("equivalence modulo search variance") {
  struct Case {
    const char* value;
    const char* a;
    const char* b;
    bool expected;
  };
  const Case cases[] = {
      // The default compares queries as they are.
      {"", "a=1", "a=1", true},
      {"", "a=1&b=2", "b=2&a=1", false},
      {"", "a=b&&&c", "a=b&c=", false},
      {"", "%61=1", "a=1", false},
      // Any other decodes.
      {"key-order", "a=x", "%61=%78", true},
      {"key-order", "a=\xc3\xa9", "a=%C3%A9", true},
      {"key-order", "a=%f6", "a=%ef%bf%bd", true},
      {"key-order", "a=%f6", "a=\xfc", true},
      {"key-order", "a=%e2%82", "a=%f6", true},
      {"key-order", "a=%f6%f6", "a=%f6", false},
      {"key-order", "a=x&&&&", "a=x", true},
      {"key-order", "&a=x", "a=x", true},
      {"key-order", "a=", "a", true},
      {"key-order", "=", "", false},
      {"key-order", "a=%20", "a=+", true},
      {"key-order", "a= &", "a=+", true},
      {"key-order", "a=%2B", "a=+", false},
      {"key-order", "a=%2b", "a=%2B", true},
      {"key-order", "a=%", "a=%25", true},
      {"key-order", "a=%zz", "a=%25zz", true},
      {"key-order", "a=%4", "a=%254", true},
      {"key-order", "a=b=c", "a=b%3Dc", true},
      {"key-order", "a=b%26c=d", "a=b&c=d", false},
      {"key-order", "a%3Db=c", "a=b=c", false},
      {"key-order", "a=b;c=d", "a=b&c=d", false},
      {"key-order", "a=%00", "a=", false},
      {"key-order", "a=%EF%BB%BFb", "a=b", false},
      {"key-order", "a=1", "A=1", false},
      // Order.
      {"key-order", "a=1&b=2&c=3", "c=3&b=2&a=1", true},
      {"key-order", "a=1&b=2&a=3", "b=2&a=1&a=3", true},
      {"key-order", "a=1&a=2", "a=2&a=1", false},
      {"key-order", "a=1", "a=1&a=1", false},
      {"key-order", "b=1&%61=2", "a=2&b=1", true},
      {"params=(\"x\")", "a=1&b=2", "b=2&a=1", false},
      // Ignored parameters.
      {"params", "a=1", "b=2", true},
      {"params", "", "b=2", true},
      {"params=(\"a\")", "a=1&b=2", "b=2", true},
      {"params=(\"a\")", "a=1&b=2&a=3", "%61&b=2", true},
      {"params=(\"a\")", "a=1&b=2", "a=1&b=3", false},
      {"params=(\"a\")", "aa=1", "", false},
      {"params=(\"a\")", "A=1", "", false},
      {"params=(\"a\")", "a[]=1", "", false},
      {"params=(\"a\" \"b\")", "b=1&a=2", "", true},
      {"params=(\"\")", "=1&a=2", "a=2", true},
      {"params=(\"%C3%A9+%E6%B0%97\")", "\xc3\xa9+\xe6\xb0\x97=2&a", "%C3%A9%20\xe6\xb0\x97=3&a", true},
      {"params=(\"%C3%A9+%E6%B0%97\")", "%C3%A9+%E6%B0%97=4", "", true},
      // All but some.
      {"params, except=(\"id\")", "id=1&utm=2", "utm=3&id=1", true},
      {"params, except=(\"id\")", "id=1", "id=2", false},
      {"params, except=(\"id\")", "id=1", "", false},
      {"params, except=(\"a\" \"b\")", "a=1&x&b=2", "b=2&a=1", false},
      {"params, except=(\"a\" \"b\"), key-order", "a=1&x&b=2", "b=2&y=9&a=1", true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    CAPTURE(c.a);
    CAPTURE(c.b);
    CHECK(equivalent(c.value, c.a, c.b) == c.expected);
    CHECK(equivalent(c.value, c.b, c.a) == c.expected);
    CHECK(equivalent(c.value, c.a, c.a));
  }
}

TEST_CASE("normal forms") {
  CHECK(normalised_query({}, "b=%61&a") == "b=%61&a");
  CHECK(normalised_query({false, false, {}}, "b=%61&a") == "a=&b=a");
  CHECK(normalised_query({true, false, {"x"}}, "b=1+2&x=3&a=\xc3\xbc/~") == "b=1%202&a=%C3%BC%2F~");
  CHECK(normalised_query({true, true, {}}, "b=1&a=2").empty());
  // A normal form is its own.
  const QueryVariance variance{false, false, {}};
  const std::string once = normalised_query(variance, "z=%&a=%ff+b&q==&&=");
  CHECK(normalised_query(variance, once) == once);
  // Room and time stay in proportion.
  CHECK(normalised_query(variance, std::string(50'000, '\xff')).size() <= 9 * 50'000 + 1);
  CHECK(normalised_query(variance, std::string(100'000, '&')).empty());
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "&k" + std::to_string(i * 7919 % 20'000);
  CHECK(normalised_query(variance, many).starts_with("k0=&k1=&k10=&k100="));
}

TEST_CASE("encoding tells variances apart") {
  CHECK(encode({}) == "o-");
  CHECK(encode({false, true, {"a", "b%20c"}}) == "k*&a&b%20c");
  const std::vector<QueryVariance> different{{},
                                             {false, false, {}},
                                             {true, true, {}},
                                             {false, true, {}},
                                             {true, false, {""}},
                                             {true, false, {"", "a"}},
                                             {true, false, {"a"}},
                                             {true, false, {"a", "b"}},
                                             of("params=(\"a&b\")"),
                                             of("params=(\"ab\")"),
                                             {true, true, {"a"}},
                                             {false, false, {"a"}}};
  for (std::size_t i = 0; i < different.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(encode(different[i]) != encode(different[j]));
  }
}
