#include "larder/config/warm_reader.hpp"

#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::config {
namespace {

using policy::Seconds;
using Names = std::vector<std::string>;

constexpr std::string_view routes =
    "types: { product: { ttl: 1h }, search: { ttl: 5m } }\n"
    "routes:\n"
    "  - match: GET /p/**\n    cache: product\n"
    "  - match: GET /s\n    cache: search\n"
    "  - match: GET /off\n    cache: off\n";
constexpr int routes_lines = 8;

struct Got {
  std::shared_ptr<const policy::RuleSet> rules;
  std::string faults;
  [[nodiscard]] const policy::Warming& warming() const { return rules->warming; }
};

// Files are in the folder of the rules.
Got read(const std::string& warm, const std::map<std::string, std::string>& files = {}) {
  std::vector<Fault> faults;
  std::vector<Fault> warnings;
  const auto environment = [](std::string_view name) -> std::optional<std::string> {
    return name == "TOKEN" ? std::optional<std::string>("hidden") : std::nullopt;
  };
  const FileReader reader = [&files](const std::string& path, std::string& error) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found != files.end()) return found->second;
    error = "No such file or directory";
    return std::nullopt;
  };
  Got got;
  got.rules =
      read_rules(std::string(routes) + warm, "conf/rules.yaml", environment, reader, std::nullopt, faults, warnings);
  for (const auto& fault : faults) got.faults += format(fault) + "\n";
  CHECK((got.rules == nullptr) == !faults.empty());
  return got;
}

std::string value(const policy::NormalRequest& request, std::string_view name) {
  return std::string(http::combined(request.head().fields, name).value_or("none"));
}

TEST_CASE("warm: nothing, and what is said of all tasks") {
  for (const auto* const text : {"", "warm:\n", "warm: off\n", "warm: {}\n", "warm: { tasks: }\n"}) {
    const auto got = read(text);
    REQUIRE(got.faults.empty());
    CHECK(got.warming().tasks.empty());
    CHECK(got.warming().at_start);
  }
  const auto got =
      read("warm: { at_start: no, interval: 90s, concurrency: 8, rate: 1, host: h, tasks: [ { top: 3 } ] }");
  REQUIRE(got.faults.empty());
  CHECK_FALSE(got.warming().at_start);
  CHECK(got.warming().concurrency == 8);
  CHECK(got.warming().rate == 1);
  CHECK(got.warming().host == "h");
  REQUIRE(got.warming().tasks.size() == 1);
  CHECK(got.warming().tasks[0].interval == Seconds{90});
  CHECK(read("warm: { interval: off, tasks: [ { top: 3 } ] }").warming().tasks[0].interval == std::nullopt);
  CHECK(read("warm: { tasks: [ { top: 3 } ] }").warming().tasks[0].interval == Seconds{300});
}

TEST_CASE("warm: tasks and their requests") {
  const auto got = read(R"(
warm:
  host: api.example:8080
  headers: { Accept-Language: de, X-A: ["1", "2"] }
  tasks:
    - url: /p/1?b=<2>
    - name: named
      urls: ["/s?q=a", "https://other/p/2"]
      headers: { X-A: "3", Accept: text/html, Authorization: "Bearer ${TOKEN}", Accept-Encoding: br }
      critical: true
      interval: 10m
      after_purge: true
    - top: 7
      type: search
      after_purge: [search, product]
    - { top: 8, interval: off }
)");
  INFO(got.faults);
  REQUIRE(got.rules != nullptr);
  const auto& tasks = got.warming().tasks;
  REQUIRE(tasks.size() == 4);
  CHECK(tasks[0].name == "/p/1?b=<2>");
  CHECK(tasks[0].line == routes_lines + 6);
  CHECK(tasks[0].file == "conf/rules.yaml");
  CHECK_FALSE(tasks[0].is_critical);
  CHECK(tasks[0].after_purge.empty());
  REQUIRE(tasks[0].requests.size() == 1);
  const auto& plain = *tasks[0].requests[0];
  CHECK(plain.head().target == "/p/1?b=%3C2%3E");
  CHECK(plain.head().authority == "api.example:8080");
  CHECK(value(plain, "Accept-Language") == "de");
  CHECK(value(plain, "X-A") == "1, 2");
  CHECK(value(plain, "Accept") == "*/*");
  CHECK(value(plain, "Accept-Encoding") == "gzip");

  CHECK(tasks[1].name == "named");
  CHECK(tasks[1].is_critical);
  CHECK(tasks[1].interval == Seconds{600});
  CHECK(tasks[1].after_purge == Names{"search", "product"});
  REQUIRE(tasks[1].requests.size() == 2);
  const auto& other = *tasks[1].requests[1];
  CHECK(other.head().authority == "other");
  CHECK(other.head().scheme == "https");
  CHECK(value(other, "X-A") == "3");
  CHECK(value(other, "Accept-Language") == "de");
  CHECK(value(other, "Accept") == "text/html");
  CHECK(value(other, "Accept-Encoding") == "br");
  CHECK(value(other, "Authorization") == "Bearer hidden");

  CHECK(tasks[2].name == "top 7 of search");
  CHECK(tasks[2].top == 7);
  CHECK(tasks[2].after_purge == Names{"search", "product"});
  CHECK(tasks[3].interval == std::nullopt);
}

TEST_CASE("warm: a file of URLs") {
  const std::string warm = "warm: { host: h, headers: { A: b }, tasks: [ { file: urls.txt } ] }\n";
  const auto got = read(warm, {{"conf/urls.txt",
                                "# what is hot\r\n/p/1\r\n  Accept-Language: de\r\n\tA:  c \r\n\n  "
                                "# more\nhttp://other/s?q=1"}});
  INFO(got.faults);
  REQUIRE(got.rules != nullptr);
  REQUIRE(got.warming().tasks.size() == 1);
  const auto& task = got.warming().tasks[0];
  CHECK(task.name == "urls.txt");
  REQUIRE(task.requests.size() == 2);
  CHECK(value(*task.requests[0], "Accept-Language") == "de");
  CHECK(value(*task.requests[0], "A") == "c");
  CHECK(value(*task.requests[1], "A") == "b");
  CHECK(task.requests[1]->head().authority == "other");
  CHECK(got.warming().files == Names{"conf/urls.txt"});
  // Other URLs are other rules.
  CHECK(got.rules->fingerprint != read(warm, {{"conf/urls.txt", "/p/1\n"}}).rules->fingerprint);
  CHECK(read(warm, {{"conf/urls.txt", "/p/1\n"}}).rules->fingerprint ==
        read(warm, {{"conf/urls.txt", "/p/1\n"}}).rules->fingerprint);
}

TEST_CASE("warm: faults say where and what would be right") {
  const std::map<std::string, std::string> files{
      {"conf/none.txt", "# nothing\n\n"}, {"conf/bad.txt", "  A: b\n/p/1\n  no field\n  Range: bytes=0-1\n/x\n"}};
  const struct {
    const char* warm;
    const char* fault;
  } table[] = {
      {"warm: [a]", "conf/rules.yaml:9: warm is not a mapping"},
      {"warm: { intervall: 5m }", "there is no key \"intervall\" in warm, did you mean interval?"},
      {"warm: { interval: 0 }", "warm.interval: it would never end to run"},
      {"warm: { interval: soon }", "warm.interval: \"soon\" is not a duration"},
      {"warm: { concurrency: 0 }", "warm.concurrency: \"0\" cannot be, write a number from 1 to 256"},
      {"warm: { rate: 1000000 }", "write a number from 1 to 100000"},
      {"warm: { tasks: { url: /p/1 } }", "warm.tasks is not a list"},
      {"warm: { host: h, tasks: [ /p/1 ] }", "a task of warm is not a mapping"},
      {"warm: { host: h, tasks: [ { name: x } ] }", "this task of warm fetches nothing"},
      {"warm: { host: h, tasks: [ { url: /p/1, top: 3 } ] }", "this task of warm has two things to fetch"},
      {"warm: { host: h, tasks: [ { ulr: /p/1 } ] }", "there is no key \"ulr\" in a task of warm, did you mean url?"},
      {"warm: { tasks: [ { url: /p/1 } ] }", "\"/p/1\" has no host"},
      {"warm: { host: \"a b\", tasks: [ { url: /p/1 } ] }", "\"a b\" is not a host"},
      {"warm: { host: h, tasks: [ { url: p/1 } ] }", "\"p/1\" is not a request target"},
      {"warm: { host: h, tasks: [ { url: \"/p/%zz\" } ] }", "is not a request target"},
      {"warm: { host: h, tasks: [ { urls: [] } ] }", "warm.tasks.urls: the list is empty"},
      {"warm: { host: h, tasks: [ { url: /other } ] }", "\"/other\" can never be warm: no route of the rules caches"},
      {"warm: { host: h, tasks: [ { url: /off } ] }", "can never be warm: the route says cache: off"},
      {"warm: { host: h, tasks: [ { url: /p/1, headers: { range: bytes=0-1 } } ] }", "range has no place"},
      {"warm: { headers: { If-None-Match: x } }", "If-None-Match has no place"},
      {"warm: { host: h, tasks: [ { url: /p/1, headers: { \"a b\": x } } ] }", "\"a b\" is not the name of a field"},
      {"warm: { host: h, tasks: [ { top: 0 } ] }", "warm.tasks.top: \"0\" cannot be"},
      {"warm: { tasks: [ { top: 3, type: prodcut } ] }", "warm.tasks.type: there is no type \"prodcut\", did you mean"},
      {"warm: { tasks: [ { top: 3, host: h } ] }", "warm.tasks.host: the busiest keys have their own"},
      {"warm: { tasks: [ { top: 3, after_purge: true } ] }", "the busiest keys may be of any type"},
      {"warm: { host: h, tasks: [ { url: /p/1, type: search } ] }", "it says which of the busiest keys"},
      {"warm: { host: h, tasks: [ { url: /p/1, after_purge: [x] } ] }", "after_purge: there is no type \"x\""},
      {"warm: { host: h, tasks: [ { url: /p/1, critical: maybe } ] }", "\"maybe\" is not a yes or no"},
      {"warm: { host: h, tasks: [ { url: /p/1 }, { url: /p/1 } ] }",
       "the task in line 9 is called \"/p/1\" too, give each a name: of its own"},
      {"warm: { host: h, tasks: [ { url: /p/1, name: [] } ] }", "warm.tasks.name: a list cannot be a name"},
      {"warm: { host: h, tasks: [ { file: missing.txt } ] }",
       "warm.tasks.file: \"missing.txt\" cannot be read: No such file or directory"},
      {"warm: { host: h, tasks: [ { file: none.txt } ] }", "\"conf/none.txt\" has no URL"},
      {"warm: { host: h, tasks: [ { file: bad.txt } ] }", "conf/bad.txt:1: the header field A stands before the first"},
      {"warm: { host: h, tasks: [ { file: bad.txt } ] }", "conf/bad.txt:3: this line begins with a blank and is no"},
      {"warm: { host: h, tasks: [ { file: bad.txt } ] }", "conf/bad.txt:4: Range has no place"},
      {"warm: { host: h, tasks: [ { file: bad.txt } ] }", "conf/bad.txt:5: warm: \"/x\" can never be warm"}};
  for (const auto& row : table) {
    const auto got = read(row.warm, files);
    CAPTURE(row.warm);
    CAPTURE(got.faults);
    CHECK(got.faults.find(row.fault) != std::string::npos);
  }
  // Values may be secrets.
  const auto got = read("warm: { host: h, tasks: [ { url: /p/1, headers: { A: \"${TOKEN}\\n\" } } ] }");
  CHECK(got.faults.find("the value of A holds a control character") != std::string::npos);
  CHECK(got.faults.find("hidden") == std::string::npos);
}

TEST_CASE("warm: of broken rules no echoes are heard") {
  const auto got = read("  - match: GETT /x\nwarm: { host: h, tasks: [ { url: /other } ] }\n");
  CHECK(got.faults.find("/other") == std::string::npos);
}

TEST_CASE("warm: too many URLs") {
  std::string urls;
  for (int i = 0; i < 100001; ++i) urls += "/p/" + std::to_string(i) + "\n";
  const auto got = read("warm: { host: h, tasks: [ { file: many.txt } ] }", {{"conf/many.txt", urls}});
  CHECK(got.faults == "conf/many.txt:100001: warm has more than 100000 URLs, leave the rarest out\n");
}

}  // namespace
}  // namespace larder::config
