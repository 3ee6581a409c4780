// Parts of one representation put together in any order: what is held must be the representation's own bytes, whatever
// the parts, and what is missing must be what would complete it.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "larder/policy/extent.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  if (size < 1) return 0;
  const std::size_t length = 1 + data[0] % 200;
  std::string whole(length, '\0');
  for (std::size_t i = 0; i < length; ++i) whole[i] = static_cast<char>('a' + i % 26);
  policy::Extent held;
  std::string bytes;
  std::vector<bool> known(length);
  for (std::size_t at = 1; at + 1 < size; at += 2) {
    const std::uint64_t first = data[at] % length;
    const std::uint64_t last = std::min<std::uint64_t>(first + data[at + 1] % 32, length - 1);
    const auto part = whole.substr(first, last - first + 1);
    const auto complete = data[at + 1] >= 128 ? std::optional<std::uint64_t>(length) : std::nullopt;
    const auto combined = policy::combine(held, bytes, {first, last}, part, complete);
    if (!combined) continue;  // too many ranges
    held = combined->extent;
    bytes = combined->bytes;
    for (auto i = first; i <= last; ++i) known[i] = true;
    if (!held.is_valid() || held.size() != bytes.size()) std::abort();
    std::string expected;
    for (std::size_t i = 0; i < length; ++i) {
      if (known[i]) expected += whole[i];
      if (known[i] != held.holds({i, i})) std::abort();
      if (known[i] && bytes[held.offset_of(i)] != whole[i]) std::abort();
    }
    if (expected != bytes) std::abort();
  }
  const std::array<http::Field, 1> stored{http::Field{"ETag", "\"a\""}};
  http::RequestHead request;
  request.method = "GET";
  const auto gap = policy::missing_range(request, stored, held);
  if (!gap || !held.complete_length) return 0;
  const auto last = gap->last.value_or(length - 1);
  const auto completed =
      policy::combine(held, bytes, {gap->first, last}, whole.substr(gap->first, last - gap->first + 1), length);
  if (!completed || !completed->extent.is_whole() || completed->bytes != whole) std::abort();
  return 0;
}
