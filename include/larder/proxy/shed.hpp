#pragma once
// Requests that are refused with 503 because a limit is reached: which one, by its name.
#include <cstddef>
#include <optional>
#include <string_view>

#include "larder/net/awaitable.hpp"

namespace larder::proxy {

/// The limit that a request has met. Each has the name of its key in the configuration.
enum class Shed : unsigned char {
  origin_queue,          ///< as many requests wait for a connection to the origin as may
  origin_queue_timeout,  ///< no connection to the origin became free in time
  client_buffers,        ///< no room for the request's body
  fill_budget,           ///< no room to put a response together from what is stored and what is missing
  count_                 ///< number of enumerators, not a limit
};

inline constexpr auto shed_count = static_cast<std::size_t>(Shed::count_);

/// The enumerator's own name ("origin_queue"), for counters and Cache-Status details.
std::string_view to_string(Shed shed) noexcept;
/// The key of the configuration that holds the limit ("origin.queue").
std::string_view limit_of(Shed shed) noexcept;
/// One sentence for the client.
std::string_view explanation_of(Shed shed) noexcept;
/// The error type of Proxy-Status (RFC 9209 §2.3).
std::string_view proxy_error_of(Shed shed) noexcept;
/// The limit behind an error; none where it is of another kind.
std::optional<Shed> shed_by(const net::error_code& error) noexcept;

}  // namespace larder::proxy
