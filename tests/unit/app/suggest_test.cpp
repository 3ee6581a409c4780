#include "larder/app/suggest.hpp"

#include <doctest/doctest.h>
#include <sstream>
#include <string>

#include "larder/config/rules_reader.hpp"

namespace larder::app {
namespace {

config::Settings settings() {
  config::Settings settings;
  settings.rules = config::built_in_rules(policy::Seconds(60));
  return settings;
}

TEST_CASE("suggest: lines of any length, with and without a line feed at the end") {
  const std::string line = "1.2.3.4 - - [26/Nov/2025:01:02:03 +0000] \"GET /a HTTP/1.1\" 200 5\n";
  std::string text = line;
  text += std::string(300000, 'x') + "\n";
  text += "\n" + line + "{}\n";
  // One that ends where a buffer of the reader ends.
  text += std::string((1U << 16U) - text.size() % (1U << 16U) - 1, 'y') + "\n";
  text += line.substr(0, line.size() - 1);
  std::istringstream log(text);
  const auto got = suggest(settings(), log);
  CHECK(got.status == 0);
  CAPTURE(got.text);
  CHECK(got.text.starts_with("3 requests from 2025-11-26T01:02:03Z"));
  CHECK(got.text.find("1 lines left out: too_long (it is longer than 64 KiB), the first is line 2\n") !=
        std::string::npos);
  CHECK(got.text.find("1 lines left out: empty") != std::string::npos);
  CHECK(got.text.find("1 lines left out: no_target") != std::string::npos);
  CHECK(got.text.find("1 lines left out: unknown_form") != std::string::npos);
}

TEST_CASE("suggest: a file that cannot be read") {
  for (const std::string path : {"/nonexistent/log", "/"}) {
    CAPTURE(path);
    const auto got = suggest(settings(), path);
    CHECK(got.status == 1);
    CHECK(got.text.starts_with(path + ": it cannot be read: "));
  }
}

}  // namespace
}  // namespace larder::app
