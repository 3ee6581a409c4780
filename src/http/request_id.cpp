#include "larder/http/request_id.hpp"

#include <algorithm>

namespace larder::http {

namespace {

bool may_stand_in_id(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._~+/=:").find(c) != std::string_view::npos;
}

}  // namespace

bool RequestId::is_well_formed(std::string_view text) noexcept {
  return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), may_stand_in_id);
}

bool RequestId::take(FieldSpan fields, std::string_view name) noexcept {
  const Field* found = nullptr;
  for (const auto& field : fields) {
    if (!iequals(field.name, name)) continue;
    if (found != nullptr) return false;
    found = &field;
  }
  if (found == nullptr || !is_well_formed(found->value)) return false;
  std::copy(found->value.begin(), found->value.end(), text_.begin());
  size_ = static_cast<std::uint8_t>(found->value.size());
  return true;
}

void RequestId::make(std::uint64_t high, std::uint64_t low) noexcept {
  constexpr std::string_view digits = "0123456789abcdef";
  for (unsigned i = 0; i < 16; ++i) {
    const auto shift = 60U - 4U * i;
    text_[i] = digits[(high >> shift) & 0xFU];
    text_[16U + i] = digits[(low >> shift) & 0xFU];
  }
  size_ = 32;
}

}  // namespace larder::http
