#include "larder/config/alerts_reader.hpp"

#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <vector>

namespace larder::config {
namespace {

using admin::AlertRule;
using admin::Measure;

TEST_CASE("conditions") {
  struct Case {
    std::string text;
    Measure measure;
    bool above;
    double threshold;
  };
  const std::vector<Case> cases{{"hit_rate < 80", Measure::hit_rate, false, 80},
                                {"hit_rate<80%", Measure::hit_rate, false, 80},
                                {" errors  >  10 ", Measure::errors, true, 10},
                                {"errors > 0", Measure::errors, true, 0},
                                {"hit_p99 > 0.5", Measure::hit_p99, true, 0.5},
                                {"hit_p99 > 20ms", Measure::hit_p99, true, 20},
                                {"origin_p99 > 1.5 s", Measure::origin_p99, true, 1500},
                                {"loop_delay > 100ms", Measure::loop_delay, true, 100},
                                {"requests < 1", Measure::requests, false, 1},
                                {"origin_error_rate > 99.9%", Measure::origin_error_rate, true, 99.9},
                                {"redis_down", Measure::redis_down, false, 0},
                                {"origin_down", Measure::origin_down, false, 0}};
  for (const auto& c : cases) {
    CAPTURE(c.text);
    AlertRule rule;
    std::string wrong;
    std::string right;
    CHECK(parse_condition(c.text, rule, wrong, right));
    CHECK(wrong.empty());
    CHECK(rule.measure == c.measure);
    CHECK(rule.above == c.above);
    CHECK(rule.threshold == c.threshold);
  }
}

TEST_CASE("conditions that are none") {
  struct Case {
    std::string text;
    std::string wrong;
  };
  const std::vector<Case> cases{{"", "nothing is measured"},
                                {"< 5", "nothing is measured"},
                                {"hits > 5", "there is no measure \"hits\""},
                                {"hit_rate", "hit_rate is compared with nothing"},
                                {"hit_rate <", "\"\" is not a number that hit_rate can have"},
                                {"hit_rate <= 5", "\"= 5\" is not a number"},
                                {"hit_rate < x", "\"x\" is not a number"},
                                {"hit_rate < -1", "\"-1\" is not a number"},
                                {"hit_rate < nan", "\"nan\" is not a number"},
                                {"hit_rate < 1e2", "is not a number"},
                                {"hit_rate < 5ms", "is not a number that hit_rate"},
                                {"errors > 5%", "is not a number that errors"},
                                {"hit_p99 > 5m", "is not a number that hit_p99"},
                                {"hit_rate > 100", "can never be"},
                                {"hit_rate < 101", "can never be"},
                                {"errors < 0", "can never be"},
                                {"redis_down > 0", "is true or not, and compared with nothing"}};
  for (const auto& c : cases) {
    CAPTURE(c.text);
    AlertRule rule;
    std::string wrong;
    std::string right;
    CHECK_FALSE(parse_condition(c.text, rule, wrong, right));
    CHECK_MESSAGE(wrong.find(c.wrong) != std::string::npos, wrong);
    CHECK_FALSE(right.empty());
  }
}

std::vector<AlertRule> read(const std::string& text, std::vector<Fault>& faults) {
  const auto root = read_document(
      text, "f", [](std::string_view) { return std::nullopt; }, faults);
  REQUIRE(root.has_value());
  return read_alert_rules(*root, "f", faults);
}

TEST_CASE("every fault of a rule stands at its line, and the others are read") {
  struct Case {
    std::string rule;
    std::string fault;  // "line: what is wrong"
  };
  const std::vector<Case> cases{
      {"- 7", "2: alerts.rules: this is not a rule"},
      {"- { when: redis_down }", "2: a rule of alerts has no name"},
      {"- name: x", "2: a rule of alerts has no condition"},
      {"- name: [x]\n  when: redis_down", "2: name: this is no name"},
      {"- name: \"\"\n  when: redis_down", "2: name: \"\" is no name"},
      {"- name: x\n  when: {}", "3: when: this is no condition"},
      {"- name: x\n  when: y > 1", "3: when: there is no measure \"y\""},
      {"- name: x\n  when: errors > 1\n  window: soon", "4: window: \"soon\" is not a right value"},
      {"- name: x\n  when: errors > 1\n  window: 0", "4: window: \"0\" is not a right value"},
      {"- name: x\n  when: redis_down\n  window: 5m", "4: window: redis_down is as it is now"},
      {"- name: x\n  when: redis_down\n  for: 2d", "4: for: \"2d\" is not a right value"},
      {"- name: x\n  when: hit_rate < 5\n  least: 0", "4: least: \"0\" is not a right value"},
      {"- name: x\n  when: errors > 5\n  least: 9", "4: least: errors means something however few"},
      {"- name: x\n  when: errors > 5\n  windows: 9", "4: there is no key \"windows\" in a rule of alerts"},
      {"- { name: first, when: redis_down }", "2: two rules of alerts are called \"first\""},
  };
  for (const auto& c : cases) {
    CAPTURE(c.rule);
    std::vector<Fault> faults;
    const auto rules = read("- { name: first, when: redis_down }\n" + c.rule + "\n", faults);
    REQUIRE(faults.size() == 1);
    CHECK_MESSAGE(format(faults[0]).starts_with("f:" + c.fault), format(faults[0]));
    REQUIRE(rules.size() == 1);
    CHECK(rules[0].name == "first");
  }
}

TEST_CASE("lists that are none") {
  std::vector<Fault> faults;
  CHECK(read("[]", faults).empty());
  CHECK(faults.empty());
  CHECK(read("{ name: x }", faults).empty());
  CHECK(faults.size() == 1);
  std::string many;
  for (int i = 0; i < 101; ++i) many += "- { name: n" + std::to_string(i) + ", when: redis_down }\n";
  faults.clear();
  CHECK(read(many, faults).empty());
  CHECK(faults.size() == 1);
}

TEST_CASE("addresses of webhooks") {
  struct Case {
    std::string text;
    std::string server;  // empty: it is wrong
    std::string target;  // or what is wrong with it
  };
  const std::vector<Case> cases{
      {"http://a", "http://a:80", "/"},
      {"http://A.example:9093/api/x?y=1", "http://a.example:9093", "/api/x?y=1"},
      {"http://[::1]:1/x", "http://[::1]:1", "/x"},
      {"http://a?x", "http://a:80", "/?x"},
      {"https://a/x", "", "TLS to webhooks is not supported"},
      {"ftp://a/x", "", "its scheme is not http"},
      {"a/x", "", "it has no scheme"},
      {"", "", "it has no scheme"},
      {"http://", "", "its host is not a host"},
      {"http:///x", "", "its host is not a host"},
      {"http://u:p@a/x", "", "it holds a user or password"},
      {"http://a:0/x", "", "its port is not"},
      {"http://a/x y", "", "its path is not a valid one"},
      {"http://a/\r\nX: y", "", "its path is not a valid one"},
      {"http://a/%zz", "", "its path is not a valid one"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    std::string wrong;
    const auto address = parse_webhook(c.text, wrong);
    CHECK(address.has_value() == !c.server.empty());
    if (address) {
      CHECK(address->server == c.server);
      CHECK(address->target == c.target);
    } else {
      CHECK_MESSAGE(wrong.find(c.target) != std::string::npos, wrong);
    }
  }
}

}  // namespace
}  // namespace larder::config
