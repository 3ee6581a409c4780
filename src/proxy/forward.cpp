#include "larder/proxy/forward.hpp"

#include "larder/http/hop_by_hop.hpp"
#include "larder/http/http_date.hpp"

namespace larder::proxy {

namespace {
// Written by us, with or without what the client sent.
bool is_ours(std::string_view name) noexcept {
  switch (name.size()) {
    case 3:
      return http::iequals(name, "Via");
    case 4:
      return http::iequals(name, "Host");
    case 6:
      return http::iequals(name, "Expect");
    case 9:
      return http::iequals(name, "Forwarded");
    case 14:
      return http::iequals(name, "Content-Length");
    case 15:
      return http::iequals(name, "X-Forwarded-For");
    case 16:
      return http::iequals(name, "X-Forwarded-Host");
    case 17:
      return http::iequals(name, "X-Forwarded-Proto");
    default:
      return false;
  }
}

bool is_replaced(std::string_view name, const ForwardParameters& parameters) {
  return (!parameters.request_id.empty() && http::iequals(name, parameters.request_id_field)) ||
         (!parameters.traceparent.empty() && (http::iequals(name, "traceparent") || http::iequals(name, "tracestate")));
}

void line(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

// Begins the line of a list: what `fields` have of it comes before what is ours.
void begin_list(std::string& head, http::FieldSpan fields, std::string_view name) {
  head.append(name).append(": ");
  for (const auto& field : fields) {
    if (http::iequals(field.name, name) && !field.value.empty()) head.append(field.value).append(", ");
  }
}

// The node of a Forwarded "for": an IPv6 address is quoted and bracketed (RFC 7239 §6).
void append_forwarded_node(std::string& head, std::string_view address) {
  if (address.find(':') == std::string_view::npos) {
    head.append(address);
  } else {
    head.append("\"[").append(address).append("]\"");
  }
}
}  // namespace

void append_origin_request_head(std::string& head, const http::RequestHead& request, std::string_view host,
                                const ForwardedBody& body, std::string_view upgrade_protocols,
                                const ForwardParameters& parameters) {
  const auto fields = request.fields;
  head.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  line(head, "Host", host);
  for (const auto& field : fields) {
    if (is_ours(field.name) || is_replaced(field.name, parameters)) continue;
    line(head, field.name, field.value);
  }
  if (!parameters.request_id.empty()) line(head, parameters.request_id_field, parameters.request_id.view());
  if (!parameters.traceparent.empty()) line(head, "traceparent", parameters.traceparent);
  begin_list(head, fields, "Via");
  head.append(parameters.via).append("\r\n");
  const auto known = parameters.trust_forwarded ? fields : http::FieldSpan{};
  if (!parameters.client_address.empty()) {
    begin_list(head, known, "X-Forwarded-For");
    head.append(parameters.client_address).append("\r\n");
  }
  line(head, "X-Forwarded-Proto", http::first_value(known, "X-Forwarded-Proto").value_or(request.scheme));
  const auto client_host = http::first_value(known, "X-Forwarded-Host").value_or(request.authority);
  if (!client_host.empty()) line(head, "X-Forwarded-Host", client_host);
  begin_list(head, known, "Forwarded");
  if (!parameters.client_address.empty()) {
    head.append("for=");
    append_forwarded_node(head, parameters.client_address);
    head.append(";");
  }
  // Quoted: a port makes it no token.
  if (!request.authority.empty()) head.append("host=\"").append(request.authority).append("\";");
  head.append("proto=").append(request.scheme).append("\r\n");
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
}

http::FieldList response_fields(const http::ResponseHead& response, std::string_view via,
                                std::chrono::system_clock::time_point now) {
  auto fields = http::FieldList::view_of(response.fields);
  http::remove_hop_by_hop(fields, http::Sender::origin);
  fields.remove_if([](const http::Field& field) {
    switch (field.name.size()) {
      case 7:
        return http::iequals(field.name, "X-Cache");
      case 11:
        return http::iequals(field.name, "X-Cache-Key");
      case 14:
        return http::iequals(field.name, "Content-Length");
      case 15:
        return http::iequals(field.name, http::explain_field);
      default:
        return false;
    }
  });
  fields.add_unowned("Via", via);
  if (http::find(fields, "Date") == nullptr) fields.add("Date", http::format_http_date(now));
  return fields;
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
