#include "larder/http/message.hpp"

#include <doctest/doctest.h>

using namespace larder::http;

TEST_CASE("methods are safe and idempotent as the RFC says, and case-sensitive") {
  struct Case {
    std::string_view method;
    bool safe, idempotent;
  };
  const Case cases[] = {
      {"GET", true, true},       {"HEAD", true, true},    {"OPTIONS", true, true}, {"TRACE", true, true},
      {"PROPFIND", true, true},  {"REPORT", true, true},  {"SEARCH", true, true},  {"QUERY", true, true},
      {"PUT", false, true},      {"DELETE", false, true}, {"POST", false, false},  {"PATCH", false, false},
      {"get", false, false},     {"", false, false},      {"GETX", false, false},  {"PURGE", false, false},
      {"CONNECT", false, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.method);
    CHECK(is_safe(c.method) == c.safe);
    CHECK(is_idempotent(c.method) == c.idempotent);
  }
}

TEST_CASE("path and query of a request") {
  RequestHead request;
  request.target = "/a/b?x=1?y";
  CHECK(request.path() == "/a/b");
  CHECK(request.query() == "x=1?y");
  request.target = "/a";
  CHECK(request.path() == "/a");
  CHECK(request.query().empty());
  request.target = "/a?";
  CHECK(request.path() == "/a");
  CHECK(request.query().empty());
}

TEST_CASE("reason phrases") {
  CHECK(reason_phrase(200) == "OK");
  CHECK(reason_phrase(504) == "Gateway Timeout");
  CHECK(reason_phrase(599).empty());
  CHECK(reason_phrase(-1).empty());
}
