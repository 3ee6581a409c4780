#include "larder/net/client_session.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "larder/http/http_date.hpp"
#include "larder/http/target.hpp"
#include "larder/net/error.hpp"

namespace larder::net {

namespace {
constexpr std::size_t first_capacity = 8UL << 10;
constexpr std::size_t body_capacity = 64UL << 10;
// Replies queued by pipelined hits are sent when they reach this size, so that a client that does not read cannot make
// the queue grow.
constexpr std::size_t queue_limit = 1UL << 20;
// How much of an unread body is worth reading to keep a connection.
constexpr std::size_t skip_limit = 64UL << 10;
constexpr Milliseconds watch_interval{1000};
constexpr Milliseconds linger_timeout{2000};

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

ClientSession::ClientSession(Socket socket, DeadlineWheel& wheel, const ClientLimits& limits, const Handler& handler,
                             SessionCounters& counters, const bool& draining)
    : stream_(std::move(socket)),
      limits_(limits),
      handler_(handler),
      counters_(counters),
      draining_(draining),
      read_deadline_(wheel,
                     [this] {
                       read_expired_ = true;
                       stream_.cancel();
                     }),
      write_deadline_(wheel,
                      [this] {
                        write_expired_ = true;
                        stream_.cancel();
                      }),
      watch_(wheel, [this] { watch_client(); }),
      input_(first_capacity) {
  counters_.open.fetch_add(1, std::memory_order_relaxed);
  counters_.accepted.fetch_add(1, std::memory_order_relaxed);
  error_code error;
  const auto endpoint = stream_.socket().remote_endpoint(error);
  if (!error) client_address_ = endpoint.address().to_string();
  fields_.reserve(32);
}

ClientSession::~ClientSession() { counters_.open.fetch_sub(1, std::memory_order_relaxed); }

Awaitable<void> ClientSession::run() {
  while (!aborted_) {
    // A client may send an empty line before a request line (RFC 9112 §2.2).
    while (input_.data().starts_with("\r\n")) {
      input_.consume(2);
      seen_ = 0;  // no more than its CR was seen
    }
    auto fault = ParseFault::none;
    const auto data = input_.data();
    const auto head_size = data.empty() ? 0 : find_head(data, seen_, fault);
    if (fault == ParseFault::none &&
        (head_size > limits_.head_size || (head_size == 0 && data.size() > limits_.head_size))) {
      fault = ParseFault::head_too_large;
    }
    if (fault != ParseFault::none) {
      counters_.malformed.fetch_add(1, std::memory_order_relaxed);
      refuse_request(status_of(fault), to_string(fault));
      break;
    }
    if (head_size == 0) {
      if (output_.size() > 0 && co_await send_all()) break;
      const bool between_requests = input_.empty();
      if (between_requests && draining_) break;
      if (!input_.make_room(limits_.head_size + 4)) {
        refuse_request(431, to_string(ParseFault::head_too_large));
        break;
      }
      idle_ = between_requests;
      // The whole head has one deadline: a byte now and then must not hold the connection open.
      if (between_requests) head_started_ = {};
      if (!between_requests && head_started_ == SteadyClock::time_point{}) head_started_ = SteadyClock::now();
      const auto timeout = between_requests ? limits_.idle_timeout
                                            : std::max(Milliseconds{1}, limits_.header_timeout - since(head_started_));
      const auto error = co_await read_more(timeout);
      idle_ = false;
      if (error) {
        if (error == Error::client_timeout && !between_requests) {
          counters_.timed_out.fetch_add(1, std::memory_order_relaxed);
          refuse_request(408, "the request head did not arrive in time");
        }
        break;
      }
      continue;
    }
    seen_ = 0;
    head_started_ = {};
    const auto step = co_await serve(head_size);
    if (step == Step::close) break;
    if (output_.size() > queue_limit && co_await send_all()) break;
  }
  if (taken_over_) co_return;
  if (output_.size() > 0 && !aborted_) {
    const auto error = co_await send_all();
    if (!error && !cut_short_) co_await linger();
  } else if (!aborted_ && !keep_alive_ && !cut_short_) {
    co_await linger();
  }
  // A reply delimited by the end of the connection must not look complete when it is not; the others' framing shows it.
  stream_.close(cut_short_ && reply_framing_ == Framing::until_close);
}

Awaitable<void> ClientSession::refuse() {
  counters_.refused.fetch_add(1, std::memory_order_relaxed);
  refuse_request(503, "too many connections; try again later");
  (void)co_await send_all();
  stream_.close(false);
}

void ClientSession::close_if_idle() {
  if (idle_) abort();
}

void ClientSession::abort() {
  aborted_ = true;
  // A reply delimited by the end of the connection must not look complete when it is not.
  stream_.close(exchange_ != nullptr && begun_ && !finished_);
}

// ---- input

Awaitable<error_code> ClientSession::read_more(Milliseconds timeout) {
  read_expired_ = false;
  read_deadline_.arm(timeout);
  for (;;) {
    const auto room = input_.room();
    const auto [error, n] = co_await stream_.read_some(room.data(), room.size());
    if (error == asio::error::operation_aborted && !read_expired_ && !aborted_ && !body_cancelled_) {
      continue;  // the write deadline's cancel() hit us as well
    }
    read_deadline_.disarm();
    if (read_expired_) co_return Error::client_timeout;
    if (error || n == 0) co_return Error::client_gone;
    input_.filled(n);
    co_return error_code{};
  }
}

// Fills request_ from parser_; false where the target or Host is invalid.
bool ClientSession::interpret() {
  request_.method = parser_->method();
  request_.version = parser_->version();
  request_.fields = parser_->fields();
  request_.scheme = "http";
  // Its target is an authority, and what it asks for is not for a gateway (RFC 9112 §3.2.3).
  if (request_.method == "CONNECT") return false;
  const auto* host = http::find(request_.fields, "Host");
  request_.authority = host != nullptr ? host->value : std::string_view{};
  const auto raw = parser_->target();
  if (http::is_normal_target(raw)) {
    request_.target = raw;
  } else {
    auto parsed = http::parse_target(request_.method, raw);
    if (!parsed) return false;
    target_ = std::move(parsed->target);
    request_.target = target_;
    if (!parsed->authority.empty()) {
      // An absolute-form target replaces Host (RFC 9112 §3.2.2), which must be valid all the same.
      if (!http::is_valid_authority(request_.authority)) return false;
      authority_ = std::move(parsed->authority);
      request_.authority = authority_;
    }
  }
  return http::is_valid_authority(request_.authority);
}

// Reading the body may move the buffer: the head's views are turned to a copy first.
void ClientSession::keep_head(std::size_t head_size) {
  const char* old_begin = input_.data().data();
  kept_head_.assign(old_begin, head_size);
  const auto rebase = [&](std::string_view& view) {
    if (view.data() >= old_begin && view.data() < old_begin + head_size) {
      view = std::string_view(kept_head_).substr(static_cast<std::size_t>(view.data() - old_begin), view.size());
    }
  };
  for (auto& field : fields_) {
    rebase(field.name);
    rebase(field.value);
  }
  rebase(request_.method);
  rebase(request_.target);
  rebase(request_.authority);
}

Awaitable<ClientSession::Step> ClientSession::serve(std::size_t head_size) {
  parser_.emplace(fields_, limits_.fields);
  if (!parser_->parse_head(input_.data().substr(0, head_size))) {
    counters_.malformed.fetch_add(1, std::memory_order_relaxed);
    refuse_request(status_of(parser_->fault()), to_string(parser_->fault()));
    co_return Step::close;
  }
  if (!interpret()) {
    counters_.malformed.fetch_add(1, std::memory_order_relaxed);
    refuse_request(400, to_string(ParseFault::target));
    co_return Step::close;
  }
  keep_alive_ = parser_->keeps_alive() && !draining_;
  begun_ = finished_ = cut_short_ = body_cancelled_ = false;
  const bool has_body = parser_->framing() != Framing::none;
  Exchange exchange{.request = request_,
                    .body = nullptr,
                    .reply = *this,
                    .client_address = client_address_,
                    .expects_continue = false,
                    .on_client_gone = {}};
  if (!has_body && handler_.answer_at_once(exchange)) {
    input_.consume(head_size);
    co_return keep_alive_ ? Step::proceed : Step::close;
  }
  // What was queued for earlier pipelined requests must not wait for this one.
  if (output_.size() > 0 && co_await send_all()) co_return Step::close;
  if (has_body) {
    keep_head(head_size);
    exchange.body = this;
    exchange.expects_continue =
        request_.version == http::Version::http_1_1 && http::has_token(request_.fields, "Expect", "100-continue");
  }
  input_.consume(head_size);
  body_bytes_ = reply_bytes_ = 0;
  body_waited_ = reply_waited_ = half_closed_for_ = Milliseconds{0};
  exchange_ = &exchange;
  watch_.arm(watch_interval);
  co_await handler_.answer(exchange);
  watch_.disarm();
  exchange_ = nullptr;
  if (taken_over_) co_return Step::close;
  if (!begun_) {
    spdlog::error("internal error: a request was left without a reply");
    refuse_request(500, "internal error");
    co_return Step::close;
  }
  if (!finished_ || cut_short_) {
    cut_short_ = true;
    counters_.cut_short.fetch_add(1, std::memory_order_relaxed);
    co_return Step::close;
  }
  if (has_body && !parser_->done()) {
    // An unread body stands before the next request. Whether a client that expects 100 will send it is unknown.
    if (keep_alive_ && !exchange.expects_continue && !body_cancelled_) co_await skip_rest_of_body();
    if (!parser_->done()) keep_alive_ = false;
  }
  co_return keep_alive_ ? Step::proceed : Step::close;
}

Awaitable<void> ClientSession::skip_rest_of_body() {
  if (const auto n = parser_->length(); n && *n - body_bytes_ > skip_limit) co_return;
  if (output_.size() > 0 && co_await send_all()) co_return;
  std::size_t skipped = 0;
  while (!parser_->done() && skipped < skip_limit) {
    const auto piece = co_await read();
    if (!piece) co_return;
    skipped += piece->size();
  }
}

Awaitable<Result<std::string_view>> ClientSession::read() {
  for (;;) {
    if (body_cancelled_) co_return Error::cancelled;
    if (parser_->done()) co_return std::string_view{};
    std::string_view piece;
    input_.consume(parser_->next(input_.data(), piece));
    if (parser_->fault() != ParseFault::none) {
      counters_.malformed.fetch_add(1, std::memory_order_relaxed);
      keep_alive_ = false;
      co_return Error::client_malformed_body;
    }
    body_bytes_ += piece.size();
    if (!piece.empty()) co_return piece;
    if (parser_->done()) co_return std::string_view{};
    if (!input_.make_room(body_capacity)) {
      counters_.malformed.fetch_add(1, std::memory_order_relaxed);
      keep_alive_ = false;
      co_return Error::client_malformed_body;  // a chunk line or trailer section without end
    }
    const auto start = SteadyClock::now();
    const auto error = co_await read_more(allowance(limits_, body_bytes_, body_waited_));
    body_waited_ += since(start);
    if (body_cancelled_) co_return Error::cancelled;
    if (error) {
      keep_alive_ = false;
      if (error == Error::client_timeout) counters_.timed_out.fetch_add(1, std::memory_order_relaxed);
      co_return error;
    }
  }
}

std::optional<std::uint64_t> ClientSession::length() const { return parser_->length(); }
const http::FieldList& ClientSession::trailers() const { return parser_->trailers(); }

void ClientSession::cancel() {
  body_cancelled_ = true;
  stream_.cancel();
}

// ---- output

Awaitable<error_code> ClientSession::send_all() {
  write_expired_ = false;
  while (output_.size() > 0) {
    const auto pieces = output_.pieces();
    const auto sent = stream_.try_write(pieces.first(std::min<std::size_t>(pieces.size(), 1024)));
    if (!sent) {
      output_.clear();
      co_return Error::client_gone;
    }
    if (*sent > 0) {
      reply_bytes_ += *sent;
      output_.sent(*sent);
      continue;
    }
    const auto start = SteadyClock::now();
    write_deadline_.arm(allowance(limits_, reply_bytes_, reply_waited_));
    const auto [error] = co_await stream_.wait_writable();
    write_deadline_.disarm();
    reply_waited_ += since(start);
    if (aborted_ || write_expired_) {
      if (write_expired_) counters_.timed_out.fetch_add(1, std::memory_order_relaxed);
      output_.clear();
      co_return write_expired_ ? Error::client_timeout : Error::client_gone;
    }
    if (error && error != asio::error::operation_aborted) {
      output_.clear();
      co_return Error::client_gone;
    }
  }
  co_return error_code{};
}

void ClientSession::add_connection_lines() {
  if (draining_) keep_alive_ = false;  // draining may have begun after the request
  if (!keep_alive_) {
    output_.add_copy("Connection: close\r\n");
  } else if (request_.version == http::Version::http_1_0) {
    output_.add_copy("Connection: keep-alive\r\n");
  }
}

void ClientSession::whole(const WholeReply& reply) {
  output_.add_view(reply.head);
  output_.add_copy(reply.more_lines);
  add_connection_lines();
  output_.add_copy("\r\n");
  if (request_.method != "HEAD") output_.add_view(reply.body);
  output_.retain(reply.retained, reply.release);
  begun_ = finished_ = true;
}

Awaitable<error_code> ClientSession::interim(const http::ResponseHead& head) {
  if (request_.version == http::Version::http_1_0 || begun_) co_return error_code{};
  auto text = fmt::format("HTTP/1.1 {} {}\r\n", head.status,
                          head.reason.empty() ? http::reason_phrase(head.status) : head.reason);
  for (const auto& field : head.fields) fmt::format_to(std::back_inserter(text), "{}: {}\r\n", field.name, field.value);
  text += "\r\n";
  output_.add_copy(text);
  co_return co_await send_all();
}

void ClientSession::begin(const http::ResponseHead& head, std::string_view more_lines,
                          std::optional<std::uint64_t> length) {
  begun_ = true;
  std::string text;
  text.reserve(512);
  fmt::format_to(std::back_inserter(text), "HTTP/1.1 {} {}\r\n", head.status,
                 head.reason.empty() ? http::reason_phrase(head.status) : head.reason);
  for (const auto& field : head.fields) {
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  text += more_lines;
  const bool never_has_body = head.status < 200 || head.status == 204 || head.status == 304;
  if (head.status == 101) {
    reply_framing_ = Framing::none;
  } else if (request_.method == "HEAD" || never_has_body) {
    reply_framing_ = Framing::none;
    if (length && head.status != 204) fmt::format_to(std::back_inserter(text), "Content-Length: {}\r\n", *length);
  } else if (length) {
    reply_framing_ = Framing::length;
    reply_left_ = *length;
    fmt::format_to(std::back_inserter(text), "Content-Length: {}\r\n", *length);
  } else if (request_.version == http::Version::http_1_1) {
    reply_framing_ = Framing::chunked;
    text += "Transfer-Encoding: chunked\r\n";
  } else {
    reply_framing_ = Framing::until_close;
    keep_alive_ = false;
  }
  output_.add_copy(text);
  if (head.status != 101) add_connection_lines();
  output_.add_copy("\r\n");
}

Awaitable<error_code> ClientSession::write(std::string_view piece) {
  if (piece.empty() || reply_framing_ == Framing::none) co_return error_code{};
  if (reply_framing_ == Framing::chunked) {
    char size_line[20];
    auto* end = std::to_chars(size_line, size_line + 16, piece.size(), 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    output_.add_copy({size_line, static_cast<std::size_t>(end - size_line)});
    output_.add_view(piece);
    output_.add_copy("\r\n");
  } else {
    if (reply_framing_ == Framing::length) {
      // More than was announced would be read as the next response.
      piece = piece.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), reply_left_)));
      reply_left_ -= piece.size();
    }
    output_.add_view(piece);
  }
  co_return co_await send_all();
}

Awaitable<error_code> ClientSession::flush() { co_return co_await send_all(); }

void ClientSession::finish(http::FieldSpan trailers) {
  if (reply_framing_ == Framing::length && reply_left_ > 0) {
    cut_short();
    return;
  }
  if (reply_framing_ == Framing::chunked) {
    output_.add_copy("0\r\n");
    for (const auto& field : trailers) output_.add_copy(fmt::format("{}: {}\r\n", field.name, field.value));
    output_.add_copy("\r\n");
  }
  finished_ = true;
}

void ClientSession::cut_short() {
  keep_alive_ = false;
  if (begun_ && reply_bytes_ == 0 && output_.size() > 0) {
    // Nothing of it has left yet: an error says more than a connection that just ends.
    output_.clear();
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

void ClientSession::refuse_request(int status, std::string_view text) {
  keep_alive_ = false;
  spdlog::info("{}: refused with {}: {}", client_address_, status, text);
  request_ = {};
  reply_with_text(*this, status, text);
}

// Closing with unread input would reset the connection and could destroy the reply on its way (RFC 9112 §9.6).
Awaitable<void> ClientSession::linger() {
  stream_.shutdown_send();
  read_expired_ = false;
  read_deadline_.arm(linger_timeout);
  char discarded[4096];
  std::size_t total = 0;
  while (total < (1UL << 20)) {
    const auto [error, n] = co_await stream_.read_some(discarded, sizeof discarded);
    if (error || n == 0) break;
    total += n;
  }
  read_deadline_.disarm();
}

// Looks once a second, while a request takes longer than that, whether its client is still there.
void ClientSession::watch_client() {
  if (exchange_ == nullptr || taken_over_) return;
  const auto incoming = stream_.peek();
  if (incoming == Stream::Incoming::end) half_closed_for_ += watch_interval;
  const bool gone = incoming == Stream::Incoming::broken || half_closed_for_ >= limits_.half_closed_timeout;
  watch_.arm(watch_interval);  // who is to be told may be known only later
  if (!gone) return;
  if (auto on_client_gone = std::exchange(exchange_->on_client_gone, nullptr)) on_client_gone();
}

}  // namespace larder::net
