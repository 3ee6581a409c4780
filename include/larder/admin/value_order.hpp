#pragma once
// What requests of the key-value API ask for: keys, bodies, their bounds. Pure.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/policy/namespaces.hpp"
#include "larder/proxy/values.hpp"

namespace larder::admin {

/// The members of a JSON object as they stand in `text`, by name, so that a value is kept byte for byte (no number is
/// rounded). 400 for what is no JSON object, or names a member twice.
std::variant<std::map<std::string, std::string_view>, Answer> members_of(std::string_view text);

/// {"key","value","ttl","lease"}.
struct SetOrder {
  std::string key;
  std::string text;                         ///< the value as JSON
  std::optional<std::chrono::seconds> ttl;  ///< empty: the namespace's
  std::string lease;                        ///< empty: none
};
/// 400 and 413 say what is wrong.
std::variant<SetOrder, Answer> parse_set(std::string_view body, const proxy::ValueParameters& bounds);

/// {"keys":[…]}.
std::variant<std::vector<std::string>, Answer> parse_keys(std::string_view body, const proxy::ValueParameters& bounds);

/// {"key","lease","wait"}: how long the lease is to be, and how long to wait for somebody else's.
struct LeaseOrder {
  std::string key;
  std::chrono::milliseconds lease{0};
  std::chrono::milliseconds wait{0};
};
std::variant<LeaseOrder, Answer> parse_lease_order(std::string_view body, const proxy::ValueParameters& bounds);

/// {"key","lease"}: the token of a lease that is given back.
struct ReleaseOrder {
  std::string key;
  std::string lease;
};
std::variant<ReleaseOrder, Answer> parse_release(std::string_view body, const proxy::ValueParameters& bounds);

/// A key as it stands behind the path, or, where that is empty, in the query as `key=`: percent-decoded.
std::variant<std::string, Answer> key_of(std::string_view raw_path, std::string_view query,
                                         const proxy::ValueParameters& bounds);

/// Why `key` cannot be one (empty, too long, not UTF-8); empty where it can.
std::optional<Answer> wrong_key(std::string_view key, const proxy::ValueParameters& bounds);

/// 415 where the request says that its body is something else than JSON.
std::optional<Answer> wrong_media_type(http::FieldSpan fields);

/// Bytes that the largest right body of each kind may have.
std::size_t most_set_body(const proxy::ValueParameters& bounds) noexcept;
std::size_t most_keys_body(const proxy::ValueParameters& bounds) noexcept;

}  // namespace larder::admin
