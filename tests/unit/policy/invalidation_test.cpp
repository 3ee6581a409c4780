#include "larder/policy/invalidation.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

#include "larder/policy/cache_groups.hpp"
#include "larder/policy/cache_key.hpp"

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

TEST_CASE("write_purges: each selector once, with its cause") {
  using namespace larder::policy;
  RuleSet rules;
  const auto add_route = [&rules](std::vector<std::string> methods, std::string_view path) -> Route& {
    std::string error;
    Route route;
    route.methods = std::move(methods);
    route.path = PathPattern::parse(path, error).value();
    rules.routes.push_back(std::move(route));
    return rules.routes.back();
  };
  const auto text = [](std::string_view value) {
    std::string error;
    return Template::parse(value, {}, error).value();
  };
  auto& reader = add_route({"GET"}, "/things");
  reader.type = std::make_shared<const Type>();
  reader.query = {QueryRule::Filter::only, {"page"}, false};
  add_route({"PUT"}, "/things").purge = {{SelectorKind::tag, text("t")}, {SelectorKind::type, text("x")}};
  add_route({"*"}, "/**").purge = {{SelectorKind::tag, text("t")}};

  const auto list = [&rules](const RequestHead& request, const ResponseHead* response, bool knows_host = true) {
    Targets out;
    for (const auto& [selector, cause, route] : write_purges(rules, request, response, knows_host)) {
      const auto line = route == nullptr ? std::string() : "@" + std::to_string(route - rules.routes.data());
      out.push_back(std::string(to_string(cause)) + line + " " + encode(selector));
    }
    return out;
  };
  RequestHead request{
      .method = "PUT", .target = "/things?page=1&utm=2", .scheme = "http", .authority = "A.example:80", .fields = {}};
  const auto tag = encode(Selector{SelectorKind::tag, varied_path_tag("/things")});
  CHECK(list(request, nullptr) == Targets{"target_uri " + tag, "target_uri target:http://a.example/things?page=1&utm=2",
                                          "target_uri target:http://a.example/things?page=1", "rule@1 tag:t",
                                          "rule@1 type:x"});
  request.target = "/things?page=1";
  CHECK(list(request, nullptr, false) == Targets{"target_uri " + tag,
                                                 "target_uri target:http://a.example/things?page=1",
                                                 "target_uri target:/things?page=1", "rule@1 tag:t", "rule@1 type:x"});

  rules.honour_no_vary_search = false;
  const Fields fields{{"Location", "/things/1"}, {"Cache-Group-Invalidation", "\"g\""}};
  ResponseHead response;
  response.status = 201;
  response.fields = fields;
  CHECK(list(request, &response) ==
        Targets{"target_uri target:http://a.example/things?page=1", "named_target target:http://a.example/things/1",
                "rule@1 tag:t", "rule@1 type:x",
                "cache_group " + encode(Selector{SelectorKind::tag, group_tag("http", "a.example", "g")})});
  // An error that no ttl of the rules makes us answer for purges what the rules name (RFC 9111 §4.4).
  response = {};
  response.status = 500;
  CHECK(list(request, &response) == Targets{"rule@1 tag:t", "rule@1 type:x"});
  rules.failed_writes_purge = true;
  CHECK(list(request, &response).size() == 3);
  std::string many;
  for (int i = 0; i < 100; ++i) many += (many.empty() ? "\"g" : ", \"g") + std::to_string(i) + "\"";
  const Fields too_many{{"Cache-Group-Invalidation", many}};
  response.status = 200;
  response.fields = too_many;
  CHECK(list(request, &response) == Targets{"too_many_cache_groups all:"});
}
