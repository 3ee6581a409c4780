#include "larder/redis/resp.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <hiredis/hiredis.h>
#include <optional>
#include <string>
#include <vector>

namespace larder::redis {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using Kind = Reply::Kind;
using Step = ReplyReader::Step;

/// A reply in one line, for tables: nil, "string", +status, :integer, -error, [a, b].
std::string shown(const Reply& reply) {
  switch (reply.kind) {
    case Kind::nil:
      return "nil";
    case Kind::string:
      return "\"" + reply.text + "\"";
    case Kind::status:
      return "+" + reply.text;
    case Kind::integer:
      return ":" + std::to_string(reply.integer);
    case Kind::error:
      return "-" + reply.text;
    case Kind::array:
      break;
  }
  std::string all = "[";
  for (const Reply& element : reply.elements) all += (all.size() > 1 ? ", " : "") + shown(element);
  return all + "]";
}

/// All replies of `bytes`, given to the reader in pieces of `piece`; "broken" at the end for a fault.
std::vector<std::string> read_all(std::string_view bytes, std::size_t piece, ReplyLimits limits = {}) {
  ReplyReader reader(limits);
  std::vector<std::string> replies;
  while (!bytes.empty()) {
    std::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    for (;;) {
      Reply reply;
      const Step step = reader.next(input, reply);
      if (step == Step::incomplete) break;
      if (step == Step::broken) {
        CHECK_FALSE(reader.fault().empty());
        CHECK(reader.next(input, reply) == Step::broken);  // for good
        replies.emplace_back("broken");
        return replies;
      }
      replies.push_back(shown(reply));
    }
    CHECK(input.empty());
    CHECK(reader.fault().empty());
  }
  return replies;
}

using Shown = std::vector<std::string>;

/// One text, so that a failed check can show it.
std::string joined(const Shown& replies) {
  std::string all;
  for (const std::string& reply : replies) all += reply + " | ";
  return all;
}

TEST_CASE("replies are read, whatever the pieces they come in") {
  struct Case {
    std::string_view bytes;
    Shown replies;
  };
  const Case cases[] = {
      {"+OK\r\n", {"+OK"}},
      {"+\r\n", {"+"}},
      {"-ERR no\r\n", {"-ERR no"}},
      {":0\r\n", {":0"}},
      {":-17\r\n", {":-17"}},
      {":9223372036854775807\r\n", {":9223372036854775807"}},
      {":-9223372036854775808\r\n", {":-9223372036854775808"}},
      {"$3\r\nabc\r\n", {"\"abc\""}},
      {"$0\r\n\r\n", {"\"\""}},
      {"$2\r\n\r\n\r\n", {"\"\r\n\""}},
      {"$5\r\n+OK\r\n\r\n", {"\"+OK\r\n\""}},
      {"$3\r\na\0b\r\n"sv, {"\"a\0b\""s}},
      {"$-1\r\n", {"nil"}},
      {"*-1\r\n", {"nil"}},
      {"*0\r\n", {"[]"}},
      {"*2\r\n$1\r\na\r\n:2\r\n", {"[\"a\", :2]"}},
      {"*3\r\n*0\r\n*-1\r\n$-1\r\n", {"[[], nil, nil]"}},
      {"*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n*1\r\n-E x\r\n", {"[[:1, :2], [[-E x]]]"}},
      {"+a\r\n+b\r\n$1\r\nc\r\n", {"+a", "+b", "\"c\""}},
      {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n", {"[\"message\", \"c\", \"p\"]"}},
      {"$3\r\nab", {}},
      {"*2\r\n:1\r\n", {}},
      {"", {}},
  };
  for (const Case& test : cases) {
    for (const std::size_t piece : {1UL, 2UL, 3UL, 7UL, 4096UL}) {
      CAPTURE(test.bytes);
      CAPTURE(piece);
      CHECK(joined(read_all(test.bytes, piece)) == joined(test.replies));
    }
  }
}

TEST_CASE("what is not RESP breaks the reader, once and for all") {
  const std::string_view cases[] = {
      "HTTP/1.1 400 Bad Request\r\n",
      "\r\n",
      "\0\0\0\0"sv,
      "\x16\x03\x01\x02\x00"sv,  // a TLS record
      "?\r\n",
      ":\r\n",
      ":12a\r\n",
      ":1 \r\n",
      ":99999999999999999999\r\n",
      "$\r\n",
      "$x\r\n",
      "$-2\r\n",
      "$ 3\r\nabc\r\n",
      "$99999999999999999999\r\n",
      "$9223372036854775807\r\n",
      "$3\r\nabcd\r\n",
      "$3\r\nabc\n\n",
      "*\r\n",
      "*x\r\n",
      "*-2\r\n",
      "*4294967296\r\n",
      "*9223372036854775807\r\n",
      "*1152921504606846976\r\n",
      "*2\r\n:1\r\nX",
  };
  for (const std::string_view bytes : cases) {
    for (const std::size_t piece : {1UL, 4096UL}) {
      CAPTURE(bytes);
      const Shown replies = read_all(bytes, piece);
      REQUIRE(replies.size() == 1);
      CHECK(replies[0] == "broken");
    }
  }
  CHECK(joined(read_all("+OK\r\n!x\r\n+OK\r\n", 4096)) == joined(Shown{"+OK", "broken"}));
}

TEST_CASE("bounds hold before the memory is taken") {
  ReplyLimits limits;
  limits.max_bulk_bytes = 10;
  limits.max_line_bytes = 20;
  limits.max_elements = 4;
  limits.max_depth = 2;
  limits.max_reply_bytes = 20;
  struct Case {
    std::string what;
    std::string bytes;
    Shown replies;
  };
  const Case cases[] = {
      {"bulk at the bound", "$10\r\n0123456789\r\n", {"\"0123456789\""}},
      {"bulk beyond", "$11\r\n", {"broken"}},
      {"bulk far beyond", "$1000000000000\r\n", {"broken"}},
      {"complete bulk beyond", "$11\r\n0123456789a\r\n", {"broken"}},
      {"line at the bound", "+" + std::string(20, 'x') + "\r\n", {"+" + std::string(20, 'x')}},
      {"line beyond", "+" + std::string(21, 'x') + "\r\n", {"broken"}},
      {"line without end", "+" + std::string(22, 'x'), {"broken"}},
      {"error line without end", "-" + std::string(22, 'x'), {"broken"}},
      {"length without end", "$" + std::string(22, '1'), {"broken"}},
      {"array length without end", "*" + std::string(22, '1'), {"broken"}},
      {"elements at the bound", "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", {"[:1, :2, :3, :4]"}},
      {"elements beyond", "*5\r\n", {"broken"}},
      {"elements beyond, spread", "*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n", {"broken"}},
      {"depth at the bound", "*1\r\n*1\r\n:1\r\n", {"[[:1]]"}},
      {"depth beyond", "*1\r\n*1\r\n*1\r\n:1\r\n", {"broken"}},
      {"strings of one reply", "*3\r\n$8\r\n01234567\r\n$9\r\n012345678\r\n$4\r\n0123\r\n", {"broken"}},
      {"strings of two replies", "$8\r\n01234567\r\n$9\r\n012345678\r\n", {"\"01234567\"", "\"012345678\""}},
  };
  for (const Case& test : cases) {
    for (const std::size_t piece : {1UL, 4096UL}) {
      CAPTURE(test.what);
      CHECK(joined(read_all(test.bytes, piece, limits)) == joined(test.replies));
    }
  }
}

TEST_CASE("the bounds that apply without being named") {
  std::string nested;
  for (int i = 0; i < 7; ++i) nested += "*1\r\n";
  CHECK(joined(read_all(nested + ":1\r\n", 4096)) == joined(Shown{"[[[[[[[:1]]]]]]]"}));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "*1\r\n";
  CHECK(joined(read_all(deep, 4096)) == joined(Shown{"broken"}));
  CHECK(joined(read_all("$134217729\r\n", 4096)) == joined(Shown{"broken"}));
  CHECK(joined(read_all("$134217728\r\n", 4096)) == joined(Shown{}));
  CHECK(joined(read_all("*1048577\r\n", 4096)) == joined(Shown{"broken"}));
  CHECK(joined(read_all("+" + std::string(70'000, 'x'), 4096)) == joined(Shown{"broken"}));
  // A million elements are announced at each level: nothing is allocated for them.
  CHECK(joined(read_all("*1000000\r\n*1000000\r\n*1000000\r\n:1\r\n", 4096)) == joined(Shown{}));
}

TEST_CASE("a large value comes through whole") {
  std::string value(16UL << 20, '\0');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7 + (i >> 9));
  const std::string bytes = "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n+OK\r\n";
  ReplyReader reader;
  std::string_view input = bytes;
  Reply reply;
  REQUIRE(reader.next(input, reply) == Step::reply);
  CHECK(reply.kind == Kind::string);
  CHECK((reply.text == value));
  REQUIRE(reader.next(input, reply) == Step::reply);
  CHECK(reply.text == "OK");
  CHECK(reader.next(input, reply) == Step::incomplete);
}

TEST_CASE("a reply overwrites what was there") {
  ReplyReader reader;
  std::string_view input = "*1\r\n:7\r\n$-1\r\n";
  Reply reply;
  reply.text = "old";
  REQUIRE(reader.next(input, reply) == Step::reply);
  CHECK(shown(reply) == "[:7]");
  CHECK(reply.text.empty());
  REQUIRE(reader.next(input, reply) == Step::reply);
  CHECK(shown(reply) == "nil");
  CHECK(reply.elements.empty());
}

TEST_CASE("the first word of an error names it") {
  struct Case {
    Kind kind;
    const char* text;
    const char* word;
  };
  const Case cases[] = {
      {Kind::error, "OOM command not allowed", "OOM"},
      {Kind::error, "READONLY", "READONLY"},
      {Kind::error, "", ""},
      {Kind::error, " x", ""},
      {Kind::status, "OK then", ""},
      {Kind::string, "ERR x", ""},
  };
  for (const Case& test : cases) {
    Reply reply;
    reply.kind = test.kind;
    reply.text = test.text;
    CHECK(reply.error_word() == test.word);
    CHECK(reply.is_error() == (test.kind == Kind::error));
  }
}

TEST_CASE("commands are written as hiredis writes them") {
  const std::string large(100'000, 'x');
  const std::vector<std::vector<std::string_view>> cases = {
      {"PING"},
      {"GET", "cache:search:0123456789abcdef0123456789abcdef"},
      {"SET", "k", ""},
      {"SET", "", "v", "PX", "1000"},
      {"SET", "k\0\r\n"sv, "*1\r\n$4\r\nQUIT\r\n"},
      {"SET", "k", large},
      {"DEL", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
      std::vector<std::string_view>(1000, "same"),
  };
  for (const auto& arguments : cases) {
    std::vector<const char*> pointers;
    std::vector<std::size_t> lengths;
    for (const std::string_view argument : arguments) {
      pointers.push_back(argument.data());
      lengths.push_back(argument.size());
    }
    char* formatted = nullptr;
    const auto size =
        redisFormatCommandArgv(&formatted, static_cast<int>(arguments.size()), pointers.data(), lengths.data());
    REQUIRE(size > 0);
    const std::string expected(formatted, static_cast<std::size_t>(size));
    free(formatted);  // NOLINT: hiredis' malloc

    std::string out = "before";
    append_command(out, arguments);
    CHECK((out == "before" + expected));
    CHECK(command_size(arguments) == expected.size());
  }
}

}  // namespace
}  // namespace larder::redis
