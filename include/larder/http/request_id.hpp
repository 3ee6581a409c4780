#pragma once
// The name of one request in all logs that it passes (X-Request-Id, by custom).
#include <array>
#include <cstdint>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// A request id. Lies where it is made; nothing is allocated.
class RequestId {
 public:
  /// Bytes that an id may have.
  static constexpr std::size_t longest = 128;

  // The bytes are left as they are: one is made per request.
  RequestId() noexcept {}  // NOLINT(cppcoreguidelines-pro-type-member-init,modernize-use-equals-default)

  /// True where `text` may be taken over from a client: 1 to `longest` letters, digits and "-._~+/=:", so that it can
  /// do no harm in a field, in a log or in a shell.
  static bool is_well_formed(std::string_view text) noexcept;

  /// Takes over the value of the only field of that name; false, with the id as it was, where there is none, more than
  /// one, or it is not well-formed.
  bool take(FieldSpan fields, std::string_view name) noexcept;
  /// 32 hex digits of two random numbers.
  void make(std::uint64_t high, std::uint64_t low) noexcept;
  void clear() noexcept { size_ = 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  std::array<char, longest> text_;
  std::uint8_t size_ = 0;
};

}  // namespace larder::http
