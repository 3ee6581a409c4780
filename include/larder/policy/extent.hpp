#pragma once
// Incomplete responses: which bytes of a representation are stored, what they can answer, what is missing, and how
// parts are combined (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7.3). Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/message.hpp"
#include "larder/http/range.hpp"

namespace larder::policy {

/// Most separate ranges that one stored response may hold; with more the newest part alone is kept.
inline constexpr std::size_t max_extent_ranges = 16;

/// The bytes of a representation that an incomplete stored response holds. None at all are held after a HEAD.
struct Extent {
  std::vector<http::ByteRange> ranges;           ///< ascending, neither overlapping nor adjacent
  std::optional<std::uint64_t> complete_length;  ///< bytes of the whole representation, where known

  /// Bytes held.
  [[nodiscard]] std::uint64_t size() const noexcept;
  /// True where everything is held: then it is no incomplete response any more.
  [[nodiscard]] bool is_whole() const noexcept;
  /// True where all bytes of `range` are held.
  [[nodiscard]] bool holds(http::ByteRange range) const noexcept;
  /// Where the byte at `position`, which must be held, lies in the bytes held.
  [[nodiscard]] std::uint64_t offset_of(std::uint64_t position) const noexcept;
  /// True where the ranges are as described above and end within the complete length.
  [[nodiscard]] bool is_valid() const noexcept;
  friend bool operator==(const Extent&, const Extent&) = default;
};

/// The ranges of an answer from an incomplete response: what a GET with Range wants, where all of it is held. Empty
/// where something is missing, where it is the whole that is wanted (no Range, or one that is ignored, or an If-Range
/// that does not hold), and where no range is satisfiable: that is the origin's to say.
std::vector<http::ByteRange> held_ranges(const http::RequestHead& request, http::FieldSpan stored_fields,
                                         const Extent& extent);

/// True where an incomplete response can answer the request by itself: a HEAD, or a GET for ranges that are held.
bool can_answer(const http::RequestHead& request, http::FieldSpan stored_fields, const Extent& extent);

/// One range to ask the origin for.
struct Gap {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;  ///< to the end where empty
  friend bool operator==(const Gap&, const Gap&) = default;
};

/// What is missing for this GET, as one range, so that it and what is held make the answer. Empty where nothing wanted
/// is held, where one range would span all that is wanted, or where the stored response has no strong ETag, without
/// which nothing may be combined (RFC 9111 §3.4).
std::optional<Gap> missing_range(const http::RequestHead& request, http::FieldSpan stored_fields, const Extent& extent);

/// "bytes=5-", "bytes=5-9": the Range field that asks for it.
std::string range_field(const Gap& gap);

/// True where both have the same strong entity tag, once each.
bool share_strong_validator(http::FieldSpan a, http::FieldSpan b) noexcept;

/// A part and its bytes.
struct PartialBody {
  Extent extent;
  std::string bytes;
};

/// Puts a newly received part and what is held together; the newer bytes stand where both have some. Empty where their
/// complete lengths differ or the result had too many ranges. `part` must have the size of `bytes`.
std::optional<PartialBody> combine(const Extent& held, std::string_view held_bytes, http::ByteRange part,
                                   std::string_view bytes, std::optional<std::uint64_t> complete_length);

}  // namespace larder::policy
