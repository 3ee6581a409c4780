#pragma once
// What the cache would do with a request, and why, as data. Pure. Every decision is asked of the function that the
// proxy asks too; here is only kept what it was asked and what it said.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/http/message.hpp"
#include "larder/policy/admission.hpp"
#include "larder/policy/cache_control.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/invalidation.hpp"
#include "larder/policy/normal_request.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/policy/reuse.hpp"
#include "larder/policy/rules.hpp"

namespace larder::policy {

/// The response that the origin is supposed to give.
struct AskedResponse {
  int status = 200;
  http::FieldList fields;
};
/// Empty where status and fields can be those of a response; else says what is wrong and what would be right.
std::string fault_of(const AskedResponse& response);

/// What decides besides the request.
struct ExplainContext {
  std::shared_ptr<const RuleSet> rules;
  bool preserve_host = true;             ///< the origin is told the client's Host
  std::uint64_t max_object = 8UL << 20;  ///< bytes; larger bodies are not stored
  TimePoint now{};                       ///< when the request is made
};

/// A route, and why it does not decide about caching; without a reason where an earlier one had decided already.
struct JudgedRoute {
  const Route* route = nullptr;
  std::optional<PassedOver> reason;
};

/// A variable of a key template, and its value; empty where it has none.
struct NamedValue {
  std::string name;  ///< "{query.q}"
  std::optional<std::string> value;
};

/// How the key was made.
struct ExplainedKey {
  std::string key;
  std::string type;
  std::optional<std::string> origin;    ///< "http://host" where it is part of the key
  bool has_identity = false;            ///< the route has an `identity:`
  std::optional<std::string> identity;  ///< SHA-256 of it; empty where the request has none
  std::string path;
  bool is_template = false;                  ///< the route's `key:` is the key; path and query count as it names them
  std::optional<std::string> template_text;  ///< the route's `key:`, also where it could not be used
  std::vector<NamedValue> variables;         ///< of the template
  bool is_whole_query = false;               ///< the query counts byte for byte
  bool is_sorted = false;
  std::vector<std::string> parameters;  ///< those that count, in the order of the key
  std::vector<std::string> left_out;    ///< those that do not
  std::string purge_target;             ///< purge_target(): by which purges of target URIs find the entry
};

/// A `purge:` selector that would make the entry stale, and when.
struct PurgingRule {
  const Route* route = nullptr;
  const SelectorTemplate* selector = nullptr;
  std::vector<std::pair<std::string, std::string>> when;  ///< values that its variables must have
  std::string path;  ///< the route's path pattern with those values: the target of such a write
};

/// The freshness arithmetic of a response (RFC 9111 §4.2), each number by its name there. Seconds.
struct FreshnessArithmetic {
  Seconds freshness_lifetime{0};
  LifetimeSource source = LifetimeSource::none;
  std::optional<TimePoint> date_value;
  Seconds apparent_age{0};
  std::optional<Seconds> age_value;            ///< of a stored response it is not kept
  std::optional<Seconds> response_delay;       ///< likewise
  std::optional<Seconds> corrected_age_value;  ///< likewise, unless it is what the initial age comes from
  Seconds corrected_initial_age{0};
  TimePoint response_time{};
  TimePoint now{};
  Seconds resident_time{0};
  Seconds current_age{0};
  bool is_fresh = false;
  Seconds staleness{0};  ///< negative while fresh
  Seconds stale_while_revalidate{0};
  Seconds stale_if_error{0};
  bool must_revalidate = false;
  bool no_cache = false;
  Seconds retention{0};  ///< from response_time
};
/// Of a stored response.
FreshnessArithmetic arithmetic(const Lifetime& lifetime, http::FieldSpan stored_fields, bool has_validator,
                               TimePoint now);

/// What becomes of the response.
struct ExplainedStoring {
  NotStored reason = NotStored::none;
  std::vector<std::string> evidence;  ///< what of request and response the reason is: "Cache-Control: no-store"
  FreshnessArithmetic freshness;
  std::string lifetime_from;      ///< "Cache-Control: max-age=60", "ttl of the rules"
  std::string directives_field;   ///< the field whose directives govern: CDN-Cache-Control, Cache-Control, …
  std::vector<std::string> vary;  ///< selecting header fields
  std::string variant_key;        ///< the key with its variant suffix
  std::vector<std::string> cache_groups;
  bool has_validator = false;
  bool has_query_variance = false;  ///< No-Vary-Search: it answers other queries too
  Reuse reuse;                      ///< of the stored response for the same request, at `now`
};

/// What an unsafe request purges.
struct ExplainedWrite {
  bool is_changing = true;  ///< may_have_changed()
  std::vector<CausedSelector> purges;
  /// Routes of which a selector was left out, as a variable of it has no value in this request; and how many.
  std::vector<std::pair<const Route*, std::size_t>> without_value;
};

/// Everything. Views and pointers in it are into `rules`.
struct Explanation {
  std::shared_ptr<const RuleSet> rules;
  std::string method;
  std::string asked_target;
  std::string target;  ///< normalised
  std::string origin;  ///< http::origin_text() of the request
  Admission admission;
  std::vector<std::pair<std::string, std::string>> captures;
  std::vector<JudgedRoute> passed_over;  ///< all routes but the one that decides, in file order
  RequestCacheControl client;            ///< as far as the rules honour it
  std::optional<ExplainedKey> key;       ///< of what is looked up
  std::vector<std::string> tags;
  std::vector<PurgingRule> purged_by;
  std::optional<ExplainedStoring> storing;  ///< where a response was given that may be stored
  std::optional<ExplainedWrite> write;      ///< of an unsafe request
};

/// Explains a request, and what would become of the response where one is given (null: none).
Explanation explain(const ExplainContext& context, const NormalRequest& request, const AskedResponse* response);

/// The `purge:` selectors of the rules that can name such a stored response, whatever the write; in file order. Says
/// rather one too many than one too few where a variable is a part of a path segment or of a glob.
std::vector<PurgingRule> purging_rules(const RuleSet& rules, const PurgeSubject& subject);

/// One sentence on what a reason means, and what of the rules or the request would change it.
std::string_view meaning(NotStored reason) noexcept;
std::string_view meaning(NotReused reason) noexcept;

/// "conf/rules.yaml:42".
std::string place_of(const Route& route);

}  // namespace larder::policy
