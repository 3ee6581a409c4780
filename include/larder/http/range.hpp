#pragma once
// Range requests on a stored whole (RFC 9110 §14), and the forms of their answers.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// Most parts that one answer may have; a request for more is answered with the whole.
inline constexpr std::size_t max_byte_ranges = 16;

/// A part of a body, both ends included, in bytes from 0.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  /// Bytes in the range.
  [[nodiscard]] std::uint64_t size() const noexcept { return last - first + 1; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// How to answer.
struct RangeDecision {
  enum class Kind : unsigned char {
    whole,         ///< 200 with everything: no Range, or one that is ignored
    partial,       ///< 206: one range is a plain part, several are multipart/byteranges in this order
    unsatisfiable  ///< 416 with unsatisfied_content_range()
  } kind = Kind::whole;
  std::vector<ByteRange> ranges;  ///< of `partial`, within the body, none overlapping
};

/// Decides for a stored 200 of `size` bytes whose preconditions (§13.2.2) were evaluated before. Only GET and the unit
/// "bytes" have ranges. Ignored, and so answered with the whole: a malformed Range, several Range lines, more than
/// max_byte_ranges parts, parts that overlap (§14.2: hostile sets), and a Range whose If-Range does not hold.
/// If-Range holds for an ETag equal in strong comparison, or for a date that is the stored Last-Modified byte for byte
/// and at least one second before the stored Date (§8.8.2.2, §13.1.5).
RangeDecision decide_range(std::string_view method, FieldSpan request_fields, FieldSpan stored_fields,
                           std::uint64_t size);

/// "bytes 0-9/100", or "bytes 0-9/*" where the size is unknown: Content-Range of a 206 and of each part (§14.4).
std::string content_range(ByteRange range, std::optional<std::uint64_t> size);
/// "bytes */100": Content-Range of a 416 (§15.5.17).
std::string unsatisfied_content_range(std::uint64_t size);

/// A boundary made of 128 random bits, which no body holds but by chance (RFC 2046 §5.1.1).
std::string multipart_boundary(std::uint64_t random_high, std::uint64_t random_low);
/// "multipart/byteranges; boundary=...": Content-Type of a 206 with several parts (§14.6).
std::string multipart_content_type(std::string_view boundary);
/// What stands before a part's bytes, its leading CRLF included. `content_type` is the stored one; none where empty.
std::string multipart_part_head(std::string_view boundary, std::string_view content_type, ByteRange range,
                                std::optional<std::uint64_t> size);
/// What stands after the last part's bytes.
std::string multipart_end(std::string_view boundary);

}  // namespace larder::http
