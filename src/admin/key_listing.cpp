#include "larder/admin/key_listing.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "larder/admin/endpoint.hpp"

namespace larder::admin {
namespace {

// Decimal digits and nothing else.
std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

Answer bad_limit(std::string_view value) {
  return failure(400, "bad_limit",
                 fmt::format("limit={} is not a number from 1 to {}", value.substr(0, 64), ListOrder::max_limit));
}

// Sets one parameter; an answer where its value is impossible.
std::optional<Answer> set(ListOrder& order, std::string_view name, std::string value) {
  if (name == "pattern") {
    if (value.empty() || value.size() > ListOrder::max_pattern) {
      return failure(400, "bad_pattern",
                     fmt::format("pattern has {} bytes; right would be a key glob of 1 to {} bytes, such as "
                                 "cache:search:*",
                                 value.size(), ListOrder::max_pattern));
    }
    order.pattern = std::move(value);
  } else if (name == "limit") {
    const auto limit = parse_digits(value);
    if (!limit || *limit == 0 || *limit > ListOrder::max_limit) return bad_limit(value);
    order.limit = static_cast<std::size_t>(*limit);
  } else if (name == "sort") {
    if (value != "hits") {
      return failure(
          400, "bad_sort",
          fmt::format("sort={} is not known; right would be hits, or none for no order", value.substr(0, 64)));
    }
    order.by_hits = true;
  } else {
    const auto cursor = parse_cursor(value);
    if (!cursor) {
      return failure(400, "bad_cursor",
                     fmt::format("cursor={} is none of ours; right would be the \"cursor\" of the page before, or none "
                                 "for the first page",
                                 value.substr(0, 64)));
    }
    order.cursor = *cursor;
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, 4> parameter_names{"pattern", "limit", "cursor", "sort"};

}  // namespace

std::string encode(const Cursor& cursor) {
  return fmt::format("{}{}", cursor.tier == Cursor::Tier::memory ? 'm' : 'r', cursor.position);
}

std::optional<Cursor> parse_cursor(std::string_view text) noexcept {
  if (text.empty() || (text.front() != 'm' && text.front() != 'r')) return std::nullopt;
  const auto position = parse_digits(text.substr(1));
  if (!position) return std::nullopt;
  return Cursor{.tier = text.front() == 'm' ? Cursor::Tier::memory : Cursor::Tier::redis, .position = *position};
}

std::variant<ListOrder, Answer> parse_list_order(std::string_view query) {
  ListOrder order;
  std::array<bool, parameter_names.size()> seen{};
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (parameter.empty()) continue;
    const auto equals = std::min(parameter.find('='), parameter.size());
    const auto name = parameter.substr(0, equals);
    const auto known = std::ranges::find(parameter_names, name);
    if (known == parameter_names.end()) {
      return failure(
          400, "unknown_parameter",
          fmt::format("there is no parameter {}; known are pattern, limit, cursor and sort", name.substr(0, 64)));
    }
    auto& is_repeated = seen[static_cast<std::size_t>(known - parameter_names.begin())];
    if (std::exchange(is_repeated, true)) {
      return failure(400, "repeated_parameter", fmt::format("{} comes twice; give it once", name));
    }
    auto value = percent_decoded(parameter.substr(std::min(equals + 1, parameter.size())));
    if (!value) {
      return failure(400, "bad_encoding",
                     fmt::format("the value of {} has a '%' without two hex digits; write %25 for a '%'", name));
    }
    // An empty value is as good as none: "?pattern=&limit=10".
    if (value->empty()) continue;
    if (auto wrong = set(order, name, std::move(*value))) return std::move(*wrong);
  }
  if (order.by_hits && order.cursor != Cursor{}) {
    return failure(400, "bad_cursor", "sort=hits has one page; leave cursor out, and raise limit for more");
  }
  return order;
}

bool is_expired(const store::StoredResponse& stored, policy::TimePoint now) {
  using std::chrono::seconds;
  const auto lifetime = stored.lifetime();
  // In seconds, as the difference of two far-off times does not fit into the clock's own unit.
  const auto kept = std::chrono::floor<seconds>(now).time_since_epoch() -
                    std::chrono::floor<seconds>(lifetime.response_time).time_since_epoch();
  return kept >= lifetime.retention(stored.has_validator());
}

KeyRow row_of(const store::MemoryEntry& entry) {
  const auto& stored = *entry.stored;
  return {.key = std::string(stored.key()),
          .base_key = std::string(stored.base_key()),
          .type = std::string(stored.type()),
          .target = std::string(stored.target()),
          .tags = stored.tags().strings(),
          .lifetime = stored.lifetime(),
          .size = stored.body().size(),
          .hits = entry.hits,
          .status = stored.status(),
          .in_memory = true,
          .in_redis = false};
}

KeyRow row_of(const store::RecordSummary& summary) {
  return {.key = summary.key,
          .base_key = summary.key.substr(0, summary.base_key_size),
          .type = summary.type,
          .target = summary.target,
          .tags = summary.tags,
          .lifetime = summary.lifetime,
          .size = summary.body_size,
          .hits = 0,
          .status = std::nullopt,
          .in_memory = false,
          .in_redis = true};
}

Json to_json(const KeyRow& row, policy::TimePoint now) {
  const auto age = row.lifetime.current_age(now);
  Json json{{"key", row.key},
            {"type", row.type},
            {"target", row.target},
            {"age", age.count()},
            {"ttl", -row.lifetime.staleness(now).count()},
            {"size", row.size},
            {"hits", row.hits},
            {"tags", row.tags},
            {"tier", Json::array()}};
  if (row.in_memory) json["tier"].push_back("memory");
  if (row.in_redis) json["tier"].push_back("redis");
  if (row.status) json["status"] = *row.status;
  if (row.base_key != row.key) json["variant_of"] = row.base_key;
  return json;
}

void KeyPage::add(KeyRow row) {
  const auto [place, is_new] = index_.try_emplace(row.key, rows_.size());
  if (is_new) {
    rows_.push_back(std::move(row));
    return;
  }
  auto& known = rows_[place->second];
  known.in_memory = known.in_memory || row.in_memory;
  known.in_redis = known.in_redis || row.in_redis;
}

std::string_view to_string(RemoteReach reach) noexcept {
  switch (reach) {
    case RemoteReach::not_configured:
      return "not_configured";
    case RemoteReach::unreadable:
      return "unreadable";
    case RemoteReach::read:
      return "read";
  }
  return {};
}

Json to_json(const KeyPage& page, const std::optional<Cursor>& next, RemoteReach reach, policy::TimePoint now) {
  auto keys = Json::array();
  for (const auto& row : page.rows()) keys.push_back(to_json(row, now));
  Json json{{"keys", std::move(keys)}, {"count", page.size()}, {"cursor", nullptr}, {"redis", to_string(reach)}};
  if (next) json["cursor"] = encode(*next);
  return json;
}

}  // namespace larder::admin
