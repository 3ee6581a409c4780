// Any bytes as Content-Range: a range is never turned round nor outside of the whole, its size never wraps, and what is
// read is written and read again alike.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/http/content_range.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder::http;
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_content_range(value);
  if (!parsed) return 0;
  const auto& [range, length] = *parsed;
  if (!range && !length) std::abort();
  if (range && (range->last < range->first || range->size() == 0)) std::abort();
  if (range && length && range->last >= *length) std::abort();
  if (length && *length > max_content_length) std::abort();
  if (range && length && parse_content_range(content_range(*range, *length)) != parsed) std::abort();
  if (!range && parse_content_range(unsatisfied_content_range(*length)) != parsed) std::abort();
  return 0;
}
