#include "larder/http/trace_context.hpp"

#include <algorithm>

namespace larder::http {

namespace {

// "00-" trace-id "-" parent-id "-" flags
constexpr std::size_t version_size = 2;
constexpr std::size_t trace_at = 3;
constexpr std::size_t trace_size = 32;
constexpr std::size_t parent_at = trace_at + trace_size + 1;
constexpr std::size_t parent_size = 16;
constexpr std::size_t flags_at = parent_at + parent_size + 1;
constexpr std::size_t whole_size = flags_at + 2;

bool is_lower_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) noexcept {
  return is_lower_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

bool is_odd(char hex_digit) noexcept { return std::string_view("13579bdf").find(hex_digit) != std::string_view::npos; }

void append_hex(std::string& out, std::uint64_t number) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out += digits[(number >> static_cast<unsigned>(shift)) & 0xFU];
}

}  // namespace

std::optional<Traceparent> parse_traceparent(std::string_view value) noexcept {
  if (value.size() < whole_size) return std::nullopt;
  const auto version = value.substr(0, version_size);
  if (!is_lower_hex(version) || version == "ff") return std::nullopt;
  if (version == "00" && value.size() != whole_size) return std::nullopt;
  if (value.size() > whole_size && value[whole_size] != '-') return std::nullopt;
  if (value[trace_at - 1] != '-' || value[parent_at - 1] != '-' || value[flags_at - 1] != '-') return std::nullopt;
  const auto trace_id = value.substr(trace_at, trace_size);
  const auto parent_id = value.substr(parent_at, parent_size);
  const auto flags = value.substr(flags_at, 2);
  if (!is_id(trace_id) || !is_id(parent_id) || !is_lower_hex(flags)) return std::nullopt;
  return Traceparent{.trace_id = trace_id, .parent_id = parent_id, .sampled = is_odd(flags[1])};
}

std::optional<Traceparent> find_traceparent(FieldSpan fields) noexcept {
  const auto* const found = find(fields, "traceparent");
  if (found == nullptr || count(fields, "traceparent") > 1) return std::nullopt;
  return parse_traceparent(found->value);
}

std::string make_traceparent(std::uint64_t high, std::uint64_t low, std::uint64_t parent) {
  std::string out;
  out.reserve(whole_size);
  out += "00-";
  append_hex(out, high);
  append_hex(out, low | 1U);  // an id is never all zero
  out += '-';
  append_hex(out, parent | 1U);
  out += "-01";
  return out;
}

}  // namespace larder::http
