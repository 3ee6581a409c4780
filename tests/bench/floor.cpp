// The floor under the cost of a hit: a bare epoll loop that answers every request head with one canned response, and
// does nothing else that a server has to do. What a server takes beyond it is its own.
//
//   bench_floor FILE      serves FILE's bytes on a port chosen by the system, and prints "listening on PORT"
//
// It knows no HTTP but the empty line that ends a head, and takes for granted that a head arrives in one piece.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace {

int checked(int result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), call);
  return result;
}

std::string canned_response(const char* file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::system_error(errno, std::generic_category(), file);
  const std::string body{std::istreambuf_iterator<char>(stream), {}};
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Cache: HIT\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::size_t heads_in(std::string_view bytes) {
  constexpr std::string_view end_of_head = "\r\n\r\n";
  std::size_t heads = 0;
  for (auto at = bytes.find(end_of_head); at != std::string_view::npos; at = bytes.find(end_of_head, at + 4)) ++heads;
  return heads;
}

class Floor {
 public:
  explicit Floor(std::string response)
      : response_(std::move(response)),
        listener_(checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket")),
        epoll_(checked(epoll_create1(0), "epoll_create1")) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    checked(bind(listener_, any, size), "bind");
    checked(listen(listener_, 4096), "listen");
    checked(getsockname(listener_, any, &size), "getsockname");
    port_ = ntohs(address.sin_port);
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
  }
  [[nodiscard]] int port() const noexcept { return port_; }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) handle(events.at(static_cast<std::size_t>(i)));
    }
  }

 private:
  void handle(const epoll_event& event) {
    const int connection = event.data.fd;
    if (connection == listener_) return accept_all();
    if ((event.events & EPOLLOUT) != 0) {
      if (write_owed(connection) && owed(connection) == 0) watch(EPOLL_CTL_MOD, connection, EPOLLIN);
    } else {
      answer(connection);
    }
  }
  void accept_all() {
    for (;;) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (connection < 0) return;
      const int on = 1;
      setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (static_cast<std::size_t>(connection) >= owed_.size()) owed_.resize(static_cast<std::size_t>(connection) + 1);
      owed(connection) = 0;
      watch(EPOLL_CTL_ADD, connection, EPOLLIN);
    }
  }
  void answer(int connection) {
    const auto size = read(connection, input_.data(), input_.size());
    if (size <= 0) {
      if (size == 0 || errno != EAGAIN) close(connection);
      return;
    }
    owed(connection) += heads_in({input_.data(), static_cast<std::size_t>(size)}) * response_.size();
    if (write_owed(connection) && owed(connection) != 0) watch(EPOLL_CTL_MOD, connection, EPOLLOUT);
  }
  // False where the connection was lost and is closed.
  bool write_owed(int connection) {
    auto& left = owed(connection);
    while (left != 0) {
      const std::size_t of_this_one = (left - 1) % response_.size() + 1;
      const auto size =
          send(connection, response_.data() + (response_.size() - of_this_one), of_this_one, MSG_NOSIGNAL);
      if (size < 0) {
        if (errno == EAGAIN) return true;
        close(connection);
        return false;
      }
      left -= static_cast<std::size_t>(size);
    }
    return true;
  }
  void watch(int operation, int descriptor, std::uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = descriptor;
    checked(epoll_ctl(epoll_, operation, descriptor, &event), "epoll_ctl");
  }
  // Bytes of canned responses that a connection is still to be sent.
  std::size_t& owed(int connection) { return owed_[static_cast<std::size_t>(connection)]; }

  std::string response_;
  int listener_;
  int epoll_;
  int port_ = 0;
  std::vector<std::size_t> owed_;
  std::array<char, 65536> input_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE\n", argv[0]);
    return 2;
  }
  try {
    Floor floor(canned_response(argv[1]));
    std::printf("listening on %d\n", floor.port());
    std::fflush(stdout);
    floor.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_floor: %s\n", error.what());
    return 1;
  }
}
