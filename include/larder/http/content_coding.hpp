#pragma once
// Content codings: what a client accepts (Accept-Encoding, RFC 9110 §12.5.3) and what a response has (Content-Encoding,
// §8.4). Pure; allocates nothing.
#include <array>
#include <cstddef>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// The codings that are told apart.
enum class Coding : unsigned char {
  identity,  ///< none
  gzip,      ///< RFC 1952, also written "x-gzip" (RFC 9110 §8.4.1.3)
  br,        ///< Brotli, RFC 7932
  zstd,      ///< Zstandard, RFC 8878 with RFC 9659's window
  other      ///< any other one, deflate and compress among them, and several one upon the other
};

/// The coding's registered name: "identity", "gzip", "br", "zstd"; empty for `other`.
std::string_view to_string(Coding coding) noexcept;

/// The coding that one name stands for, in any case; `other` for what is not known.
Coding parse_coding(std::string_view name) noexcept;

/// The coding of a message with these fields, all Content-Encoding lines taken together. `identity` where there is no
/// member; `other` where there are several.
Coding content_coding(FieldSpan fields) noexcept;

/// What the Accept-Encoding lines of a request say. Small, and copied freely.
class AcceptEncoding {
 public:
  /// As of a request without Accept-Encoding: identity only. (§12.5.3 lets a server send any coding then; but who says
  /// nothing of codings mostly understands none.)
  AcceptEncoding() noexcept = default;

  /// Reads all lines together. Never fails: a member whose weight is malformed counts as "q=0"; of several members for
  /// the same coding the lowest weight counts, as no fault shall make a coding acceptable.
  static AcceptEncoding of(FieldSpan request_fields) noexcept;

  /// How much the client wants `coding`, in thousandths; 0 where it is not acceptable. A name in the list goes before
  /// "*". Identity that the list does not speak of is acceptable, but after all that is listed: 1. So it is where the
  /// field is there and empty: 1000, and 0 for all others. `other` is never acceptable, since nobody knows what it is.
  [[nodiscard]] unsigned quality(Coding coding) const noexcept;

  /// True where gzip, br or zstd is acceptable.
  [[nodiscard]] bool accepts_any_coding() const noexcept;

 private:
  std::array<unsigned short, 4> quality_{1000, 0, 0, 0};  ///< by Coding, without `other`
};

}  // namespace larder::http
