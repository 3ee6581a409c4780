#pragma once
// The terms under which a request is answered: what of rules and settings a reload may replace while requests run.
//
// Each worker has present terms, replaced on its own thread between two handlers. What answers at once uses those; what
// may wait holds the terms that it began with, and ends under them. So a hit counts no references.
#include <memory>
#include <string>

#include "larder/net/parameters.hpp"
#include "larder/policy/rules.hpp"

namespace larder::proxy {

/// Immutable; shared by all workers.
struct Terms {
  std::shared_ptr<const policy::RuleSet> rules;  ///< never null
  /// While rules are being replaced, the others of the two: a write makes stale what either of them says. Else null.
  std::shared_ptr<const policy::RuleSet> other_rules;
  bool trust_forwarded = false;                    ///< keep and append to the client's X-Forwarded-* and Forwarded
  bool preserve_host = true;                       ///< send the client's Host, not the server's own authority
  net::Milliseconds tunnel_idle_timeout{3600000};  ///< of an upgraded connection without traffic either way
  /// Who sends it in http::explain_field is told how the answer came about; empty: nobody.
  std::string admin_token{};
};
using TermsPtr = std::shared_ptr<const Terms>;

}  // namespace larder::proxy
