#pragma once
// What scan_plain_head() takes, the parser must take for the same: for tests and fuzzing.
#include <algorithm>
#include <string_view>
#include <vector>

#include "larder/net/request_scanner.hpp"

#include "message_outcome.hpp"

namespace larder::net::test {

enum class PlainRequestVerdict : unsigned char {
  not_plain,  ///< left to the parser
  agrees,     ///< taken, as the parser does
  differs     ///< taken, but for something else than the parser takes it for
};

// The groups by plain comparison of names.
inline bool control_agrees(const PlainHead& head, http::FieldSpan fields) {
  using http::ControlField;
  const auto any = [fields](std::initializer_list<std::string_view> names) {
    return std::any_of(names.begin(), names.end(), [&](auto name) { return http::find(fields, name) != nullptr; });
  };
  return head.control.has(ControlField::caching) == any({"Cache-Control", "Pragma"}) &&
         head.control.has(ControlField::range) == any({"Range"}) &&
         head.control.has(ControlField::cache_conditions) == any({"If-None-Match", "If-Modified-Since"}) &&
         head.control.has(ControlField::explanation) == any({http::explain_field}) &&
         head.control.has(ControlField::origin_conditions) == any({"If-Match", "If-Unmodified-Since"}) &&
         !head.control.has(ControlField::connection) && !any({"Upgrade", "Content-Length", "Transfer-Encoding"});
}

inline PlainRequestVerdict judge_plain_request(std::string_view bytes, std::size_t max_fields = 100) {
  std::vector<http::Field> fields;
  const auto plain = scan_plain_head(bytes, ~std::size_t{0}, max_fields, fields);
  if (!plain) return PlainRequestVerdict::not_plain;
  const auto parsed = read_message<true>(
      bytes, [] { return ~std::size_t{0}; }, false, max_fields);
  const auto* host = http::find(fields, "Host");
  const bool agrees = parsed.end == MessageOutcome::End::complete && parsed.method == plain->method &&
                      parsed.target == plain->target && parsed.version == http::Version::http_1_1 &&
                      parsed.fields == copies(fields) && parsed.framing == Framing::none && parsed.keeps_alive &&
                      parsed.rest == bytes.substr(plain->size) && host != nullptr && host->value == plain->host &&
                      control_agrees(*plain, fields);
  return agrees ? PlainRequestVerdict::agrees : PlainRequestVerdict::differs;
}

}  // namespace larder::net::test
