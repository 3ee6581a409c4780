#pragma once
// One multiplexed connection to one Redis server (TCP, TLS or Unix socket) for one io_context thread: all commands
// issued in one turn of the loop leave in one write; replies come back in order. hiredis formats and reads, Asio owns
// the socket.
//
// Never a dependency: a command fails at once while the connection is down, and after its deadline otherwise; a late
// reply is read and thrown away. It reconnects by itself with exponential back-off for as long as it lives.
// Not thread-safe: every call and every callback happens on the io_context's one thread.
//
// Only for commands with one reply each, and for (un)subscribing: not MONITOR, nor CLIENT REPLY OFF or SKIP. What a
// connection was told (subscriptions, CLIENT SETNAME …) is forgotten when it breaks: tell it again on Event::connected.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "larder/redis/reply.hpp"

namespace larder::redis {

using Executor = boost::asio::io_context::executor_type;
template <class T>
using Awaitable = boost::asio::awaitable<T, Executor>;

/// Where and how to connect, and the bounds.
struct ConnectionParameters {
  enum class Transport : unsigned char { tcp, tls, unix_socket } transport = Transport::tcp;
  std::string host = "127.0.0.1";  ///< host name, address, or the path of the Unix socket
  std::uint16_t port = 6379;
  std::string user;      ///< ACL user; empty for the default user
  std::string password;  ///< empty for none; never logged
  int database = 0;
  std::string tls_ca_file;  ///< PEM; empty for the system's store
  bool tls_verify = true;   ///< verify certificate and host name
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds health_interval{30000};  ///< PING when idle for this long
  std::chrono::milliseconds backoff_first{100};      ///< doubles up to backoff_max, with jitter
  std::chrono::milliseconds backoff_max{5000};
  std::size_t max_queue_bytes = 64UL << 20;  ///< commands not yet answered; more fail with Error::queue_full
  std::size_t max_queue_commands = 65536;
};

/// Why a command got no reply. A reply of kind error is not one of these.
enum class Error : unsigned char {
  not_connected = 1,  ///< the connection is down; it is being re-established
  timed_out,          ///< no reply before the command's deadline
  queue_full,         ///< the bound on unanswered commands is reached
  disconnected,       ///< the connection broke before the reply came: the command may or may not have been carried out
  stopped,            ///< stop() was called
  protocol            ///< Redis sent something that is not RESP
};
boost::system::error_code make_error_code(Error error) noexcept;

/// What the connection tells of itself.
enum class Event : unsigned char {
  connected,       ///< authenticated, database selected, ready
  disconnected,    ///< was ready, is not any more; the detail says why
  connect_failed,  ///< an attempt failed; the detail says why
};

/// Counters, running totals but for `queued` and `queued_bytes`.
struct ConnectionCounters {
  std::uint64_t commands = 0;  ///< accepted for sending, with our own health PINGs
  std::uint64_t failures = 0;  ///< commands without a reply, refused ones too
  std::uint64_t timeouts = 0;
  std::uint64_t connects = 0;
  std::uint64_t writes = 0;  ///< socket writes: commands/writes is the batching achieved
  std::size_t queued = 0;
  std::size_t queued_bytes = 0;
};

class Connection {
 public:
  /// `on_event` is called on the loop, also from within the connection's own code: it must neither block nor throw. It
  /// may call anything here, and is never called after stop(). Details never hold a password.
  /// The connection must be destroyed before `context`; coroutines that wait for it need not have ended.
  Connection(boost::asio::io_context& context, ConnectionParameters parameters,
             std::function<void(Event, std::string_view detail)> on_event);
  /// As stop(): who waits is still told, with Error::stopped, when the loop runs next.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins to connect, and keeps connected until stop().
  void start();
  /// Fails what is waiting with Error::stopped, closes, and never reconnects. Safe to call twice.
  void stop();
  /// Drops the present connection (as if it had broken) and reconnects at once.
  void reconnect();
  [[nodiscard]] bool is_ready() const noexcept;

  /// Sends one command and awaits its reply for at most `deadline` (at most a day). The arguments are copied before it
  /// suspends, but like any awaitable it begins only when it is awaited. It fails without suspending while the
  /// connection is down or the queue is full. Not cancellable: the deadline ends it. A (un)subscribing command is
  /// answered by the last of its confirmations. A command without arguments is errc::invalid_argument.
  Awaitable<boost::system::result<Reply>> command(std::vector<std::string_view> arguments,
                                                  std::chrono::milliseconds deadline);
  /// The same for a sequence of commands that leave together and whose replies come together (a pipeline): one reply
  /// per command, or one error for all.
  Awaitable<boost::system::result<std::vector<Reply>>> pipeline(std::vector<std::vector<std::string_view>> commands,
                                                                std::chrono::milliseconds deadline);
  /// Sends a command and does not await its reply; `done` (may be empty) is told the outcome on the loop, never from
  /// within send(), and even after the connection was destroyed.
  void send(std::vector<std::string_view> arguments, std::chrono::milliseconds deadline,
            std::function<void(boost::system::result<Reply>)> done);

  /// Messages of subscriptions (SUBSCRIBE was sent through command()) arrive here: channel and payload, in order with
  /// the replies; not after stop(). Replaces an earlier callback; an empty one drops the messages.
  void on_message(std::function<void(std::string_view channel, std::string_view payload)> callback);

  [[nodiscard]] const ConnectionCounters& counters() const noexcept;
  [[nodiscard]] const ConnectionParameters& parameters() const noexcept;

 private:
  struct Impl;
  struct Withdrawal;
  std::shared_ptr<Impl> impl_;
};

}  // namespace larder::redis

namespace boost::system {
template <>
struct is_error_code_enum<larder::redis::Error> : std::true_type {};
}  // namespace boost::system
