#include "larder/net/request_scanner.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace larder::net {

namespace {

// Bits of char_classes.
constexpr unsigned char is_token = 1;   // tchar (RFC 9110 §5.6.2)
constexpr unsigned char is_target = 2;  // visible ASCII: what else may stand in a target is not plain
constexpr unsigned char is_value = 4;   // what may stand in a field value (RFC 9110 §5.5)

constexpr std::array<unsigned char, 256> make_char_classes() {
  std::array<unsigned char, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    unsigned char bits = 0;
    const bool is_letter_or_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (is_letter_or_digit ||
        (c != 0 && c < 128 &&
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos)) {
      bits |= is_token;
    }
    if (c > 0x20 && c < 0x7f) bits |= is_target;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) bits |= is_value;
    classes[c] = bits;
  }
  return classes;
}
constexpr auto char_classes = make_char_classes();

bool is(char c, unsigned char wanted) noexcept { return (char_classes[static_cast<unsigned char>(c)] & wanted) != 0; }

const char* end_of(const char* at, const char* end, unsigned char wanted) noexcept {
  while (at != end && is(*at, wanted)) ++at;
  return at;
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

// What a field means for being plain.
enum class Meaning : unsigned char { none, host, connection, not_plain, control };
struct KnownField {
  std::string_view name;
  Meaning meaning;
  http::ControlField control = http::ControlField::connection;
};

// By the lengths of their names; none of another length is known. Those that frame a body or that steer the connection
// are not plain.
const KnownField* known(std::string_view name) noexcept {
  using http::ControlField;
  static constexpr KnownField host{"Host", Meaning::host};
  static constexpr KnownField range{"Range", Meaning::control, ControlField::range};
  static constexpr KnownField pragma{"Pragma", Meaning::control, ControlField::caching};
  static constexpr KnownField upgrade{"Upgrade", Meaning::not_plain};
  static constexpr KnownField if_match{"If-Match", Meaning::control, ControlField::origin_conditions};
  static constexpr KnownField connection{"Connection", Meaning::connection};
  static constexpr KnownField cache_control{"Cache-Control", Meaning::control, ControlField::caching};
  static constexpr KnownField if_none_match{"If-None-Match", Meaning::control, ControlField::cache_conditions};
  static constexpr KnownField content_length{"Content-Length", Meaning::not_plain};
  static constexpr KnownField proxy_connection{"Proxy-Connection", Meaning::not_plain};
  static constexpr KnownField transfer_encoding{"Transfer-Encoding", Meaning::not_plain};
  static constexpr KnownField if_modified_since{"If-Modified-Since", Meaning::control, ControlField::cache_conditions};
  static constexpr KnownField if_unmodified_since{"If-Unmodified-Since", Meaning::control,
                                                  ControlField::origin_conditions};
  const auto if_it_is = [name](const KnownField& field) { return http::iequals(name, field.name) ? &field : nullptr; };
  switch (name.size()) {
    case host.name.size():
      return if_it_is(host);
    case range.name.size():
      return if_it_is(range);
    case pragma.name.size():
      return if_it_is(pragma);
    case upgrade.name.size():
      return if_it_is(upgrade);
    case if_match.name.size():
      return if_it_is(if_match);
    case connection.name.size():
      return if_it_is(connection);
    case cache_control.name.size():
      return (name[0] | 0x20) == 'c' ? if_it_is(cache_control) : if_it_is(if_none_match);
    case content_length.name.size():
      return if_it_is(content_length);
    case proxy_connection.name.size():
      return if_it_is(proxy_connection);
    case transfer_encoding.name.size():
      return (name[0] | 0x20) == 't' ? if_it_is(transfer_encoding) : if_it_is(if_modified_since);
    case if_unmodified_since.name.size():
      return if_it_is(if_unmodified_since);
    default:
      return nullptr;
  }
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

// A cursor over the head that never passes its end.
struct Scanner {
  const char* at;
  const char* end;

  std::string_view take(const char* to) noexcept {
    const std::string_view taken(at, static_cast<std::size_t>(to - at));
    at = to;
    return taken;
  }
  bool skip(std::string_view text) noexcept {
    if (static_cast<std::size_t>(end - at) < text.size() || std::memcmp(at, text.data(), text.size()) != 0)
      return false;
    at += text.size();
    return true;
  }
};

bool scan_request_line(Scanner& scanner, PlainHead& head) noexcept {
  head.method = scanner.take(end_of(scanner.at, scanner.end, is_token));
  if (head.method.empty() || !scanner.skip(" ")) return false;
  head.target = scanner.take(end_of(scanner.at, scanner.end, is_target));
  return !head.target.empty() && scanner.skip(" HTTP/1.1\r\n");
}

bool scan_field(Scanner& scanner, http::Field& field) noexcept {
  field.name = scanner.take(end_of(scanner.at, scanner.end, is_token));
  if (field.name.empty() || !scanner.skip(":")) return false;
  while (scanner.at != scanner.end && is_space(*scanner.at)) ++scanner.at;
  field.value = scanner.take(end_of_value(scanner.at, scanner.end));
  while (!field.value.empty() && is_space(field.value.back())) field.value.remove_suffix(1);
  return scanner.skip("\r\n");
}

}  // namespace

std::optional<PlainHead> scan_plain_head(std::string_view data, std::size_t max_size, std::size_t max_fields,
                                         std::vector<http::Field>& fields) {
  fields.clear();
  PlainHead head;
  Scanner scanner{data.data(), data.data() + data.size()};
  if (!scan_request_line(scanner, head)) return std::nullopt;
  int hosts = 0;
  while (!scanner.skip("\r\n")) {
    http::Field field;
    if (!scan_field(scanner, field) || fields.size() == max_fields) return std::nullopt;
    fields.push_back(field);
    const auto* const meant = known(field.name);
    if (meant == nullptr) continue;
    switch (meant->meaning) {
      case Meaning::host:
        ++hosts;
        head.host = field.value;
        break;
      case Meaning::connection:
        if (!http::iequals(field.value, "keep-alive")) return std::nullopt;
        break;
      case Meaning::control:
        head.control.add(meant->control);
        break;
      default:
        return std::nullopt;
    }
  }
  head.size = static_cast<std::size_t>(scanner.at - data.data());
  if (hosts != 1 || head.size > max_size) return std::nullopt;
  return head;
}

}  // namespace larder::net
