#include "larder/config/rule_tests.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "larder/config/node_reader.hpp"
#include "larder/config/rules_reader.hpp"
#include "larder/config/values.hpp"
#include "larder/http/field_list.hpp"
#include "larder/policy/outcome.hpp"

namespace larder::config {
namespace {

using policy::RuleTest;
using policy::SelectorKind;

constexpr std::array<std::string_view, 4> test_keys{"name", "request", "response", "expect"};
constexpr std::array<std::string_view, 4> request_keys{"method", "target", "host", "headers"};
constexpr std::array<std::string_view, 2> response_keys{"status", "headers"};
constexpr std::array<std::string_view, 8> expect_keys{"type", "key",    "same_key_as", "other_key_than",
                                                      "ttl",  "stored", "tags",        "purges"};
constexpr std::string_view right_request =
    "write \"GET /path?query\", or { method: GET, target: /path, headers: { Accept: text/html } }";

// The names of all reasons, so that a misspelt one is no expectation that holds for ever.
std::vector<std::string_view> stored_words() {
  std::vector<std::string_view> words{"true", "false"};
  for (unsigned i = 1; i < static_cast<unsigned>(policy::NotStored::count_); ++i) {
    words.push_back(to_string(static_cast<policy::NotStored>(i)));
  }
  for (unsigned i = 1; i < static_cast<unsigned>(policy::NotReused::count_); ++i) {
    const auto word = to_string(static_cast<policy::NotReused>(i));
    if (std::ranges::find(words, word) == words.end()) words.push_back(word);
  }
  return words;
}

class RuleTestReader : private NodeReader {
 public:
  RuleTestReader(const std::string& file, const std::vector<std::string_view>& types, std::vector<Fault>& faults)
      : NodeReader(file, faults), types_(types) {}

  void read(const TreeNode& node, std::vector<RuleTest>& tests) {
    if (node.kind == TreeNode::Kind::null) return;
    if (node.kind != TreeNode::Kind::sequence) {
      fault(node, "tests is not a list", "begin each test with \"- request: GET /path\"");
      return;
    }
    for (const auto& item : node.items) {
      if (item.broken || !expect_mapping(item, "a test", "begin each test with \"- request: GET /path\"")) continue;
      read_test(item, tests);
    }
  }

 private:
  void read_test(const TreeNode& node, std::vector<RuleTest>& tests) {
    const auto before = fault_count();
    check_keys(node, "a test", test_keys);
    RuleTest test;
    test.file = file();
    test.line = node.line;
    const auto* const request = node.find("request");
    const auto* const expect = node.find("expect");
    if (request == nullptr) fault(node, "this test has no request", std::string(right_request));
    if (expect == nullptr)
      fault(node, "this test expects nothing", "write expect: { type: NAME, ttl: 5m, stored: true }");
    if (usable(request) != nullptr) {
      if (auto read = read_request(*request, "request")) test.request = std::move(*read);
    }
    if (const auto* name = usable(node.find("name"))) test.name = name->text;
    if (test.name.empty()) test.name = test.request.method + " " + test.request.target;
    if (const auto* response = usable(node.find("response"))) read_response(*response, test);
    if (usable(expect) != nullptr) read_expectations(*expect, test);
    if (fault_count() != before) return;
    if (auto wrong = fault_of(test); !wrong.empty()) {
      fault(request->line, "this test can never be: " + wrong, std::string(right_request));
      return;
    }
    tests.push_back(std::move(test));
  }

  std::optional<RuleTest::Request> read_request(const TreeNode& node, const std::string& where) {
    RuleTest::Request request;
    if (node.is_scalar()) {
      const std::string_view text = http::trim_ows(node.text);
      const auto space = text.find(' ');
      request.method = text.substr(0, space);
      if (space != std::string_view::npos) request.target = http::trim_ows(text.substr(space));
    } else if (node.kind == TreeNode::Kind::mapping) {
      check_keys(node, where, request_keys);
      if (const auto* method = usable(node.find("method"))) request.method = method->text;
      if (const auto* target = usable(node.find("target"))) request.target = target->text;
      if (const auto* host = usable(node.find("host"))) request.host = host->text;
      if (const auto* headers = usable(node.find("headers")))
        request.fields = read_headers(*headers, where + ".headers");
    }
    if (!request.target.empty()) return request;
    fault(node, where + ": " + written(node) + " is not a method and a target", std::string(right_request));
    return std::nullopt;
  }

  void read_response(const TreeNode& node, RuleTest& test) {
    if (!expect_mapping(node, "response", "write { status: 200, headers: { Cache-Control: max-age=60 } }")) return;
    check_keys(node, "response", response_keys);
    test.has_response = true;
    if (const auto* status = usable(node.find("status"))) {
      const auto code = status->is_scalar() ? parse_count(status->text) : std::nullopt;
      if (!code || *code < 200 || *code > 599) {
        fault(*status, "response.status: " + written(*status) + " is not a final status code",
              "write one from 200 to 599");
      } else {
        test.status = static_cast<int>(*code);
      }
    }
    if (const auto* headers = usable(node.find("headers"))) test.fields = read_headers(*headers, "response.headers");
  }

  // Not for lists and mappings.
  template <class T>
  std::optional<RuleTest::Expected<std::string>> read_word(const TreeNode& node, const std::string& where,
                                                           const T& is_right, std::string right) {
    if (node.is_scalar() && is_right(node.text)) return RuleTest::Expected<std::string>{node.text, node.line};
    fault(node, where + ": " + written(node) + " cannot be expected", std::move(right));
    return std::nullopt;
  }

  void read_expectations(const TreeNode& node, RuleTest& test) {
    if (!expect_mapping(node, "expect", "write { type: NAME, ttl: 5m, stored: true }")) return;
    check_keys(node, "expect", expect_keys);
    if (node.keys.empty())
      fault(node, "this test expects nothing", "write expect: { type: NAME, ttl: 5m, stored: true }");
    if (const auto* type = usable(node.find("type"))) read_type(*type, test);
    if (const auto* key = usable(node.find("key"))) {
      test.key = read_word(
          *key, "expect.key", [](const std::string& text) { return text.starts_with("cache:"); },
          "write the whole key, which begins with \"cache:\"");
    }
    for (const auto& [name, place] :
         {std::pair{"same_key_as", &test.same_key_as}, {"other_key_than", &test.other_key_than}}) {
      const auto* const other = usable(node.find(name));
      if (other == nullptr) continue;
      if (auto request = read_request(*other, std::string("expect.") + name))
        *place = {std::move(*request), other->line};
    }
    if (const auto* ttl = usable(node.find("ttl"))) {
      if (const auto seconds = read_seconds(*ttl, "expect.ttl")) test.ttl = {*seconds, ttl->line};
    }
    if (const auto* stored = usable(node.find("stored"))) read_stored(*stored, test);
    if (const auto* tags = usable(node.find("tags"))) {
      test.tags.emplace();
      test.tags->line = tags->line;
      for (const auto* tag : texts(*tags, "expect.tags")) test.tags->value.push_back(tag->text);
    }
    if (const auto* purges = usable(node.find("purges"))) read_purges(*purges, test);
  }

  void read_type(const TreeNode& node, RuleTest& test) {
    auto names = types_;
    names.insert(names.end(), {"off", "none"});
    const auto is_known = [&names](const std::string& text) { return std::ranges::find(names, text) != names.end(); };
    // YAML's writers may mean the same by "false".
    if (node.is_off()) {
      test.type = {"off", node.line};
    } else {
      test.type = read_word(node, "expect.type", is_known, known_words(node.text, names));
    }
  }

  void read_stored(const TreeNode& node, RuleTest& test) {
    const auto words = stored_words();
    if (const auto flag = node.is_scalar() ? parse_flag(node.text) : std::nullopt) {
      test.stored = {*flag ? "true" : "false", node.line};
      return;
    }
    const auto is_known = [&words](const std::string& text) { return std::ranges::find(words, text) != words.end(); };
    test.stored = read_word(node, "expect.stored", is_known, known_words(node.text, words));
  }

  void read_purges(const TreeNode& node, RuleTest& test) {
    test.purges.emplace();
    test.purges->line = node.line;
    if (node.kind != TreeNode::Kind::sequence) {
      fault(node, "expect.purges: " + written(node) + " is not a list of selectors",
            "write [ { tag: \"product:42\" }, { type: NAME } ], or [] for none");
      return;
    }
    for (const auto& item : node.items) {
      const bool is_one = item.kind == TreeNode::Kind::mapping && item.keys.size() == 1 && item.items[0].is_scalar();
      auto kind = is_one ? policy::selector_kind(item.keys[0].text) : std::nullopt;
      if (!kind || *kind == SelectorKind::target) {
        fault(item, "expect.purges: " + written(item) + " is not a selector",
              "write one as in purge:, with values for its variables: { tag: \"product:42\" }");
        continue;
      }
      const auto& text = item.items[0].text;
      // As `purge:` reads it.
      if (*kind == SelectorKind::key && text.find_first_of("*?[") != std::string::npos) kind = SelectorKind::glob;
      test.purges->value.push_back({*kind, *kind == SelectorKind::all ? std::string() : text});
    }
  }

  const std::vector<std::string_view>& types_;
};

}  // namespace

void read_rule_tests(const TreeNode& node, const std::string& file, const std::vector<std::string_view>& types,
                     std::vector<Fault>& faults, std::vector<RuleTest>& tests) {
  RuleTestReader(file, types, faults).read(node, tests);
}

std::vector<RulesKeys> rule_test_keys() {
  const auto list = [](std::string_view section, std::span<const std::string_view> names) {
    return RulesKeys{section, {names.begin(), names.end()}};
  };
  return {list("tests[]", test_keys), list("tests[].request", request_keys), list("tests[].response", response_keys),
          list("tests[].expect", expect_keys)};
}

std::vector<Fault> failed_rule_tests(const Settings& settings) {
  std::vector<Fault> failures;
  const policy::RuleTestContext context{.max_object = settings.cache.max_object,
                                        .preserve_host = settings.origin.preserve_host,
                                        .now = policy::Clock::now()};
  for (const auto& test : settings.rules->tests) {
    for (auto& [line, expected, got] : run(test, settings.rules, context)) {
      failures.push_back({test.file, line, "test " + shown(test.name) + ": expected " + expected, "got " + got});
    }
  }
  return failures;
}

}  // namespace larder::config
