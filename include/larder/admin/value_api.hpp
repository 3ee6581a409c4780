#pragma once
// The key-value API for services, on the admin listener: POST /cache/set, GET /cache/get/{key}, and so on. Who has the
// admin token may do everything; who has a token of a namespace may read or write that one.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "larder/admin/answer.hpp"
#include "larder/admin/value_counters.hpp"
#include "larder/net/exchange.hpp"
#include "larder/policy/namespaces.hpp"
#include "larder/proxy/error_log.hpp"
#include "larder/proxy/values.hpp"

namespace larder::policy {
struct RuleSet;
}

namespace larder::admin {

/// What can be asked for.
enum class ValueEndpoint : unsigned char {
  set,         ///< POST /cache/set
  get,         ///< GET /cache/get/{key}, or ?key=
  get_many,    ///< POST /cache/get-many
  exists,      ///< GET /cache/exists/{key}
  get_or_set,  ///< POST /cache/get-or-set
  release,     ///< POST /cache/release
  clear,       ///< DELETE /cache/clear/{key}
  flush        ///< DELETE /cache/flush, or /cache/flush/{namespace}
};

/// Where a request goes.
struct RoutedValue {
  std::optional<ValueEndpoint> endpoint;  ///< empty for a path that there is not
  std::string_view argument;              ///< behind the path, still percent-encoded; may be empty
  std::string_view allow;                 ///< the methods of that path
  bool has_method = false;
};
RoutedValue route_value(std::string_view method, std::string_view path) noexcept;

/// "GET, HEAD /cache/get/{key}" and so on.
Json value_endpoints();

/// Used on one thread, that of `values`.
class ValueApi {
 public:
  /// `values` is null where the store is off. `rules`: the place of those in use, read once per request.
  ValueApi(const std::shared_ptr<const policy::RuleSet>& rules, proxy::Values* values, std::string_view admin_token);

  /// True for the paths that are answered here.
  static bool is_path(std::string_view path) noexcept { return path.starts_with("/cache/") || path == "/cache"; }
  net::Awaitable<Answer> respond(net::Exchange& exchange);
  /// Empty where the store is off.
  [[nodiscard]] std::optional<ValueTotals> totals() const;
  /// The member `kv` of the statistics; null where the store is off.
  [[nodiscard]] Json stats() const;
  /// Another one; empty: none.
  void set_admin_token(std::string_view token);

 private:
  /// Whose request it is.
  struct Caller {
    bool is_admin = false;
    policy::TokenDigest token{};
  };
  using Access = policy::TokenScope;
  template <class T>
  using Awaitable = net::Awaitable<T>;

  std::variant<Caller, Answer> caller_of(const net::Exchange& exchange, const policy::Namespaces& spaces);
  std::optional<Answer> refusal(const Caller& caller, const policy::Namespaces& spaces, std::string_view prefix,
                                Access needed);
  ValueCounters& counters(const policy::Namespaces& spaces, std::string_view key);

  Awaitable<Answer> set(std::string body, const policy::Namespaces& spaces, const Caller& caller);
  Awaitable<Answer> get(std::string key, bool only_whether, const policy::Namespaces& spaces);
  Awaitable<Answer> get_many(std::string body, const policy::Namespaces& spaces, const Caller& caller);
  Awaitable<Answer> get_or_set(std::string body, net::Exchange& exchange, const policy::Namespaces& spaces,
                               const Caller& caller);
  Awaitable<Answer> release(std::string body, const policy::Namespaces& spaces, const Caller& caller);
  Awaitable<Answer> clear(std::string key, const policy::Namespaces& spaces);
  Awaitable<Answer> flush(std::string raw_space, const policy::Namespaces& spaces, const Caller& caller);

  const std::shared_ptr<const policy::RuleSet>& rules_;
  proxy::Values* const values_;
  std::optional<policy::TokenDigest> admin_token_;
  std::map<std::string, ValueCounters, std::less<>> counters_;  ///< by name of the namespace
  proxy::ErrorLog refusals_{"[ADMIN REFUSED]"};
};

}  // namespace larder::admin
