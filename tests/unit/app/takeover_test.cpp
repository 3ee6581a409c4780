#include "larder/app/takeover.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <filesystem>
#include <future>
#include <spdlog/spdlog.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace larder::app {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// The old process: its loop on a thread of its own.
struct Old {
  explicit Old(std::string where) : path(std::move(where)) {
    spdlog::set_level(spdlog::level::off);
    for (int i = 0; i < 2; ++i) sockets.clients.push_back(net::ListeningSocket::bind({"127.0.0.1", 0}, false));
    sockets.admin.push_back(net::ListeningSocket::bind({"127.0.0.1", 0}, false));
    successor = std::make_unique<Successor>(
        context, path, [this]() -> const ListeningSockets& { return sockets; }, [this] { released = true; });
    successor->listen();
    thread = std::thread([this] { context.run(); });
  }
  ~Old() { stop(); }
  Old(const Old&) = delete;
  Old& operator=(const Old&) = delete;
  // As at the end of the process: all of its descriptors are closed.
  void stop() {
    if (!thread.joinable()) return;
    context.stop();
    thread.join();
    successor.reset();
  }
  const std::string path;
  boost::asio::io_context context;
  ListeningSockets sockets;
  std::atomic<bool> released{false};
  std::unique_ptr<Successor> successor;
  std::thread thread;
};

std::string path_here(const char* name) {
  return (fs::temp_directory_path() / ("larder-takeover-" + std::to_string(::getpid()) + name)).string();
}

int raw_connection(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return descriptor;
}

std::string receive(int descriptor) {
  std::array<char, 256> text{};
  const auto n = ::recv(descriptor, text.data(), text.size(), 0);
  return n > 0 ? std::string(text.data(), static_cast<std::size_t>(n)) : std::string();
}

TEST_CASE("nobody is there: no socket, or one that is left over") {
  const auto path = path_here("nobody");
  CHECK(Predecessor::find(path) == nullptr);
  { Old old(path); }
  CHECK_FALSE(fs::exists(path));
  // Left over by a process that was killed.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int left = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(left);
  CHECK(fs::exists(path));
  CHECK(Predecessor::find(path) == nullptr);
  const Old old(path);
  CHECK(Predecessor::find(path) != nullptr);
}

TEST_CASE("the sockets themselves are handed over, and the old one is told when to stop") {
  const auto path = path_here("whole");
  Old old(path);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  const auto predecessor = Predecessor::find(path);
  REQUIRE(predecessor);
  const auto sockets = predecessor->take_sockets();
  REQUIRE(sockets.clients.size() == 2);
  REQUIRE(sockets.admin.size() == 1);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(sockets.clients[i].local_endpoint() == old.sockets.clients[i].local_endpoint());
  }
  CHECK(sockets.admin[0].local_endpoint() == old.sockets.admin[0].local_endpoint());
  CHECK_FALSE(old.released);
  // Another one has to wait.
  CHECK_THROWS_AS(Predecessor::find(path), std::exception);
  predecessor->release();
  CHECK(old.released);
  CHECK(old.successor->has_taken_over());
  // The path is the successor's from now on: the old one leaves it where it is.
  old.stop();
  CHECK(fs::exists(path));
  CHECK(receive(predecessor->descriptor()).empty());
  const Old next(path);
  CHECK(Predecessor::find(path) != nullptr);
}

TEST_CASE("a new process that ends before it is ready changes nothing, and the next one may come") {
  const auto path = path_here("gone");
  const Old old(path);
  { const auto predecessor = Predecessor::find(path); }
  std::unique_ptr<Predecessor> next;
  for (int i = 0; i < 200 && !next; ++i) {
    try {
      next = Predecessor::find(path);
    } catch (const std::exception&) {
      std::this_thread::sleep_for(10ms);  // the old one has not read of the end yet
    }
  }
  REQUIRE(next);
  CHECK_FALSE(old.released);
  next->release();
  CHECK(old.released);
}

TEST_CASE("nonsense is answered with the end of the connection") {
  const auto path = path_here("nonsense");
  const Old old(path);
  for (const std::string text : {"larder takeover 99", "ready", "GET / HTTP/1.1"}) {
    const int descriptor = raw_connection(path);
    REQUIRE(::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    CHECK(receive(descriptor).empty());
    ::close(descriptor);
  }
  CHECK_FALSE(old.released);
  CHECK(Predecessor::find(path) != nullptr);
}

TEST_CASE("a path that cannot be, and one where another process serves") {
  boost::asio::io_context context;
  const ListeningSockets none;
  const auto sockets = [&]() -> const ListeningSockets& { return none; };
  Successor nowhere(context, "/no/such/folder/socket", sockets, [] {});
  CHECK_THROWS_AS(nowhere.listen(), std::exception);
  CHECK_THROWS_AS(Predecessor::find(std::string(200, 'x')), std::exception);
  const auto path = path_here("second");
  const Old old(path);
  Successor second(context, path, sockets, [] {});
  CHECK_THROWS_AS(second.listen(), std::exception);
  CHECK(fs::exists(path));
}

}  // namespace
}  // namespace larder::app
