#include "larder/app/listening.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <set>
#include <string>
#include <unistd.h>

namespace larder::app {
namespace {

net::ListeningSocket bound() { return net::ListeningSocket::bind({"127.0.0.1", 0}, false); }

config::Settings settings_on_any_port() {
  config::Settings settings;
  settings.listen = {"127.0.0.1", 0};
  settings.admin = net::Endpoint{"127.0.0.1", 0};
  return settings;
}

TEST_CASE("bound: a socket for each worker, on one port, and one for the admin API") {
  auto settings = settings_on_any_port();
  const auto sockets = bind_sockets(settings, 3);
  REQUIRE(sockets.clients.size() == 3);
  REQUIRE(sockets.admin.size() == 1);
  CHECK_FALSE(sockets.outlive_us);
  for (const auto& one : sockets.clients) CHECK(one.local_endpoint() == sockets.clients.front().local_endpoint());
  settings.admin.reset();
  CHECK(bind_sockets(settings, 1).admin.empty());
}

TEST_CASE("passed: whose is which") {
  auto settings = settings_on_any_port();
  const auto passed = [](std::vector<std::string> names) {
    std::vector<PassedSocket> all;
    for (auto& name : names) all.push_back({bound(), std::move(name)});
    return all;
  };
  // All for clients; the admin API's is bound.
  auto sockets = sort_sockets(passed({"http", "", "other"}), settings, 2);
  CHECK(sockets.clients.size() == 3);
  CHECK(sockets.admin.size() == 1);
  CHECK(sockets.outlive_us);
  // By name.
  auto both = passed({"admin", "http"});
  const auto admin_endpoint = both[0].socket.local_endpoint();
  sockets = sort_sockets(std::move(both), settings, 2);
  CHECK(sockets.clients.size() == 1);
  CHECK(sockets.admin.size() == 1);
  CHECK(sockets.admin.front().local_endpoint() == admin_endpoint);
  // By address.
  both = passed({"unknown", "unknown"});
  settings.admin = net::Endpoint{"127.0.0.1", both[1].socket.local_endpoint().port()};
  sockets = sort_sockets(std::move(both), settings, 2);
  CHECK(sockets.admin.size() == 1);
  CHECK(sockets.admin.front().local_endpoint().port() == settings.admin->port);
  // Only the admin API's: those for clients are bound.
  settings.admin = net::Endpoint{"127.0.0.1", 0};
  sockets = sort_sockets(passed({"admin"}), settings, 2);
  CHECK(sockets.clients.size() == 2);
  CHECK(sockets.admin.size() == 1);
  settings.admin.reset();
  CHECK_THROWS_AS(sort_sockets(passed({"admin"}), settings, 2), std::exception);
}

TEST_CASE("shared out: every worker has one, and every socket has a worker") {
  for (const unsigned workers : {1U, 2U, 3U, 7U}) {
    for (const std::size_t count : {1U, 2U, 5U}) {
      CAPTURE(workers);
      CAPTURE(count);
      std::vector<net::ListeningSocket> sockets;
      std::set<unsigned> ports;
      for (std::size_t i = 0; i < count; ++i) {
        sockets.push_back(bound());
        ports.insert(sockets.back().local_endpoint().port());
      }
      const auto shares = share_out(std::move(sockets), workers);
      REQUIRE(shares.size() == workers);
      std::set<int> descriptors;
      std::size_t all = 0;
      for (const auto& share : shares) {
        CHECK(!share.empty());
        for (const auto& one : share) {
          ++all;
          CHECK(one.is_open());
          descriptors.insert(one.descriptor());
          ports.erase(one.local_endpoint().port());
        }
      }
      CHECK(ports.empty());
      CHECK(descriptors.size() == all);
    }
  }
}

TEST_CASE("sd_listen_fds: not for us, not sockets, nonsense; and the environment is cleared") {
  const auto with = [](const char* pid, const char* count) {
    ::setenv("LISTEN_PID", pid, 1);
    ::setenv("LISTEN_FDS", count, 1);
    ::setenv("LISTEN_FDNAMES", "http", 1);
  };
  const auto own = std::to_string(::getpid());
  CHECK(passed_sockets().empty());
  with("1", "1");
  CHECK(passed_sockets().empty());
  CHECK(std::getenv("LISTEN_FDS") == nullptr);
  with(own.c_str(), "0");
  CHECK(passed_sockets().empty());
  with(own.c_str(), "many");
  CHECK_THROWS_AS(passed_sockets(), std::exception);
  with(own.c_str(), "1000000");
  CHECK_THROWS_AS(passed_sockets(), std::exception);
  CHECK(std::getenv("LISTEN_PID") == nullptr);
  CHECK(std::getenv("LISTEN_FDNAMES") == nullptr);
}

}  // namespace
}  // namespace larder::app
