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
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/net/deadlines.hpp"
#include "larder/net/exchange.hpp"
#include "larder/net/input_buffer.hpp"
#include "larder/net/latency_histogram.hpp"
#include "larder/net/message_parser.hpp"
#include "larder/net/output_queue.hpp"
#include "larder/net/pace.hpp"
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
  // What clients make us hold, and who was refused or closed because that was too much.
  std::atomic<std::size_t> buffered{0};        ///< bytes now; ClientLimits::buffers is the bound
  std::atomic<std::uint64_t> shed_heads{0};    ///< unfinished request heads, answered with 503
  std::atomic<std::uint64_t> shed_bodies{0};   ///< request bodies for which there was no room
  std::atomic<std::uint64_t> shed_readers{0};  ///< replies cut short because their clients did not read them
};

/// What a session needs while a coroutine answers a request, or while replies wait for room (client_session.cpp).
class ExchangeState;
class ClientSession;

/// Memory that a session holds because its client keeps it waiting: charged to the budget of all.
struct BufferHold : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  explicit BufferHold(ClientSession& its) : session(its) {}
  ClientSession& session;
  std::size_t bytes = 0;
};

/// What all sessions of one listener share, and scratch that is in use only while one of them runs.
struct SessionSurroundings : std::enable_shared_from_this<SessionSurroundings> {
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

  /// Lets go of the sessions that wait to begin: there is no loop any more.
  void forget_waiting() noexcept { to_begin_.clear(); }
  /// Begins a session's exchange, now or in a later turn of the loop: those who have an answer at once must not wait
  /// for a crowd of those who have not.
  void begin(ClientSession& session);
  /// Tells the log of a refusal, unless it has heard of many just now.
  void log_refusal(std::string_view client_address, int status, std::string_view text);
  /// Closes those who have read longest at something that memory is short of.
  void relieve();
  /// Sees to it that relieve() is called while anybody waits for a client to read.
  void watch_readers();

  /// Sessions that wait for their clients, and may be told to give back what they hold. Who waits longest is first.
  boost::intrusive::list<BufferHold, boost::intrusive::constant_time_size<false>> holds;
  std::size_t refused_now = 0;  ///< connections over the limit that are being told so

  std::unique_ptr<char[]> input;    ///< input_size bytes
  std::vector<http::Field> fields;  ///< of the head that is looked at
  std::string target;               ///< where a target had to be normalised
  std::string authority;            ///< where a target was in absolute form
  /// When what is being served was read: for latencies, as the next two are.
  std::chrono::steady_clock::time_point received{};
  LatencyHistogram* at_once = nullptr;  ///< of the requests answered at once whose replies have not been sent
  std::uint64_t answered_at_once = 0;   ///< how many these are
  OutputQueue output;                   ///< replies of requests that were read at once
  /// States that are not in use: their memory serves the next exchange.
  std::vector<std::unique_ptr<ExchangeState>> spare_states;
  static constexpr std::size_t input_size = 64UL << 10;

 private:
  void begin_next();

  std::deque<std::shared_ptr<ClientSession>> to_begin_;
  unsigned begun_ = 0;  ///< in this turn
  bool turn_is_watched_ = false;
  Pace refusals_;
  Deadline relief_;
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
  friend struct SessionSurroundings;
  enum class Phase : unsigned char {
    reading,    ///< waits for a request, or for the rest of its head
    answering,  ///< a coroutine answers one; the stream is its own
    sending,    ///< replies wait for room, and nothing is read until they are sent
    lingering,  ///< all is said; what still comes is dropped until the client closes too
    over
  };

  void on_ready() noexcept override;
  void advance() noexcept;
  void advance_later();
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
  void note_answered(LatencyHistogram* latency);
  void count_answered();

  // What the client makes us hold.
  bool hold(std::size_t bytes, bool gives_way);
  bool hold_unsent();
  void let_go() noexcept;
  void let_reply_go();
  [[nodiscard]] std::size_t freed_without_reply() const;
  void give_way();

  // Answering.
  void launch();
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
  void own_state();
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
  std::unique_ptr<ExchangeState> state_;                  ///< null while nothing is answered or owed
  std::unique_ptr<BufferHold> hold_;                      ///< null while the client does not keep us waiting
  std::uint32_t discarded_ = 0;                           ///< while lingering

  // Of the present request.
  AccessRecord* record_ = nullptr;  ///< null where it is not logged
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
  bool is_refused_ = false;  ///< over the limit of connections: not among the open ones
};

}  // namespace larder::net
