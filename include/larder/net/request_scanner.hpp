#pragma once
// The head of a plain request, read in one pass: what nearly every request that a cache can answer looks like.
//
// It accepts only what MessageParser and find_head() accept too, with the same result: HTTP/1.1, one Host, no body, a
// connection that is kept, nothing unusual in spelling. Whatever is not plain is left to them, so the rules of parsing
// stand in one place; tests/fuzz/request_scanner_fuzz shows that the two agree.
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "larder/http/message.hpp"

namespace larder::net {

/// A plain request head. Views point into the scanned bytes.
struct PlainHead {
  std::size_t size = 0;  ///< bytes of the head with its empty line
  std::string_view method;
  std::string_view target;  ///< as it stands in the request line
  std::string_view host;    ///< value of Host
  http::ControlFields control = http::ControlFields::none();
};

/// Scans the head at the beginning of `data`. `fields`: where its fields go (cleared first). Empty where it is not
/// plain, not whole, larger than `max_size` bytes or of more than `max_fields` field lines; `fields` is undefined then.
std::optional<PlainHead> scan_plain_head(std::string_view data, std::size_t max_size, std::size_t max_fields,
                                         std::vector<http::Field>& fields);

}  // namespace larder::net
