#pragma once
// What an unsafe request makes stale with no rule at all (RFC 9111 §4.4).
#include <string>
#include <vector>

#include "larder/http/message.hpp"

namespace larder::policy {

/// What is known of an unsafe request's end.
enum class WriteEnd : unsigned char {
  answered,  ///< a final response head was received
  unknown    ///< the connection broke or timed out after the request may have reached the origin
};

/// True where the origin's state may have changed, so that purges must happen: 2xx, 3xx, 5xx and every unknown end;
/// a 4xx changed nothing. Safe methods never purge.
bool may_have_changed(std::string_view method, WriteEnd end, int status) noexcept;

/// The targets (normalised path and query) to invalidate: the target URI, and Location and Content-Location of the
/// 2xx or 3xx response where they resolve to the same origin (scheme, host and port) as the target URI; an error's
/// are not looked at. Without repetition, the target URI first; empty for "*". `response` may be null.
std::vector<std::string> invalidated_targets(const http::RequestHead& request, const http::ResponseHead* response);

}  // namespace larder::policy
