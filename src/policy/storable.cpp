#include "larder/policy/storable.hpp"

#include <algorithm>
#include <array>

#include "larder/http/content_range.hpp"
#include "larder/http/hop_by_hop.hpp"
#include "larder/http/target.hpp"
#include "larder/policy/cache_groups.hpp"
#include "larder/policy/targeted_cache_control.hpp"
#include "larder/policy/validation.hpp"
#include "larder/policy/vary.hpp"

namespace larder::policy {

namespace {

bool lists(const std::vector<std::string>& names, std::string_view name) noexcept {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& listed) { return http::iequals(listed, name); });
}

bool has_any(http::FieldSpan fields, std::initializer_list<std::string_view> names) noexcept {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return http::find(fields, name) != nullptr; });
}

// Does the answer depend on a request field that is no part of the cache key? Stored, it would answer requests
// without that field.
bool answers_the_request_alone(const http::RequestHead& request, int status) noexcept {
  switch (status) {
    case 226:  // an instance manipulation that A-IM asked for (RFC 3229)
    case 304:
      return true;
    case 412:
      return has_any(request.fields,
                     {"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"});
    case 417:
      return has_any(request.fields, {"Expect"});
    default:
      return false;
  }
}

bool keeps_set_cookie_out(const ResponseCacheControl& cc, const StoreRule& rule) noexcept {
  return lists(cc.no_cache_fields, "set-cookie") ||
         (!rule.store_despite_private && lists(cc.private_fields, "set-cookie"));
}

// One range in bytes, as asked for; not multipart/byteranges.
bool is_one_part(const http::RequestHead& request, const http::ResponseHead& response) {
  if (request.method != "GET" || http::find(request.fields, "Range") == nullptr) return false;
  const auto content_range = http::parse_content_range(response.fields);
  return content_range && content_range->range;
}

bool is_explicit(LifetimeSource source) noexcept {
  return source == LifetimeSource::s_maxage || source == LifetimeSource::max_age || source == LifetimeSource::expires;
}

// RFC 9110 §9.3.3: what a POST got is what a GET would get.
bool represents_target(const http::RequestHead& request, const http::ResponseHead& response) {
  if (http::count(response.fields, "Content-Location") != 1) return false;
  const http::Target base{std::string(request.scheme), std::string(request.authority), std::string(request.target)};
  const auto location = http::resolve_reference(*http::first_value(response.fields, "Content-Location"), base);
  return location && location->target == base.target && http::same_origin(*location, base);
}

// "Responses with the ... status code MUST NOT be stored by a cache" (RFC 6585 §3 to §6): 428, 429, 431, 511.
bool is_never_cacheable(int status) noexcept {
  return status == 428 || status == 429 || status == 431 || status == 511;
}

NotStored lifetime_refusal(const http::ResponseHead& response, const StoreRule& rule, const Lifetime& lifetime) {
  const bool success = response.status >= 200 && response.status < 300;
  if (lifetime.source == LifetimeSource::none && (!success || !is_heuristically_cacheable(response.status))) {
    return NotStored::status;
  }
  // A 304 is the answer to a request that would otherwise be a 2xx (RFC 9110 §13.2.1), so it confirms nothing else.
  if (success && has_validator(response.fields)) return NotStored::none;
  if (lifetime.no_cache || lifetime.source == LifetimeSource::none) return NotStored::no_freshness_nor_validator;
  // Who sends max-stale or stale-if-error may have it.
  if (rule.honour_client_directives && lifetime.freshness_lifetime > Seconds{0} && !lifetime.must_revalidate) {
    return NotStored::none;
  }
  const Seconds usable =
      lifetime.freshness_lifetime + std::max(lifetime.stale_while_revalidate, lifetime.stale_if_error);
  return lifetime.corrected_initial_age < usable ? NotStored::none : NotStored::no_lifetime;
}

}  // namespace

bool is_understood(int status) noexcept {
  static constexpr std::array<int, 49> understood{200, 201, 202, 203, 204, 205, 206, 207, 208, 300, 301, 302, 303,
                                                  307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410,
                                                  411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429,
                                                  431, 451, 500, 501, 502, 503, 504, 505, 508, 511};
  return std::binary_search(understood.begin(), understood.end(), status);
}

namespace {

NotStored refused_at_sight(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule,
                           const ResponseCacheControl& cc) {
  const bool is_post = request.method == "POST";
  if (is_post && !represents_target(request, response)) return NotStored::method;
  if (!is_post && request.method != "GET" && request.method != "HEAD" && request.method != "QUERY") {
    return NotStored::method;
  }
  if (response.status == 101) return NotStored::upgrade;
  if (response.status < 200 || response.status > 599) return NotStored::status;
  if (rule.honour_client_directives && request.control.has(http::ControlField::caching) &&
      parse_request_cache_control(request.fields).no_store) {
    return NotStored::request_no_store;
  }
  if (response.status == 206) {
    if (!is_one_part(request, response)) return NotStored::partial_content;
  } else if (http::find(response.fields, "Content-Range") != nullptr) {
    return NotStored::partial_content;
  } else if (response.status != 200 && http::find(request.fields, "Range") != nullptr) {
    return NotStored::range_request;
  }
  if (answers_the_request_alone(request, response.status)) return NotStored::status;
  if (is_never_cacheable(response.status) && !rule.status_ttl.contains(response.status)) return NotStored::status;

  // must-understand, once it is obeyed, takes the place of no-store (RFC 9111 §5.2.2.3).
  if (cc.must_understand && !is_understood(response.status)) return NotStored::must_understand;
  if (cc.no_store && !cc.must_understand && !rule.store_despite_no_store) return NotStored::no_store;
  if (cc.is_private && !rule.store_despite_private) return NotStored::private_response;
  return NotStored::none;
}

}  // namespace

NotStored refused_at_sight(const http::RequestHead& request, const http::ResponseHead& response,
                           const StoreRule& rule) {
  return refused_at_sight(request, response, rule, caching_directives(response.fields).cache_control);
}

NotStored storable(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule,
                   const Lifetime& lifetime) {
  if (request.method == "POST" && !is_explicit(lifetime.source)) return NotStored::method;
  const ResponseCacheControl cc = caching_directives(response.fields).cache_control;
  if (const auto refusal = refused_at_sight(request, response, rule, cc); refusal != NotStored::none) return refusal;
  const bool may_set_cookie =
      rule.store_despite_set_cookie || (rule.store_explicit_set_cookie && !rule.ttl && is_explicit(lifetime.source));
  if (!may_set_cookie && has_any(response.fields, {"Set-Cookie", "Set-Cookie2"}) && !keeps_set_cookie_out(cc, rule)) {
    return NotStored::set_cookie;
  }
  if (!rule.per_identity && !rule.store_despite_authorization &&
      http::find(request.fields, "Authorization") != nullptr && !cc.is_public && !cc.s_maxage.present &&
      !cc.must_revalidate) {
    return NotStored::authorization;
  }
  if (vary_names(response.fields).star) return NotStored::vary_star;
  if (cache_groups(response.fields).overflow) return NotStored::cache_groups;
  return lifetime_refusal(response, rule, lifetime);
}

NotStored storable(const http::RequestHead& request, const http::ResponseHead& response, const StoreRule& rule,
                   const Lifetime& lifetime, std::optional<std::uint64_t> length, std::uint64_t max_object) {
  const auto reason = storable(request, response, rule, lifetime);
  return reason == NotStored::none && length.value_or(0) > max_object ? NotStored::too_large : reason;
}

bool lists_fields(http::FieldSpan response_fields) {
  const auto cc = caching_directives(response_fields).cache_control;
  return !cc.no_cache_fields.empty() || !cc.private_fields.empty();
}

bool is_never_stored(std::string_view name) noexcept {
  switch (name.size()) {
    case 3:
      return http::iequals(name, "Age");
    case 7:
      if (http::iequals(name, "Trailer") || http::iequals(name, "X-Cache")) return true;
      break;
    case 11:
      return http::iequals(name, "X-Cache-Key");
    case 14:
      if (http::iequals(name, "Content-Length")) return true;
      break;
    default:
      break;
  }
  return http::is_hop_by_hop(name);
}

http::FieldList stored_fields(http::FieldSpan response_fields, const StoreRule& rule) {
  const ResponseCacheControl cc = caching_directives(response_fields).cache_control;
  http::FieldList kept = http::FieldList::copy_of(response_fields);
  http::remove_hop_by_hop(kept, http::Sender::origin);
  kept.remove_if([&](const http::Field& field) {
    return is_never_stored(field.name) || lists(cc.no_cache_fields, field.name) ||
           (!rule.store_despite_private && lists(cc.private_fields, field.name));
  });
  return kept;
}

}  // namespace larder::policy
