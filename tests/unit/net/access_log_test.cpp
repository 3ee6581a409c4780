#include "larder/net/access_log.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp
#include <string>
#include <thread>
#include <vector>

namespace larder::net {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class LogFile {
 public:
  LogFile() {
    std::string name = (fs::temp_directory_path() / "larder-access-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~LogFile() {
    std::error_code error;
    fs::remove_all(folder_, error);
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  [[nodiscard]] std::string path() const { return (folder_ / "access.log").string(); }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> found;
    std::ifstream stream(path());
    for (std::string line; std::getline(stream, line);) found.push_back(line);
    return found;
  }

 private:
  fs::path folder_;
};

http::RequestHead get(std::string_view target, http::FieldSpan fields = {}) {
  return {.method = "GET",
          .target = target,
          .scheme = "http",
          .authority = "api.example",
          .version = http::Version::http_1_1,
          .fields = fields};
}

std::size_t count(const std::vector<std::string>& lines, std::string_view what) {
  std::size_t n = 0;
  for (const auto& line : lines) n += line.find(what) != std::string::npos ? 1U : 0U;
  return n;
}

TEST_CASE("requests of all workers come into the file, with their traces, without their secrets") {
  const LogFile file;
  AccessLog log({.file = file.path(), .always = {}}, {"token"}, 2);
  log.start();
  const std::vector<http::Field> fields{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < 2; ++i) {
    workers.emplace_back([&log, &fields, i] {
      for (int n = 0; n < 500; ++n) {
        AccessRecord record;
        record.status = 200;
        record.cache = "HIT";
        const auto target = "/" + std::to_string(i) + "/" + std::to_string(n) + "?token=plant";
        log.lane(i).note(get(target, fields), "192.0.2.1", "id", record);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  log.stop();
  const auto lines = file.lines();
  CHECK(lines.size() == 1000);
  CHECK(count(lines, "\"target\":\"/1/499?token=***\"") == 1);
  CHECK(count(lines, "plant") == 0);
  CHECK(count(lines, "\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\"") == 1000);
  CHECK(log.totals().written == 1000);
  CHECK(log.totals().dropped == 0);
}

TEST_CASE("what does not fit into the queue is dropped, and the log says how much") {
  const LogFile file;
  AccessLog log({.file = file.path(), .always = {}, .queue = 64UL << 10}, {}, 1);
  const auto target = "/" + std::string(1000, 'x');
  for (int n = 0; n < 500; ++n) {  // nobody writes yet
    AccessRecord record;
    record.status = 200;
    log.lane(0).note(get(target), "192.0.2.1", {}, record);
  }
  const auto dropped = log.totals().dropped;
  CHECK(dropped > 0);
  CHECK(dropped < 500);
  log.start();
  log.stop();
  const auto lines = file.lines();
  CHECK(count(lines, "\"event\":\"request\"") == 500 - dropped);
  CHECK(count(lines, "\"event\":\"dropped\",\"requests\":" + std::to_string(dropped) + ",") == 1);
}

// How many of 20000 requests are logged.
std::size_t chosen(std::uint32_t sample_ppm, AccessLogParameters::Always always, const auto& change) {
  const LogFile file;
  AccessLog log({.file = file.path(), .sample_ppm = sample_ppm, .always = always, .slow = 1min, .queue = 64UL << 20},
                {}, 1);
  for (int n = 0; n < 20000; ++n) {
    AccessRecord record;
    record.status = 200;
    record.cache = "HIT";
    change(record);
    log.lane(0).note(get("/"), "192.0.2.1", {}, record);
  }
  log.start();
  log.stop();
  return count(file.lines(), "\"event\":\"request\"");
}

TEST_CASE("sampling: a share of the many, all of what is asked for") {
  const auto plain = [](AccessRecord&) {};
  CHECK(chosen(1000000, {}, plain) == 20000);
  CHECK(chosen(0, {}, plain) == 0);
  const auto share = chosen(100000, {}, plain);  // 2000, standard deviation 42
  CHECK(share > 1700);
  CHECK(share < 2300);

  const AccessLogParameters::Always none{
      .errors = false, .client_errors = false, .slow = false, .misses = false, .writes = false};
  const auto only = [&none](bool AccessLogParameters::Always::*member) {
    auto always = none;
    always.*member = true;
    return always;
  };
  using Always = AccessLogParameters::Always;
  const auto error = [](AccessRecord& record) { record.status = 502; };
  const auto cut = [](AccessRecord& record) { record.cut_short = true; };
  const auto client_error = [](AccessRecord& record) { record.status = 404; };
  const auto slow = [](AccessRecord& record) { record.begun -= 61s; };
  const auto miss = [](AccessRecord& record) { record.cache = "MISS"; };
  const auto write = [](AccessRecord& record) { record.writes = true; };
  CHECK(chosen(0, only(&Always::errors), error) == 20000);
  CHECK(chosen(0, only(&Always::errors), cut) == 20000);
  CHECK(chosen(0, only(&Always::errors), client_error) == 0);
  CHECK(chosen(0, only(&Always::client_errors), client_error) == 20000);
  CHECK(chosen(0, only(&Always::client_errors), error) == 0);
  CHECK(chosen(0, only(&Always::slow), slow) == 20000);
  CHECK(chosen(0, only(&Always::slow), plain) == 0);
  CHECK(chosen(0, only(&Always::misses), miss) == 20000);
  CHECK(chosen(0, only(&Always::writes), write) == 20000);
  CHECK(chosen(0, none, error) == 0);
}

TEST_CASE("requests that were refused before they were understood are errors") {
  const LogFile file;
  AccessLog log({.file = file.path(), .sample_ppm = 0, .always = {}}, {}, 1);
  log.lane(0).note_refused("192.0.2.1", 400, "it is malformed");
  log.start();
  log.stop();
  const auto lines = file.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("\"status\":400,\"bytes\":0,\"detail\":\"it is malformed\"") != std::string::npos);
}

}  // namespace
}  // namespace larder::net
