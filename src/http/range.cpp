#include "larder/http/range.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <optional>

#include "larder/http/http_date.hpp"
#include "larder/http/validator.hpp"

namespace larder::http {

namespace {

using Kind = RangeDecision::Kind;

// 1*DIGIT; what does not fit becomes the largest value, which lies after the end of every body.
std::optional<std::uint64_t> parse_position(std::string_view digits) noexcept {
  if (digits.empty()) return std::nullopt;
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (most - digit) / 10 ? most : value * 10 + digit;
  }
  return value;
}

// IMF-fixdates only: an obsolete form is no strong validator to us, and its year would need a clock.
std::optional<std::chrono::system_clock::time_point> fixdate(FieldSpan fields, std::string_view name) {
  const Field* field = find(fields, name);
  if (field == nullptr || field->value.size() != http_date_size || count(fields, name) != 1) return std::nullopt;
  return parse_http_date(field->value, {});
}

bool if_range_holds(std::string_view condition, FieldSpan stored_fields) {
  if (const auto tag = parse_entity_tag(condition)) {
    const auto stored = entity_tag(stored_fields);
    return stored && strong_match(*tag, *stored);
  }
  const auto modified = fixdate(stored_fields, "Last-Modified");
  const auto date = fixdate(stored_fields, "Date");
  return modified && date && *modified + std::chrono::seconds(1) <= *date &&
         find(stored_fields, "Last-Modified")->value == condition;
}

enum class Spec : unsigned char { malformed, unsatisfiable, satisfiable };

Spec resolve(std::string_view spec, std::uint64_t size, ByteRange& range) noexcept {
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos) return Spec::malformed;
  const std::string_view last_digits = spec.substr(dash + 1);
  if (dash == 0) {
    const auto suffix = parse_position(last_digits);
    if (!suffix) return Spec::malformed;
    if (*suffix == 0 || size == 0) return Spec::unsatisfiable;
    range = {size - std::min(*suffix, size), size - 1};
    return Spec::satisfiable;
  }
  const auto first = parse_position(spec.substr(0, dash));
  const auto last = last_digits.empty() ? std::numeric_limits<std::uint64_t>::max() : parse_position(last_digits);
  if (!first || !last || *last < *first) return Spec::malformed;
  if (*first >= size) return Spec::unsatisfiable;
  range = {*first, std::min(*last, size - 1)};
  return Spec::satisfiable;
}

bool overlap(const std::vector<ByteRange>& ranges) {
  std::vector<ByteRange> sorted = ranges;
  std::sort(sorted.begin(), sorted.end(), [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  return std::adjacent_find(sorted.begin(), sorted.end(),
                            [](const ByteRange& a, const ByteRange& b) { return b.first <= a.last; }) != sorted.end();
}

}  // namespace

RangeDecision decide_range(std::string_view method, FieldSpan request_fields, FieldSpan stored_fields,
                           std::uint64_t size) {
  const Field* field = find(request_fields, "Range");
  if (field == nullptr || method != "GET" || count(request_fields, "Range") != 1) return {Kind::whole, {}};
  if (const Field* condition = find(request_fields, "If-Range")) {
    if (count(request_fields, "If-Range") != 1 || !if_range_holds(condition->value, stored_fields)) {
      return {Kind::whole, {}};
    }
  }
  constexpr std::string_view unit = "bytes=";
  std::string_view value = field->value;
  if (value.size() < unit.size() || !iequals(value.substr(0, unit.size()), unit)) return {Kind::whole, {}};
  value.remove_prefix(unit.size());

  RangeDecision decision{Kind::partial, {}};
  std::size_t specs = 0;
  ListMembers members(value);
  while (const auto member = members.next()) {
    ByteRange range;
    const Spec spec = resolve(*member, size, range);
    if (spec == Spec::malformed || ++specs > max_byte_ranges) return {Kind::whole, {}};
    if (spec == Spec::satisfiable) decision.ranges.push_back(range);
  }
  if (specs == 0) return {Kind::whole, {}};
  if (decision.ranges.empty()) {
    // A suffix of an empty body is satisfiable (§14.1.2), but no Content-Range can say so.
    const bool suffix_of_nothing =
        size == 0 && specs == 1 && value.find_first_of("123456789") != value.npos && trim_ows(value).front() == '-';
    return {suffix_of_nothing ? Kind::whole : Kind::unsatisfiable, {}};
  }
  if (overlap(decision.ranges)) return {Kind::whole, {}};
  return decision;
}

std::string content_range(ByteRange range, std::optional<std::uint64_t> size) {
  std::string text = "bytes ";
  text.append(std::to_string(range.first)).append(1, '-').append(std::to_string(range.last));
  text.append(1, '/').append(size ? std::to_string(*size) : "*");
  return text;
}

std::string unsatisfied_content_range(std::uint64_t size) { return "bytes */" + std::to_string(size); }

std::string multipart_boundary(std::uint64_t random_high, std::uint64_t random_low) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string boundary(32, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    boundary[i] = hex[(random_high >> (60 - 4 * i)) & 15U];
    boundary[16 + i] = hex[(random_low >> (60 - 4 * i)) & 15U];
  }
  return boundary;
}

std::string multipart_content_type(std::string_view boundary) {
  return std::string("multipart/byteranges; boundary=").append(boundary);
}

std::string multipart_part_head(std::string_view boundary, std::string_view content_type, ByteRange range,
                                std::optional<std::uint64_t> size) {
  std::string head = "\r\n--";
  head.append(boundary).append("\r\n");
  if (!content_type.empty()) head.append("Content-Type: ").append(content_type).append("\r\n");
  head.append("Content-Range: ").append(content_range(range, size)).append("\r\n\r\n");
  return head;
}

std::string multipart_end(std::string_view boundary) { return std::string("\r\n--").append(boundary).append("--\r\n"); }

}  // namespace larder::http
