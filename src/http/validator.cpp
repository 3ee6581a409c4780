#include "larder/http/validator.hpp"

#include <algorithm>

namespace larder::http {

namespace {

constexpr bool is_etagc(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte <= 0x7E) || byte >= 0x80;
}

// Length of the entity-tag that `s` begins with, or 0.
std::size_t entity_tag_length(std::string_view s) noexcept {
  std::size_t i = s.substr(0, 2) == "W/" ? 2 : 0;
  if (i >= s.size() || s[i] != '"') return 0;
  ++i;
  while (i < s.size() && is_etagc(s[i])) ++i;
  return i < s.size() && s[i] == '"' ? i + 1 : 0;
}

// One line of If-None-Match. http::ListMembers does not do here: in an entity-tag a backslash quotes nothing, and a
// comma belongs to the tag.
bool line_names(std::string_view rest, const EntityTag& stored) noexcept {
  while (!rest.empty()) {
    if (rest.front() == ' ' || rest.front() == '\t' || rest.front() == ',') {
      rest.remove_prefix(1);
      continue;
    }
    const std::size_t length = entity_tag_length(rest);
    const std::string_view after = trim_ows(rest.substr(length));
    if (length > 0 && (after.empty() || after.front() == ',')) {
      const auto tag = parse_entity_tag(rest.substr(0, length));
      if (tag && weak_match(*tag, stored)) return true;
      rest.remove_prefix(length);
    } else {
      rest.remove_prefix(std::min(rest.find(','), rest.size()));
    }
  }
  return false;
}

}  // namespace

std::optional<EntityTag> parse_entity_tag(std::string_view text) noexcept {
  const std::size_t length = entity_tag_length(text);
  if (length == 0 || length != text.size()) return std::nullopt;
  const bool weak = text.front() == 'W';
  const std::size_t skip = weak ? 3 : 1;
  return EntityTag{weak, text.substr(skip, length - skip - 1)};
}

std::optional<EntityTag> entity_tag(FieldSpan fields) noexcept {
  if (count(fields, "ETag") != 1) return std::nullopt;
  return parse_entity_tag(find(fields, "ETag")->value);
}

bool strong_match(const EntityTag& a, const EntityTag& b) noexcept {
  return !a.weak && !b.weak && a.opaque == b.opaque;
}

bool weak_match(const EntityTag& a, const EntityTag& b) noexcept { return a.opaque == b.opaque; }

bool if_none_match_names(FieldSpan request_fields, const std::optional<EntityTag>& stored) noexcept {
  const Field* first = find(request_fields, "If-None-Match");
  if (first == nullptr) return false;
  if (trim_ows(first->value) == "*") return count(request_fields, "If-None-Match") == 1;
  if (!stored) return false;
  return std::any_of(request_fields.begin(), request_fields.end(), [&](const Field& field) {
    return iequals(field.name, "If-None-Match") && line_names(field.value, *stored);
  });
}

}  // namespace larder::http
