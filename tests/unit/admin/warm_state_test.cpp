#include "larder/admin/warm_state.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace larder::admin {
namespace {

using proxy::Warmed;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr system_clock::time_point noon{seconds(1700000000)};

TEST_CASE("every trigger and every end has a name of its own") {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < static_cast<unsigned>(WarmTrigger::count_); ++i) {
    names.insert(to_string(static_cast<WarmTrigger>(i)));
  }
  CHECK(names.size() == static_cast<std::size_t>(WarmTrigger::count_));
  std::set<std::string_view> ends;
  for (unsigned i = 0; i < static_cast<unsigned>(Warmed::count_); ++i) {
    ends.insert(proxy::to_string(static_cast<Warmed>(i)));
  }
  CHECK(ends.size() == static_cast<std::size_t>(Warmed::count_));
  CHECK_FALSE(ends.contains(""));
}

TEST_CASE("a run while it goes on, and as it ended") {
  WarmRun run;
  run.number = 3;
  run.trigger = WarmTrigger::purge;
  run.tasks = {"a"};
  run.began = noon;
  auto json = to_json(run);
  CHECK(json["requests"].is_null());
  CHECK(json["ended"].is_null());
  CHECK(json["trigger"] == "purge");
  run.is_planned = true;
  run.requests = 9;
  run.ends[static_cast<std::size_t>(Warmed::stored)] = 2;
  run.ends[static_cast<std::size_t>(Warmed::fresh)] = 1;
  run.ends[static_cast<std::size_t>(Warmed::error_status)] = 4;
  run.ends[static_cast<std::size_t>(Warmed::not_cached)] = 1;
  run.ended = noon + seconds(2);
  json = to_json(run);
  CHECK(json["requests"] == 9);
  CHECK(json["done"] == 8);
  CHECK(json["failed"] == 5);
  CHECK(json["ends"]["error_status"] == 4);
  CHECK(json["ended"] == "2023-11-14T22:13:22Z");
}

TEST_CASE("the state, with what is not there as null") {
  WarmState state;
  state.tasks.emplace_back().name = "a";
  state.tasks.push_back({.name = "b",
                         .source = "the 3 busiest keys",
                         .is_critical = true,
                         .interval = policy::Seconds(300),
                         .after_purge = {"product"},
                         .execution_count = 5,
                         .success_count = 3,
                         .failure_count = 2,
                         .last_run = noon,
                         .last_success = noon,
                         .next_run = noon + seconds(300),
                         .last_requests = 3,
                         .last_failures = 1,
                         .last_failure = "/x: error_status (404)",
                         .unrepeatable = 1});
  auto json = to_json(state);
  CHECK(json["running"] == false);
  CHECK(json["run"].is_null());
  CHECK(json["runs"].size() == 4);
  const auto& bare = json["tasks"][0];
  for (const auto* const name : {"interval_seconds", "last_run", "last_success", "next_run", "last_failure"}) {
    CHECK(bare[name].is_null());
  }
  const auto& full = json["tasks"][1];
  CHECK(full["interval_seconds"] == 300);
  CHECK(full["last_success"] == "2023-11-14T22:13:20Z");
  CHECK(full["last_failure"] == "/x: error_status (404)");
  CHECK(full["after_purge"] == Json::array({"product"}));
  state.run.emplace().began = noon;
  CHECK(to_json(state)["running"] == true);
  state.run->ended = noon;
  CHECK(to_json(state)["running"] == false);
}

}  // namespace
}  // namespace larder::admin
