#include "larder/admin/check_view.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace larder::admin {
namespace {

using policy::AnswerVerdict;
using proxy::CheckKind;
using proxy::ShadowOutcome;

policy::Route route_named(std::string match) {
  policy::Route route;
  route.match_text = std::move(match);
  return route;
}

TEST_CASE("figures of all routes and of each") {
  proxy::AnswerChecks checks;
  const auto a = route_named("GET /a");
  const auto b = route_named("GET /b");
  for (int i = 0; i < 3; ++i) checks.count(a, ShadowOutcome::hit);
  checks.count(a, ShadowOutcome::miss);
  checks.count(a, CheckKind::shadow, AnswerVerdict::same);
  checks.count(a, CheckKind::shadow, AnswerVerdict::stale);
  checks.count(a, CheckKind::shadow, AnswerVerdict::mixed);
  checks.count(b, CheckKind::verify, AnswerVerdict::same);
  checks.count(b, proxy::VerifySkip::credentials);
  Json stats;
  add_checks(stats, checks.totals());
  const auto& shadow = stats["shadow"];
  CHECK(shadow["requests"] == 4);
  CHECK(shadow["hit_rate"] == 75.0);
  CHECK(shadow["would_hit"] == 3);
  CHECK(shadow["would_miss"] == 1);
  CHECK(shadow["stale"] == 1);
  CHECK(shadow["mixed"] == 1);
  CHECK(shadow["wrong_rate"] == 66.67);
  CHECK(shadow["routes"].size() == 1);
  CHECK(shadow["routes"][0]["match"] == "GET /a");
  CHECK(shadow["routes"][0]["would_hit"] == 3);
  const auto& verify = stats["verify"];
  CHECK(verify["verified"] == 1);
  CHECK(verify["same"] == 1);
  CHECK(verify["skipped_credentials"] == 1);
  CHECK(verify["routes"].size() == 1);
  CHECK(verify["routes"][0]["match"] == "GET /b");
}

TEST_CASE("figures of nothing") {
  Json stats;
  add_checks(stats, {});
  CHECK(stats["shadow"]["hit_rate"] == 0.0);
  CHECK(stats["shadow"]["routes"].empty());
  CHECK(stats["verify"]["wrong_rate"] == 0.0);
}

TEST_CASE("examples") {
  proxy::CheckExample example{.when = std::chrono::sys_days(std::chrono::year(2026) / 11 / 26),
                              .kind = CheckKind::verify,
                              .verdict = AnswerVerdict::mixed,
                              .route = "GET /a",
                              .key = "cache:a",
                              .target = "/a?token=***",
                              .differs = {"body"},
                              .stored_status = 200,
                              .fresh_status = 404,
                              .stored_hash = "01",
                              .fresh_hash = {},
                              .age = std::chrono::seconds(7)};
  const auto json = examples_json({example});
  CHECK(json.dump() ==
        R"({"examples":[{"when":"2026-11-26T00:00:00Z","kind":"verify","verdict":"mixed","route":"GET /a",)"
        R"("key":"cache:a","target":"/a?token=***","age":7,"differs":["body"],)"
        R"("stored":{"status":200,"sha256":"01"},"origin":{"status":404,"sha256":null}}]})");
}

}  // namespace
}  // namespace larder::admin
