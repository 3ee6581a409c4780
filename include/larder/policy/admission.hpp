#pragma once
// What the cache has to do with a request, before anything is looked up. Pure.
#include <cstdint>

#include "larder/http/message.hpp"
#include "larder/policy/normal_request.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/policy/rules.hpp"

namespace larder::policy {

/// Bodies of QUERY up to this many bytes are read whole and are part of the key.
inline constexpr std::uint64_t largest_query = 64UL << 10;

/// Where a request goes.
enum class Way : unsigned char {
  look_up,  ///< a stored response may answer it
  query,    ///< the same, once its content has been read (RFC 10008 §2.7)
  write,    ///< it is unsafe: it goes to the origin, and purges
  pass      ///< it goes to the origin, and the cache has no part in it
};
std::string_view to_string(Way way) noexcept;

/// Where a request goes, and why.
struct Admission {
  Way way = Way::pass;
  NotReused reason = NotReused::none;  ///< of `pass` and `write`: why it is not looked up
  const Route* route = nullptr;        ///< the first that matches for caching, if any; null for methods without one
};

/// Decides for a request with its end-to-end fields.
Admission admit(const RuleSet& rules, const http::RequestHead& request, const RequestTraits& traits);

}  // namespace larder::policy
