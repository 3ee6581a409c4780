#pragma once
// GET /api/cache/entry/{key}: what is told of a stored response. Pure. Request data that may be secret is never shown:
// not the canonical request, and of selecting header fields the names alone.
#include <cstdint>
#include <string>
#include <string_view>

#include "larder/admin/answer.hpp"
#include "larder/store/codec.hpp"
#include "larder/store/stored_response.hpp"

namespace larder::admin {

/// Bodies larger than this many bytes are left out.
inline constexpr std::size_t max_shown_body = 64UL << 10;

/// Where an entry was found.
struct Found {
  bool in_memory = false;
  bool in_redis = false;
  std::uint64_t hits = 0;  ///< counted by the memory tier
};

/// All of a stored response: head, lifetime in the words of RFC 9111, validators, tags, purge stamp, body.
Json to_json(const store::StoredResponse& stored, const Found& found, policy::TimePoint now);
/// The same of one that is too large to be fetched from Redis: what its record's front says.
Json to_json(const store::RecordSummary& summary, const Found& found, policy::TimePoint now);

/// {"encoding":"utf-8","text":…}, {"encoding":"base64","base64":…} or {"encoding":"omitted","note":…}.
Json body_json(std::string_view body);

/// True where the bytes are valid UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
bool is_utf8(std::string_view bytes) noexcept;
/// RFC 4648 §4, padded.
std::string base64(std::string_view bytes);

}  // namespace larder::admin
