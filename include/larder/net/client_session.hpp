#pragma once
// One client connection speaking HTTP/1 (RFC 9112): reads requests strictly, answers pipelined ones in order, hands
// each to the handler, and bounds everything the client can make big or slow.
//
// Between requests there is no coroutine and no buffer. The loop calls on_ready(); bytes are read into scratch that all
// sessions of a worker share, what can be answered at once is answered from there, and all replies leave in one write.
// Only a request that must wait for something gets a coroutine and an ExchangeState, which goes with it. While that
// coroutine runs, at most one other (an upload) reads the body through the RequestBody interface; nothing else touches
// the input buffer then.
#include <atomic>
#include <functional>
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

/// What a session needs while a coroutine answers a request, or while replies wait for room (client_session.cpp).
class ExchangeState;

/// What all sessions of one listener share, and scratch that is in use only while one of them runs.
struct SessionSurroundings {
  /// All references must outlive the sessions.
  SessionSurroundings(asio::io_context& loop, DeadlineWheel& deadlines, const ClientLimits& bounds, Handler story,
                      SessionCounters& counted);
  ~SessionSurroundings();
  SessionSurroundings(const SessionSurroundings&) = delete;
  SessionSurroundings& operator=(const SessionSurroundings&) = delete;

  asio::io_context& context;
  DeadlineWheel& wheel;
  ClientLimits limits;  ///< may be replaced while there are sessions
  const Handler handler;
  SessionCounters& counters;
  bool draining = false;     ///< while it is true every reply closes its connection
  bool closes_idle = false;  ///< and so does waiting for a request

  std::unique_ptr<char[]> input;    ///< input_size bytes
  std::vector<http::Field> fields;  ///< of the head that is looked at
  std::string target;               ///< where a target had to be normalised
  std::string authority;            ///< where a target was in absolute form
  OutputQueue output;               ///< replies of requests that were read at once
  /// States that are not in use: their memory serves the next exchange.
  std::vector<std::unique_ptr<ExchangeState>> spare_states;
  static constexpr std::size_t input_size = 64UL << 10;
};

class ClientSession final : public std::enable_shared_from_this<ClientSession>,
                            private RequestBody,
                            private ReplySink,
                            private StreamUser {
 public:
  /// Takes a connected, non-blocking socket over. `client_address`: the peer's, without port.
  ClientSession(int descriptor, std::string client_address, std::shared_ptr<SessionSurroundings> surroundings);
  ~ClientSession();

  /// Serves the connection. `on_end` is called once it is over, and may let go of the session.
  void start(std::function<void(ClientSession&)> on_end);
  /// Answers 503 and closes: for connections over the limit. Otherwise as start().
  void refuse(std::function<void(ClientSession&)> on_end);
  /// Where it waits for its next request, and none has come by now: closes it. Lets a running one finish. For draining,
  /// when `closes_idle` is set.
  void close_if_idle();
  /// Ends it whatever it does.
  void abort();

 private:
  friend class ExchangeState;
  enum class Phase : unsigned char {
    reading,    ///< waits for a request, or for the rest of its head
    answering,  ///< a coroutine answers one; the stream is its own
    sending,    ///< replies wait for room, and nothing is read until they are sent
    lingering,  ///< all is said; what still comes is dropped until the client closes too
    over
  };

  void on_ready() noexcept override;
  void advance() noexcept;
  bool step();
  void expire();
  void end();

  // Reading.
  bool read_requests();
  std::size_t serve(std::string_view data);
  std::size_t serve_one(std::string_view data);
  std::size_t serve_unusual(std::string_view data);
  bool interpret(std::string_view raw_target, http::RequestHead& request);
  void answer_or_begin(http::RequestHead& request, std::string_view head, std::string_view rest);
  void begin_exchange(http::RequestHead& request, std::uint64_t look_up, std::string_view head, std::string_view rest);
  void keep_rest(std::string_view rest);
  void wait_for_head();
  void refuse_request(int status, std::string_view text);
  void refuse_malformed(ParseFault fault);

  // Answering.
  Awaitable<void> answer();
  Awaitable<error_code> read_more(Milliseconds timeout);
  Awaitable<void> skip_rest_of_body();
  Awaitable<error_code> send_all();
  void watch_client();

  // Sending.
  bool send_now();
  void after_sending();
  bool discard();
  OutputQueue& output() noexcept;
  ExchangeState& state();
  void give_state_back() noexcept;
  [[nodiscard]] std::string_view connection_lines();

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
  void finish(http::FieldSpan trailers, std::string_view last_piece) override;
  void add_to_body(std::string_view piece, bool copies);
  void cut_short() override;
  [[nodiscard]] bool begun() const noexcept override { return begun_; }
  Stream* take_over(std::string_view& already_read) override;

  const std::shared_ptr<SessionSurroundings> surroundings_;
  Stream stream_;
  Deadline deadline_;  ///< of the phase, but for `answering`
  const std::string client_address_;
  std::function<void(ClientSession&)> on_end_;
  InputBuffer input_;
  std::chrono::steady_clock::time_point head_started_{};  ///< when the first part of an unfinished head was read
  std::size_t seen_ = 0;                                  ///< of an unfinished head, by find_head()
  std::size_t discarded_ = 0;                             ///< while lingering
  std::unique_ptr<ExchangeState> state_;                  ///< null while nothing is answered or owed

  // Of the present request.
  http::Version version_ = http::Version::http_1_1;
  Phase phase_ = Phase::reading;
  bool answers_head_ = false;
  bool keep_alive_ = true;
  bool begun_ = false;
  bool finished_ = false;
  bool cut_short_ = false;
  bool taken_over_ = false;
  bool has_unserved_input_ = false;  ///< input_ may hold a whole request
  bool rest_is_kept_ = false;        ///< what is behind the request that is served lies in input_ already
  bool advancing_ = false;
  bool aborted_ = false;
};

}  // namespace larder::net
