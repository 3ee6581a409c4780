#pragma once
// The `tests:` of a rules file: a request, the response that it gets, and what is expected of them. What is got is
// asked of explain(), and so of the functions that the proxy asks. Pure.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/policy/cache_control.hpp"
#include "larder/policy/selector.hpp"

namespace larder::policy {

struct RuleSet;

/// One entry of `tests:`, as it is written.
struct RuleTest {
  using Fields = std::vector<std::pair<std::string, std::string>>;
  /// A request.
  struct Request {
    std::string method = "GET";
    std::string target;
    std::string host;  ///< "" for one of no importance
    Fields fields;
  };
  /// A value and the line where it is expected.
  template <class T>
  struct Expected {
    T value;
    int line = 0;
  };

  std::string name;  ///< or the request, where it has none
  std::string file;
  int line = 0;
  Request request;
  int status = 200;  ///< of the response
  Fields fields;     ///< likewise
  bool has_response = false;
  std::optional<Expected<std::string>> type;        ///< a type, "off", or "none"
  std::optional<Expected<std::string>> key;         ///< the whole key
  std::optional<Expected<Request>> same_key_as;     ///< a request that shares the stored response
  std::optional<Expected<Request>> other_key_than;  ///< one that does not
  std::optional<Expected<Seconds>> ttl;             ///< freshness lifetime
  std::optional<Expected<std::string>> stored;      ///< "true", "false", or why not (NotStored)
  std::optional<Expected<std::vector<std::string>>> tags;
  std::optional<Expected<std::vector<Selector>>> purges;  ///< all that the rules name, in any order
};

/// Something else than what was expected.
struct RuleTestFailure {
  int line = 0;
  std::string expected;  ///< "ttl 1h"
  std::string got;
};

/// What a run depends on besides the rules.
struct RuleTestContext {
  std::uint64_t max_object = 8UL << 20;  ///< bytes
  bool preserve_host = true;
  TimePoint now{};  ///< of responses without a Date
};

/// What is wrong with the requests or the response of a test; empty where nothing is.
std::string fault_of(const RuleTest& test);

/// Runs one test without a fault_of(). Empty where all is as expected.
std::vector<RuleTestFailure> run(const RuleTest& test, const std::shared_ptr<const RuleSet>& rules,
                                 const RuleTestContext& context);

}  // namespace larder::policy
