// The `larder` program.
#include <cstdio>
#include <exception>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <string>
#include <vector>

#include "larder/app/server.hpp"
#include "larder/config/command_line.hpp"
#include "larder/config/loader.hpp"

namespace {

using larder::config::CommandLine;

spdlog::level::level_enum level_of(larder::config::LogLevel level) {
  return spdlog::level::from_str(std::string(larder::config::to_string(level)));
}

int serve(larder::config::Settings settings, larder::app::ConfigurationSource source) {
  spdlog::set_level(level_of(settings.log_level));
  try {
    larder::app::Server server(std::move(settings), std::move(source), LARDER_VERSION);
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
      break;
  }
  auto loaded = larder::config::load(line.config, line.overrides, larder::config::process_environment);
  if (line.command == CommandLine::Command::check) {
    std::fputs(larder::config::report(loaded).c_str(), stdout);
    return loaded.settings ? 0 : 1;
  }
  if (!loaded.settings) {
    std::fputs(larder::config::report(loaded).c_str(), stderr);
    return 1;
  }
  for (const auto& warning : loaded.warnings) spdlog::warn("{}", larder::config::format(warning));
  return serve(std::move(*loaded.settings), {.file = line.config, .overrides = line.overrides});
}
