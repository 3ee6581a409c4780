#include "larder/admin/access_log_line.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;

system_clock::time_point at(std::int64_t since_1970) { return system_clock::time_point(seconds(since_1970)); }

TEST_CASE("parse_log_time: every form") {
  const auto expected = at(1764118923);
  for (const std::string_view text :
       {"2025-11-26T01:02:03Z", "2025-11-26T01:02:03.456Z", "2025-11-26 01:02:03", "2025-11-26T02:02:03+01:00",
        "2025-11-25T20:32:03,1-0430", "26/Nov/2025:01:02:03 +0000", "26/Nov/2025:02:02:03 +0100", "1764118923",
        "1764118923.9", "1764118923000"}) {
    CAPTURE(text);
    CHECK(parse_log_time(text) == expected);
  }
  for (const std::string_view text :
       {"", "-", "now", "2025-11-26", "2025-13-26T01:02:03Z", "2025-02-30T01:02:03Z", "2025-11-26T24:02:03Z",
        "2025-11-26T01:02:03X", "2025-11-26T01:02:03+1", "26/Nov/2025", "26/Foo/2025:01:02:03 +0000", "-5", "1e300",
        "12345678901234567890", "nan", "0x5"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_log_time(text));
  }
}

TEST_CASE("parse_access_line: Common and Combined Log Format") {
  const auto parsed = parse_access_line(
      R"(192.0.2.1 - ann [26/Nov/2025:01:02:03 +0000] "GET /a?q=\"x\" HTTP/1.1" 200 2326 "http://r/" "agent \" x")"
      "\r");
  REQUIRE(std::holds_alternative<LoggedRequest>(parsed));
  const auto& request = std::get<LoggedRequest>(parsed);
  CHECK(request.time == at(1764118923));
  CHECK(request.method == "GET");
  CHECK(request.target == R"(/a?q=\"x\")");
  CHECK(request.client == "ann");
  CHECK(request.status == 200);
  CHECK(request.bytes == 2326);
  CHECK(request.host.empty());
  const auto common = parse_access_line(R"(::1 - - [26/Nov/2025:01:02:03 +0000] "DELETE /a" 204 -)");
  REQUIRE(std::holds_alternative<LoggedRequest>(common));
  CHECK(std::get<LoggedRequest>(common).client == "::1");
  CHECK(std::get<LoggedRequest>(common).target == "/a");
  CHECK_FALSE(std::get<LoggedRequest>(common).bytes);
}

TEST_CASE("parse_access_line: JSON, under the names that are usual") {
  struct Row {
    std::string line;
    std::string method;
    std::string target;
    int status;
    std::string cache{};
    std::string client{};
  };
  for (
      const auto& row : std::vector<Row>{
          {R"({"time":"2025-11-26T01:02:03.5Z","event":"request","client":"c","method":"GET","host":"h","target":"/a?b",)"
           R"("status":200,"bytes":5,"cache":"HIT","key":"cache:t:1"})",
           "GET", "/a?b", 200, "HIT", "c"},
          {R"({"time_iso8601":"2025-11-26T02:02:03+01:00","request":"PUT /a HTTP/2.0","status":"201","remote_user":"u",)"
           R"("remote_addr":"1.2.3.4","body_bytes_sent":"5","http_host":"h","upstream_cache_status":"miss"})",
           "PUT", "/a", 201, "MISS", "u"},
          {R"(  {"ts":1764118923.25,"request_method":"GET","request_uri":"/","status_code":304,"size":5,"host":"h"})",
           "GET", "/", 304},
      }) {
    CAPTURE(row.line);
    const auto parsed = parse_access_line(row.line);
    REQUIRE(std::holds_alternative<LoggedRequest>(parsed));
    const auto& request = std::get<LoggedRequest>(parsed);
    CHECK(std::chrono::floor<seconds>(request.time) == at(1764118923));
    CHECK(request.method == row.method);
    CHECK(request.target == row.target);
    CHECK(request.status == row.status);
    CHECK(request.bytes == 5);
    CHECK(request.host == "h");
    CHECK(request.cache == row.cache);
    CHECK(request.client == row.client);
  }
}

TEST_CASE("parse_access_line: each fault by its name") {
  struct Row {
    std::string line;
    LineFault fault;
  };
  const std::string begin = "1.2.3.4 - - [26/Nov/2025:01:02:03 +0000] ";
  std::string deep = R"({"a":)" + std::string(60000, '[');
  for (const auto& row : std::vector<Row>{
           {"", LineFault::empty},
           {" \t\r", LineFault::empty},
           {"hello", LineFault::unknown_form},
           {"a b c d", LineFault::unknown_form},
           {std::string("\0\xff\x01", 3), LineFault::unknown_form},
           {begin + "GET / 200", LineFault::unknown_form},
           {begin + "\"GET / HTTP/1.1 200", LineFault::unknown_form},
           {"a - - [yesterday] \"GET / HTTP/1.1\" 200 5", LineFault::bad_time},
           {begin + "\"\" 400 0", LineFault::bad_method},
           {begin + R"("\x16\x03\x01" 400 0)", LineFault::bad_method},
           {begin + "\"GET\" 400 0", LineFault::no_target},
           {begin + "\"GET  HTTP/1.1\" 400 0", LineFault::no_target},
           {begin + "\"GET / HTTP/1.1\" - 0", LineFault::bad_status},
           {begin + "\"GET / HTTP/1.1\" 99", LineFault::bad_status},
           {begin + "\"GET / HTTP/1.1\"", LineFault::bad_status},
           {"{", LineFault::bad_json},
           {"{\"a\":\xff}", LineFault::bad_json},
           {deep, LineFault::bad_json},
           {R"({"event":"dropped","count":5})", LineFault::other_event},
           {R"({"method":"GET"})", LineFault::no_target},
           {R"({"target":"/"})", LineFault::bad_method},
           {R"({"method":"GET","target":"/"})", LineFault::bad_time},
           {R"({"method":"GET","target":"/","time":[]})", LineFault::bad_time},
           {R"({"method":"GET","target":"/","time":1})", LineFault::bad_status},
           {R"({"method":"GET","target":"/","time":1,"status":"ok"})", LineFault::bad_status},
           {std::string(most_line + 1, 'a'), LineFault::too_long},
       }) {
    CAPTURE(row.line.substr(0, 100));
    const auto parsed = parse_access_line(row.line);
    REQUIRE(std::holds_alternative<LineFault>(parsed));
    CHECK(to_string(std::get<LineFault>(parsed)) == to_string(row.fault));
  }
  for (unsigned i = 0; i < static_cast<unsigned>(LineFault::count_); ++i) {
    CHECK_FALSE(to_string(static_cast<LineFault>(i)).empty());
    CHECK_FALSE(meaning(static_cast<LineFault>(i)).empty());
  }
}

}  // namespace
}  // namespace larder::admin
