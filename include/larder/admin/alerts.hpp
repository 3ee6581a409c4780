#pragma once
// Which alerts are active: the rules of the configuration held against the samples. Pure.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "larder/admin/parameters.hpp"
#include "larder/admin/series.hpp"

namespace larder::admin {

/// An alert has begun or ended.
struct AlertChange {
  std::string name;
  std::string when;  ///< the condition
  bool begins = false;
  std::optional<double> value;  ///< at the time; empty where it ended because too little came to tell
  std::chrono::system_clock::time_point at;
  std::chrono::milliseconds lasted{0};  ///< of one that ended
  bool is_dropped = false;              ///< it ended because a reload has taken it away
};
/// One line for the log: "low-hit-rate begins: hit_rate < 80 over 5m, and it is 12.5".
std::string describe(const AlertChange& change);
/// The body of a POST to the webhook: {"alert","state" ("begins" or "ends"),"when","value","time",
/// "lasted_seconds" (of one that ends),"text" (as for the log)}.
std::string to_webhook_body(const AlertChange& change);

/// All alerts of a configuration.
class AlertBook {
 public:
  explicit AlertBook(std::vector<AlertRule> rules);

  /// Judges every rule by the samples, the last of which is new; returns what has begun or ended by it.
  ///
  /// "More than N" is known as soon as N is exceeded. Everything else that looks back needs samples of its whole
  /// window, so that a start with an empty cache is no alert.
  std::vector<AlertChange> judge(const Series& series);
  /// Other rules from now on. Alerts under a rule that is the same go on; returns those that have ended because there
  /// is no such rule any more. A rule of a name that was known goes on counting how often it has begun.
  std::vector<AlertChange> replace(std::vector<AlertRule> rules, std::chrono::steady_clock::time_point now,
                                   std::chrono::system_clock::time_point told_now);
  [[nodiscard]] std::vector<AlertState> states() const;

 private:
  struct Entry {
    AlertRule rule;
    AlertState state;
    std::optional<std::chrono::steady_clock::time_point> holds_since;  ///< the condition; empty where it does not hold
    std::chrono::steady_clock::time_point began{};
  };
  std::vector<Entry> entries_;
};

}  // namespace larder::admin
