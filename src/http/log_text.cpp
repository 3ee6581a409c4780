#include "larder/http/log_text.hpp"

#include <algorithm>

#include "larder/http/utf8.hpp"

namespace larder::http {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view hidden = "***";
constexpr auto none = std::string_view::npos;

void append_escaped_bytes(std::string& out, std::string_view prefix, std::string_view bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += prefix;
    out += hex_digits[byte >> 4U];
    out += hex_digits[byte & 0xFU];
  }
}

// Characters that are well-formed and yet act on whoever shows them.
bool acts_on_reader(std::string_view character) noexcept {
  if (character.size() == 1) {
    const auto byte = static_cast<unsigned char>(character[0]);
    return byte < 0x20 || byte == 0x7F;
  }
  if (character.size() == 2) return character[0] == '\xC2' && static_cast<unsigned char>(character[1]) < 0xA0;
  if (character.size() != 3 || character[0] != '\xE2') return false;
  const auto second = static_cast<unsigned char>(character[1]);
  const auto third = static_cast<unsigned char>(character[2]);
  // U+200E, U+200F, U+2028..U+202E; U+2066..U+2069
  return (second == 0x80 && (third == 0x8E || third == 0x8F || (third >= 0xA8 && third <= 0xAE))) ||
         (second == 0x81 && third >= 0xA6 && third <= 0xA9);
}

bool is_plain(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

// Calls `plain` for what may stand as it is and `other` for each character that may not, or is none.
void for_each_piece(std::string_view text, const auto& plain, const auto& other) {
  while (!text.empty()) {
    const auto end = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
    if (end > 0) plain(text.substr(0, end));
    text.remove_prefix(end);
    if (text.empty()) return;
    const auto step = utf8_step(text);
    other(text.substr(0, step.size), step.well_formed);
    text.remove_prefix(step.size);
  }
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// The byte at `at`, decoded, which is moved behind it.
char decoded_byte(std::string_view text, std::size_t& at) noexcept {
  if (text[at] == '%' && text.size() - at > 2 && hex_value(text[at + 1]) >= 0 && hex_value(text[at + 2]) >= 0) {
    const auto byte = hex_value(text[at + 1]) * 16 + hex_value(text[at + 2]);
    at += 3;
    return static_cast<char>(byte);
  }
  return text[at++];
}

bool is_named(std::string_view raw_name, std::string_view name) noexcept {
  const bool any_ending = name.ends_with('*');
  if (any_ending) name.remove_suffix(1);
  std::size_t at = 0;
  for (const char c : name) {
    if (at == raw_name.size() || lower(decoded_byte(raw_name, at)) != lower(c)) return false;
  }
  return any_ending || at == raw_name.size();
}

// A mark that may stand percent-encoded: its size at `at`, or 0.
std::size_t mark_at(std::string_view text, std::size_t at, std::string_view plain, std::string_view encoded) noexcept {
  const auto rest = text.substr(at);
  if (rest.starts_with(plain)) return plain.size();
  const auto equal = [](char a, char b) { return lower(a) == lower(b); };
  if (rest.size() >= encoded.size() && std::equal(encoded.begin(), encoded.end(), rest.begin(), equal)) {
    return encoded.size();
  }
  return 0;
}

// Appends a text in which URLs may stand, without their userinfo.
void append_without_userinfo(std::string& out, std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t mark = 0;
    if (text[at] == ':' || text[at] == '%') {
      mark = mark_at(text, at, "://", "%3a%2f%2f");
      if (mark == 0) mark = mark_at(text, at, "://", "%3a//");
    }
    if (mark == 0) {
      out += text[at++];
      continue;
    }
    out += text.substr(at, mark);
    at += mark;
    // The authority ends with '/', '?' or '#'; the userinfo with its last '@' (RFC 3986 §3.2).
    std::size_t behind_userinfo = 0;
    for (auto i = at; i < text.size();) {
      if (mark_at(text, i, "/", "%2f") + mark_at(text, i, "?", "%3f") + mark_at(text, i, "#", "%23") > 0) break;
      if (const auto at_sign = mark_at(text, i, "@", "%40"); at_sign > 0) {
        behind_userinfo = i;
        i += at_sign;
      } else {
        ++i;
      }
    }
    if (behind_userinfo == 0) continue;
    out += hidden;
    at = behind_userinfo;
  }
}

}  // namespace

void append_log_text(std::string& out, std::string_view text) {
  for_each_piece(
      text, [&out](std::string_view piece) { out += piece; },
      [&out](std::string_view character, bool well_formed) {
        if (well_formed && !acts_on_reader(character)) {
          out += character;
        } else {
          append_escaped_bytes(out, "\\x", character);
        }
      });
}

void append_json_text(std::string& out, std::string_view text) {
  for_each_piece(
      text, [&out](std::string_view piece) { out += piece; },
      [&out](std::string_view character, bool well_formed) {
        if (well_formed && (character == "\"" || character == "\\")) {
          out += '\\';
          out += character;
        } else if (well_formed && !acts_on_reader(character)) {
          out += character;
        } else if (well_formed && character.size() == 1) {
          append_escaped_bytes(out, "\\u00", character);
        } else {
          append_escaped_bytes(out, "\\\\x", character);
        }
      });
}

bool is_secret_parameter(std::string_view raw_name, std::span<const std::string> secret_parameters) noexcept {
  return std::any_of(secret_parameters.begin(), secret_parameters.end(),
                     [raw_name](const std::string& name) { return is_named(raw_name, name); });
}

void append_without_secrets(std::string& out, std::string_view target, std::span<const std::string> secret_parameters) {
  const auto mark = target.find('?');
  append_without_userinfo(out, target.substr(0, mark));
  if (mark == none) return;
  auto query = target.substr(mark);  // with its '?', as each parameter has what stands before it
  while (!query.empty()) {
    out += query.front();
    query.remove_prefix(1);
    // ';' separates too: some origins still take it so.
    const auto parameter = query.substr(0, query.find_first_of("&;"));
    query.remove_prefix(parameter.size());
    const auto equals = parameter.find('=');
    if (equals != none && is_secret_parameter(parameter.substr(0, equals), secret_parameters)) {
      out += parameter.substr(0, equals + 1);
      out += hidden;
    } else {
      append_without_userinfo(out, parameter);
    }
  }
}

}  // namespace larder::http
