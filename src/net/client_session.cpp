#include "larder/net/client_session.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <charconv>
#include <chrono>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "larder/http/http_date.hpp"
#include "larder/http/target.hpp"
#include "larder/net/access_log.hpp"
#include "larder/net/error.hpp"
#include "larder/net/request_scanner.hpp"

namespace larder::net {

namespace {
constexpr std::size_t first_capacity = 8UL << 10;
constexpr std::size_t body_capacity = 64UL << 10;
// Replies queued by pipelined hits are sent when they reach this size, so that a client that does not read cannot make
// the queue grow.
constexpr std::size_t queue_limit = 1UL << 20;
// The queue that all sessions use in turn has one block for all replies of one read, mostly.
constexpr std::size_t shared_block = 64UL << 10;
// Up to this size a body is cheaper to copy behind its head than to keep alive and send as a piece of its own.
constexpr std::size_t copied_body = 4UL << 10;
// A client whose requests keep coming must let others have their turn.
constexpr int most_reads_per_turn = 4;
// How much of an unread body is worth reading to keep a connection.
constexpr std::size_t skip_limit = 64UL << 10;
constexpr std::size_t linger_limit = 1UL << 20;
constexpr Milliseconds watch_interval{1000};
constexpr Milliseconds linger_timeout{2000};
constexpr std::size_t most_pieces = 1024;  // IOV_MAX
// Exchanges begun in one turn of the loop: a turn of them takes a few milliseconds at the most.
constexpr unsigned most_begun_per_turn = 64;
// How often it is looked whether slow readers keep what memory is short of.
constexpr Milliseconds relief_interval{100};
// What a session that answers or sends takes beside its buffers, roughly.
constexpr std::size_t session_size = 2UL << 10;
// A request's body may be held until it is whole, up to this many bytes (QUERY, and small bodies).
constexpr std::size_t held_body = 64UL << 10;
constexpr std::string_view no_room_for_head = "too many unfinished requests (client.buffers); try again later";
// Refusals in the log: some at once, then one per interval.
constexpr unsigned refusals_at_once = 50;
constexpr Milliseconds refusal_interval{100};
// States kept for later exchanges, and how much of a head's text each keeps.
constexpr std::size_t most_spare_states = 64;
constexpr std::size_t kept_text = 4UL << 10;

using SteadyClock = std::chrono::steady_clock;
Milliseconds since(SteadyClock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - start);
}

// The longest that one more wait may take: the plain I/O timeout, or less where the average rate is about to fall under
// the minimum. Only time spent waiting for this client counts.
Milliseconds allowance(const ClientLimits& limits, std::uint64_t bytes, Milliseconds waited) {
  if (limits.body_rate == 0) return limits.io_timeout;
  const auto earned = Milliseconds(static_cast<std::int64_t>(bytes * 1000 / limits.body_rate));
  return std::min(limits.io_timeout, std::max(Milliseconds{1}, limits.body_rate_grace + earned - waited));
}

// The status of a reply whose lines begin with "HTTP/1.1 200".
int status_in(std::string_view lines) noexcept {
  constexpr std::size_t at = std::string_view("HTTP/1.1 ").size();
  int status = 0;
  if (lines.size() > at + 3) std::from_chars(lines.data() + at, lines.data() + at + 3, status);
  return status;
}

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  const auto* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}
}  // namespace

void reply_with_text(ReplySink& reply, int status, std::string_view text, std::string_view more_lines) {
  const auto* body = new std::string(fmt::format("{} {}\n{}\n", status, http::reason_phrase(status), text));
  const auto head = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
      "Content-Length: {}\r\n{}",
      status, http::reason_phrase(status), http::format_http_date(std::chrono::system_clock::now()), body->size(),
      more_lines);
  // The head is short: it travels as a copy; the body is retained until it was sent.
  reply.whole({.head = {}, .more_lines = head, .body = *body, .retained = body, .release = [](const void* object) {
                 delete static_cast<const std::string*>(object);
               }});
}

SessionSurroundings::SessionSurroundings(asio::io_context& loop, DeadlineWheel& deadlines, const ClientLimits& bounds,
                                         Handler story, SessionCounters& counted)
    : context(loop),
      wheel(deadlines),
      limits(bounds),
      handler(std::move(story)),
      counters(counted),
      input(std::make_unique_for_overwrite<char[]>(input_size)),
      output(shared_block),
      refusals_(refusals_at_once, refusal_interval, SteadyClock::now()),
      relief_(deadlines, [this] { relieve(); }) {
  fields.reserve(bounds.fields);
}

void SessionSurroundings::log_refusal(std::string_view client_address, int status, std::string_view text) {
  const auto held_back = refusals_.allow(SteadyClock::now());
  if (!held_back) return;
  if (*held_back > 0) {
    spdlog::info("{}: refused with {}: {} ({} other lines were held back)", client_address, status, text, *held_back);
  } else {
    spdlog::info("{}: refused with {}: {}", client_address, status, text);
  }
}

void SessionSurroundings::begin(ClientSession& session) {
  if (!turn_is_watched_) {
    turn_is_watched_ = true;
    asio::post(context, [self = shared_from_this()] { self->begin_next(); });
  }
  if (begun_ < most_begun_per_turn) {
    ++begun_;
    session.launch();
  } else {
    to_begin_.push_back(session.shared_from_this());
  }
}

// A turn is over: what has come meanwhile is read before this is called again.
void SessionSurroundings::begin_next() {
  begun_ = 0;
  turn_is_watched_ = false;
  while (begun_ < most_begun_per_turn && !to_begin_.empty()) {
    const auto session = std::move(to_begin_.front());
    to_begin_.pop_front();
    begin(*session);
  }
}

void SessionSurroundings::watch_readers() {
  if (handler.excess && !relief_.is_armed()) relief_.arm(relief_interval);
}

void SessionSurroundings::relieve() {
  if (holds.empty()) return;
  relief_.arm(relief_interval);
  auto excess = handler.excess();
  for (auto next = holds.begin(); excess > 0 && next != holds.end();) {
    auto& session = (next++)->session;
    const auto freed = session.freed_without_reply();
    if (freed == 0) continue;
    excess -= std::min(excess, freed);
    session.give_way();
  }
}

class ExchangeState {
 public:
  explicit ExchangeState(DeadlineWheel& wheel)
      : read_deadline(wheel,
                      [this] {
                        read_expired = true;
                        session->stream_.cancel();
                      }),
        write_deadline(wheel,
                       [this] {
                         write_expired = true;
                         session->stream_.cancel();
                       }),
        watch(wheel, [this] { session->watch_client(); }) {}

  ClientSession* session = nullptr;  ///< whose it is
  Deadline read_deadline;
  Deadline write_deadline;
  Deadline watch;
  OutputQueue output;

  // The request; its views point into the three texts.
  http::RequestHead request;
  std::uint64_t look_up = 0;  ///< of its Exchange
  std::string head;
  std::string target;
  std::string authority;
  std::vector<http::Field> fields;
  std::string head_text;                ///< scratch for a reply's head
  std::optional<RequestParser> parser;  ///< only where the head was not plain: then it may have a body
  SteadyClock::time_point received{};   ///< when its head was whole

  struct Progress {
    Exchange* exchange = nullptr;
    std::uint64_t body_bytes = 0;
    Milliseconds body_waited{0};
    std::uint64_t reply_bytes = 0;
    Milliseconds reply_waited{0};
    Framing reply_framing = Framing::none;
    std::uint64_t reply_left = 0;  ///< bytes still owed under Framing::length
    Milliseconds half_closed_for{0};
    SteadyClock::time_point waiting_since{};  ///< for room, in phase `sending`
    bool body_cancelled = false;
    std::size_t body_held = 0;   ///< bytes that the body takes, roughly
    std::size_t reply_held = 0;  ///< and the reply, while it waits for room
  };
  Progress progress;
  bool read_expired = false;
  bool write_expired = false;

  void note_sent(std::size_t bytes) {
    progress.reply_bytes += bytes;
    if (progress.waiting_since == SteadyClock::time_point{}) return;
    progress.reply_waited += since(std::exchange(progress.waiting_since, {}));
  }
  [[nodiscard]] bool has_body() const noexcept { return parser && parser->framing() != Framing::none; }
  /// Ready for another session.
  void recycle() noexcept {
    session = nullptr;
    read_deadline.disarm();
    write_deadline.disarm();
    watch.disarm();
    output.clear();
    parser.reset();
    progress = {};
    for (auto* text : {&head, &head_text}) {
      if (text->capacity() > kept_text) *text = {};
    }
  }
};

SessionSurroundings::~SessionSurroundings() = default;

ClientSession::ClientSession(int descriptor, std::string client_address,
                             std::shared_ptr<SessionSurroundings> surroundings)
    : surroundings_(std::move(surroundings)),
      stream_(surroundings_->context, descriptor, this),
      deadline_(surroundings_->wheel, [this] { expire(); }),
      client_address_(std::move(client_address)),
      input_(first_capacity) {
  surroundings_->counters.open.fetch_add(1, std::memory_order_relaxed);
  surroundings_->counters.accepted.fetch_add(1, std::memory_order_relaxed);
}

ClientSession::~ClientSession() {
  let_go();
  if (is_refused_) {
    --surroundings_->refused_now;
  } else {
    surroundings_->counters.open.fetch_sub(1, std::memory_order_relaxed);
  }
}

void ClientSession::start(std::function<void(ClientSession&)> on_end) {
  on_end_ = std::move(on_end);
  wait_for_head();
}

void ClientSession::refuse(std::function<void(ClientSession&)> on_end) {
  on_end_ = std::move(on_end);
  // Those who are told so must not take the places of others.
  is_refused_ = true;
  ++surroundings_->refused_now;
  surroundings_->counters.open.fetch_sub(1, std::memory_order_relaxed);
  surroundings_->counters.refused.fetch_add(1, std::memory_order_relaxed);
  refuse_request(503, "too many connections (client.connections); try again later");
  advance();
}

void ClientSession::close_if_idle() {
  // Looks once more for a request, and finds closes_idle where there is none.
  if (phase_ == Phase::reading && input_.empty()) advance();
}

void ClientSession::abort() {
  aborted_ = true;
  // A reply delimited by the end of the connection must not look complete when it is not.
  stream_.close(phase_ == Phase::answering && begun_ && !finished_);
  if (phase_ == Phase::answering) return;  // the coroutine ends by itself
  phase_ = Phase::over;
  advance();
}

// ---- the loop's side

void ClientSession::on_ready() noexcept { advance(); }

// Goes on until there is something to wait for. What it calls may call it again, and only marks what is next then.
void ClientSession::advance() noexcept {
  if (advancing_) return;
  advancing_ = true;
  try {
    while (step()) {
    }
  } catch (const std::exception& failure) {
    spdlog::error("a session ended with an internal error: {}", failure.what());
    stream_.close(false);
    phase_ = Phase::over;
  }
  advancing_ = false;
  if (phase_ == Phase::over) end();  // which may destroy us
}

bool ClientSession::step() {
  switch (phase_) {
    case Phase::reading:
      return read_requests();
    case Phase::sending:
      if (!send_now()) return phase_ == Phase::over;
      after_sending();
      return true;
    case Phase::lingering:
      return discard();
    default:
      return false;
  }
}

void ClientSession::end() {
  deadline_.disarm();
  if (!taken_over_) {
    // A reply delimited by the end of the connection must not look complete when it is not; the others' framing shows
    // it.
    stream_.close(cut_short_ && state_ && state_->progress.reply_framing == Framing::until_close);
  }
  if (const auto on_end = std::exchange(on_end_, nullptr)) on_end(*this);
}

// The deadline of the phase has passed. The loop goes on from a turn of its own, as a deadline must not be destroyed
// from within.
void ClientSession::expire() {
  const bool is_idle = phase_ == Phase::reading && input_.empty();
  if (phase_ == Phase::reading && !is_idle) {
    surroundings_->counters.timed_out.fetch_add(1, std::memory_order_relaxed);
    own_state();  // the queue that all share is not ours outside of advance()
    refuse_request(408, "the request head did not arrive in time");
  } else {
    if (phase_ == Phase::sending) surroundings_->counters.timed_out.fetch_add(1, std::memory_order_relaxed);
    phase_ = Phase::over;
  }
  advance_later();
}

void ClientSession::advance_later() {
  asio::post(surroundings_->context, [self = shared_from_this()] { self->advance(); });
}

// ---- what the client makes us hold

// Charges as many bytes to the budget of all. Where that has not as many, who has waited longest for its client gives
// way; false where there is nobody but us: then as much is charged as before. `gives_way`: we may have to as well.
bool ClientSession::hold(std::size_t bytes, bool gives_way) {
  auto& s = *surroundings_;
  auto& total = s.counters.buffered;
  if (!hold_) hold_ = std::make_unique<BufferHold>(*this);
  if (gives_way && !hold_->is_linked()) s.holds.push_back(*hold_);
  if (bytes <= hold_->bytes) {
    total.fetch_sub(hold_->bytes - bytes, std::memory_order_relaxed);
    hold_->bytes = bytes;
    return true;
  }
  const auto more = bytes - hold_->bytes;
  while (total.fetch_add(more, std::memory_order_relaxed) + more > s.limits.buffers) {
    total.fetch_sub(more, std::memory_order_relaxed);
    const auto other =
        std::find_if(s.holds.begin(), s.holds.end(), [this](const BufferHold& held) { return &held.session != this; });
    if (other == s.holds.end()) return false;
    other->session.give_way();
  }
  hold_->bytes = bytes;
  return true;
}

void ClientSession::let_go() noexcept {
  if (!hold_) return;
  surroundings_->counters.buffered.fetch_sub(hold_->bytes, std::memory_order_relaxed);
  hold_.reset();
}

// Charges what is queued, before we wait for room. False where that is too much: then the reply is given up.
bool ClientSession::hold_unsent() {
  auto& progress = state_->progress;
  progress.reply_held = session_size + input_.capacity() + state_->output.memory();
  if (hold(progress.body_held + progress.reply_held, true)) {
    surroundings_->watch_readers();
    return true;
  }
  surroundings_->counters.shed_readers.fetch_add(1, std::memory_order_relaxed);
  state_->output.clear();
  return false;
}

// Nothing of the reply waits any more.
void ClientSession::let_reply_go() {
  auto& progress = state_->progress;
  progress.reply_held = 0;
  if (!hold_) return;
  if (progress.body_held == 0) {
    let_go();
  } else {
    if (hold_->is_linked()) hold_->unlink();
    (void)hold(progress.body_held, false);
  }
}

// What would become free if nobody sent this any more.
std::size_t ClientSession::freed_without_reply() const {
  std::size_t bytes = 0;
  if (!state_) return bytes;
  if (phase_ == Phase::answering) {
    const auto* const exchange = state_->progress.exchange;
    return exchange != nullptr && exchange->freed_without_reply ? exchange->freed_without_reply() : bytes;
  }
  if (phase_ != Phase::sending) return bytes;
  state_->output.each_retained([&](const void* object, void (*release)(const void*)) {
    bytes += surroundings_->handler.freed_without(object, release);
  });
  return bytes;
}

// Gives back what is held for a client that keeps us waiting. Called while another session, or none, advances.
void ClientSession::give_way() {
  auto& counters = surroundings_->counters;
  let_go();
  if (phase_ == Phase::over) return;
  if (phase_ == Phase::reading) {
    counters.shed_heads.fetch_add(1, std::memory_order_relaxed);
    own_state();
    refuse_request(503, no_room_for_head);
    input_.clear();
    input_.shrink();
  } else {
    counters.shed_readers.fetch_add(1, std::memory_order_relaxed);
    surroundings_->log_refusal(client_address_, 503, "its reply was cut short: it read too slowly (client.buffers)");
    if (phase_ == Phase::answering) {
      abort();
      return;
    }
    state_->output.clear();
    phase_ = Phase::over;
  }
  advance_later();
}

// ---- reading

// Serves what has been read, and reads more. False where there is nothing to read now.
bool ClientSession::read_requests() {
  if (has_unserved_input_) {
    has_unserved_input_ = false;
    surroundings_->received = SteadyClock::now();
    const auto used = serve(input_.data());
    if (rest_is_kept_) return true;
    input_.consume(used);
    if (phase_ != Phase::reading) return true;
  }
  for (int reads = 0; reads < most_reads_per_turn; ++reads) {
    if (!send_now()) return phase_ == Phase::over;
    // Mostly all that comes at once is whole requests, and nothing of it need be kept.
    const bool borrows = input_.empty();
    if (!borrows && !input_.make_room(surroundings_->limits.head_size + 4)) {
      refuse_request(431, to_string(ParseFault::head_too_large));
      return true;
    }
    const auto room = borrows ? std::span(surroundings_->input.get(), SessionSurroundings::input_size) : input_.room();
    const auto n = stream_.try_read(room);
    if (!n) {
      phase_ = Phase::over;
      return true;
    }
    if (*n == 0) {
      wait_for_head();
      return phase_ == Phase::sending;
    }
    surroundings_->received = SteadyClock::now();
    if (borrows) {
      const std::string_view data(room.data(), *n);
      const auto used = serve(data);
      if (rest_is_kept_) return true;
      input_.append(data.substr(used));
    } else {
      input_.filled(*n);
      const auto used = serve(input_.data());
      if (rest_is_kept_) return true;
      input_.consume(used);
    }
    if (phase_ != Phase::reading) return true;
  }
  asio::post(surroundings_->context, [self = shared_from_this()] { self->advance(); });
  return !send_now() && phase_ == Phase::over;
}

// The whole head has one deadline: a byte now and then must not hold the connection open.
void ClientSession::wait_for_head() {
  give_state_back();
  if (input_.empty()) {
    let_go();
    input_.shrink();
    head_started_ = {};
    deadline_.arm(surroundings_->limits.idle_timeout);
    if (surroundings_->closes_idle) abort();
    return;
  }
  if (!hold(input_.capacity(), true)) {
    surroundings_->counters.shed_heads.fetch_add(1, std::memory_order_relaxed);
    refuse_request(503, no_room_for_head);
    return;
  }
  if (head_started_ == SteadyClock::time_point{}) head_started_ = SteadyClock::now();
  deadline_.arm(std::max(Milliseconds{0}, surroundings_->limits.header_timeout - since(head_started_)));
}

// Answers the requests at the beginning of `data` until one needs a coroutine, which takes what is behind it; returns
// the bytes that were used.
std::size_t ClientSession::serve(std::string_view data) {
  std::size_t used = 0;
  rest_is_kept_ = false;
  while (phase_ == Phase::reading && !rest_is_kept_) {
    // A client may send an empty line before a request line (RFC 9112 §2.2).
    while (data.substr(used).starts_with("\r\n")) {
      used += 2;
      seen_ = 0;  // no more than its CR was seen
    }
    if (used == data.size()) break;
    const auto head_size = serve_one(data.substr(used));
    if (head_size == 0) break;
    used += head_size;
    if (output().size() > queue_limit && phase_ == Phase::reading) (void)send_now();
  }
  return used;
}

// Returns the size of the head, 0 where it is not whole or was refused.
std::size_t ClientSession::serve_one(std::string_view data) {
  auto& s = *surroundings_;
  if (state_) state_->parser.reset();  // of the request before
  if (seen_ != 0) return serve_unusual(data);
  const auto head = scan_plain_head(data, s.limits.head_size, s.limits.fields, s.fields);
  if (!head) return serve_unusual(data);
  http::RequestHead request{.method = head->method,
                            .target = {},
                            .scheme = "http",
                            .authority = head->host,
                            .version = http::Version::http_1_1,
                            .fields = s.fields,
                            .control = head->control};
  if (!interpret(head->target, request)) {
    refuse_malformed(ParseFault::target);
    return 0;
  }
  keep_alive_ = !s.draining;
  answer_or_begin(request, data.substr(0, head->size), data.substr(head->size));
  return head->size;
}

// The same for a head that is not plain: by all the rules there are.
std::size_t ClientSession::serve_unusual(std::string_view data) {
  auto& s = *surroundings_;
  auto fault = ParseFault::none;
  const auto head_size = find_head(data, seen_, fault);
  if (fault == ParseFault::none &&
      (head_size > s.limits.head_size || (head_size == 0 && data.size() > s.limits.head_size))) {
    fault = ParseFault::head_too_large;
  }
  if (fault != ParseFault::none) {
    refuse_malformed(fault);
    return 0;
  }
  if (head_size == 0) return 0;
  seen_ = 0;
  auto& a = state();
  a.head.assign(data.substr(0, head_size));
  a.parser.emplace(a.fields, s.limits.fields);
  if (!a.parser->parse_head(a.head)) {
    refuse_malformed(a.parser->fault());
    return 0;
  }
  http::RequestHead request;
  request.method = a.parser->method();
  request.version = a.parser->version();
  request.fields = a.parser->fields();
  request.scheme = "http";
  request.authority = http::first_value(request.fields, "Host").value_or("");
  if (!interpret(a.parser->target(), request)) {
    refuse_malformed(ParseFault::target);
    return 0;
  }
  keep_alive_ = a.parser->keeps_alive() && !s.draining;
  answer_or_begin(request, a.head, data.substr(head_size));
  return head_size;
}

// Fills the target, and the authority (Host so far) where the target names one; false where one of them is invalid.
bool ClientSession::interpret(std::string_view raw_target, http::RequestHead& request) {
  auto& s = *surroundings_;
  // Its target is an authority, and what it asks for is not for a gateway (RFC 9112 §3.2.3).
  if (request.method == "CONNECT") return false;
  if (http::is_normal_target(raw_target)) {
    request.target = raw_target;
  } else {
    auto parsed = http::parse_target(request.method, raw_target);
    if (!parsed) return false;
    s.target = std::move(parsed->target);
    request.target = s.target;
    if (!parsed->authority.empty()) {
      // An absolute-form target replaces Host (RFC 9112 §3.2.2), which must be valid all the same.
      if (!http::is_valid_authority(request.authority)) return false;
      s.authority = std::move(parsed->authority);
      request.authority = s.authority;
    }
  }
  return http::is_valid_authority(request.authority);
}

void ClientSession::answer_or_begin(http::RequestHead& request, std::string_view head, std::string_view rest) {
  head_started_ = {};
  begun_ = finished_ = cut_short_ = false;
  version_ = request.version;
  answers_head_ = request.method == "HEAD";
  Exchange exchange{.request = request,
                    .body = nullptr,
                    .reply = *this,
                    .client_address = client_address_,
                    .expects_continue = false,
                    .look_up = 0,
                    .on_client_gone = {}};
  const bool has_body = state_ && state_->has_body();
  const auto& handler = surroundings_->handler;
  std::optional<AccessRecord> record;
  if (handler.access != nullptr) {
    record.emplace();
    exchange.record = record_ = &*record;
  }
  const bool is_answered = !has_body && handler.answer_at_once(exchange);
  record_ = nullptr;
  if (!is_answered) {
    begin_exchange(request, exchange.look_up, head, rest);
    return;
  }
  if (record) handler.access->note(request, client_address_, exchange.request_id.view(), *record);
  note_answered(exchange.latency);
  if (!keep_alive_) phase_ = Phase::sending;
}

// The replies of one read leave together, and one look at the clock serves them all.
void ClientSession::note_answered(LatencyHistogram* latency) {
  auto& s = *surroundings_;
  if (latency != s.at_once) {
    count_answered();
    s.at_once = latency;
  }
  ++s.answered_at_once;
}

// The replies that were made at once have been handed to the system.
void ClientSession::count_answered() {
  auto& s = *surroundings_;
  const auto n = std::exchange(s.answered_at_once, 0);
  if (n > 0 && s.at_once != nullptr) s.at_once->add(SteadyClock::now() - s.received, n);
}

// The coroutine outlives what was read into scratch, and reading a body moves the buffer: the head is kept apart.
void ClientSession::begin_exchange(http::RequestHead& request, std::uint64_t look_up, std::string_view head,
                                   std::string_view rest) {
  auto& s = *surroundings_;
  count_answered();
  auto& a = state();
  a.received = s.received;
  if (!a.parser) {
    a.head.assign(head);
    a.fields.assign(s.fields.begin(), s.fields.end());
  }
  a.target = s.target;
  a.authority = s.authority;
  const auto moved = [](std::string_view view, std::string_view from, const std::string& to) -> std::string_view {
    const auto offset = view.data() - from.data();
    const bool inside = offset >= 0 && static_cast<std::size_t>(offset) + view.size() <= from.size();
    return inside ? std::string_view(to).substr(static_cast<std::size_t>(offset), view.size()) : view;
  };
  for (auto& field : a.fields) field = {moved(field.name, head, a.head), moved(field.value, head, a.head)};
  a.look_up = look_up;
  a.request = request;
  a.request.method = moved(request.method, head, a.head);
  a.request.target = moved(moved(request.target, head, a.head), s.target, a.target);
  a.request.authority = moved(moved(request.authority, head, a.head), s.authority, a.authority);
  a.request.fields = a.fields;
  keep_rest(rest);
  deadline_.disarm();
  if (hold_ && hold_->is_linked()) hold_->unlink();  // it is our turn now
  a.progress.body_held = input_.capacity();
  if ((hold_ || a.progress.body_held > 0) && !hold(a.progress.body_held, false)) {
    s.counters.shed_heads.fetch_add(1, std::memory_order_relaxed);
    refuse_request(503, no_room_for_head);
    return;
  }
  phase_ = Phase::answering;
  s.begin(*this);
}

void ClientSession::launch() {
  if (aborted_) {
    phase_ = Phase::over;
    advance();
    return;
  }
  asio::co_spawn(surroundings_->context.get_executor(), answer(),
                 [self = shared_from_this()](const std::exception_ptr& failure) {
                   if (failure) {
                     self->record_ = nullptr;  // it went with the coroutine
                     self->abort();            // what it had begun to answer must not look complete
                     self->phase_ = Phase::over;
                     try {
                       std::rethrow_exception(failure);
                     } catch (const std::exception& error) {
                       spdlog::error("a session ended with an internal error: {}", error.what());
                     }
                   }
                   self->advance();
                 });
}

// `rest` lies at the end of input_, or in scratch while input_ is empty.
void ClientSession::keep_rest(std::string_view rest) {
  rest_is_kept_ = true;
  if (input_.empty()) {
    input_.append(rest);
  } else {
    input_.consume(input_.data().size() - rest.size());
  }
}

void ClientSession::refuse_malformed(ParseFault fault) {
  surroundings_->counters.malformed.fetch_add(1, std::memory_order_relaxed);
  const int status = fault == ParseFault::target ? 400 : status_of(fault);
  refuse_request(status, to_string(fault));
}

void ClientSession::refuse_request(int status, std::string_view text) {
  keep_alive_ = false;
  answers_head_ = false;
  version_ = http::Version::http_1_1;
  surroundings_->log_refusal(client_address_, status, text);
  if (auto* const access = surroundings_->handler.access) access->note_refused(client_address_, status, text);
  reply_with_text(*this, status, text, status == 503 ? "Retry-After: 1\r\n" : "");
  phase_ = Phase::sending;
}

// ---- answering

// One request, from the handler's first look to the phase that follows it.
Awaitable<void> ClientSession::answer() {
  auto& a = *state_;
  // What was queued for earlier pipelined requests must not wait for this one.
  if (!a.output.empty() && co_await send_all()) {
    phase_ = Phase::over;
    co_return;
  }
  const bool has_body = a.has_body();
  Exchange exchange{.request = a.request,
                    .body = has_body ? this : nullptr,
                    .reply = *this,
                    .client_address = client_address_,
                    .expects_continue = has_body && a.request.version == http::Version::http_1_1 &&
                                        http::has_token(a.request.fields, "Expect", "100-continue"),
                    .look_up = a.look_up,
                    .on_client_gone = {}};
  const auto body_held = a.progress.body_held;
  a.progress = {};
  a.progress.body_held = body_held;
  a.progress.exchange = &exchange;
  a.watch.arm(watch_interval);
  std::optional<AccessRecord> record;
  auto* const access = surroundings_->handler.access;
  if (access != nullptr) {
    record.emplace();
    exchange.record = record_ = &*record;
  }
  co_await surroundings_->handler.answer(exchange);
  a.watch.disarm();
  a.progress.exchange = nullptr;
  if (exchange.latency != nullptr) exchange.latency->add(SteadyClock::now() - a.received);
  record_ = nullptr;
  if (record) {
    record->cut_short = !taken_over_ && (!finished_ || cut_short_ || aborted_);
    access->note(a.request, client_address_, exchange.request_id.view(), *record);
  }
  if (taken_over_ || aborted_) {
    phase_ = Phase::over;
    co_return;
  }
  if (!begun_) {
    spdlog::error("internal error: a request was left without a reply");
    refuse_request(500, "internal error");
    co_return;
  }
  if (!finished_ || cut_short_) {
    cut_short_ = true;
    keep_alive_ = false;
    surroundings_->counters.cut_short.fetch_add(1, std::memory_order_relaxed);
  } else if (has_body && !a.parser->done()) {
    // An unread body stands before the next request. Whether a client that expects 100 will send it is unknown.
    if (keep_alive_ && !exchange.expects_continue && !a.progress.body_cancelled) co_await skip_rest_of_body();
    if (!a.parser->done()) keep_alive_ = false;
  }
  has_unserved_input_ = !input_.empty();
  phase_ = keep_alive_ ? Phase::reading : Phase::sending;
}

Awaitable<error_code> ClientSession::read_more(Milliseconds timeout) {
  auto& a = *state_;
  a.read_expired = false;
  a.read_deadline.arm(timeout);
  for (;;) {
    const auto room = input_.room();
    const auto [error, n] = co_await stream_.read_some(room.data(), room.size());
    if (error == asio::error::operation_aborted && !a.read_expired && !aborted_ && !a.progress.body_cancelled) {
      continue;  // the write deadline's cancel() hit us as well
    }
    a.read_deadline.disarm();
    if (a.read_expired) co_return Error::client_timeout;
    if (error || n == 0) co_return Error::client_gone;
    input_.filled(n);
    co_return error_code{};
  }
}

Awaitable<void> ClientSession::skip_rest_of_body() {
  auto& a = *state_;
  if (const auto n = a.parser->length(); n && *n - a.progress.body_bytes > skip_limit) co_return;
  if (co_await send_all()) co_return;
  std::size_t skipped = 0;
  while (!a.parser->done() && skipped < skip_limit) {
    const auto piece = co_await read();
    if (!piece) co_return;
    skipped += piece->size();
  }
}

Awaitable<Result<std::string_view>> ClientSession::read() {
  auto& a = *state_;
  auto& counters = surroundings_->counters;
  for (;;) {
    if (a.progress.body_cancelled) co_return Error::cancelled;
    if (a.parser->done()) co_return std::string_view{};
    std::string_view piece;
    input_.consume(a.parser->next(input_.data(), piece));
    if (a.parser->fault() != ParseFault::none) {
      counters.malformed.fetch_add(1, std::memory_order_relaxed);
      keep_alive_ = false;
      co_return Error::client_malformed_body;
    }
    a.progress.body_bytes += piece.size();
    if (!piece.empty()) co_return piece;
    if (a.parser->done()) co_return std::string_view{};
    if (!input_.make_room(body_capacity)) {
      counters.malformed.fetch_add(1, std::memory_order_relaxed);
      keep_alive_ = false;
      co_return Error::client_malformed_body;  // a chunk line or trailer section without end
    }
    a.progress.body_held =
        input_.capacity() + static_cast<std::size_t>(std::min<std::uint64_t>(a.progress.body_bytes, held_body));
    if (!hold(a.progress.body_held + a.progress.reply_held, false)) {
      counters.shed_bodies.fetch_add(1, std::memory_order_relaxed);
      keep_alive_ = false;
      co_return Error::client_buffers_full;
    }
    const auto start = SteadyClock::now();
    const auto error =
        co_await read_more(allowance(surroundings_->limits, a.progress.body_bytes, a.progress.body_waited));
    a.progress.body_waited += since(start);
    if (a.progress.body_cancelled) co_return Error::cancelled;
    if (error) {
      keep_alive_ = false;
      if (error == Error::client_timeout) counters.timed_out.fetch_add(1, std::memory_order_relaxed);
      co_return error;
    }
  }
}

std::optional<std::uint64_t> ClientSession::length() const { return state_->parser->length(); }
const http::FieldList& ClientSession::trailers() const { return state_->parser->trailers(); }

void ClientSession::cancel() {
  state_->progress.body_cancelled = true;
  stream_.cancel();
}

// Looks once a second, while a request takes longer than that, whether its client is still there.
void ClientSession::watch_client() {
  auto& a = *state_;
  if (a.progress.exchange == nullptr || taken_over_) return;
  const auto incoming = stream_.peek();
  if (incoming == Stream::Incoming::end) a.progress.half_closed_for += watch_interval;
  const bool gone =
      incoming == Stream::Incoming::broken || a.progress.half_closed_for >= surroundings_->limits.half_closed_timeout;
  a.watch.arm(watch_interval);  // who is to be told may be known only later
  if (!gone) return;
  if (auto on_client_gone = std::exchange(a.progress.exchange->on_client_gone, nullptr)) on_client_gone();
}

Awaitable<error_code> ClientSession::send_all() {
  auto& a = *state_;
  a.write_expired = false;
  while (!a.output.empty()) {
    const auto pieces = a.output.pieces();
    const auto sent = stream_.try_write(pieces.first(std::min(pieces.size(), most_pieces)));
    if (!sent) {
      a.output.clear();
      co_return Error::client_gone;
    }
    if (*sent > 0) {
      a.progress.reply_bytes += *sent;
      a.output.sent(*sent);
      continue;
    }
    if (!hold_unsent()) co_return Error::client_gone;
    const auto start = SteadyClock::now();
    a.write_deadline.arm(allowance(surroundings_->limits, a.progress.reply_bytes, a.progress.reply_waited));
    const auto error = co_await stream_.wait_writable();
    a.write_deadline.disarm();
    a.progress.reply_waited += since(start);
    if (aborted_ || a.write_expired) {
      if (a.write_expired) surroundings_->counters.timed_out.fetch_add(1, std::memory_order_relaxed);
      a.output.clear();
      co_return a.write_expired ? Error::client_timeout : Error::client_gone;
    }
    if (error && error != asio::error::operation_aborted) {
      a.output.clear();
      co_return Error::client_gone;
    }
  }
  if (a.progress.reply_held > 0) let_reply_go();
  co_return error_code{};
}

// ---- sending

OutputQueue& ClientSession::output() noexcept { return state_ ? state_->output : surroundings_->output; }

// From here on replies are queued in a queue of our own.
ExchangeState& ClientSession::state() {
  if (!state_) {
    own_state();
    state_->output.take(surroundings_->output);
  }
  return *state_;
}

// The same where nothing in the queue that all share is ours.
void ClientSession::own_state() {
  if (state_) return;
  auto& spare = surroundings_->spare_states;
  if (spare.empty()) {
    state_ = std::make_unique<ExchangeState>(surroundings_->wheel);
  } else {
    state_ = std::move(spare.back());
    spare.pop_back();
  }
  state_->session = this;
}

void ClientSession::give_state_back() noexcept {
  if (!state_) return;
  state_->recycle();
  auto& spare = surroundings_->spare_states;
  if (spare.size() < most_spare_states) spare.push_back(std::move(state_));
  state_.reset();
}

// Sends what is queued, as far as it can be sent now. False where the rest must wait (phase sending), or the client is
// gone (over).
bool ClientSession::send_now() {
  while (!output().empty()) {
    const auto pieces = output().pieces();
    const auto sent = stream_.try_write(pieces.first(std::min(pieces.size(), most_pieces)));
    if (!sent) {
      output().clear();
      phase_ = Phase::over;
      count_answered();
      return false;
    }
    if (*sent == 0) {
      auto& a = state();
      if (a.progress.waiting_since == SteadyClock::time_point{}) a.progress.waiting_since = SteadyClock::now();
      count_answered();  // what is left is the client's pace
      if (!hold_unsent()) {
        phase_ = Phase::over;
        return false;
      }
      deadline_.arm(allowance(surroundings_->limits, a.progress.reply_bytes, a.progress.reply_waited));
      phase_ = Phase::sending;
      return false;
    }
    if (state_) state_->note_sent(*sent);
    output().sent(*sent);
  }
  count_answered();
  return true;
}

void ClientSession::after_sending() {
  if (keep_alive_) {
    phase_ = Phase::reading;
    has_unserved_input_ = !input_.empty();
    return;
  }
  if (cut_short_) {
    phase_ = Phase::over;
    return;
  }
  // Closing with unread input would reset the connection and could destroy the reply on its way (RFC 9112 §9.6).
  stream_.shutdown_send();
  give_state_back();
  input_.clear();
  input_.shrink();
  let_go();
  deadline_.arm(linger_timeout);
  phase_ = Phase::lingering;
}

bool ClientSession::discard() {
  for (;;) {
    const auto n = stream_.try_read({surroundings_->input.get(), SessionSurroundings::input_size});
    if (n && *n == 0) return false;
    discarded_ += static_cast<std::uint32_t>(n ? *n : linger_limit);
    if (discarded_ < linger_limit) continue;
    phase_ = Phase::over;
    return true;
  }
}

std::string_view ClientSession::connection_lines() {
  if (surroundings_->draining) keep_alive_ = false;  // draining may have begun after the request
  if (!keep_alive_) return "Connection: close\r\n\r\n";
  return version_ == http::Version::http_1_0 ? "Connection: keep-alive\r\n\r\n" : "\r\n";
}

void ClientSession::whole(const WholeReply& reply) {
  auto& queue = output();
  const auto body = answers_head_ ? std::string_view{} : reply.body;
  if (record_ != nullptr) {
    record_->status = status_in(reply.head.empty() ? reply.more_lines : reply.head);
    record_->bytes = body.size();
  }
  if (body.size() <= copied_body) {
    queue.add_copies({reply.head, reply.more_lines, connection_lines(), body});
    if (reply.retained != nullptr) reply.release(reply.retained);
  } else {
    queue.add_copies({reply.head, reply.more_lines, connection_lines()});
    queue.add_view(body);
    queue.retain(reply.retained, reply.release);
  }
  begun_ = finished_ = true;
}

Awaitable<error_code> ClientSession::interim(const http::ResponseHead& head) {
  if (version_ == http::Version::http_1_0 || begun_) co_return error_code{};
  auto text = fmt::format("HTTP/1.1 {} {}\r\n", head.status,
                          head.reason.empty() ? http::reason_phrase(head.status) : head.reason);
  for (const auto& field : head.fields) fmt::format_to(std::back_inserter(text), "{}: {}\r\n", field.name, field.value);
  text += "\r\n";
  output().add_copy(text);
  co_return co_await send_all();
}

void ClientSession::begin(const http::ResponseHead& head, std::string_view more_lines,
                          std::optional<std::uint64_t> length) {
  auto& a = *state_;
  begun_ = true;
  if (record_ != nullptr) record_->status = head.status;
  auto& text = a.head_text;
  text.assign("HTTP/1.1 ");
  append_number(text, static_cast<std::uint64_t>(head.status));
  text.append(" ").append(head.reason.empty() ? http::reason_phrase(head.status) : head.reason).append("\r\n");
  for (const auto& field : head.fields) {
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  text += more_lines;
  const auto announce = [&text](std::uint64_t bytes) {
    text += "Content-Length: ";
    append_number(text, bytes);
    text += "\r\n";
  };
  const bool never_has_body = head.status < 200 || head.status == 204 || head.status == 304;
  if (head.status == 101) {
    a.progress.reply_framing = Framing::none;
  } else if (answers_head_ || never_has_body) {
    a.progress.reply_framing = Framing::none;
    if (length && head.status != 204) announce(*length);
  } else if (length) {
    a.progress.reply_framing = Framing::length;
    a.progress.reply_left = *length;
    announce(*length);
  } else if (version_ == http::Version::http_1_1) {
    a.progress.reply_framing = Framing::chunked;
    text += "Transfer-Encoding: chunked\r\n";
  } else {
    a.progress.reply_framing = Framing::until_close;
    keep_alive_ = false;
  }
  a.output.add_copies({text, head.status == 101 ? std::string_view("\r\n") : connection_lines()});
}

// Queues a piece of the body in its framing.
void ClientSession::add_to_body(std::string_view piece, bool copies) {
  auto& a = *state_;
  if (piece.empty() || a.progress.reply_framing == Framing::none) return;
  if (a.progress.reply_framing == Framing::length) {
    // More than was announced would be read as the next response.
    piece = piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), a.progress.reply_left)));
    a.progress.reply_left -= piece.size();
  }
  if (record_ != nullptr) record_->bytes += piece.size();
  const bool is_chunked = a.progress.reply_framing == Framing::chunked;
  if (is_chunked) {
    char size_line[20];
    auto* end = std::to_chars(size_line, size_line + 16, piece.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    a.output.add_copy({size_line, static_cast<std::size_t>(end - size_line)});
  }
  copies ? a.output.add_copy(piece) : a.output.add_view(piece);
  if (is_chunked) a.output.add_copy("\r\n");
}

Awaitable<error_code> ClientSession::write(std::string_view piece) {
  // Behind what is queued a short one leaves as one piece with it.
  add_to_body(piece, piece.size() <= copied_body && !state_->output.empty());
  co_return co_await send_all();
}

Awaitable<error_code> ClientSession::flush() { co_return co_await send_all(); }

void ClientSession::finish(http::FieldSpan trailers, std::string_view last_piece) {
  auto& a = *state_;
  add_to_body(last_piece, true);
  if (a.progress.reply_framing == Framing::length && a.progress.reply_left > 0) {
    cut_short();
    return;
  }
  if (a.progress.reply_framing == Framing::chunked) {
    a.output.add_copy("0\r\n");
    for (const auto& field : trailers) a.output.add_copy(fmt::format("{}: {}\r\n", field.name, field.value));
    a.output.add_copy("\r\n");
  }
  finished_ = true;
}

void ClientSession::cut_short() {
  auto& a = *state_;
  keep_alive_ = false;
  if (begun_ && a.progress.reply_bytes == 0 && !a.output.empty()) {
    // Nothing of it has left yet: an error says more than a connection that just ends.
    a.output.clear();
    reply_with_text(*this, 502, "the origin broke its answer off");
    return;
  }
  cut_short_ = true;
}

Stream* ClientSession::take_over(std::string_view& already_read) {
  taken_over_ = true;
  already_read = input_.data();
  return &stream_;
}

}  // namespace larder::net
