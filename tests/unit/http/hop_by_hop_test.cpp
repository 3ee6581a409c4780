#include "larder/http/hop_by_hop.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::http;
using Fields = std::vector<Field>;

namespace {

std::vector<std::string> left_of(FieldSpan fields) {
  FieldList list = FieldList::copy_of(fields);
  remove_hop_by_hop(list);
  std::vector<std::string> names;
  for (const Field& field : list.span()) names.emplace_back(field.name);
  return names;
}

using Names = std::vector<std::string>;

TEST_CASE("asking for an upgrade") {
  struct Case {
    std::vector<Field> fields;
    bool asks;
    Version version = Version::http_1_1;
  };
  const std::vector<Case> cases{
      {{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}, true},
      {{{"connection", "keep-alive, upgrade"}, {"upgrade", "websocket, other/2"}}, true},
      {{{"Connection", "keep-alive"}, {"Connection", "upgrade"}, {"Upgrade", "x"}}, true},
      {{{"Connection", "Upgrade"}}, false},
      {{{"Upgrade", "websocket"}}, false},
      {{{"Connection", "Upgrade"}, {"Upgrade", ""}}, false},
      {{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}, false, Version::http_1_0},
      // HTTP inside a tunnel would pass the cache by.
      {{{"Connection", "Upgrade, HTTP2-Settings"}, {"Upgrade", "h2c"}, {"HTTP2-Settings", ""}}, false},
      {{{"Connection", "Upgrade"}, {"Upgrade", "websocket, H2C"}}, false},
      {{{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Upgrade", "h2c"}}, false},
      {{{"Connection", "Upgrade"}, {"Upgrade", "HTTP/2.0"}}, false},
      {{{"Connection", "Upgrade"}, {"Upgrade", "TLS/1.0, HTTP/1.1"}}, false},
  };
  for (const auto& c : cases) {
    CAPTURE(c.fields.back().value);
    RequestHead request;
    request.version = c.version;
    request.fields = c.fields;
    CHECK(asks_for_upgrade(request) == c.asks);
  }
}

}  // namespace

TEST_CASE("fields that go one hop only") {
  for (const auto name : {"Connection", "keep-alive", "PROXY-CONNECTION", "TE", "Transfer-Encoding", "Upgrade",
                          "HTTP2-Settings", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info"}) {
    CAPTURE(name);
    CHECK(is_hop_by_hop(name));
  }
  for (const auto name : {"Trailer", "Host", "Via", "", "T", "TEE", "Content-Length", "Connections"}) {
    CAPTURE(name);
    CHECK_FALSE(is_hop_by_hop(name));
  }
}

TEST_CASE("Connection names fields away, wherever they stand") {
  CHECK(left_of(Fields{{"X-A", "1"}, {"Connection", "close, x-a"}, {"x-A", "2"}, {"X-B", "3"}}) == Names{"X-B"});
  CHECK(left_of(Fields{{"Connection", "a"}, {"connection", " ,b\t,"}, {"A", "1"}, {"B", "2"}, {"C", "3"}}) ==
        Names{"C"});
  CHECK(left_of(Fields{{"TE", "trailers"}, {"Trailer", "X"}, {"Upgrade", "h2c"}}) == Names{"Trailer"});
  CHECK(left_of(Fields{{"Connection", "keep-alive"}, {"Keep-Alive", "timeout=5"}, {"Host", "a"}}) == Names{"Host"});
  CHECK(left_of({}).empty());
}

TEST_CASE("Connection cannot name away what a message means") {
  const Fields meaning{{"Host", "a"},
                       {"Content-Length", "5"},
                       {"Content-Type", "x"},
                       {"content-encoding", "gzip"},
                       {"Cache-Control", "p"},
                       {"CDN-Cache-Control", "p"},
                       {"Larder-Cache-Control", "p"},
                       {"Cache-Groups", "\"a\""},
                       {"Cache-Group-Invalidation", "\"a\""},
                       {"No-Vary-Search", "params"},
                       {"Expires", "0"},
                       {"Age", "1"},
                       {"Vary", "x"},
                       {"ETag", "x"},
                       {"Set-Cookie", "a=b"},
                       {"Cookie", "a=b"},
                       {"Authorization", "x"},
                       {"Range", "bytes=0-1"},
                       {"If-None-Match", "*"},
                       {"X-Forwarded-For", "::1"},
                       {"Forwarded", "for=x"},
                       {"Accept-Encoding", "gzip"},
                       {"Location", "/"},
                       {"Via", "1.1 x"},
                       {"Origin", "x"}};
  std::string all;
  Names expected;
  for (const Field& field : meaning) {
    all.append(field.name).append(",");
    expected.emplace_back(field.name);
  }
  Fields message = meaning;
  message.push_back({"Connection", all});
  CHECK(left_of(message) == expected);
}

TEST_CASE("an origin's Connection names all away but what tells caches for how long and for whom") {
  const Fields message{
      {"Connection", "ETag, X-A, Content-Type, Cache-Control, expires, Vary, Age, Date, CDN-Cache-Control"},
      {"ETag", "x"},
      {"X-A", "1"},
      {"Content-Type", "a/b"},
      {"Cache-Control", "no-store"},
      {"Expires", "0"},
      {"Vary", "x"},
      {"Age", "1"},
      {"Date", "x"},
      {"CDN-Cache-Control", "no-store"},
      {"X-B", "2"}};
  auto fields = larder::http::FieldList::copy_of(message);
  remove_hop_by_hop(fields, larder::http::Sender::origin);
  Names names;
  for (const Field& field : fields.span()) names.emplace_back(field.name);
  CHECK(names == Names{"Cache-Control", "Expires", "Vary", "Age", "Date", "CDN-Cache-Control", "X-B"});
}

TEST_CASE("a hostile Connection ends") {
  std::string options;
  for (int i = 0; i < 20'000; ++i) options += "a,";
  Fields message{{"Connection", options}};
  for (int i = 0; i < 100; ++i) message.push_back({"b", "1"});
  CHECK(left_of(message).size() == 100);
}
