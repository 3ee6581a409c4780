#pragma once
// GET /metrics: the statistics in the text format of Prometheus (version 0.0.4). Pure.
//
// Every name begins with larder_, but for those of the process, which are the ones that all programs have. Counters are
// running totals since the start, times in seconds, sizes in bytes. Series whose label is a reason, a route or a type
// are there once they were counted; the others always.
#include <string>
#include <string_view>

#include "larder/admin/statistics.hpp"

namespace larder::admin {

/// The Content-Type of that format.
inline constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// All of it; ends with a line feed.
std::string metrics_text(const Statistics& statistics);

}  // namespace larder::admin
