#pragma once
// GET /api/cache/keys: its parameters, its cursor, and the page that both tiers' entries come together in. Pure.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/store/codec.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::admin {

/// Where a listing goes on: memory is listed first, then Redis.
struct Cursor {
  enum class Tier : unsigned char { memory, redis } tier = Tier::memory;
  std::uint64_t position = 0;  ///< the tier's own cursor; 0 is its beginning
  friend bool operator==(const Cursor&, const Cursor&) = default;
};
/// The text that clients hand back; opaque to them.
std::string encode(const Cursor& cursor);
/// Empty optional for anything that encode() did not make.
std::optional<Cursor> parse_cursor(std::string_view text) noexcept;

/// What is to be listed.
struct ListOrder {
  static constexpr std::size_t default_limit = 100;
  static constexpr std::size_t max_limit = 1000;
  static constexpr std::size_t max_pattern = 4096;  ///< bytes

  std::string pattern = "cache:*";  ///< key glob, as of policy::glob_match
  bool by_hits = false;             ///< the busiest of memory, the busiest first, on one page
  std::size_t limit = default_limit;
  Cursor cursor;
};

/// Reads `pattern`, `limit`, `cursor` and `sort` (which may be "hits") from a query. 400 for unknown and repeated
/// parameters and impossible values.
std::variant<ListOrder, Answer> parse_list_order(std::string_view query);

/// One entry, whichever tier it was found in.
struct KeyRow {
  std::string key;  ///< with its variant suffix
  std::string base_key;
  std::string type;
  std::string target;
  std::vector<std::string> tags;
  policy::Lifetime lifetime;
  std::uint64_t size = 0;     ///< bytes of the body, uncompressed
  std::uint64_t hits = 0;     ///< counted by the memory tier since the entry came there
  std::optional<int> status;  ///< unknown of entries that are in Redis alone
  bool in_memory = false;
  bool in_redis = false;
};
/// True where a stored response is past its retention: it is of no use to anyone, and goes with the next sweep.
bool is_expired(const store::StoredResponse& stored, policy::TimePoint now);
KeyRow row_of(const store::MemoryEntry& entry);
KeyRow row_of(const store::RecordSummary& summary);
/// `age` and `ttl` in seconds; `ttl` is what is left of the freshness lifetime, negative once it is stale.
Json to_json(const KeyRow& row, policy::TimePoint now);

/// The rows of one page in the order of their coming; what is in both tiers is one row.
class KeyPage {
 public:
  /// Adds a row, or its tier to the row that is there already.
  void add(KeyRow row);
  [[nodiscard]] bool contains(const std::string& key) const { return index_.contains(key); }
  [[nodiscard]] std::vector<KeyRow>& rows() noexcept { return rows_; }
  [[nodiscard]] const std::vector<KeyRow>& rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }

 private:
  std::vector<KeyRow> rows_;
  std::unordered_map<std::string, std::size_t> index_;
};

/// Whether a listing tells of Redis.
enum class RemoteReach : unsigned char {
  not_configured,  ///< there is no Redis
  unreadable,      ///< it is away, or its purge log is not (yet) the one we follow: its entries are not used either
  read             ///< it was asked
};
std::string_view to_string(RemoteReach reach) noexcept;

/// The body of the answer. `next` is empty where everything was listed.
Json to_json(const KeyPage& page, const std::optional<Cursor>& next, RemoteReach reach, policy::TimePoint now);

}  // namespace larder::admin
