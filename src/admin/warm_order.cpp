#include "larder/admin/warm_order.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "larder/admin/json_object.hpp"

namespace larder::admin {
namespace {

Answer bad(std::string_view name, std::string_view what) {
  return failure(400, name,
                 fmt::format(R"({}; right would be no body, or {{"tasks":["name"],"force":true,"wait":true}}, each )"
                             "member as you need it",
                             what));
}

std::optional<Answer> read_flag(const Json& order, const char* name, bool& flag) {
  const auto found = order.find(name);
  if (found == order.end()) return std::nullopt;
  if (!found->is_boolean()) return bad("bad_order", fmt::format("\"{}\" is not true or false", name));
  flag = found->get<bool>();
  return std::nullopt;
}

std::optional<Answer> read_tasks(const Json& names, const policy::Warming& warming, std::vector<std::string>& tasks) {
  if (!names.is_array() || names.empty()) return bad("bad_order", "\"tasks\" is not a list of names");
  for (const auto& name : names) {
    if (!name.is_string()) return bad("bad_order", "\"tasks\" has something that is no name");
    const auto& text = name.get_ref<const std::string&>();
    if (std::ranges::find(warming.tasks, text, &policy::WarmTask::name) == warming.tasks.end()) {
      auto known = Json::array();
      for (const auto& task : warming.tasks) known.push_back(task.name);
      return failure(404, "unknown_task",
                     fmt::format("the rules have no warm task {}; see \"tasks\" for those they have",
                                 std::string_view(text).substr(0, 64)),
                     {{"tasks", std::move(known)}});
    }
    if (std::ranges::find(tasks, text) == tasks.end()) tasks.push_back(text);
  }
  return std::nullopt;
}

}  // namespace

std::variant<WarmOrder, Answer> parse_warm_order(std::string_view body, const policy::Warming& warming) {
  WarmOrder result;
  if (!body.empty()) {
    auto parsed = parse_object(body);
    if (const auto* const wrong = std::get_if<NoObject>(&parsed)) return bad(wrong->name, wrong->what);
    const auto& order = std::get<Json>(parsed);
    for (const auto& [name, value] : order.items()) {
      if (name != "tasks" && name != "force" && name != "wait") {
        return bad("bad_order", fmt::format("there is no \"{}\"", std::string_view(name).substr(0, 64)));
      }
    }
    if (auto wrong = read_flag(order, "force", result.force)) return std::move(*wrong);
    if (auto wrong = read_flag(order, "wait", result.wait)) return std::move(*wrong);
    if (const auto tasks = order.find("tasks"); tasks != order.end()) {
      if (auto wrong = read_tasks(*tasks, warming, result.tasks)) return std::move(*wrong);
    }
  }
  if (warming.tasks.empty()) {
    return failure(404, "nothing_to_warm", "the rules have no warm tasks; add warm: { tasks: [ { url: /path } ] }");
  }
  return result;
}

}  // namespace larder::admin
