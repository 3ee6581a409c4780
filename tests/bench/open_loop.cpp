// Load at a constant rate. A closed loop, such as wrk, sends the next request when the last was answered, and so asks
// less of a server that stalls; here requests are due by a schedule, and the latency of each counts from when it was
// due.
//
//   bench_open_loop PORT TARGET RATE SECONDS [CONNECTIONS]      (CONNECTIONS: 64)
//
// Keep-alive GETs to 127.0.0.1:PORT, RATE per second for SECONDS. A request that finds no connection free waits, and
// its latency runs. Prints one line of JSON: how many were answered with 200 and how many with anything else, and the
// latency's quantiles in microseconds. `sending_p99_us` is how late requests left for which a connection was free: what
// this program adds itself. The first half second is not counted. It spins, so it wants a core of its own.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

constexpr Nanoseconds warm_up = std::chrono::milliseconds(500);
// How long answers may take after the last request was due.
constexpr Nanoseconds patience = std::chrono::seconds(5);

int checked(int result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

int connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const int descriptor = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
  checked(connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
  const int on = 1;
  checked(setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
  return descriptor;
}

// What a response's head says of it. Only what servers under test send is understood.
struct Head {
  bool ok = false;
  std::size_t size = 0;  // head and body
};

Head read_head(std::string_view head) {
  Head result;
  result.ok = head.starts_with("HTTP/1.1 200 ");
  constexpr std::string_view name = "content-length:";
  for (std::size_t line = head.find("\r\n"); line + 2 < head.size(); line = head.find("\r\n", line + 2)) {
    const auto field = head.substr(line + 2);
    if (field.size() < name.size() || strncasecmp(field.data(), name.data(), name.size()) != 0) continue;
    const auto digits = field.substr(std::min(field.find_first_not_of(" \t", name.size()), field.size()));
    std::size_t length = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), length);
    result.size = head.size() + length;
    return result;
  }
  throw std::runtime_error("a response without Content-Length");
}

struct Connection {
  int descriptor = -1;
  bool busy = false;
  Clock::time_point due;  // of the request under way
  std::string head;       // of its response, until it is whole
  std::size_t left = 0;   // bytes of the response still to come, once the head is whole
  bool ok = false;
  std::size_t answers = 0;
};

struct Results {
  std::vector<Nanoseconds> latencies;
  std::vector<Nanoseconds> sendings;
  std::size_t failed = 0;
};

struct Plan {
  std::uint16_t port = 0;
  std::string target;
  double rate = 0;
  double seconds = 0;
  std::size_t connections = 64;
};

class OpenLoop {
 public:
  explicit OpenLoop(const Plan& plan)
      : request_("GET " + plan.target + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(plan.port) + "\r\n\r\n"),
        interval_(1e9 / plan.rate),
        total_(static_cast<std::size_t>(plan.rate * (plan.seconds + std::chrono::duration<double>(warm_up).count()))),
        connections_(plan.connections),
        epoll_(checked(epoll_create1(0), "epoll_create1")) {
    results_.latencies.reserve(total_);
    results_.sendings.reserve(total_);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].descriptor = connect_to(plan.port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].descriptor, &event), "epoll_ctl");
      idle_.push_back(i);
    }
  }

  Results run() {
    start_ = Clock::now();
    const auto end = due(total_) + patience;
    while (sent_ < total_ || idle_.size() < connections_.size()) {
      send_due();
      receive();
      if (Clock::now() > end) break;
    }
    results_.failed += total_ - sent_ + connections_.size() - idle_.size();
    return std::move(results_);
  }

 private:
  [[nodiscard]] Clock::time_point due(std::size_t request) const {
    return start_ + Nanoseconds(static_cast<std::int64_t>(interval_ * static_cast<double>(request)));
  }
  [[nodiscard]] bool counts(Clock::time_point when) const { return when - start_ >= warm_up; }

  void send_due() {
    while (sent_ < total_ && !idle_.empty()) {
      const auto when = due(sent_);
      const auto now = Clock::now();
      if (now < when) return;
      auto& connection = connections_[idle_.front()];
      idle_.pop_front();
      connection.busy = true;
      connection.due = when;
      // Where none was free, what came between is the server's doing.
      if (counts(when)) results_.sendings.push_back(now - std::max(when, freed_));
      const auto size = send(connection.descriptor, request_.data(), request_.size(), MSG_NOSIGNAL);
      if (size != static_cast<ssize_t>(request_.size())) throw std::runtime_error("a request could not be sent");
      ++sent_;
    }
  }
  void receive() {
    std::array<epoll_event, 64> events{};
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) take(events.at(static_cast<std::size_t>(i)).data.u64);
  }
  void take(std::size_t index) {
    auto& connection = connections_[index];
    const auto size = recv(connection.descriptor, input_.data(), input_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) throw std::system_error(errno, std::generic_category(), "recv");
    const std::string_view bytes{input_.data(), static_cast<std::size_t>(size)};
    if (bytes.empty()) throw std::runtime_error("the server closed a connection after " + done(connection));
    if (!connection.busy) throw std::runtime_error("the server spoke unasked after " + done(connection));
    take_bytes(connection, bytes);
    if (connection.left != 0 || !connection.head.empty()) return;
    const auto now = Clock::now();
    if (!connection.ok) {
      ++results_.failed;
    } else if (counts(connection.due)) {
      results_.latencies.push_back(now - connection.due);
    }
    if (idle_.empty()) freed_ = now;
    ++connection.answers;
    connection.busy = false;
    idle_.push_back(index);
  }
  static std::string done(const Connection& connection) {
    return std::to_string(connection.answers) + " answers" + (connection.busy ? ", with a request under way" : "");
  }
  // The response is whole when nothing is left and no head has begun.
  static void take_bytes(Connection& connection, std::string_view bytes) {
    if (connection.left == 0) {
      connection.head += bytes;
      const auto end = connection.head.find("\r\n\r\n");
      if (end == std::string::npos) return;
      const auto arrived = connection.head.size();
      connection.head.resize(end + 4);
      const auto head = read_head(connection.head);
      connection.head.clear();
      connection.ok = head.ok;
      if (arrived > head.size) throw std::runtime_error("a response longer than it says");
      connection.left = head.size - arrived;
    } else {
      if (bytes.size() > connection.left) throw std::runtime_error("a response longer than it says");
      connection.left -= bytes.size();
    }
  }

  std::string request_;
  double interval_;  // nanoseconds
  std::size_t total_;
  std::size_t sent_ = 0;
  std::vector<Connection> connections_;
  std::deque<std::size_t> idle_;
  Clock::time_point start_;
  Clock::time_point freed_;  // when a connection was free again after all were busy
  int epoll_;
  Results results_;
  std::array<char, 65536> input_{};
};

double quantile_us(std::vector<Nanoseconds>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1));
  return static_cast<double>(sorted[at].count()) / 1e3;
}

void print(Results results) {
  std::sort(results.latencies.begin(), results.latencies.end());
  std::sort(results.sendings.begin(), results.sendings.end());
  std::printf(
      "{\"answered\": %zu, \"failed\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
      "\"sending_p99_us\": %.1f}\n",
      results.latencies.size(), results.failed, quantile_us(results.latencies, 0.5),
      quantile_us(results.latencies, 0.99), quantile_us(results.latencies, 0.999), quantile_us(results.sendings, 0.99));
}

Plan plan_of(int argc, char** argv) {
  if (argc < 5 || argc > 6)
    throw std::invalid_argument("usage: bench_open_loop PORT TARGET RATE SECONDS [CONNECTIONS]");
  Plan plan;
  plan.port = static_cast<std::uint16_t>(std::stoul(argv[1]));
  plan.target = argv[2];
  plan.rate = std::stod(argv[3]);
  plan.seconds = std::stod(argv[4]);
  if (argc == 6) plan.connections = std::stoul(argv[5]);
  if (plan.rate <= 0 || plan.seconds <= 0 || plan.connections == 0) throw std::invalid_argument("nothing to do");
  return plan;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    print(OpenLoop(plan_of(argc, argv)).run());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_open_loop: %s\n", error.what());
    return 1;
  }
}
