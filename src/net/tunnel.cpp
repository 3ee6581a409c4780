#include "larder/net/tunnel.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>

#include "larder/net/wait_point.hpp"

namespace larder::net {

namespace {
constexpr std::size_t buffer_size = 16UL << 10;

// Sends all of `bytes`; false where the stream is broken.
Awaitable<bool> send_all(Stream& stream, std::string_view bytes) {
  while (!bytes.empty()) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    const auto sent = stream.try_write({&piece, 1});
    if (!sent) co_return false;
    if (*sent == 0) {
      if (co_await stream.wait_writable()) co_return false;
    }
    bytes.remove_prefix(*sent);
  }
  co_return true;
}

// One direction. An orderly end is passed on as a half close; anything else ends both.
Awaitable<void> pump(Stream& from, Stream& to, std::string_view first, Deadline& idle, Milliseconds idle_timeout) {
  if (!co_await send_all(to, first)) {
    from.close(false);
    to.close(false);
    co_return;
  }
  const auto buffer = std::make_unique_for_overwrite<char[]>(buffer_size);
  for (;;) {
    idle.arm(idle_timeout);
    const auto [error, n] = co_await from.read_some(buffer.get(), buffer_size);
    if (error == asio::error::eof || (!error && n == 0)) {
      to.shutdown_send();
      co_return;
    }
    const std::string_view bytes(buffer.get(), n);
    bool sent = false;
    if (!error) sent = co_await send_all(to, bytes);
    if (!sent) {
      from.close(false);
      to.close(false);
      co_return;
    }
  }
}
}  // namespace

Awaitable<void> relay_tunnel(Stream& client, std::string_view from_client, Stream& origin, std::string_view from_origin,
                             DeadlineWheel& wheel, Milliseconds idle_timeout) {
  Deadline idle(wheel, [&] {
    client.close(false);
    origin.close(false);
  });
  idle.arm(idle_timeout);
  const auto executor = co_await asio::this_coro::executor;
  auto other_done = std::make_shared<WaitPoint>(executor);
  bool done = false;
  asio::co_spawn(executor, pump(origin, client, from_origin, idle, idle_timeout),
                 [&done, other_done](const std::exception_ptr&) {
                   done = true;
                   other_done->notify();
                 });
  co_await pump(client, origin, from_client, idle, idle_timeout);
  while (!done) co_await other_done->wait();
  client.close(false);
  origin.close(false);
}

}  // namespace larder::net
