#include "larder/policy/rule_test.hpp"

#include <algorithm>
#include <string_view>
#include <variant>

#include "larder/policy/explanation.hpp"

namespace larder::policy {
namespace {

http::FieldList field_list(const RuleTest::Fields& fields) {
  http::FieldList list;
  for (const auto& [name, value] : fields) list.add(name, value);
  return list;
}

std::variant<NormalRequest, std::string> normal(const RuleTest::Request& request) {
  AskedRequest asked;
  asked.method = request.method;
  asked.target = request.target;
  asked.host = request.host.empty() ? "api.example" : request.host;
  asked.fields = field_list(request.fields);
  return NormalRequest::make(asked);
}

AskedResponse response_of(const RuleTest& test) {
  AskedResponse response;
  response.status = test.status;
  response.fields = field_list(test.fields);
  return response;
}

std::string text_of(std::vector<std::string> texts) {
  if (texts.empty()) return "none";
  std::ranges::sort(texts);
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

std::string text_of(const std::vector<Selector>& selectors) {
  std::vector<std::string> texts;
  texts.reserve(selectors.size());
  for (const auto& selector : selectors) {
    texts.push_back(selector.kind == SelectorKind::all ? "everything"
                                                       : std::string(to_string(selector.kind)) + " " + selector.value);
  }
  return text_of(std::move(texts));
}

std::string type_of(const Explanation& explanation) {
  const auto* const route = explanation.admission.route;
  if (route == nullptr) return "none";
  return route->cache_off ? "off" : route->type->name;
}

class Run {
 public:
  Run(const RuleTest& test, const ExplainContext& context) : test_(test), context_(context) {
    const auto response = response_of(test);
    const auto request = normal(test.request);
    // Without a response in the test it is a plain 200, and a write's end is unknown.
    const bool is_given = test.has_response || http::is_safe(test.request.method);
    explanation_ = explain(context, std::get<NormalRequest>(request), is_given ? &response : nullptr);
  }

  std::vector<RuleTestFailure> failures() {
    if (test_.type) compare(test_.type->line, "type", test_.type->value, type_of(explanation_));
    if (test_.key) compare(test_.key->line, "key", test_.key->value, key_of(explanation_));
    if (test_.same_key_as) compare_keys(*test_.same_key_as, true);
    if (test_.other_key_than) compare_keys(*test_.other_key_than, false);
    if (test_.stored) compare_stored(*test_.stored);
    if (test_.ttl) compare_ttl(*test_.ttl);
    if (test_.tags) compare(test_.tags->line, "tags", text_of(test_.tags->value), text_of(explanation_.tags));
    if (test_.purges) compare(test_.purges->line, "purges", text_of(test_.purges->value), text_of(rule_purges()));
    return std::move(failures_);
  }

 private:
  void fail(int line, std::string expected, std::string got) {
    failures_.push_back({line, std::move(expected), std::move(got)});
  }
  void compare(int line, std::string_view what, const std::string& expected, const std::string& got) {
    if (expected != got) fail(line, std::string(what) + " " + expected, got);
  }

  // Why there is no key, or nothing to be stored.
  [[nodiscard]] std::string not_looked_up() const {
    return "it is not looked up (" + std::string(to_string(explanation_.admission.reason)) + ")";
  }

  [[nodiscard]] std::string key_of(const Explanation& explanation) const {
    return explanation.key ? explanation.key->key : not_looked_up();
  }

  void compare_keys(const RuleTest::Expected<RuleTest::Request>& other, bool is_same) {
    const auto request = normal(other.value);
    const auto explained = explain(context_, std::get<NormalRequest>(request), nullptr);
    const auto expected =
        std::string(is_same ? "the same key as " : "another key than ") + other.value.method + " " + other.value.target;
    if (!explanation_.key || !explained.key) {
      fail(other.line, expected, "one of them is not looked up");
    } else if ((explanation_.key->key == explained.key->key) != is_same) {
      fail(other.line, expected,
           is_same ? explanation_.key->key + " and " + explained.key->key : explained.key->key + " for both");
    }
  }

  void compare_stored(const RuleTest::Expected<std::string>& expected) {
    if (!explanation_.storing) {
      const auto reason = std::string(to_string(explanation_.admission.reason));
      if (expected.value == "true" || (expected.value != "false" && expected.value != reason)) {
        fail(expected.line, "stored: " + expected.value, not_looked_up());
      }
      return;
    }
    const auto reason = explanation_.storing->reason;
    const bool is_stored = reason == NotStored::none;
    const bool is_as_expected = expected.value == "true"    ? is_stored
                                : expected.value == "false" ? !is_stored
                                                            : expected.value == to_string(reason);
    if (is_as_expected) return;
    auto got = is_stored ? std::string("it is stored") : "it is not stored: " + std::string(to_string(reason));
    for (const auto& line : explanation_.storing->evidence) got += " (" + line + ")";
    fail(expected.line, "stored: " + expected.value, std::move(got));
  }

  void compare_ttl(const RuleTest::Expected<Seconds>& expected) {
    const auto text = "ttl " + std::to_string(expected.value.count()) + " s";
    if (!explanation_.storing) {
      fail(expected.line, text, not_looked_up());
      return;
    }
    const auto& storing = *explanation_.storing;
    if (storing.freshness.freshness_lifetime == expected.value) return;
    fail(expected.line, text,
         std::to_string(storing.freshness.freshness_lifetime.count()) + " s (" + storing.lifetime_from + ")");
  }

  [[nodiscard]] std::vector<Selector> rule_purges() const {
    std::vector<Selector> selectors;
    if (!explanation_.write) return selectors;
    for (const auto& purge : explanation_.write->purges) {
      if (purge.cause == PurgeCause::rule) selectors.push_back(purge.selector);
    }
    return selectors;
  }

  const RuleTest& test_;
  const ExplainContext& context_;
  Explanation explanation_;
  std::vector<RuleTestFailure> failures_;
};

}  // namespace

std::string fault_of(const RuleTest& test) {
  for (const auto* request : {&test.request, test.same_key_as ? &test.same_key_as->value : nullptr,
                              test.other_key_than ? &test.other_key_than->value : nullptr}) {
    if (request == nullptr) continue;
    const auto made = normal(*request);
    if (const auto* const wrong = std::get_if<std::string>(&made)) return *wrong;
  }
  return fault_of(response_of(test));
}

std::vector<RuleTestFailure> run(const RuleTest& test, const std::shared_ptr<const RuleSet>& rules,
                                 const RuleTestContext& context) {
  const auto fields = field_list(test.fields);
  const ExplainContext explaining{.rules = rules,
                                  .preserve_host = context.preserve_host,
                                  .max_object = context.max_object,
                                  // A test says the same on each day that it is run.
                                  .now = date_value(fields, context.now).value_or(context.now)};
  return Run(test, explaining).failures();
}

}  // namespace larder::policy
