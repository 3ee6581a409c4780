#include "larder/policy/normal_request.hpp"

#include <algorithm>
#include <utility>

#include "larder/http/hop_by_hop.hpp"
#include "larder/http/target.hpp"
#include "larder/http/token.hpp"

namespace larder::policy {

std::variant<NormalRequest, std::string> NormalRequest::make(const AskedRequest& asked) {
  NormalRequest out;
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (!http::is_token(asked.method) || asked.method == "CONNECT" || std::ranges::any_of(asked.method, is_lower)) {
    return "\"" + asked.method +
           "\" is not a method that can be asked about; write one such as GET or POST, in capitals";
  }
  out.method_ = asked.method;
  out.asked_target_ = asked.target;
  auto target = http::parse_target(asked.method, asked.target);
  if (!target) {
    return "\"" + asked.target +
           "\" is not a request target; write a path that begins with '/', percent-encoded, or a "
           "whole URI that begins with http://";
  }
  if (auto fault = field_fault(asked.fields); !fault.empty()) return fault;
  const auto host = http::first_value(asked.fields, "Host");
  out.authority_ = !target->authority.empty() ? target->authority : std::string(host.value_or(asked.host));
  if (!http::is_valid_authority(out.authority_)) {
    return "\"" + out.authority_ + "\" is not a host; write a name or an address, and a port where it is not the usual";
  }
  out.target_ = std::move(target->target);
  out.scheme_ = target->scheme.empty() ? "http" : target->scheme;
  out.fields_ = http::FieldList::copy_of(asked.fields);
  if (!host) out.fields_.add("Host", out.authority_);
  out.traits_.body_length = content_length(out.fields_);
  out.traits_.has_body = asked.has_body || out.traits_.body_length.value_or(0) > 0;
  out.traits_.expects_continue = http::has_token(out.fields_, "Expect", "100-continue");
  out.traits_.asks_for_upgrade = http::asks_for_upgrade(out.head());
  http::remove_hop_by_hop(out.fields_);
  out.fields_.remove(http::explain_field);
  return out;
}

http::RequestHead NormalRequest::head() const noexcept {
  return {.method = method_,
          .target = target_,
          .scheme = scheme_,
          .authority = authority_,
          .version = http::Version::http_1_1,
          .fields = fields_};
}

std::string field_fault(http::FieldSpan fields) {
  for (const auto& field : fields) {
    if (!http::is_token(field.name)) return "\"" + std::string(field.name) + "\" is not the name of a field";
    const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; };
    if (std::ranges::any_of(field.value, is_control)) {
      return "the value of " + std::string(field.name) + " holds a control character";
    }
  }
  return {};
}

std::optional<std::uint64_t> content_length(http::FieldSpan fields) {
  const auto value = http::first_value(fields, "Content-Length");
  if (!value || value->empty() || value->size() > 18) return std::nullopt;
  std::uint64_t length = 0;
  for (const char c : *value) {
    if (c < '0' || c > '9') return std::nullopt;
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return length;
}

}  // namespace larder::policy
