// Any bytes as Cache-Groups and Cache-Group-Invalidation: bounds hold, names are unique and printable, and every group
// that a stored response bears can be named by an invalidation in the same words.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/policy/cache_groups.hpp"

namespace {

using namespace larder::policy;

void check(const CacheGroups& groups) {
  if (groups.names.size() > max_cache_groups) std::abort();
  for (const auto& name : groups.names) {
    if (name.size() > max_cache_group_size) std::abort();
    if (std::count(groups.names.begin(), groups.names.end(), name) != 1) std::abort();
    for (const char c : name) {
      if (c < 0x20 || c > 0x7E) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = text.find('\n');
  const auto first = text.substr(0, line);
  const auto second = line == std::string_view::npos ? std::string_view{} : text.substr(line + 1);
  const auto lines = line == std::string_view::npos ? std::size_t{1} : std::size_t{2};
  const std::array<larder::http::Field, 2> groups{{{"Cache-Groups", first}, {"Cache-Groups", second}}};
  const std::array<larder::http::Field, 2> invalidation{
      {{"Cache-Group-Invalidation", first}, {"Cache-Group-Invalidation", second}}};
  const auto own = cache_groups(larder::http::FieldSpan(groups).first(lines));
  const auto invalidated = invalidated_groups(larder::http::FieldSpan(invalidation).first(lines));
  check(own);
  check(invalidated);
  if (own.names != invalidated.names || (invalidated.overflow && !own.overflow)) std::abort();
  return 0;
}
