#include "larder/redis/connection.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/intrusive/list.hpp>
#include <cctype>
#include <deque>
#include <exception>
#include <optional>
#include <random>
#include <span>
#include <utility>

#include "larder/redis/resp.hpp"

#include "stream.hpp"

// Invariants (all on the io_context's one thread):
// - `entries_` holds every command not yet answered, in the order of writing; a reply belongs to its front. An entry
//   whose waiter is gone (deadline passed, nobody asked) stays, so that the late reply is taken and thrown away.
// - An entry is answered only after its bytes were handed to a write: a reply before that is a fault of the peer, and
//   giving it to the entry would shift every later answer.
// - A Link is one connection attempt and all that lives and dies with it. Handlers hold their Link alive and do nothing
//   once `link_` is another; `drop` is the only way out of it.
// - User code (coroutines, `done`, `on_message`) is resumed from `deliver` only, by a posted handler, in the order in
//   which things happened: never from within a call of the user, nor with our own stack below it to unwind through.
// - A waiter in a coroutine frame holds no reference to Impl, and Impl none to the frame's owner: whichever is
// destroyed
//   first, nothing dangles or keeps itself alive.
namespace larder::redis {
namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t input_bytes = 64UL * 1024;
constexpr std::size_t idle_output_bytes = 1024UL * 1024;  // a larger output buffer is given back once it is written
constexpr milliseconds longest_deadline = std::chrono::hours(24);  // keeps now + deadline from overflowing

// NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): the base forbids deletion through it
class ErrorCategory final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "larder.redis"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<Error>(value)) {
      case Error::not_connected:
        return "Redis is not connected";
      case Error::timed_out:
        return "Redis did not answer in time";
      case Error::queue_full:
        return "too many unanswered commands to Redis";
      case Error::disconnected:
        return "the connection to Redis broke before the answer";
      case Error::stopped:
        return "the connection to Redis was stopped";
      case Error::protocol:
        return "Redis sent something that is not RESP";
    }
    return "unknown error";
  }
};

/// One who waits for the outcome of one or several commands.
struct Waiter : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  /// Tells the outcome. The waiter may be gone afterwards.
  virtual void resume() = 0;
  /// The io_context is going away and nobody can be told any more: frees what resume() would have freed.
  virtual void abandon() noexcept = 0;

  bool finished = false;  ///< resumed or abandoned: Impl knows it no more, and may be gone

  std::uint64_t first = 0;  ///< number of its first entry
  std::uint64_t last = 0;   ///< number of its last entry: while this one waits, so does the waiter
  error_code error;
  Reply reply;                            ///< of a single command
  std::vector<Reply>* replies = nullptr;  ///< where a pipeline's replies go instead

  virtual ~Waiter() = default;
};

/// Lives in the frame of the coroutine that it suspends, so that a command costs no allocation of its own for waiting.
class SuspendedCoroutine final : public Waiter {
 public:
  auto wait() {
    return asio::async_initiate<const Token, void()>(
        [this](auto&& handler) { handler_.emplace(std::forward<decltype(handler)>(handler)); }, token_);
  }
  void resume() override {
    finished = true;
    auto handler = std::move(*handler_);
    handler_.reset();
    asio::dispatch(std::move(handler));
  }
  void abandon() noexcept override {
    finished = true;
    // Destroying the handler unwinds the frame, and this waiter with it.
    const auto handler = std::exchange(handler_, std::nullopt);
  }

 private:
  static constexpr Token token_{};
  std::optional<asio::async_result<Token, void()>::handler_type> handler_;
};

/// Owns itself while Impl knows it.
class WaitingCallback final : public Waiter {
 public:
  explicit WaitingCallback(std::function<void(boost::system::result<Reply>)> done) : done_(std::move(done)) {}
  void resume() override {
    const std::unique_ptr<WaitingCallback> self(this);
    if (!done_) return;
    if (error)
      done_(error);
    else
      done_(std::move(reply));
  }
  void abandon() noexcept override { delete this; }

 private:
  std::function<void(boost::system::result<Reply>)> done_;
};

using MessageCallback = std::function<void(std::string_view channel, std::string_view payload)>;

/// A message on its way to the user, in one queue with the outcomes so that the order is kept. Owns itself likewise.
class Message final : public Waiter {
 public:
  /// `stopped` is Impl's, which resumes.
  Message(const bool& stopped, std::shared_ptr<const MessageCallback> callback, std::string channel,
          std::string payload)
      : stopped_(stopped), callback_(std::move(callback)), channel_(std::move(channel)), payload_(std::move(payload)) {}
  void resume() override {
    const std::unique_ptr<Message> self(this);
    if (!stopped_) (*callback_)(channel_, payload_);
  }
  void abandon() noexcept override { delete this; }

 private:
  const bool& stopped_;
  std::shared_ptr<const MessageCallback> callback_;
  std::string channel_;
  std::string payload_;
};

using WaiterList = boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>>;

/// How many replies a command has.
enum class Answer : unsigned char {
  one,                ///< as nearly all
  confirmations,      ///< (un)subscribing named channels: one reply for each
  all_channels,       ///< UNSUBSCRIBE without names: until no channel is left
  all_patterns,       ///< PUNSUBSCRIBE without names
  all_shard_channels  ///< SUNSUBSCRIBE without names
};

/// A command not yet answered.
struct Entry {
  Waiter* waiter = nullptr;         ///< nullptr: the reply is thrown away
  std::size_t bytes = 0;            ///< its share of max_queue_bytes
  std::uint32_t confirmations = 0;  ///< still to come, for Answer::confirmations
  Answer answer = Answer::one;
};

struct Deadline {
  Clock::time_point when;
  std::uint64_t entry;  ///< the waiter's last
};
struct LaterFirst {  // makes std::push_heap a heap with the earliest on top
  bool operator()(const Deadline& a, const Deadline& b) const noexcept { return a.when > b.when; }
};

bool equal_without_case(std::string_view text, std::string_view lower) noexcept {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](unsigned char a, char b) { return std::tolower(a) == static_cast<unsigned char>(b); });
}

/// RESP2 answers (un)subscriptions with one confirmation per channel.
Entry entry_of(const std::vector<std::string_view>& arguments) {
  Entry entry;
  entry.bytes = command_size(arguments);
  const std::string_view name = arguments.front();
  if (name.size() < 9 || name.size() > 12) return entry;
  const bool subscribing = equal_without_case(name, "subscribe") || equal_without_case(name, "psubscribe") ||
                           equal_without_case(name, "ssubscribe");
  Answer all = Answer::one;
  if (equal_without_case(name, "unsubscribe")) all = Answer::all_channels;
  if (equal_without_case(name, "punsubscribe")) all = Answer::all_patterns;
  if (equal_without_case(name, "sunsubscribe")) all = Answer::all_shard_channels;
  if (!subscribing && all == Answer::one) return entry;
  if (arguments.size() > 1) {
    entry.answer = Answer::confirmations;
    entry.confirmations = static_cast<std::uint32_t>(arguments.size() - 1);
  } else {
    entry.answer = all;  // SUBSCRIBE without names: one error
  }
  return entry;
}

/// How many subscriptions of each kind the server says this connection has.
struct Subscriptions {
  std::int64_t channels = 0;
  std::int64_t patterns = 0;
  std::int64_t shard_channels = 0;

  [[nodiscard]] bool any() const noexcept { return channels > 0 || patterns > 0 || shard_channels > 0; }

  /// Takes note of a confirmation; false when `reply` is none.
  bool confirm(const Reply& reply) noexcept {
    if (reply.kind != Reply::Kind::array || reply.elements.size() != 3) return false;
    const std::string& word = reply.elements[0].text;
    const std::int64_t total = reply.elements[2].integer;
    if (word == "subscribe" || word == "unsubscribe")  // the total is that of channels and patterns together
      channels = total - patterns;
    else if (word == "psubscribe" || word == "punsubscribe")
      patterns = total - channels;
    else if (word == "ssubscribe" || word == "sunsubscribe")
      shard_channels = total;
    else
      return false;
    return true;
  }
};

/// The peer's words, made fit for a log: printable, short, and without the password should the peer repeat it.
std::string quoted(std::string text, const std::string& password) {
  if (!password.empty()) {
    for (std::size_t at = 0; (at = text.find(password, at)) != std::string::npos; at += 3)
      text.replace(at, password.size(), "***");
  }
  if (text.size() > 200) text.resize(200);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text;
}

/// Why AUTH was refused: no more than the error's word, as some servers repeat a command's arguments.
std::string refused_authentication(const Reply& reply, const ConnectionParameters& parameters) {
  const std::string_view word = reply.error_word();
  const bool plain = !word.empty() && word.size() <= 16 &&
                     std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; }) &&
                     parameters.password.find(word) == std::string::npos;
  return "AUTH was refused" + (plain ? " (" + std::string(word) + ")" : std::string());
}

}  // namespace

error_code make_error_code(Error error) noexcept {
  static const ErrorCategory category;
  return {static_cast<int>(error), category};
}

struct Connection::Impl : std::enable_shared_from_this<Connection::Impl> {
  /// One connection attempt.
  struct Link {
    explicit Link(asio::io_context& context) : stream(context), input(input_bytes) {}

    Stream stream;
    ReplyReader reader;
    std::vector<char> input;
    std::string gathering;          // commands for the next write
    std::string writing;            // the outstanding write's
    std::size_t written = 0;        // of `writing`
    std::uint64_t handed_over = 0;  // entries before this number were handed to a write
    bool flush_posted = false;
    bool ready = false;
    Clock::time_point connected_at;
    Clock::time_point last_received;
    Subscriptions subscriptions;
    std::string why;  // it was dropped
  };
  using LinkPointer = std::shared_ptr<Link>;

  Impl(asio::io_context& io, ConnectionParameters wanted, std::function<void(Event, std::string_view)> told)
      : context(io),
        parameters(std::move(wanted)),
        on_event(std::move(told)),
        deadline_timer(io.get_executor()),
        pace(io.get_executor()),
        random(std::random_device{}()) {}

  ~Impl() {
    // Only reached with someone waiting when the io_context is destroyed before it could tell them.
    while (!entries_.empty()) {
      Waiter* waiter = entries_.front().waiter;
      forget_entries_of(waiter);
      entries_.pop_front();
      ++first_entry_;
      if (waiter != nullptr) waiter->abandon();
    }
    while (!settled_.empty()) {
      Waiter& waiter = settled_.front();
      settled_.pop_front();
      waiter.abandon();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // --- the story of the connection -----------------------------------------------------------------------------------

  static Awaitable<void> live(std::shared_ptr<Impl> self) {
    co_await asio::post(self->context.get_executor(), Token{});  // start() returns before the first event
    while (!self->stopped) {
      const auto link = std::make_shared<Link>(self->context);
      self->link_ = link;
      self->limit_attempt(link);
      const std::string why = co_await self->establish(link);
      if (self->stopped) break;
      if (self->link_ == link && why.empty()) {
        self->become_ready(link);
        co_await self->read_replies(link);
        if (self->stopped) break;
        self->tell(Event::disconnected, link->why);
      } else {
        self->drop(link, Error::disconnected, why);
        self->tell(Event::connect_failed, link->why);
      }
      if (self->stopped) break;
      co_await self->back_off();
    }
  }

  /// The connect timeout covers all until the server has answered the greeting.
  void limit_attempt(const LinkPointer& link) {
    pace.expires_after(parameters.connect_timeout);
    pace.async_wait([self = shared_from_this(), link](const error_code& error) {
      if (error || link->ready) return;
      self->drop(link, Error::disconnected,
                 "no connection within " + std::to_string(self->parameters.connect_timeout.count()) + " ms (" +
                     link->stream.phase() + ")");
    });
  }

  /// Connects and greets; returns an empty text, or why it failed.
  Awaitable<std::string> establish(LinkPointer link) {
    if (parameters.transport == ConnectionParameters::Transport::tls && !tls) {
      try {
        tls = make_tls_context(parameters);
      } catch (const boost::system::system_error& error) {
        co_return "TLS: " + std::string(error.what());
      }
    }
    std::string why = co_await link->stream.connect(parameters, tls.get());
    if (!why.empty()) {
      if (link->stream.is_tls()) tls.reset();  // the next attempt reads a CA file that may have been renewed
      co_return why;
    }
    if (link_ != link) co_return link->why;
    link->stream.enter("greeting");
    why = co_await greet(link);
    co_return why;
  }

  /// AUTH and SELECT as needed, then PING, which a server that is still loading its data refuses.
  Awaitable<std::string> greet(LinkPointer link) {
    enum class Part : unsigned char { authentication, selection, ping };
    std::vector<Part> parts;
    const std::string database = std::to_string(parameters.database);
    std::string greeting;
    if (!parameters.password.empty()) {
      std::vector<std::string_view> arguments{"AUTH"};
      if (!parameters.user.empty()) arguments.emplace_back(parameters.user);
      arguments.emplace_back(parameters.password);
      append_command(greeting, arguments);
      parts.push_back(Part::authentication);
    }
    if (parameters.database != 0) {
      append_command(greeting, std::array<std::string_view, 2>{"SELECT", database});
      parts.push_back(Part::selection);
    }
    append_command(greeting, std::array<std::string_view, 1>{"PING"});
    parts.push_back(Part::ping);

    error_code error;
    for (std::size_t sent = 0; sent < greeting.size();) {
      const auto rest = asio::buffer(greeting.data() + sent, greeting.size() - sent);
      ++counters.writes;
      const std::size_t size = co_await link->stream.async_write_some(rest, asio::redirect_error(Token{}, error));
      sent += size;
      if (link_ != link) co_return link->why;
      if (error) co_return "write: " + error.message();
    }

    std::string_view input;
    for (const Part part : parts) {
      Reply reply;
      for (;;) {
        const auto step = link->reader.next(input, reply);
        if (step == ReplyReader::Step::reply) break;
        if (step == ReplyReader::Step::broken) co_return "not RESP: " + quoted(std::string(link->reader.fault()), {});
        const auto room = asio::buffer(link->input);
        const std::size_t size = co_await link->stream.async_read_some(room, asio::redirect_error(Token{}, error));
        if (link_ != link) co_return link->why;
        if (error) co_return "read: " + error.message();
        input = std::string_view(link->input.data(), size);
      }
      switch (part) {
        case Part::authentication:
          if (reply.kind != Reply::Kind::status) co_return refused_authentication(reply, parameters);
          break;
        case Part::selection:
          if (reply.kind != Reply::Kind::status)
            co_return "SELECT " + database + " was refused: " + quoted(reply.text, parameters.password);
          break;
        case Part::ping:
          // A user who may not PING is welcome all the same: the answer shows a server that is at work.
          if (reply.kind != Reply::Kind::status && reply.error_word() != "NOPERM")
            co_return "PING was refused: " + quoted(reply.text, parameters.password);
          break;
      }
    }
    Reply surplus;
    if (link->reader.next(input, surplus) != ReplyReader::Step::incomplete)
      co_return std::string("not RESP: more answers than commands");
    co_return std::string();
  }

  void become_ready(const LinkPointer& link) {
    link->ready = true;
    link->connected_at = link->last_received = Clock::now();
    link->stream.enter("ready");
    link->handed_over = first_entry_;
    ++counters.connects;
    watch_health(link, link->last_received + parameters.health_interval);
    tell(Event::connected, {});
  }

  Awaitable<void> read_replies(LinkPointer link) {
    const auto room = asio::buffer(link->input);
    while (link_ == link) {
      error_code error;
      const std::size_t size = co_await link->stream.async_read_some(room, asio::redirect_error(Token{}, error));
      if (link_ != link) co_return;
      if (error) {
        drop(link, Error::disconnected, "read: " + error.message());
        co_return;
      }
      link->last_received = Clock::now();
      std::string_view input(link->input.data(), size);
      for (;;) {
        Reply reply;
        const auto step = link->reader.next(input, reply);
        if (step == ReplyReader::Step::incomplete) break;
        if (step == ReplyReader::Step::broken) {
          drop(link, Error::protocol, "not RESP: " + quoted(std::string(link->reader.fault()), {}));
          co_return;
        }
        if (!take_reply(*link, reply)) {
          drop(link, Error::protocol, "not RESP: an answer to no command");
          co_return;
        }
      }
    }
  }

  /// Ends a link, once: fails what waits for it. `live` does the rest when it sees that `link_` is another.
  void drop(const LinkPointer& which, Error outcome, std::string why) {
    if (!link_ || link_ != which) return;
    const LinkPointer link = std::exchange(link_, nullptr);  // `which` may be `link_` itself
    link->why = std::move(why);
    if (link->ready && Clock::now() - link->connected_at >= parameters.backoff_max) failed_attempts = 0;
    link->stream.close();
    pace.cancel();
    fail_entries(outcome);
  }

  Awaitable<void> back_off() {
    if (!std::exchange(at_once, false)) {
      // Half of the pause is chance, so that a fleet does not return to a restarted server in step.
      const milliseconds first = std::max(parameters.backoff_first, milliseconds(1));
      milliseconds pause = first;
      for (unsigned i = 0; i < failed_attempts && pause < parameters.backoff_max; ++i) pause *= 2;
      pause = std::clamp(pause, first, std::max(first, parameters.backoff_max));
      ++failed_attempts;
      std::uniform_real_distribution<double> share(0.5, 1.0);
      pace.expires_after(std::chrono::duration_cast<Clock::duration>(pause * share(random)));
      backing_off = true;
      error_code cancelled;
      co_await pace.async_wait(asio::redirect_error(Token{}, cancelled));
      backing_off = false;
      at_once = false;
    }
  }

  void tell(Event event, std::string_view detail) {
    if (on_event) on_event(event, detail);
  }

  /// A link that has been silent for health_interval is asked; one that stays silent for connect_timeout is dropped.
  /// Any byte counts, so neither slow commands nor a full queue look like death while answers come.
  void watch_health(const LinkPointer& link, Clock::time_point when) {
    pace.expires_at(when);
    pace.async_wait([self = shared_from_this(), link](const error_code& error) {
      if (error || self->link_ != link) return;
      const auto now = Clock::now();
      const auto due = link->last_received + self->parameters.health_interval;
      if (now < due) return self->watch_health(link, due);
      self->ask_for_sign(link, now);
    });
  }

  void ask_for_sign(const LinkPointer& link, Clock::time_point asked) {
    const std::vector<std::string_view> ping{"PING"};
    const Entry entry = entry_of(ping);
    // With a full queue there are questions enough.
    if (has_room(1, entry.bytes)) add(*link, ping, entry);
    pace.expires_at(asked + parameters.connect_timeout);
    pace.async_wait([self = shared_from_this(), link, asked](const error_code& error) {
      if (error || self->link_ != link) return;
      if (link->last_received > asked)
        return self->watch_health(link, link->last_received + self->parameters.health_interval);
      self->drop(link, Error::disconnected,
                 "no sign of life within " + std::to_string(self->parameters.connect_timeout.count()) + " ms");
    });
  }

  // --- commands out --------------------------------------------------------------------------------------------------

  /// Formats and queues the commands for the next write and enters `waiter` for their replies; or says why not, with
  /// nothing changed but the counters.
  error_code enqueue(std::span<const std::vector<std::string_view>> commands, Waiter& waiter, milliseconds deadline) {
    const auto refuse = [&](error_code why) {
      counters.failures += commands.size();
      return why;
    };
    if (stopped) return refuse(Error::stopped);
    if (!link_ || !link_->ready) return refuse(Error::not_connected);
    std::size_t bytes = 0;
    for (const auto& arguments : commands) {
      // Redis answers an empty command with nothing at all, which would shift all later replies.
      if (arguments.empty()) return refuse(make_error_code(boost::system::errc::invalid_argument));
      bytes += command_size(arguments);
    }
    if (!has_room(commands.size(), bytes)) return refuse(Error::queue_full);

    link_->gathering.reserve(link_->gathering.size() + bytes);
    waiter.first = next_entry();
    for (const auto& arguments : commands) {
      Entry entry = entry_of(arguments);
      entry.waiter = &waiter;
      add(*link_, arguments, entry);
    }
    waiter.last = next_entry() - 1;
    add_deadline(Clock::now() + std::clamp(deadline, milliseconds(0), longest_deadline), waiter.last);
    return {};
  }

  [[nodiscard]] bool has_room(std::size_t commands, std::size_t bytes) const noexcept {
    return entries_.size() + commands <= parameters.max_queue_commands &&
           counters.queued_bytes + bytes <= parameters.max_queue_bytes;
  }

  void add(Link& link, std::span<const std::string_view> arguments, const Entry& entry) {
    append_command(link.gathering, arguments);
    entries_.push_back(entry);
    ++counters.commands;
    counters.queued_bytes += entry.bytes;
    counters.queued = entries_.size();
    post_flush();
  }

  /// The write happens after all that this turn of the loop has to say; while one is outstanding the next is gathered.
  void post_flush() {
    if (link_->flush_posted || !link_->writing.empty()) return;
    link_->flush_posted = true;
    asio::post(context, [self = shared_from_this(), link = link_] {
      link->flush_posted = false;
      if (self->link_ == link && link->writing.empty()) self->write_gathered(link);
    });
  }

  void write_gathered(const LinkPointer& link) {
    link->writing.swap(link->gathering);
    link->written = 0;
    link->handed_over = next_entry();
    write_rest(link);
  }

  void write_rest(const LinkPointer& link) {
    ++counters.writes;
    const auto rest = asio::buffer(link->writing.data() + link->written, link->writing.size() - link->written);
    link->stream.async_write_some(rest, [self = shared_from_this(), link](const error_code& error, std::size_t size) {
      if (self->link_ != link) return;
      if (error) return self->drop(link, Error::disconnected, "write: " + error.message());
      link->written += size;
      if (link->written < link->writing.size()) return self->write_rest(link);
      link->writing.clear();
      if (link->writing.capacity() > idle_output_bytes) link->writing.shrink_to_fit();
      if (!link->gathering.empty()) self->write_gathered(link);
    });
  }

  // --- replies in ----------------------------------------------------------------------------------------------------

  /// False when nobody can have asked for it.
  bool take_reply(Link& link, Reply& reply) {
    if (link.subscriptions.any()) {
      if (take_message(reply)) return true;
      // Redis also unsubscribes by itself (a slot that moved): a confirmation that no command waits for.
      const bool asked = !entries_.empty() && entries_.front().answer != Answer::one;
      if (!asked && link.subscriptions.confirm(reply)) return true;
    }
    if (entries_.empty() || first_entry_ >= link.handed_over) return false;
    Entry& entry = entries_.front();
    if (entry.answer != Answer::one && !is_last_confirmation(link.subscriptions, entry, reply)) return true;

    Waiter* waiter = entry.waiter;
    counters.queued_bytes -= entry.bytes;
    entries_.pop_front();
    counters.queued = entries_.size();
    const std::uint64_t number = first_entry_++;
    if (waiter == nullptr) return true;
    if (waiter->replies != nullptr)
      waiter->replies->push_back(std::move(reply));
    else
      waiter->reply = std::move(reply);
    if (number == waiter->last) settle(*waiter, {});
    return true;
  }

  /// In RESP2 a message is told from an answer by its form; no answer has it while the connection is subscribed, as
  /// then all but (un)subscribing and PING is refused.
  bool take_message(Reply& reply) {
    if (reply.kind != Reply::Kind::array || reply.elements.size() < 3) return false;
    const std::string& word = reply.elements[0].text;
    const bool by_channel = reply.elements.size() == 3 && (word == "message" || word == "smessage");
    const bool by_pattern = reply.elements.size() == 4 && word == "pmessage";
    if (!by_channel && !by_pattern) return false;
    if (!on_message) return true;
    Reply& payload = reply.elements.back();
    Reply& channel = reply.elements[reply.elements.size() - 2];
    settle(*new Message(stopped, on_message, std::move(channel.text), std::move(payload.text)), {});
    return true;
  }

  static bool is_last_confirmation(Subscriptions& subscriptions, Entry& entry, const Reply& reply) noexcept {
    if (reply.is_error()) return true;  // one refusal answers the whole command
    subscriptions.confirm(reply);
    switch (entry.answer) {
      case Answer::all_channels:
        return subscriptions.channels <= 0;
      case Answer::all_patterns:
        return subscriptions.patterns <= 0;
      case Answer::all_shard_channels:
        return subscriptions.shard_channels <= 0;
      case Answer::confirmations:
        return --entry.confirmations == 0;
      case Answer::one:
        break;
    }
    return true;
  }

  // --- outcomes ------------------------------------------------------------------------------------------------------

  void settle(Waiter& waiter, error_code outcome) {
    waiter.error = outcome;
    settled_.push_back(waiter);
    post_delivery();
  }

  void post_delivery() {
    if (delivery_posted) return;
    delivery_posted = true;
    asio::post(context, [self = shared_from_this()] { self->deliver(); });
  }

  void deliver() {
    delivery_posted = false;
    // Whoever is told may throw: the others are told nevertheless.
    struct Rest {
      Impl& self;
      ~Rest() {
        if (!self.settled_.empty()) self.post_delivery();
      }
    } rest{*this};
    while (!settled_.empty()) {
      Waiter& waiter = settled_.front();
      settled_.pop_front();
      waiter.resume();
    }
  }

  void fail_entries(Error outcome) {
    std::deque<Entry> failed;
    failed.swap(entries_);
    const std::uint64_t first = first_entry_;
    first_entry_ += failed.size();
    counters.queued = counters.queued_bytes = 0;
    deadlines.clear();
    deadline_timer.cancel();
    armed.reset();
    for (std::size_t i = 0; i < failed.size(); ++i) {
      Waiter* waiter = failed[i].waiter;
      if (waiter == nullptr) continue;
      ++counters.failures;
      if (first + i == waiter->last) settle(*waiter, outcome);
    }
  }

  [[nodiscard]] std::uint64_t next_entry() const noexcept { return first_entry_ + entries_.size(); }

  void forget_entries_of(const Waiter* waiter) noexcept {
    if (waiter == nullptr) return;
    for (std::uint64_t number = std::max(waiter->first, first_entry_); number <= waiter->last; ++number)
      entries_[static_cast<std::size_t>(number - first_entry_)].waiter = nullptr;
  }

  // --- deadlines: one timer for the earliest; those whose command was answered are dropped as they come up -----------

  [[nodiscard]] Waiter* waiting_at(std::uint64_t number) const noexcept {
    if (number < first_entry_) return nullptr;
    return entries_[static_cast<std::size_t>(number - first_entry_)].waiter;
  }

  void add_deadline(Clock::time_point when, std::uint64_t entry) {
    if (deadlines.size() > 2 * entries_.size() + 1024) {  // many short commands under few long deadlines
      std::erase_if(deadlines, [this](const Deadline& deadline) { return waiting_at(deadline.entry) == nullptr; });
      std::make_heap(deadlines.begin(), deadlines.end(), LaterFirst{});
    }
    deadlines.push_back({when, entry});
    std::push_heap(deadlines.begin(), deadlines.end(), LaterFirst{});
    if (!armed || when < *armed) arm_deadline(when);
  }

  void arm_deadline(Clock::time_point when) {
    armed = when;
    deadline_timer.expires_at(when);
    deadline_timer.async_wait([self = shared_from_this(), when](const error_code& error) {
      if (!error && self->armed == when) self->pass_deadlines();
    });
  }

  void pass_deadlines() {
    armed.reset();
    const auto now = Clock::now();
    while (!deadlines.empty()) {
      const Deadline earliest = deadlines.front();
      Waiter* waiter = waiting_at(earliest.entry);
      if (waiter != nullptr && earliest.when > now) return arm_deadline(earliest.when);
      std::pop_heap(deadlines.begin(), deadlines.end(), LaterFirst{});
      deadlines.pop_back();
      if (waiter == nullptr) continue;
      const std::uint64_t unanswered = waiter->last - std::max(waiter->first, first_entry_) + 1;
      counters.timeouts += unanswered;
      counters.failures += unanswered;
      forget_entries_of(waiter);
      settle(*waiter, Error::timed_out);
    }
  }

  // --- what the user asks for ----------------------------------------------------------------------------------------

  void start() {
    if (std::exchange(started, true) || stopped) return;
    asio::co_spawn(context, live(shared_from_this()), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);  // a callback threw, or memory is out: not ours to hide
    });
  }

  void stop() {
    stopped = true;
    drop(link_, Error::stopped, "stopped");
    pace.cancel();
  }

  void reconnect() {
    if (stopped) return;
    at_once = true;
    if (backing_off)
      pace.cancel();
    else
      drop(link_, Error::disconnected, "a new connection was asked for");
  }

  asio::io_context& context;
  const ConnectionParameters parameters;
  const std::function<void(Event, std::string_view)> on_event;
  std::shared_ptr<const MessageCallback> on_message;
  ConnectionCounters counters;
  std::unique_ptr<asio::ssl::context> tls;

  LinkPointer link_;               // the present attempt; empty while backing off
  std::deque<Entry> entries_;      // not yet answered
  std::uint64_t first_entry_ = 0;  // number of the front; numbers are never used twice
  WaiterList settled_;             // their outcome is known, but they are not told yet
  bool delivery_posted = false;

  std::vector<Deadline> deadlines;  // a heap
  std::optional<Clock::time_point> armed;
  Timer deadline_timer;

  Timer pace;  // the attempt's limit, then the health check, then the back-off: never two at a time
  unsigned failed_attempts = 0;
  std::minstd_rand random;
  bool started = false;
  bool stopped = false;
  bool backing_off = false;
  bool at_once = false;
};

Connection::Connection(asio::io_context& context, ConnectionParameters parameters,
                       std::function<void(Event, std::string_view detail)> on_event)
    : impl_(std::make_shared<Impl>(context, std::move(parameters), std::move(on_event))) {}

Connection::~Connection() { impl_->stop(); }

void Connection::start() { impl_->start(); }
void Connection::stop() { impl_->stop(); }
void Connection::reconnect() { impl_->reconnect(); }
/// Should beginning to wait throw (std::bad_alloc), the frame takes its waiter with it.
struct Connection::Withdrawal {
  Impl& impl;
  Waiter& waiter;
  ~Withdrawal() {
    if (!waiter.finished) impl.forget_entries_of(&waiter);
  }
};

bool Connection::is_ready() const noexcept { return impl_->link_ && impl_->link_->ready; }

Awaitable<boost::system::result<Reply>> Connection::command(std::vector<std::string_view> arguments,
                                                            milliseconds deadline) {
  SuspendedCoroutine waiter;
  const error_code refused = impl_->enqueue({&arguments, 1}, waiter, deadline);
  if (refused) co_return refused;
  const Withdrawal withdrawal{*impl_, waiter};
  co_await waiter.wait();  // `this` may be gone from here on
  if (waiter.error) co_return waiter.error;
  co_return std::move(waiter.reply);
}

Awaitable<boost::system::result<std::vector<Reply>>> Connection::pipeline(
    std::vector<std::vector<std::string_view>> commands, milliseconds deadline) {
  std::vector<Reply> replies;
  if (commands.empty()) co_return replies;
  SuspendedCoroutine waiter;
  waiter.replies = &replies;
  const error_code refused = impl_->enqueue(commands, waiter, deadline);
  if (refused) co_return refused;
  const Withdrawal withdrawal{*impl_, waiter};
  co_await waiter.wait();  // `this` may be gone from here on
  if (waiter.error) co_return waiter.error;
  co_return replies;
}

void Connection::send(std::vector<std::string_view> arguments, milliseconds deadline,
                      std::function<void(boost::system::result<Reply>)> done) {
  auto waiter = std::make_unique<WaitingCallback>(std::move(done));
  const error_code refused = impl_->enqueue({&arguments, 1}, *waiter, deadline);
  WaitingCallback& known = *waiter.release();  // by its entry, or as settled
  if (refused) impl_->settle(known, refused);
}

void Connection::on_message(std::function<void(std::string_view channel, std::string_view payload)> callback) {
  impl_->on_message = callback ? std::make_shared<const MessageCallback>(std::move(callback)) : nullptr;
}

const ConnectionCounters& Connection::counters() const noexcept { return impl_->counters; }
const ConnectionParameters& Connection::parameters() const noexcept { return impl_->parameters; }

}  // namespace larder::redis
