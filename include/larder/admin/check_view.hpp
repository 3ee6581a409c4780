#pragma once
// What shadow mode and verification have found, as JSON. Pure.
#include <map>
#include <string>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/proxy/answer_checks.hpp"

namespace larder::admin {

/// Adds "shadow" and "verify" to the statistics. Each has the figures of all routes together, and "routes" with those
/// of each route that has any. `hit_rate` of "shadow" is reckoned as that of the statistics is; `wrong_rate` is the
/// percentage of stale and mixed among all that were compared.
void add_checks(Json& statistics, const std::map<std::string, proxy::CheckTotals>& totals);

/// {"examples":[…]}, the newest first.
Json examples_json(const std::vector<proxy::CheckExample>& examples);

}  // namespace larder::admin
