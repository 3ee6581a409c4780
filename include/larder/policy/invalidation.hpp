#pragma once
// What an unsafe request makes stale: with no rule at all (RFC 9111 §4.4, RFC 9875), and by the rules.
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/message.hpp"
#include "larder/policy/rules.hpp"
#include "larder/policy/selector.hpp"

namespace larder::policy {

/// What is known of an unsafe request's end.
enum class WriteEnd : unsigned char {
  answered,  ///< a final response head was received
  unknown    ///< the connection broke or timed out after the request may have reached the origin
};

/// True where the origin's state may have changed, so that purges must happen: 2xx, 3xx, 5xx and every unknown end;
/// a 4xx changed nothing. Safe methods never purge.
bool may_have_changed(std::string_view method, WriteEnd end, int status) noexcept;

/// The targets (normalised path and query) to invalidate: the target URI, and Location and Content-Location of the
/// 2xx or 3xx response where they resolve to the same origin (scheme, host and port) as the target URI; an error's
/// are not looked at. Without repetition, the target URI first; empty for "*". `response` may be null.
std::vector<std::string> invalidated_targets(const http::RequestHead& request, const http::ResponseHead* response);

/// Why a selector is part of a write's purge.
enum class PurgeCause : unsigned char {
  target_uri,            ///< it names the target URI (RFC 9111 §4.4)
  named_target,          ///< a target that Location, Content-Location or Destination names
  rule,                  ///< a route's `purge:`
  cache_group,           ///< Cache-Group-Invalidation of the response (RFC 9875 §3)
  too_many_cache_groups  ///< more groups than can be read: everything goes
};
std::string_view to_string(PurgeCause cause) noexcept;

/// A selector of a write's purge, and why it is one.
struct CausedSelector {
  Selector selector;
  PurgeCause cause = PurgeCause::rule;
  const Route* route = nullptr;  ///< of a rule
};

/// All that an unsafe request purges once may_have_changed(). `response` is null where none came. `origin_knows_host`:
/// false where all hosts' requests look alike to the origin (`preserve_host: false`), so that a write to one host
/// changes what is stored of the others. Each selector comes once.
std::vector<CausedSelector> write_purges(const RuleSet& rules, const http::RequestHead& request,
                                         const http::ResponseHead* response, bool origin_knows_host);

}  // namespace larder::policy
