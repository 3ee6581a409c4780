#pragma once
// What the tiers hold for a request, looked at without using it: for explanations.
#include <string_view>
#include <vector>

#include "larder/policy/outcome.hpp"
#include "larder/policy/reuse.hpp"
#include "larder/store/stored_response.hpp"

namespace larder::proxy {

/// How a stored response may be used for a request at one moment.
struct Usability {
  policy::Reuse reuse;
  store::StoredPtr form;                               ///< as this client accepts it; null where it has no such form
  policy::NotReused reason = policy::NotReused::none;  ///< none: it is served without asking the origin first
};

/// What one tier has for a request.
struct TierFinding {
  std::string_view tier;  ///< "memory" or "redis"
  bool is_asked = true;   ///< false where requests do not ask it either: it is off, away or not to be trusted now
  store::StoredPtr stored;
  policy::NotReused reason = policy::NotReused::absent;  ///< none: it is served
  policy::Use use = policy::Use::revalidate;             ///< of `stored`
  bool may_serve_on_error = false;                       ///< `stored`, should the origin fail now
};

/// What would happen to a request now.
struct Inspection {
  std::vector<TierFinding> tiers;
  policy::CacheOutcome outcome = policy::CacheOutcome::miss;  ///< hit, stale or miss (which may become a revalidation)
  policy::NotReused reason = policy::NotReused::absent;       ///< of a miss
  std::string_view tier;                                      ///< that serves it; empty where the origin is asked
  bool would_validate = false;             ///< the origin is asked whether what is stored still holds
  bool is_filling = false;                 ///< another request is fetching the same
  std::vector<store::StoredPtr> variants;  ///< all that memory holds under the key
};

}  // namespace larder::proxy
