#include "larder/admin/entry_view.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "larder/http/field_list.hpp"
#include "larder/policy/rules.hpp"
#include "larder/policy/vary.hpp"

namespace larder::admin {
namespace {

Json tier_json(const Found& found) {
  auto tiers = Json::array();
  if (found.in_memory) tiers.push_back("memory");
  if (found.in_redis) tiers.push_back("redis");
  return tiers;
}

Json lifetime_json(const policy::Lifetime& lifetime, std::optional<bool> has_validator, policy::TimePoint now) {
  Json json{{"freshness_lifetime", lifetime.freshness_lifetime.count()},
            {"source", policy::to_string(lifetime.source)},
            {"current_age", lifetime.current_age(now).count()},
            {"corrected_initial_age", lifetime.corrected_initial_age.count()},
            {"response_time", iso_time(lifetime.response_time)},
            {"is_fresh", lifetime.is_fresh(now)},
            {"ttl", -lifetime.staleness(now).count()},
            {"stale_while_revalidate", lifetime.stale_while_revalidate.count()},
            {"stale_if_error", lifetime.stale_if_error.count()},
            {"must_revalidate", lifetime.must_revalidate},
            {"no_cache", lifetime.no_cache}};
  if (has_validator) json["retention"] = lifetime.retention(*has_validator).count();
  return json;
}

Json stamp_json(const store::PurgeStamp& stamp) {
  // The epoch is a random 64-bit number, which a double would not hold.
  return {{"epoch", std::to_string(stamp.epoch)}, {"clock", stamp.clock}};
}

// ETag and Last-Modified as they stand in the head; null where there is none.
Json validators_json(http::FieldSpan fields) {
  Json json{{"etag", nullptr}, {"last_modified", nullptr}};
  if (const auto etag = http::first_value(fields, "ETag")) json["etag"] = *etag;
  if (const auto date = http::first_value(fields, "Last-Modified")) json["last_modified"] = *date;
  return json;
}

Json fields_json(http::FieldSpan fields) {
  auto json = Json::array();
  for (const auto& field : fields) json.push_back({{"name", field.name}, {"value", field.value}});
  return json;
}

}  // namespace

Json to_json(const store::StoredResponse& stored, const Found& found, policy::TimePoint now) {
  const auto fields = stored.fields();
  return {{"key", stored.key()},
          {"type", stored.type()},
          {"target", stored.target()},
          {"tags", stored.tags().strings()},
          {"tier", tier_json(found)},
          {"hits", found.hits},
          {"priority", policy::to_string(stored.priority())},
          {"status", stored.status()},
          {"reason", stored.reason()},
          {"fields", fields_json(fields)},
          {"selecting_header_fields", policy::selecting_names(stored.selecting())},
          {"validators", validators_json(fields)},
          {"lifetime", lifetime_json(stored.lifetime(), stored.has_validator(), now)},
          {"purge_stamp", stamp_json(stored.stamp())},
          {"size", stored.body().size()},
          {"memory_size", stored.memory_size()},
          {"body", body_json(stored.body())}};
}

Json to_json(const store::RecordSummary& summary, const Found& found, policy::TimePoint now) {
  return {{"key", summary.key},
          {"type", summary.type},
          {"target", summary.target},
          {"tags", summary.tags},
          {"tier", tier_json(found)},
          {"hits", found.hits},
          {"lifetime", lifetime_json(summary.lifetime, std::nullopt, now)},
          {"purge_stamp", stamp_json(summary.stamp)},
          {"size", summary.body_size},
          {"body", {{"encoding", "omitted"}, {"note", "too large to be fetched from Redis for this"}}}};
}

Json body_json(std::string_view body) {
  if (body.size() > max_shown_body) {
    return {{"encoding", "omitted"},
            {"note", fmt::format("{} bytes; bodies above {} are not shown", body.size(), max_shown_body)}};
  }
  if (is_utf8(body) && body.find('\0') == std::string_view::npos) return {{"encoding", "utf-8"}, {"text", body}};
  return {{"encoding", "base64"}, {"base64", base64(body)}};
}

bool is_utf8(std::string_view bytes) noexcept {
  const auto byte = [&bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned first = byte(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    // The least and the greatest second byte of each length keep out overlong forms, surrogates and what is too large.
    std::size_t size = 0;
    unsigned least = 0x80;
    unsigned greatest = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
      size = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
      size = 3;
      if (first == 0xE0) least = 0xA0;
      if (first == 0xED) greatest = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
      size = 4;
      if (first == 0xF0) least = 0x90;
      if (first == 0xF4) greatest = 0x8F;
    } else {
      return false;
    }
    if (bytes.size() - i < size || byte(i + 1) < least || byte(i + 1) > greatest) return false;
    for (std::size_t k = 2; k < size; ++k) {
      if ((byte(i + k) & 0xC0U) != 0x80) return false;
    }
    i += size;
  }
  return true;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto size = std::min<std::size_t>(3, bytes.size() - i);
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8U | (k < size ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= size ? digits[group >> (18 - 6 * k) & 0x3FU] : '=';
    }
  }
  return out;
}

}  // namespace larder::admin
