#pragma once
// The form of a stored response in Redis: a versioned binary record with a checksum; bodies over a threshold are zlib
// compressed (RFC 1950). Little-endian, length-prefixed, no pointer is trusted: any byte string may come back from
// Redis, and everything that is not a whole valid record decodes to a named error.
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Parameters of the codec.
struct CodecParameters {
  std::size_t compress_threshold = 1024;  ///< bytes; bodies larger than this are compressed; 0 compresses none
  int compress_level = 6;                 ///< zlib level 1..9
  std::size_t max_body = 64UL << 20;      ///< bytes; a record that claims a larger body does not decode
};

/// Why a record did not decode.
enum class DecodeError : unsigned char {
  not_a_record,  ///< the magic or version is not ours
  truncated,     ///< a length points past the end
  checksum,      ///< the checksum differs
  body,          ///< the compressed body does not inflate to its stated size
  value          ///< a field holds an impossible value
};
std::string_view to_string(DecodeError error) noexcept;

/// A marker under a base key: the resource varies; look under the key made with these names.
struct VaryMarker {
  std::string canonical;
  std::vector<std::string> names;  ///< lower case, sorted
  PurgeStamp stamp;
};

/// What the fixed front of a record tells without its body (GETRANGE of the first kilobytes suffices): enough to decide
/// whether it is alive, and to list it.
struct RecordSummary {
  std::string key;
  std::size_t base_key_size = 0;
  std::string type;
  std::string target;
  std::vector<std::string> tags;
  PurgeStamp stamp;
  policy::Lifetime lifetime;
  std::uint64_t body_size = 0;  ///< uncompressed
  [[nodiscard]] policy::PurgeSubject subject() const noexcept;
};

std::string encode(const StoredResponse& response, const CodecParameters& parameters);
std::string encode(const VaryMarker& marker);
/// Decodes either kind of record. `sequence`: what the stamp of the result says (this node's count is not in Redis).
std::variant<DecodeError, StoredPtr, VaryMarker> decode(std::string_view record, const CodecParameters& parameters,
                                                         std::uint64_t sequence = 0);
/// Decodes the front of a stored response's record; `front` may be cut off anywhere behind it. DecodeError::truncated
/// where it needs more bytes.
std::variant<DecodeError, RecordSummary> summarise(std::string_view front);

}  // namespace larder::store
