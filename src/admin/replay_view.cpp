#include "larder/admin/replay_view.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <string_view>

#include "larder/admin/answer.hpp"
#include "larder/policy/explanation.hpp"

namespace larder::admin {
namespace {

constexpr std::size_t most_rows = 20;  ///< of each table

class Lines {
 public:
  template <class... T>
  void add(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<T>(values)...);
    text_ += '\n';
  }
  void gap() { text_ += '\n'; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string shown_ttl(policy::Seconds ttl) {
  const auto seconds = ttl.count();
  if (seconds % 86400 == 0) return fmt::format("{}d", seconds / 86400);
  if (seconds % 3600 == 0) return fmt::format("{}h", seconds / 3600);
  return seconds % 60 == 0 ? fmt::format("{}m", seconds / 60) : fmt::format("{}s", seconds);
}

std::string shown_span(std::chrono::system_clock::duration span) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(span).count();
  return minutes < 120 ? fmt::format("{} min", minutes) : fmt::format("{} h", minutes / 60);
}

std::string shown_percent(std::uint64_t part, std::uint64_t whole) {
  return fmt::format("{:.1f} %", percent(part, whole));
}

// What comes from a log is anybody's: no control characters reach a terminal.
std::string printable(std::string_view text) {
  auto out = policy::printable_key(text.substr(0, 120));
  if (text.size() > 120) out += "...";
  return out;
}

void add_log(Lines& lines, const ReplayReport& report, const LogFigures& figures) {
  if (report.first && report.last) {
    lines.add("{} requests from {} to {} ({})", report.requests, iso_time(*report.first), iso_time(*report.last),
              shown_span(*report.last - *report.first));
  } else {
    lines.add("no requests in {} lines", figures.lines);
  }
  for (std::size_t i = 0; i < figures.faults.size(); ++i) {
    if (figures.faults[i] == 0) continue;
    const auto fault = static_cast<LineFault>(i);
    lines.add("{} lines left out: {} ({}), the first is line {}", figures.faults[i], to_string(fault), meaning(fault),
              figures.first_lines[i]);
  }
}

void add_totals(Lines& lines, const ReplayReport& report) {
  lines.gap();
  lines.add("expected hit rate: {} of what the rules look up, {} of all requests",
            shown_percent(report.hits, report.look_ups), shown_percent(report.hits, report.requests));
  lines.add("looked up {}, writes {}, passed on {}", report.look_ups, report.writes, report.passed);
  if (report.forgotten > 0) {
    lines.add("{} simulated entries were forgotten for want of room: the rates are a little low", report.forgotten);
  }
}

void add_routes(Lines& lines, const ReplayReport& report) {
  if (report.routes.empty()) return;
  lines.gap();
  lines.add("{:>10} {:>10} {:>8} {:>8}  route", "requests", "keys", "expected", "in log");
  for (const auto& route : report.routes) {
    lines.add("{:>10} {:>10} {:>8} {:>8}  {}  {}", route.requests, route.keys,
              shown_percent(route.hits, route.requests),
              route.logged > 0 ? shown_percent(route.logged_hits, route.logged) : std::string("-"),
              policy::place_of(*route.route), route.route->match_text);
    if (route.after_purge > 0) lines.add("{:>40}  {} misses are of what a write had purged", "", route.after_purge);
    if (route.not_stored > 0)
      lines.add("{:>40}  {} answers would not be stored, for their status", "", route.not_stored);
    if (route.unknown_lifetime > 0) {
      lines.add("{:>40}  {} answers counted as misses: the rules give no ttl, so the origin's fields decide", "",
                route.unknown_lifetime);
    }
  }
}

void add_uncached(Lines& lines, const ReplayReport& report) {
  if (report.uncached.empty()) return;
  lines.gap();
  lines.add("the busiest paths that are not cached");
  lines.add("{:>10} {:>10} {:>8} {:>8}  path", "requests", "targets", "ttl", "expected");
  for (std::size_t i = 0; i < std::min(most_rows, report.uncached.size()); ++i) {
    const auto& path = report.uncached[i];
    lines.add("{:>10} {:>10} {:>8} {:>8}  GET {}{}", path.requests, path.targets,
              path.ttl ? shown_ttl(*path.ttl) : std::string("-"),
              path.ttl ? fmt::format("{:.1f} %", path.hit_rate * 100) : std::string("-"), printable(path.pattern),
              path.off != nullptr ? "  (cache: off in " + policy::place_of(*path.off) + ")" : std::string());
    if (!path.ttl) {
      lines.add("{:>40}  {}", "",
                path.changes > 0 ? "its answers change too often, or hardly repeat" : "its requests hardly repeat");
    }
    if (path.ttl && path.writes > 0) {
      lines.add("{:>40}  {} writes to it: give them a purge:, so that nobody is given the old answer", "", path.writes);
    }
  }
  if (report.uncached.size() > most_rows) lines.add("{:>10} more paths", report.uncached.size() - most_rows);
  if (report.more_paths > 0)
    lines.add("{:>10} requests to paths beyond those that are counted apart", report.more_paths);
  if (report.sample > 1) lines.add("the proposals are of a sample: one of {} targets was followed", report.sample);
}

void add_parameters(Lines& lines, const ReplayReport& report) {
  if (report.parameters.empty()) return;
  lines.gap();
  lines.add("query parameters that split keys");
  lines.add("{:>10} {:>10} {:>8} {:>10}  parameter", "requests", "values", "split", "same size");
  for (std::size_t i = 0; i < std::min(most_rows, report.parameters.size()); ++i) {
    const auto& parameter = report.parameters[i];
    lines.add("{:>10} {:>10} {:>7.1f}x {:>10}  {} of {}  {}{}", parameter.requests, parameter.values, parameter.split,
              parameter.compared > 0 ? shown_percent(parameter.same_size, parameter.compared) : std::string("-"),
              printable(parameter.name), policy::place_of(*parameter.route), parameter.route->match_text,
              parameter.is_to_be_ignored
                  ? fmt::format(": {}; query: {{ ignore: [{}] }}",
                                parameter.is_for_tracking ? "it is known for tracking" : "it seems to change nothing",
                                printable(parameter.name))
                  : std::string());
  }
}

}  // namespace

void LogFigures::note(LineFault fault) noexcept {
  const auto index = static_cast<std::size_t>(fault);
  if (faults[index]++ == 0) first_lines[index] = lines;
}

std::string to_text(const ReplayReport& report, const LogFigures& figures) {
  Lines lines;
  add_log(lines, report, figures);
  if (report.requests == 0) return lines.take();
  add_totals(lines, report);
  add_routes(lines, report);
  add_uncached(lines, report);
  add_parameters(lines, report);
  return lines.take();
}

}  // namespace larder::admin
