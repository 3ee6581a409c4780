#include "larder/net/response_scanner.hpp"

#include <doctest/doctest.h>
#include <string>

#include "plain_response.hpp"

namespace larder::net {
namespace {

using test::judge_plain_response;
using test::PlainVerdict;

const std::string ok = "HTTP/1.1 200 OK\r\n";

TEST_CASE("what is plain is taken for what the parser takes it for") {
  const std::string cases[] = {
      ok + "Content-Length: 2\r\n\r\nok",
      ok + "Content-Length: 2\r\n\r\n",
      ok + "Content-Length: 0\r\n\r\n",
      ok + "content-length:2\r\n\r\nokrest",
      ok + "Content-Length: \t 0002 \t\r\n\r\nok",
      "HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx",
      "HTTP/1.1 599 Many words, \xc3\xa4 and\ttabs\r\nContent-Length: 1\r\n\r\nx",
      ok + "X:\r\nY: \r\nZ: a  b\t\r\nContent-Length: 1\r\nX: again\r\n\r\nx",
      ok + "Connection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx",
      ok + "X: 0123456789abcdef0123456789abcdef\xff\r\nContent-Length: 1\r\n\r\nx",
  };
  for (const auto& bytes : cases) {
    CAPTURE(bytes);
    CHECK(judge_plain_response(bytes) == PlainVerdict::agrees);
    // Of a part of its head nothing is said.
    const auto head = bytes.find("\r\n\r\n") + 4;
    for (std::size_t size = 0; size < head; ++size) {
      CHECK(judge_plain_response(bytes.substr(0, size)) == PlainVerdict::not_plain);
    }
  }
}

TEST_CASE("what is framed otherwise, closes the connection, or is faulty is left to the parser") {
  const std::string length = "Content-Length: 1\r\n";
  const std::string cases[] = {
      ok + "\r\n",
      ok + "Transfer-Encoding: chunked\r\n\r\n",
      ok + length + "Transfer-Encoding: chunked\r\n\r\n",
      ok + length + "content-length: 1\r\n\r\n",
      ok + "Content-Length: 1, 1\r\n\r\n",
      ok + "Content-Length: +1\r\n\r\n",
      ok + "Content-Length:\r\n\r\n",
      ok + "Content-Length: 1234567890123456789\r\n\r\n",
      ok + length + "Connection: close\r\n\r\n",
      ok + length + "Connection: keep-alive, X\r\n\r\n",
      ok + length + "Proxy-Connection: close\r\n\r\n",
      ok + length + "Upgrade: x\r\n\r\n",
      ok + length + " folded\r\n\r\n",
      ok + length + "X : 1\r\n\r\n",
      ok + length + "X\r\n\r\n",
      ok + length + ": 1\r\n\r\n",
      ok + length + "X: a\rb\r\n\r\n",
      ok + length + "X: 0123456789abcde\x01\r\n\r\n",
      ok + length + "X: \x7f\r\n\r\n",
      ok + length + "X: 1\n\r\n",
      "HTTP/1.1 200 OK\n" + length + "\r\n",
      "HTTP/1.1 200\r\n" + length + "\r\n",
      "HTTP/1.1 20 OK\r\n" + length + "\r\n",
      "HTTP/1.1 2000 OK\r\n" + length + "\r\n",
      "HTTP/1.1 103 Early\r\n" + length + "\r\n",
      "HTTP/1.1 204 None\r\n" + length + "\r\n",
      "HTTP/1.1 304 Same\r\n" + length + "\r\n",
      "HTTP/1.0 200 OK\r\n" + length + "\r\n",
      "HTTP/2.0 200 OK\r\n" + length + "\r\n",
      "http/1.1 200 OK\r\n" + length + "\r\n",
      "\r\n" + ok + length + "\r\n",
      "",
  };
  for (const auto& bytes : cases) {
    CAPTURE(bytes);
    CHECK(judge_plain_response(bytes) == PlainVerdict::not_plain);
  }
}

TEST_CASE("bounds") {
  const auto bytes = ok + "A: 1\r\nContent-Length: 1\r\n\r\n";
  std::vector<http::Field> fields;
  CHECK(scan_plain_response(bytes, bytes.size(), 2, fields));
  CHECK(!scan_plain_response(bytes, bytes.size() - 1, 2, fields));
  CHECK(!scan_plain_response(bytes, bytes.size(), 1, fields));
}

}  // namespace
}  // namespace larder::net
