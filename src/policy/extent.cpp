#include "larder/policy/extent.hpp"

#include <algorithm>
#include <limits>

#include "larder/http/validator.hpp"

namespace larder::policy {

namespace {

constexpr std::uint64_t unknown_length = std::numeric_limits<std::uint64_t>::max();

// With an unknown length an end that was left open lies beyond all that can be held, as it should.
http::RangeDecision wanted(const http::RequestHead& request, http::FieldSpan stored_fields, const Extent& extent) {
  return http::decide_range(request.method, request.fields, stored_fields,
                            extent.complete_length.value_or(unknown_length));
}

// The first byte from `from` on that is not held.
std::uint64_t first_missing(const Extent& extent, std::uint64_t from) noexcept {
  for (const auto& range : extent.ranges) {
    if (range.first <= from && from <= range.last) return range.last + 1;
  }
  return from;
}

// The last byte up to `to` that is not held; only asked where there is one.
std::uint64_t last_missing(const Extent& extent, std::uint64_t to) noexcept {
  for (const auto& range : extent.ranges) {
    if (range.first <= to && to <= range.last) return range.first - 1;
  }
  return to;
}

}  // namespace

std::uint64_t Extent::size() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& range : ranges) bytes += range.size();
  return bytes;
}

bool Extent::is_whole() const noexcept { return complete_length && size() == *complete_length; }

bool Extent::holds(http::ByteRange range) const noexcept {
  return std::ranges::any_of(
      ranges, [&](const http::ByteRange& held) { return held.first <= range.first && range.last <= held.last; });
}

std::uint64_t Extent::offset_of(std::uint64_t position) const noexcept {
  std::uint64_t offset = 0;
  for (const auto& range : ranges) {
    if (position <= range.last) return offset + (position - range.first);
    offset += range.size();
  }
  return offset;
}

bool Extent::is_valid() const noexcept {
  const http::ByteRange* before = nullptr;
  for (const auto& range : ranges) {
    if (range.last < range.first || range.last == unknown_length) return false;
    if (before != nullptr && range.first <= before->last + 1) return false;
    before = &range;
  }
  return ranges.size() <= max_extent_ranges &&
         (before == nullptr || !complete_length || before->last < *complete_length);
}

std::vector<http::ByteRange> held_ranges(const http::RequestHead& request, http::FieldSpan stored_fields,
                                         const Extent& extent) {
  auto decision = wanted(request, stored_fields, extent);
  if (decision.kind != http::RangeDecision::Kind::partial) return {};
  const bool all_held = std::ranges::all_of(decision.ranges, [&](auto range) { return extent.holds(range); });
  return all_held ? std::move(decision.ranges) : std::vector<http::ByteRange>{};
}

bool can_answer(const http::RequestHead& request, http::FieldSpan stored_fields, const Extent& extent) {
  return request.method == "HEAD" || !held_ranges(request, stored_fields, extent).empty();
}

std::optional<Gap> missing_range(const http::RequestHead& request, http::FieldSpan stored_fields,
                                 const Extent& extent) {
  const auto tag = http::entity_tag(stored_fields);
  if (request.method != "GET" || extent.ranges.empty() || !tag || tag->weak) return std::nullopt;
  const auto decision = wanted(request, stored_fields, extent);
  if (decision.kind == http::RangeDecision::Kind::unsatisfiable) return std::nullopt;

  std::uint64_t first = 0;
  std::uint64_t last = extent.complete_length.value_or(unknown_length) - 1;
  if (decision.kind == http::RangeDecision::Kind::partial) {
    first = unknown_length;
    last = 0;
    for (const auto range : decision.ranges) {
      first = std::min(first, range.first);
      last = std::max(last, range.last);
    }
  }
  const auto begin = first_missing(extent, first);
  if (begin > last) return std::nullopt;  // nothing is missing
  const auto end = last_missing(extent, last);
  // Nothing is gained at either end: what is held lies in the middle, or apart.
  if (begin == first && end == last) return std::nullopt;
  const bool to_the_end = end == extent.complete_length.value_or(unknown_length) - 1;
  return Gap{begin, to_the_end ? std::nullopt : std::optional(end)};
}

std::string range_field(const Gap& gap) {
  return "bytes=" + std::to_string(gap.first) + "-" + (gap.last ? std::to_string(*gap.last) : std::string());
}

bool share_strong_validator(http::FieldSpan a, http::FieldSpan b) noexcept {
  const auto tag_a = http::entity_tag(a);
  const auto tag_b = http::entity_tag(b);
  return tag_a && tag_b && http::strong_match(*tag_a, *tag_b);
}

std::optional<PartialBody> combine(const Extent& held, std::string_view held_bytes, http::ByteRange part,
                                   std::string_view bytes, std::optional<std::uint64_t> complete_length) {
  if (held.complete_length && complete_length && *held.complete_length != *complete_length) return std::nullopt;
  PartialBody result;
  result.extent.complete_length = complete_length ? complete_length : held.complete_length;
  result.bytes.reserve(held_bytes.size() + bytes.size());

  const auto append = [&](http::ByteRange range, std::string_view content) {
    auto& ranges = result.extent.ranges;
    if (!ranges.empty() && ranges.back().last + 1 == range.first) {
      ranges.back().last = range.last;
    } else {
      ranges.push_back(range);
    }
    result.bytes.append(content);
  };
  const auto of_held = [&](http::ByteRange range) {
    return held_bytes.substr(static_cast<std::size_t>(held.offset_of(range.first)),
                             static_cast<std::size_t>(range.size()));
  };
  bool placed = false;
  const auto place = [&] {
    if (!placed) append(part, bytes);
    placed = true;
  };
  for (const auto& range : held.ranges) {
    if (range.first < part.first) {
      const http::ByteRange front{range.first, std::min(range.last, part.first - 1)};
      append(front, of_held(front));
    }
    if (range.last > part.last) {
      place();
      const http::ByteRange back{std::max(range.first, part.last + 1), range.last};
      append(back, of_held(back));
    }
  }
  place();
  if (!result.extent.is_valid()) return std::nullopt;
  return result;
}

}  // namespace larder::policy
