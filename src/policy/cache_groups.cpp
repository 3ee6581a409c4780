#include "larder/policy/cache_groups.hpp"

#include <algorithm>

#include "larder/http/structured_field.hpp"
#include "larder/http/target.hpp"
#include "larder/policy/selector.hpp"

namespace larder::policy {

namespace {

namespace sf = http::structured;

// Did the parser fail for one of its own bounds? A faulty field that is as long or has as many commas is taken for
// such.
bool may_exceed_parser(std::string_view value) noexcept {
  return value.size() > sf::max_field_size ||
         static_cast<std::size_t>(std::count(value.begin(), value.end(), ',')) >= sf::max_members;
}

enum class LongNames : unsigned char { overflow, left_out };

CacheGroups read_groups(http::FieldSpan fields, std::string_view field, LongNames long_names) {
  CacheGroups groups;
  const auto value = http::combined(fields, field);
  if (!value) return groups;
  const auto list = sf::parse_list(*value);
  if (!list) {
    groups.overflow = may_exceed_parser(*value);
    return groups;
  }
  for (const sf::Member& member : *list) {
    const std::string* name = sf::bare_item<std::string>(member);
    if (name == nullptr) return {};
    if (name->size() > max_cache_group_size) {
      groups.overflow = groups.overflow || long_names == LongNames::overflow;
    } else if (std::find(groups.names.begin(), groups.names.end(), *name) == groups.names.end()) {
      if (groups.names.size() == max_cache_groups) {
        groups.overflow = true;
      } else {
        groups.names.push_back(*name);
      }
    }
  }
  return groups;
}

}  // namespace

CacheGroups cache_groups(http::FieldSpan response_fields) {
  return read_groups(response_fields, "Cache-Groups", LongNames::overflow);
}

CacheGroups invalidated_groups(http::FieldSpan response_fields) {
  return read_groups(response_fields, "Cache-Group-Invalidation", LongNames::left_out);
}

std::string group_tag(std::string_view scheme, std::string_view authority, std::string_view group) {
  std::string tag = own_tag_mark + ("group:" + http::origin_text(scheme, authority));
  tag += ' ';
  tag += group;
  return tag;
}

}  // namespace larder::policy
