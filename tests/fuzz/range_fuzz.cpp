// Any bytes as Range, If-Range and ETag: what is served must lie within the body, and not overlap.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/http/range.hpp"
#include "larder/http/validator.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder::http;
  if (size < 3) return 0;
  const std::uint64_t length = data[0] * std::uint64_t{257} / (1 + data[1] % 16);
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  const auto line = text.find('\n');
  const auto range = text.substr(0, line);
  const auto condition = line == std::string_view::npos ? std::string_view{} : text.substr(line + 1);
  const std::array<Field, 2> request{Field{"Range", range}, Field{"If-Range", condition}};
  const std::array<Field, 3> stored{Field{"ETag", "\"a\""}, Field{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                    Field{"Date", "Mon, 07 Nov 1994 08:49:37 GMT"}};
  for (const auto fields : {std::size_t{1}, std::size_t{2}}) {
    const auto decision = decide_range("GET", FieldSpan(request).first(fields), stored, length);
    if (decision.kind != RangeDecision::Kind::partial) {
      if (!decision.ranges.empty()) std::abort();
      continue;
    }
    if (decision.ranges.empty() || decision.ranges.size() > max_byte_ranges) std::abort();
    for (std::size_t i = 0; i < decision.ranges.size(); ++i) {
      const auto& one = decision.ranges[i];
      if (one.first > one.last || one.last >= length) std::abort();
      for (std::size_t j = 0; j < i; ++j) {
        if (one.first <= decision.ranges[j].last && decision.ranges[j].first <= one.last) std::abort();
      }
    }
  }
  const std::array<Field, 1> tags{Field{"If-None-Match", text}};
  (void)if_none_match_names(tags, EntityTag{false, "a"});
  if (const auto tag = parse_entity_tag(text); tag && tag->opaque.find('"') != std::string_view::npos) std::abort();
  return 0;
}
