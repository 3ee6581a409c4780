#include "larder/admin/reload_report.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <span>

namespace larder::admin {

namespace {
Json to_json(std::span<const ConfigurationFault> faults) {
  auto json = Json::array();
  for (const auto& fault : faults) {
    Json row{{"file", fault.file}, {"line", nullptr}, {"wrong", fault.wrong}, {"right", fault.right}};
    if (fault.line > 0) row["line"] = fault.line;
    json.push_back(std::move(row));
  }
  return json;
}
}  // namespace

Answer to_answer(const ReloadReport& report, std::chrono::system_clock::time_point now) {
  switch (report.end) {
    case ReloadReport::End::draining:
      return failure(503, "draining", "this process is about to end; nothing is reloaded any more");
    case ReloadReport::End::refused:
      return failure(422, "configuration_refused",
                     fmt::format("the new configuration has {} fault{}; the one before goes on", report.faults.size(),
                                 report.faults.size() == 1 ? "" : "s"),
                     {{"faults", to_json(report.faults)}, {"warnings", to_json(report.warnings)}});
    case ReloadReport::End::accepted:
      break;
  }
  return success({{"reloaded", true},
                  {"rules_changed", report.rules_changed},
                  {"purged_types", report.purged_types},
                  {"changed", report.changed},
                  {"at_restart", report.at_restart},
                  {"warnings", to_json(report.warnings)}},
                 now);
}

}  // namespace larder::admin
