#pragma once
// Strict HTTP/1 messages (RFC 9112) on Beast's basic_parser. Beast finds the parts; what it lets pass although RFC 9112
// calls it invalid (bare CR or LF, obs-fold, control characters, a body framed in a way we do not understand) is
// refused here, so that nothing ambiguous is ever relayed. The same rules hold on every path, fast or slow.
//
// Views point into the caller's buffer: it must not move between parse_head() and the last use of a field.
#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "larder/http/message.hpp"

namespace larder::net {

/// Why a message was refused.
enum class ParseFault : unsigned char {
  none,               ///< no fault
  line_ending,        ///< bare CR or LF (RFC 9112 §2.2)
  folded_field,       ///< obs-fold (§5.2)
  control_character,  ///< control character in the head or trailers (RFC 9110 §5.5)
  start_line,         ///< malformed request line or status line (§3, §4)
  target,             ///< invalid request target (§3.2)
  version,            ///< not HTTP/1.x (RFC 9110 §15.6.6)
  field,              ///< malformed field line, such as a space before the colon (§5.1)
  host,               ///< no Host in HTTP/1.1, several, or an invalid one (§3.2)
  content_length,     ///< invalid or differing Content-Length (§6.3)
  transfer_coding,    ///< a transfer coding other than chunked, or one in HTTP/1.0 (§6.1)
  framing_conflict,   ///< both Content-Length and Transfer-Encoding (§6.3)
  head_too_large,     ///< more bytes than the limit
  too_many_fields,    ///< more field lines than the limit
  chunk,              ///< malformed chunk size, extension or end (§7.1)
  truncated           ///< the connection ended before the message did (§8)
};
std::string_view to_string(ParseFault fault) noexcept;
/// The status a client is given for a faulty request: 400, 431, 501 or 505.
int status_of(ParseFault fault) noexcept;

/// How a message's body is delimited (RFC 9112 §6.3).
enum class Framing : unsigned char { none, length, chunked, until_close };

/// Finds the end of a head in `data`. Returns the size of the head with its empty line, or 0 where it is not all there
/// yet; sets `fault` where what is there can never become a valid head. `seen`: bytes already looked at, kept by the
/// caller between calls and 0 for a new message.
std::size_t find_head(std::string_view data, std::size_t& seen, ParseFault& fault) noexcept;

/// One message: parse_head() once, then next() until done(). A new object for each message.
template <bool is_request>
class MessageParser final : private boost::beast::http::basic_parser<is_request> {
 public:
  /// `fields`: where the head's fields go (cleared first); lets a connection reuse one vector. Must outlive the parser.
  MessageParser(std::vector<http::Field>& fields, std::size_t max_fields);

  /// Parses a whole head as found by find_head(). False on a fault.
  bool parse_head(std::string_view head);
  /// For responses only, before parse_head(): it answers a HEAD, so it has no body whatever its fields say.
  void answers_head() { this->skip(true); }

  /// Looks for the next piece of the body in `data`. Returns how many bytes of `data` were used; `piece` is the
  /// body bytes among them (may be empty), a view into `data`. Zero used and no fault: more data is needed.
  std::size_t next(std::string_view data, std::string_view& piece);
  /// The connection ended. False (and fault `truncated`) where the message was not complete.
  bool end_of_stream();

  [[nodiscard]] bool done() const { return this->is_done(); }
  [[nodiscard]] ParseFault fault() const noexcept { return fault_; }
  [[nodiscard]] Framing framing() const noexcept { return framing_; }
  /// Content-Length, where framing() is `length`, or where the message has none of the body it announces (HEAD).
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept { return length_; }
  /// Whether the connection may be used for another message after this one (RFC 9112 §9.3).
  [[nodiscard]] bool keeps_alive() const {
    // Beast lets "keep-alive" win over "close" in HTTP/1.0.
    return this->keep_alive() &&
           (version_ != http::Version::http_1_0 || !http::has_token(fields_, "Connection", "close"));
  }
  [[nodiscard]] http::Version version() const noexcept { return version_; }
  [[nodiscard]] http::FieldSpan fields() const noexcept { return fields_; }
  /// Trailer fields; complete once done(). Those that mean something only in a head are left out (RFC 9110 §6.5.1).
  [[nodiscard]] const http::FieldList& trailers() const noexcept { return trailers_; }
  // Requests.
  [[nodiscard]] std::string_view method() const noexcept { return method_; }
  [[nodiscard]] std::string_view target() const noexcept { return target_; }
  // Responses.
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] std::string_view reason() const noexcept { return reason_; }

 private:
  using Base = boost::beast::http::basic_parser<is_request>;
  using ErrorCode = boost::beast::error_code;
  using StringView = boost::beast::string_view;

  bool refuse(ParseFault fault) noexcept;
  bool check_framing();
  void translate(const ErrorCode& code) noexcept;

  void on_request_impl(boost::beast::http::verb, StringView method, StringView target, int version,
                       ErrorCode& error) override;
  void on_response_impl(int status, StringView reason, int version, ErrorCode& error) override;
  void on_field_impl(boost::beast::http::field, StringView name, StringView value, ErrorCode& error) override;
  void on_header_impl(ErrorCode& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, ErrorCode& error) override;
  std::size_t on_body_impl(StringView body, ErrorCode& error) override;
  void on_chunk_header_impl(std::uint64_t size, StringView extensions, ErrorCode& error) override;
  std::size_t on_chunk_body_impl(std::uint64_t remain, StringView body, ErrorCode& error) override;
  void on_finish_impl(ErrorCode& error) override;

  std::vector<http::Field>& fields_;
  std::size_t max_fields_;
  http::FieldList trailers_;
  std::string_view window_;  ///< what is being parsed: a value outside of it was unfolded by Beast
  std::string_view piece_;
  std::string_view method_;
  std::string_view target_;
  std::string_view reason_;
  int status_ = 0;
  http::Version version_ = http::Version::http_1_1;
  Framing framing_ = Framing::none;
  std::optional<std::uint64_t> length_;
  ParseFault fault_ = ParseFault::none;
  bool head_done_ = false;
  bool has_chunk_ = false;  ///< the header of a chunk has been read
};

extern template class MessageParser<true>;
extern template class MessageParser<false>;
using RequestParser = MessageParser<true>;
using ResponseParser = MessageParser<false>;

}  // namespace larder::net
