// Any bytes as a request target and as a URI reference: what is accepted must be in normal form, once and for all.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/http/target.hpp"

namespace {
using namespace larder::http;

void check(const Target& target) {
  if (target.target == "*") return;
  if (!is_normal_target(target.target)) std::abort();
  if (normalise_target(target.target) != target.target) std::abort();
  if (!is_valid_authority(target.authority)) std::abort();
  // No dot segment survives: it would name another path for an origin that removes it again.
  const auto path = std::string_view(target.target).substr(0, target.target.find('?'));
  for (const std::string_view dots : {"/./", "/../"}) {
    if (path.find(dots) != std::string_view::npos || path.ends_with(dots.substr(0, dots.size() - 1))) std::abort();
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string_view method : {"GET", "OPTIONS", "CONNECT"}) {
    if (const auto target = parse_target(method, text)) check(*target);
  }
  if (is_normal_target(text) && normalise_target(text) != text) std::abort();
  const Target base{"http", "a.example", "/b/c?d"};
  if (const auto target = resolve_reference(text, base)) {
    check(*target);
    const auto again = resolve_reference(target->scheme + "://" + target->authority + target->target, base);
    if (!again || again->target != target->target || again->authority != target->authority) std::abort();
  }
  const auto shorter = without_default_port("http", text);
  if (!text.starts_with(shorter)) std::abort();
  return 0;
}
