#pragma once
// UTF-8 (RFC 3629): shortest forms only, no surrogates, nothing above U+10FFFF.
#include <cstddef>
#include <string_view>

namespace larder::http {

/// What stands in front of a text.
struct Utf8Step {
  std::size_t size = 0;     ///< bytes: of one character, or of what a decoder replaces by one U+FFFD
  bool well_formed = true;  ///< it is a character
};

/// The first character of `text`, or the longest part in front of it that begins one and goes wrong (one byte at
/// least), as the Encoding Standard's decoder replaces it. Of an empty text the size is 0.
Utf8Step utf8_step(std::string_view text) noexcept;

/// True where all of `text` is well-formed. Linear.
bool is_utf8(std::string_view text) noexcept;

}  // namespace larder::http
