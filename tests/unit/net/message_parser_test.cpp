#include "larder/net/message_parser.hpp"

#include <array>
#include <chrono>
#include <doctest/doctest.h>
#include <ostream>
#include <string>

#include "message_outcome.hpp"

namespace larder::net {

std::ostream& operator<<(std::ostream& out, ParseFault fault) { return out << to_string(fault); }

namespace {

using test::MessageOutcome;
using End = MessageOutcome::End;
using Fields = std::vector<std::pair<std::string, std::string>>;
using namespace std::string_literals;

constexpr std::size_t all = ~std::size_t{0};

template <bool is_request>
MessageOutcome whole(std::string_view bytes, bool answers_head = false) {
  return test::read_message<is_request>(
      bytes, [] { return all; }, answers_head);
}
MessageOutcome request(std::string_view bytes) { return whole<true>(bytes); }
MessageOutcome response(std::string_view bytes, bool answers_head = false) { return whole<false>(bytes, answers_head); }

// Every two-part split, and byte by byte, against the whole.
template <bool is_request>
void check_splits(std::string_view bytes, bool answers_head = false) {
  const auto expected = whole<is_request>(bytes, answers_head);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    bool first = true;
    const auto outcome = test::read_message<is_request>(
        bytes, [&] { return std::exchange(first, false) ? cut : all; }, answers_head);
    CHECK_MESSAGE(outcome.agrees_with(expected), "cut at " << cut << " of " << bytes);
  }
  const auto by_byte = test::read_message<is_request>(
      bytes, [] { return 1; }, answers_head);
  CHECK_MESSAGE(by_byte.agrees_with(expected), "byte by byte: " << bytes);
}

const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
const std::string ok = "HTTP/1.1 200 OK\r\n";

struct Valid {
  std::string what;
  std::string bytes;
  Framing framing = Framing::none;
  std::string body = {};
  bool keeps_alive = true;
  Fields trailers = {};
};

const std::vector<Valid> valid_requests{
    {"plain", get + "\r\n"},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", Framing::none, "", false},
    {"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
    {"HTTP/1.0, close over keep-alive (RFC 9112 §9.3)", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     Framing::none, "", false},
    {"close", get + "Connection: close\r\n\r\n", Framing::none, "", false},
    {"close among others, in capitals", get + "Connection: x, CLOSE\r\n\r\n", Framing::none, "", false},
    {"any token is a method", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"every character of a target", "GET /-._~!$&'()*+,;=:@/%41?a=/?[] HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"no white space around a value", "GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n"},
    {"much white space around a value", "GET / HTTP/1.1\r\nHost: \t a\t \r\n\r\n"},
    {"empty value", get + "X:\r\nY: \r\n\r\n"},
    {"tab and obs-text in a value", get + "X: a\tb\xe9\xff\r\n\r\n"},
    {"colon in a value", get + "X: a:b: c\r\n\r\n"},
    {"Content-Length", post + "Content-Length: 3\r\n\r\nabc", Framing::length, "abc"},
    {"Content-Length 0", post + "Content-Length: 0\r\n\r\n"},
    {"Content-Length with zeros", post + "Content-Length: 0003\r\n\r\nabc", Framing::length, "abc"},
    {"equal Content-Lengths", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", Framing::length, "abc"},
    {"equal Content-Lengths in one line", post + "Content-Length: 3, 3\r\n\r\nabc", Framing::length, "abc"},
    {"body that looks like a request", post + "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n", Framing::length,
     "GET / HTTP/1.1\r\n\r\n"},
    {"control characters in a body", post + "Content-Length: 3\r\n\r\n"s + "\0\n\r"s, Framing::length, "\0\n\r"s},
    {"no chunk", chunked + "0\r\n\r\n", Framing::chunked},
    {"one chunk", chunked + "3\r\nabc\r\n0\r\n\r\n", Framing::chunked, "abc"},
    {"several chunks", chunked + "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", Framing::chunked, "abc"},
    {"hex digits", chunked + "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", Framing::chunked,
     "01234567890123456789a"},
    {"zeros before a size", chunked + "0000000000000000000003\r\nabc\r\n000\r\n\r\n", Framing::chunked, "abc"},
    {"CRLF in a chunk", chunked + "4\r\n\r\n\r\n\r\n0\r\n\r\n", Framing::chunked, "\r\n\r\n"},
    {"extensions", chunked + "3;a;b=c;d=\"e; \\\"f\"\r\nabc\r\n0;last\r\n\r\n", Framing::chunked, "abc"},
    {"coding in capitals", post + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", Framing::chunked},
    {"trailers",
     chunked + "3\r\nabc\r\n0\r\nX: a\r\nY:  b \r\n\r\n",
     Framing::chunked,
     "abc",
     true,
     {{"X", "a"}, {"Y", "b"}}},
    {"trailers that only a head may have",
     chunked +
         "0\r\nHost: evil\r\nAuthorization: evil\r\nX-Forwarded-For: evil\r\nContent-Type: evil\r\nConnection: x\r\n"
         "Cache-Control: no-store\r\nX: a\r\n\r\n",
     Framing::chunked,
     "",
     true,
     {{"X", "a"}}},
};

TEST_CASE("requests that are valid, in every split") {
  for (const auto& c : valid_requests) {
    CAPTURE(c.what);
    const auto outcome = request(c.bytes);
    CHECK(outcome.fault == ParseFault::none);
    REQUIRE(outcome.end == End::complete);
    CHECK(outcome.framing == c.framing);
    CHECK(outcome.body == c.body);
    CHECK(outcome.keeps_alive == c.keeps_alive);
    CHECK(outcome.trailers == c.trailers);
    CHECK(outcome.rest.empty());
    check_splits<true>(c.bytes);
  }
}

TEST_CASE("what is behind a request is left for the next one") {
  for (const auto& first : valid_requests) {
    CAPTURE(first.what);
    const auto bytes = first.bytes + get + "\r\n";
    CHECK(request(bytes).rest == get + "\r\n");
    check_splits<true>(bytes);
  }
}

TEST_CASE("the parts of a request") {
  const auto outcome = request("PuT /a?b HTTP/1.0\r\nHost: h\r\nx-A: 1\r\nX-a:  two words \r\n\r\n");
  CHECK(outcome.method == "PuT");
  CHECK(outcome.target == "/a?b");
  CHECK(outcome.version == http::Version::http_1_0);
  CHECK(outcome.fields == Fields{{"Host", "h"}, {"x-A", "1"}, {"X-a", "two words"}});
}

struct Invalid {
  std::string what;
  std::string bytes;
  ParseFault fault;
  End end = End::refused_head;
};

const std::vector<Invalid> invalid_requests{
    // RFC 9112 §2.2: a line ends with CRLF, and no CR or LF is anywhere else.
    {"LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", ParseFault::line_ending},
    {"LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", ParseFault::line_ending},
    {"LF after a field", get + "X: y\n\r\n", ParseFault::line_ending},
    {"LF as empty line", get + "\n", ParseFault::line_ending},
    {"CR in a value", get + "X: a\rb\r\n\r\n", ParseFault::line_ending},
    {"CR in the request line", "GET /\r HTTP/1.1\r\n\r\n", ParseFault::line_ending},
    {"CR CR LF", get + "X: a\r\r\n\r\n", ParseFault::line_ending},
    {"LF CR", get + "X: a\n\r\n\r\n", ParseFault::line_ending},
    // §5.2
    {"obs-fold", get + "X: a\r\n b\r\n\r\n", ParseFault::folded_field},
    {"obs-fold by a tab", get + "X: a\r\n\tb\r\n\r\n", ParseFault::folded_field},
    {"obs-fold with a blank first line", get + "X:\r\n b\r\n\r\n", ParseFault::folded_field},
    {"folded request line", "GET /\r\n HTTP/1.1\r\n\r\n", ParseFault::folded_field},
    {"white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", ParseFault::folded_field},
    // RFC 9110 §5.5
    {"NUL in a value", get + "X: a\0b\r\n\r\n"s, ParseFault::control_character},
    {"control character in a value", get + "X: \x01\r\n\r\n", ParseFault::control_character},
    {"vertical tab in a value", get + "X: a\vb\r\n\r\n", ParseFault::control_character},
    {"DEL in a value", get + "X: a\x7f\r\n\r\n", ParseFault::control_character},
    {"NUL in the target", "GET /\0 HTTP/1.1\r\n\r\n"s, ParseFault::control_character},
    // §5.1
    {"space before the colon", get + "X : a\r\n\r\n", ParseFault::field},
    {"tab before the colon", get + "X\t: a\r\n\r\n", ParseFault::field},
    {"space in a name", get + "X Y: a\r\n\r\n", ParseFault::field},
    {"no name", get + ": a\r\n\r\n", ParseFault::field},
    {"no colon", get + "Xa\r\n\r\n", ParseFault::field},
    {"separator in a name", get + "X(: a\r\n\r\n", ParseFault::field},
    {"quote in a name", get + "\"X\": a\r\n\r\n", ParseFault::field},
    {"obs-text in a name", get + "X\xe9: a\r\n\r\n", ParseFault::field},
    // §3
    {"empty", "\r\n\r\n", ParseFault::start_line},
    {"no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"separator in the method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"only a method", "GET\r\n\r\n", ParseFault::start_line},
    {"tabs", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"more behind the version", "GET / HTTP/1.1x\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"HTTP/01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"HTTP/1", "GET / HTTP/1\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"another protocol", "GET / ICAP/1.0\r\nHost: a\r\n\r\n", ParseFault::start_line},
    {"no version (HTTP/0.9)", "GET /\r\n\r\n", ParseFault::target},
    {"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", ParseFault::target},
    // RFC 9110 §15.6.6
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", ParseFault::version},
    {"HTTP/0.9 in so many words", "GET / HTTP/0.9\r\n\r\n", ParseFault::version},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ParseFault::version},
    // §3.2
    {"no Host", "GET / HTTP/1.1\r\n\r\n", ParseFault::host},
    {"two Hosts", get + "Host: b\r\n\r\n", ParseFault::host},
    {"two equal Hosts", get + "host: a\r\n\r\n", ParseFault::host},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", ParseFault::host},
    // §6.3
    {"both, length first", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     ParseFault::framing_conflict},
    {"both, coding first", post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
     ParseFault::content_length},
    {"both, unknown coding first", post + "Transfer-Encoding: x\r\nContent-Length: 3\r\n\r\n",
     ParseFault::framing_conflict},
    {"differing lengths", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", ParseFault::content_length},
    {"differing lengths in one line", post + "Content-Length: 3,4\r\n\r\n", ParseFault::content_length},
    {"negative length", post + "Content-Length: -1\r\n\r\n", ParseFault::content_length},
    {"signed length", post + "Content-Length: +1\r\n\r\n", ParseFault::content_length},
    {"hexadecimal length", post + "Content-Length: 0x1\r\n\r\n", ParseFault::content_length},
    {"fraction", post + "Content-Length: 1.0\r\n\r\n", ParseFault::content_length},
    {"exponent", post + "Content-Length: 1e1\r\n\r\n", ParseFault::content_length},
    {"two numbers", post + "Content-Length: 1 1\r\n\r\n", ParseFault::content_length},
    {"no number", post + "Content-Length:\r\n\r\n", ParseFault::content_length},
    {"only a comma", post + "Content-Length: ,\r\n\r\n", ParseFault::content_length},
    {"comma at the end", post + "Content-Length: 1,\r\n\r\n", ParseFault::content_length},
    {"quoted length", post + "Content-Length: \"1\"\r\n\r\n", ParseFault::content_length},
    {"2^64", post + "Content-Length: 18446744073709551616\r\n\r\n", ParseFault::content_length},
    {"far past 2^64", post + "Content-Length: 99999999999999999999999999\r\n\r\n", ParseFault::content_length},
    // §6.1
    {"unknown coding", post + "Transfer-Encoding: x\r\n\r\n", ParseFault::transfer_coding},
    {"gzip", post + "Transfer-Encoding: gzip\r\n\r\n", ParseFault::transfer_coding},
    {"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", ParseFault::transfer_coding},
    {"chunked, gzip", post + "Transfer-Encoding: chunked, gzip\r\n\r\n", ParseFault::transfer_coding},
    {"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", ParseFault::transfer_coding},
    {"empty member", post + "Transfer-Encoding: ,chunked\r\n\r\n", ParseFault::transfer_coding},
    {"with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n", ParseFault::transfer_coding},
    {"quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n", ParseFault::transfer_coding},
    {"identity", post + "Transfer-Encoding: identity\r\n\r\n", ParseFault::transfer_coding},
    {"none", post + "Transfer-Encoding:\r\n\r\n", ParseFault::transfer_coding},
    {"unknown on a line of its own", post + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n",
     ParseFault::transfer_coding},
    {"in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ParseFault::transfer_coding},
    {"on two lines", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     ParseFault::framing_conflict},
    // §7.1
    {"no size", chunked + "\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"no number", chunked + "xyz\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"negative size", chunked + "-3\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"signed size", chunked + "+3\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"0x size", chunked + "0x3\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"space before a size", chunked + " 3\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"space behind a size", chunked + "3 \r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"tab behind a size", chunked + "3\t\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"underscore in a size", chunked + "0_3\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"size past 2^64", chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"comma in a size", chunked + "3,3\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"LF behind a size", chunked + "3\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"CR in a size", chunked + "3\r3\r\nabc\r\n0\r\n\r\n", ParseFault::line_ending, End::refused_body},
    {"extension without a name", chunked + "3;\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"extension without a value", chunked + "3;a=\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"LF in an extension", chunked + "3;a\nb\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"LF in a quoted extension", chunked + "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"NUL in a quoted extension", chunked + "3;a=\"\0\"\r\nabc\r\n0\r\n\r\n"s, ParseFault::chunk, End::refused_body},
    {"LF in the last chunk's extension", chunked + "0;a=\"\n\"\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"quote that ends behind the line", chunked + "3;a=\"b\r\nabc\r\n0\";c\r\n\r\n", ParseFault::chunk,
     End::refused_body},
    {"more than the size", chunked + "3\r\nabcd\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"less than the size", chunked + "3\r\nab\r\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"LF behind a chunk", chunked + "3\r\nabc\n0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"0x0", chunked + "0x0\r\n\r\n", ParseFault::chunk, End::refused_body},
    // §7.1.2
    {"space before a trailer's colon", chunked + "0\r\nX : a\r\n\r\n", ParseFault::field, End::refused_body},
    {"trailer without a colon", chunked + "0\r\nX\r\n\r\n", ParseFault::field, End::refused_body},
    {"LF in a trailer", chunked + "0\r\nX: a\nY: b\r\n\r\n", ParseFault::field, End::refused_body},
    {"control character in a trailer", chunked + "0\r\nX: \x01\r\n\r\n", ParseFault::field, End::refused_body},
    {"folded trailer", chunked + "0\r\nX: a\r\n b\r\n\r\n", ParseFault::folded_field, End::refused_body},
    {"folded trailer with a blank first line", chunked + "0\r\nX:\r\n b\r\n\r\n", ParseFault::folded_field,
     End::refused_body},
    {"folded trailer, all blank", chunked + "0\r\nX:\r\n \r\nY: b\r\n\r\n", ParseFault::folded_field,
     End::refused_body},
    {"Content-Length as a trailer", chunked + "0\r\nContent-Length: 0\r\n\r\n", ParseFault::content_length,
     End::refused_body},
    {"Transfer-Encoding as a trailer", chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n",
     ParseFault::framing_conflict, End::refused_body},
    // §8
    {"no body", post + "Content-Length: 3\r\n\r\n", ParseFault::truncated, End::truncated},
    {"part of a body", post + "Content-Length: 3\r\n\r\nab", ParseFault::truncated, End::truncated},
    {"part of a chunk", chunked + "3\r\nab", ParseFault::truncated, End::truncated},
    {"no last chunk", chunked + "3\r\nabc\r\n", ParseFault::truncated, End::truncated},
    {"no empty line behind the last chunk", chunked + "3\r\nabc\r\n0\r\n", ParseFault::truncated, End::truncated},
    {"half a trailer section", chunked + "0\r\nX: a\r\n", ParseFault::truncated, End::truncated},
    {"half a head", get + "X: y\r\n", ParseFault::none, End::incomplete_head},
};

TEST_CASE("requests that are not valid, in every split") {
  for (const auto& c : invalid_requests) {
    CAPTURE(c.what);
    const auto outcome = request(c.bytes);
    CHECK(outcome.end == c.end);
    CHECK(outcome.fault == c.fault);
    check_splits<true>(c.bytes);
  }
}

TEST_CASE("every control character is refused everywhere in a head") {
  for (int byte = 0; byte < 256; ++byte) {
    if ((byte >= 0x20 && byte != 0x7f) || byte == '\t') continue;
    const char c = static_cast<char>(byte);
    CAPTURE(byte);
    for (const std::string& bytes :
         {"GE"s + c + "T / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"s + c + " HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET / HTTP/1.1"s + c + "\r\nHost: a\r\n\r\n", get + "X"s + c + ": a\r\n\r\n",
          get + "X: a"s + c + "b\r\n\r\n", c + get + "\r\n"}) {
      CHECK(request(bytes).end != End::complete);
    }
    CHECK(request(chunked + "0\r\nX: a"s + c + "b\r\n\r\n").end != End::complete);
    CHECK(request(chunked + "3;a"s + c + "\r\nabc\r\n0\r\n\r\n").end != End::complete);
    CHECK(request(chunked + "3;a=\"b"s + c + "\"\r\nabc\r\n0\r\n\r\n").end != End::complete);
  }
}

const std::vector<Valid> valid_responses{
    {"Content-Length", ok + "Content-Length: 2\r\n\r\nok", Framing::length, "ok"},
    {"Content-Length 0", ok + "Content-Length: 0\r\n\r\n"},
    {"chunked",
     ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
     Framing::chunked,
     "ok",
     true,
     {{"X", "y"}}},
    {"until the end", ok + "\r\nall of it", Framing::until_close, "all of it", false},
    {"until the end, empty", ok + "\r\n", Framing::until_close, "", false},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", Framing::until_close, "ok", false},
    {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"},
    {"long reason", "HTTP/1.1 200 It went\tvery \xe9 well\r\nContent-Length: 0\r\n\r\n"},
    {"unknown status", "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"},
    {"204 has no body (RFC 9112 §6.3)", "HTTP/1.1 204 No Content\r\n\r\n"},
    {"304 has no body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"},
    {"304, chunked", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"100", "HTTP/1.1 100 Continue\r\n\r\n"},
    {"103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
    {"101", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"},
    {"close", ok + "Connection: close\r\nContent-Length: 2\r\n\r\nok", Framing::length, "ok", false},
};

TEST_CASE("responses that are valid, in every split") {
  for (const auto& c : valid_responses) {
    CAPTURE(c.what);
    const auto outcome = response(c.bytes);
    CHECK(outcome.fault == ParseFault::none);
    REQUIRE(outcome.end == End::complete);
    CHECK(outcome.framing == c.framing);
    CHECK(outcome.body == c.body);
    CHECK(outcome.keeps_alive == c.keeps_alive);
    CHECK(outcome.trailers == c.trailers);
    check_splits<false>(c.bytes);
  }
}

TEST_CASE("the parts of a response") {
  const auto outcome = response("HTTP/1.0 404 Not here\r\nX: y\r\n\r\n");
  CHECK(outcome.status == 404);
  CHECK(outcome.reason == "Not here");
  CHECK(outcome.version == http::Version::http_1_0);
  CHECK(outcome.fields == Fields{{"X", "y"}});
}

TEST_CASE("an answer to HEAD has no body, whatever it announces") {
  for (const std::string& fields :
       {"Content-Length: 5\r\n"s, "Transfer-Encoding: chunked\r\n"s, "Content-Length: 0\r\n"s, ""s}) {
    CAPTURE(fields);
    const auto bytes = ok + fields + "\r\n" + "HTTP/1.1 200 next";
    const auto outcome = response(bytes, true);
    REQUIRE(outcome.end == End::complete);
    CHECK(outcome.framing == Framing::none);
    CHECK(outcome.body.empty());
    CHECK(outcome.rest == "HTTP/1.1 200 next");
    check_splits<false>(bytes, true);
  }
  CHECK(response(ok + "Content-Length: 5\r\n\r\n", true).length == std::optional<std::uint64_t>(5));
  CHECK(response("HTTP/1.1 304 -\r\nContent-Length: 5\r\n\r\n").length == std::optional<std::uint64_t>(5));
}

const std::vector<Invalid> invalid_responses{
    {"no status line", "hello\r\n\r\n", ParseFault::start_line},
    {"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", ParseFault::version},
    {"another protocol", "ICY 200 OK\r\n\r\n", ParseFault::start_line},
    {"no status", "HTTP/1.1 \r\n\r\n", ParseFault::start_line},
    {"two digits", "HTTP/1.1 99 Low\r\n\r\n", ParseFault::start_line},
    {"four digits", "HTTP/1.1 2000 High\r\n\r\n", ParseFault::start_line},
    {"no number", "HTTP/1.1 2x0 OK\r\n\r\n", ParseFault::start_line},
    {"no space behind the status", "HTTP/1.1 200\r\n\r\n", ParseFault::start_line},
    {"LF", "HTTP/1.1 200 OK\n\n", ParseFault::line_ending},
    {"CR in a field", ok + "X: a\rb\r\n\r\n", ParseFault::line_ending},
    {"NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n"s, ParseFault::control_character},
    {"obs-fold", ok + "X: a\r\n b\r\n\r\n", ParseFault::folded_field},
    {"space before the colon", ok + "X : a\r\n\r\n", ParseFault::field},
    {"differing lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", ParseFault::content_length},
    {"both", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", ParseFault::framing_conflict},
    {"unknown coding", ok + "Transfer-Encoding: x\r\n\r\n", ParseFault::transfer_coding},
    {"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ParseFault::transfer_coding},
    {"cut short", ok + "Content-Length: 3\r\n\r\nok", ParseFault::truncated, End::truncated},
    {"cut short in a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nok", ParseFault::truncated, End::truncated},
    {"bad chunk", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n", ParseFault::chunk, End::refused_body},
    {"half a head", ok + "X: y", ParseFault::none, End::incomplete_head},
};

TEST_CASE("responses that are not valid, in every split") {
  for (const auto& c : invalid_responses) {
    CAPTURE(c.what);
    const auto outcome = response(c.bytes);
    CHECK(outcome.end == c.end);
    CHECK(outcome.fault == c.fault);
    check_splits<false>(c.bytes);
  }
}

TEST_CASE("field lines are counted, in the head and in the trailers") {
  const auto with = [](const std::string& start, int n, const std::string& end) {
    auto bytes = start;
    for (int i = 0; i < n; ++i) bytes += "X: y\r\n";
    return bytes + end;
  };
  const auto read = [](const std::string& bytes) {
    return test::read_message<true>(
        bytes, [] { return all; }, false, 10);
  };
  CHECK(read(with(get, 9, "\r\n")).end == End::complete);
  CHECK(read(with(get, 10, "\r\n")).fault == ParseFault::too_many_fields);
  CHECK(read(with(chunked + "0\r\n", 10, "\r\n")).end == End::complete);
  CHECK(read(with(chunked + "0\r\n", 11, "\r\n")).fault == ParseFault::too_many_fields);
}

TEST_CASE("the largest lengths") {
  const auto outcome = request(post + "Content-Length: 18446744073709551615\r\n\r\nabc");
  CHECK(outcome.end == End::truncated);
  CHECK(outcome.length == std::optional<std::uint64_t>(18446744073709551615ULL));
  CHECK(outcome.body == "abc");
  CHECK(request(chunked + "ffffffffffffffff\r\nabc").body == "abc");
}

TEST_CASE("a head that comes byte by byte costs no more than its bytes") {
  std::string bytes = get;
  while (bytes.size() < (1U << 20)) bytes += "X: " + std::string(100, 'y') + "\r\n";
  bytes += "\r\n";
  std::size_t seen = 0;
  auto fault = ParseFault::none;
  std::size_t size = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t n = 1; n <= bytes.size(); ++n) size = find_head(std::string_view(bytes).substr(0, n), seen, fault);
  // Looking at everything again each time would be 5 * 10^11 steps.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK(size == bytes.size());
  CHECK(fault == ParseFault::none);
}

TEST_CASE("find_head") {
  const auto find = [](std::string_view data, std::size_t seen = 0) {
    auto fault = ParseFault::none;
    return find_head(data, seen, fault);
  };
  CHECK(find("") == 0);
  CHECK(find("GET / HTTP/1.1\r\n") == 0);
  CHECK(find("GET / HTTP/1.1\r\n\r\n") == 18);
  CHECK(find("GET / HTTP/1.1\r\n\r\nrest\n\0") == 18);
  for (std::size_t seen = 0; seen < 18; ++seen) CHECK(find("GET / HTTP/1.1\r\n\r\nrest", seen) == 18);
}

TEST_CASE("what a client is told") {
  CHECK(status_of(ParseFault::head_too_large) == 431);
  CHECK(status_of(ParseFault::too_many_fields) == 431);
  CHECK(status_of(ParseFault::transfer_coding) == 501);
  CHECK(status_of(ParseFault::version) == 505);
  for (int i = 0; i <= static_cast<int>(ParseFault::truncated); ++i) {
    const auto fault = static_cast<ParseFault>(i);
    CHECK(to_string(fault) != "unknown fault");
    CHECK(status_of(fault) >= 400);
  }
}

}  // namespace
}  // namespace larder::net
