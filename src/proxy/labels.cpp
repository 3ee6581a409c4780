// X-Cache, X-Cache-Key, Age and Cache-Status (RFC 9211): what a response says of how it came about.
#include <charconv>

#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {
void append_number(std::string& out, std::int64_t n) {
  char digits[24];
  const auto* end = std::to_chars(digits, digits + sizeof digits, n).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace

std::string_view forward_reason(policy::NotReused reason) noexcept {
  using policy::NotReused;
  switch (reason) {
    case NotReused::vary_miss:
      return "vary-miss";
    case NotReused::stale:
    case NotReused::no_cache:
      return "stale";
    case NotReused::incomplete:
      return "partial";
    case NotReused::request_no_cache:
    case NotReused::request_max_age:
    case NotReused::request_min_fresh:
    case NotReused::request_no_store:
    case NotReused::expectation:
    case NotReused::upgrade:
      return "request";
    case NotReused::method:
      return "method";
    case NotReused::no_route:
    case NotReused::route_off:
      return "bypass";
    default:
      return "uri-miss";
  }
}

void Proxy::append_labels(std::string& lines, const Labels& labels) const {
  if (labels.age) {
    lines += "Age: ";
    append_number(lines, labels.age->count());
    lines += "\r\n";
  }
  lines.append("X-Cache: ").append(policy::to_string(labels.outcome)).append("\r\n");
  if (!labels.is_local) append_cache_status(lines, labels);
  if (!labels.key.empty()) lines.append("X-Cache-Key: ").append(labels.key).append("\r\n");
}

void Proxy::append_cache_status(std::string& lines, const Labels& labels) const {
  lines.append("Cache-Status: ").append(shared_.cache.node_name);
  if (labels.forward.empty()) {
    lines += "; hit";
  } else {
    lines.append("; fwd=").append(labels.forward);
    if (labels.forward_status != 0) {
      lines += "; fwd-status=";
      append_number(lines, labels.forward_status);
    }
    if (labels.stored) lines += "; stored";
    if (labels.collapsed) lines += "; collapsed";
  }
  if (labels.ttl) {
    lines += "; ttl=";
    append_number(lines, labels.ttl->count());
  }
  if (!labels.detail.empty()) lines.append("; detail=").append(labels.detail);
  if (const auto key = labels.key.empty() ? labels.stored_key : labels.key; !key.empty()) {
    lines.append("; key=\"").append(key).append("\"");
  }
  lines += "\r\n";
}

}  // namespace larder::proxy
