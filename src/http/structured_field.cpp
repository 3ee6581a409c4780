#include "larder/http/structured_field.hpp"

#include <algorithm>
#include <utility>

#include "larder/http/utf8.hpp"

namespace larder::http::structured {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lcalpha(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) noexcept { return is_lcalpha(c) || (c >= 'A' && c <= 'Z'); }
constexpr bool is_printable(char c) noexcept { return c >= 0x20 && c <= 0x7E; }

constexpr bool starts_key(char c) noexcept { return is_lcalpha(c) || c == '*'; }
constexpr bool continues_key(char c) noexcept {
  return starts_key(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
}
constexpr bool starts_token(char c) noexcept { return is_alpha(c) || c == '*'; }
constexpr bool continues_token(char c) noexcept {
  return is_alpha(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~:/").find(c) != std::string_view::npos;
}

// The value of a base64 letter (RFC 4648 §4), or -1.
constexpr int base64_value(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// Padding may be missing and pad bits may be set, as §4.2.7 asks; padding that is there must be right.
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.ends_with('=')) {
    if (text.size() % 4 != 0) return std::nullopt;
    text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6U | static_cast<std::uint32_t>(value)) & 0xFFFFU;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<char>(bits >> held & 0xFFU));
    }
  }
  return bytes;
}

// The value of a lower-case hex digit (§4.2.10 allows no other), or -1.
constexpr int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// An ordered map: of a repeated key the last value counts, in the first one's place.
template <class Entries, class Value>
bool insert_or_assign(Entries& entries, std::string_view key, Value&& value, std::size_t limit) {
  const auto known = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.key == key; });
  if (known != entries.end()) {
    known->value = std::forward<Value>(value);
    return true;
  }
  if (entries.size() == limit) return false;
  entries.push_back({std::string(key), std::forward<Value>(value)});
  return true;
}

// The algorithms of §4.2. Every function takes what it reads off the front of rest_; an empty optional is a fault,
// after which nothing more is read.
class Parser {
 public:
  explicit Parser(std::string_view value) noexcept : rest_(value) {}

  std::optional<List> list() {
    List members;
    const bool well_formed = top_level([&] {
      auto member = item_or_inner_list();
      if (!member || members.size() == max_members) return false;
      members.push_back(std::move(*member));
      return true;
    });
    return well_formed ? std::optional(std::move(members)) : std::nullopt;
  }

  std::optional<Dictionary> dictionary() {
    Dictionary dictionary;
    const bool well_formed = top_level([&] {
      const std::string_view name = key();
      if (name.empty()) return false;
      std::optional<Member> member;
      if (take('=')) {
        member = item_or_inner_list();
      } else if (auto own = parameters()) {
        member = Item{true, std::move(*own)};
      }
      return member && insert_or_assign(dictionary, name, std::move(*member), max_members);
    });
    return well_formed ? std::optional(std::move(dictionary)) : std::nullopt;
  }

 private:
  // Members between commas, up to the end. A comma must be followed by one more member.
  template <class ReadMember>
  bool top_level(ReadMember read_member) {
    if (rest_.size() > max_field_size) return false;
    skip_spaces();
    if (rest_.empty()) return true;
    while (read_member()) {
      // By the letter of §4.2.1 and §4.2.2 the end may be any OWS, not only spaces.
      skip_ows();
      if (rest_.empty()) return true;
      if (!take(',')) return false;
      skip_ows();
      if (rest_.empty()) return false;
    }
    return false;
  }

  std::optional<Member> item_or_inner_list() {
    if (next_is('(')) {
      auto list = inner_list();
      return list ? std::optional<Member>(std::move(*list)) : std::nullopt;
    }
    auto one = item();
    return one ? std::optional<Member>(std::move(*one)) : std::nullopt;
  }

  std::optional<InnerList> inner_list() {
    InnerList list;
    rest_.remove_prefix(1);
    for (;;) {
      skip_spaces();
      if (take(')')) {
        auto own = parameters();
        if (!own) return std::nullopt;
        list.parameters = std::move(*own);
        return list;
      }
      auto one = item();
      if (!one || list.items.size() == max_inner_items || !(next_is(' ') || next_is(')'))) return std::nullopt;
      list.items.push_back(std::move(*one));
    }
  }

  std::optional<Item> item() {
    auto value = bare_item();
    if (!value) return std::nullopt;
    auto own = parameters();
    if (!own) return std::nullopt;
    return Item{std::move(*value), std::move(*own)};
  }

  std::optional<BareItem> bare_item() {
    if (rest_.empty()) return std::nullopt;
    const char first = rest_.front();
    if (first == '-' || is_digit(first)) return number();
    if (starts_token(first)) return token();
    switch (first) {
      case '"':
        return string();
      case ':':
        return byte_sequence();
      case '?':
        return boolean();
      case '@':
        return date();
      case '%':
        return display_string();
      default:
        return std::nullopt;
    }
  }

  std::optional<Parameters> parameters() {
    Parameters all;
    while (take(';')) {
      skip_spaces();
      const std::string_view name = key();
      if (name.empty()) return std::nullopt;
      std::optional<BareItem> value = true;
      if (take('=')) value = bare_item();
      if (!value || !insert_or_assign(all, name, std::move(*value), max_parameters)) return std::nullopt;
    }
    return all;
  }

  // Empty is a fault: a key has at least one letter.
  std::string_view key() noexcept {
    return !rest_.empty() && starts_key(rest_.front()) ? take_while(continues_key) : std::string_view{};
  }

  std::optional<BareItem> number() noexcept {
    const bool negative = take('-');
    const std::string_view whole = take_while(is_digit);
    const bool is_decimal = next_is('.');
    if (whole.empty() || whole.size() > (is_decimal ? 12U : 15U)) return std::nullopt;
    std::int64_t value = 0;
    for (const char c : whole) value = value * 10 + (c - '0');
    if (!is_decimal) return negative ? -value : value;
    rest_.remove_prefix(1);
    const std::string_view fraction = take_while(is_digit);
    if (fraction.empty() || fraction.size() > 3) return std::nullopt;
    for (std::size_t i = 0; i < 3; ++i) value = value * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
    return Decimal{negative ? -value : value};
  }

  std::optional<BareItem> token() { return Token{std::string(take_while(continues_token))}; }

  std::optional<BareItem> string() {
    std::string text;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      char c = rest_[i];
      if (c == '"') {
        rest_.remove_prefix(i + 1);
        return text;
      }
      if (c == '\\') {
        if (++i == rest_.size() || (rest_[i] != '"' && rest_[i] != '\\')) return std::nullopt;
        c = rest_[i];
      }
      if (!is_printable(c)) return std::nullopt;
      text.push_back(c);
    }
    return std::nullopt;
  }

  std::optional<BareItem> byte_sequence() {
    const auto end = rest_.find(':', 1);
    if (end == std::string_view::npos) return std::nullopt;
    auto bytes = decode_base64(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    if (!bytes) return std::nullopt;
    return ByteSequence{std::move(*bytes)};
  }

  std::optional<BareItem> boolean() noexcept {
    rest_.remove_prefix(1);
    if (take('1')) return true;
    if (take('0')) return false;
    return std::nullopt;
  }

  std::optional<BareItem> date() noexcept {
    rest_.remove_prefix(1);
    const auto value = number();
    const auto* seconds = value ? std::get_if<std::int64_t>(&*value) : nullptr;
    if (seconds == nullptr) return std::nullopt;
    return Date{*seconds};
  }

  std::optional<BareItem> display_string() {
    if (!rest_.starts_with("%\"")) return std::nullopt;
    std::string utf8;
    for (std::size_t i = 2; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        if (!is_utf8(utf8)) return std::nullopt;
        rest_.remove_prefix(i + 1);
        return DisplayString{std::move(utf8)};
      }
      if (c != '%') {
        if (!is_printable(c)) return std::nullopt;
        utf8.push_back(c);
        continue;
      }
      const int high = i + 2 < rest_.size() ? hex_value(rest_[i + 1]) : -1;
      const int low = high < 0 ? -1 : hex_value(rest_[i + 2]);
      if (low < 0) return std::nullopt;
      utf8.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
    return std::nullopt;
  }

  [[nodiscard]] bool next_is(char c) const noexcept { return !rest_.empty() && rest_.front() == c; }

  bool take(char c) noexcept {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  template <class Predicate>
  std::string_view take_while(Predicate belongs) noexcept {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  void skip_ows() noexcept {
    take_while([](char c) { return c == ' ' || c == '\t'; });
  }

  void skip_spaces() noexcept {
    take_while([](char c) { return c == ' '; });
  }

  std::string_view rest_;
};

}  // namespace

const Member* find(const Dictionary& dictionary, std::string_view key) noexcept {
  for (const DictionaryMember& member : dictionary) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

std::optional<List> parse_list(std::string_view value) { return Parser(value).list(); }

std::optional<Dictionary> parse_dictionary(std::string_view value) { return Parser(value).dictionary(); }

std::optional<List> parse_list(FieldSpan fields, std::string_view name) {
  return parse_list(combined(fields, name).value_or(std::string{}));
}

std::optional<Dictionary> parse_dictionary(FieldSpan fields, std::string_view name) {
  return parse_dictionary(combined(fields, name).value_or(std::string{}));
}

}  // namespace larder::http::structured
