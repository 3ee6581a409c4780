#pragma once
// Validators: entity tags and their comparison (RFC 9110 §8.8.3), and the lists that If-None-Match holds (§13.1.2).
#include <optional>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// An entity tag as a view of the field value it was read from.
struct EntityTag {
  bool weak = false;
  std::string_view opaque;  ///< what stands between the quotes
};

/// Reads exactly one entity-tag: `"x"` or `W/"x"` (the W is case-sensitive, the quotes are not optional). A backslash
/// is an ordinary byte. Anything else is an empty optional.
std::optional<EntityTag> parse_entity_tag(std::string_view text) noexcept;

/// The ETag of a head: an empty optional where there is none, more than one line, or one that is malformed.
std::optional<EntityTag> entity_tag(FieldSpan fields) noexcept;

/// Strong comparison (§8.8.3.2): neither is weak and the opaque parts are equal byte for byte.
bool strong_match(const EntityTag& a, const EntityTag& b) noexcept;
/// Weak comparison (§8.8.3.2): the opaque parts are equal byte for byte.
bool weak_match(const EntityTag& a, const EntityTag& b) noexcept;

/// True where the If-None-Match lines of a request name the stored ETag (weak comparison), or are "*", so that the
/// condition is false (§13.1.2). Malformed members match nothing and hide nothing. "*" counts only where it is the
/// whole field. False where there is no such field.
bool if_none_match_names(FieldSpan request_fields, const std::optional<EntityTag>& stored) noexcept;

}  // namespace larder::http
