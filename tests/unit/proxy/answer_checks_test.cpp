#include "larder/proxy/answer_checks.hpp"

#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <vector>

namespace larder::proxy {
namespace {

using policy::AnswerVerdict;

policy::Route route_named(std::string match) {
  policy::Route route;
  route.match_text = std::move(match);
  return route;
}

TEST_CASE("figures are kept by route, from all threads") {
  AnswerChecks checks;
  const auto a = route_named("GET /a");
  const auto b = route_named("GET /b");
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        checks.count(a, ShadowOutcome::hit);
        checks.count(a, CheckKind::verify, AnswerVerdict::stale);
        checks.count(b, VerifySkip::rate);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto totals = checks.totals();
  CHECK(totals.size() == 2);
  CHECK(totals.at("GET /a").would[static_cast<std::size_t>(ShadowOutcome::hit)] == 2000);
  const auto& verify = totals.at("GET /a").verdicts[static_cast<std::size_t>(CheckKind::verify)];
  CHECK(verify[static_cast<std::size_t>(AnswerVerdict::stale)] == 2000);
  CHECK(verify[static_cast<std::size_t>(AnswerVerdict::same)] == 0);
  CHECK(totals.at("GET /b").skipped[static_cast<std::size_t>(VerifySkip::rate)] == 2000);
}

TEST_CASE("the last examples are kept, the newest first") {
  AnswerChecks checks;
  for (std::size_t n = 0; n < AnswerChecks::most_examples + 10; ++n) {
    CheckExample example;
    example.key = std::to_string(n);
    checks.add(std::move(example));
  }
  const auto examples = checks.examples();
  CHECK(examples.size() == AnswerChecks::most_examples);
  CHECK(examples.front().key == std::to_string(AnswerChecks::most_examples + 9));
  CHECK(examples.back().key == "10");
}

TEST_CASE("credentials are known for a while, and what is forgotten accuses nobody") {
  AnswerChecks checks;
  CHECK_FALSE(checks.had_other_credentials("cache:a", 1));
  checks.remember_credentials("cache:a", 1);
  CHECK_FALSE(checks.had_other_credentials("cache:a", 1));
  CHECK(checks.had_other_credentials("cache:a", 2));
  CHECK(checks.had_other_credentials("cache:a", 0));
  CHECK_FALSE(checks.had_other_credentials("cache:b", 2));
  for (int n = 0; n < 1000000; ++n) checks.remember_credentials("cache:" + std::to_string(n), 7);
  CHECK_FALSE(checks.had_other_credentials("cache:a", 2));
}

}  // namespace
}  // namespace larder::proxy
