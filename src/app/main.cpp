// The `larder` program.
#include <cstdio>
#include <exception>
#include <spdlog/spdlog.h>
#include <string>
#include <vector>

#include "larder/app/explain.hpp"
#include "larder/app/log.hpp"
#include "larder/app/server.hpp"
#include "larder/app/suggest.hpp"
#include "larder/config/command_line.hpp"
#include "larder/config/loader.hpp"
#include "larder/config/rule_tests.hpp"

namespace {

using larder::config::CommandLine;

// What a command has to say, where it belongs; returns its exit status.
int print(const larder::app::CommandOutput& output) {
  std::fputs(output.text.c_str(), output.status == 0 ? stdout : stderr);
  return output.status;
}

int serve(larder::config::Settings settings, const std::vector<larder::config::Fault>& warnings) {
  int status = 0;
  const bool logs_to_file = settings.log.file != "stderr";
  try {
    larder::app::begin_log(settings.log, settings.log_level);
    for (const auto& warning : warnings) spdlog::warn("{}", larder::config::format(warning));
    larder::app::reopen_logs_on_signal();
    larder::app::Server server(std::move(settings), LARDER_VERSION);
    server.run();
  } catch (const std::exception& error) {
    spdlog::error("cannot start: {}", error.what());
    if (logs_to_file) std::fprintf(stderr, "cannot start: %s\n", error.what());
    status = 1;
  }
  larder::app::end_log();
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  larder::app::log_to_stderr();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto line = larder::config::parse_command_line(arguments);
  switch (line.command) {
    case CommandLine::Command::version:
      std::printf("larder %s\n", LARDER_VERSION);
      return 0;
    case CommandLine::Command::help:
      std::fputs(line.text.c_str(), stdout);
      return 0;
    case CommandLine::Command::wrong:
      std::fputs(line.text.c_str(), stderr);
      return 2;
    case CommandLine::Command::serve:
    case CommandLine::Command::check:
    case CommandLine::Command::explain:
    case CommandLine::Command::suggest:
      break;
  }
  auto loaded = larder::config::load(line.config, line.overrides, larder::config::process_environment);
  if (line.command == CommandLine::Command::check) {
    if (loaded.settings) loaded.failed_tests = larder::config::failed_rule_tests(*loaded.settings);
    std::fputs(larder::config::report(loaded).c_str(), stdout);
    return loaded.settings && loaded.failed_tests.empty() ? 0 : 1;
  }
  if (!loaded.settings) {
    std::fputs(larder::config::report(loaded).c_str(), stderr);
    return 1;
  }
  if (line.command == CommandLine::Command::explain) return print(larder::app::explain(*loaded.settings, line.explain));
  if (line.command == CommandLine::Command::suggest) {
    return print(larder::app::suggest(*loaded.settings, line.access_log));
  }
  return serve(std::move(*loaded.settings), loaded.warnings);
}
