#pragma once
// Header and trailer fields (RFC 9110 §5) as ordered lists of name/value views.
// A FieldSpan never owns; a FieldList owns the bytes that were copied into it, and those bytes never move
// (they live in blocks), so views taken from a FieldList stay valid while it lives, also across a move.
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::http {

/// One field line: name as received (case kept), value without surrounding white space.
struct Field {
  std::string_view name;
  std::string_view value;
};

/// Non-owning, ordered view of field lines; repeated names are separate members (RFC 9110 §5.3).
using FieldSpan = std::span<const Field>;

/// ASCII case-insensitive equality of `size` bytes.
bool iequals(const char* a, const char* b, std::size_t size) noexcept;
/// ASCII case-insensitive equality, as RFC 9110 §5.1 asks for field names. Most names differ in length already.
inline bool iequals(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && iequals(a.data(), b.data(), a.size());
}

/// First field of that name, or nullptr. Case-insensitive.
const Field* find(FieldSpan fields, std::string_view name) noexcept;

/// Value of the first field of that name. Case-insensitive.
std::optional<std::string_view> first_value(FieldSpan fields, std::string_view name) noexcept;

/// How many field lines bear that name.
std::size_t count(FieldSpan fields, std::string_view name) noexcept;

/// All values of that name joined with ", " (RFC 9110 §5.2); empty optional where there is none.
std::optional<std::string> combined(FieldSpan fields, std::string_view name);

/// Removes optional white space (SP / HTAB) at both ends (RFC 9110 §5.6.3).
std::string_view trim_ows(std::string_view s) noexcept;

/// Where the quoted-string begins that is never closed, or npos (RFC 9110 §5.6.4).
std::size_t unterminated_quote(std::string_view value) noexcept;

/// Walks one field value as a comma-separated list (RFC 9110 §5.6.1): empty members are skipped and
/// commas within quoted-strings do not split. A quote that is never closed is an ordinary byte, so that it cannot hide
/// what follows it. `next` returns members trimmed, in order. Linear in the length of the value.
class ListMembers {
 public:
  explicit ListMembers(std::string_view value) noexcept : rest_(value) {}
  /// Next member, or an empty optional at the end.
  std::optional<std::string_view> next() noexcept;

 private:
  std::string_view rest_;
  bool may_quote_ = true;  // false once a quote proved to be unclosed: no later one can be closed either
};

/// True where any member of any field line `name` equals `token`, case-insensitively.
bool has_token(FieldSpan fields, std::string_view name, std::string_view token) noexcept;

/// Owning, ordered list of field lines (but for what `view_of` and `add_unowned` point at). Movable, not copyable
/// (`copy_of` copies in so many words). Not thread-safe while it is changed; immutable use is.
class FieldList {
 public:
  FieldList() = default;
  FieldList(FieldList&&) noexcept = default;
  FieldList& operator=(FieldList&&) noexcept = default;
  FieldList(const FieldList&) = delete;
  FieldList& operator=(const FieldList&) = delete;

  /// A deep copy of `fields` in one block.
  static FieldList copy_of(FieldSpan fields);
  /// A list of its own of what `fields` point at, which must outlive it; only what is added is copied.
  static FieldList view_of(FieldSpan fields);

  /// Appends a copy of name and value.
  void add(std::string_view name, std::string_view value);
  /// Appends without copying: both views must outlive the list (string literals, mostly).
  void add_unowned(std::string_view name, std::string_view value) { fields_.push_back({name, value}); }
  /// Removes every field of that name and appends one; order of the others is kept.
  void set(std::string_view name, std::string_view value);
  /// Removes every field of that name; returns how many there were.
  std::size_t remove(std::string_view name) noexcept;
  /// Removes every field for which `predicate(const Field&)` holds.
  template <class Predicate>
  void remove_if(Predicate predicate) {
    std::erase_if(fields_, predicate);
  }
  void clear() noexcept;

  [[nodiscard]] FieldSpan span() const noexcept { return fields_; }
  // Implicit on purpose: every pure function takes a FieldSpan.
  operator FieldSpan() const noexcept { return fields_; }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
  [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }

 private:
  std::string_view keep(std::string_view s);

  std::vector<Field> fields_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_used_ = 0;
  std::size_t block_size_ = 0;
};

}  // namespace larder::http
