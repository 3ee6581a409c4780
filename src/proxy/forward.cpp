#include "larder/proxy/forward.hpp"

#include <algorithm>
#include <array>

#include "larder/http/hop_by_hop.hpp"
#include "larder/http/http_date.hpp"

namespace larder::proxy {

namespace {
// Written by us, whatever the client sent.
bool is_ours(std::string_view name) {
  static constexpr std::array<std::string_view, 7> names{
      "Host", "Content-Length", "Expect", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view own) { return http::iequals(name, own); });
}

void line(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

// The node of a Forwarded "for": an IPv6 address is quoted and bracketed (RFC 7239 §6).
std::string forwarded_node(std::string_view address) {
  if (address.find(':') == std::string_view::npos) return std::string(address);
  return "\"[" + std::string(address) + "]\"";
}

// A Host value as a Forwarded parameter: quoted where it is no token.
std::string forwarded_host(std::string_view host) { return "\"" + std::string(host) + "\""; }

std::string appended(http::FieldSpan fields, std::string_view name, std::string_view value) {
  auto all = http::combined(fields, name).value_or("");
  if (!all.empty()) all += ", ";
  all += value;
  return all;
}
}  // namespace

std::string origin_request_head(const http::RequestHead& request, http::FieldSpan fields, std::string_view host,
                                const ForwardedBody& body, std::string_view upgrade_protocols,
                                const ForwardParameters& parameters) {
  std::string head;
  head.reserve(1024);
  head.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  line(head, "Host", host);
  for (const auto& field : fields) {
    if (is_ours(field.name) || http::iequals(field.name, "Via")) continue;
    line(head, field.name, field.value);
  }
  const bool client_is_1_0 = request.version == http::Version::http_1_0;
  line(head, "Via",
       appended(fields, "Via", std::string(client_is_1_0 ? "1.0 " : "1.1 ") + std::string(parameters.node_name)));
  const auto known = parameters.trust_forwarded ? fields : http::FieldSpan{};
  if (!parameters.client_address.empty()) {
    line(head, "X-Forwarded-For", appended(known, "X-Forwarded-For", parameters.client_address));
  }
  line(head, "X-Forwarded-Proto", http::first_value(known, "X-Forwarded-Proto").value_or(request.scheme));
  const auto client_host = http::first_value(known, "X-Forwarded-Host").value_or(request.authority);
  if (!client_host.empty()) line(head, "X-Forwarded-Host", client_host);
  std::string element;
  if (!parameters.client_address.empty()) element += "for=" + forwarded_node(parameters.client_address) + ";";
  if (!request.authority.empty()) element += "host=" + forwarded_host(request.authority) + ";";
  element += "proto=" + std::string(request.scheme);
  line(head, "Forwarded", appended(known, "Forwarded", element));
  if (parameters.expects_continue) line(head, "Expect", "100-continue");
  if (body.present) {
    if (body.length) {
      line(head, "Content-Length", std::to_string(*body.length));
    } else {
      line(head, "Transfer-Encoding", "chunked");
    }
  } else if (const auto* zero = http::find(fields, "Content-Length"); zero != nullptr) {
    line(head, "Content-Length", "0");  // an empty body that the client announced: a POST may need it
  }
  if (!upgrade_protocols.empty()) {
    line(head, "Connection", "upgrade");
    line(head, "Upgrade", upgrade_protocols);
  }
  head += "\r\n";
  return head;
}

http::FieldList response_fields(const http::ResponseHead& response, std::string_view node_name,
                                std::chrono::system_clock::time_point now) {
  auto fields = http::FieldList::copy_of(response.fields);
  http::remove_hop_by_hop(fields, http::Sender::origin);
  fields.remove_if([](const http::Field& field) {
    return http::iequals(field.name, "Content-Length") || http::iequals(field.name, "X-Cache") ||
           http::iequals(field.name, "X-Cache-Key");
  });
  const bool is_1_0 = response.version == http::Version::http_1_0;
  fields.add("Via", std::string(is_1_0 ? "1.0 " : "1.1 ") + std::string(node_name));
  if (http::find(fields, "Date") == nullptr) fields.add("Date", http::format_http_date(now));
  return fields;
}

bool asks_for_upgrade(const http::RequestHead& request) noexcept {
  if (request.version != http::Version::http_1_1 || !http::has_token(request.fields, "Connection", "upgrade"))
    return false;
  bool asks = false;
  for (const auto& field : request.fields) {
    if (!http::iequals(field.name, "Upgrade")) continue;
    http::ListMembers protocols(field.value);
    while (const auto protocol = protocols.next()) {
      const auto name = protocol->substr(0, protocol->find('/'));
      if (http::iequals(name, "h2c") || http::iequals(name, "h2") || http::iequals(name, "HTTP")) return false;
      asks = true;
    }
  }
  return asks;
}

bool names_other_fields(http::FieldSpan fields) noexcept {
  for (const auto& field : fields) {
    if (!http::iequals(field.name, "Connection")) continue;
    http::ListMembers members(field.value);
    while (const auto member = members.next()) {
      if (!http::iequals(*member, "close") && !http::iequals(*member, "keep-alive") &&
          !http::iequals(*member, "upgrade")) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace larder::proxy
