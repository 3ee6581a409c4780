// The `larder` program.
#include <cstdio>
#include <exception>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <string>
#include <vector>

#include "larder/app/explain.hpp"
#include "larder/app/server.hpp"
#include "larder/app/suggest.hpp"
#include "larder/config/command_line.hpp"
#include "larder/config/loader.hpp"
#include "larder/config/rule_tests.hpp"

namespace {

using larder::config::CommandLine;

spdlog::level::level_enum level_of(larder::config::LogLevel level) {
  return spdlog::level::from_str(std::string(larder::config::to_string(level)));
}

// What a command has to say, where it belongs; returns its exit status.
int print(const larder::app::CommandOutput& output) {
  std::fputs(output.text.c_str(), output.status == 0 ? stdout : stderr);
  return output.status;
}

int serve(larder::config::Settings settings) {
  spdlog::set_level(level_of(settings.log_level));
  try {
    larder::app::Server server(std::move(settings), LARDER_VERSION);
    server.run();
  } catch (const std::exception& error) {
    spdlog::error("cannot start: {}", error.what());
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("larder"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::flush_on(spdlog::level::info);

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
  for (const auto& warning : loaded.warnings) spdlog::warn("{}", larder::config::format(warning));
  return serve(std::move(*loaded.settings));
}
