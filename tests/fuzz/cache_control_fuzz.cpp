// Any bytes as Cache-Control lines, of a response and of a request: numbers stay within their bounds, and another line
// never takes a restriction away.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "larder/policy/cache_control.hpp"

namespace {
using larder::policy::DeltaSeconds;

void check(const DeltaSeconds& delta) {
  if (delta.valid && !delta.present) std::abort();
  if (delta.value.count() < 0 || delta.value.count() > (std::int64_t{1} << 31)) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<larder::http::Field> fields;
  while (fields.size() < 8 && !rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    fields.push_back({fields.size() == 7 ? "Pragma" : "Cache-Control", line});
  }
  const auto response = larder::policy::parse_response_cache_control(fields);
  check(response.max_age);
  check(response.s_maxage);
  check(response.stale_while_revalidate);
  check(response.stale_if_error);
  const auto request = larder::policy::parse_request_cache_control(fields);
  check(request.max_age);
  check(request.max_stale);
  check(request.min_fresh);
  check(request.stale_if_error);

  fields.insert(fields.begin(), {"Cache-Control", "no-store, no-cache, private, must-revalidate"});
  const auto restricted = larder::policy::parse_response_cache_control(fields);
  if (!restricted.no_store || !restricted.no_cache || !restricted.is_private || !restricted.must_revalidate)
    std::abort();
  return 0;
}
