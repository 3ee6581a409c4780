#include "larder/http/field_list.hpp"

#include <doctest/doctest.h>
#include <string>
#include <utility>
#include <vector>

using larder::http::Field;
using larder::http::FieldList;
using larder::http::FieldSpan;
using larder::http::ListMembers;

namespace {

using Fields = std::vector<Field>;

std::vector<std::string> members_of(std::string_view value) {
  std::vector<std::string> members;
  ListMembers walk(value);
  while (const auto member = walk.next()) members.emplace_back(*member);
  return members;
}

std::vector<std::string> lines_of(FieldSpan fields) {
  std::vector<std::string> lines;
  for (const Field& field : fields) lines.push_back(std::string(field.name) + ": " + std::string(field.value));
  return lines;
}

}  // namespace

TEST_CASE("iequals folds ASCII letters and nothing else") {
  struct Case {
    std::string_view a, b;
    bool equal;
  };
  const Case cases[] = {
      {"", "", true},
      {"Host", "hOST", true},
      {"host", "hos", false},
      {"a[b", "a{b", false},
      {"a@b", "a`b", false},
      {"x-1", "x-1", true},
      {"x-1", "x\r1", false},
      {"\xC4", "\xE4", false},
      {"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", true},
      {"Content-Security-Policy", "Content-security-policy", true},
      {"X-Forwarded-Proto", "X-Forwarded-Prot_", false},
      {"X-Forwarded-[", "X-Forwarded-{", false},
      {"X-Forw@rded-For", "X-Forw`rded-For", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.a);
    CHECK(larder::http::iequals(c.a, c.b) == c.equal);
    CHECK(larder::http::iequals(c.b, c.a) == c.equal);
  }
}

TEST_CASE("look-ups by name") {
  const Fields fields{{"Via", "1.1 a"}, {"X-A", ""}, {"VIA", "1.1 b"}};
  CHECK(larder::http::find(fields, "via")->value == "1.1 a");
  CHECK(larder::http::find(fields, "vi") == nullptr);
  CHECK(larder::http::find({}, "via") == nullptr);
  CHECK(larder::http::first_value(fields, "x-a") == "");
  CHECK_FALSE(larder::http::first_value(fields, "x-b"));
  CHECK(larder::http::count(fields, "Via") == 2);
  CHECK(larder::http::combined(fields, "via") == "1.1 a, 1.1 b");
  CHECK(larder::http::combined(fields, "x-a") == "");
  CHECK_FALSE(larder::http::combined(fields, "x-b"));
}

TEST_CASE("trim_ows takes spaces and tabs off both ends only") {
  CHECK(larder::http::trim_ows(" \t a b\t ") == "a b");
  CHECK(larder::http::trim_ows(" \t ").empty());
  CHECK(larder::http::trim_ows("").empty());
  CHECK(larder::http::trim_ows("\ra\n") == "\ra\n");
}

TEST_CASE("list members") {
  struct Case {
    std::string_view value;
    std::vector<std::string> members;
  };
  const Case cases[] = {
      {"", {}},
      {" ,\t, ,", {}},
      {"a", {"a"}},
      {"a,b", {"a", "b"}},
      {" a , ,b\t,", {"a", "b"}},
      {R"(a="x,y", b)", {R"(a="x,y")", "b"}},
      {R"("a\",b", c)", {R"("a\",b")", "c"}},
      {R"("a\\",b)", {R"("a\\")", "b"}},
      // A quote that is not closed hides nothing.
      {R"(a="x, no-store)", {R"(a="x)", "no-store"}},
      {R"(a="x\", no-store)", {R"(a="x\")", "no-store"}},
      {R"(a"b"c,d)", {R"(a"b"c)", "d"}},
      {R"(")", {R"(")"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.value);
    CHECK(members_of(c.value) == c.members);
  }
}

TEST_CASE("list members of hostile values take linear time") {
  std::string quotes;
  for (int i = 0; i < 500'000; ++i) quotes += "\\\"";
  CHECK(members_of("\"" + quotes).size() == 1);
  CHECK(members_of(std::string(1'000'000, ',')).empty());
}

TEST_CASE("has_token") {
  const Fields fields{{"Connection", "close, X-A"}, {"connection", "\tUpgrade ,"}, {"Other", "keep-alive"}};
  CHECK(larder::http::has_token(fields, "Connection", "x-a"));
  CHECK(larder::http::has_token(fields, "Connection", "upgrade"));
  CHECK_FALSE(larder::http::has_token(fields, "Connection", "keep-alive"));
  CHECK_FALSE(larder::http::has_token(fields, "Connection", ""));
}

TEST_CASE("a field list owns its bytes, in order, across moves") {
  FieldList list;
  {
    std::string name = "X-Name";
    std::string value = "value";
    list.add(name, value);
    name.assign(6, 'z');
    value.assign(5, 'z');
  }
  list.add_unowned("Host", "a");
  list.add("Empty", "");
  const char* const place = list.span()[0].name.data();
  FieldList moved = std::move(list);
  CHECK(moved.span()[0].name.data() == place);
  CHECK(lines_of(moved) == std::vector<std::string>{"X-Name: value", "Host: a", "Empty: "});

  // What was moved away is usable again and owns its own bytes.
  list = FieldList();
  list.add("A", "1");
  CHECK(lines_of(list) == std::vector<std::string>{"A: 1"});
  FieldList source;
  source.add("A", "1");
  const FieldList target = std::move(source);
  source.add("B", "2");  // NOLINT(bugprone-use-after-move): part of the contract
  CHECK(source.span().back().value == "2");
  CHECK(lines_of(target) == std::vector<std::string>{"A: 1"});
}

TEST_CASE("views stay valid while the list grows") {
  FieldList list;
  list.add("First", "value");
  const std::string_view first = list.span()[0].value;
  for (int i = 0; i < 1000; ++i) list.add("Name-" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'v'));
  CHECK(first == "value");
  CHECK(list.size() == 1001);
  for (int i = 0; i < 1000; ++i) {
    CHECK(list.span()[static_cast<std::size_t>(i) + 1].value.size() == static_cast<std::size_t>(i));
  }
}

TEST_CASE("set, remove, clear") {
  FieldList list;
  list.add("A", "1");
  list.add("B", "2");
  list.add("a", "3");
  list.set("A", list.span()[2].value);  // a view into the list itself
  CHECK(lines_of(list) == std::vector<std::string>{"B: 2", "A: 3"});
  CHECK(list.remove("b") == 1);
  CHECK(list.remove("b") == 0);
  list.clear();
  CHECK(list.empty());
  list.add("C", std::string(100'000, 'c'));
  CHECK(list.span()[0].value.size() == 100'000);
}

TEST_CASE("copy_of is deep") {
  std::string value = "one";
  const Fields fields{{"A", value}, {"A", ""}, {"B", "two"}};
  const FieldList copy = FieldList::copy_of(fields);
  value.assign(3, 'z');
  CHECK(lines_of(copy) == std::vector<std::string>{"A: one", "A: ", "B: two"});
  FieldList empty = FieldList::copy_of({});
  empty.add("A", "1");
  CHECK(lines_of(empty) == std::vector<std::string>{"A: 1"});
}

TEST_CASE("view_of copies only what is added, and leaves the viewed list alone") {
  std::string value = "one";
  const Fields fields{{"A", value}, {"B", "two"}};
  FieldList view = FieldList::view_of(fields);
  value.assign(3, 'z');
  std::string added = "three";
  view.set("B", added);
  added.assign(5, 'z');
  CHECK(lines_of(view) == std::vector<std::string>{"A: zzz", "B: three"});
  CHECK(lines_of(fields) == std::vector<std::string>{"A: zzz", "B: two"});
  const FieldList moved = std::move(view);
  CHECK(lines_of(moved) == std::vector<std::string>{"A: zzz", "B: three"});
}
