#include "larder/net/response_scanner.hpp"

#include <algorithm>

#include "larder/net/head_cursor.hpp"

namespace larder::net {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// A number of digits alone, and not so many that it could overflow. Empty otherwise.
std::optional<std::uint64_t> plain_number(std::string_view text) noexcept {
  constexpr std::size_t most_digits = 18;
  if (text.empty() || text.size() > most_digits || !std::all_of(text.begin(), text.end(), is_digit))
    return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : text) number = number * 10 + static_cast<std::uint64_t>(digit - '0');
  return number;
}

bool scan_status_line(HeadCursor& cursor, PlainResponseHead& head) noexcept {
  if (!cursor.skip("HTTP/1.1 ")) return false;
  const auto status = plain_number(cursor.take(3));
  // Interim responses, and those that never have a body.
  if (!status || *status < 200 || *status == 204 || *status == 304) return false;
  head.status = static_cast<int>(*status);
  if (!cursor.skip(" ")) return false;
  head.reason = cursor.take_value();
  return cursor.skip("\r\n");
}

}  // namespace

std::optional<PlainResponseHead> scan_plain_response(std::string_view data, std::size_t max_size,
                                                     std::size_t max_fields, std::vector<http::Field>& fields) {
  fields.clear();
  PlainResponseHead head;
  HeadCursor cursor(data);
  if (!scan_status_line(cursor, head)) return std::nullopt;
  std::optional<std::uint64_t> length;
  while (!cursor.skip("\r\n")) {
    http::Field field;
    if (!cursor.take_field(field) || fields.size() == max_fields) return std::nullopt;
    fields.push_back(field);
    // What frames the body otherwise, or steers the connection, is not plain.
    if (http::iequals(field.name, "Content-Length")) {
      if (length) return std::nullopt;
      length = plain_number(field.value);
      if (!length) return std::nullopt;
    } else if (http::iequals(field.name, "Connection")) {
      if (!http::iequals(field.value, "keep-alive")) return std::nullopt;
    } else if (http::iequals(field.name, "Transfer-Encoding") || http::iequals(field.name, "Proxy-Connection") ||
               http::iequals(field.name, "Upgrade")) {
      return std::nullopt;
    }
  }
  head.size = cursor.used();
  if (!length || head.size > max_size) return std::nullopt;
  head.length = *length;
  return head;
}

}  // namespace larder::net
