#pragma once
// Fields that are meant for one connection only (RFC 9110 §7.6.1, §11.7).
#include <string_view>

#include "larder/http/field_list.hpp"
#include "larder/http/message.hpp"

namespace larder::http {

/// True for the fields that never go further than one connection, whether Connection names them or not: Connection,
/// Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, HTTP2-Settings, Proxy-Authenticate,
/// Proxy-Authentication-Info and Proxy-Authorization. Trailer is not one of them (RFC 9110 §6.6.2).
bool is_hop_by_hop(std::string_view name) noexcept;

/// True for the fields that Connection cannot name away: those that say what a message is, whose it is, or how long it
/// lives (Host, Content-*, Cache-Control, Expires, Age, Date, Vary, validators, preconditions, Range, Location,
/// Authorization, cookies, Accept-*, Via, Forwarded, X-Forwarded-*, ...). RFC 9110 §7.6.1 forbids
/// senders to name fields that are meant for all recipients; obeying it would let a client strip what the origin or
/// the cache key relies on (request smuggling, cache poisoning), and let a response lose its own cache directives.
bool is_end_to_end(std::string_view name) noexcept;

/// Whose message it is that names fields in Connection.
enum class Sender : unsigned char {
  client,  ///< is_end_to_end() fields stay: nobody may strip what the origin or the cache key relies on
  origin  ///< all go, as §7.6.1 says, but those that tell caches for how long and for whom: Age, Cache-Control and its
          ///< targeted kin, Cache-Groups, Date, Expires, No-Vary-Search, Pragma, Vary
};

/// Removes every field that is hop-by-hop, and those that a Connection line among them names, with the exceptions
/// above. Do it before the cache key and the selecting header fields are computed, so that the key sees exactly what
/// the origin will see. Costs at most one comparison of lengths for each pair of a Connection option and a field.
void remove_hop_by_hop(FieldList& fields, Sender sender = Sender::client);

/// True where an Upgrade is asked for that may be relayed: Connection names it and there is an Upgrade field (RFC 9110
/// §7.8), in HTTP/1.1, and no protocol in it is HTTP itself (h2c), whose requests would pass the cache and its purges
/// unseen.
bool asks_for_upgrade(const RequestHead& request) noexcept;

}  // namespace larder::http
