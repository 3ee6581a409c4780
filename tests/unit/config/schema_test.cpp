// conf/*.schema.json against what the loader accepts: the same keys, no more and no fewer.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "larder/config/loader.hpp"
#include "larder/config/rules_reader.hpp"
#include "larder/config/settings.hpp"

namespace larder::config {
namespace {

using nlohmann::json;
using Names = std::set<std::string>;

json schema(const std::string& name) {
  std::string error;
  const auto text = read_file(std::string(LARDER_SOURCE_DIR) + "/conf/" + name, error);
  REQUIRE_MESSAGE(text.has_value(), error);
  return json::parse(*text);
}

// The object that a schema describes, behind references and among alternatives.
const json* object_of(const json& root, const json& node) {
  if (node.contains("$ref")) {
    return object_of(root, root.at(json::json_pointer(node["$ref"].get<std::string>().substr(1))));
  }
  if (node.contains("properties") ||
      (node.contains("additionalProperties") && node["additionalProperties"].is_object())) {
    return &node;
  }
  for (const auto* const keyword : {"anyOf", "allOf"}) {
    if (!node.contains(keyword)) continue;
    for (const auto& one : node[keyword]) {
      if (const auto* const found = object_of(root, one)) return found;
    }
  }
  if (node.contains("items")) return object_of(root, node["items"]);
  return nullptr;
}

void collect(const json& root, const json& node, const std::string& prefix, Names& names) {
  for (const auto& [name, value] : node["properties"].items()) {
    const bool is_list = value.contains("items");
    const auto* const below = object_of(root, value);
    if (!is_list && below != nullptr && below->contains("properties")) {
      CHECK(below->at("additionalProperties") == false);
      collect(root, *below, prefix + name + ".", names);
    } else {
      names.insert(prefix + name);
    }
  }
}

TEST_CASE("conf/larder.schema.json has each key of the loader, and no other") {
  const auto root = schema("larder.schema.json");
  CHECK(root["additionalProperties"] == false);
  Names described;
  collect(root, root, "", described);
  Names known;
  const Settings standard;
  for (const auto& setting : show(standard)) known.insert(setting.path);
  CHECK(described == known);
}

TEST_CASE("conf/rules.schema.json has each key of the reader, and no other") {
  const auto root = schema("rules.schema.json");
  const auto sections = rules_keys();
  CHECK(sections.size() >= 11);
  Names seen;
  for (const auto& section : sections) {
    CAPTURE(section.section);
    const auto* at = &root;
    std::string_view rest = section.section;
    while (!rest.empty()) {
      const auto dot = std::min(rest.find('.'), rest.size());
      auto name = std::string(rest.substr(0, dot));
      rest.remove_prefix(std::min(dot + 1, rest.size()));
      if (name.ends_with("[]")) name.resize(name.size() - 2);
      at = object_of(root, name == "*" ? at->at("additionalProperties") : at->at("properties").at(name));
      REQUIRE(at != nullptr);
    }
    Names described;
    for (const auto& [name, value] : at->at("properties").items()) described.insert(name);
    CHECK(described == Names(section.names.begin(), section.names.end()));
    CHECK(at->at("additionalProperties") == false);
  }
}

}  // namespace
}  // namespace larder::config
