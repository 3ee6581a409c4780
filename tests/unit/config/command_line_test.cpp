#include "larder/config/command_line.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::config {
namespace {

using Command = CommandLine::Command;

CommandLine parse(const std::vector<std::string>& arguments) { return parse_command_line(arguments); }

TEST_CASE("parse_command_line: serve with everything") {
  const auto line = parse({"serve",   "--config",  "c",        "--listen", "h:1",
                           "--admin", "off",       "--origin", "http://a", "--origin=http://b",
                           "--redis", "redis://h", "--rules",  "r",        "--workers",
                           "2",       "--memory",  "64MiB",    "--token",  "t"});
  CHECK(line.command == Command::serve);
  CHECK(line.config == "c");
  CHECK(line.overrides.listen == "h:1");
  CHECK(line.overrides.admin == "off");
  CHECK(line.overrides.origins == std::vector<std::string>{"http://a", "http://b"});
  CHECK(line.overrides.redis == "redis://h");
  CHECK(line.overrides.rules == "r");
  CHECK(line.overrides.workers == "2");
  CHECK(line.overrides.memory == "64MiB");
  CHECK(line.overrides.token == "t");
}

TEST_CASE("parse_command_line: the other commands") {
  const auto serve = parse({"serve"});
  CHECK(serve.command == Command::serve);
  CHECK_FALSE(serve.config.has_value());
  CHECK_FALSE(serve.overrides.listen.has_value());
  CHECK(serve.overrides.origins.empty());
  const auto check = parse({"check", "--config", "c", "--rules", "r"});
  CHECK(check.command == Command::check);
  CHECK(check.config == "c");
  CHECK(check.overrides.rules == "r");
  CHECK(parse({"--version"}).command == Command::version);
  for (const auto& arguments : std::vector<std::vector<std::string>>{{}, {"--help"}, {"-h"}, {"serve", "--help"}}) {
    const auto help = parse(arguments);
    CHECK(help.command == Command::help);
    CHECK(help.text.size() > 100);
  }
  CHECK(parse({"serve", "--help"}).text.find("--origin") != std::string::npos);
  CHECK(parse({"serve", "--listen", "a", "--listen", "b"}).overrides.listen == "b");  // the last counts
}

TEST_CASE("parse_command_line: explain") {
  const auto line = parse({"explain", "--config", "c", "GET", "/a?b=-1", "-H", "A: 1", "--header", "B: 2", "--status",
                           "404", "--response-header", "C: 3", "--json"});
  CHECK(line.command == Command::explain);
  CHECK(line.config == "c");
  CHECK_FALSE(line.overrides.serves);
  CHECK(line.explain.method == "GET");
  CHECK(line.explain.target == "/a?b=-1");
  CHECK(line.explain.headers == std::vector<std::string>{"A: 1", "B: 2"});
  CHECK(line.explain.status == "404");
  CHECK(line.explain.response_headers == std::vector<std::string>{"C: 3"});
  CHECK(line.explain.json);
  CHECK(parse({"explain", "--config", "c", "GET"}).command == Command::wrong);
  CHECK(parse({"explain", "--config", "c", "GET", "/a", "/b"}).command == Command::wrong);
  CHECK(parse({"serve"}).overrides.serves);
}

TEST_CASE("parse_command_line: suggest") {
  const auto line = parse({"suggest", "--config", "c", "--access-log", "f"});
  CHECK(line.command == Command::suggest);
  CHECK(line.access_log == "f");
  CHECK_FALSE(line.overrides.serves);
  CHECK(parse({"suggest", "--rules", "r"}).access_log == "-");
}

TEST_CASE("parse_command_line: what is wrong") {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"run"},
                                                                     {"--listen", "x"},
                                                                     {"serve", "--lisen", "x"},
                                                                     {"serve", "extra"},
                                                                     {"serve", "--listen"},
                                                                     {"serve", "--origin"},
                                                                     {"serve", "--origin", "http://a", "http://b"},
                                                                     {"check"},
                                                                     {"check", "--config", "c", "--listen", "x"},
                                                                     {"serve", "check"},
                                                                     {""},
                                                                     {"serve", "\xff"}}) {
    CAPTURE(arguments.size());
    const auto line = parse(arguments);
    CHECK(line.command == Command::wrong);
    CHECK(line.text.starts_with("command line: "));
  }
}

}  // namespace
}  // namespace larder::config
