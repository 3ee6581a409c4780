#pragma once
// The rule set of conf/rules.yaml as data, and the matching of requests against it. Reading YAML is config's work.
// A RuleSet is immutable once built and shared by all workers.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/http/message.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/namespaces.hpp"
#include "larder/policy/rule_test.hpp"
#include "larder/policy/selector.hpp"
#include "larder/policy/warming.hpp"

namespace larder::policy {

/// Weight of a type in eviction from memory.
enum class Priority : unsigned char { low, normal, high };
std::string_view to_string(Priority priority) noexcept;

/// The `<type>` of cache:<type>:<md5>.
struct Type {
  std::string name;
  std::optional<Seconds> ttl;  ///< defaults already applied
  std::optional<Seconds> stale_while_revalidate;
  std::optional<Seconds> stale_if_error;
  Priority priority = Priority::normal;
};

/// "/api/users/{id}": '*' one segment, '**' any number, '{name}' captures one segment; whole segments only. '*' and
/// '{name}' match no empty segment, so "/users/{id}" does not match "/users/".
class PathPattern {
 public:
  /// One segment of the pattern.
  struct Segment {
    enum class Kind : unsigned char { literal, any_one, any_number, capture } kind = Kind::literal;
    std::string text;  ///< literal text, or the capture's name
  };
  using Captures = std::vector<std::pair<std::string_view, std::string_view>>;  ///< name (of the pattern), raw segment

  /// Parses a pattern; on error returns empty and says in `error` what is wrong and what would be right.
  static std::optional<PathPattern> parse(std::string_view pattern, std::string& error);
  /// Matches a normalised path (no query). Captures are appended where `captures` is not null.
  bool match(std::string_view path, Captures* captures) const;
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// Names of its captures, in order.
  [[nodiscard]] std::vector<std::string> capture_names() const;
  /// True only where every path that `other` matches is matched by this one too. May be false for a pair of patterns
  /// with several '**' although it holds: for warnings, not for decisions.
  [[nodiscard]] bool covers(const PathPattern& other) const;
  /// True where some path is matched by both.
  [[nodiscard]] bool overlaps(const PathPattern& other) const;

 private:
  std::string text_;
  std::vector<Segment> segments_;
};

/// "user:profile:{id}" with {name} from the path, {query.x}, {header.x}, {cookie.x}, {identity}.
class Template {
 public:
  struct Part {
    enum class Kind : unsigned char { literal, capture, query, header, cookie, identity } kind = Kind::literal;
    std::string text;  ///< literal text or the name of the variable
  };
  /// Parses; on error returns empty and says why. Captures not in `known_captures` are errors.
  static std::optional<Template> parse(std::string_view text, const std::vector<std::string>& known_captures,
                                       std::string& error);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] const std::vector<Part>& parts() const noexcept { return parts_; }
  [[nodiscard]] bool is_literal() const noexcept;

 private:
  std::string text_;
  std::vector<Part> parts_;
};

/// Which query parameters are part of the key.
struct QueryRule {
  enum class Filter : unsigned char { all, only, ignore } filter = Filter::all;
  std::vector<std::string> names;  ///< of `only` or `ignore`; a trailing '*' matches any ending ("utm_*")
  bool sort = false;               ///< parameters are put in byte order (stable for equal names)
  friend bool operator==(const QueryRule&, const QueryRule&) = default;
};

/// Whose entry it is, on routes with `identity:`.
struct IdentityRule {
  enum class Source : unsigned char { header, cookie } source = Source::header;
  std::string name;
  friend bool operator==(const IdentityRule&, const IdentityRule&) = default;
};

/// A purge selector whose value is a template.
struct SelectorTemplate {
  SelectorKind kind = SelectorKind::all;
  Template value;
};

/// Why a route has no say in whether and how the answer to a request is cached.
enum class PassedOver : unsigned char {
  none,         ///< it has: it matches
  not_caching,  ///< it says nothing about caching: it only purges
  method,       ///< it is for other methods
  path          ///< its path pattern does not match
};
std::string_view to_string(PassedOver reason) noexcept;

/// One entry of `routes:`.
struct Route {
  std::vector<std::string> methods;  ///< as written; "*" alone means any
  PathPattern path;
  bool cache_off = false;            ///< `cache: off`
  bool is_shadow = false;            ///< `mode: shadow`: nothing is served from the cache, but all is reckoned
  bool verify_credentials = false;   ///< hits on requests with credentials are verified too
  std::uint32_t verify_ppm = 0;      ///< `verify:`, share of the hits about which the origin is asked, in millionths
  std::shared_ptr<const Type> type;  ///< null where the route only purges (or is off)
  StoreRule store;                   ///< type, defaults and route taken together
  std::optional<Template> key;       ///< `key:`
  bool key_has_host = true;          ///< `host:`
  QueryRule query;
  std::optional<IdentityRule> identity;
  std::vector<Template> tags;
  std::vector<SelectorTemplate> purge;
  std::string match_text;  ///< "GET /api/users/{id}", for explain
  std::string file;
  int line = 0;
  std::size_t counter = 0;  ///< where it is counted: an index of RuleSet::counted (number_routes())

  [[nodiscard]] bool caches() const noexcept { return type != nullptr; }
  /// HEAD is matched by a route for GET too.
  [[nodiscard]] bool has_method(std::string_view method) const noexcept;
  /// Whether it decides about the caching of such a request, provided that no earlier one does. Captures are appended
  /// where `captures` is not null and it matches.
  PassedOver judge(std::string_view method, std::string_view request_path, PathPattern::Captures* captures) const;
  /// Its purge selectors, expanded for this request; none where it does not match, or the method is safe.
  [[nodiscard]] std::vector<Selector> purges(const http::RequestHead& request) const;
};

/// A route matched, and what its path captured.
struct RouteMatch {
  const Route* route = nullptr;
  PathPattern::Captures captures;
};

/// What a route is known by where it is counted, so that counts go on over a reload.
struct CountedRoute {
  std::string match_text;
  std::string type;  ///< empty where it has none
  friend bool operator==(const CountedRoute&, const CountedRoute&) = default;
};

/// All rules.
struct RuleSet {
  std::vector<std::shared_ptr<const Type>> types;
  std::vector<Route> routes;
  Namespaces namespaces;                 ///< of the key-value store
  bool honour_client_directives = true;  ///< `client_directives: honour | ignore` (RFC 9111 §5.2.1)
  bool failed_writes_purge = false;      ///< `failed_writes: purge | rfc`: a 5xx purges its target, ttl or none
  bool honour_no_vary_search = true;     ///< `no_vary_search: honour | ignore`
  /// Fields that count when stored responses are compared with what the origin says.
  std::vector<std::string> compared_fields{"Content-Type", "Content-Language", "Location"};
  bool forward_targeted_fields = false;  ///< `targeted_fields: forward | remove` (RFC 9213)
  std::vector<RuleTest> tests;           ///< `tests:`, for `larder check`
  Warming warming;                       ///< `warm:`
  std::string fingerprint;               ///< of the text they were read from; others for others
  /// Every route that was ever counted in this process, those of earlier rule sets too.
  std::vector<CountedRoute> counted;

  /// For caching: the first route in file order that has `cache:` and matches; route is null where there is none.
  [[nodiscard]] RouteMatch match_cache(std::string_view method, std::string_view path) const;
  /// The same into `match`, whose room for captures is used again (the hit path).
  void match_cache(std::string_view method, std::string_view path, RouteMatch& match) const;
  /// True where responses of some route are shared by all hosts.
  [[nodiscard]] bool shares_hosts() const noexcept;
  [[nodiscard]] const Type* type(std::string_view name) const noexcept;
};

/// Gives every route its counter: that of the route of `before` (what was counted so far) with the same match and type,
/// else a new one behind them. To be called before the rules are used, and whenever they change.
void number_routes(RuleSet& rules, const std::vector<CountedRoute>& before = {});

/// What a variable is worth whose query parameter or cookie comes more than once in the request.
enum class Repeated : unsigned char {
  first,    ///< the first value: for tags and selectors, where one too many does no harm
  no_value  ///< none: for keys, as the origin might take another one than we do
};

/// Appends the value of one part of a template to `out` and returns true; false, with `out` as it was, where the
/// variable has no value. Captures and query parameters are appended as they stand in the normalised target (still
/// percent- encoded, so that different requests never become equal), header lines of one name joined with ", ".
bool append_value(const Template::Part& part, const http::RequestHead& request, const PathPattern::Captures& captures,
                  std::optional<std::string_view> identity, Repeated repeated, std::string& out);

/// The value of a template for a request; empty optional where a variable has no value (a missing query parameter,
/// header or cookie): then there is no such tag, no such selector, and a `key:` falls back to the md5 form.
std::optional<std::string> expand(const Template& text, const http::RequestHead& request,
                                  const PathPattern::Captures& captures, const std::optional<std::string>& identity);

/// The tags that a route gives to the answer to this request.
std::vector<std::string> rule_tags(const RouteMatch& match, const http::RequestHead& request);

/// The identity of a request: lower-case hex SHA-256 of the header's or cookie's value (so that no secret ends up in a
/// key, a log or Redis); empty optional where the request has none. Several lines or cookies of that name are hashed
/// together, in order.
std::optional<std::string> identity_of(const IdentityRule& rule, const http::RequestHead& request);
/// The same into `hex` without allocating (the hit path); false where the request has no identity.
bool identity_of(const IdentityRule& rule, const http::RequestHead& request, std::array<char, 64>& hex);

/// "%20" for each byte outside of printable ASCII and for the space: the form of every templated cache key.
std::string printable_key(std::string_view key);

/// True where the parameter name as it stands in a query equals `name` once percent-decoded; a trailing '*' of `name`
/// matches any ending.
bool parameter_named(std::string_view raw_name, std::string_view name) noexcept;

/// First value of a query parameter, percent-decoded; of a cookie (RFC 6265), as received.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);
std::optional<std::string_view> cookie(http::FieldSpan fields, std::string_view name);

}  // namespace larder::policy
