#pragma once
// The body of POST /api/cache/warm. Pure.
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/policy/warming.hpp"

namespace larder::admin {

/// What is to be warmed.
struct WarmOrder {
  std::vector<std::string> tasks;  ///< by name; empty: all
  bool force = false;              ///< also what is fresh for long enough
  bool wait = false;               ///< the answer comes when the run has ended
};

/// Reads nothing, {} or {"tasks":["name"],"force":true,"wait":true}. 400 says what is wrong; 404 names the tasks that
/// there are where one is named that there is not, or says that the rules have none.
std::variant<WarmOrder, Answer> parse_warm_order(std::string_view body, const policy::Warming& warming);

}  // namespace larder::admin
