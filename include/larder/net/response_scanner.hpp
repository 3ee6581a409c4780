#pragma once
// The head of a plain response, read in one pass: what nearly every answer of an API looks like.
//
// It accepts only what find_head() and MessageParser accept too, with the same result: HTTP/1.1, a body of announced
// length, a connection that is kept, nothing unusual in spelling. Whatever is not plain is left to them, so the rules
// of parsing stand in one place; tests/fuzz/response_scanner_fuzz shows that the two agree.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "larder/http/message.hpp"

namespace larder::net {

/// A plain response head. Views point into the scanned bytes.
struct PlainResponseHead {
  std::size_t size = 0;  ///< bytes of the head with its empty line
  int status = 0;        ///< 200 or more, and none that has no body
  std::string_view reason;
  std::uint64_t length = 0;  ///< Content-Length
};

/// Scans the head at the beginning of `data`, of a response to anything but HEAD. `fields`: where its fields go
/// (cleared first). Empty where it is not plain, not whole, larger than `max_size` bytes or of more than `max_fields`
/// field lines; `fields` is undefined then.
std::optional<PlainResponseHead> scan_plain_response(std::string_view data, std::size_t max_size,
                                                     std::size_t max_fields, std::vector<http::Field>& fields);

}  // namespace larder::net
