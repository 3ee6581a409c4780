#pragma once
// One client connection speaking HTTP/1 (RFC 9112): reads requests strictly, answers pipelined ones in order, hands
// each to the handler, and bounds everything the client can make big or slow.
//
// One coroutine runs the connection. While it awaits the handler, at most one other coroutine (an upload) reads the
// body through the RequestBody interface; nothing else touches the input buffer then.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/net/deadlines.hpp"
#include "larder/net/exchange.hpp"
#include "larder/net/input_buffer.hpp"
#include "larder/net/message_parser.hpp"
#include "larder/net/output_queue.hpp"
#include "larder/net/parameters.hpp"
#include "larder/net/stream.hpp"

namespace larder::net {

/// What all sessions of a process share.
struct SessionCounters {
  std::atomic<std::size_t> open{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};    ///< over the connection limit
  std::atomic<std::uint64_t> malformed{0};  ///< requests refused by the parser
  std::atomic<std::uint64_t> timed_out{0};  ///< header, body or write timeouts
  std::atomic<std::uint64_t> cut_short{0};  ///< replies that could not be ended
};

class ClientSession final : public std::enable_shared_from_this<ClientSession>, public RequestBody, public ReplySink {
 public:
  /// `limits`, `handler`, `counters` and `draining` must outlive the session. While `draining` is true every reply
  /// closes its connection.
  ClientSession(Socket socket, DeadlineWheel& wheel, const ClientLimits& limits, const Handler& handler,
                SessionCounters& counters, const bool& draining);
  ~ClientSession() override;

  /// Runs the connection to its end. The caller keeps the shared_ptr alive meanwhile.
  Awaitable<void> run();
  /// Answers 503 and closes: for connections over the limit.
  Awaitable<void> refuse();
  /// Closes a connection that waits for its next request; lets a running one finish. For draining.
  void close_if_idle();
  /// Ends it whatever it does.
  void abort();

 private:
  enum class Step : unsigned char { proceed, close };

  // Input.
  Awaitable<error_code> read_more(Milliseconds timeout);
  Awaitable<Step> serve(std::size_t head_size);
  bool interpret();
  void keep_head(std::size_t head_size);
  Awaitable<void> skip_rest_of_body();

  // Output.
  Awaitable<error_code> send_all();
  void add_connection_lines();
  void refuse_request(int status, std::string_view text);
  Awaitable<void> linger();

  void watch_client();

  // RequestBody
  Awaitable<Result<std::string_view>> read() override;
  [[nodiscard]] std::optional<std::uint64_t> length() const override;
  [[nodiscard]] const http::FieldList& trailers() const override;
  void cancel() override;

  // ReplySink
  void whole(const WholeReply& reply) override;
  Awaitable<error_code> interim(const http::ResponseHead& head) override;
  void begin(const http::ResponseHead& head, std::string_view more_lines, std::optional<std::uint64_t> length) override;
  Awaitable<error_code> write(std::string_view piece) override;
  Awaitable<error_code> flush() override;
  void finish(http::FieldSpan trailers) override;
  void cut_short() override;
  [[nodiscard]] bool begun() const noexcept override { return begun_; }
  Stream* take_over(std::string_view& already_read) override;

  Stream stream_;
  const ClientLimits& limits_;
  const Handler& handler_;
  SessionCounters& counters_;
  const bool& draining_;
  Deadline read_deadline_;
  Deadline write_deadline_;
  Deadline watch_;
  std::string client_address_;

  InputBuffer input_;
  std::chrono::steady_clock::time_point head_started_{};  ///< when the first part of an unfinished head was read
  std::size_t seen_ = 0;                                  ///< of the present head, by find_head()
  std::vector<http::Field> fields_;
  std::optional<RequestParser> parser_;
  http::RequestHead request_;
  std::string kept_head_;
  std::string target_;     ///< storage of request_.target where it had to be normalised
  std::string authority_;  ///< storage of request_.authority from an absolute-form target
  OutputQueue output_;

  // Of the present exchange.
  Exchange* exchange_ = nullptr;
  std::uint64_t body_bytes_ = 0;
  Milliseconds body_waited_{0};
  std::uint64_t reply_bytes_ = 0;
  Milliseconds reply_waited_{0};
  Framing reply_framing_ = Framing::none;
  std::uint64_t reply_left_ = 0;  ///< bytes still owed under Framing::length
  Milliseconds half_closed_for_{0};
  bool keep_alive_ = true;
  bool begun_ = false;
  bool finished_ = false;
  bool cut_short_ = false;
  bool taken_over_ = false;
  bool body_cancelled_ = false;
  bool read_expired_ = false;
  bool write_expired_ = false;
  bool idle_ = false;
  bool aborted_ = false;
};

}  // namespace larder::net
