#include "larder/config/values.hpp"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace larder::config {
namespace {

using std::chrono::milliseconds;

TEST_CASE("parse_share") {
  struct Row {
    std::string_view text;
    std::optional<std::uint32_t> expected;
  };
  for (const auto& row : std::vector<Row>{{"0%", 0},
                                          {"1%", 10000},
                                          {"100%", 1000000},
                                          {"0.01%", 100},
                                          {"0.0001%", 1},
                                          {"12.5%", 125000},
                                          {"0.00001%", std::nullopt},
                                          {"100.1%", std::nullopt},
                                          {"101%", std::nullopt},
                                          {"-1%", std::nullopt},
                                          {"1", std::nullopt},
                                          {"%", std::nullopt},
                                          {".5%", std::nullopt},
                                          {"1.%", std::nullopt},
                                          {"1 %", std::nullopt},
                                          {"", std::nullopt}}) {
    CAPTURE(row.text);
    CHECK(parse_share(row.text) == row.expected);
    if (row.expected) CHECK(show_share(*row.expected) == row.text);
  }
}

TEST_CASE("parse_duration") {
  struct Row {
    std::string_view text;
    std::optional<milliseconds> expected;
  };
  for (const auto& row : std::vector<Row>{{"300", milliseconds(300000)},
                                          {"0", milliseconds(0)},
                                          {"500ms", milliseconds(500)},
                                          {"30s", milliseconds(30000)},
                                          {"5m", milliseconds(300000)},
                                          {"1h", milliseconds(3600000)},
                                          {"1d", milliseconds(86400000)},
                                          {"36500d", milliseconds(3153600000000)},
                                          {"36501d", std::nullopt},
                                          {"99999999999999999999", std::nullopt},
                                          {"9223372036854775807", std::nullopt},
                                          {"9223372036854775807d", std::nullopt},
                                          {"", std::nullopt},
                                          {"m", std::nullopt},
                                          {"-1", std::nullopt},
                                          {"+1", std::nullopt},
                                          {"1.5h", std::nullopt},
                                          {"1 h", std::nullopt},
                                          {"1H", std::nullopt},
                                          {"1w", std::nullopt},
                                          {"1h30m", std::nullopt},
                                          {"0x10", std::nullopt}}) {
    CAPTURE(row.text);
    CHECK(parse_duration(row.text) == row.expected);
  }
}

TEST_CASE("parse_size") {
  struct Row {
    std::string_view text;
    std::optional<std::uint64_t> expected;
  };
  for (const auto& row : std::vector<Row>{{"0", 0},
                                          {"4096", 4096},
                                          {"10B", 10},
                                          {"64KiB", 65536},
                                          {"64kib", 65536},
                                          {"1GiB", 1073741824},
                                          {"1TiB", 1099511627776},
                                          {"10MB", 10000000},
                                          {"3kB", 3000},
                                          {"8388607TiB", 9223370937343148032},
                                          {"8388608TiB", std::nullopt},
                                          {"99999999999999999999", std::nullopt},
                                          {"", std::nullopt},
                                          {"KiB", std::nullopt},
                                          {"1K", std::nullopt},
                                          {"1m", std::nullopt},
                                          {"-1", std::nullopt},
                                          {"1.5GiB", std::nullopt},
                                          {"1 GiB", std::nullopt}}) {
    CAPTURE(row.text);
    CHECK(parse_size(row.text) == row.expected);
  }
}

TEST_CASE("what is shown is read back") {
  for (const std::int64_t ms : {0, 1, 500, 1000, 1500, 60000, 75000, 3600000, 86400000, 90000000}) {
    CHECK(parse_duration(show_duration(milliseconds(ms))) == milliseconds(ms));
  }
  for (const std::uint64_t size : {0ULL, 1ULL, 1000ULL, 1024ULL, 1536ULL, 1ULL << 20U, 1ULL << 40U}) {
    CHECK(parse_size(show_size(size)) == size);
  }
  CHECK(show_duration(milliseconds(75000)) == "75s");
  CHECK(show_size(65536) == "64KiB");
}

TEST_CASE("parse_flag and parse_count") {
  CHECK(parse_flag("true") == true);
  CHECK(parse_flag("off") == false);
  CHECK_FALSE(parse_flag("").has_value());
  CHECK_FALSE(parse_flag("1").has_value());
  CHECK_FALSE(parse_flag("TRUE").has_value());
  CHECK(parse_count("0007") == 7);
  for (const std::string_view bad : {"", "-1", "+1", " 1", "1 ", "0x1", "1e3", "9223372036854775808"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_count(bad).has_value());
  }
}

TEST_CASE("parse_endpoint") {
  struct Row {
    std::string_view text;
    std::string expected;  // as shown, or empty
  };
  for (const auto& row : std::vector<Row>{{"127.0.0.1:8080", "127.0.0.1:8080"},
                                          {"localhost:0", "localhost:0"},
                                          {"[::1]:80", "[::1]:80"},
                                          {"[::]:65535", "[::]:65535"},
                                          {"api_1.internal:1", "api_1.internal:1"},
                                          {"", ""},
                                          {":80", ""},
                                          {"80", ""},
                                          {"host", ""},
                                          {"host:", ""},
                                          {"host:65536", ""},
                                          {"host:-1", ""},
                                          {"host:00000080", ""},
                                          {"::1:80", ""},
                                          {"[::1]", ""},
                                          {"[::1", ""},
                                          {"[]:80", ""},
                                          {"[x]:80", ""},
                                          {"a b:80", ""},
                                          {"a/b:80", ""},
                                          {"a:80:80", ""}}) {
    CAPTURE(row.text);
    const auto endpoint = parse_endpoint(row.text);
    CHECK((endpoint ? show_endpoint(*endpoint) : std::string()) == row.expected);
  }
  CHECK(parse_endpoint("[::1]:80")->host == "::1");
}

TEST_CASE("parse_origin") {
  struct Row {
    std::string_view text;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{{"http://localhost:3000", "http://localhost:3000"},
                                          {"HTTP://API.Internal", "http://api.internal:80"},
                                          {"http://a:1/", "http://a:1"},
                                          {"http://[::1]:80", "http://[::1]:80"},
                                          {"https://a", ""},
                                          {"localhost:3000", ""},
                                          {"ftp://a", ""},
                                          {"http://", ""},
                                          {"http://:80", ""},
                                          {"http://a:0", ""},
                                          {"http://a:x", ""},
                                          {"http://a:", ""},
                                          {"http://a/b", ""},
                                          {"http://a/?x", ""},
                                          {"http://a?x", ""},
                                          {"http://a#x", ""},
                                          {"http://user:secret@a", ""},
                                          {"http://a b", ""}}) {
    CAPTURE(row.text);
    std::string wrong;
    const auto origin = parse_origin(row.text, wrong);
    CHECK(origin.value_or("") == row.expected);
    CHECK(wrong.empty() == origin.has_value());
    CHECK(wrong.find("secret") == std::string::npos);
  }
}

TEST_CASE("parse_redis_url") {
  using T = redis::ConnectionParameters::Transport;
  struct Row {
    std::string_view text;
    T transport;
    std::string host;
    std::uint16_t port;
    std::optional<std::string> user;
    std::optional<std::string> password;
    std::optional<int> database;
  };
  const auto null = std::nullopt;
  for (const auto& row :
       std::vector<Row>{{"redis://localhost", T::tcp, "localhost", 6379, null, null, null},
                        {"redis://localhost/", T::tcp, "localhost", 6379, null, null, null},
                        {"redis://localhost:7000/3", T::tcp, "localhost", 7000, null, null, 3},
                        {"rediss://u:p@h:1/0", T::tls, "h", 1, "u", "p", 0},
                        {"redis://:p%40s%3As@h", T::tcp, "h", 6379, null, "p@s:s", null},
                        {"redis://u:a@b@h", T::tcp, "h", 6379, "u", "a@b", null},
                        {"redis://u@h", T::tcp, "h", 6379, "u", null, null},
                        {"redis://[::1]:1?db=2", T::tcp, "::1", 1, null, null, 2},
                        {"unix:///run/redis.sock", T::unix_socket, "/run/redis.sock", 6379, null, null, null},
                        {"unix:///run/redis.sock?db=5", T::unix_socket, "/run/redis.sock", 6379, null, null, 5},
                        {"unix://u:p@/run/redis.sock", T::unix_socket, "/run/redis.sock", 6379, "u", "p", null}}) {
    CAPTURE(row.text);
    std::string wrong;
    const auto address = parse_redis_url(row.text, wrong);
    REQUIRE_MESSAGE(address.has_value(), wrong);
    CHECK(address->transport == row.transport);
    CHECK(address->host == row.host);
    CHECK(address->port == row.port);
    CHECK(address->user == row.user);
    CHECK(address->password == row.password);
    CHECK(address->database == row.database);
  }
  for (const std::string& bad :
       {std::string(), std::string("redis"), std::string("redis://"), std::string("http://secret@h"),
        std::string("redis://u:secret@"), std::string("redis://u:secret@h:0"), std::string("redis://u:secret@h:99999"),
        std::string("redis://u:secret@h:x"), std::string("redis://u:secret@h/x"), std::string("redis://u:secret@h/-1"),
        std::string("redis://u:secret@h?x=1"), std::string("redis://u:secret%@h"), std::string("redis://u:secret%zz@h"),
        std::string("unix://run/redis.sock"), std::string("unix:///"), "unix:///" + std::string(200, 'a')}) {
    CAPTURE(bad);
    std::string wrong;
    CHECK_FALSE(parse_redis_url(bad, wrong).has_value());
    CHECK_FALSE(wrong.empty());
    CHECK(wrong.find("secret") == std::string::npos);
  }
}

}  // namespace
}  // namespace larder::config
