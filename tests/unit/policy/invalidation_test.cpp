#include "larder/policy/invalidation.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace larder::policy;
using larder::http::Field;
using larder::http::RequestHead;
using larder::http::ResponseHead;
using Fields = std::vector<Field>;
using Targets = std::vector<std::string>;

namespace {

Targets targets(const Fields& fields, int status = 201, std::string_view target = "/things?x=1") {
  RequestHead request;
  request.method = "POST";
  request.target = target;
  request.scheme = "http";
  request.authority = "api.example:80";
  ResponseHead response;
  response.status = status;
  response.fields = fields;
  return invalidated_targets(request, &response);
}

}  // namespace

TEST_CASE("after which ends the origin may have changed") {
  struct Case {
    std::string_view method;
    WriteEnd end;
    int status;
    bool changed;
  };
  const auto answered = WriteEnd::answered;
  const auto unknown = WriteEnd::unknown;
  const Case cases[] = {
      {"POST", answered, 200, true},   {"PUT", answered, 204, true},   {"DELETE", answered, 303, true},
      {"PATCH", answered, 500, true},  {"POST", answered, 503, true},  {"POST", answered, 400, false},
      {"POST", answered, 404, false},  {"POST", answered, 499, false}, {"FOO", answered, 200, true},
      {"get", answered, 200, true},    {"POST", unknown, 0, true},     {"POST", unknown, 404, true},
      {"GET", answered, 200, false},   {"HEAD", answered, 200, false}, {"OPTIONS", answered, 200, false},
      {"QUERY", answered, 200, false}, {"GET", unknown, 0, false},     {"POST", answered, 101, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.method);
    CAPTURE(c.status);
    CHECK(may_have_changed(c.method, c.end, c.status) == c.changed);
  }
}

TEST_CASE("what is invalidated besides the target URI") {
  const std::string own = "/things?x=1";
  struct Case {
    const char* what;
    Fields fields;
    Targets expected;
  };
  const Case cases[] = {
      {"nothing", {}, {own}},
      {"relative", {{"Location", "/things/42"}}, {own, "/things/42"}},
      {"relative to the path", {{"Location", "things/42"}}, {own, "/things/42"}},
      {"absolute", {{"location", "http://API.example/things/42#x"}}, {own, "/things/42"}},
      {"network path", {{"Location", "//api.example:80/a"}}, {own, "/a"}},
      {"both", {{"Location", "/a"}, {"Content-Location", "/b"}}, {own, "/a", "/b"}},
      {"the same", {{"Location", own}, {"Content-Location", "http://api.example/things?x=1"}}, {own}},
      {"normalised", {{"Location", "/x/../%7ea"}}, {own, "/~a"}},
      {"other host", {{"Location", "http://other.example/a"}}, {own}},
      {"other port", {{"Location", "http://api.example:8080/a"}}, {own}},
      {"other scheme", {{"Location", "https://api.example/a"}}, {own}},
      {"userinfo", {{"Location", "http://api.example@other/a"}}, {own}},
      {"junk", {{"Location", "http://[/"}, {"Content-Location", "a b"}}, {own}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(targets(c.fields) == c.expected);
  }
}

TEST_CASE("MOVE and COPY invalidate their Destination too (RFC 4918)") {
  const Fields destination{{"Destination", "http://api.example/b"}};
  for (const std::string_view method : {"MOVE", "COPY", "PUT"}) {
    RequestHead request{
        .method = method, .target = "/a", .scheme = "http", .authority = "api.example", .fields = destination};
    const Targets expected = method == "PUT" ? Targets{"/a"} : Targets{"/a", "/b"};
    CHECK(invalidated_targets(request, nullptr) == expected);
    request.authority = "other.example";
    CHECK(invalidated_targets(request, nullptr) == Targets{"/a"});
  }
}

TEST_CASE("errors and unknown ends invalidate the target URI only") {
  const Fields location{{"Location", "/a"}};
  CHECK(targets(location, 500) == Targets{"/things?x=1"});
  CHECK(targets(location, 303) == Targets{"/things?x=1", "/a"});
  RequestHead request;
  request.method = "PUT";
  request.target = "/x";
  CHECK(invalidated_targets(request, nullptr) == Targets{"/x"});
  CHECK(targets({}, 200, "*").empty());
  CHECK(targets({}, 200, "").empty());
}
