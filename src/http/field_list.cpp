#include "larder/http/field_list.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace larder::http {

namespace {

constexpr std::size_t first_block = 512;
constexpr std::size_t largest_step = std::size_t{16} * 1024;

constexpr bool is_ows(char c) noexcept { return c == ' ' || c == '\t'; }

// Position after the quote that closes the one at `open`, or npos. A backslash quotes the next byte (RFC 9110 §5.6.4).
std::size_t after_quoted_string(std::string_view s, std::size_t open) noexcept {
  for (std::size_t i = open + 1; i < s.size(); ++i) {
    if (s[i] == '\\') {
      ++i;
    } else if (s[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace

bool iequals(const char* a, const char* b, std::size_t size) noexcept {
  std::size_t i = 0;
  // Mostly a name is written as everybody writes it.
  for (std::uint64_t x = 0, y = 0; size - i >= sizeof x; i += sizeof x) {
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    if (x != y) break;
  }
  for (; i < size; ++i) {
    const auto x = static_cast<unsigned char>(a[i]);
    const auto y = static_cast<unsigned char>(b[i]);
    if (x == y) continue;
    // Letters differ from their other case in bit 0x20 alone; so do pairs such as '[' and '{', which are not equal.
    const auto lower = static_cast<unsigned char>(x | 0x20U);
    if ((x ^ y) != 0x20U || lower < 'a' || lower > 'z') return false;
  }
  return true;
}

const Field* find(FieldSpan fields, std::string_view name) noexcept {
  for (const Field& field : fields) {
    if (iequals(field.name, name)) return &field;
  }
  return nullptr;
}

std::optional<std::string_view> first_value(FieldSpan fields, std::string_view name) noexcept {
  const Field* field = find(fields, name);
  if (field == nullptr) return std::nullopt;
  return field->value;
}

std::size_t count(FieldSpan fields, std::string_view name) noexcept {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const Field& field) { return iequals(field.name, name); }));
}

std::optional<std::string> combined(FieldSpan fields, std::string_view name) {
  std::optional<std::string> value;
  for (const Field& field : fields) {
    if (!iequals(field.name, name)) continue;
    if (!value) {
      value.emplace(field.value);
    } else {
      value->append(", ").append(field.value);
    }
  }
  return value;
}

std::string_view trim_ows(std::string_view s) noexcept {
  while (!s.empty() && is_ows(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_ows(s.back())) s.remove_suffix(1);
  return s;
}

std::size_t unterminated_quote(std::string_view value) noexcept {
  for (std::size_t open = value.find('"'); open != std::string_view::npos; open = value.find('"', open)) {
    const auto after = after_quoted_string(value, open);
    if (after == std::string_view::npos) return open;
    open = after;
  }
  return std::string_view::npos;
}

std::optional<std::string_view> ListMembers::next() noexcept {
  while (!rest_.empty()) {
    std::size_t end = 0;
    while (end < rest_.size() && rest_[end] != ',') {
      if (rest_[end] == '"' && may_quote_) {
        const std::size_t after = after_quoted_string(rest_, end);
        if (after != std::string_view::npos) {
          end = after;
          continue;
        }
        may_quote_ = false;
      }
      ++end;
    }
    const std::string_view member = trim_ows(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (!member.empty()) return member;
  }
  return std::nullopt;
}

bool has_token(FieldSpan fields, std::string_view name, std::string_view token) noexcept {
  for (const Field& field : fields) {
    if (!iequals(field.name, name)) continue;
    ListMembers members(field.value);
    while (const auto member = members.next()) {
      if (iequals(*member, token)) return true;
    }
  }
  return false;
}

FieldList FieldList::copy_of(FieldSpan fields) {
  FieldList copy;
  std::size_t bytes = 0;
  for (const Field& field : fields) bytes += field.name.size() + field.value.size();
  copy.fields_.reserve(fields.size());
  if (bytes > 0) {
    copy.blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    copy.block_size_ = bytes;
  }
  for (const Field& field : fields) copy.add(field.name, field.value);
  return copy;
}

FieldList FieldList::view_of(FieldSpan fields) {
  FieldList view;
  view.fields_.reserve(fields.size() + 2);  // a gateway adds Via and perhaps Date
  view.fields_.assign(fields.begin(), fields.end());
  return view;
}

void FieldList::add(std::string_view name, std::string_view value) {
  const std::string_view kept_name = keep(name);
  fields_.push_back({kept_name, keep(value)});
}

void FieldList::set(std::string_view name, std::string_view value) {
  // The views may point into this list; its bytes stay until clear(), so removing first is safe.
  remove(name);
  add(name, value);
}

std::size_t FieldList::remove(std::string_view name) noexcept {
  return std::erase_if(fields_, [&](const Field& field) { return iequals(field.name, name); });
}

void FieldList::clear() noexcept {
  fields_.clear();
  // The newest block is the largest but for copies of single long values; one is kept for the next use.
  if (blocks_.size() > 1) blocks_.erase(blocks_.begin(), blocks_.end() - 1);
  block_used_ = 0;
  if (blocks_.empty()) block_size_ = 0;
}

std::string_view FieldList::keep(std::string_view s) {
  if (s.empty()) return "";
  if (blocks_.empty()) block_used_ = block_size_ = 0;  // also the state after a move away
  if (block_size_ - block_used_ < s.size()) {
    const std::size_t size = std::max({first_block, s.size(), std::min(block_size_ * 2, largest_step)});
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    block_size_ = size;
    block_used_ = 0;
  }
  char* const place = blocks_.back().get() + block_used_;
  std::memcpy(place, s.data(), s.size());
  block_used_ += s.size();
  return {place, s.size()};
}

}  // namespace larder::http
