#include "larder/app/log.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <spdlog/spdlog.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp
#include <string>
#include <sys/stat.h>
#include <vector>

namespace larder::app {
namespace {

namespace fs = std::filesystem;

class LogFile {
 public:
  LogFile() : before_(spdlog::default_logger()) {
    std::string name = (fs::temp_directory_path() / "larder-app-log-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~LogFile() {
    spdlog::set_default_logger(before_);
    std::error_code error;
    fs::remove_all(folder_, error);
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  [[nodiscard]] std::string path(const std::string& name = "log") const { return (folder_ / name).string(); }
  [[nodiscard]] std::vector<std::string> lines(const std::string& name = "log") const {
    std::vector<std::string> found;
    std::ifstream stream(path(name));
    for (std::string line; std::getline(stream, line);) found.push_back(line);
    return found;
  }

 private:
  fs::path folder_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_CASE("lines for people and as JSON") {
  const auto time = std::chrono::sys_days(std::chrono::year(2026) / 11 / 26) + std::chrono::milliseconds(1234);
  std::string out;
  append_log_line(out, net::LogFormat::json, time, "error", "a \"b\"\nc \xFF");
  CHECK(out == R"({"time":"2026-11-26T00:00:01.234Z","event":"log","level":"error","message":"a \"b\"\u000ac \\xff"})"
               "\n");
  out.clear();
  append_log_line(out, net::LogFormat::human, time, "error", "a \"b\"\nc \xFF");
  CHECK(out.ends_with(" error a \"b\"\\x0ac \\xff\n"));
  CHECK(out.starts_with("2026-11-2"));
  CHECK(out.find(".234") != std::string::npos);
}

TEST_CASE("the log is written by the time it ends; what is below its level is not") {
  const LogFile file;
  begin_log({.file = file.path()}, config::LogLevel::info);
  for (int n = 0; n < 100; ++n) spdlog::info("line {}", n);
  spdlog::debug("too much");
  end_log();
  const auto lines = file.lines();
  REQUIRE(lines.size() == 100);
  CHECK(lines[99].ends_with(" info line 99"));
}

TEST_CASE("a log that nobody reads holds nobody up, and what is dropped is told") {
  const LogFile file;
  REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
  // Open it on both sides, so that nobody waits for anybody.
  std::fstream reader(file.path(), std::ios::in | std::ios::out);
  REQUIRE(reader.is_open());
  begin_log({.file = file.path(), .queue = 16}, config::LogLevel::info);
  const std::string text(1000, 'x');
  for (int n = 0; n < 2000; ++n) spdlog::info("{}", text);  // a pipe holds 64 KiB
  spdlog::info("the last one");
  std::string line;
  bool is_told = false;
  while (std::getline(reader, line)) {
    is_told =
        is_told || line.find("older lines were dropped, as the log's queue (log.queue) was full") != std::string::npos;
    if (line.ends_with("the last one")) break;
  }
  CHECK(is_told);
  end_log();
}

TEST_CASE("SIGUSR1 opens the file anew") {
  const LogFile file;
  begin_log({.file = file.path()}, config::LogLevel::info);
  reopen_logs_on_signal();
  spdlog::info("before");
  while (file.lines().empty()) {
  }
  fs::rename(file.path(), file.path("log.1"));
  REQUIRE(std::raise(SIGUSR1) == 0);
  spdlog::info("after");
  end_log();
  std::signal(SIGUSR1, SIG_DFL);
  REQUIRE(file.lines().size() == 1);
  CHECK(file.lines()[0].ends_with("after"));
  REQUIRE(file.lines("log.1").size() == 1);
}

}  // namespace
}  // namespace larder::app
