// A record, version 2. Numbers are little-endian, text is a 4-byte length and that many bytes.
//
//   offset 0   "LRD" and the version byte
//          4   kind: 1 response, 2 vary marker
//          5   flags: bit 0, the body is zlib compressed; bit 1, it is not the whole; the others zero
//          6   two zero bytes
//          8   u32 size of the front
//         12   u64 size of the rest
//         20   u32 CRC-32 of bytes 0..19 and the front
//         24   u32 CRC-32 of the rest
//         28   front: what RecordSummary tells
//              rest: canonical request, selecting fields, status, fields, where it is not the whole what part it is;
//              then the body up to the end
//
// A marker has canonical request and names in its front and no rest. A change of this form is a new version: records of
// another version are not_a_record, and are then replaced.
#include "larder/store/codec.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>
#include <zlib.h>

#include "larder/http/token.hpp"

namespace larder::store {
namespace {

using policy::Lifetime;
using policy::Seconds;
using policy::TimePoint;
using std::chrono::milliseconds;

constexpr std::string_view magic{"LRD\x02", 4};
constexpr std::size_t header_size = record_header_size;
constexpr std::size_t front_checksum_at = 20;
constexpr std::size_t rest_checksum_at = 24;
constexpr std::uint8_t kind_response = 1;
constexpr std::uint8_t kind_marker = 2;
constexpr std::uint8_t flag_compressed = 1;
constexpr std::uint8_t flag_incomplete = 2;

// DEFLATE makes at most 1032 bytes of one; a claim beyond that is not worth an allocation.
constexpr std::uint64_t best_ratio = 1032;
// 2^40 s and the year 2255: far above what compute_lifetime() yields, far below what overflows when added.
constexpr std::int64_t longest_seconds = 1LL << 40;
constexpr std::int64_t latest_milliseconds = 9'000'000'000'000;

enum LifetimeFlag : std::uint8_t { must_revalidate = 1, no_cache = 2 };

std::uint32_t crc(std::string_view bytes, std::uint32_t before = 0) noexcept {
  return static_cast<std::uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));  // NOLINT: zlib's byte type
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <class Number>
  void number(Number value) {
    auto bits = static_cast<std::make_unsigned_t<Number>>(value);
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
      out_ += static_cast<char>(static_cast<unsigned char>(bits & 0xFFU));
      if constexpr (sizeof(Number) > 1) bits >>= 8U;
    }
  }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  void seconds(Seconds value) { number(static_cast<std::int64_t>(value.count())); }

 private:
  std::string& out_;
};

// Reads until the first fault and remembers that one; what is read after it is zero or empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class Number>
  Number number() {
    const auto bytes = take(sizeof(Number));
    std::make_unsigned_t<Number> value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value = static_cast<std::make_unsigned_t<Number>>(
          value | static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i));
    }
    return static_cast<Number>(value);
  }
  std::string_view text() { return take(number<std::uint32_t>()); }
  std::string_view take(std::size_t n) {
    if (n > rest_.size()) {
      fail(DecodeError::truncated);
      return {};
    }
    const auto bytes = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return bytes;
  }
  Seconds seconds(std::int64_t least = 0) {
    const auto value = number<std::int64_t>();
    require(value >= least && value <= longest_seconds);
    return Seconds{error_ ? 0 : value};
  }
  // How many items follow, of at least `item_size` bytes each.
  std::uint32_t count(std::size_t item_size) {
    const auto n = number<std::uint32_t>();
    if (n > rest_.size() / item_size) fail(DecodeError::truncated);
    return error_ ? 0 : n;
  }
  void require(bool condition) {
    if (!condition) fail(DecodeError::value);
  }
  void fail(DecodeError error) {
    if (!error_) error_ = error;
    rest_ = {};
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
  [[nodiscard]] const std::optional<DecodeError>& error() const noexcept { return error_; }

 private:
  std::string_view rest_;
  std::optional<DecodeError> error_;
};

bool is_control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}
// Keys, types and targets stand in reply heads and logs.
bool is_line(std::string_view text) noexcept { return std::ranges::none_of(text, is_control); }
// field-value and reason-phrase (RFC 9110 §5.5, RFC 9112 §4): HTAB is allowed.
bool is_field_value(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return c != '\t' && is_control(c); });
}

// The place of the header, filled in by finish().
std::string begin(std::size_t size_hint) {
  std::string record;
  record.reserve(header_size + size_hint);
  record.append(header_size, '\0');
  return record;
}

void finish(std::string& record, std::uint8_t kind, std::uint8_t flags, std::size_t front_size) {
  const auto rest_size = record.size() - header_size - front_size;
  std::string header;
  Writer writer(header);
  header.append(magic);
  writer.number(kind);
  writer.number(flags);
  writer.number(std::uint16_t{0});
  writer.number(static_cast<std::uint32_t>(front_size));
  writer.number(static_cast<std::uint64_t>(rest_size));
  const std::string_view bytes = record;
  writer.number(crc(bytes.substr(header_size, front_size), crc(header)));
  writer.number(crc(bytes.substr(header_size + front_size)));
  std::ranges::copy(header, record.begin());
}

struct Header {
  std::uint8_t kind = 0;
  std::uint8_t flags = 0;
  std::uint32_t rest_checksum = 0;
  std::uint64_t rest_size = 0;
  std::string_view front;   ///< verified
  std::string_view behind;  ///< what follows the front
};

// Reads the header and verifies it together with the front.
std::variant<DecodeError, Header> read_header(std::string_view record) {
  // A beginning of ours is cut short; anything else is foreign, however short it is.
  if (!record.starts_with(magic.substr(0, std::min(record.size(), magic.size())))) return DecodeError::not_a_record;
  Reader reader(record);
  reader.take(magic.size());
  Header header;
  header.kind = reader.number<std::uint8_t>();
  header.flags = reader.number<std::uint8_t>();
  const auto zero = reader.number<std::uint16_t>();
  const auto front_size = reader.number<std::uint32_t>();
  header.rest_size = reader.number<std::uint64_t>();
  const auto front_checksum = reader.number<std::uint32_t>();
  header.rest_checksum = reader.number<std::uint32_t>();
  header.front = reader.take(front_size);
  if (reader.error()) return *reader.error();
  header.behind = reader.rest();
  if (crc(header.front, crc(record.substr(0, front_checksum_at))) != front_checksum) return DecodeError::checksum;
  if (header.kind != kind_response && header.kind != kind_marker) return DecodeError::not_a_record;
  if (zero != 0 || (header.flags & ~(flag_compressed | flag_incomplete)) != 0) return DecodeError::value;
  return header;
}

void put_stamp(Writer& writer, const PurgeStamp& stamp) {
  writer.number(stamp.epoch);
  writer.number(stamp.clock);
}
PurgeStamp read_stamp(Reader& reader) {
  PurgeStamp stamp;
  stamp.epoch = reader.number<std::uint64_t>();
  stamp.clock = reader.number<std::uint64_t>();
  return stamp;
}

void put_lifetime(Writer& writer, const Lifetime& lifetime) {
  const auto clamped = [](Seconds s) { return std::clamp(s, Seconds{-longest_seconds}, Seconds{longest_seconds}); };
  const auto time = std::chrono::floor<milliseconds>(lifetime.response_time.time_since_epoch()).count();
  writer.seconds(clamped(lifetime.freshness_lifetime));
  writer.number(static_cast<std::uint8_t>(lifetime.source));
  writer.seconds(clamped(lifetime.corrected_initial_age));
  writer.number(static_cast<std::int64_t>(time));
  writer.seconds(clamped(lifetime.stale_while_revalidate));
  writer.seconds(clamped(lifetime.stale_if_error));
  writer.number(
      static_cast<std::uint8_t>((lifetime.must_revalidate ? must_revalidate : 0) | (lifetime.no_cache ? no_cache : 0)));
}
Lifetime read_lifetime(Reader& reader) {
  Lifetime lifetime;
  lifetime.freshness_lifetime = reader.seconds(-longest_seconds);
  const auto source = reader.number<std::uint8_t>();
  reader.require(source <= static_cast<std::uint8_t>(policy::LifetimeSource::none));
  lifetime.source = reader.error() ? policy::LifetimeSource::none : static_cast<policy::LifetimeSource>(source);
  lifetime.corrected_initial_age = reader.seconds();
  const auto time = reader.number<std::int64_t>();
  reader.require(time >= 0 && time <= latest_milliseconds);
  if (!reader.error()) lifetime.response_time = TimePoint{milliseconds{time}};
  lifetime.stale_while_revalidate = reader.seconds();
  lifetime.stale_if_error = reader.seconds();
  const auto flags = reader.number<std::uint8_t>();
  reader.require((flags & ~(must_revalidate | no_cache)) == 0);
  lifetime.must_revalidate = (flags & must_revalidate) != 0;
  lifetime.no_cache = (flags & no_cache) != 0;
  return lifetime;
}

void put_extent(Writer& writer, const policy::Extent& extent) {
  writer.number(static_cast<std::uint8_t>(extent.complete_length.has_value()));
  writer.number(static_cast<std::uint64_t>(extent.complete_length.value_or(0)));
  writer.number(static_cast<std::uint32_t>(extent.ranges.size()));
  for (const auto& range : extent.ranges) {
    writer.number(range.first);
    writer.number(range.last);
  }
}
std::shared_ptr<const policy::Extent> read_extent(Reader& reader, std::uint64_t body_size) {
  auto extent = std::make_shared<policy::Extent>();
  const auto has_length = reader.number<std::uint8_t>();
  const auto length = reader.number<std::uint64_t>();
  reader.require(has_length <= 1);
  if (has_length == 1) extent->complete_length = length;
  const auto ranges = reader.count(2 * sizeof(std::uint64_t));
  for (std::uint32_t i = 0; i < ranges && !reader.error(); ++i) {
    const auto first = reader.number<std::uint64_t>();
    const auto last = reader.number<std::uint64_t>();
    extent->ranges.push_back({first, last});
  }
  reader.require(extent->is_valid() && extent->size() == body_size);
  return extent;
}

std::variant<DecodeError, RecordSummary> read_summary(std::string_view front) {
  Reader reader(front);
  RecordSummary summary;
  summary.stamp = read_stamp(reader);
  summary.lifetime = read_lifetime(reader);
  summary.body_size = reader.number<std::uint64_t>();
  const auto key = reader.text();
  const auto base_key_size = reader.number<std::uint32_t>();
  const auto type = reader.text();
  const auto origin = reader.text();
  const auto target = reader.text();
  reader.require(is_line(origin) && !key.empty() && is_line(key) && base_key_size > 0 && base_key_size <= key.size() &&
                 is_line(type) && is_line(target));
  summary.key = key;
  summary.base_key_size = base_key_size;
  summary.type = type;
  summary.origin = origin;
  summary.target = target;
  const auto tags = reader.count(sizeof(std::uint32_t));
  summary.tags.reserve(tags);
  for (std::uint32_t i = 0; i < tags && !reader.error(); ++i) summary.tags.emplace_back(reader.text());
  reader.require(reader.rest().empty());
  if (reader.error()) return *reader.error();
  return summary;
}

std::variant<DecodeError, VaryMarker> read_marker(std::string_view front, std::uint64_t sequence) {
  Reader reader(front);
  VaryMarker marker;
  marker.stamp = read_stamp(reader);
  marker.stamp.sequence = sequence;
  marker.canonical = reader.text();
  const auto names = reader.count(sizeof(std::uint32_t));
  marker.names.reserve(names);
  for (std::uint32_t i = 0; i < names && !reader.error(); ++i) {
    const auto name = reader.text();
    reader.require(http::is_token(name) && std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; }) &&
                   (marker.names.empty() || marker.names.back() < name));
    marker.names.emplace_back(name);
  }
  reader.require(!marker.names.empty() && reader.rest().empty());
  if (reader.error()) return *reader.error();
  return marker;
}

// Empty optional where compression fails or gains nothing.
std::optional<std::string> compress(std::string_view body, int level) {
  // What does not get smaller is not worth keeping, so there need be room for no more.
  std::string out(body.size() - 1, '\0');
  uLongf size = out.size();
  const int result = compress2(reinterpret_cast<Bytef*>(out.data()), &size,  // NOLINT: zlib's byte type
                               reinterpret_cast<const Bytef*>(body.data()), body.size(), level);  // NOLINT
  if (result != Z_OK) return std::nullopt;
  out.resize(size);
  return out;
}

bool is_content_coded(http::FieldSpan fields) {
  const auto coding = http::combined(fields, "Content-Encoding");
  return coding && !http::iequals(*coding, "identity");
}

// Null where the bytes do not inflate to exactly `size`.
SharedBody inflate(std::string_view bytes, std::uint64_t size) {
  if (size > best_ratio * bytes.size()) return nullptr;
  auto body = std::make_shared<std::string>(size, '\0');
  uLongf made = body->size();
  uLong used = bytes.size();
  const int result = uncompress2(reinterpret_cast<Bytef*>(body->data()), &made,         // NOLINT: zlib's byte type
                                 reinterpret_cast<const Bytef*>(bytes.data()), &used);  // NOLINT
  if (result != Z_OK || made != size || used != bytes.size()) return nullptr;
  return body;
}

}  // namespace

std::string_view to_string(DecodeError error) noexcept {
  switch (error) {
    case DecodeError::not_a_record:
      return "not_a_record";
    case DecodeError::truncated:
      return "truncated";
    case DecodeError::checksum:
      return "checksum";
    case DecodeError::body:
      return "body";
    case DecodeError::value:
      return "value";
  }
  return {};
}

policy::PurgeSubject RecordSummary::subject() const noexcept {
  return {.key = key,
          .base_key = std::string_view(key).substr(0, base_key_size),
          .type = type,
          .origin = origin,
          .target = target,
          .tags = tags};
}

std::string encode(const StoredResponse& response, const CodecParameters& parameters) {
  const auto body = response.body();
  const auto fields = response.fields();
  const bool shall_compress =
      parameters.compress_threshold != 0 && body.size() > parameters.compress_threshold && !is_content_coded(fields);
  const auto compressed = shall_compress ? compress(body, std::clamp(parameters.compress_level, 1, 9)) : std::nullopt;
  const std::string_view stored_body = compressed ? std::string_view(*compressed) : body;

  auto record = begin(512 + response.canonical().size() + response.head().size() + stored_body.size());
  Writer writer(record);
  put_stamp(writer, response.stamp());
  put_lifetime(writer, response.lifetime());
  writer.number(static_cast<std::uint64_t>(body.size()));
  writer.text(response.key());
  writer.number(static_cast<std::uint32_t>(response.base_key().size()));
  writer.text(response.type());
  writer.text(response.origin());
  writer.text(response.target());
  const auto tags = response.tags();
  writer.number(static_cast<std::uint32_t>(std::distance(tags.begin(), tags.end())));
  for (const auto tag : tags) writer.text(tag);
  const auto front_size = record.size() - header_size;

  writer.text(response.canonical());
  writer.text(response.selecting());
  writer.number(static_cast<std::uint8_t>(response.priority()));
  writer.number(static_cast<std::uint16_t>(response.status()));
  writer.text(response.reason());
  writer.number(static_cast<std::uint32_t>(fields.size()));
  for (const auto& field : fields.span()) {
    writer.text(field.name);
    writer.text(field.value);
  }
  if (const auto* const extent = response.extent()) put_extent(writer, *extent);
  record.append(stored_body);
  const auto flags =
      static_cast<std::uint8_t>((compressed ? flag_compressed : 0) | (response.is_complete() ? 0 : flag_incomplete));
  finish(record, kind_response, flags, front_size);
  return record;
}

std::string encode(const VaryMarker& marker) {
  auto record = begin(64 + marker.canonical.size());
  Writer writer(record);
  put_stamp(writer, marker.stamp);
  writer.text(marker.canonical);
  writer.number(static_cast<std::uint32_t>(marker.names.size()));
  for (const auto& name : marker.names) writer.text(name);
  finish(record, kind_marker, 0, record.size() - header_size);
  return record;
}

std::variant<DecodeError, StoredPtr, VaryMarker> decode(std::string_view record, const CodecParameters& parameters,
                                                        std::uint64_t sequence) {
  const auto read = read_header(record);
  if (const auto* error = std::get_if<DecodeError>(&read)) return *error;
  const auto& header = std::get<Header>(read);
  if (header.behind.size() < header.rest_size) return DecodeError::truncated;
  if (header.behind.size() > header.rest_size) return DecodeError::value;
  if (crc(header.behind) != header.rest_checksum) return DecodeError::checksum;

  if (header.kind == kind_marker) {
    if (header.rest_size != 0 || header.flags != 0) return DecodeError::value;
    auto marker = read_marker(header.front, sequence);
    if (const auto* error = std::get_if<DecodeError>(&marker)) return *error;
    return std::get<VaryMarker>(std::move(marker));
  }

  auto front = read_summary(header.front);
  if (const auto* error = std::get_if<DecodeError>(&front)) return *error;
  auto& summary = std::get<RecordSummary>(front);
  if (summary.body_size > parameters.max_body) return DecodeError::body;

  Reader reader(header.behind);
  StoredParts parts;
  parts.canonical = reader.text();
  parts.selecting = reader.text();
  const auto priority = reader.number<std::uint8_t>();
  reader.require(priority <= static_cast<std::uint8_t>(policy::Priority::high));
  parts.priority = reader.error() ? policy::Priority::normal : static_cast<policy::Priority>(priority);
  parts.status = reader.number<std::uint16_t>();
  reader.require(parts.status >= 200 && parts.status <= 999);
  const auto reason = reader.text();
  reader.require(is_field_value(reason));
  parts.reason = reason;
  const auto fields = reader.count(2 * sizeof(std::uint32_t));
  for (std::uint32_t i = 0; i < fields && !reader.error(); ++i) {
    const auto name = reader.text();
    const auto value = reader.text();
    reader.require(http::is_token(name) && is_field_value(value));
    // Into the record, which outlives these parts: make() copies the bytes.
    parts.fields.add_unowned(name, value);
  }
  if ((header.flags & flag_incomplete) != 0) parts.extent = read_extent(reader, summary.body_size);
  if (reader.error()) return *reader.error();
  const auto body = reader.rest();
  if ((header.flags & flag_compressed) != 0) {
    parts.body = inflate(body, summary.body_size);
    if (!parts.body) return DecodeError::body;
  } else {
    if (body.size() != summary.body_size) return DecodeError::body;
    parts.body = std::make_shared<const std::string>(body);
  }
  parts.key = std::move(summary.key);
  parts.base_key_size = summary.base_key_size;
  parts.type = std::move(summary.type);
  parts.origin = std::move(summary.origin);
  parts.target = std::move(summary.target);
  parts.tags = std::move(summary.tags);
  parts.stamp = summary.stamp;
  parts.stamp.sequence = sequence;
  parts.lifetime = summary.lifetime;
  return StoredResponse::make(std::move(parts));
}

std::variant<DecodeError, RecordSummary> summarise(std::string_view front) {
  const auto read = read_header(front);
  if (const auto* error = std::get_if<DecodeError>(&read)) return *error;
  const auto& header = std::get<Header>(read);
  if (header.kind != kind_response) return DecodeError::not_a_record;
  return read_summary(header.front);
}

}  // namespace larder::store
