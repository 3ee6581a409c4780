#pragma once
// One request to an origin: choosing a server, sending head and body, reading the response head, and trying again where
// that is safe (RFC 9110 §9.2.2).
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "larder/net/exchange.hpp"
#include "larder/net/origin_pool.hpp"
#include "larder/proxy/forward.hpp"

namespace larder::proxy {

/// What is to be sent.
struct OriginRequest {
  http::RequestHead head;     ///< as the client sent it, but for its fields, which are end-to-end ones only
  std::string upgrade;        ///< the client's Upgrade field, where it is passed on
  ForwardParameters forward;  ///< views that outlive the fetch, as those of `head` do
  bool preserve_host = true;  ///< Host is the client's (true) or the server's own authority (false)
  ForwardedBody framing;
  net::RequestBody* body = nullptr;  ///< null where there is none; without a length it goes as chunks, with trailers
  bool read_body_first = false;      ///< it is small: read it whole, so that it can be sent again to another server
  std::string_view content;          ///< the body, where it was read already; `body` is null then
  /// Told of interim responses (RFC 9110 §15.2); may be empty.
  std::function<net::Awaitable<net::error_code>(const http::ResponseHead&)> on_interim;
  /// Told the connection in use, so that it can be closed from outside while we wait; null when it is over.
  std::function<void(net::OriginConnection*)> on_connection;
};

/// The upload of a request body that goes on while the response is read already.
struct Upload {
  explicit Upload(net::Executor executor) : finished(std::make_shared<net::WaitPoint>(std::move(executor))) {}
  bool done = false;
  net::error_code error;  ///< the client's fault (Error::client_*) or the origin's
  std::shared_ptr<net::WaitPoint> finished;
};

/// How a fetch ended.
struct OriginResponse {
  net::OriginLease lease;   ///< empty on error
  http::ResponseHead head;  ///< views into the lease's connection
  net::error_code error;
  net::ParseFault fault = net::ParseFault::none;  ///< of Error::origin_malformed
  const net::OriginServer* server = nullptr;      ///< asked last; the pool's
  bool reached = false;            ///< the origin may have acted on the request, although there is no response
  std::shared_ptr<Upload> upload;  ///< null where the request had no body
};

/// Sends the request and reads the final response head into `response`, which is new. Never throws; errors are in the
/// response. (Returned, it would be in the coroutine's frame twice, which would be too large to be used again.)
net::Awaitable<void> fetch(net::OriginPool& pool, const OriginRequest& request, OriginResponse& response);

/// Ends an upload that is still running when the response has ended: stops reading the client's body.
net::Awaitable<void> end_upload(OriginResponse& response, net::RequestBody* body);

/// The status and text that tell a client about a failed fetch: 502, 503, 504, or 400 and 408 where the client's own
/// body was at fault.
int status_of(const net::error_code& error) noexcept;

}  // namespace larder::proxy
