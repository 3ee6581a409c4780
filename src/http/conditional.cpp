#include "larder/http/conditional.hpp"

#include "larder/http/http_date.hpp"
#include "larder/http/validator.hpp"

namespace larder::http {

Precondition evaluate_for_cache(std::string_view method, FieldSpan request_fields, int stored_status,
                                FieldSpan stored_fields, std::chrono::system_clock::time_point now) {
  if (stored_status != 200 || (method != "GET" && method != "HEAD")) return Precondition::proceed;
  if (find(request_fields, "If-None-Match") != nullptr) {
    return if_none_match_names(request_fields, entity_tag(stored_fields)) ? Precondition::not_modified
                                                                          : Precondition::proceed;
  }
  const Field* since = find(request_fields, "If-Modified-Since");
  if (since == nullptr || count(request_fields, "If-Modified-Since") != 1) return Precondition::proceed;
  const auto since_time = parse_http_date(since->value, now);
  if (!since_time) return Precondition::proceed;
  const Field* modified = find(stored_fields, "Last-Modified");
  if (modified == nullptr) modified = find(stored_fields, "Date");
  if (modified == nullptr) return Precondition::proceed;
  const auto modified_time = parse_http_date(modified->value, now);
  return modified_time && *modified_time <= *since_time ? Precondition::not_modified : Precondition::proceed;
}

bool has_origin_preconditions(FieldSpan request_fields) noexcept {
  return find(request_fields, "If-Match") != nullptr || find(request_fields, "If-Unmodified-Since") != nullptr;
}

bool has_cache_preconditions(FieldSpan request_fields) noexcept {
  return find(request_fields, "If-None-Match") != nullptr || find(request_fields, "If-Modified-Since") != nullptr;
}

}  // namespace larder::http
