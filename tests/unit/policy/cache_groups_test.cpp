#include "larder/policy/cache_groups.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::policy;
using larder::http::Field;
using Fields = std::vector<Field>;
using Names = std::vector<std::string>;

namespace {

// `count` members with different names, all of `size` bytes.
std::string groups_of(std::size_t count, std::size_t size) {
  std::string value;
  for (std::size_t i = 0; i < count; ++i) {
    std::string name = std::to_string(i);
    name.insert(0, size - name.size(), 'g');
    value.append(i == 0 ? "\"" : ", \"").append(name).append("\"");
  }
  return value;
}

CacheGroups of(std::string_view value) { return cache_groups(Fields{{"Cache-Groups", value}}); }
CacheGroups invalidated(std::string_view value) {
  return invalidated_groups(Fields{{"Cache-Group-Invalidation", value}});
}

}  // namespace

TEST_CASE("Cache-Groups and Cache-Group-Invalidation") {
  struct Case {
    const char* value;
    Names expected;
  };
  const Case cases[] = {
      {"", {}},
      {R"("a")", {"a"}},
      {R"("scripts", "Styles")", {"scripts", "Styles"}},
      {R"("a","b")", {"a", "b"}},
      {R"("a";revalidate;x=1, "b";y)", {"a", "b"}},
      {R"("a", "b", "a")", {"a", "b"}},
      {R"("a", "A")", {"a", "A"}},
      {R"("a, b", "c\"d\\")", {"a, b", "c\"d\\"}},
      {R"("", " ")", {"", " "}},
      // Faults: the whole field is ignored.
      {"a", {}},
      {R"("a", b)", {}},
      {R"("a", 1)", {}},
      {R"("a", ?1)", {}},
      {R"("a", ("b"))", {}},
      {R"(("a" "b"))", {}},
      {R"("a",)", {}},
      {R"("a" "b")", {}},
      {R"("a", "b)", {}},
      {R"(a="b")", {}},
      {"\"a\", \"\xc3\xbc\"", {}},
      {"\"a\", \"\x1f\"", {}},
      {R"("a", %"b")", {}},
      {R"("a", :YQ==:)", {}},
      {"*", {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    CHECK(of(c.value).names == c.expected);
    CHECK_FALSE(of(c.value).overflow);
    CHECK(invalidated(c.value).names == c.expected);
    CHECK_FALSE(invalidated(c.value).overflow);
  }
}

TEST_CASE("lines of one field are one list, and the other field does not count") {
  const Fields fields{
      {"Cache-Groups", "\"a\""}, {"Cache-Group-Invalidation", "\"x\""}, {"cache-groups", "\"b\", \"a\""}};
  CHECK(cache_groups(fields).names == Names{"a", "b"});
  CHECK(invalidated_groups(fields).names == Names{"x"});
  CHECK(cache_groups(Fields{{"Cache-Groups", "\"a\""}, {"Cache-Groups", "b"}}).names.empty());
  CHECK(cache_groups(Fields{}).names.empty());
  CHECK_FALSE(cache_groups(Fields{}).overflow);
}

TEST_CASE("at least 32 groups of 32 characters, and bounds above") {
  CHECK(of(groups_of(32, 32)).names.size() == 32);
  CHECK_FALSE(of(groups_of(32, 32)).overflow);
  CHECK(of(groups_of(max_cache_groups, 8)).names.size() == max_cache_groups);
  CHECK_FALSE(of(groups_of(max_cache_groups, 8)).overflow);
  CHECK(of(groups_of(max_cache_groups, max_cache_group_size)).names.size() == max_cache_groups);
  CHECK(of(groups_of(max_cache_groups + 1, 8)).overflow);
  CHECK(of(groups_of(max_cache_groups + 1, 8)).names.size() == max_cache_groups);
  CHECK(invalidated(groups_of(max_cache_groups + 1, 8)).overflow);
  // A repeated one takes no room.
  CHECK_FALSE(of(groups_of(max_cache_groups, 8) + ", " + groups_of(max_cache_groups, 8)).overflow);

  // No response is stored whose group is too long, so invalidating that group loses nothing.
  const std::string long_name = groups_of(1, max_cache_group_size + 1) + ", \"a\"";
  CHECK(of(long_name).overflow);
  CHECK(of(long_name).names == Names{"a"});
  CHECK_FALSE(invalidated(long_name).overflow);
  CHECK(invalidated(long_name).names == Names{"a"});

  // What the parser cannot hold is no reason to store a response without its groups.
  CHECK(of(groups_of(1025, 8)).overflow);
  CHECK(of(groups_of(1024, 60)).names.size() == max_cache_groups);
  CHECK(of(groups_of(1, 70'000)).overflow);
  CHECK(of(groups_of(1000, 100)).overflow);
  CHECK(of(std::string(100'000, '"')).overflow);
  CHECK_FALSE(of(std::string(1000, ',')).overflow);
}

TEST_CASE("the tag of a group") {
  CHECK(group_tag("https", "example.com", "a b") == "\x1fgroup:https://example.com a b");
  CHECK(group_tag("HTTPS", "Example.COM:443", "a") == group_tag("https", "example.com", "a"));
  CHECK(group_tag("http", "example.com:80", "a") == group_tag("http", "example.com", "a"));
  CHECK(group_tag("http", "example.com:", "a") == group_tag("http", "example.com", "a"));
  CHECK(group_tag("http", "[::1]:80", "a") == group_tag("http", "[::1]", "a"));
  CHECK(group_tag("http", "", "a") == "\x1fgroup:http:// a");
  const std::vector<std::string> different{
      group_tag("http", "example.com", "a"),      group_tag("https", "example.com", "a"),
      group_tag("http", "example.com:443", "a"),  group_tag("https", "example.com:80", "a"),
      group_tag("http", "example.com:8080", "a"), group_tag("http", "example.org", "a"),
      group_tag("http", "example.com", "A"),      group_tag("http", "example.com", ""),
      group_tag("http", "example.com", " a"),     group_tag("http", "", "example.com a"),
  };
  for (std::size_t i = 0; i < different.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(different[i] != different[j]);
  }
}
