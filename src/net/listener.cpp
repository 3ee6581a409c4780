#include "larder/net/listener.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <sys/socket.h>
#include <vector>

namespace larder::net {

namespace {
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
constexpr int backlog = 4096;
constexpr Milliseconds accept_pause{100};

asio::ip::tcp::endpoint resolve_listen_address(asio::io_context& context, const Endpoint& endpoint) {
  error_code error;
  const auto literal = asio::ip::make_address(endpoint.host, error);
  if (!error) return {literal, endpoint.port};
  asio::ip::tcp::resolver resolver(context);
  const auto results = resolver.resolve(endpoint.host, std::to_string(endpoint.port), asio::ip::tcp::resolver::passive);
  return *results.begin();
}
}  // namespace

Listener::Listener(asio::io_context& context, DeadlineWheel& wheel, const Endpoint& endpoint, bool shared,
                   const ClientLimits& limits, Handler handler, SessionCounters& counters)
    : context_(context),
      wheel_(wheel),
      limits_(limits),
      handler_(std::move(handler)),
      counters_(counters),
      acceptor_(context.get_executor()) {
  const auto address = resolve_listen_address(context, endpoint);
  acceptor_.open(address.protocol());
  acceptor_.set_option(Acceptor::reuse_address(true));
  if (shared) acceptor_.set_option(ReusePort(true));
  error_code error;
  acceptor_.bind(address, error);
  if (!error) acceptor_.listen(backlog, error);
  if (error) {
    throw std::runtime_error(fmt::format("cannot listen on {}:{}: {}", endpoint.host, endpoint.port, error.message()));
  }
}

Listener::~Listener() = default;

void Listener::start() { asio::co_spawn(context_.get_executor(), accept(), asio::detached); }

Awaitable<void> Listener::accept() {
  while (!draining_) {
    auto [error, socket] = co_await acceptor_.async_accept(as_result);
    if (error == asio::error::operation_aborted || draining_) co_return;
    if (error) {
      // Out of descriptors, mostly: wait for some to become free instead of spinning.
      spdlog::error("cannot accept a connection: {}", error.message());
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>
          pause(context_.get_executor());
      pause.expires_after(accept_pause);
      (void)co_await pause.async_wait(as_result);
      continue;
    }
    try {
      begin(std::move(socket));
    } catch (const std::exception& failure) {
      // Out of memory, mostly: this connection is lost, the listener is not.
      spdlog::error("cannot begin a session: {}", failure.what());
    }
  }
}

void Listener::begin(Socket socket) {
  const bool full = counters_.open.load(std::memory_order_relaxed) >= limits_.connections;
  auto session = std::make_shared<ClientSession>(std::move(socket), wheel_, limits_, handler_, counters_, draining_);
  sessions_.insert(session.get());
  auto* plain = session.get();
  asio::co_spawn(context_.get_executor(), full ? plain->refuse() : plain->run(),
                 [this, session](const std::exception_ptr& failure) {
                   sessions_.erase(session.get());
                   if (!failure) return;
                   session->abort();  // what it had begun to answer must not look complete
                   try {
                     std::rethrow_exception(failure);
                   } catch (const std::exception& error) {
                     spdlog::error("a session ended with an internal error: {}", error.what());
                   }
                 });
}

void Listener::drain() {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  const std::vector<ClientSession*> sessions(sessions_.begin(), sessions_.end());
  for (auto* session : sessions) session->close_if_idle();
}

void Listener::abort() {
  const std::vector<ClientSession*> sessions(sessions_.begin(), sessions_.end());
  for (auto* session : sessions) session->abort();
}

}  // namespace larder::net
