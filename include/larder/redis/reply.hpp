#pragma once
// A Redis reply as a value (RESP2, and the RESP3 push type for subscriptions).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::redis {

/// What Redis answered.
struct Reply {
  enum class Kind : unsigned char {
    nil,      ///< null bulk string or array
    string,   ///< bulk string, in `text`
    status,   ///< simple string ("OK"), in `text`
    integer,  ///< in `integer`
    array,    ///< in `elements`
    error     ///< "-ERR …": the server refused the command; in `text`
  };
  Kind kind = Kind::nil;
  std::string text;
  std::int64_t integer = 0;
  std::vector<Reply> elements;

  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::error; }
  /// First word of an error ("OOM", "READONLY", "NOSCRIPT"); empty for other kinds.
  [[nodiscard]] std::string_view error_word() const noexcept;
};

}  // namespace larder::redis
