#pragma once
// Content-Range as an origin sends it (RFC 9110 §14.4). Our own are written by range.hpp.
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "larder/http/field_list.hpp"
#include "larder/http/range.hpp"

namespace larder::http {

/// Largest position and length that a Content-Range may hold. No body is as long, and a sum of two of them does not
/// overflow.
inline constexpr std::uint64_t max_content_length = std::numeric_limits<std::int64_t>::max();

/// What a Content-Range says of the bytes it comes with. At least one member is present; where both are, the range
/// lies within the complete length.
struct ContentRange {
  std::optional<ByteRange> range;                ///< none in the answer to an unsatisfiable range ("bytes */100")
  std::optional<std::uint64_t> complete_length;  ///< bytes of the whole representation; none where it is unknown ("*")
  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};

/// Reads exactly one Content-Range value of the unit "bytes" (in any case): "bytes 0-9/100", "bytes 0-9/*" or
/// "bytes */100". An empty optional where it is anything else: other units, white space beyond the one SP, signs,
/// a last position before the first or not below the complete length, numbers above max_content_length. Who gets none
/// must not combine the content with a stored one (§14.4). Allocates nothing.
std::optional<ContentRange> parse_content_range(std::string_view value) noexcept;

/// The Content-Range of a head: an empty optional where there is none, more than one line, or one that is malformed.
std::optional<ContentRange> parse_content_range(FieldSpan fields) noexcept;

}  // namespace larder::http
