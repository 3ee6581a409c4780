#pragma once
// The next response head of an origin's connection, waited for.
#include "larder/net/error.hpp"
#include "larder/net/origin_connection.hpp"

namespace larder::net::test {

inline Awaitable<Result<http::ResponseHead>> read_head(OriginConnection& connection, bool for_head_request = false) {
  for (;;) {
    const auto head = connection.buffered_head(for_head_request);
    if (head) co_return *head;
    const auto error = co_await connection.read_more();
    if (error) co_return error == asio::error::eof ? error_code(Error::origin_closed) : error;
  }
}

}  // namespace larder::net::test
