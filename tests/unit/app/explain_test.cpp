#include "larder/app/explain.hpp"

#include <doctest/doctest.h>
#include <string>

#include "larder/config/rules_reader.hpp"

namespace larder::app {
namespace {

CommandOutput run(const config::ExplainArguments& arguments) {
  config::Settings settings;
  settings.rules = config::built_in_rules(policy::Seconds(60));
  return explain(settings, arguments);
}

TEST_CASE("explain: text and JSON of what the command line asks") {
  config::ExplainArguments arguments;
  arguments.method = "GET";
  arguments.target = "/a";
  arguments.headers = {"Host: a.example", "Accept:x"};
  const auto text = run(arguments);
  CHECK(text.status == 0);
  CHECK(text.text.find("GET http://a.example/a\n") != std::string::npos);
  CHECK(text.text.find("built-in rules  GET /**") != std::string::npos);
  CHECK(text.text.find("\nresponse ") == std::string::npos);
  arguments.response_headers = {"Cache-Control: no-store"};
  CHECK(run(arguments).text.find("is not stored: no_store") != std::string::npos);
  arguments.json = true;
  CHECK(run(arguments).text.starts_with("{\"method\":\"GET\""));
}

TEST_CASE("explain: what cannot be asked") {
  config::ExplainArguments good;
  good.method = "GET";
  good.target = "/";
  auto arguments = good;
  arguments.headers = {"none"};
  CHECK(run(arguments).status == 2);
  arguments = good;
  arguments.response_headers = {"a b: c"};
  CHECK(run(arguments).status == 2);
  for (const std::string status : {"x", "-1", "99", "600", "99999999999999999999"}) {
    arguments = good;
    arguments.status = status;
    CAPTURE(status);
    CHECK(run(arguments).status == 2);
    CHECK(run(arguments).text.starts_with("command line: "));
  }
}

}  // namespace
}  // namespace larder::app
