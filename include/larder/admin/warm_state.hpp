#pragma once
// What warming has done and is doing, and how it is told as JSON. Pure.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/policy/cache_control.hpp"
#include "larder/proxy/warmed.hpp"

namespace larder::admin {

/// Why a run began.
enum class WarmTrigger : unsigned char {
  start,     ///< the process has started, or a reload has brought a task
  interval,  ///< its time had come
  purge,     ///< a purge of a type that a task names in after_purge
  order,     ///< POST /api/cache/warm
  count_     ///< number of enumerators, not a trigger
};
std::string_view to_string(WarmTrigger trigger) noexcept;

/// How many requests of a run or a task ended in each way; indexed by proxy::Warmed.
using WarmEnds = std::array<std::uint64_t, static_cast<std::size_t>(proxy::Warmed::count_)>;
/// Those after which the next client is not answered from the cache.
std::uint64_t failures(const WarmEnds& ends) noexcept;

/// One run, while it goes on or as it ended.
struct WarmRun {
  std::uint64_t number = 0;  ///< from 1
  WarmTrigger trigger = WarmTrigger::start;
  std::vector<std::string> tasks;  ///< by name
  std::chrono::system_clock::time_point began;
  std::optional<std::chrono::system_clock::time_point> ended;  ///< empty while it goes on
  bool is_planned = false;                                     ///< `requests` is known
  std::size_t requests = 0;
  WarmEnds ends{};

  [[nodiscard]] std::uint64_t done() const noexcept;
};

/// A task, and what became of it since the process began.
struct WarmTaskState {
  std::string name;
  std::string source;  ///< "3 URLs", "the 100 busiest keys of product"
  bool is_critical = false;
  std::optional<policy::Seconds> interval;
  std::vector<std::string> after_purge;
  std::uint64_t execution_count = 0;
  std::uint64_t success_count = 0;  ///< runs after which all that it names was warm
  std::uint64_t failure_count = 0;
  std::optional<std::chrono::system_clock::time_point> last_run;  ///< its beginning
  std::optional<std::chrono::system_clock::time_point> last_success;
  std::optional<std::chrono::system_clock::time_point> next_run;  ///< by its interval
  std::size_t last_requests = 0;
  std::uint64_t last_failures = 0;  ///< of these
  std::string last_failure;         ///< the first of the last run that failed: "/api/a: error_status (503)"
  std::size_t unrepeatable = 0;     ///< busiest keys of the last run whose requests cannot be made anew
};

/// Everything.
struct WarmState {
  std::array<std::uint64_t, static_cast<std::size_t>(WarmTrigger::count_)> runs{};  ///< that have begun
  WarmEnds ends{};                                                                  ///< of all runs
  std::optional<WarmRun> run;                                                       ///< the present or the last one
  std::vector<WarmTaskState> tasks;                                                 ///< in the order of the rules

  [[nodiscard]] bool is_running() const noexcept { return run && !run->ended; }
};

/// {"number","trigger","tasks":[…],"began","ended","requests","done","failed","ends":{"fresh":…}}; `requests` is null
/// until it is known how many there are.
Json to_json(const WarmRun& run);
/// {"running","runs":{"start":…},"ends":{…},"run":…,"tasks":[{"name","source","critical","interval_seconds",
/// "after_purge","execution_count","success_count","failure_count","last_run","last_success","next_run",
/// "last_requests","last_failures","last_failure","unrepeatable"}]}. Times are text; what is not there is null.
Json to_json(const WarmState& state);

}  // namespace larder::admin
