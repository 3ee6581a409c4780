#include "larder/admin/replay.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

#include "larder/admin/replay_view.hpp"

namespace larder::admin {
namespace {

using std::chrono::seconds;

std::shared_ptr<policy::RuleSet> rules_of_the_test() {
  auto rules = std::make_shared<policy::RuleSet>();
  auto type = std::make_shared<policy::Type>();
  type->name = "t";
  rules->types.push_back(type);
  std::string error;
  const auto add = [&](std::vector<std::string> methods, std::string_view path) -> policy::Route& {
    policy::Route route;
    route.methods = std::move(methods);
    route.path = policy::PathPattern::parse(path, error).value();
    route.match_text = route.methods.front() + " " + std::string(path);
    route.file = "r.yaml";
    route.line = static_cast<int>(rules->routes.size()) + 1;
    rules->routes.push_back(std::move(route));
    return rules->routes.back();
  };
  auto& cached = add({"GET"}, "/a/{id}");
  cached.type = type;
  cached.store.ttl = seconds(100);
  cached.tags = {policy::Template::parse("a:{id}", {"id"}, error).value()};
  add({"PUT"}, "/a/{id}").purge = {{policy::SelectorKind::tag, cached.tags.front()}};
  add({"GET"}, "/rfc").type = type;
  auto& mine = add({"GET"}, "/me");
  mine.type = type;
  mine.store.ttl = seconds(100);
  mine.store.per_identity = true;
  mine.identity = policy::IdentityRule{policy::IdentityRule::Source::header, "Authorization"};
  add({"GET"}, "/off/**").cache_off = true;
  return rules;
}

class Log {
 public:
  explicit Log(ReplayParameters parameters = {})
      : replay_([&] {
          if (!parameters.rules) parameters.rules = rules_of_the_test();
          return std::move(parameters);
        }()) {}
  std::optional<LineFault> add(int time, std::string method, std::string target, int status = 200,
                               std::uint64_t bytes = 10, std::string client = "c", std::string cache = {}) {
    LoggedRequest request;
    request.time = std::chrono::system_clock::time_point(seconds(1000000 + time));
    request.method = std::move(method);
    request.target = std::move(target);
    request.status = status;
    request.bytes = bytes;
    request.client = std::move(client);
    request.cache = std::move(cache);
    return replay_.add(request);
  }
  [[nodiscard]] ReplayReport report() const { return replay_.report(); }

 private:
  Replay replay_;
};

TEST_CASE("a replay: the ttl of the rules, and purges by writes") {
  Log log;
  log.add(0, "GET", "/a/1");
  log.add(50, "GET", "/a/1");   // hit
  log.add(60, "HEAD", "/a/1");  // hit
  log.add(99, "GET", "/a/1");   // hit
  log.add(101, "GET", "/a/1");  // expired
  log.add(102, "GET", "/a/2");  // another
  log.add(110, "PUT", "/a/1", 409);
  log.add(111, "GET", "/a/1");  // hit: the write was refused
  log.add(112, "PUT", "/a/1", 204);
  log.add(113, "GET", "/a/1");  // purged
  log.add(113, "GET", "/a/2");  // hit
  log.add(112, "GET", "/a/2");  // hit, and out of order
  log.add(120, "GET", "/a/3", 500);
  log.add(121, "GET", "/a/3", 500);
  const auto report = log.report();
  CHECK(report.requests == 14);
  CHECK(report.look_ups == 12);
  CHECK(report.writes == 2);
  CHECK(report.hits == 6);
  REQUIRE(report.routes.size() == 1);
  const auto& route = report.routes[0];
  CHECK(route.requests == 12);
  CHECK(route.hits == 6);
  CHECK(route.after_purge == 1);
  CHECK(route.not_stored == 2);
  CHECK(route.keys == 3);
  CHECK(route.logged == 0);
}

TEST_CASE("a replay: lifetimes that only the origin says, callers, and what a cache did") {
  Log log;
  log.add(0, "GET", "/rfc", 200, 1, "c", "MISS");
  log.add(1, "GET", "/rfc", 200, 1, "c", "HIT");
  log.add(2, "GET", "/me", 200, 1, "ann");
  log.add(3, "GET", "/me", 200, 1, "ann");  // hit
  log.add(4, "GET", "/me", 200, 1, "bob");
  const auto report = log.report();
  REQUIRE(report.routes.size() == 2);
  CHECK(report.routes[0].route->line == 4);
  CHECK(report.routes[0].hits == 1);
  CHECK(report.routes[0].keys == 2);
  CHECK(report.routes[1].unknown_lifetime == 2);
  CHECK(report.routes[1].logged == 2);
  CHECK(report.routes[1].logged_hits == 1);
}

TEST_CASE("a replay: what is not cached, with a ttl that suits it") {
  Log log;
  for (int i = 0; i < 1000; ++i) log.add(i, "GET", "/items/" + std::to_string(i % 10), 200, 7);
  log.add(1000, "POST", "/items/3", 204);
  // Changes each time that it is asked for.
  for (int i = 0; i < 500; ++i) log.add(1000 + i, "GET", "/clock", 200, 100 + static_cast<std::uint64_t>(i));
  // Never repeats.
  for (int i = 0; i < 200; ++i) log.add(1500, "GET", "/once?n=" + std::to_string(i));
  log.add(1600, "GET", "/off/x");
  const auto report = log.report();
  REQUIRE(report.uncached.size() == 4);
  CHECK(report.uncached[0].pattern == "/items/{id}");
  CHECK(report.uncached[0].requests == 1000);
  // An estimate, under a hash that differs from run to run.
  CHECK(report.uncached[0].targets >= 9);
  CHECK(report.uncached[0].targets <= 11);
  CHECK(report.uncached[0].writes == 1);
  REQUIRE(report.uncached[0].ttl);
  // Each target is asked for every ten seconds.
  CHECK(*report.uncached[0].ttl == seconds(300));
  CHECK(report.uncached[0].hit_rate > 0.9);
  CHECK(report.uncached[1].pattern == "/clock");
  CHECK(report.uncached[1].changes == 499);
  CHECK_FALSE(report.uncached[1].ttl);
  CHECK(report.uncached[2].pattern == "/once");
  CHECK_FALSE(report.uncached[2].ttl);
  REQUIRE(report.uncached[3].off != nullptr);
  CHECK(report.uncached[3].off->line == 5);
}

TEST_CASE("a replay: parameters that split keys") {
  Log log;
  for (int i = 0; i < 300; ++i) {
    const auto id = std::to_string(i % 3);
    // The size is that of q; utm_source and v change nothing; page does.
    log.add(i, "GET",
            "/a/" + id + "?q=" + id + "&utm_source=" + std::to_string(i) + "&v=" + std::to_string(i % 50) +
                "&page=" + std::to_string(i % 7),
            200, 100 + static_cast<std::uint64_t>(i % 3) + static_cast<std::uint64_t>(i % 7) * 10);
  }
  const auto report = log.report();
  const auto find = [&report](std::string_view name) {
    const auto found = std::ranges::find(report.parameters, name, &ReplayReport::SplittingParameter::name);
    return found == report.parameters.end() ? nullptr : &*found;
  };
  const auto* const utm = find("utm_source");
  REQUIRE(utm != nullptr);
  CHECK(utm->is_for_tracking);
  CHECK(utm->is_to_be_ignored);
  CHECK(utm->requests == 300);
  CHECK(utm->values > 250);
  CHECK(find("q") == nullptr);
  if (const auto* const page = find("page")) CHECK_FALSE(page->is_to_be_ignored);

  Log plain;
  for (int i = 0; i < 300; ++i) {
    plain.add(i, "GET", "/a/1?v=" + std::to_string(i % 50) + "&page=" + std::to_string(i % 7), 200,
              100 + static_cast<std::uint64_t>(i % 7));
  }
  const auto second = plain.report();
  REQUIRE_FALSE(second.parameters.empty());
  CHECK(second.parameters[0].name == "v");
  CHECK(second.parameters[0].split > 20);
  CHECK(second.parameters[0].same_size == second.parameters[0].compared);
  CHECK(second.parameters[0].is_to_be_ignored);
  CHECK_FALSE(second.parameters[0].is_for_tracking);
}

TEST_CASE("a replay: where all answers have one size, sizes say nothing") {
  Log log;
  for (int i = 0; i < 300; ++i) log.add(i, "GET", "/a/1?v=" + std::to_string(i), 200, 100);
  const auto report = log.report();
  REQUIRE(report.parameters.size() == 1);
  CHECK(report.parameters[0].same_size == report.parameters[0].compared);
  CHECK_FALSE(report.parameters[0].is_to_be_ignored);
}

TEST_CASE("a replay is bounded, and says where it had to forget") {
  ReplayParameters parameters;
  parameters.most_entries = 100;
  parameters.most_targets = 50;
  parameters.most_groups = 3;
  Log log(std::move(parameters));
  for (int i = 0; i < 1000; ++i) {
    log.add(0, "GET", "/a/" + std::to_string(i));
    log.add(0, "GET", "/x/" + std::to_string(i));
    log.add(0, "GET", "/word" + std::string(static_cast<std::size_t>(i % 10), 'x'));
  }
  const auto report = log.report();
  CHECK(report.forgotten >= 800);
  CHECK(report.sample > 1);
  CHECK(report.uncached.size() == 3);
  CHECK(report.more_paths == 800);
}

TEST_CASE("a replay: requests that no server takes are refused by name") {
  Log log;
  CHECK(log.add(0, "GET", "nothing") == LineFault::bad_request);
  CHECK(log.add(0, "CONNECT", "a:1") == LineFault::bad_request);
  CHECK(log.add(0, "GET", "/%zz") == LineFault::bad_request);
  CHECK_FALSE(log.add(0, "GET", "/\xc3\xa4"));
  CHECK(log.report().requests == 1);
}

TEST_CASE("path_pattern") {
  CHECK(path_pattern("/") == "/");
  CHECK(path_pattern("/api/items") == "/api/items");
  CHECK(path_pattern("/api/items/42/parts/") == "/api/items/{id}/parts/");
  CHECK(path_pattern("/v1/x") == "/v1/x");
  CHECK(path_pattern("/o/123e4567-e89b-12d3-a456-426614174000") == "/o/{id}");
  CHECK(path_pattern("/o/deadbeef01") == "/o/{id}");
  CHECK(path_pattern("/o/decade") == "/o/decade");
}

TEST_CASE("the report as text") {
  Log log;
  log.add(0, "GET", "/a/1?utm_source=a", 200, 5, "c", "MISS");
  log.add(1, "GET", "/a/1?utm_source=b", 200, 5, "c", "HIT");
  log.add(2, "GET", "/a/1?utm_source=b", 200, 5, "c", "HIT");
  for (int i = 0; i < 20; ++i) log.add(i, "GET", "/items/%1B[31m");
  LogFigures figures;
  figures.lines = 30;
  figures.note(LineFault::bad_time);
  figures.lines = 31;
  figures.note(LineFault::bad_time);
  const auto text = to_text(log.report(), figures);
  CAPTURE(text);
  for (const std::string_view part :
       {"23 requests from 1970-01-12T13:46:40Z", "2 lines left out: bad_time (it has no time", "the first is line 30",
        "expected hit rate: 33.3 % of what the rules look up", "r.yaml:1  GET /a/{id}", "66.7 %", "GET /items/%1B[31m",
        "10s", "utm_source of r.yaml:1", "it is known for tracking; query: { ignore: [utm_source] }"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(to_text(Log().report(), figures).starts_with("no requests in 31 lines\n"));
}

}  // namespace
}  // namespace larder::admin
