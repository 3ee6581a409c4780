#pragma once
// POST /api/cache/reload: what became of it, as JSON. Pure.
#include <string>
#include <vector>

#include "larder/admin/answer.hpp"

namespace larder::admin {

/// A fault or warning of the configuration; what config::Fault says.
struct ConfigurationFault {
  std::string file;
  int line = 0;  ///< from 1; 0 where there are no lines
  std::string wrong;
  std::string right;
};

/// How a reload ended.
struct ReloadReport {
  enum class End : unsigned char {
    accepted,  ///< the new configuration is in force
    refused,   ///< it has faults; the one before goes on
    draining   ///< the process is about to end
  } end = End::accepted;
  std::vector<ConfigurationFault> faults;    ///< of a refused one
  std::vector<ConfigurationFault> warnings;  ///< legal, but can hardly be meant
  std::vector<std::string> changed;          ///< settings that are in force now
  std::vector<std::string> at_restart;       ///< settings that differ, and take effect at the next start
  bool rules_changed = false;                ///< the rules are not what they were
  std::vector<std::string> purged_types;     ///< what was stored of these under the old rules is gone
};

/// 200 with "changed", "at_restart", "rules_changed", "purged_types" and "warnings"; 422 with "faults"; 503.
Answer to_answer(const ReloadReport& report, std::chrono::system_clock::time_point now);

}  // namespace larder::admin
