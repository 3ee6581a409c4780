#include "larder/admin/json_object.hpp"

#include <cstddef>
#include <nlohmann/json.hpp>

namespace larder::admin {

namespace {
constexpr int max_depth = 4;
}  // namespace

std::variant<Json, NoObject> parse_object(std::string_view body) {
  bool is_too_deep = false;
  std::size_t members = 0;
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t event, Json&) {
    if (depth > max_depth) is_too_deep = true;
    if (event == Json::parse_event_t::key && depth == 1) ++members;
    return !is_too_deep;
  };
  auto order = Json::parse(body.begin(), body.end(), watch, false);
  if (is_too_deep) return NoObject{"bad_order", "the body is nested too deeply"};
  if (order.is_discarded()) return NoObject{"bad_json", "the body is not JSON in UTF-8"};
  if (!order.is_object()) return NoObject{"bad_order", "the body is not a JSON object"};
  if (members != order.size()) return NoObject{"bad_order", "a member of the body comes twice"};
  return order;
}

}  // namespace larder::admin
