#include "larder/admin/reload_report.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace larder::admin {
namespace {

const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(60));

TEST_CASE("a reload that was accepted says what has changed, and what has not yet") {
  ReloadReport report;
  report.changed = {"client.idle_timeout"};
  report.at_restart = {"listen", "workers"};
  report.rules_changed = true;
  report.purged_types = {"user"};
  report.warnings = {{"rules.yaml", 7, "this route is never reached", "move it"}};
  const auto answer = to_answer(report, now);
  CHECK(answer.status == 200);
  const auto json = Json::parse(answer.body);
  CHECK(json["status"] == "success");
  CHECK(json["reloaded"] == true);
  CHECK(json["rules_changed"] == true);
  CHECK(json["changed"] == Json{"client.idle_timeout"});
  CHECK(json["at_restart"] == Json{"listen", "workers"});
  CHECK(json["purged_types"] == Json{"user"});
  CHECK(json["warnings"][0]["line"] == 7);
}

TEST_CASE("a refused one says each fault and its place") {
  ReloadReport report;
  report.end = ReloadReport::End::refused;
  report.faults = {{"larder.yaml", 3, "there is no key \"lisen\"", "did you mean listen?"},
                   {"environment: REDIS_PORT", 0, "x is not a right value", "write a number"}};
  const auto answer = to_answer(report, now);
  CHECK(answer.status == 422);
  const auto json = Json::parse(answer.body);
  CHECK(json["error"] == "configuration_refused");
  CHECK(json["message"] == "the new configuration has 2 faults; the one before goes on");
  CHECK(json["faults"][0]["file"] == "larder.yaml");
  CHECK(json["faults"][0]["line"] == 3);
  CHECK(json["faults"][0]["wrong"] == "there is no key \"lisen\"");
  CHECK(json["faults"][0]["right"] == "did you mean listen?");
  CHECK(json["faults"][1]["line"].is_null());
}

TEST_CASE("nothing is reloaded at the end") {
  ReloadReport report;
  report.end = ReloadReport::End::draining;
  const auto answer = to_answer(report, now);
  CHECK(answer.status == 503);
  CHECK(Json::parse(answer.body)["error"] == "draining");
}

}  // namespace
}  // namespace larder::admin
