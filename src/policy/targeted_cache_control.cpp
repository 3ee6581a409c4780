#include "larder/policy/targeted_cache_control.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/http/structured_field.hpp"

namespace larder::policy {

namespace {

namespace sf = http::structured;

// A directive that restricts: it counts unless it is ?0, whatever else its value may be.
bool restricts(const sf::Member& value) noexcept {
  const bool* flag = sf::bare_item<bool>(value);
  return flag == nullptr || *flag;
}

// A directive that permits: true alone will do.
bool permits(const sf::Member& value) noexcept {
  const bool* flag = sf::bare_item<bool>(value);
  return flag != nullptr && *flag;
}

DeltaSeconds delta_seconds(const sf::Member& value) noexcept {
  const std::int64_t* integer = sf::bare_item<std::int64_t>(value);
  if (integer == nullptr || *integer < 0) return {true, false, Seconds{0}};
  return {true, true, std::min(Seconds{*integer}, max_delta_seconds)};
}

void restrict_fields(const sf::Member& value, bool& unqualified, std::vector<std::string>& names) {
  const std::string* text = sf::bare_item<std::string>(value);
  if (const auto* token = sf::bare_item<sf::Token>(value)) text = &token->text;
  names = text == nullptr ? std::vector<std::string>{} : parse_field_names(*text);
  unqualified = names.empty() && restricts(value);
}

ResponseCacheControl directives_of(const sf::Dictionary& dictionary) {
  ResponseCacheControl cc;
  cc.any = true;
  for (const auto& [name, value] : dictionary) {
    if (name == "max-age") {
      cc.max_age = delta_seconds(value);
    } else if (name == "s-maxage") {
      cc.s_maxage = delta_seconds(value);
    } else if (name == "no-store") {
      cc.no_store = restricts(value);
    } else if (name == "no-cache") {
      restrict_fields(value, cc.no_cache, cc.no_cache_fields);
    } else if (name == "private") {
      restrict_fields(value, cc.is_private, cc.private_fields);
    } else if (name == "public") {
      cc.is_public = permits(value);
    } else if (name == "must-revalidate") {
      cc.must_revalidate = restricts(value);
    } else if (name == "proxy-revalidate") {
      cc.proxy_revalidate = restricts(value);
    } else if (name == "must-understand") {
      cc.must_understand = permits(value);
    } else if (name == "no-transform") {
      cc.no_transform = restricts(value);
    } else if (name == "immutable") {
      cc.immutable = permits(value);
    } else if (name == "stale-while-revalidate") {
      cc.stale_while_revalidate = delta_seconds(value);
    } else if (name == "stale-if-error") {
      cc.stale_if_error = delta_seconds(value);
    }
  }
  return cc;
}

}  // namespace

bool is_targeted_field(std::string_view name) noexcept {
  return std::any_of(targeted_fields.begin(), targeted_fields.end(),
                     [&](std::string_view targeted) { return http::iequals(targeted, name); });
}

CachingDirectives caching_directives(http::FieldSpan response_fields) {
  for (const std::string_view name : targeted_fields) {
    const auto dictionary = sf::parse_dictionary(response_fields, name);
    if (dictionary && !dictionary->empty()) return {directives_of(*dictionary), true, name};
  }
  return {parse_response_cache_control(response_fields), false, "Cache-Control"};
}

}  // namespace larder::policy
