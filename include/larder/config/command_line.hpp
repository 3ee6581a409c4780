#pragma once
// The options of the `larder` program.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "larder/config/loader.hpp"

namespace larder::config {

/// What `larder explain` is asked; values as they are written.
struct ExplainArguments {
  std::string method;
  std::string target;
  std::vector<std::string> headers;  ///< "Name: value"
  std::optional<std::string> status;
  std::vector<std::string> response_headers;  ///< "Name: value"
  bool json = false;
};

/// What the user asks for.
struct CommandLine {
  enum class Command : unsigned char {
    serve,    ///< run the proxy
    check,    ///< check configuration and rules, print faults
    explain,  ///< explain a request
    suggest,  ///< replay an access log against the rules
    version,  ///< print the version
    help,     ///< print `text`
    wrong     ///< print `text` to the error output and fail
  } command = Command::help;
  std::optional<std::string> config;  ///< of --config
  Overrides overrides;
  ExplainArguments explain;
  std::string access_log;  ///< of `suggest`: a file, or "-"
  std::string text;        ///< the help, or what is wrong with the command line
};

/// Parses the arguments without the program's own name. Values are not looked into: load() checks them.
CommandLine parse_command_line(std::span<const std::string> arguments);

}  // namespace larder::config
