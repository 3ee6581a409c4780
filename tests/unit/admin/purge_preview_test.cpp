#include "larder/admin/purge_preview.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace larder::admin {
namespace {

using policy::Selector;
using policy::SelectorKind;

store::RecordSummary summary(const std::string& key, const std::string& target = "/a") {
  store::RecordSummary record;
  record.key = key;
  record.base_key_size = key.size();
  record.type = "product";
  record.target = target;
  record.tags = {"t"};
  return record;
}

store::MemoryEntry entry(const std::string& key) {
  store::StoredParts parts;
  parts.key = key;
  parts.base_key_size = key.size();
  parts.canonical = key;
  parts.type = "product";
  parts.target = "/a";
  parts.tags = {"t"};
  parts.body = std::make_shared<const std::string>("body");
  return {.stored = store::StoredResponse::make(std::move(parts)), .hits = 1};
}

TEST_CASE("a key in both tiers counts once") {
  PurgePreview preview({SelectorKind::tag, "t"});
  preview.look_at(entry("cache:product:1"));
  preview.look_at(entry("cache:product:1"));
  preview.look_at(summary("cache:product:1"));
  preview.look_at(summary("cache:product:2"));
  const auto json = preview.to_json(true, RemoteReach::read);
  CHECK(json["matches"] == 2);
  CHECK(json["in_memory"] == 1);
  CHECK(json["in_redis"] == 2);
  CHECK(json["complete"] == true);
  CHECK(json["redis"] == "read");
  CHECK(json["would_purge"] == Json::array({{{"kind", "tag"}, {"value", "t"}}}));
  REQUIRE(json["examples"].size() == 2);
  CHECK(json["examples"][0]["key"] == "cache:product:1");
  CHECK(json["examples"][0]["tier"] == Json{"memory", "redis"});
  CHECK(json["examples"][1]["tier"] == Json::array({"redis"}));
}

TEST_CASE("what the selector does not match is not counted") {
  PurgePreview preview({SelectorKind::path, "/b/*"});
  preview.look_at(entry("cache:product:1"));
  preview.look_at(summary("cache:product:2", "/b/1?q"));
  preview.look_at(summary("cache:product:3", "/b/1/2"));
  CHECK(preview.matches() == 1);
  CHECK(preview.to_json(false, RemoteReach::unreadable)["complete"] == false);
}

TEST_CASE("key_glob is met by every key that the selector matches") {
  struct Row {
    Selector selector;
    std::string_view glob;
  };
  for (const auto& row : std::vector<Row>{{{SelectorKind::key, "cache:a:[1]*"}, R"(cache:a:\[1]\**)"},
                                          {{SelectorKind::type, "a*"}, R"(cache:a\*:*)"},
                                          {{SelectorKind::glob, "cache:a:*"}, "cache:*"},
                                          {{SelectorKind::tag, "t"}, "cache:*"},
                                          {{SelectorKind::all, ""}, "cache:*"}}) {
    CAPTURE(row.glob);
    CHECK(PurgePreview(row.selector).key_glob() == row.glob);
  }
}

TEST_CASE("examples are few") {
  PurgePreview preview({SelectorKind::all, ""});
  for (int i = 0; i < 100; ++i) preview.look_at(summary("cache:product:" + std::to_string(i)));
  const auto json = preview.to_json(true, RemoteReach::read);
  CHECK(json["matches"] == 100);
  CHECK(json["examples"].size() == PurgePreview::most_examples);
}

}  // namespace
}  // namespace larder::admin
