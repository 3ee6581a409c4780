#pragma once
// What can go wrong on a connection, by whose fault.
#include <boost/system/error_code.hpp>
#include <string>

namespace larder::net {

/// Errors of the net layer. Names begin with whose fault it is.
enum class Error {
  client_gone = 1,         ///< the client's connection is closed or reset
  client_timeout,          ///< the client sent or read too slowly
  client_malformed_body,   ///< the request body's framing is broken
  client_buffers_full,     ///< there is no room for a request body (ClientLimits::buffers)
  origin_unresolved,       ///< the origin's name has no address
  origin_unreachable,      ///< connecting was refused or failed; another server may help
  origin_connect_timeout,  ///< connecting took too long; another server may help
  origin_timeout,          ///< no response head, or no more of the body, in time
  origin_closed,           ///< the connection ended before a whole response was there
  origin_malformed,        ///< the response is not valid HTTP
  origin_queue_full,       ///< as many wait for a connection as may (OriginParameters::queue)
  origin_busy,             ///< no connection became free in time (OriginParameters::queue_timeout)
  over_budget,             ///< a budget of memory is used up
  cancelled                ///< given up by us
};
boost::system::error_code make_error_code(Error error) noexcept;

}  // namespace larder::net

namespace boost::system {
template <>
struct is_error_code_enum<larder::net::Error> : std::true_type {};
}  // namespace boost::system
