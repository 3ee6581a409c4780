// What lies behind the object:
//
//   Extra, where there is one
//   u8 size of the numbers
//   numbers, LEB128: size of the base key; lifetime; stamp; sizes and places of texts
//   text: canonical request, head, inline body, rest
//
// The rest holds what is found neither in the canonical request nor in the head, the tags, and the fields that the head
// leaves out, each as its place in the order of all fields and two sizes (LEB128), name and value. Places of texts
// count without the body.
#include "larder/store/stored_response.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "larder/policy/targeted_cache_control.hpp"
#include "larder/policy/validation.hpp"

namespace larder::store {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view version = "HTTP/1.1 ";
constexpr std::string_view separator = ": ";
constexpr std::string_view line_end = "\r\n";
constexpr std::string_view length_name = "Content-Length: ";
constexpr std::string_view key_name = "X-Cache-Key: ";

// Fields of a reply that are not the stored ones: written anew for each reply, or not for this connection.
constexpr std::array<std::string_view, 5> written_elsewhere{"Age", "X-Cache", "X-Cache-Key", "Connection",
                                                            "Content-Length"};

bool has_content_length(int status) noexcept { return status != 204 && status != 304; }

void put_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) out += static_cast<char>(value | 0x80U);
  out += static_cast<char>(value);
}
// Small ones of either sign stay short.
void put_signed(std::string& out, std::int64_t value) {
  put_number(out, static_cast<std::uint64_t>(value) << 1U ^ static_cast<std::uint64_t>(value >> 63));
}

class NumberReader {
 public:
  explicit NumberReader(const char* at) noexcept : at_(at) {}
  std::uint64_t number() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) return value;
    }
  }
  std::int64_t signed_number() noexcept {
    const auto value = number();
    return static_cast<std::int64_t>(value >> 1U ^ (0 - (value & 1U)));
  }
  policy::Seconds seconds() noexcept { return policy::Seconds{signed_number()}; }
  [[nodiscard]] const char* at() const noexcept { return at_; }

 private:
  const char* at_;
};

constexpr std::uint64_t source_mask = 0x0F;
constexpr std::uint64_t must_revalidate = 0x10;
constexpr std::uint64_t no_cache = 0x20;

void put_lifetime(std::string& out, const policy::Lifetime& lifetime) {
  put_signed(out, std::chrono::floor<milliseconds>(lifetime.response_time.time_since_epoch()).count());
  put_signed(out, lifetime.freshness_lifetime.count());
  put_signed(out, lifetime.corrected_initial_age.count());
  put_signed(out, lifetime.stale_while_revalidate.count());
  put_signed(out, lifetime.stale_if_error.count());
  put_number(out, static_cast<std::uint64_t>(lifetime.source) | (lifetime.must_revalidate ? must_revalidate : 0) |
                      (lifetime.no_cache ? no_cache : 0));
}
policy::Lifetime read_lifetime(NumberReader& reader) noexcept {
  policy::Lifetime lifetime;
  lifetime.response_time = policy::TimePoint{milliseconds{reader.signed_number()}};
  lifetime.freshness_lifetime = reader.seconds();
  lifetime.corrected_initial_age = reader.seconds();
  lifetime.stale_while_revalidate = reader.seconds();
  lifetime.stale_if_error = reader.seconds();
  const auto bits = reader.number();
  lifetime.source = static_cast<policy::LifetimeSource>(bits & source_mask);
  lifetime.must_revalidate = (bits & must_revalidate) != 0;
  lifetime.no_cache = (bits & no_cache) != 0;
  return lifetime;
}

std::size_t digits_of(unsigned number) noexcept {
  std::size_t digits = 1;
  for (; number >= 10; number /= 10) ++digits;
  return digits;
}

// What the allocator takes for so many bytes: a word of its own, and the whole in units of two words.
constexpr std::size_t allocated(std::size_t bytes) noexcept {
  constexpr std::size_t word = sizeof(std::size_t);
  return std::max<std::size_t>((bytes + word + 2 * word - 1) / (2 * word) * (2 * word), 4 * word);
}

std::size_t heap_size(const std::string& text) noexcept {
  constexpr std::size_t inside = 15;  // libstdc++ keeps so many bytes in the string object itself
  return text.capacity() > inside ? allocated(text.capacity() + 1) : 0;
}

}  // namespace

bool is_in_head(const http::Field& field) noexcept {
  return !policy::is_targeted_field(field.name) &&
         std::ranges::none_of(written_elsewhere,
                              [&field](std::string_view name) { return http::iequals(field.name, name); });
}

/// Numbers and text of a response before it is made.
class StoredResponse::Builder {
 public:
  explicit Builder(StoredParts from) : parts(std::move(from)) {
    auto& p = parts;
    if (p.body && p.body->size() > inline_body) {
      large_body = std::move(p.body);
    } else if (p.body) {
      inline_bytes = *p.body;
    }
    has_extra = large_body != nullptr || p.extent != nullptr;
    put_head();
    text = p.canonical + head;
    put_number(numbers, p.base_key_size);
    put_lifetime(numbers, p.lifetime);
    put_number(numbers, static_cast<unsigned>(p.priority));
    put_number(numbers, p.stamp.epoch);
    put_number(numbers, p.stamp.clock);
    put_number(numbers, p.stamp.sequence);
    put_number(numbers, p.reason.size());
    put_number(numbers, shown_size);
    for (const auto* const piece : {&p.key, &p.selecting, &p.type, &p.origin, &p.target}) place(*piece);
    append(policy::TagView::pack(p.tags));
    append(hidden);
  }

  [[nodiscard]] std::size_t size() const noexcept {
    return sizeof(StoredResponse) + (has_extra ? sizeof(Extra) : 0) + 1 + numbers.size() + text.size() +
           inline_bytes.size();
  }

  StoredParts parts;
  SharedBody large_body;
  std::string_view inline_bytes;
  bool has_extra = false;
  std::string head;
  std::size_t shown_size = 0;
  std::string hidden;
  std::string numbers;
  std::string text;  ///< without the body, which stands behind the head

 private:
  void put_head() {
    const auto& p = parts;
    const auto length = large_body ? large_body->size() : inline_bytes.size();
    head.append(version).append(std::to_string(p.status)).append(" ").append(p.reason).append(line_end);
    const auto begin = head.size();
    std::size_t place = 0;
    for (const auto& field : p.fields.span()) {
      if (is_in_head(field)) {
        head.append(field.name).append(separator).append(field.value).append(line_end);
      } else {
        put_number(hidden, place);
        put_number(hidden, field.name.size());
        put_number(hidden, field.value.size());
        hidden.append(field.name).append(field.value);
      }
      ++place;
    }
    shown_size = head.size() - begin;
    if (has_content_length(p.status)) head.append(length_name).append(std::to_string(length)).append(line_end);
    head.append(key_name).append(p.key, 0, p.base_key_size).append(line_end);
  }
  void put_place(std::size_t at, std::size_t size) {
    put_number(numbers, size);
    if (size > 0) put_number(numbers, at);
  }
  void append(std::string_view piece) {
    put_place(text.size(), piece.size());
    text.append(piece);
  }
  // Where canonical request or head have it already, it is not written again.
  void place(std::string_view piece) {
    const auto at = std::string_view(text).substr(0, parts.canonical.size() + head.size()).find(piece);
    if (at == std::string_view::npos) {
      append(piece);
    } else {
      put_place(at, piece.size());
    }
  }
};

StoredPtr StoredResponse::make(StoredParts parts) {
  const Builder builder(std::move(parts));
  return StoredPtr(new (::operator new(builder.size())) StoredResponse(builder));  // NOLINT: counted
}

StoredResponse::StoredResponse(const Builder& builder) noexcept
    : status_(static_cast<std::uint16_t>(builder.parts.status) & 0x1FFFU),
      has_validator_(policy::has_validator(builder.parts.fields)),
      varies_(!builder.parts.selecting.empty()),
      has_extra_(builder.has_extra),
      inline_size_(static_cast<std::uint16_t>(builder.inline_bytes.size())),
      canonical_size_(static_cast<std::uint32_t>(builder.parts.canonical.size())),
      head_size_(static_cast<std::uint32_t>(builder.head.size())) {
  static_assert(sizeof(StoredResponse) % alignof(Extra) == 0);
  auto* out = reinterpret_cast<char*>(this + 1);  // NOLINT: what lies behind
  if (has_extra_) {
    new (out) Extra{builder.large_body, builder.parts.extent};
    out += sizeof(Extra);
  }
  *out++ = static_cast<char>(builder.numbers.size());
  const auto put = [&out](std::string_view bytes) { out = std::copy(bytes.begin(), bytes.end(), out); };
  const std::string_view text = builder.text;
  const auto body_at = builder.parts.canonical.size() + builder.head.size();
  put(builder.numbers);
  put(text.substr(0, body_at));
  put(builder.inline_bytes);
  put(text.substr(body_at));
  if (has_extra_) outside_.fetch_add(memory_size(), std::memory_order_relaxed);
}

StoredResponse::~StoredResponse() {
  if (!has_extra_) return;
  if (links_.is_held == 0) outside_.fetch_sub(memory_size(), std::memory_order_relaxed);
  extra()->~Extra();
}

void StoredResponse::note_held(bool is_held) const noexcept {
  links_.is_held = is_held ? 1 : 0;
  if (!has_extra_) return;
  is_held ? outside_.fetch_sub(memory_size(), std::memory_order_relaxed)
          : outside_.fetch_add(memory_size(), std::memory_order_relaxed);
}

StoredResponse::Rest StoredResponse::rest() const noexcept {
  Rest rest;
  NumberReader reader(numbers());
  (void)reader.number();
  (void)read_lifetime(reader);
  rest.priority = static_cast<policy::Priority>(reader.number());
  rest.stamp.epoch = reader.number();
  rest.stamp.clock = reader.number();
  rest.stamp.sequence = reader.number();
  const auto reason_size = reader.number();
  const auto shown_size = reader.number();
  const auto head_at = version.size() + digits_of(status_) + 1;
  rest.reason = head().substr(head_at, reason_size);
  rest.shown = head().substr(head_at + reason_size + line_end.size(), shown_size);
  const std::size_t body_at = canonical_size_ + head_size_;
  rest.end = text() + body_at + inline_size_;
  for (auto* const piece :
       {&rest.key, &rest.selecting, &rest.type, &rest.origin, &rest.target, &rest.tags, &rest.hidden}) {
    const auto size = reader.number();
    if (size == 0) continue;
    const auto at = reader.number();
    *piece = {text() + at + (at < body_at ? 0 : inline_size_), size};
    rest.end = std::max(rest.end, piece->data() + size);
  }
  return rest;
}

std::string_view StoredResponse::base_key() const noexcept {
  const auto size = NumberReader(numbers()).number();
  return head().substr(head_size_ - line_end.size() - size, size);
}

policy::Lifetime StoredResponse::lifetime() const noexcept {
  NumberReader reader(numbers());
  (void)reader.number();
  return read_lifetime(reader);
}

policy::VariantMatch StoredResponse::match(http::FieldSpan request_fields) const {
  if (!varies_) return policy::match_variant({}, {}, request_fields);
  const auto parts = rest();
  return policy::match_variant(parts.selecting, read_fields(parts), request_fields);
}

StoredFields StoredResponse::read_fields(const Rest& rest) {
  StoredFields fields;
  auto shown = rest.shown;
  auto hidden = rest.hidden;
  while (!shown.empty() || !hidden.empty()) {
    if (!hidden.empty()) {
      NumberReader reader(hidden.data());
      const auto place = reader.number();
      const auto name_size = reader.number();
      const auto value_size = reader.number();
      if (place == fields.size()) {
        fields.fields_.push_back({{reader.at(), name_size}, {reader.at() + name_size, value_size}});
        hidden.remove_prefix(static_cast<std::size_t>(reader.at() - hidden.data()) + name_size + value_size);
        continue;
      }
    }
    const auto name_size = shown.find(separator.front());
    const auto value_at = name_size + separator.size();
    const auto value_end = shown.find(line_end.front(), value_at);
    fields.fields_.push_back({shown.substr(0, name_size), shown.substr(value_at, value_end - value_at)});
    shown.remove_prefix(value_end + line_end.size());
  }
  return fields;
}

SharedBody StoredResponse::shared_body() const {
  return has_extra_ && extra()->body ? extra()->body : std::make_shared<const std::string>(body());
}

std::size_t StoredResponse::memory_size() const noexcept {
  auto size = allocated(static_cast<std::size_t>(rest().end - reinterpret_cast<const char*>(this)));  // NOLINT
  if (!has_extra_) return size;
  constexpr std::size_t counts = 2 * sizeof(void*);  // of what a shared_ptr owns
  if (const auto& body = extra()->body) size += allocated(sizeof(std::string) + counts) + heap_size(*body);
  if (const auto* const held = extent()) {
    size += allocated(sizeof(policy::Extent) + counts) + allocated(held->ranges.capacity() * sizeof(http::ByteRange));
  }
  return size;
}

policy::PurgeSubject StoredResponse::subject() const noexcept {
  const auto parts = rest();
  return {.key = parts.key,
          .base_key = base_key(),
          .type = parts.type,
          .origin = parts.origin,
          .target = parts.target,
          .tags = policy::TagView::packed(parts.tags)};
}

}  // namespace larder::store
