#include "larder/http/hop_by_hop.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace larder::http {

namespace {

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) noexcept {
  return std::any_of(names.begin(), names.end(), [&](std::string_view known) { return iequals(known, name); });
}

bool starts_with(std::string_view name, std::string_view prefix) noexcept {
  return name.size() >= prefix.size() && iequals(name.substr(0, prefix.size()), prefix);
}

}  // namespace

bool is_hop_by_hop(std::string_view name) noexcept {
  switch (name.size()) {
    case 2:
      return iequals(name, "TE");
    case 7:
      return iequals(name, "Upgrade");
    case 10:
      return iequals(name, "Connection") || iequals(name, "Keep-Alive");
    case 14:
      return iequals(name, "HTTP2-Settings");
    case 16:
      return iequals(name, "Proxy-Connection");
    case 17:
      return iequals(name, "Transfer-Encoding");
    case 18:
      return iequals(name, "Proxy-Authenticate");
    case 19:
      return iequals(name, "Proxy-Authorization");
    case 25:
      return iequals(name, "Proxy-Authentication-Info");
    default:
      return false;
  }
}

bool is_end_to_end(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 41> names{"Age",
                                                          "Allow",
                                                          "Authorization",
                                                          "Cache-Control",
                                                          "Cache-Group-Invalidation",
                                                          "Cache-Groups",
                                                          "Cache-Status",
                                                          "CDN-Cache-Control",
                                                          "Clear-Site-Data",
                                                          "Cookie",
                                                          "Date",
                                                          "ETag",
                                                          "Expect",
                                                          "Expires",
                                                          "Forwarded",
                                                          "From",
                                                          "Host",
                                                          "If-Match",
                                                          "If-Modified-Since",
                                                          "If-None-Match",
                                                          "If-Range",
                                                          "If-Unmodified-Since",
                                                          "Larder-Cache-Control",
                                                          "Last-Modified",
                                                          "Location",
                                                          "Max-Forwards",
                                                          "No-Vary-Search",
                                                          "Origin",
                                                          "Pragma",
                                                          "Range",
                                                          "Referer",
                                                          "Retry-After",
                                                          "Server",
                                                          "Set-Cookie",
                                                          "Strict-Transport-Security",
                                                          "Trailer",
                                                          "User-Agent",
                                                          "Vary",
                                                          "Via",
                                                          "WWW-Authenticate",
                                                          "X-Real-IP"};
  return is_one_of(names, name) || starts_with(name, "Accept") || starts_with(name, "Content-") ||
         starts_with(name, "X-Forwarded-") || starts_with(name, "Access-Control-");
}

namespace {

bool tells_caches(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 11> names{"Age",
                                                          "Cache-Control",
                                                          "Cache-Groups",
                                                          "Cache-Group-Invalidation",
                                                          "CDN-Cache-Control",
                                                          "Date",
                                                          "Expires",
                                                          "No-Vary-Search",
                                                          "Pragma",
                                                          "Larder-Cache-Control",
                                                          "Vary"};
  return is_one_of(names, name);
}

}  // namespace

void remove_hop_by_hop(FieldList& fields, Sender sender) {
  // Options that are no field of this message are of no interest, so one mark per field is all the memory it takes; and
  // mostly no option names more than what goes anyway.
  const FieldSpan all = fields.span();
  std::vector<bool> marked;
  for (const Field& line : all) {
    if (!iequals(line.name, "Connection")) continue;
    ListMembers options(line.value);
    while (const auto option = options.next()) {
      if (is_hop_by_hop(*option)) continue;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (!iequals(all[i].name, *option)) continue;
        if (sender == Sender::origin ? tells_caches(*option) : is_end_to_end(*option)) break;
        marked.resize(all.size());
        marked[i] = true;
      }
    }
  }
  fields.remove_if([&](const Field& field) {
    return is_hop_by_hop(field.name) || (!marked.empty() && marked[static_cast<std::size_t>(&field - all.data())]);
  });
}

bool asks_for_upgrade(const RequestHead& request) noexcept {
  if (request.version != Version::http_1_1 || !has_token(request.fields, "Connection", "upgrade")) return false;
  bool asks = false;
  for (const auto& field : request.fields) {
    if (!iequals(field.name, "Upgrade")) continue;
    ListMembers protocols(field.value);
    while (const auto protocol = protocols.next()) {
      const auto name = protocol->substr(0, protocol->find('/'));
      if (iequals(name, "h2c") || iequals(name, "h2") || iequals(name, "HTTP")) return false;
      asks = true;
    }
  }
  return asks;
}

}  // namespace larder::http
