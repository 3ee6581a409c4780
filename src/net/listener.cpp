#include "larder/net/listener.hpp"

#include <array>
#include <boost/asio/ip/basic_resolver.hpp>
#include <cerrno>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace larder::net {

namespace {
constexpr int backlog = 4096;
constexpr Milliseconds accept_pause{100};
// Established sessions must not wait long for a crowd of new ones.
constexpr int most_accepts_per_turn = 64;
// Connections over the limit that are told so with patience. More are told and closed at once, so that a crowd of them
// takes no descriptors; what they are told may be lost.
constexpr std::size_t most_refused_at_once = 256;
constexpr std::string_view short_refusal =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

asio::ip::tcp::endpoint resolve_listen_address(asio::io_context& context, const Endpoint& endpoint) {
  error_code error;
  const auto literal = asio::ip::make_address(endpoint.host, error);
  if (!error) return {literal, endpoint.port};
  asio::ip::basic_resolver<asio::ip::tcp, Executor> resolver(context.get_executor());
  const auto results = resolver.resolve(endpoint.host, std::to_string(endpoint.port), asio::ip::tcp::resolver::passive);
  return *results.begin();
}

// A listening, non-blocking socket; -1 with errno where that cannot be.
int listen_on(const asio::ip::tcp::endpoint& address, bool shared) noexcept {
  const int descriptor =
      ::socket(address.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.protocol().protocol());
  if (descriptor < 0) return -1;
  const int on = 1;
  (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) (void)::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(descriptor, address.data(), static_cast<socklen_t>(address.size())) == 0 &&
      ::listen(descriptor, backlog) == 0) {
    return descriptor;
  }
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return -1;
}

asio::ip::tcp::endpoint name_of(int descriptor) noexcept {
  asio::ip::tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(descriptor, endpoint.data(), &size) == 0) endpoint.resize(size);
  return endpoint;
}
}  // namespace

Listener::Listener(asio::io_context& context, DeadlineWheel& wheel, const Endpoint& endpoint, bool shared,
                   const ClientLimits& limits, Handler handler, SessionCounters& counters)
    : surroundings_(std::make_shared<SessionSurroundings>(context, wheel, limits, std::move(handler), counters)),
      readiness_(Readiness::of(context)),
      pause_(wheel, [this] { watch(); }) {
  descriptor_ = listen_on(resolve_listen_address(context, endpoint), shared);
  if (descriptor_ < 0) {
    const auto reason = std::error_code(errno, std::system_category()).message();
    throw std::runtime_error(fmt::format("cannot listen on {}:{}: {}", endpoint.host, endpoint.port, reason));
  }
  local_endpoint_ = name_of(descriptor_);
}

Listener::~Listener() {
  stop_accepting();
  surroundings_->forget_waiting();
}

void Listener::start() { watch(); }

// Level-triggered: what one turn leaves in the backlog is seen in the next.
void Listener::watch() {
  if (descriptor_ >= 0) readiness_.watch(descriptor_, EPOLLIN, *this);
}

void Listener::stop_accepting() noexcept {
  if (descriptor_ < 0) return;
  readiness_.forget(descriptor_, *this);
  ::close(std::exchange(descriptor_, -1));
}

void Listener::on_events(std::uint32_t) noexcept {
  try {
    accept();
  } catch (const std::exception& failure) {
    // Out of memory, mostly: a connection is lost, the listener is not.
    spdlog::error("cannot begin a session: {}", failure.what());
  }
}

void Listener::accept() {
  for (int i = 0; i < most_accepts_per_turn && descriptor_ >= 0; ++i) {
    asio::ip::tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    const int accepted = ::accept4(descriptor_, peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
      peer.resize(size);
      begin(accepted, peer.address().to_string());
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    // The client gave up before we came.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    // Out of descriptors, mostly: wait for some to become free instead of spinning.
    spdlog::error("cannot accept a connection: {}", std::error_code(errno, std::system_category()).message());
    readiness_.forget(descriptor_, *this);
    pause_.arm(accept_pause);
    return;
  }
}

void Listener::begin(int descriptor, std::string client_address) {
  auto& s = *surroundings_;
  const bool full = s.counters.open.load(std::memory_order_relaxed) >= s.limits.connections;
  if (full && s.refused_now >= most_refused_at_once) {
    s.counters.accepted.fetch_add(1, std::memory_order_relaxed);
    s.counters.refused.fetch_add(1, std::memory_order_relaxed);
    s.log_refusal(client_address, 503, "too many connections (client.connections)");
    (void)::send(descriptor, short_refusal.data(), short_refusal.size(), MSG_NOSIGNAL);
    ::close(descriptor);
    return;
  }
  const auto session = std::make_shared<ClientSession>(descriptor, std::move(client_address), surroundings_);
  sessions_.emplace(session.get(), session);
  const auto on_end = [this](ClientSession& ended) { sessions_.erase(&ended); };
  if (full) {
    session->refuse(on_end);
  } else {
    session->start(on_end);
  }
}

namespace {
// Ending a session takes it out of the map.
std::vector<std::shared_ptr<ClientSession>> all_of(const auto& sessions) {
  std::vector<std::shared_ptr<ClientSession>> all;
  all.reserve(sessions.size());
  for (const auto& [plain, session] : sessions) all.push_back(session);
  return all;
}
}  // namespace

void Listener::drain() {
  surroundings_->draining = true;
  pause_.disarm();
  stop_accepting();
  for (const auto& session : all_of(sessions_)) session->close_if_idle();
}

void Listener::abort() {
  for (const auto& session : all_of(sessions_)) session->abort();
}

}  // namespace larder::net
