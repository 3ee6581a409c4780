#pragma once
// The form of a stored response in Redis: a versioned binary record with a checksum; bodies over a threshold are zlib
// compressed (RFC 1950). Little-endian, length-prefixed, no pointer is trusted: any byte string may come back from
// Redis, and everything that is not a whole valid record decodes to a named error. The checksum (CRC-32) is against
// damage; against forgery, every value that could break out of a reply head is refused too.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/store/stored_response.hpp"

namespace larder::store {

/// Bytes at the beginning of a record that differ between records of different fronts: they hold a checksum of it.
inline constexpr std::size_t record_header_size = 28;

/// Parameters of the codec.
struct CodecParameters {
  std::size_t compress_threshold = 1024;  ///< bytes; bodies larger than this are compressed; 0 compresses none
  int compress_level = 6;                 ///< zlib level 1..9
  std::size_t max_body = 64UL << 20;      ///< bytes; a record that claims a larger body does not decode
};

/// Why a record did not decode.
enum class DecodeError : unsigned char {
  not_a_record,  ///< the magic, version or kind is not ours (or not the kind that was asked for)
  truncated,     ///< a length points past the end, of the record or of the part it lies in
  checksum,      ///< the checksum differs
  body,          ///< the compressed body does not inflate to its stated size
  value          ///< a field holds an impossible value
};
/// The enumerator's own name, for logs.
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
  std::string origin;
  std::string target;
  std::vector<std::string> tags;
  PurgeStamp stamp;
  policy::Lifetime lifetime;
  std::uint64_t body_size = 0;  ///< uncompressed
  [[nodiscard]] policy::PurgeSubject subject() const noexcept;
};

/// The record of a stored response. Without its stamp's sequence, which means nothing elsewhere; times in milliseconds
/// of the system clock. A body that is content-coded already, or does not shrink, is not compressed.
std::string encode(const StoredResponse& response, const CodecParameters& parameters);
/// The record of a marker.
std::string encode(const VaryMarker& marker);
/// Decodes either kind of record. `sequence`: what the stamp of the result says (this node's count is not in Redis), to
/// be loaded before the record is judged; with 0 it counts as older than every purge that this node remembers.
/// Allocates no more than a small multiple of the record's size, plus `max_body` where the record is long enough to
/// hold so much.
std::variant<DecodeError, StoredPtr, VaryMarker> decode(std::string_view record, const CodecParameters& parameters,
                                                        std::uint64_t sequence = 0);
/// Decodes the front of a stored response's record; `front` may be cut off anywhere behind it. DecodeError::truncated
/// where it needs more bytes. The rest of the record is not looked at.
std::variant<DecodeError, RecordSummary> summarise(std::string_view front);

}  // namespace larder::store
