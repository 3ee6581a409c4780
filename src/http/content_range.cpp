#include "larder/http/content_range.hpp"

namespace larder::http {

namespace {

// 1*DIGIT, up to max_content_length.
std::optional<std::uint64_t> parse_number(std::string_view digits) noexcept {
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (max_content_length - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<ByteRange> parse_incl_range(std::string_view text) noexcept {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return ByteRange{*first, *last};
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view value) noexcept {
  constexpr std::string_view unit = "bytes ";
  if (!iequals(value.substr(0, unit.size()), unit)) return std::nullopt;
  value.remove_prefix(unit.size());
  const auto slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view range = value.substr(0, slash);
  const std::string_view length = value.substr(slash + 1);

  ContentRange result;
  if (length != "*") {
    result.complete_length = parse_number(length);
    if (!result.complete_length) return std::nullopt;
  }
  if (range != "*") {
    result.range = parse_incl_range(range);
    if (!result.range || (result.complete_length && *result.complete_length <= result.range->last)) return std::nullopt;
  }
  if (!result.range && !result.complete_length) return std::nullopt;
  return result;
}

std::optional<ContentRange> parse_content_range(FieldSpan fields) noexcept {
  const Field* field = find(fields, "Content-Range");
  if (field == nullptr || count(fields, "Content-Range") != 1) return std::nullopt;
  return parse_content_range(field->value);
}

}  // namespace larder::http
