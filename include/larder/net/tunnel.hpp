#pragma once
// Tunnels: connections that were upgraded (RFC 9110 §7.8) and carry bytes we do not understand.
#include <string_view>

#include "larder/net/deadlines.hpp"
#include "larder/net/stream.hpp"

namespace larder::net {

/// Relays bytes both ways with bounded buffers until both sides have ended or nothing has moved for `idle_timeout`.
/// `from_client` and `from_origin` were read already and are sent first. Closes both streams.
Awaitable<void> relay_tunnel(Stream& client, std::string_view from_client, Stream& origin, std::string_view from_origin,
                             DeadlineWheel& wheel, Milliseconds idle_timeout);

}  // namespace larder::net
