#pragma once
// From files, environment and command line to Settings. Precedence: command line, file, environment, default.
//
// Environment: REDIS_URL, or else REDIS_HOST (either of them switches Redis on unless the file or the command line says
// `redis: off`), REDIS_PORT, REDIS_USER, REDIS_PASSWORD, REDIS_DB; REDIS_CACHE_TTL is `defaults.ttl` of the rules where
// the file gives none; any other variable can be named in the files as ${NAME}.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "larder/config/document.hpp"
#include "larder/config/fault.hpp"
#include "larder/config/settings.hpp"

namespace larder::config {

/// What the command line says of settings, as written; checked by load() with the same functions as the file.
struct Overrides {
  std::optional<std::string> listen;
  std::optional<std::string> admin;  ///< endpoint or "off"
  std::vector<std::string> origins;  ///< replace those of the file
  std::optional<std::string> redis;  ///< URL or "off"
  std::optional<std::string> rules;  ///< path, from the working directory
  std::optional<std::string> workers;
  std::optional<std::string> memory;  ///< size or "off"
  std::optional<std::string> token;
  bool serves = true;  ///< false: nothing is served, so no origin need be given
};

/// Reads a regular file of at most 4 MiB.
std::optional<std::string> read_file(const std::string& path, std::string& error);

/// The process's own environment. Not safe while another thread changes it.
std::optional<std::string> process_environment(std::string_view name);

/// The outcome of load().
struct Loaded {
  std::optional<Settings> settings;  ///< empty where there was a fault
  std::vector<Fault> faults;         ///< all of them, in the order of files and lines
  std::vector<Fault> warnings;       ///< legal, but can hardly be meant
  std::vector<Fault> failed_tests;   ///< of failed_rule_tests(), where somebody has run them
};

/// Loads and checks everything: the file `config_path` (none: built-in defaults), the rules it names, the environment
/// and the command line. Never throws for what is wrong in them.
Loaded load(const std::optional<std::string>& config_path, const Overrides& overrides, const Environment& environment,
            const FileReader& files = read_file);

/// What `larder check` prints: each fault and warning on a line ("file:line: what is wrong, what would be right"), then
/// each failed test ("file:line: test NAME: expected X, got Y"), and "ok: N types, M routes, K tests, L warm tasks" where there is
/// none.
std::string report(const Loaded& loaded);

}  // namespace larder::config
