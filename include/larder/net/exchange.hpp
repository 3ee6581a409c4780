#pragma once
// What a session hands to the story of a request: a request head, a body source and a reply sink. The story does not
// know which protocol the client speaks.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "larder/http/message.hpp"
#include "larder/http/request_id.hpp"
#include "larder/net/awaitable.hpp"
#include "larder/net/latency_histogram.hpp"

namespace larder::net {

class AccessLane;
struct AccessRecord;
class Stream;

/// The request's body. Used on the session's thread.
class RequestBody {
 public:
  RequestBody() = default;
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;
  virtual ~RequestBody() = default;
  /// The next piece, valid until the next call; empty at the end. Errors: Error::client_*.
  virtual Awaitable<Result<std::string_view>> read() = 0;
  /// Bytes of the whole body where the client said so.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
  /// Trailer fields, once read() has returned the end.
  [[nodiscard]] virtual const http::FieldList& trailers() const = 0;
  /// Makes a pending read() fail with Error::cancelled, and the connection close after the reply.
  virtual void cancel() = 0;
};

/// A reply that is whole in memory. Everything a view points at must stay until `release` is called.
struct WholeReply {
  std::string_view head;                   ///< status line and field lines, each with CRLF, no empty line
  std::string_view more_lines;             ///< further field lines, each with CRLF; copied
  std::string_view body;                   ///< not sent in answer to HEAD
  const void* retained = nullptr;          ///< kept alive until the reply has been sent
  void (*release)(const void*) = nullptr;  ///< called with `retained` afterwards
};

/// Where the reply goes. Used on the session's thread.
class ReplySink {
 public:
  ReplySink() = default;
  ReplySink(const ReplySink&) = delete;
  ReplySink& operator=(const ReplySink&) = delete;
  virtual ~ReplySink() = default;

  /// Queues a complete reply; it is sent with whatever else is queued.
  virtual void whole(const WholeReply& reply) = 0;
  /// Sends a 1xx response at once (RFC 9110 §15.2); dropped for clients that cannot understand it.
  virtual Awaitable<error_code> interim(const http::ResponseHead& head) = 0;
  /// Begins a streamed reply: the head is queued and leaves with the first piece. `head.fields` are end-to-end fields
  /// without Content-Length; `more_lines`: further field lines, each with CRLF; `length`: bytes that will follow, or
  /// that a HEAD or 304 announces; unknown where empty.
  virtual void begin(const http::ResponseHead& head, std::string_view more_lines,
                     std::optional<std::uint64_t> length) = 0;
  /// Sends a piece of the body and waits until the client has room for more (back-pressure).
  virtual Awaitable<error_code> write(std::string_view piece) = 0;
  /// Sends what is queued, for a head that must not wait for its body.
  virtual Awaitable<error_code> flush() = 0;
  /// Ends the body, with a last piece that is copied: a short one leaves with the head and needs no wait. Trailers are
  /// sent where the client can take them.
  virtual void finish(http::FieldSpan trailers, std::string_view last_piece = {}) = 0;
  /// The body cannot be ended properly: the client must see that it was cut short, or gets a 502 in its place where
  /// nothing of the reply has been sent yet.
  virtual void cut_short() = 0;
  /// True once whole() or begin() was called.
  [[nodiscard]] virtual bool begun() const noexcept = 0;
  /// After begin() with a 101: hands over the connection and what was read beyond the request; null where the protocol
  /// has no such thing.
  virtual Stream* take_over(std::string_view& already_read) = 0;
};

/// One request and the way to answer it. Lives until the handler's coroutine ends.
struct Exchange {
  const http::RequestHead& request;
  RequestBody* body = nullptr;  ///< null where the request has none
  ReplySink& reply;
  std::string_view client_address;  ///< without port
  bool expects_continue = false;
  /// The handler's own: what answer_at_once() has set is given to answer().
  std::uint64_t look_up = 0;
  /// Set by the handler, which keeps it: where the session counts how long the exchange took, from the moment when the
  /// end of its request's head was read to the moment when its reply was handed to the system (answered at once), or
  /// was whole and about to be. What a slow client takes to read all but the last of it is included. Null: nowhere.
  LatencyHistogram* latency = nullptr;
  /// Set by the handler: called (once) when the client is known to be gone before the reply was sent.
  std::function<void()> on_client_gone;
  /// Set by the handler while it streams: as Handler::freed_without, for what it keeps itself.
  std::function<std::size_t()> freed_without_reply = {};
  AccessRecord* record = nullptr;  ///< null where the request is not logged
  std::string traceparent{};       ///< of a trace that begins here; else empty
  http::RequestId request_id{};    ///< set by the handler where somebody wants to know it; else empty
};

/// The story, as callables. `answer_at_once` may answer a request without a body from memory (only with whole()) and
/// returns whether it did; `answer` answers anything. Called on the session's thread.
struct Handler {
  std::function<bool(Exchange&)> answer_at_once;
  std::function<Awaitable<void>(Exchange&)> answer;
  /// By how many bytes what replies keep in memory exceeds what it may; empty where nobody counts it.
  std::function<std::size_t()> excess = {};
  /// How many bytes would become free if this reply (WholeReply::retained, ::release) were let go of; 0 where others
  /// keep them too. Empty where `excess` is.
  std::function<std::size_t(const void* retained, void (*release)(const void*))> freed_without = {};
  AccessLane* access = nullptr;  ///< where requests are noted; null while the access log is off
};

/// A complete reply with a short text body, for errors: "<status> <reason>\n<text>\n", Content-Type text/plain and
/// Cache-Control: no-store.
/// `more_lines`: further field lines, each with CRLF.
void reply_with_text(ReplySink& reply, int status, std::string_view text, std::string_view more_lines = {});

}  // namespace larder::net
