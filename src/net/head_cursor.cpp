#include "larder/net/head_cursor.hpp"

#include <array>
#include <bit>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace larder::net {

namespace {

// Bits of char_classes.
constexpr unsigned char is_token = 1;    // tchar
constexpr unsigned char is_value = 2;    // what may stand in a field value
constexpr unsigned char is_visible = 4;  // visible ASCII

constexpr std::array<unsigned char, 256> make_char_classes() {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  std::array<unsigned char, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool is_letter_or_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool is_mark = c < 128 && marks.find(static_cast<char>(c)) != std::string_view::npos;
    if (is_letter_or_digit || is_mark) classes[c] |= is_token;
    if (c > 0x20 && c < 0x7f) classes[c] |= is_visible;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) classes[c] |= is_value;
  }
  return classes;
}
constexpr auto char_classes = make_char_classes();

const char* end_of(const char* at, const char* end, unsigned char wanted) noexcept {
  while (at != end && (char_classes[static_cast<unsigned char>(*at)] & wanted) != 0) ++at;
  return at;
}

// Where the token that begins at `at` ends. Most are made of letters, digits and '-' alone, looked at sixteen at a
// time.
const char* end_of_token(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  const auto is_below = [](__m128i bytes, char first, char count) {
    const auto offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(static_cast<char>(count - 1))), offset);
  };
  for (; end - at >= 16; at += 16) {
    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto is_letter = is_below(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 26);
    const auto is_other = _mm_or_si128(is_below(bytes, '0', 10), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(is_letter, is_other))) ^ 0xffffU;
    if (mask == 0) continue;
    at += std::countr_zero(mask);
    break;
  }
#endif
  return end_of(at, end, is_token);
}

// Where the first byte stands that no field value may hold: mostly the CR of its line.
const char* end_of_value(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  const auto low = _mm_set1_epi8(0x1f);
  const auto tab = _mm_set1_epi8('\t');
  const auto del = _mm_set1_epi8(0x7f);
  for (; end - at >= 16; at += 16) {
    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto is_low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, low), bytes);
    const auto is_control =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), is_low), _mm_cmpeq_epi8(bytes, del));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(is_control));
    if (mask != 0) return at + std::countr_zero(mask);
  }
#endif
  return end_of(at, end, is_value);
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

}  // namespace

std::string_view HeadCursor::take_token() noexcept { return take_to(end_of_token(at_, end_)); }

std::string_view HeadCursor::take_visible() noexcept { return take_to(end_of(at_, end_, is_visible)); }

std::string_view HeadCursor::take_value() noexcept { return take_to(end_of_value(at_, end_)); }

bool HeadCursor::take_field(http::Field& field) noexcept {
  field.name = take_token();
  if (field.name.empty() || !skip(":")) return false;
  while (at_ != end_ && is_space(*at_)) ++at_;
  field.value = take_value();
  while (!field.value.empty() && is_space(field.value.back())) field.value.remove_suffix(1);
  return skip("\r\n");
}

}  // namespace larder::net
