#pragma once
// `larder explain`: what would become of a request, by the rules alone.
#include <string>

#include "larder/config/command_line.hpp"
#include "larder/config/settings.hpp"

namespace larder::app {

/// What a command prints, and the exit status of the program: to the error output where that is not 0.
struct CommandOutput {
  int status = 0;
  std::string text;
};

/// Explains the request of the command line; status 2 where it cannot be one.
CommandOutput explain(const config::Settings& settings, const config::ExplainArguments& arguments);

}  // namespace larder::app
