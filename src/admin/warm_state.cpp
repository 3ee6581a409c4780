#include "larder/admin/warm_state.hpp"

#include <nlohmann/json.hpp>
#include <numeric>

namespace larder::admin {
namespace {

using Time = std::optional<std::chrono::system_clock::time_point>;

Json time_json(const Time& time) { return time ? Json(iso_time(*time)) : Json(nullptr); }

Json ends_json(const WarmEnds& ends) {
  auto json = Json::object();
  for (std::size_t i = 0; i < ends.size(); ++i) {
    json[std::string(proxy::to_string(static_cast<proxy::Warmed>(i)))] = ends[i];
  }
  return json;
}

Json task_json(const WarmTaskState& task) {
  Json json{{"name", task.name},
            {"source", task.source},
            {"critical", task.is_critical},
            {"interval_seconds", nullptr},
            {"after_purge", task.after_purge},
            {"execution_count", task.execution_count},
            {"success_count", task.success_count},
            {"failure_count", task.failure_count},
            {"last_run", time_json(task.last_run)},
            {"last_success", time_json(task.last_success)},
            {"next_run", time_json(task.next_run)},
            {"last_requests", task.last_requests},
            {"last_failures", task.last_failures},
            {"last_failure", nullptr},
            {"unrepeatable", task.unrepeatable}};
  if (task.interval) json["interval_seconds"] = task.interval->count();
  if (!task.last_failure.empty()) json["last_failure"] = task.last_failure;
  return json;
}

}  // namespace

std::string_view to_string(WarmTrigger trigger) noexcept {
  switch (trigger) {
    case WarmTrigger::start:
      return "start";
    case WarmTrigger::interval:
      return "interval";
    case WarmTrigger::purge:
      return "purge";
    case WarmTrigger::order:
      return "order";
    case WarmTrigger::count_:
      break;
  }
  return {};
}

std::uint64_t failures(const WarmEnds& ends) noexcept {
  std::uint64_t failed = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (!proxy::is_warm(static_cast<proxy::Warmed>(i))) failed += ends[i];
  }
  return failed;
}

std::uint64_t WarmRun::done() const noexcept { return std::accumulate(ends.begin(), ends.end(), std::uint64_t{0}); }

Json to_json(const WarmRun& run) {
  Json json{{"number", run.number},         {"trigger", to_string(run.trigger)}, {"tasks", run.tasks},
            {"began", iso_time(run.began)}, {"ended", time_json(run.ended)},     {"requests", nullptr},
            {"done", run.done()},           {"failed", failures(run.ends)},      {"ends", ends_json(run.ends)}};
  if (run.is_planned) json["requests"] = run.requests;
  return json;
}

Json to_json(const WarmState& state) {
  auto runs = Json::object();
  for (std::size_t i = 0; i < state.runs.size(); ++i) {
    runs[std::string(to_string(static_cast<WarmTrigger>(i)))] = state.runs[i];
  }
  auto tasks = Json::array();
  for (const auto& task : state.tasks) tasks.push_back(task_json(task));
  return {{"running", state.is_running()},
          {"runs", std::move(runs)},
          {"ends", ends_json(state.ends)},
          {"run", state.run ? to_json(*state.run) : Json(nullptr)},
          {"tasks", std::move(tasks)}};
}

}  // namespace larder::admin
