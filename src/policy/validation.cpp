#include "larder/policy/validation.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "larder/http/hop_by_hop.hpp"
#include "larder/http/http_date.hpp"
#include "larder/http/validator.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/targeted_cache_control.hpp"

namespace larder::policy {

namespace {

// An entity tag that lacks its quotes, and can be nothing else than itself in If-None-Match.
bool is_bare_tag(std::string_view value) noexcept {
  return !value.empty() && value != "*" && std::all_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7F && c != '"' && c != ',';
  });
}

// The ETag value to send back and to compare, or an empty view.
std::string_view usable_etag(http::FieldSpan fields) noexcept {
  const http::Field* field = http::find(fields, "ETag");
  if (field == nullptr || http::count(fields, "ETag") != 1) return {};
  return http::parse_entity_tag(field->value) || is_bare_tag(field->value) ? field->value : std::string_view{};
}

// The Last-Modified value to send back and to compare, or an empty view.
std::string_view usable_last_modified(http::FieldSpan fields) noexcept {
  const http::Field* field = http::find(fields, "Last-Modified");
  if (field == nullptr || http::count(fields, "Last-Modified") != 1) return {};
  // Only whether it is a date matters here, not which century.
  return http::parse_http_date(field->value, TimePoint{}) ? field->value : std::string_view{};
}

// What the stored bytes are to be read by (RFC 9111 §3.2: what the stored response depends upon).
bool belongs_to_body(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 2> names{"Content-Encoding", "Content-Range"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view own) { return http::iequals(own, name); });
}

bool lists(const std::vector<std::string>& names, std::string_view name) noexcept {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& listed) { return http::iequals(listed, name); });
}

// The directives of the freshened response: a field of the 304 takes the place of the stored one, which stands where
// the 304 has none.
ResponseCacheControl directives_after(http::FieldSpan stored_fields, http::FieldSpan not_modified_fields) {
  const auto governs = [](std::string_view name) {
    return http::iequals(name, "Cache-Control") || is_targeted_field(name);
  };
  std::vector<http::Field> fields;
  for (const http::Field& field : not_modified_fields) {
    if (governs(field.name)) fields.push_back(field);
  }
  for (const http::Field& field : stored_fields) {
    if (governs(field.name) && http::find(not_modified_fields, field.name) == nullptr) fields.push_back(field);
  }
  return caching_directives(fields).cache_control;
}

// Fields that are stored by leave of a rule only; the stored response shows whether it was given.
bool needs_leave(const ResponseCacheControl& cc, std::string_view name) noexcept {
  return http::iequals(name, "Set-Cookie") || http::iequals(name, "Set-Cookie2") || lists(cc.no_cache_fields, name) ||
         lists(cc.private_fields, name);
}

}  // namespace

bool has_validator(http::FieldSpan stored_fields) noexcept {
  return !usable_etag(stored_fields).empty() || !usable_last_modified(stored_fields).empty();
}

void remove_preconditions(http::FieldList& request_fields) {
  static constexpr std::array<std::string_view, 6> preconditions{
      "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"};
  request_fields.remove_if([](const http::Field& field) {
    return std::any_of(preconditions.begin(), preconditions.end(),
                       [&](std::string_view name) { return http::iequals(field.name, name); });
  });
}

void add_validators(http::FieldList& request_fields, http::FieldSpan stored_fields) {
  remove_preconditions(request_fields);
  if (const auto etag = usable_etag(stored_fields); !etag.empty()) request_fields.add("If-None-Match", etag);
  if (const auto date = usable_last_modified(stored_fields); !date.empty()) {
    request_fields.add("If-Modified-Since", date);
  }
}

http::FieldList freshen(http::FieldSpan stored_fields, http::FieldSpan not_modified_fields) {
  const ResponseCacheControl cc = directives_after(stored_fields, not_modified_fields);
  http::FieldList taken = http::FieldList::copy_of(not_modified_fields);
  http::remove_hop_by_hop(taken, http::Sender::origin);
  taken.remove_if([&](const http::Field& field) {
    return is_never_stored(field.name) || belongs_to_body(field.name) ||
           (needs_leave(cc, field.name) && http::find(stored_fields, field.name) == nullptr);
  });

  std::vector<http::Field> merged;
  merged.reserve(stored_fields.size() + taken.size());
  const auto take = [&](std::string_view name) {
    for (const http::Field& field : taken.span()) {
      if (http::iequals(field.name, name)) merged.push_back(field);
    }
  };
  for (const http::Field& field : stored_fields) {
    if (http::find(taken, field.name) == nullptr) {
      merged.push_back(field);
    } else if (http::find(merged, field.name) == nullptr) {
      take(field.name);
    }
  }
  for (const http::Field& field : taken.span()) {
    if (http::find(stored_fields, field.name) == nullptr) merged.push_back(field);
  }
  return http::FieldList::copy_of(merged);
}

Lifetime compute_freshened_lifetime(int stored_status, http::FieldSpan freshened, http::FieldSpan not_modified_fields,
                                    const StoreRule& rule, TimePoint request_time, TimePoint response_time) {
  std::vector<http::Field> fields(freshened.begin(), freshened.end());
  // Without a Date of its own the 304 was made now (RFC 9110 §6.6.1); the stored one is of the earlier answer.
  if (http::find(not_modified_fields, "Date") == nullptr) {
    std::erase_if(fields, [](const http::Field& field) { return http::iequals(field.name, "Date"); });
  }
  for (const http::Field& field : not_modified_fields) {
    if (http::iequals(field.name, "Age")) fields.push_back(field);
  }
  http::ResponseHead head;
  head.status = stored_status;
  head.fields = fields;
  return compute_lifetime(head, rule, request_time, response_time);
}

http::FieldList decoded_fields(http::FieldSpan stored_fields) {
  static constexpr std::array<std::string_view, 5> of_coded_bytes{"Content-Encoding", "Content-MD5", "Content-Digest",
                                                                  "Repr-Digest", "Digest"};
  http::FieldList fields;
  for (const http::Field& field : stored_fields) {
    if (std::any_of(of_coded_bytes.begin(), of_coded_bytes.end(),
                    [&](std::string_view name) { return http::iequals(field.name, name); })) {
      continue;
    }
    const auto tag = http::iequals(field.name, "ETag") ? http::parse_entity_tag(field.value) : std::nullopt;
    if (tag && !tag->weak) {
      fields.add(field.name, "W/" + std::string(field.value));
    } else {
      fields.add(field.name, field.value);
    }
  }
  return fields;
}

bool is_head_of(http::FieldSpan head_fields, std::optional<std::uint64_t> head_length, http::FieldSpan stored_fields,
                std::optional<std::uint64_t> stored_length) noexcept {
  for (const std::string_view name : {std::string_view("ETag"), std::string_view("Last-Modified")}) {
    const auto received = http::first_value(head_fields, name);
    if (received && received != http::first_value(stored_fields, name)) return false;
  }
  return !head_length || !stored_length || *head_length == *stored_length;
}

bool confirms(http::FieldSpan not_modified_fields, http::FieldSpan stored_fields) noexcept {
  if (const http::Field* etag = http::find(not_modified_fields, "ETag")) {
    const std::string_view stored_etag = usable_etag(stored_fields);
    const auto tag = http::entity_tag(not_modified_fields);
    const auto stored_tag = http::parse_entity_tag(stored_etag);
    if (!tag || !stored_tag) {
      return !stored_etag.empty() && usable_etag(not_modified_fields) == stored_etag && etag->value == stored_etag;
    }
    return tag->weak ? http::weak_match(*tag, *stored_tag) : http::strong_match(*tag, *stored_tag);
  }
  if (const http::Field* modified = http::find(not_modified_fields, "Last-Modified")) {
    const http::Field* stored_modified = http::find(stored_fields, "Last-Modified");
    if (stored_modified == nullptr) return false;
    if (modified->value == stored_modified->value) return true;
    const auto time = http::parse_http_date(modified->value, TimePoint{});
    const auto stored_time = http::parse_http_date(stored_modified->value, TimePoint{});
    return time && stored_time && *time == *stored_time;
  }
  return true;
}

}  // namespace larder::policy
