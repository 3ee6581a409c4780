#pragma once
// The body of a request to the admin API, whole.
#include <cstddef>
#include <string>
#include <variant>

#include "larder/admin/answer.hpp"
#include "larder/net/exchange.hpp"

namespace larder::admin {

/// Reads the body, `most` bytes at most. 413 where it is larger, 408 where it is too slow, 400 where it is cut short.
net::Awaitable<std::variant<std::string, Answer>> read_body(net::Exchange& exchange, std::size_t most);

}  // namespace larder::admin
