#pragma once
// Cache Groups (RFC 9875): responses of one origin that are invalidated together.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

/// Most groups that one field may name, and the most bytes of a name. The RFC asks for 32 of each at least (§2, §3).
inline constexpr std::size_t max_cache_groups = 64;
inline constexpr std::size_t max_cache_group_size = 256;

/// Groups that a field names.
struct CacheGroups {
  std::vector<std::string> names;  ///< printable ASCII (may be empty strings), unique, in order of first appearance
  bool overflow = false;           ///< there were more than `names` can hold
};

/// The groups that a response belongs to: Cache-Groups (§2), a List of Strings; parameters are ignored. Compared byte
/// for byte. A field with a fault, or with a member that is no String, is ignored as a whole, as Structured Fields ask.
/// On overflow (too many, or one too long) a purge of a missing group could not find the response: it must not be
/// stored.
CacheGroups cache_groups(http::FieldSpan response_fields);

/// The groups that a response invalidates: Cache-Group-Invalidation (§3), of the same form. Only to be asked where the
/// request's method was unsafe: on other responses the field must be ignored (§3). Names that are too long are left
/// out, as no stored response bears them. On overflow (too many) the caller purges more than was named, or can rely on
/// the RFC's "MAY" and lose the rest.
CacheGroups invalidated_groups(http::FieldSpan response_fields);

/// The tag under which purges find the members of a group: groups are of one origin (§2.1), which is `scheme` and
/// `authority` in lower case without the default port. Injective where the authority is valid. Begins with a control
/// byte, so that it is never equal to a tag of the rules.
std::string group_tag(std::string_view scheme, std::string_view authority, std::string_view group);

}  // namespace larder::policy
