#pragma once
// What the origin is sent and what the client is given back: the fields a gateway adds, replaces and drops
// (RFC 9110 §7.6). Pure.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/http/message.hpp"
#include "larder/http/request_id.hpp"

namespace larder::proxy {

/// What this node adds to Via (RFC 9110 §7.6.3).
class Via {
 public:
  /// `node_name`: the pseudonym, a token.
  explicit Via(std::string_view node_name) : http_1_0_("1.0 "), http_1_1_("1.1 ") {
    http_1_0_ += node_name;
    http_1_1_ += node_name;
  }
  /// For a message that was received in `version`; a view into this object.
  [[nodiscard]] std::string_view of(http::Version version) const noexcept {
    return version == http::Version::http_1_0 ? http_1_0_ : http_1_1_;
  }

 private:
  std::string http_1_0_;
  std::string http_1_1_;
};

/// How a request's body will be framed for the origin.
struct ForwardedBody {
  bool present = false;
  std::optional<std::uint64_t> length;  ///< chunked where empty
};

/// Parameters of forwarding.
struct ForwardParameters {
  std::string_view via;             ///< Via::of() the request's version
  std::string_view client_address;  ///< without port
  bool trust_forwarded = false;     ///< append to the client's X-Forwarded-* and Forwarded instead of replacing them
  bool expects_continue = false;    ///< keep Expect: 100-continue
  std::string_view request_id_field{};  ///< replaces the client's, where `request_id` is not empty
  http::RequestId request_id{};
  std::string traceparent{};  ///< replaces the client's traceparent and tracestate; empty: they are passed on
};

/// Appends a request head for an origin to `head`. `request.fields` are end-to-end fields (hop-by-hop ones removed
/// already); `host`: the Host value to send; `upgrade_protocols`: the value of the client's Upgrade field, or empty.
void append_origin_request_head(std::string& head, const http::RequestHead& request, std::string_view host,
                                const ForwardedBody& body, std::string_view upgrade_protocols,
                                const ForwardParameters& parameters);

/// The end-to-end fields of an origin's response as they are stored or relayed: hop-by-hop fields, Content-Length,
/// and X-Cache, X-Cache-Key and X-Cache-Explain of another cache are dropped; `via` (Via::of() the response's version)
/// is appended; Date is added where missing (RFC 9110 §6.6.1). What they point at is the response's and `via`'s.
http::FieldList response_fields(const http::ResponseHead& response, std::string_view via,
                                std::chrono::system_clock::time_point now);

/// True where a Connection field names anything but "close", "keep-alive" and "upgrade": fields the client wants to be
/// dropped, which must happen before the cache key is made.
bool names_other_fields(http::FieldSpan fields) noexcept;

}  // namespace larder::proxy
