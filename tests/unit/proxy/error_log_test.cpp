#include "larder/proxy/error_log.hpp"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace larder::proxy {
namespace {

using namespace std::chrono_literals;

// What is logged while it lives.
class Captured {
 public:
  Captured() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>("captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(std::move(logger));
  }
  ~Captured() { spdlog::set_default_logger(before_); }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::istringstream text(text_.str());
    std::vector<std::string> result;
    for (std::string line; std::getline(text, line);) result.push_back(line);
    return result;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_CASE("the first at once, the next ones counted") {
  const Captured captured;
  ErrorLog log("[CACHE ERROR]", 1, 1h);
  log.report("one {}");
  log.report("two");
  log.report("three");
  CHECK(captured.lines() == std::vector<std::string>{"error [CACHE ERROR] one {}"});
  CHECK(log.total() == 3);
}

TEST_CASE("a burst at once") {
  const Captured captured;
  ErrorLog log("p", 3, 1h);
  for (int i = 0; i < 5; ++i) log.report(std::to_string(i));
  CHECK(captured.lines() == std::vector<std::string>{"error p 0", "error p 1", "error p 2"});
}

TEST_CASE("the next line tells how many were held back") {
  const Captured captured;
  ErrorLog log("p", 1, 50ms);
  log.report("a");
  log.report("b");
  log.report("c");
  const auto limit = std::chrono::steady_clock::now() + 60ms;
  while (std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  log.report("d");
  const auto lines = captured.lines();
  REQUIRE(lines.size() >= 2);  // b or c, too, where the machine was slow
  CHECK(lines.front() == "error p a");
  CHECK(lines.back().starts_with("error p d"));
  if (lines.size() == 2) CHECK(lines.back() == "error p d (2 other lines were held back)");
}

TEST_CASE("from many threads") {
  const Captured captured;
  ErrorLog log("p", 2, 1h);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) log.report("x");
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(log.total() == 4000);
  CHECK(captured.lines().size() == 2);
}

}  // namespace
}  // namespace larder::proxy
