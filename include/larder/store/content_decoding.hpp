#pragma once
// Taking off a content coding (RFC 9110 §8.4): gzip (RFC 1952), Brotli (RFC 7932), Zstandard (RFC 8878, RFC 9659), for
// clients that accept none. Bytes come from an origin and are not trusted.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "larder/http/content_coding.hpp"

namespace larder::store {

/// Why bytes did not decode. Decoding them again gives the same.
enum class DecodingError : unsigned char {
  damaged,         ///< not in this coding, a checksum or length differs, or the end is missing
  too_large,       ///< more than max_size bytes would come out
  trailing_bytes,  ///< something follows the end that is neither another gzip member nor another Zstandard frame
  unsupported      ///< Coding::other, a Zstandard window of more than 8 MiB (RFC 9659 §3), or a dictionary
};
/// The enumerator's own name, for logs.
std::string_view to_string(DecodingError error) noexcept;

/// The bytes without the coding `coding`; for Coding::identity a copy. All bytes must belong to it: a sequence of gzip
/// members (RFC 1952 §2.2) or of Zstandard frames, skippable ones too (RFC 8878 §3), or one Brotli stream. No bytes at
/// all are damaged, but for identity.
/// Memory: the result grows by doubling, so that it and its former self never take more than three times what has been
/// produced (4 KiB at least), and its size never exceeds max_size; the decoder itself takes up to 32 KiB of window for
/// gzip, 16 MiB for Brotli, 8 MiB for Zstandard, and little more. Time: linear in input and output. Throws
/// std::bad_alloc only.
std::variant<DecodingError, std::string> decode(http::Coding coding, std::string_view bytes, std::size_t max_size);

}  // namespace larder::store
