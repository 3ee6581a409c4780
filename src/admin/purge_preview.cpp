#include "larder/admin/purge_preview.hpp"

#include <functional>
#include <nlohmann/json.hpp>
#include <ranges>
#include <string_view>

namespace larder::admin {

void PurgePreview::look_at(const store::MemoryEntry& entry) {
  if (!policy::matches(selector_, entry.stored->subject())) return;
  if (mark(entry.stored->key(), true)) examples_.add(row_of(entry));
}

void PurgePreview::look_at(const store::RecordSummary& summary) {
  if (!policy::matches(selector_, summary.subject())) return;
  if (mark(summary.key, false)) examples_.add(row_of(summary));
}

// True where it belongs to the examples: as one more, or as the other tier of one that is there.
bool PurgePreview::mark(std::string_view key, bool in_memory) {
  const auto hash = std::hash<std::string_view>{}(key);
  const auto known = seen_.find(hash);
  if (known == seen_.end() && is_full()) return false;
  auto& seen = known == seen_.end() ? seen_[hash] : known->second;
  (in_memory ? seen.in_memory : seen.in_redis) = true;
  return examples_.size() < most_examples || examples_.contains(std::string(key));
}

std::string PurgePreview::key_glob() const {
  switch (selector_.kind) {
    case policy::SelectorKind::key:
      return policy::glob_quoted(selector_.value) + '*';
    case policy::SelectorKind::type:
      return "cache:" + policy::glob_quoted(selector_.value) + ":*";
    case policy::SelectorKind::glob:
    case policy::SelectorKind::tag:
    case policy::SelectorKind::path:
    case policy::SelectorKind::target:
    case policy::SelectorKind::all:
      break;
  }
  return "cache:*";
}

Json PurgePreview::to_json(bool is_complete, RemoteReach reach) const {
  const auto in = [this](bool Seen::*tier) {
    return std::ranges::count_if(seen_ | std::views::values, [tier](const Seen& seen) { return seen.*tier; });
  };
  auto examples = Json::array();
  for (const auto& row : examples_.rows()) {
    Json json{{"key", row.key}, {"type", row.type}, {"target", row.target}, {"tier", Json::array()}};
    if (row.in_memory) json["tier"].push_back("memory");
    if (row.in_redis) json["tier"].push_back("redis");
    examples.push_back(std::move(json));
  }
  Json would_purge = Json::array();
  would_purge.push_back({{"kind", policy::to_string(selector_.kind)}, {"value", selector_.value}});
  return {{"dry_run", true},
          {"would_purge", std::move(would_purge)},
          {"matches", matches()},
          {"in_memory", in(&Seen::in_memory)},
          {"in_redis", in(&Seen::in_redis)},
          {"complete", is_complete && !is_full()},
          {"redis", to_string(reach)},
          {"examples", std::move(examples)}};
}

}  // namespace larder::admin
