#pragma once
// The byte stream to one Redis server: TCP, TLS over TCP, or a Unix socket behind one interface, used for one
// connection attempt and what comes of it. Private to the layer: Asio's operation headers stay out of include/.
//
// One thread. At most one read and one write are outstanding. After close() every outstanding operation ends, with
// an error. The owner keeps the stream alive until they have.
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "larder/redis/connection.hpp"

namespace larder::redis {

using Token = boost::asio::use_awaitable_t<Executor>;
using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

class Stream {
 public:
  explicit Stream(boost::asio::io_context& context);

  /// Resolves, connects and, for TLS, shakes hands. `tls` is needed for Transport::tls only. Returns an empty text, or
  /// why there is no connection. It has no deadline of its own: close() ends it.
  Awaitable<std::string> connect(const ConnectionParameters& parameters, boost::asio::ssl::context* tls);

  template <class ReadToken>
  auto async_read_some(boost::asio::mutable_buffer buffer, ReadToken&& token) {
    if (tls_) return tls_->async_read_some(buffer, std::forward<ReadToken>(token));
    return socket_.async_read_some(buffer, std::forward<ReadToken>(token));
  }

  template <class WriteToken>
  auto async_write_some(boost::asio::const_buffer buffer, WriteToken&& token) {
    if (tls_) return tls_->async_write_some(buffer, std::forward<WriteToken>(token));
    return socket_.async_write_some(buffer, std::forward<WriteToken>(token));
  }

  /// Ends all, without a farewell: Redis needs none. Safe to call twice.
  void close() noexcept;
  /// Whether the TLS handshake was begun.
  [[nodiscard]] bool is_tls() const noexcept { return tls_.has_value(); }
  /// What is being done, for messages: "connecting", "in the TLS handshake" …
  [[nodiscard]] const char* phase() const noexcept { return phase_; }
  void enter(const char* phase) noexcept { phase_ = phase; }

 private:
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;
  using Resolver = boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor>;

  /// Shared with the resolver's handler, which may come long after close(): getaddrinfo() cannot be interrupted.
  struct Resolution {
    explicit Resolution(const Executor& executor) : resolver(executor), finished(executor) {}
    Resolver resolver;
    Timer finished;  ///< never expires; cancelled when there is an outcome or no one waits any more
    boost::system::error_code error;
    std::vector<Endpoint> endpoints;
  };

  Awaitable<std::string> find_endpoints(const ConnectionParameters& parameters, std::vector<Endpoint>& endpoints);
  Awaitable<std::string> shake_hands(const ConnectionParameters& parameters, boost::asio::ssl::context& tls);

  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  std::shared_ptr<Resolution> resolution_;
  const char* phase_ = "starting";
  bool closed_ = false;
};

/// The TLS client context that the parameters ask for; throws boost::system::system_error (a CA file that cannot be
/// read).
std::unique_ptr<boost::asio::ssl::context> make_tls_context(const ConnectionParameters& parameters);

}  // namespace larder::redis
