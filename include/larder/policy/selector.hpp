#pragma once
// What one purge names. A purge is one or more selectors; a stored response dies when any selector newer than it
// matches it.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::policy {

/// The kinds of selector.
enum class SelectorKind : unsigned char {
  key,     ///< one cache key, with all its variants: "cache:user:profile:42"
  type,    ///< every key of a type: "product"
  glob,    ///< key glob, '*' any run of bytes and '?' any one byte, '\' quotes: "cache:search:*"
  tag,     ///< a tag: "product:42"
  path,    ///< path pattern on the stored target URI, '*' one segment, '**' any number: "/api/products/**"
  target,  ///< exactly one target URI (RFC 9111 §4.4): "http://a.example/api/products/42?x=1"; without its origin,
           ///< every host's
  all      ///< everything
};
std::string_view to_string(SelectorKind kind) noexcept;
std::optional<SelectorKind> selector_kind(std::string_view name) noexcept;

/// One selector, as a value.
struct Selector {
  SelectorKind kind = SelectorKind::all;
  std::string value;  ///< empty for `all`
  friend bool operator==(const Selector&, const Selector&) = default;
};

/// Tags as a range of views, wherever they lie: in strings, or packed into one text, as stored responses have them.
class TagView {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(const std::string* string) noexcept : string_(string) {}
    explicit Iterator(const char* packed) noexcept : packed_(packed) {}
    std::string_view operator*() const noexcept {
      return string_ != nullptr ? std::string_view(*string_) : std::string_view(packed_ + size_size, packed_size());
    }
    Iterator& operator++() noexcept {
      if (string_ != nullptr) {
        ++string_;
      } else {
        packed_ += size_size + packed_size();
      }
      return *this;
    }
    Iterator operator++(int) noexcept {
      const auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    [[nodiscard]] std::uint32_t packed_size() const noexcept {
      std::uint32_t size = 0;
      std::memcpy(&size, packed_, size_size);
      return size;
    }
    const std::string* string_ = nullptr;
    const char* packed_ = nullptr;
  };

  TagView() = default;
  // Implicit on purpose: tags are built as strings.
  TagView(std::span<const std::string> tags) noexcept  // NOLINT(google-explicit-constructor)
      : begin_(tags.data()), end_(tags.data() + tags.size()) {}
  TagView(const std::vector<std::string>& tags) noexcept  // NOLINT(google-explicit-constructor)
      : TagView(std::span(tags)) {}
  /// Of a text that pack() made.
  static TagView packed(std::string_view text) noexcept {
    TagView view;
    view.begin_ = Iterator(text.data());
    view.end_ = Iterator(text.data() + text.size());
    return view;
  }
  /// One text that holds all of them.
  static std::string pack(std::span<const std::string> tags);

  [[nodiscard]] Iterator begin() const noexcept { return begin_; }
  [[nodiscard]] Iterator end() const noexcept { return end_; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  /// Copies.
  [[nodiscard]] std::vector<std::string> strings() const { return {begin_, end_}; }

 private:
  static constexpr std::size_t size_size = sizeof(std::uint32_t);
  Iterator begin_;
  Iterator end_;
};

/// What of a stored response selectors are matched against.
struct PurgeSubject {
  std::string_view key;       ///< cache key, with its variant suffix where there is one
  std::string_view base_key;  ///< the same without the variant suffix
  std::string_view type;
  std::string_view origin;  ///< of the target URI, http::origin_text(); empty where hosts share the response
  std::string_view target;  ///< normalised path and query of the target URI
  TagView tags;
};

/// What tags begin with that no rule has given: those of cache groups and of varied paths.
inline constexpr char own_tag_mark = '\x1f';

/// True for such a tag.
constexpr bool is_own_tag(std::string_view tag) noexcept { return tag.starts_with(own_tag_mark); }

/// True where the selector names the stored response.
bool matches(const Selector& selector, const PurgeSubject& subject);

/// Redis-like glob: '*' any run of bytes (also ':' and '/'), '?' one byte, '[a-z]' classes, '\' quotes. Linear in
/// |pattern| x |text| at the worst, whatever the pattern.
bool glob_match(std::string_view pattern, std::string_view text) noexcept;

/// Path pattern: '*' is one segment that is not empty, '**' any number of segments (none too), anything else is
/// literal. A segment that begins with '\' is literal too, without it: so a captured "*" stays a "*". The path's query
/// is not looked at. Linear in |pattern| x |path| at the worst.
bool path_match(std::string_view pattern, std::string_view path) noexcept;

/// The pattern that matches exactly `text`: each glob character of it gets a '\' in front.
std::string glob_quoted(std::string_view text);

/// What every subject of this selector begins with: the key for `key` and `glob`, the target for `path`, and it or the
/// whole URI for `target` (a '\' of the pattern is never part of it; quoting may shorten it). Empty where nothing can
/// be said. For indexes.
std::string_view literal_prefix(const Selector& selector) noexcept;

/// Compact text form for the Redis purge log and the journal: "<kind>:<value>"; the inverse of parse_selector.
std::string encode(const Selector& selector);
std::optional<Selector> parse_selector(std::string_view text);

}  // namespace larder::policy
