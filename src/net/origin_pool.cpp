#include "larder/net/origin_pool.hpp"

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <string_view>

#include "larder/http/target.hpp"
#include "larder/net/error.hpp"

namespace larder::net {

namespace {
using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::seconds address_lifetime{30};

// "http://host:port" or "http://[v6]:port", with or without a closing slash.
void split_server(std::string_view url, OriginServer& server) {
  url.remove_prefix(std::string_view("http://").size());
  if (url.ends_with('/')) url.remove_suffix(1);
  server.authority = http::without_default_port("http", url);
  const auto colon = url.rfind(':');
  const bool has_port = colon != std::string_view::npos && url.find(']', colon) == std::string_view::npos;
  auto host = has_port ? url.substr(0, colon) : url;
  server.port = has_port ? std::string(url.substr(colon + 1)) : "80";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  server.host = host;
}
}  // namespace

OriginLease::OriginLease(OriginPool& pool, OriginServer& server, std::unique_ptr<OriginConnection> connection,
                         bool reused)
    : pool_(&pool), pool_lives_(pool.lives_), server_(&server), connection_(std::move(connection)), reused_(reused) {}

OriginLease::OriginLease(OriginLease&& other) noexcept
    : pool_(other.pool_),
      pool_lives_(std::move(other.pool_lives_)),
      server_(other.server_),
      connection_(std::move(other.connection_)),
      reused_(other.reused_) {}

OriginLease& OriginLease::operator=(OriginLease&& other) noexcept {
  if (this != &other) {
    give_back();
    pool_ = other.pool_;
    pool_lives_ = std::move(other.pool_lives_);
    server_ = other.server_;
    connection_ = std::move(other.connection_);
    reused_ = other.reused_;
  }
  return *this;
}

void OriginLease::give_back() {
  if (connection_ && !pool_lives_.expired()) pool_->give_back(*server_, std::move(connection_));
  connection_.reset();
}

OriginPool::OriginPool(asio::io_context& context, DeadlineWheel& wheel, OriginParameters parameters)
    : context_(context), wheel_(wheel) {
  set_parameters(std::move(parameters));
}

void OriginPool::set_parameters(OriginParameters parameters) {
  parameters_ = std::move(parameters);
  std::vector<std::unique_ptr<OriginServer>> servers;
  for (const auto& url : parameters_.servers) {
    auto server = std::make_unique<OriginServer>();
    split_server(url, *server);
    for (auto* known : {&servers_, &former_servers_}) {
      for (auto& one : *known) {
        if (one && one->authority == server->authority) server = std::move(one);
      }
      std::erase(*known, nullptr);
    }
    servers.push_back(std::move(server));
  }
  for (auto& gone : servers_) {
    close_idle(*gone);
    former_servers_.push_back(std::move(gone));
  }
  servers_ = std::move(servers);
  // There may be more room now.
  for (auto& server : servers_) wake_next(*server);
  for (auto& server : former_servers_) wake_next(*server);
}

bool OriginPool::is_former(const OriginServer& server) const noexcept {
  return std::ranges::any_of(former_servers_, [&server](const auto& one) { return one.get() == &server; });
}

OriginPool::~OriginPool() = default;

OriginServer& OriginPool::choose(const TriedServers& tried, std::size_t& next) const {
  const auto is_paused = [](const OriginServer& server) {
    return server.paused_until != SteadyClock::time_point{} && server.paused_until > SteadyClock::now();
  };
  next = next_;
  OriginServer* full = nullptr;
  OriginServer* paused = nullptr;
  OriginServer* untried = nullptr;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    auto& server = *servers_[(next_ + i) % servers_.size()];
    const bool was_tried = std::find(tried.begin(), tried.end(), &server) != tried.end();
    if (was_tried) continue;
    if (untried == nullptr) untried = &server;
    if (is_paused(server)) {
      if (paused == nullptr) paused = &server;
      continue;
    }
    if (is_full(server)) {
      if (full == nullptr || server.waiting.size() < full->waiting.size()) full = &server;
      continue;
    }
    next = (next_ + i + 1) % servers_.size();
    return server;
  }
  // All are full, paused or tried: waiting is better than a paused one, that better than none, the next in turn better
  // than nothing.
  if (full != nullptr) return *full;
  if (paused != nullptr) return *paused;
  if (untried != nullptr) return *untried;
  auto& server = *servers_[next_ % servers_.size()];
  next = (next_ + 1) % servers_.size();
  return server;
}

OriginLease OriginPool::acquire_kept(TriedServers& tried, bool may_repeat) {
  std::size_t next = 0;
  auto& server = choose(tried, next);
  if (!server.waiting.empty()) return {};  // it is theirs
  auto connection = take_idle(server, may_repeat);
  if (!connection) return {};
  next_ = next;
  tried.push_back(&server);
  return {*this, server, std::move(connection), true};
}

Awaitable<Result<OriginLease>> OriginPool::acquire(TriedServers& tried, bool fresh) {
  auto& server = choose(tried, next_);
  tried.push_back(&server);
  if (!fresh && server.waiting.empty()) {
    if (auto connection = take_idle(server, false)) co_return OriginLease(*this, server, std::move(connection), true);
  }
  // Who comes later does not go before those who wait.
  if (server.open >= parameters_.connections || !server.waiting.empty()) {
    if (server.waiting.size() >= parameters_.queue) co_return Error::origin_queue_full;
    auto turn = std::make_shared<WaitPoint>(context_.get_executor());
    bool expired = false;
    Deadline deadline(wheel_, [&] {
      expired = true;
      turn->notify();
    });
    deadline.arm(parameters_.queue_timeout);
    server.waiting.push_back(turn);
    while ((server.waiting.front() != turn || is_full(server)) && !expired) co_await turn->wait();
    const bool is_next = server.waiting.front() == turn;
    std::erase(server.waiting, turn);
    auto connection = is_next ? take_idle(server, false) : nullptr;
    if (!connection && (!is_next || server.open >= parameters_.connections)) {
      wake_next(server);
      co_return Error::origin_busy;
    }
    if (!connection) ++server.open;
    // Several may have been given back before we ran, and each woke only us.
    wake_next(server);
    if (connection) co_return OriginLease(*this, server, std::move(connection), true);
  } else {
    ++server.open;
  }
  auto socket = co_await connect(server);
  if (!socket) {
    --server.open;
    wake_next(server);
    ++counters_.connect_failures;
    server.paused_until = SteadyClock::now() + parameters_.failed_server_pause;
    co_return socket.error();
  }
  ++counters_.connects;
  server.paused_until = {};
  co_return OriginLease(*this, server, std::make_unique<OriginConnection>(std::move(*socket), wheel_, parameters_),
                        false);
}

// Name resolution runs on a thread that cannot be interrupted, so it is awaited through a signal that also the deadline
// gives; a late result is kept by nobody.
Awaitable<error_code> OriginPool::resolve(OriginServer& server) {
  error_code error;
  const auto literal = asio::ip::make_address(server.host, error);
  if (!error) {
    if (server.addresses.empty()) {
      server.addresses.emplace_back(literal, static_cast<std::uint16_t>(std::stoul(server.port)));
    }
    co_return error_code{};
  }
  if (!server.addresses.empty() && SteadyClock::now() - server.resolved_at < address_lifetime) co_return error_code{};
  using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;
  struct Lookup {
    explicit Lookup(const Executor& executor) : resolver(executor), done(std::make_shared<WaitPoint>(executor)) {}
    Resolver resolver;
    std::shared_ptr<WaitPoint> done;
    std::vector<asio::ip::tcp::endpoint> addresses;
    bool finished = false;
  };
  auto lookup = std::make_shared<Lookup>(context_.get_executor());
  lookup->resolver.async_resolve(server.host, server.port,
                                 [lookup](const error_code&, const Resolver::results_type& results) {
                                   for (const auto& entry : results) lookup->addresses.push_back(entry.endpoint());
                                   lookup->finished = true;
                                   lookup->done->notify();
                                 });
  bool expired = false;
  Deadline deadline(wheel_, [&] {
    expired = true;
    lookup->done->notify();
  });
  deadline.arm(parameters_.connect_timeout);
  while (!lookup->finished && !expired) co_await lookup->done->wait();
  if (lookup->finished && !lookup->addresses.empty()) {
    server.addresses = std::move(lookup->addresses);
    server.resolved_at = SteadyClock::now();
  }
  // An old address is better than none while the name service is away.
  if (server.addresses.empty()) co_return Error::origin_unresolved;
  co_return error_code{};
}

Awaitable<Result<Socket>> OriginPool::connect(OriginServer& server) {
  const auto start = SteadyClock::now();
  if (const auto error = co_await resolve(server)) co_return error;
  const auto addresses = server.addresses;
  for (const auto& address : addresses) {
    const auto left =
        parameters_.connect_timeout - std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - start);
    if (left <= Milliseconds{0}) co_return Error::origin_connect_timeout;
    Socket socket(context_.get_executor());
    bool expired = false;
    Deadline deadline(wheel_, [&] {
      expired = true;
      error_code ignored;
      socket.cancel(ignored);
    });
    deadline.arm(left);
    const auto [error] = co_await socket.async_connect(address, as_result);
    if (expired) co_return Error::origin_connect_timeout;
    if (!error) co_return socket;
    server.last_failure = error.message();
  }
  co_return Error::origin_unreachable;
}

void OriginPool::give_back(OriginServer& server, std::unique_ptr<OriginConnection> connection) {
  if (server.idle.size() >= parameters_.idle_connections) {
    // Those that were idle too long are closed but still here; they must not stand in the way of a living one.
    server.open -= std::erase_if(server.idle, [](const auto& kept) { return !kept->stream().is_open(); });
  }
  if (connection->is_reusable() && server.idle.size() < parameters_.idle_connections && !is_former(server)) {
    connection->idle_deadline().arm(parameters_.idle_timeout);
    server.idle.push_back(std::move(connection));
  } else {
    connection->close();
    --server.open;
  }
  wake_next(server);
}

// A kept connection that is still good, or null.
std::unique_ptr<OriginConnection> OriginPool::take_idle(OriginServer& server, bool may_repeat) {
  while (!server.idle.empty()) {
    auto connection = std::move(server.idle.back());
    server.idle.pop_back();
    connection->idle_deadline().disarm();
    if ((may_repeat && connection->is_known_quiet()) || connection->is_quiet()) {
      connection->reset();
      ++counters_.reused;
      return connection;
    }
    --server.open;
  }
  return nullptr;
}

// The first in the queue takes what there is and wakes the next.
void OriginPool::wake_next(OriginServer& server) {
  if (server.waiting.empty() || (server.idle.empty() && server.open >= parameters_.connections)) return;
  server.waiting.front()->notify();
}

std::size_t OriginPool::waiting() const noexcept {
  std::size_t all = 0;
  for (const auto* servers : {&servers_, &former_servers_}) {
    for (const auto& server : *servers) all += server->waiting.size();
  }
  return all;
}

OriginCounters OriginPool::counters() const noexcept {
  auto counters = counters_;
  for (const auto& server : servers_) {
    counters.open += server->open;
    counters.idle += server->idle.size();
  }
  return counters;
}

std::vector<OriginServerState> OriginPool::servers() const {
  const auto now = SteadyClock::now();
  std::vector<OriginServerState> states;
  for (const auto& server : servers_) {
    states.push_back({.authority = server->authority,
                      .open = server->open,
                      .idle = server->idle.size(),
                      .waiting = server->waiting.size(),
                      .paused = server->paused_until > now});
  }
  return states;
}

void OriginPool::close_idle(OriginServer& server) {
  server.open -= server.idle.size();
  server.idle.clear();
}

void OriginPool::close_idle() {
  for (auto& server : servers_) {
    close_idle(*server);
    wake_next(*server);
  }
}

}  // namespace larder::net
