#include "larder/config/document.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

namespace larder::config {
namespace {

const std::map<std::string, std::string, std::less<>> variables{
    {"NAME", "value"}, {"EMPTY", ""}, {"BRACES", "${NAME}"}};

std::optional<std::string> lookup(std::string_view name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::nullopt : std::optional(found->second);
}

TEST_CASE("read_document: a tree with lines") {
  std::vector<Fault> faults;
  const auto root = read_document("a: 1\nb:\n  - x\n  - {c: y, d: }\n'e': \"2\"\n", "f", lookup, faults);
  REQUIRE(root.has_value());
  CHECK(faults.empty());
  REQUIRE(root->kind == TreeNode::Kind::mapping);
  CHECK(root->find("a")->text == "1");
  CHECK(root->find("a")->line == 1);
  const auto& b = *root->find("b");
  REQUIRE(b.items.size() == 2);
  CHECK(b.items[0].line == 3);
  CHECK(b.items[1].find("c")->text == "y");
  CHECK(b.items[1].find("c")->line == 4);
  CHECK(b.items[1].find("d")->kind == TreeNode::Kind::null);
  CHECK(root->find("e")->text == "2");
  CHECK(root->keys[2].line == 5);
  CHECK(root->find("none") == nullptr);
}

TEST_CASE("read_document: nothing is null") {
  for (const std::string_view text : {"", "\n\n", "# only a comment\n", "~"}) {
    CAPTURE(text);
    std::vector<Fault> faults;
    const auto root = read_document(text, "f", lookup, faults);
    REQUIRE(root.has_value());
    CHECK(root->kind == TreeNode::Kind::null);
    CHECK(faults.empty());
  }
}

TEST_CASE("read_document: variables") {
  struct Row {
    std::string_view value;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{{"${NAME}", "value"},
                                          {"a${NAME}b${NAME}", "avaluebvalue"},
                                          {"${NONE:-other}", "other"},
                                          {"${EMPTY:-other}", "other"},
                                          {"${EMPTY}", ""},
                                          {"${NAME:-other}", "value"},
                                          {"${NONE:-}", ""},
                                          {"'${NONE:-a:-b}'", "a:-b"},
                                          {"$${NAME}", "${NAME}"},
                                          {"$NAME", "$NAME"},
                                          {"$$", "$$"},
                                          {"'{id}'", "{id}"},
                                          {"${BRACES}", "${NAME}"}}) {
    CAPTURE(row.value);
    std::vector<Fault> faults;
    const auto root = read_document("k: " + std::string(row.value), "f", lookup, faults);
    REQUIRE(root.has_value());
    CHECK(faults.empty());
    CHECK(root->find("k")->text == row.expected);
  }
  for (const std::string_view bad : {"${NONE}", "${", "${NAME", "${}", "${1A}", "${a b}", "${:-x}"}) {
    CAPTURE(bad);
    std::vector<Fault> faults;
    const auto root = read_document("x: 1\nk: '" + std::string(bad) + "'", "f", lookup, faults);
    REQUIRE(root.has_value());
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].line == 2);
    CHECK(root->find("k")->broken);
  }
  std::vector<Fault> faults;
  const auto root = read_document("${NAME}: '${NAME}'", "f", lookup, faults);
  CHECK(root->find("${NAME}") != nullptr);
  CHECK(root->find("${NAME}")->written == "${NAME}");
}

TEST_CASE("read_document: match lines need no quotes, and lines stay") {
  struct Row {
    std::string_view line;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{{"match: GET /docs/**", "GET /docs/**"},
                                          {"match: [POST, PUT] /a/{id}", "[POST, PUT] /a/{id}"},
                                          {"match:   [POST, PUT] /a/{id}   # why", "[POST, PUT] /a/{id}"},
                                          {"match: * /x", "* /x"},
                                          {"match: \"* /x\"", "* /x"},
                                          {"match: '* /x' # why", "* /x"},
                                          {"match: GET|HEAD /x", "GET|HEAD /x"},
                                          {"match: GET /it's", "GET /it's"},
                                          {"match: GET /x: y", "GET /x: y"},
                                          {"match: GET /x\r", "GET /x"},
                                          {"match: %41", "%41"}}) {
    CAPTURE(row.line);
    std::vector<Fault> faults;
    const auto root =
        read_document("routes:\n  - " + std::string(row.line) + "\n    cache: off\n", "f", lookup, faults);
    REQUIRE(root.has_value());
    CHECK(faults.empty());
    const auto& route = root->find("routes")->items.at(0);
    CHECK(route.find("match")->text == row.expected);
    CHECK(route.find("cache")->line == 3);
  }
  std::vector<Fault> faults;
  const auto root = read_document(
      "- match: { methods: [GET], path: /x }\n- match: [a, b]\n- match:\n    path: /y\n"
      "- matches: [a] b: c\n",
      "f", lookup, faults);
  CHECK_FALSE(root.has_value());  // only match lines are forgiven
  CHECK(faults.size() == 1);
  CHECK(faults[0].line == 5);
}

TEST_CASE("read_document: duplicates, aliases, second documents and odd keys are faults, all of them") {
  std::vector<Fault> faults;
  const auto root = read_document("a: 1\nb: {c: 1, c: {d: 2}}\na: [1, 2]\ne: &x 1\nf: *x\n[1, 2]: 3\n---\nx: 1\n", "f",
                                  lookup, faults);
  REQUIRE(root.has_value());
  std::vector<int> lines;
  for (const auto& fault : faults) lines.push_back(fault.line);
  CHECK(lines == std::vector<int>{2, 3, 5, 6, 8});
  CHECK(root->find("a")->text == "1");
  CHECK(root->keys.size() == root->items.size());
  CHECK(root->find("b")->find("c")->text == "1");
}

TEST_CASE("read_document: what is no YAML is one fault with its line") {
  for (const std::string_view bad : {"a: [1\nb: 2", "a: \"x", "a: b: c", "\t- x: [", "a: {", "]", "@", "a: 1\n b: 2"}) {
    CAPTURE(bad);
    std::vector<Fault> faults;
    CHECK_FALSE(read_document(bad, "f", lookup, faults).has_value());
    CHECK(faults.size() == 1);
  }
}

TEST_CASE("read_document: hostile texts are bounded") {
  std::vector<Fault> faults;
  CHECK_FALSE(read_document(std::string(100000, '['), "f", lookup, faults).has_value());
  CHECK_FALSE(read_document(std::string(100000, '{'), "f", lookup, faults).has_value());
  CHECK_FALSE(read_document(std::string(5UL << 20, 'a'), "f", lookup, faults).has_value());
  std::string many = "[";
  for (int i = 0; i < 300000; ++i) many += "1,";
  CHECK_FALSE(read_document(many + "]", "f", lookup, faults).has_value());
  CHECK(faults.size() == 4);
  std::uint32_t seed = 7;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 60; ++i) {
      seed = seed * 1664525U + 1013904223U;
      constexpr std::string_view alphabet = "ab:-[]{}'\"\n  #&*!|>%@,?$\t\\\x01\xff";
      text += (seed >> 28U) == 0 ? std::string("match: ") : std::string(1, alphabet[(seed >> 16U) % alphabet.size()]);
    }
    std::vector<Fault> found;
    const auto root = read_document(text, "f", lookup, found);
    CHECK((root.has_value() || !found.empty()));
  }
}

}  // namespace
}  // namespace larder::config
