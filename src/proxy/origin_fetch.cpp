#include "larder/proxy/origin_fetch.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <charconv>

#include "larder/net/error.hpp"
#include "larder/proxy/shed.hpp"

namespace larder::proxy {

namespace asio = boost::asio;
using net::Error;

namespace {

// Interim responses that one request may have: more is an origin out of its mind.
constexpr unsigned most_interim_responses = 64;

net::Awaitable<net::error_code> send_piece(net::OriginConnection& connection, std::string_view piece, bool chunked) {
  if (!chunked) co_return co_await connection.send(piece);
  std::array<char, 20> size_line{};
  auto* end = std::to_chars(size_line.data(), size_line.data() + 16, piece.size(), 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  std::array<iovec, 3> pieces{iovec{size_line.data(), static_cast<std::size_t>(end - size_line.data())},
                              iovec{const_cast<char*>(piece.data()), piece.size()},  // sendmsg only reads
                              iovec{const_cast<char*>("\r\n"), 2}};
  const std::span<iovec> all(pieces);
  co_return co_await connection.send(all);
}

void append_head(std::string& head, const OriginRequest& request, std::string_view authority) {
  const auto host = request.preserve_host && !request.head.authority.empty() ? request.head.authority : authority;
  append_origin_request_head(head, request.head, host, request.framing, request.upgrade, request.forward);
}

// Runs beside the reading of the response. `connection` outlives it: end_upload() is awaited before the lease goes.
net::Awaitable<void> upload_body(net::OriginConnection& connection, net::RequestBody& body, bool chunked,
                                 std::shared_ptr<Upload> upload, net::Milliseconds read_timeout) {
  for (;;) {
    const auto piece = co_await body.read();
    if (!piece) {
      upload->error = piece.error();
      // The request cannot be completed, and the origin must not take it for complete.
      connection.close();
      break;
    }
    if (piece->empty()) {
      if (chunked) {
        std::string end = "0\r\n";
        for (const auto& field : body.trailers().span())
          end.append(field.name).append(": ").append(field.value).append("\r\n");
        end += "\r\n";
        upload->error = co_await connection.send(std::string_view(end));
      }
      break;
    }
    const auto bytes = *piece;
    upload->error = co_await send_piece(connection, bytes, chunked);
    // An origin that stops reading may have answered already (413, say): its response is still read.
    if (upload->error) break;
  }
  // From here on the origin is expected to answer.
  connection.set_read_timeout(read_timeout);
  upload->done = true;
  upload->finished->notify();
}

}  // namespace

net::Awaitable<void> fetch(net::OriginPool& pool, const OriginRequest& request, OriginResponse& response) {
  net::TriedServers tried;
  const auto executor = co_await asio::this_coro::executor;
  bool fresh = false;
  pool.count_request();
  auto* const streamed = request.read_body_first ? nullptr : request.body;
  std::string whole_body(request.content);
  if (streamed == nullptr && request.body != nullptr) {
    for (;;) {
      const auto piece = co_await request.body->read();
      if (!piece) {
        response.error = piece.error();
        co_return;
      }
      if (piece->empty()) break;
      whole_body += *piece;
    }
  }
  const bool may_repeat = streamed == nullptr && http::is_idempotent(request.head.method);
  // Every server may fail to connect once; one more round pays for a kept connection that had died.
  const auto attempts = pool.server_count() + 1;
  for (std::size_t attempt = 0; attempt < attempts; ++attempt) {
    if (attempt > 0) pool.count_retry();
    auto lease = fresh ? net::OriginLease{} : pool.acquire_kept(tried, may_repeat);
    if (!lease) {
      auto acquired = co_await pool.acquire(tried, fresh);
      if (acquired) {
        lease = std::move(*acquired);
      } else {
        response.error = acquired.error();
      }
    }
    response.server = tried.back();
    if (!lease) {
      // Nothing was sent: another server may be asked, whatever the method.
      if (tried.size() >= pool.server_count() || shed_by(response.error)) co_return;
      continue;
    }
    auto& connection = lease.connection();
    const bool reused = lease.is_reused();
    if (request.on_connection) request.on_connection(&connection);
    auto& head = connection.empty_request_head();
    append_head(head, request, lease.server().authority);
    std::array<iovec, 2> first{iovec{head.data(), head.size()}, iovec{whole_body.data(), whole_body.size()}};
    auto left = std::span<iovec>(first).first(whole_body.empty() ? 1 : 2);
    connection.begin_to_time();
    response.error = connection.send_now(left);
    if (!response.error && !left.empty()) response.error = co_await connection.send(left);
    response.upload.reset();
    if (!response.error) {
      if (streamed != nullptr) {
        response.upload = std::make_shared<Upload>(executor);
        // While the client still sends, the origin owes nothing; the client's own limits hold.
        connection.set_read_timeout(std::chrono::hours(24));
        asio::co_spawn(executor,
                       upload_body(connection, *streamed, !request.framing.length, response.upload,
                                   pool.parameters().read_timeout),
                       [](const std::exception_ptr&) {});
      }
      for (unsigned interim = 0;; ++interim) {
        const bool for_head = request.head.method == "HEAD";
        auto buffered = connection.buffered_head(for_head);
        while (!buffered) {
          auto error = co_await connection.read_more();
          if (error == net::asio::error::eof) error = Error::origin_closed;
          buffered = error ? error : connection.buffered_head(for_head);
        }
        const auto& received = *buffered;
        if (!received) {
          response.error = received.error();
          response.fault = connection.fault();
          break;
        }
        if (received->status >= 200 || received->status == 101) {
          if (request.on_connection) request.on_connection(nullptr);
          if (streamed == nullptr) pool.latency().add(connection.timed());
          response.head = *received;
          response.lease = std::move(lease);
          response.error = {};
          co_return;
        }
        if (interim == most_interim_responses) {
          response.error = Error::origin_malformed;
          response.fault = net::ParseFault::start_line;
          break;
        }
        if (request.on_interim) (void)co_await request.on_interim(*received);
      }
    }
    if (request.on_connection) request.on_connection(nullptr);
    const bool answered = connection.has_answered();
    connection.close();
    if (response.upload) {
      if (!response.upload->done) streamed->cancel();
      while (!response.upload->done) co_await response.upload->finished->wait();
      if (response.upload->error == Error::client_gone || response.upload->error == Error::client_timeout ||
          response.upload->error == Error::client_malformed_body ||
          response.upload->error == Error::client_buffers_full) {
        response.error = response.upload->error;
        response.reached = true;
        co_return;
      }
    }
    response.reached = true;
    const bool closed = response.error == Error::origin_closed;
    if (!closed || answered || !may_repeat) co_return;
    // The connection ended before an answer began. A kept one may merely have been too old: the same server is asked
    // again on a new one; otherwise another server is.
    if (reused) {
      tried.pop_back();
      fresh = true;
    } else if (tried.size() >= pool.server_count()) {
      co_return;
    }
  }
}

net::Awaitable<void> end_upload(OriginResponse& response, net::RequestBody* body) {
  if (!response.upload) co_return;
  if (response.upload->done) {
    // Half a request stands on a connection whose upload failed: nothing may follow it.
    if (response.upload->error && response.lease) response.lease.connection().close();
    co_return;
  }
  response.lease.connection().close();
  body->cancel();
  while (!response.upload->done) co_await response.upload->finished->wait();
}

int status_of(const net::error_code& error) noexcept {
  if (error == Error::client_malformed_body) return 400;
  if (error == Error::client_timeout || error == Error::client_gone) return 408;
  if (error == Error::origin_timeout || error == Error::origin_connect_timeout) return 504;
  if (shed_by(error)) return 503;
  return 502;
}

}  // namespace larder::proxy
