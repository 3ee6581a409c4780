#include "larder/net/request_scanner.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "plain_request.hpp"

namespace larder::net {
namespace {

using test::judge_plain_request;
using test::PlainRequestVerdict;

const std::string get = "GET /a/b?c=d HTTP/1.1\r\n";
const std::string host = "Host: a.example:80\r\n";

TEST_CASE("what is plain is taken for what the parser takes it for") {
  const std::vector<std::string> cases{
      get + host + "\r\n",
      get + "hOST:a\r\n\r\n",
      get + "Host:\r\n\r\n",
      get + host + "Accept: */*\r\nX:\r\nY: \t \r\nZ: \t a \tb\t \r\nZ: again\r\n\r\n",
      get + host + "Connection: Keep-Alive\r\n\r\n",
      get + host + "Cache-Control: no-cache\r\nPragma: no-cache\r\n\r\n",
      get + host + "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n\r\n",
      get + host + "If-None-Match: \"x\"\r\nIf-Modified-Since: x\r\n\r\n",
      get + host + "If-Match: \"x\"\r\n\r\n",
      get + host + "x-cache-EXPLAIN: t\r\n\r\n",
      get + host + "Accept-Encoding: t\r\nX-Cache-Explaim: t\r\n\r\n",
      get + host + "If-Unmodified-Since: x\r\n\r\n",
      get + host + "X: 0123456789abcdef0123456789abcdef\xff\r\n\r\n" + get,
      "DELETE * HTTP/1.1\r\n" + host + "\r\n",
      "O!#$%&'*+-.^_`|~9 http://a/b HTTP/1.1\r\n" + host + "\r\n",
  };
  for (const auto& bytes : cases) {
    CAPTURE(bytes);
    CHECK(judge_plain_request(bytes) == PlainRequestVerdict::agrees);
    // Of a part of its head nothing is said.
    const auto head = bytes.find("\r\n\r\n") + 4;
    for (std::size_t size = 0; size < head; ++size) {
      CHECK(judge_plain_request(bytes.substr(0, size)) == PlainRequestVerdict::not_plain);
    }
  }
}

TEST_CASE("what frames a body, steers the connection, or is faulty is left to the parser") {
  const std::vector<std::string> cases{
      "",
      "\r\n" + get + host + "\r\n",
      "GET /a HTTP/1.0\r\n" + host + "\r\n",
      "GET /a HTTP/1.1\n" + host + "\r\n",
      "GET  /a HTTP/1.1\r\n" + host + "\r\n",
      "GET /a  HTTP/1.1\r\n" + host + "\r\n",
      "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n",
      "G(T /a HTTP/1.1\r\n" + host + "\r\n",
      " /a HTTP/1.1\r\n" + host + "\r\n",
      get + "\r\n",
      get + host + host + "\r\n",
      get + host + "Content-Length: 0\r\n\r\n",
      get + host + "Transfer-Encoding: chunked\r\n\r\n",
      get + host + "Connection: close\r\n\r\n",
      get + host + "Connection: keep-alive, x\r\n\r\n",
      get + host + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      get + host + "Upgrade: websocket\r\n\r\n",
      get + host + "Proxy-Connection: close\r\n\r\n",
      get + host + "X : 1\r\n\r\n",
      get + host + ": 1\r\n\r\n",
      get + host + "X\r\n\r\n",
      get + host + " folded\r\n\r\n",
      get + host + "X: a\rb\r\n\r\n",
      get + host + "X: a\nb\r\n\r\n",
      get + host + "X: 0123456789abcde\x01\r\n\r\n",
      get + host + "X: \x7f\r\n\r\n",
  };
  for (const auto& bytes : cases) {
    CAPTURE(bytes);
    CHECK(judge_plain_request(bytes) == PlainRequestVerdict::not_plain);
  }
}

TEST_CASE("its bounds") {
  std::vector<http::Field> fields;
  const auto bytes = get + host + "X: y\r\n\r\n";
  CHECK(scan_plain_head(bytes, bytes.size(), 2, fields));
  CHECK(!scan_plain_head(bytes, bytes.size() - 1, 2, fields));
  CHECK(!scan_plain_head(bytes, bytes.size(), 1, fields));
}

}  // namespace
}  // namespace larder::net
