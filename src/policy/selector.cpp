#include "larder/policy/selector.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace larder::policy {
namespace {

constexpr std::array<std::pair<SelectorKind, std::string_view>, 7> kind_names{{
    {SelectorKind::key, "key"},
    {SelectorKind::type, "type"},
    {SelectorKind::glob, "glob"},
    {SelectorKind::tag, "tag"},
    {SelectorKind::path, "path"},
    {SelectorKind::target, "target"},
    {SelectorKind::all, "all"},
}};

unsigned char byte_at(std::string_view text, std::size_t i) noexcept { return static_cast<unsigned char>(text[i]); }

// Matches the one-byte element of `pattern` at `at` (not a '*') against `byte` and moves `at` behind the element. The
// grammar of classes is that of Redis's stringmatchlen: '^' negates, '\' quotes, an unclosed class ends with the
// pattern, so that the memory tier and a SCAN in Redis agree on what a glob names.
bool match_element(std::string_view pattern, std::size_t& at, unsigned char byte) noexcept {
  const char first = pattern[at];
  if (first == '?') {
    ++at;
    return true;
  }
  if (first == '[') {
    ++at;
    const bool negated = at < pattern.size() && pattern[at] == '^';
    if (negated) ++at;
    bool found = false;
    while (at < pattern.size() && pattern[at] != ']') {
      if (pattern[at] == '\\' && pattern.size() - at >= 2) {
        found = found || byte_at(pattern, at + 1) == byte;
        at += 2;
      } else if (pattern.size() - at >= 3 && pattern[at + 1] == '-') {
        const auto from = byte_at(pattern, at);
        const auto to = byte_at(pattern, at + 2);
        found = found || (byte >= std::min(from, to) && byte <= std::max(from, to));
        at += 3;
      } else {
        found = found || byte_at(pattern, at) == byte;
        ++at;
      }
    }
    if (at < pattern.size()) ++at;  // the ']'
    return found != negated;
  }
  if (first == '\\' && pattern.size() - at >= 2) ++at;
  return byte_at(pattern, at++) == byte;
}

// The segment that begins behind the '/' at `slash`.
std::string_view segment_at(std::string_view path, std::size_t slash) noexcept {
  const auto end = path.find('/', slash + 1);
  return path.substr(slash + 1, end == std::string_view::npos ? end : end - slash - 1);
}

bool segment_match(std::string_view pattern, std::string_view segment) noexcept {
  if (pattern == "*") return !segment.empty();
  if (pattern.starts_with('\\')) pattern.remove_prefix(1);
  return pattern == segment;
}

std::string_view path_of(std::string_view target) noexcept { return target.substr(0, target.find('?')); }

}  // namespace

std::string_view to_string(SelectorKind kind) noexcept {
  for (const auto& [value, name] : kind_names) {
    if (value == kind) return name;
  }
  return {};
}

std::optional<SelectorKind> selector_kind(std::string_view name) noexcept {
  for (const auto& [value, known] : kind_names) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::string TagView::pack(std::span<const std::string> tags) {
  std::string text;
  for (const auto& tag : tags) {
    const auto size = static_cast<std::uint32_t>(tag.size());
    text.append(reinterpret_cast<const char*>(&size), sizeof size).append(tag);  // NOLINT: its bytes
  }
  return text;
}

bool matches(const Selector& selector, const PurgeSubject& subject) {
  switch (selector.kind) {
    case SelectorKind::key:
      return selector.value == subject.base_key || selector.value == subject.key;
    case SelectorKind::type:
      return selector.value == subject.type;
    case SelectorKind::glob:
      return glob_match(selector.value, subject.key) || glob_match(selector.value, subject.base_key);
    case SelectorKind::tag:
      return std::ranges::find(subject.tags, std::string_view(selector.value)) != subject.tags.end();
    case SelectorKind::path:
      return path_match(selector.value, subject.target);
    case SelectorKind::target:
      return selector.value == subject.target ||
             (selector.value.size() == subject.origin.size() + subject.target.size() &&
              selector.value.starts_with(subject.origin) && selector.value.ends_with(subject.target));
    case SelectorKind::all:
      return true;
  }
  return true;  // a kind from a newer release: rather a miss too many
}

// Only the last '*' is ever backtracked to: what an earlier one has matched cannot have to be longer, since the rest of
// the text behind a later start is a suffix of what is there now.
bool glob_match(std::string_view pattern, std::string_view text) noexcept {
  constexpr auto none = std::string_view::npos;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = none;
  std::size_t star_text = 0;
  for (;;) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      if (star == pattern.size()) return true;
      continue;
    }
    if (t == text.size()) return p == pattern.size();
    if (p < pattern.size() && match_element(pattern, p, byte_at(text, t))) {
      ++t;
      continue;
    }
    if (star == none) return false;
    p = star;
    t = ++star_text;
  }
}

bool path_match(std::string_view pattern, std::string_view path) noexcept {
  constexpr auto none = std::string_view::npos;
  path = path_of(path);
  if (!pattern.starts_with('/') || !path.starts_with('/')) return false;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = none;
  std::size_t star_path = 0;
  for (;;) {
    if (p < pattern.size()) {
      const auto wanted = segment_at(pattern, p);
      if (wanted == "**") {
        p += 1 + wanted.size();
        star = p;
        star_path = t;
        if (p == pattern.size()) return true;
        continue;
      }
      if (t < path.size()) {
        const auto segment = segment_at(path, t);
        if (segment_match(wanted, segment)) {
          p += 1 + wanted.size();
          t += 1 + segment.size();
          continue;
        }
      }
    } else if (t == path.size()) {
      return true;
    }
    if (star == none || star_path == path.size()) return false;
    star_path += 1 + segment_at(path, star_path).size();
    p = star;
    t = star_path;
  }
}

std::string glob_quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string_view literal_prefix(const Selector& selector) noexcept {
  const std::string_view value = selector.value;
  switch (selector.kind) {
    case SelectorKind::key:
    case SelectorKind::target:
      return value;
    case SelectorKind::glob:
      return value.substr(0, value.find_first_of("*?[\\"));
    case SelectorKind::path: {
      std::size_t at = 0;
      while (at < value.size()) {
        const auto segment = segment_at(value, at);
        if (segment == "*" || segment.starts_with('\\')) return value.substr(0, at + 1);
        if (segment == "**") return value.substr(0, at);
        at += 1 + segment.size();
      }
      return value;
    }
    case SelectorKind::type:
    case SelectorKind::tag:
    case SelectorKind::all:
      break;
  }
  return {};
}

std::string encode(const Selector& selector) {
  std::string out(to_string(selector.kind));
  out += ':';
  out += selector.value;
  return out;
}

std::optional<Selector> parse_selector(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto kind = selector_kind(text.substr(0, colon));
  const auto value = text.substr(colon + 1);
  if (!kind || value.empty() != (*kind == SelectorKind::all)) return std::nullopt;
  return Selector{*kind, std::string(value)};
}

}  // namespace larder::policy
