#include "larder/net/message_parser.hpp"

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <cstring>

#include "larder/http/hop_by_hop.hpp"

namespace larder::net {

namespace beast_http = boost::beast::http;

std::string_view to_string(ParseFault fault) noexcept {
  switch (fault) {
    case ParseFault::none:
      return "no fault";
    case ParseFault::line_ending:
      return "bare CR or LF";
    case ParseFault::folded_field:
      return "folded field line";
    case ParseFault::control_character:
      return "control character in the head";
    case ParseFault::start_line:
      return "malformed start line";
    case ParseFault::target:
      return "invalid request target";
    case ParseFault::version:
      return "HTTP version not supported";
    case ParseFault::field:
      return "malformed field line";
    case ParseFault::host:
      return "missing, repeated or invalid Host";
    case ParseFault::content_length:
      return "invalid Content-Length";
    case ParseFault::transfer_coding:
      return "transfer coding other than chunked";
    case ParseFault::framing_conflict:
      return "both Content-Length and Transfer-Encoding";
    case ParseFault::head_too_large:
      return "head too large";
    case ParseFault::too_many_fields:
      return "too many field lines";
    case ParseFault::chunk:
      return "malformed chunk";
    case ParseFault::truncated:
      return "message cut short";
  }
  return "unknown fault";
}

int status_of(ParseFault fault) noexcept {
  switch (fault) {
    case ParseFault::head_too_large:
    case ParseFault::too_many_fields:
      return 431;
    case ParseFault::transfer_coding:
      return 501;
    case ParseFault::version:
      return 505;
    default:
      return 400;
  }
}

namespace {

struct LineFaults {
  bool control = false;
  bool carriage_return = false;
};

// Plain loops over bytes let the compiler look at many at a time.
LineFaults faults_of(std::string_view line) noexcept {
  unsigned char control = 0;
  unsigned char carriage_return = 0;
  for (const char character : line) {
    const auto c = static_cast<unsigned char>(character);
    const auto is_cr = static_cast<unsigned char>(c == '\r');
    const auto is_low = static_cast<unsigned char>((c < 0x20) & (c != '\t'));
    const auto is_del = static_cast<unsigned char>(c == 0x7f);
    carriage_return = static_cast<unsigned char>(carriage_return | is_cr);
    control = static_cast<unsigned char>(control | ((is_low | is_del) ^ is_cr));
  }
  return {.control = control != 0, .carriage_return = carriage_return != 0};
}

}  // namespace

std::size_t find_head(std::string_view data, std::size_t& seen, ParseFault& fault) noexcept {
  // Whole lines that were seen before were fine; the last one is looked at again.
  std::size_t begin = seen == 0 ? 0 : data.rfind('\n', seen - 1) + 1;
  seen = data.size();
  for (;;) {
    const auto end = data.find('\n', begin);
    const bool is_whole = end != std::string_view::npos;
    auto line = data.substr(begin, is_whole ? end - begin : end);
    const bool has_cr = line.ends_with('\r');
    if (has_cr) line.remove_suffix(1);  // its LF may still come
    const auto faults = faults_of(line);
    if (faults.control) {
      fault = ParseFault::control_character;
    } else if (faults.carriage_return || (is_whole && !has_cr)) {
      fault = ParseFault::line_ending;
    } else if (begin > 0 && (line.starts_with(' ') || line.starts_with('\t'))) {
      fault = ParseFault::folded_field;
    }
    if (fault != ParseFault::none || !is_whole) return 0;
    if (line.empty() && begin > 0) return end + 1;
    begin = end + 1;
  }
}

namespace {
bool is_control(char c) noexcept { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

// True for "HTTP/1.1" with any digits.
bool is_version(std::string_view word) noexcept {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return word.size() == 8 && word.starts_with("HTTP/") && is_digit(word[5]) && word[6] == '.' && is_digit(word[7]);
}

// Is the start line of `head` well-formed but for the number of its version?
bool has_version(std::string_view head) noexcept {
  const auto line = head.substr(0, head.find("\r\n"));
  if (is_version(line.substr(0, line.find(' ')))) return true;  // a status line
  return std::count(line.begin(), line.end(), ' ') == 2 && is_version(line.substr(line.rfind(' ') + 1));
}

// Fields that mean something only in a head (RFC 9110 §6.5.1): how the message is framed or routed, who sends it, what
// it asks for, how its content is to be read, how long it may be stored. Someone who merges trailers into the head
// would believe them, so they are dropped.
bool may_be_trailer(std::string_view name) noexcept {
  static constexpr std::string_view names[] = {"Age",
                                               "Authorization",
                                               "Cache-Control",
                                               "Content-Encoding",
                                               "Content-Length",
                                               "Content-Location",
                                               "Content-Range",
                                               "Content-Type",
                                               "Cookie",
                                               "Date",
                                               "Expect",
                                               "Expires",
                                               "Forwarded",
                                               "Host",
                                               "If-Match",
                                               "If-Modified-Since",
                                               "If-None-Match",
                                               "If-Range",
                                               "If-Unmodified-Since",
                                               "Location",
                                               "Max-Forwards",
                                               "Pragma",
                                               "Range",
                                               "Retry-After",
                                               "Set-Cookie",
                                               "Trailer",
                                               "Vary",
                                               "Via",
                                               "WWW-Authenticate",
                                               "Warning",
                                               "X-Forwarded-For",
                                               "X-Forwarded-Host",
                                               "X-Forwarded-Proto"};
  return !http::is_hop_by_hop(name) && std::none_of(std::begin(names), std::end(names),
                                                    [&](std::string_view own) { return http::iequals(name, own); });
}
}  // namespace

template <bool is_request>
MessageParser<is_request>::MessageParser(std::vector<http::Field>& fields, std::size_t max_fields)
    : fields_(fields), max_fields_(max_fields) {
  fields_.clear();
  // Sizes are bounded by the connection's buffer and by what is stored, not here.
  this->header_limit(0xffffffffU);
  this->body_limit(boost::none);
}

template <bool is_request>
bool MessageParser<is_request>::refuse(ParseFault fault) noexcept {
  if (fault_ == ParseFault::none) fault_ = fault;
  return false;
}

template <bool is_request>
void MessageParser<is_request>::translate(const ErrorCode& code) noexcept {
  switch (static_cast<beast_http::error>(code.value())) {
    case beast_http::error::bad_line_ending:
      refuse(ParseFault::line_ending);
      break;
    case beast_http::error::bad_target:
      refuse(ParseFault::target);
      break;
    case beast_http::error::bad_version:
      // Beast also says so of a start line that is malformed where the version should be.
      refuse(has_version(window_) ? ParseFault::version : ParseFault::start_line);
      break;
    case beast_http::error::bad_field:
    case beast_http::error::bad_value:
      refuse(ParseFault::field);
      break;
    case beast_http::error::bad_obs_fold:
      refuse(ParseFault::folded_field);
      break;
    case beast_http::error::bad_content_length:
    case beast_http::error::multiple_content_length:
      refuse(ParseFault::content_length);
      break;
    case beast_http::error::bad_transfer_encoding:
      refuse(ParseFault::framing_conflict);
      break;
    case beast_http::error::bad_chunk:
    case beast_http::error::bad_chunk_extension:
      refuse(ParseFault::chunk);
      break;
    case beast_http::error::partial_message:
      refuse(ParseFault::truncated);
      break;
    default:
      refuse(head_done_ ? ParseFault::chunk : ParseFault::start_line);
      break;
  }
}

template <bool is_request>
bool MessageParser<is_request>::check_framing() {
  const auto* coding = http::find(fields_, "Transfer-Encoding");
  const auto* length = http::find(fields_, "Content-Length");
  if (coding != nullptr) {
    if (length != nullptr) return refuse(ParseFault::framing_conflict);
    if (version_ == http::Version::http_1_0) return refuse(ParseFault::transfer_coding);
    // Anything but a lone "chunked" would have to be decoded or relayed untouched; neither can be done safely.
    if (http::count(fields_, "Transfer-Encoding") != 1 || !http::iequals(coding->value, "chunked")) {
      return refuse(ParseFault::transfer_coding);
    }
  }
  if (const auto announced = this->content_length()) length_ = *announced;
  if constexpr (is_request) {
    const auto hosts = http::count(fields_, "Host");
    if (hosts > 1 || (hosts == 0 && version_ == http::Version::http_1_1)) return refuse(ParseFault::host);
  }
  return true;
}

template <bool is_request>
bool MessageParser<is_request>::parse_head(std::string_view head) {
  window_ = head;
  ErrorCode error;
  const auto used = this->put(boost::asio::const_buffer(head.data(), head.size()), error);
  if (fault_ != ParseFault::none) return false;
  // need_more: the body follows, and none of it was given.
  if (error && error != beast_http::error::need_more) {
    translate(error);
    return false;
  }
  if (!this->is_header_done()) {
    // One put() parses the start line and falls through to the fields, so this is a malformed head, not a short one.
    return refuse(ParseFault::field);
  }
  if (used != head.size()) return refuse(ParseFault::field);
  head_done_ = true;
  if (!check_framing()) return false;
  if (this->is_done()) {
    framing_ = Framing::none;
  } else if (this->chunked()) {
    framing_ = Framing::chunked;
  } else if (length_) {
    framing_ = Framing::length;
  } else {
    framing_ = Framing::until_close;
  }
  return true;
}

template <bool is_request>
std::size_t MessageParser<is_request>::next(std::string_view data, std::string_view& piece) {
  piece = {};
  piece_ = {};
  std::size_t used = 0;
  while (used < data.size() && !this->is_done() && piece_.empty()) {
    window_ = data.substr(used);
    // Beast 1.81 asserts that it is shown no 4 bytes of a last chunk that is the first, where it has seen 3 of them.
    if (framing_ == Framing::chunked && !has_chunk_ && window_.size() == 4 && window_.starts_with("0\r\n")) break;
    ErrorCode error;
    const auto n = this->put(boost::asio::const_buffer(window_.data(), window_.size()), error);
    used += n;
    if (fault_ != ParseFault::none) break;
    if (error == beast_http::error::need_more) break;
    if (error) {
      translate(error);
      break;
    }
    if (n == 0 && !this->is_done()) break;
  }
  piece = piece_;
  return used;
}

template <bool is_request>
bool MessageParser<is_request>::end_of_stream() {
  if (this->is_done()) return true;
  if (framing_ != Framing::until_close) return refuse(ParseFault::truncated);
  ErrorCode error;
  this->put_eof(error);
  return error ? refuse(ParseFault::truncated) : true;
}

namespace {
std::string_view view(boost::beast::string_view s) { return {s.data(), s.size()}; }
http::Version version_of(int version) { return version >= 11 ? http::Version::http_1_1 : http::Version::http_1_0; }
}  // namespace

template <bool is_request>
void MessageParser<is_request>::on_request_impl(beast_http::verb, StringView method, StringView target, int version,
                                                ErrorCode&) {
  method_ = view(method);
  target_ = view(target);
  version_ = version_of(version);
}

template <bool is_request>
void MessageParser<is_request>::on_response_impl(int status, StringView reason, int version, ErrorCode&) {
  status_ = status;
  reason_ = view(reason);
  version_ = version_of(version);
}

template <bool is_request>
void MessageParser<is_request>::on_field_impl(beast_http::field, StringView name, StringView value, ErrorCode& error) {
  const auto field_name = view(name);
  const auto field_value = view(value);
  if (!head_done_) {
    if (fields_.size() >= max_fields_) {
      refuse(ParseFault::too_many_fields);
      error = beast_http::error::bad_field;
      return;
    }
    fields_.push_back({field_name, field_value});
    return;
  }
  // Beast unfolds obs-fold into a buffer of its own; a value that does not lie in what was given to it was folded.
  // Where the first line is blank it only skips it.
  const char* colon = field_name.data() + field_name.size();
  const bool inside = field_value.data() >= window_.data() && field_value.data() <= window_.data() + window_.size();
  if (!inside || std::find(colon, field_value.data(), '\n') != field_value.data()) {
    refuse(ParseFault::folded_field);
  } else if (std::any_of(field_value.begin(), field_value.end(), is_control)) {
    refuse(ParseFault::control_character);
  } else if (trailers_.size() >= max_fields_) {
    refuse(ParseFault::too_many_fields);
  } else {
    if (may_be_trailer(field_name)) trailers_.add(field_name, field_value);
    return;
  }
  error = beast_http::error::bad_field;
}

template <bool is_request>
void MessageParser<is_request>::on_header_impl(ErrorCode&) {}

template <bool is_request>
void MessageParser<is_request>::on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) {}

template <bool is_request>
std::size_t MessageParser<is_request>::on_body_impl(StringView body, ErrorCode&) {
  piece_ = view(body);
  return body.size();
}

template <bool is_request>
void MessageParser<is_request>::on_chunk_header_impl(std::uint64_t, StringView extensions, ErrorCode& error) {
  has_chunk_ = true;
  // Beast does not look into quoted strings; others would take a LF there for the end of the line.
  if (std::any_of(extensions.begin(), extensions.end(), is_control)) {
    refuse(ParseFault::chunk);
    error = beast_http::error::bad_chunk_extension;
  }
}

template <bool is_request>
std::size_t MessageParser<is_request>::on_chunk_body_impl(std::uint64_t, StringView body, ErrorCode&) {
  piece_ = view(body);
  return body.size();
}

template <bool is_request>
void MessageParser<is_request>::on_finish_impl(ErrorCode&) {}

template class MessageParser<true>;
template class MessageParser<false>;

}  // namespace larder::net
