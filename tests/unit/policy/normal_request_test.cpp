#include "larder/policy/normal_request.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace larder::policy {
namespace {

using Fields = std::vector<http::Field>;
using Texts = std::vector<std::string>;

NormalRequest request(std::string method, std::string target, const Fields& fields = {}) {
  AskedRequest asked;
  asked.method = std::move(method);
  asked.target = std::move(target);
  asked.host = "API.example:80";
  asked.fields = http::FieldList::copy_of(fields);
  auto made = NormalRequest::make(asked);
  REQUIRE_MESSAGE(made.index() == 0, std::get<std::string>(made));
  return std::get<NormalRequest>(std::move(made));
}

TEST_CASE("NormalRequest: what the rules see of what was asked") {
  const auto got = request("GET", "/a/../b%7e?q=<1>",
                           {{"Connection", "X-Hop, close"}, {"X-Hop", "1"}, {"X-Cache-Explain", "secret"}, {"A", "1"}});
  CHECK(got.head().target == "/b~?q=%3C1%3E");
  CHECK(got.head().authority == "API.example:80");
  Texts names;
  for (const auto& field : got.head().fields) names.emplace_back(field.name);
  CHECK(names == Texts{"A", "Host"});
  CHECK_FALSE(got.traits().has_body);

  const auto absolute = request("PUT", "https://other/x", {{"Host", "api"}, {"Content-Length", "5"}});
  CHECK(absolute.head().scheme == "https");
  CHECK(absolute.head().authority == "other");
  CHECK(absolute.traits().has_body);
  CHECK(absolute.traits().body_length == 5);
  CHECK(request("GET", "/", {{"Connection", "upgrade"}, {"Upgrade", "websocket"}}).traits().asks_for_upgrade);
  // Moving it leaves its views whole.
  auto moved = request("GET", "/s");
  const auto elsewhere = std::make_unique<NormalRequest>(std::move(moved));
  CHECK(elsewhere->head().target == "/s");
}

TEST_CASE("NormalRequest: what is wrong with what was asked") {
  struct Row {
    std::string method;
    std::string target;
    std::string host;
    Fields fields;
    std::string wrong;
  };
  for (const auto& row : std::vector<Row>{{"get", "/", "a", {}, "capitals"},
                                          {"", "/", "a", {}, "not a method"},
                                          {"CONNECT", "/", "a", {}, "not a method"},
                                          {"GET", "a", "a", {}, "begins with '/'"},
                                          {"GET", "*", "a", {}, "request target"},
                                          {"GET", "/%zz", "a", {}, "request target"},
                                          {"GET", "/", "a b", {}, "not a host"},
                                          {"GET", "/", "a", {{"Host", "["}}, "not a host"},
                                          {"GET", "/", "a", {{"a b", "x"}}, "name of a field"},
                                          {"GET", "/", "a", {{"a", "x\r\ny: z"}}, "control character"}}) {
    AskedRequest asked;
    asked.method = row.method;
    asked.target = row.target;
    asked.host = row.host;
    asked.fields = http::FieldList::copy_of(row.fields);
    const auto made = NormalRequest::make(asked);
    CAPTURE(row.wrong);
    REQUIRE(made.index() == 1);
    CHECK(std::get<std::string>(made).find(row.wrong) != std::string::npos);
  }
}

}  // namespace
}  // namespace larder::policy
