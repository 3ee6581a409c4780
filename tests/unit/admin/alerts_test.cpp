#include "larder/admin/alerts.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace larder::admin {
namespace {

using policy::CacheOutcome;
using std::chrono::seconds;

// Samples one second apart, and the book that is shown each.
struct Story {
  explicit Story(AlertRule rule) : book({std::move(rule)}) {}

  std::vector<AlertChange> go_on(std::uint64_t hits, std::uint64_t misses, std::uint64_t errors = 0,
                                 bool redis_is_down = false) {
    sample.at += seconds(1);
    sample.told_at += seconds(1);
    sample.outcomes[static_cast<std::size_t>(CacheOutcome::hit)] += hits;
    sample.outcomes[static_cast<std::size_t>(CacheOutcome::miss)] += misses;
    sample.errors += errors;
    sample.redis_is_down = redis_is_down;
    series.add(sample);
    return book.judge(series);
  }

  AlertBook book;
  Series series;
  Sample sample;
};

AlertRule rule(Measure measure, bool above, double threshold, int window = 3, int lasting = 0,
               std::uint64_t least = 1) {
  return {.name = "it",
          .measure = measure,
          .above = above,
          .threshold = threshold,
          .window = seconds(window),
          .lasting = seconds(lasting),
          .least = least};
}

TEST_CASE("under N in a window: begins once the window is whole, ends when it is over N again") {
  Story story(rule(Measure::hit_rate, false, 80));
  // An empty cache after the start is no alert.
  CHECK(story.go_on(0, 0).empty());
  CHECK(story.go_on(0, 10).empty());
  CHECK(story.go_on(0, 10).empty());
  CHECK_FALSE(story.book.states()[0].value.has_value());
  auto changes = story.go_on(10, 0);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].begins);
  CHECK(changes[0].name == "it");
  CHECK(*changes[0].value == doctest::Approx(33.33));
  CHECK(story.book.states()[0].active);
  CHECK(story.book.states()[0].begun == 1);
  CHECK(story.go_on(10, 0).empty());
  changes = story.go_on(100, 0);
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].begins);
  CHECK(changes[0].lasted == seconds(2));
  CHECK_FALSE(story.book.states()[0].active);
  CHECK(story.book.states()[0].begun == 1);
}

TEST_CASE("over N in a window is known as soon as it is exceeded") {
  Story story(rule(Measure::errors, true, 5));
  CHECK(story.go_on(0, 0, 100).empty());  // before the first sample nothing is known to be new
  CHECK(story.go_on(0, 0, 5).empty());
  const auto changes = story.go_on(0, 0, 1);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].begins);
  CHECK(*changes[0].value == 6);
  CHECK(story.go_on(0, 0).empty());
  CHECK_FALSE(story.go_on(0, 0).empty());  // the five are out of the window
}

TEST_CASE("it must last, where it is said so") {
  Story story(rule(Measure::redis_down, true, 0, 3, 2));
  CHECK(story.go_on(0, 0, 0, true).empty());
  CHECK(story.go_on(0, 0, 0, true).empty());
  CHECK(story.go_on(0, 0, 0, false).empty());
  CHECK(story.go_on(0, 0, 0, true).empty());
  CHECK(story.go_on(0, 0, 0, true).empty());
  CHECK(story.go_on(0, 0, 0, true).size() == 1);
  CHECK(story.book.states()[0].active);
  CHECK(story.go_on(0, 0, 0, false).size() == 1);
  CHECK(story.go_on(0, 0, 0, true).empty());
}

TEST_CASE("where too little comes to tell, nothing begins, and what is active ends") {
  Story story(rule(Measure::hit_rate, false, 80, 2, 0, 10));
  for (int i = 0; i < 5; ++i) CHECK(story.go_on(0, 4).empty());
  CHECK(story.go_on(0, 6).size() == 1);
  CHECK(story.go_on(0, 6).empty());
  const auto changes = story.go_on(0, 0);
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].begins);
  CHECK_FALSE(changes[0].value.has_value());
}

TEST_CASE("every rule is judged by itself") {
  AlertBook book(
      {rule(Measure::errors, true, 0), rule(Measure::connections, false, 1), rule(Measure::misses, true, 9)});
  Series series;
  Sample sample;
  series.add(sample);
  const auto changes = book.judge(series);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].when == "connections < 1");
  CHECK(book.states().size() == 3);
  CHECK(book.states()[2].when == "misses > 9 over 3s");
}

TEST_CASE("how it is told") {
  AlertChange change{.name = "low-hit-rate",
                     .when = "hit_rate < 80 over 5m",
                     .begins = true,
                     .value = 12.5,
                     .at = std::chrono::system_clock::time_point(seconds(60)),
                     .lasted = {}};
  CHECK(describe(change) == "low-hit-rate begins: hit_rate < 80 over 5m, and it is 12.5");
  auto json = Json::parse(to_webhook_body(change));
  CHECK(json == Json{{"alert", "low-hit-rate"},
                     {"state", "begins"},
                     {"when", "hit_rate < 80 over 5m"},
                     {"value", 12.5},
                     {"time", "1970-01-01T00:01:00Z"},
                     {"text", describe(change)}});
  change.begins = false;
  change.value.reset();
  change.lasted = std::chrono::milliseconds(61500);
  CHECK(describe(change) ==
        "low-hit-rate ends after 61 s: not hit_rate < 80 over 5m any more, as too little comes to tell");
  json = Json::parse(to_webhook_body(change));
  CHECK(json["state"] == "ends");
  CHECK(json["value"].is_null());
  CHECK(json["lasted_seconds"] == 61.5);
  CHECK(describe(rule(Measure::hit_p99, true, 2.5, 90)) == "hit_p99 > 2.5 over 90s");
  CHECK(describe(rule(Measure::requests, true, 1e9, 300)) == "requests > 1000000000 over 5m");
  CHECK(describe(rule(Measure::redis_down, true, 0)) == "redis_down");
}

TEST_CASE("other rules: what is the same goes on, what is gone ends, what is new begins anew") {
  auto down = rule(Measure::redis_down, true, 0);
  auto misses = rule(Measure::misses, true, 5);
  misses.name = "misses";
  Story story(down);
  CHECK(story.book.replace({down, misses}, story.sample.at, story.sample.told_at).empty());
  CHECK(story.go_on(0, 0).empty());
  CHECK(story.go_on(0, 10, 0, true).size() == 2);
  // The same rule goes on without a word, in another place too.
  CHECK(story.book.replace({misses, down}, story.sample.at, story.sample.told_at).empty());
  CHECK(story.book.states()[1].active);
  CHECK(story.book.states()[1].begun == 1);
  CHECK(story.go_on(0, 10, 0, true).empty());
  // With another condition it is another alert.
  auto stricter = misses;
  stricter.threshold = 1;
  const auto ended = story.book.replace({stricter}, story.sample.at + seconds(3), story.sample.told_at + seconds(3));
  REQUIRE(ended.size() == 2);
  for (const auto& change : ended) {
    CHECK_FALSE(change.begins);
    CHECK(change.lasted == seconds(4));
    CHECK(describe(change) == change.name + " ends after 4 s: the configuration has no such alert any more");
    CHECK(Json::parse(to_webhook_body(change))["state"] == "ends");
  }
  REQUIRE(story.book.states().size() == 1);
  CHECK_FALSE(story.book.states()[0].active);
  const auto begun = story.go_on(0, 10);
  REQUIRE(begun.size() == 1);
  CHECK(story.book.states()[0].begun == 2);
}

}  // namespace
}  // namespace larder::admin
