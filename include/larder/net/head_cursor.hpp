#pragma once
// A cursor over the bytes of a message head, for those who read plain heads in one pass.
#include <cstring>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::net {

/// Never passes the end of its bytes, which must outlive it.
class HeadCursor {
 public:
  explicit HeadCursor(std::string_view bytes) noexcept
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  [[nodiscard]] std::size_t used() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  /// Passes `text` where it stands next.
  bool skip(std::string_view text) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < text.size() || std::memcmp(at_, text.data(), text.size()) != 0)
      return false;
    at_ += text.size();
    return true;
  }
  /// The next `n` bytes; empty where there are fewer.
  std::string_view take(std::size_t n) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < n) return {};
    return take_to(at_ + n);
  }
  /// A token (RFC 9110 §5.6.2); may be empty.
  std::string_view take_token() noexcept;
  /// Visible ASCII, as a request target is spelled; may be empty.
  std::string_view take_visible() noexcept;
  /// What may stand in a field value (RFC 9110 §5.5), up to the first byte that may not; may be empty.
  std::string_view take_value() noexcept;
  /// A field line with its CRLF. False where it is malformed, folded or not whole.
  bool take_field(http::Field& field) noexcept;

 private:
  std::string_view take_to(const char* to) noexcept {
    const std::string_view taken(at_, static_cast<std::size_t>(to - at_));
    at_ = to;
    return taken;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
};

}  // namespace larder::net
