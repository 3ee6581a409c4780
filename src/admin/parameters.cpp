#include "larder/admin/parameters.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace larder::admin {
namespace {

struct Row {
  std::string_view name;
  MeasureKind kind;
};
constexpr auto measure_count = static_cast<std::size_t>(Measure::count_);
constexpr std::array<Row, measure_count> rows{{
    {"hit_rate", MeasureKind::percent},       {"requests", MeasureKind::count},
    {"misses", MeasureKind::count},           {"errors", MeasureKind::count},
    {"origin_errors", MeasureKind::count},    {"origin_error_rate", MeasureKind::percent},
    {"evictions", MeasureKind::count},        {"refused_connections", MeasureKind::count},
    {"hit_p50", MeasureKind::time},           {"hit_p95", MeasureKind::time},
    {"hit_p99", MeasureKind::time},           {"miss_p50", MeasureKind::time},
    {"miss_p95", MeasureKind::time},          {"miss_p99", MeasureKind::time},
    {"bypass_p99", MeasureKind::time},        {"redis_p99", MeasureKind::time},
    {"origin_p99", MeasureKind::time},        {"redis_down", MeasureKind::state},
    {"origin_down", MeasureKind::state},      {"pending_purges", MeasureKind::state},
    {"waiting_requests", MeasureKind::state}, {"connections", MeasureKind::state},
    {"loop_delay", MeasureKind::state},
}};

constexpr auto names = [] {
  std::array<std::string_view, measure_count> all{};
  std::ranges::transform(rows, all.begin(), &Row::name);
  return all;
}();

// The shortest of the notations that the configuration reads.
std::string show(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms % 60000 == 0) return fmt::format("{}m", ms / 60000);
  return ms % 1000 == 0 ? fmt::format("{}s", ms / 1000) : fmt::format("{}ms", ms);
}

}  // namespace

std::string_view to_string(Measure measure) noexcept {
  const auto index = static_cast<std::size_t>(measure);
  return index < rows.size() ? rows[index].name : std::string_view{};
}

std::optional<Measure> measure_named(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Measure>(found - names.begin());
}

std::span<const std::string_view> measure_names() noexcept { return names; }

MeasureKind kind_of(Measure measure) noexcept { return rows[static_cast<std::size_t>(measure)].kind; }

bool is_flag(Measure measure) noexcept { return measure == Measure::redis_down || measure == Measure::origin_down; }

std::string describe(const AlertRule& rule) {
  if (is_flag(rule.measure)) return std::string(to_string(rule.measure));
  auto text = fmt::format("{} {} {}", to_string(rule.measure), rule.above ? '>' : '<', rule.threshold);
  if (kind_of(rule.measure) != MeasureKind::state) text += " over " + show(rule.window);
  return text;
}

}  // namespace larder::admin
