#pragma once
// One connection to an origin server speaking HTTP/1.1: one request at a time, its response read strictly and in
// pieces. Sending and reading may happen in two coroutines at once; each side has its own deadline.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/net/deadlines.hpp"
#include "larder/net/input_buffer.hpp"
#include "larder/net/message_parser.hpp"
#include "larder/net/parameters.hpp"
#include "larder/net/response_scanner.hpp"
#include "larder/net/stream.hpp"

namespace larder::net {

/// Used on its worker's thread.
class OriginConnection {
 public:
  /// `parameters` must outlive it.
  OriginConnection(Socket socket, DeadlineWheel& wheel, const OriginParameters& parameters);
  OriginConnection(const OriginConnection&) = delete;
  OriginConnection& operator=(const OriginConnection&) = delete;

  /// Sends all of it, waiting as long as the origin makes progress (read_timeout per wait).
  Awaitable<error_code> send(std::string_view bytes);
  /// Sends a head or piece in several parts at once.
  Awaitable<error_code> send(std::span<iovec> pieces);
  /// Sends what can be sent without waiting and takes it off `pieces`: all of it, mostly.
  error_code send_now(std::span<iovec>& pieces);

  /// Memory for the head of a request that is to be sent, empty; its bytes stay until the next call.
  [[nodiscard]] std::string& empty_request_head() noexcept {
    request_head_.clear();
    return request_head_;
  }

  /// The next response head, interim (1xx) ones too, where it is here; call again after an interim one. Empty where
  /// read_more() must be awaited first. `for_head_request`: the response has no body (RFC 9112 §6.3). The head's views
  /// stay valid until the next head or reset().
  std::optional<Result<http::ResponseHead>> buffered_head(bool for_head_request);
  /// Waits for more of the response. asio::error::eof where the origin has ended its side.
  Awaitable<error_code> read_more();
  /// The next piece of the body, valid until the next call; empty at the end.
  Awaitable<Result<std::string_view>> read_body();
  /// The next piece that is already here: empty where more must be read first or the body has ended.
  Result<std::string_view> buffered_body();
  [[nodiscard]] bool body_done() const { return plain_ ? plain_left_ == 0 : parser_ && parser_->done(); }
  /// Content-Length of the response, where it has one.
  [[nodiscard]] std::optional<std::uint64_t> length() const { return plain_ ? plain_->length : parser_->length(); }
  [[nodiscard]] http::FieldSpan trailers() const {
    return plain_ ? http::FieldSpan{} : http::FieldSpan(parser_->trailers());
  }
  /// Times how long an answer takes: timed() is what has passed since begin_to_time().
  void begin_to_time() noexcept { asked_at_ = std::chrono::steady_clock::now(); }
  [[nodiscard]] std::chrono::nanoseconds timed() const noexcept { return std::chrono::steady_clock::now() - asked_at_; }
  /// True where any byte of a response has arrived since reset().
  [[nodiscard]] bool has_answered() const noexcept { return answered_; }
  [[nodiscard]] ParseFault fault() const noexcept { return fault_; }

  /// True where the response is complete and another request may follow on this connection (RFC 9112 §9.3).
  [[nodiscard]] bool is_reusable() const;
  /// Ready for the next request; only where is_reusable().
  void reset();
  /// False where the origin has closed it, or sent something unasked, while it was idle, as far as the loop has heard.
  [[nodiscard]] bool is_known_quiet() const noexcept { return stream_.is_open() && !stream_.is_readable(); }
  /// The same by asking the kernel, which may know more.
  [[nodiscard]] bool is_quiet() noexcept { return stream_.is_open() && stream_.peek() == Stream::Incoming::nothing; }
  /// Ends it: operations in flight fail with Error::cancelled.
  void close() noexcept;
  /// Another bound for reads than the parameters' read_timeout, until reset(); a read in progress gets it anew.
  void set_read_timeout(Milliseconds timeout) {
    read_timeout_ = timeout;
    if (read_deadline_.is_armed()) read_deadline_.arm(timeout);
  }

  [[nodiscard]] Stream& stream() noexcept { return stream_; }
  /// What was read beyond the response head (for upgraded connections).
  [[nodiscard]] std::string_view already_read() const noexcept { return input_.data(); }
  /// For the pool: closes it when it has been idle too long.
  [[nodiscard]] Deadline& idle_deadline() noexcept { return idle_deadline_; }

 private:
  bool read_plain_head();
  Result<std::string_view> buffered_plain_body();
  void keep_head(std::size_t size);

  Stream stream_;
  const OriginParameters& parameters_;
  Milliseconds read_timeout_;
  Deadline read_deadline_;
  Deadline write_deadline_;
  Deadline idle_deadline_;
  std::string request_head_;
  InputBuffer input_;
  std::size_t seen_ = 0;
  std::string head_;
  std::vector<http::Field> fields_;
  // Of the present response, one of them: a plain one needs no parser.
  std::optional<PlainResponseHead> plain_;
  std::uint64_t plain_left_ = 0;  ///< bytes of its body that have not been given out
  std::optional<ResponseParser> parser_;
  ParseFault fault_ = ParseFault::none;
  std::chrono::steady_clock::time_point asked_at_{};
  bool answered_ = false;
  bool read_expired_ = false;
  bool write_expired_ = false;
  bool closed_ = false;
};

}  // namespace larder::net
