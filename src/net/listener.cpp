#include "larder/net/listener.hpp"

#include <cerrno>
#include <spdlog/spdlog.h>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace larder::net {

namespace {
constexpr Milliseconds accept_pause{100};
// Established sessions must not wait long for a crowd of new ones.
constexpr int most_accepts_per_turn = 64;
// Connections over the limit that are told so with patience. More are told and closed at once, so that a crowd of them
// takes no descriptors; what they are told may be lost.
constexpr std::size_t most_refused_at_once = 256;
constexpr std::string_view short_refusal =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}  // namespace

// One of the sockets.
class Listener::Acceptor final : private Readiness::Watched {
 public:
  Acceptor(Listener& owner, ListeningSocket listening)
      : socket(std::move(listening)), owner_(owner), pause_(owner.surroundings_->wheel, [this] { watch(); }) {}
  ~Acceptor() { stop(); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Level-triggered: what one turn leaves in the backlog is seen in the next. Of several who wait for one socket not
  // all are woken.
  void watch() {
    if (socket.is_open()) owner_.readiness_.watch(socket.descriptor(), EPOLLIN | EPOLLEXCLUSIVE, *this);
  }
  void rest() {
    owner_.readiness_.forget(socket.descriptor(), *this);
    pause_.arm(accept_pause);
  }
  void stop() noexcept {
    if (!socket.is_open()) return;
    pause_.disarm();
    owner_.readiness_.forget(socket.descriptor(), *this);
    socket.close();
  }

  ListeningSocket socket;

 private:
  void on_events(std::uint32_t) noexcept override {
    try {
      owner_.accept(*this);
    } catch (const std::exception& failure) {
      // Out of memory, mostly: a connection is lost, the listener is not.
      spdlog::error("cannot begin a session: {}", failure.what());
    }
  }
  void on_shutdown() noexcept override {}

  Listener& owner_;
  Deadline pause_;  ///< when to try again, while there are no descriptors
};

Listener::Listener(asio::io_context& context, DeadlineWheel& wheel, std::vector<ListeningSocket> sockets,
                   const ClientLimits& limits, Handler handler, SessionCounters& counters)
    : surroundings_(std::make_shared<SessionSurroundings>(context, wheel, limits, std::move(handler), counters)),
      readiness_(Readiness::of(context)),
      idle_grace_(wheel, [this] { close_idle(); }) {
  for (auto& socket : sockets) acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(socket)));
}

Listener::~Listener() { surroundings_->forget_waiting(); }

asio::ip::tcp::endpoint Listener::local_endpoint() const { return acceptors_.front()->socket.local_endpoint(); }

void Listener::start() {
  for (const auto& acceptor : acceptors_) acceptor->watch();
}

// Returns how many it has accepted, refused ones too.
int Listener::accept(Acceptor& acceptor) {
  int accepted_now = 0;
  for (int i = 0; i < most_accepts_per_turn && acceptor.socket.is_open(); ++i) {
    asio::ip::tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    const int accepted = ::accept4(acceptor.socket.descriptor(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
      peer.resize(size);
      begin(accepted, peer.address().to_string());
      ++accepted_now;
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return accepted_now;
    // The client gave up before we came.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    // Out of descriptors, mostly: wait for some to become free instead of spinning.
    spdlog::error("cannot accept a connection: {}", std::error_code(errno, std::system_category()).message());
    acceptor.rest();
    return accepted_now;
  }
  return accepted_now;
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

void Listener::drain(Queued queued, Milliseconds idle_grace) {
  surroundings_->draining = true;
  for (const auto& acceptor : acceptors_) {
    // At the most what the kernel queues: under load there is always another one.
    for (int turns = 0; queued == Queued::accept && turns < SOMAXCONN / most_accepts_per_turn; ++turns) {
      if (accept(*acceptor) == 0) break;
    }
    acceptor->stop();
  }
  if (idle_grace > Milliseconds{0}) {
    idle_grace_.arm(idle_grace);
  } else {
    close_idle();
  }
}

void Listener::close_idle() {
  surroundings_->closes_idle = true;
  for (const auto& session : all_of(sessions_)) session->close_if_idle();
}

void Listener::abort() {
  for (const auto& session : all_of(sessions_)) session->abort();
}

}  // namespace larder::net
