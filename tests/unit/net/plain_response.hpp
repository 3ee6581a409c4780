#pragma once
// What scan_plain_response() takes, the parser must take for the same: for tests and fuzzing.
#include <string_view>
#include <vector>

#include "larder/net/response_scanner.hpp"

#include "message_outcome.hpp"

namespace larder::net::test {

enum class PlainVerdict : unsigned char {
  not_plain,  ///< left to the parser
  agrees,     ///< taken, as the parser does
  differs     ///< taken, but for something else than the parser takes it for
};

inline PlainVerdict judge_plain_response(std::string_view bytes, std::size_t max_fields = 100) {
  std::vector<http::Field> fields;
  const auto plain = scan_plain_response(bytes, ~std::size_t{0}, max_fields, fields);
  if (!plain) return PlainVerdict::not_plain;
  // Its body is cut where the bytes end, which says nothing of its head.
  const auto parsed = read_message<false>(
      bytes, [] { return ~std::size_t{0}; }, false, max_fields);
  using End = MessageOutcome::End;
  const bool is_whole = bytes.size() - plain->size >= plain->length;
  const bool agrees = parsed.end == (is_whole ? End::complete : End::truncated) && parsed.status == plain->status &&
                      parsed.reason == plain->reason && parsed.version == http::Version::http_1_1 &&
                      parsed.fields == copies(fields) && parsed.length == plain->length && parsed.keeps_alive &&
                      parsed.framing == (plain->length > 0 ? Framing::length : Framing::none) &&
                      parsed.body == bytes.substr(plain->size, static_cast<std::size_t>(plain->length)) &&
                      parsed.trailers.empty();
  return agrees ? PlainVerdict::agrees : PlainVerdict::differs;
}

}  // namespace larder::net::test
