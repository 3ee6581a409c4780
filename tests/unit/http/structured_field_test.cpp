#include "larder/http/structured_field.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using namespace larder::http::structured;
using Fields = std::vector<Field>;

namespace {

// The bare item of a List that has one member without parameters.
std::optional<BareItem> only(std::string_view value) {
  const auto list = parse_list(value);
  if (!list || list->size() != 1) return std::nullopt;
  const Item* item = std::get_if<Item>(&list->front());
  return item != nullptr && item->parameters.empty() ? std::optional(item->value) : std::nullopt;
}

Item item(BareItem value, Parameters parameters = {}) { return {std::move(value), std::move(parameters)}; }

std::int64_t integer(std::int64_t value) { return value; }

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all.append(text);
  return all;
}

}  // namespace

TEST_CASE("bare items") {
  struct Case {
    std::string text;
    BareItem expected;
  };
  const Case cases[] = {
      {"0", integer(0)},
      {"-0", integer(0)},
      {"42", integer(42)},
      {"-42", integer(-42)},
      {"007", integer(7)},
      {"999999999999999", integer(999999999999999)},
      {"-999999999999999", integer(-999999999999999)},
      {"000000000000001", integer(1)},
      {"1.5", Decimal{1500}},
      {"-1.5", Decimal{-1500}},
      {"0.001", Decimal{1}},
      {"-0.001", Decimal{-1}},
      {"1.0", Decimal{1000}},
      {"00.10", Decimal{100}},
      {"999999999999.999", Decimal{999999999999999}},
      {R"("")", std::string{}},
      {R"("a b")", std::string("a b")},
      {R"x("a, b; c=(\"d\\\")")x", std::string(R"x(a, b; c=("d\"))x")},
      {"\"'~ !\"", std::string("'~ !")},
      {"a", Token{"a"}},
      {"*", Token{"*"}},
      {"*a", Token{"*a"}},
      {"A1!#$%&'*+-.^_`|~:/z", Token{"A1!#$%&'*+-.^_`|~:/z"}},
      {"text/html", Token{"text/html"}},
      {"?1", true},
      {"?0", false},
      {"::", ByteSequence{""}},
      {":aGVsbG8=:", ByteSequence{"hello"}},
      {":aGVsbG8:", ByteSequence{"hello"}},
      {":YQ==:", ByteSequence{"a"}},
      {":YQ:", ByteSequence{"a"}},
      {":YR==:", ByteSequence{"a"}},
      {":+/+/:", ByteSequence{"\xfb\xff\xbf"}},
      {":AAAA:", ByteSequence{std::string(3, '\0')}},
      {"@0", Date{0}},
      {"@1659578233", Date{1659578233}},
      {"@-1659578233", Date{-1659578233}},
      {"%\"\"", DisplayString{""}},
      {"%\"f%c3%bc%c3%bc\"", DisplayString{"f\xc3\xbc\xc3\xbc"}},
      {"%\"a \\ b%22%25\"", DisplayString{"a \\ b\"%"}},
      {"%\"%00%0a\"", DisplayString{std::string("\0\n", 2)}},
      {"%\"%f0%9f%98%80\"", DisplayString{"\xf0\x9f\x98\x80"}},
      {"%\"%ed%9f%bf%ee%80%80%f4%8f%bf%bf\"", DisplayString{"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"}},
      {"  7  ", integer(7)},
      {"7\t", integer(7)},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto value = only(c.text);
    REQUIRE(value);
    CHECK(*value == c.expected);
  }
}

TEST_CASE("what is no bare item fails the field") {
  const std::string cases[] = {
      // Numbers.
      "-", "--1", "+1", "- 1", "1.", ".1", "-.1", "1.0000", "1.2.3", "1e3", "0x1", "1a", "1_000", "1000000000000000",
      "-1000000000000000", "0000000000000001", "1000000000000.0", "9999999999999.9", "1.-1",
      // Strings.
      "\"", "\"a", "a\"", "\"a\"b", R"("\")", R"("\a")", R"("a\)", "\"\t\"", "\"\n\"", "\"\x7f\"", "\"\xc3\xbc\"",
      std::string("\"\0\"", 3), "'a'",
      // Tokens.
      "!a", "_a", "a@b", "a,", "a\"b\"", "a{}", "\xc3\xbc", "[a]", "<a>",
      // Byte sequences.
      ":", ":a", ":a:", ":aGVsbG8=", ":aGVs bG8=:", ":aGVs\nbG8=:", ":a-_b:", ":YQ=:", ":=:", ":==:", ":====:",
      ":Y===:", ":YQ==YQ==:", ":Y=Q=:", ":aGVsbG8==:", ":aGVsbG8=:x", "aGVsbG8=",
      // Booleans.
      "?", "?2", "?true", "?01", "? 1", "?-1", "true=?1",
      // Dates.
      "@", "@1.5", "@a", "@ 1", "@-", "@1000000000000000", "@@1",
      // Display strings.
      "%", "%a", "% \"a\"", "%\"", "%\"a", "%\"%\"", "%\"%c\"", "%\"%C3%BC\"", "%\"%c3%Bc\"", "%\"%gg\"", "%\"%c3",
      "%\"%c", "%\"%", "%\"\xc3\xbc\"", "%\"\n\"", "%\"%c3\"", "%\"%c3%28\"", "%\"%80\"", "%\"%c0%80\"",
      "%\"%e0%80%80\"", "%\"%ed%a0%80\"", "%\"%f0%80%80%80\"", "%\"%f4%90%80%80\"", "%\"%f5%80%80%80\"", "%\"%ff\"",
      "%\"%e2%82\"", "%\"%f0%9f%98\"", "%'a'",
      // Neither.
      "=", ";", ";a", ")", "(", "#", "\\", "\x01", std::string(1, '\0'), std::string("1\0", 2), "\x80", "\xff"};
  for (const std::string& text : cases) {
    CAPTURE(text);
    CHECK_FALSE(parse_list(text));
    CHECK_FALSE(parse_dictionary("k=" + text));
    CHECK_FALSE(parse_list("ok, " + text));
    CHECK_FALSE(parse_list("(" + text + ")"));
    CHECK_FALSE(parse_list("ok;p=" + text));
  }
}

TEST_CASE("lists") {
  CHECK(parse_list("") == List{});
  CHECK(parse_list("   ") == List{});
  CHECK(parse_list("a") == List{item(Token{"a"})});
  const List three{item(Token{"a"}), item(integer(1)), item(std::string("b,c"))};
  for (const char* text : {"a, 1, \"b,c\"", "a,1,\"b,c\"", "a ,\t1\t\t, \t\"b,c\"", "  a, 1, \"b,c\"  "}) {
    CAPTURE(text);
    CHECK(parse_list(text) == three);
  }
  CHECK(parse_list("(a b)") == List{InnerList{{item(Token{"a"}), item(Token{"b"})}, {}}});
  CHECK(parse_list("()") == List{InnerList{}});
  CHECK(parse_list("(   )") == List{InnerList{}});
  CHECK(parse_list("(  a   b )") == parse_list("(a b)"));
  CHECK(parse_list("((a))") == std::nullopt);
  CHECK(parse_list("(a;x b;y=1);z;w=?0, c") ==
        List{InnerList{{item(Token{"a"}, {{"x", true}}), item(Token{"b"}, {{"y", integer(1)}})},
                       {{"z", true}, {"w", false}}},
             item(Token{"c"})});
  for (const char* text :
       {",",      "a,",           "a, ",  "a,\t",  ",a",   "a,,b", "a, ,b", "a b",   "a;",   "a; ",  "a ;b", "a;b =1",
        "a;b= 1", "a;b=(1)",      "a;B",  "a;1",   "a;;b", "a;=1", "a;b=",  "(a",    "(a ",  "(a b", "a)",   "(a,b)",
        "(a\tb)", "(\"a\"\"b\")", "(a)b", "(a) b", "(a);", "\ta",  "a=1",   "(a=1)", "a\nb", "a\r\n"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_list(text));
  }
}

TEST_CASE("parameters") {
  const auto list = parse_list("a; b;c=1;  *d=\"x\";e-f_g.h*1=:YQ==:;b=2;i=@5;j=%\"%c3%bc\";k=1.5;l=t");
  REQUIRE(list);
  CHECK(*list == List{item(Token{"a"}, {{"b", integer(2)},
                                        {"c", integer(1)},
                                        {"*d", std::string("x")},
                                        {"e-f_g.h*1", ByteSequence{"a"}},
                                        {"i", Date{5}},
                                        {"j", DisplayString{"\xc3\xbc"}},
                                        {"k", Decimal{1500}},
                                        {"l", Token{"t"}}})});
}

TEST_CASE("dictionaries") {
  CHECK(parse_dictionary("") == Dictionary{});
  CHECK(parse_dictionary("  ") == Dictionary{});
  CHECK(parse_dictionary("a") == Dictionary{{"a", item(true)}});
  CHECK(parse_dictionary("a=?1") == parse_dictionary("a"));
  CHECK(parse_dictionary("a;x=1") == Dictionary{{"a", item(true, {{"x", integer(1)}})}});
  CHECK(parse_dictionary("a=1 ,\tb=\"c\",d=(e f);g") ==
        Dictionary{{"a", item(integer(1))},
                   {"b", item(std::string("c"))},
                   {"d", InnerList{{item(Token{"e"}), item(Token{"f"})}, {{"g", true}}}}});
  // Of a repeated key the last value counts, in the first one's place.
  CHECK(parse_dictionary("a=1, b=2, a=3") == Dictionary{{"a", item(integer(3))}, {"b", item(integer(2))}});
  CHECK(parse_dictionary("a=1, a") == Dictionary{{"a", item(true)}});
  CHECK(parse_dictionary("*, *a.b-c_d*9=1") == Dictionary{{"*", item(true)}, {"*a.b-c_d*9", item(integer(1))}});
  for (const char* text : {",",
                           "a,",
                           "a=1,",
                           "a=1, ",
                           "a,,b",
                           "a b",
                           "A",
                           "a=1, B=2",
                           "1",
                           "-a",
                           "_a",
                           ".a",
                           "\"a\"=1",
                           "a =1",
                           "a= 1",
                           "a=",
                           "a=,b",
                           "=1",
                           "a==1",
                           "a=1=2",
                           "a=(",
                           "a=(b",
                           "a=((b))",
                           "a=1 b=2",
                           "a=1;",
                           "a;",
                           "(a)",
                           "?1",
                           "a\tb",
                           "\xc3\xbc=1",
                           "a=1\n",
                           "max-age=60; path=/x",
                           "max-age=\"60",
                           "max-age='60'"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_dictionary(text));
  }
}

TEST_CASE("finding a member and its type") {
  const auto dictionary = parse_dictionary("a=1, b=(c), d=\"e\", f=g");
  REQUIRE(dictionary);
  REQUIRE(find(*dictionary, "a") != nullptr);
  CHECK(find(*dictionary, "A") == nullptr);
  CHECK(find(*dictionary, "") == nullptr);
  CHECK(*bare_item<std::int64_t>(*find(*dictionary, "a")) == 1);
  CHECK(bare_item<Decimal>(*find(*dictionary, "a")) == nullptr);
  CHECK(bare_item<Token>(*find(*dictionary, "b")) == nullptr);
  CHECK(*bare_item<std::string>(*find(*dictionary, "d")) == "e");
  CHECK(bare_item<std::string>(*find(*dictionary, "f")) == nullptr);
  CHECK(bare_item<Token>(*find(*dictionary, "f"))->text == "g");
}

TEST_CASE("all lines of a field are one value") {
  CHECK(parse_dictionary(Fields{{"A", "x=1"}, {"B", "!"}, {"a", "y=2, x=3"}}, "A") == parse_dictionary("x=3, y=2"));
  CHECK(parse_list(Fields{{"A", "x"}, {"a", "y"}}, "A") == parse_list("x, y"));
  CHECK(parse_list(Fields{{"B", "x"}}, "A") == List{});
  CHECK(parse_dictionary(Fields{}, "A") == Dictionary{});
  CHECK_FALSE(parse_list(Fields{{"A", "x"}, {"A", "!"}}, "A"));
  CHECK_FALSE(parse_list(Fields{{"A", "x"}, {"A", ""}}, "A"));
  CHECK_FALSE(parse_list(Fields{{"A", ""}, {"A", "x"}}, "A"));
  CHECK_FALSE(parse_list(Fields{{"A", "(x"}, {"A", "y)"}}, "A"));
  // §4.2: what a string split over two lines becomes cannot be told from one that was not split.
  CHECK(parse_list(Fields{{"A", "\"x"}, {"A", "y\""}}, "A") == parse_list("\"x, y\""));
}

TEST_CASE("bounds") {
  const auto distinct = [](std::size_t count, std::string_view between) {
    std::string text = "k0";
    for (std::size_t i = 1; i < count; ++i) text.append(between).append("k").append(std::to_string(i));
    return text;
  };
  CHECK(parse_list("a" + repeated(",a", max_members - 1)));
  CHECK_FALSE(parse_list("a" + repeated(",a", max_members)));
  CHECK(parse_dictionary(distinct(max_members, ",")));
  CHECK_FALSE(parse_dictionary(distinct(max_members + 1, ",")));
  CHECK(parse_dictionary("a" + repeated(",a", max_members))->size() == 1);
  CHECK(parse_list("(a" + repeated(" a", max_inner_items - 1) + ")"));
  CHECK_FALSE(parse_list("(a" + repeated(" a", max_inner_items) + ")"));
  CHECK(parse_list("a;" + distinct(max_parameters, ";")));
  CHECK_FALSE(parse_list("a;" + distinct(max_parameters + 1, ";")));
  CHECK(parse_list("\"" + std::string(max_field_size - 2, 'x') + "\""));
  CHECK_FALSE(parse_list("\"" + std::string(max_field_size - 1, 'x') + "\""));
  // What RFC 9651 §3.3 asks every parser to hold.
  CHECK(parse_list(std::string(512, 'x')));
  CHECK(parse_list(":" + repeated("AAAA", 16384 / 3 + 1) + ":"));
  CHECK(parse_dictionary(std::string(64, 'k') + "=1"));
  CHECK_FALSE(parse_list(repeated("(", 30000)));
  CHECK_FALSE(parse_list(std::string(60000, '1')));
  CHECK_FALSE(parse_list(repeated("(a;b;c ", 9000)));
}
