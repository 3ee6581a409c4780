#pragma once
// A request that no client has sent: one that is asked about, or that warming makes. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "larder/http/message.hpp"

namespace larder::policy {

/// What a request head alone does not say.
struct RequestTraits {
  bool has_body = false;
  std::optional<std::uint64_t> body_length;  ///< where the client said it
  bool expects_continue = false;
  bool asks_for_upgrade = false;  ///< http::asks_for_upgrade(), which looks at fields that are hop-by-hop
};

/// A request as somebody asks about it.
struct AskedRequest {
  std::string method = "GET";
  std::string target;      ///< as a client writes it: "/a?b", or with scheme and host
  std::string host;        ///< where `fields` have no Host
  http::FieldList fields;  ///< hop-by-hop fields may be among them
  bool has_body = false;   ///< it has one, of the length that Content-Length says, if any
};

/// The same in the form in which the rules see it: normalised, with its end-to-end fields alone. Movable.
class NormalRequest {
 public:
  /// On error says what is wrong and what would be right.
  static std::variant<NormalRequest, std::string> make(const AskedRequest& asked);
  /// Views into this object.
  [[nodiscard]] http::RequestHead head() const noexcept;
  [[nodiscard]] const RequestTraits& traits() const noexcept { return traits_; }
  [[nodiscard]] const std::string& asked_target() const noexcept { return asked_target_; }

 private:
  std::string method_;
  std::string asked_target_;
  std::string target_;
  std::string scheme_;
  std::string authority_;
  http::FieldList fields_;
  RequestTraits traits_;
};

/// What makes the fields none that a message could have, or "".
std::string field_fault(http::FieldSpan fields);

/// The value of Content-Length; empty where there is none, or no number.
std::optional<std::uint64_t> content_length(http::FieldSpan fields);

}  // namespace larder::policy
