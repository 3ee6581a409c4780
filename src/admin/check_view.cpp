#include "larder/admin/check_view.hpp"

#include <nlohmann/json.hpp>

namespace larder::admin {
namespace {

using policy::AnswerVerdict;
using proxy::CheckKind;
using proxy::CheckTotals;
using proxy::ShadowOutcome;
using proxy::VerifySkip;

template <std::size_t size>
std::uint64_t sum(const std::array<std::uint64_t, size>& counts) noexcept {
  std::uint64_t total = 0;
  for (const auto count : counts) total += count;
  return total;
}

template <class Name, std::size_t size>
void add_counts(Json& json, const std::array<std::uint64_t, size>& counts, const std::string& prefix = {}) {
  for (std::size_t i = 0; i < size; ++i) json[prefix + std::string(to_string(static_cast<Name>(i)))] = counts[i];
}

void add_verdicts(Json& json, const CheckTotals::Verdicts& verdicts) {
  add_counts<AnswerVerdict>(json, verdicts);
  const auto of = [&verdicts](AnswerVerdict verdict) { return verdicts[static_cast<std::size_t>(verdict)]; };
  const auto wrong = of(AnswerVerdict::stale) + of(AnswerVerdict::mixed);
  json["wrong_rate"] = percent(wrong, wrong + of(AnswerVerdict::same) + of(AnswerVerdict::purged));
}

Json shadow_json(const CheckTotals& totals) {
  Json json;
  const auto of = [&totals](ShadowOutcome outcome) { return totals.would[static_cast<std::size_t>(outcome)]; };
  json["requests"] = sum(totals.would);
  json["hit_rate"] = percent(of(ShadowOutcome::hit) + of(ShadowOutcome::stale), sum(totals.would));
  add_counts<ShadowOutcome>(json, totals.would, "would_");
  add_verdicts(json, totals.verdicts[static_cast<std::size_t>(CheckKind::shadow)]);
  return json;
}

Json verify_json(const CheckTotals& totals) {
  Json json;
  const auto& verdicts = totals.verdicts[static_cast<std::size_t>(CheckKind::verify)];
  json["verified"] = sum(verdicts);
  add_verdicts(json, verdicts);
  add_counts<VerifySkip>(json, totals.skipped, "skipped_");
  return json;
}

bool has_any(const CheckTotals& totals, CheckKind kind) {
  if (sum(totals.verdicts[static_cast<std::size_t>(kind)]) > 0) return true;
  return kind == CheckKind::shadow ? sum(totals.would) > 0 : sum(totals.skipped) > 0;
}

template <std::size_t size>
void add_up(std::array<std::uint64_t, size>& all, const std::array<std::uint64_t, size>& more) noexcept {
  for (std::size_t i = 0; i < size; ++i) all[i] += more[i];
}

}  // namespace

void add_checks(Json& statistics, const std::map<std::string, proxy::CheckTotals>& totals) {
  CheckTotals all;
  auto shadow_routes = Json::array();
  auto verify_routes = Json::array();
  for (const auto& [match, of_route] : totals) {
    add_up(all.would, of_route.would);
    add_up(all.skipped, of_route.skipped);
    for (std::size_t kind = 0; kind < all.verdicts.size(); ++kind) {
      add_up(all.verdicts[kind], of_route.verdicts[kind]);
    }
    const auto row = [&match = match](const Json& figures) {
      Json json{{"match", match}};
      json.update(figures);
      return json;
    };
    if (has_any(of_route, CheckKind::shadow)) shadow_routes.push_back(row(shadow_json(of_route)));
    if (has_any(of_route, CheckKind::verify)) verify_routes.push_back(row(verify_json(of_route)));
  }
  statistics["shadow"] = shadow_json(all);
  statistics["shadow"]["routes"] = std::move(shadow_routes);
  statistics["verify"] = verify_json(all);
  statistics["verify"]["routes"] = std::move(verify_routes);
}

Json examples_json(const std::vector<proxy::CheckExample>& examples) {
  auto rows = Json::array();
  for (const auto& example : examples) {
    rows.push_back({{"when", iso_time(example.when)},
                    {"kind", to_string(example.kind)},
                    {"verdict", to_string(example.verdict)},
                    {"route", example.route},
                    {"key", example.key},
                    {"target", example.target},
                    {"age", example.age.count()},
                    {"differs", example.differs},
                    {"stored", {{"status", example.stored_status}, {"sha256", example.stored_hash}}},
                    {"origin", {{"status", example.fresh_status}, {"sha256", nullptr}}}});
    if (!example.fresh_hash.empty()) rows.back()["origin"]["sha256"] = example.fresh_hash;
  }
  return {{"examples", std::move(rows)}};
}

}  // namespace larder::admin
