// Any bytes as targeted fields and Cache-Control: a faulty targeted field changes nothing, numbers stay within their
// bounds, and a restriction that comes last always counts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/structured_field.hpp"
#include "larder/policy/targeted_cache_control.hpp"

namespace {

using namespace larder::policy;

void check(const DeltaSeconds& delta) {
  if (delta.valid && !delta.present) std::abort();
  if (!delta.valid && delta.value != Seconds{0}) std::abort();
  if (delta.value < Seconds{0} || delta.value > max_delta_seconds) std::abort();
}

bool is_usable(std::string_view value) {
  const auto dictionary = larder::http::structured::parse_dictionary(value);
  return dictionary && !dictionary->empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::string_view values[3];
  for (auto& value : values) {
    value = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), value.size() + 1));
  }
  const std::vector<larder::http::Field> fields{
      {"Larder-Cache-Control", values[0]}, {"CDN-Cache-Control", values[1]}, {"Cache-Control", values[2]}};
  const auto directives = caching_directives(fields);
  const std::string_view expected = is_usable(values[0])   ? "Larder-Cache-Control"
                                    : is_usable(values[1]) ? "CDN-Cache-Control"
                                                           : "Cache-Control";
  if (directives.field != expected || directives.targeted != (expected != "Cache-Control")) std::abort();
  const ResponseCacheControl& cc = directives.cache_control;
  check(cc.max_age);
  check(cc.s_maxage);
  check(cc.stale_while_revalidate);
  check(cc.stale_if_error);
  for (const auto* names : {&cc.no_cache_fields, &cc.private_fields}) {
    for (const std::string& name : *names) {
      if (name.empty() || name.find_first_of(" \t\",;") != name.npos) std::abort();
    }
  }
  if (is_usable(values[0])) {
    const std::string restricted = std::string(values[0]) + ", no-store, no-cache, private=1, must-revalidate";
    const auto after = caching_directives(std::vector<larder::http::Field>{{"larder-cache-control", restricted}});
    const auto& own = after.cache_control;
    if (after.targeted && (!own.no_store || !own.no_cache || !own.is_private || !own.must_revalidate)) std::abort();
  }
  return 0;
}
