#pragma once
// Targeted cache directives (RFC 9213): which field of a response tells this cache what it may do. Every decision about
// a response takes its directives from here, so that all of them see the same ones.
#include <array>
#include <string_view>

#include "larder/http/field_list.hpp"
#include "larder/policy/cache_control.hpp"

namespace larder::policy {

/// The target list (RFC 9213 §2.2): what is meant for Larder alone before what is meant for all CDN caches.
inline constexpr std::array<std::string_view, 2> targeted_fields{"Larder-Cache-Control", "CDN-Cache-Control"};

/// True where `name` is on the target list. Case-insensitive.
bool is_targeted_field(std::string_view name) noexcept;

/// The directives that govern a response in this cache.
struct CachingDirectives {
  ResponseCacheControl cache_control;
  bool targeted = false;   ///< from a targeted field: Cache-Control, Expires and Pragma are to be ignored then
  std::string_view field;  ///< the field they are from, as spelt in the target list; else "Cache-Control"
};

/// Chooses the first field of the target list that is a Structured Fields Dictionary with at least one member (§2.2);
/// where there is none, Cache-Control as parse_response_cache_control() reads it. A targeted field that is empty or has
/// a fault anywhere counts as absent (§2.1).
///
/// In a targeted field names are lower case, the last of repeated directives counts, and parameters and unknown
/// directives are ignored. Directives without an argument count where they are true and not where they are ?0. no-cache
/// and private may have a String with a list of field names, or a Token that is one. A value of another type is not
/// consumed (§2.1), which errs towards less reuse: delta-seconds are then present and invalid (a negative Integer too),
/// what restricts counts in its unqualified form, what permits (public, immutable, must-understand) does not count.
CachingDirectives caching_directives(http::FieldSpan response_fields);

}  // namespace larder::policy
