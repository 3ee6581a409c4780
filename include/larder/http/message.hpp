#pragma once
// Request and response heads as views (RFC 9110 §6.2, RFC 9112 §3 and §4). They own nothing: the parser's
// buffer or a FieldList behind them does.
#include <cstdint>
#include <string_view>

#include "larder/http/field_list.hpp"

namespace larder::http {

/// HTTP minor version spoken on a connection (the major one is 1).
enum class Version : unsigned char {
  http_1_0,  ///< HTTP/1.0
  http_1_1,  ///< HTTP/1.1
};

/// Groups of request fields that steer a cache.
enum class ControlField : std::uint8_t {
  caching = 1,            ///< Cache-Control, Pragma (RFC 9111 §5.2, §5.4)
  range = 2,              ///< Range (RFC 9110 §14.2)
  cache_conditions = 4,   ///< If-None-Match, If-Modified-Since (RFC 9110 §13.1)
  origin_conditions = 8,  ///< If-Match, If-Unmodified-Since
  connection = 16,        ///< Connection with more than "keep-alive", Upgrade (RFC 9110 §7.6.1, §7.8)
  explanation = 32,       ///< explain_field
};

/// The request field that asks how its answer comes about; its value is the admin token. For Larder alone: it is not
/// passed on, and no part of any key. The answer's field of the same name holds the explanation.
inline constexpr std::string_view explain_field = "X-Cache-Explain";

/// The groups of which a head may hold a field. It saves looking for what is known not to be there.
class ControlFields {
 public:
  static constexpr ControlFields none() noexcept { return ControlFields(0); }
  static constexpr ControlFields all() noexcept { return ControlFields(0xff); }
  constexpr void add(ControlField group) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(group)); }
  [[nodiscard]] constexpr bool has(ControlField group) const noexcept { return (bits_ & bit(group)) != 0; }

 private:
  explicit constexpr ControlFields(std::uint8_t bits) noexcept : bits_(bits) {}
  static constexpr std::uint8_t bit(ControlField group) noexcept { return static_cast<std::uint8_t>(group); }
  std::uint8_t bits_;
};

/// A request head as the cache sees it. `scheme` and `authority` are those of the target URI (RFC 9110 §7.1):
/// from the absolute-form target where there is one, else from Host and the connection.
struct RequestHead {
  std::string_view method;     ///< case-sensitive token (RFC 9110 §9.1)
  std::string_view target;     ///< normalised path and query, origin-form ("/a/b?c=d"), or "*"
  std::string_view scheme;     ///< "http" or "https"
  std::string_view authority;  ///< host[:port]; may be empty for HTTP/1.0 without Host
  Version version = Version::http_1_1;
  FieldSpan fields;
  ControlFields control = ControlFields::all();  ///< groups that `fields` may hold

  /// The target up to the first '?'.
  [[nodiscard]] std::string_view path() const noexcept { return target.substr(0, target.find('?')); }
  /// The target after the first '?', without it; empty where there is none.
  [[nodiscard]] std::string_view query() const noexcept {
    const auto mark = target.find('?');
    return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  }
};

/// A response head.
struct ResponseHead {
  int status = 0;  ///< 100..999 (RFC 9110 §15)
  std::string_view reason;
  Version version = Version::http_1_1;
  FieldSpan fields;
};

/// GET, HEAD, OPTIONS, TRACE (RFC 9110 §9.2.1), and QUERY, PROPFIND, REPORT and SEARCH, which the registry of methods
/// calls safe. Everything else, unknown methods too, is unsafe.
bool is_safe(std::string_view method) noexcept;

/// Safe methods, PUT and DELETE (RFC 9110 §9.2.2).
bool is_idempotent(std::string_view method) noexcept;

/// The standard reason phrase of a status code; empty for an unknown one.
std::string_view reason_phrase(int status) noexcept;

}  // namespace larder::http
