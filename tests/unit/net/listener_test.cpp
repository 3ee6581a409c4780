#include "larder/net/listener.hpp"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

#include "larder/net/wait_point.hpp"

#include "loopback.hpp"

namespace larder::net {
namespace {

using test::Loop;
using test::Peer;
using namespace std::chrono_literals;

const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct Site {
  Site() {
    spdlog::set_level(spdlog::level::off);
    handler.answer_at_once = [](Exchange&) { return false; };
    handler.answer = [this](Exchange& exchange) -> Awaitable<void> {
      if (exchange.request.target == "/held") co_await go->wait();
      if (exchange.request.target == "/throws") throw std::runtime_error("thrown");
      reply_with_text(exchange.reply, 200, "answered");
    };
    go = std::make_shared<WaitPoint>(loop.context.get_executor());
  }
  Listener& listen(std::uint16_t port = 0, bool shared = false) {
    const Endpoint endpoint{"127.0.0.1", port};
    std::vector<ListeningSocket> sockets;
    sockets.push_back(ListeningSocket::bind(endpoint, shared));
    listener = std::make_unique<Listener>(loop.context, loop.wheel, std::move(sockets), limits, handler, counters);
    listener->start();
    return *listener;
  }
  Peer connect() { return test::connect_to(listener->local_endpoint().port()); }
  void expect(Peer& client, const char* text) {
    loop.run_until([&] { return client.has(text) || client.is_over(); });
    CHECK(client.has(text));
    client.take();
  }

  Loop loop;
  ClientLimits limits;
  SessionCounters counters;
  Handler handler;
  std::shared_ptr<WaitPoint> go;
  std::unique_ptr<Listener> listener;
};

TEST_CASE("sessions come and go") {
  Site site;
  auto& listener = site.listen();
  CHECK(listener.local_endpoint().port() != 0);
  {
    std::vector<Peer> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(site.connect());
    for (auto& client : clients) client.send(request);
    for (auto& client : clients) site.expect(client, "answered");
    CHECK(listener.sessions() == 20);
    CHECK(site.counters.open.load() == 20);
  }
  site.loop.run_until([&] { return listener.sessions() == 0; });
  CHECK(site.counters.open.load() == 0);
  CHECK(site.counters.accepted.load() == 20);
}

TEST_CASE("over the limit: 503, and room again afterwards") {
  Site site;
  site.limits.connections = 2;
  auto& listener = site.listen();
  auto first = site.connect();
  first.send(request);
  site.expect(first, "answered");
  auto second = site.connect();
  second.send(request);
  site.expect(second, "answered");
  auto third = site.connect();
  site.expect(third, "HTTP/1.1 503 ");
  site.loop.run_until([&] { return third.is_over(); });
  CHECK(site.counters.refused.load() == 1);
  first.close();
  site.loop.run_until([&] { return listener.sessions() == 1; });
  auto fourth = site.connect();
  fourth.send(request);
  site.expect(fourth, "answered");
}

TEST_CASE("a port in use, and one that is shared") {
  Site site;
  const auto port = site.listen(0, true).local_endpoint().port();
  Site other;
  CHECK_THROWS_AS(other.listen(port), std::exception);
  CHECK_NOTHROW(other.listen(port, true));
}

TEST_CASE("draining") {
  Site site;
  auto& listener = site.listen();
  const auto port = listener.local_endpoint().port();
  auto idle = site.connect();
  idle.send(request);
  site.expect(idle, "answered");
  auto held = site.connect();
  held.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
  site.loop.run_until([&] { return listener.sessions() == 2; });
  site.loop.settle();
  listener.drain(Queued::accept, 0ms);
  site.loop.run_until([&] { return idle.is_over(); });
  CHECK(!held.is_over());
  CHECK_THROWS(test::connect_to(port));
  site.go->notify();
  site.loop.run_until([&] { return held.is_over(); });
  CHECK(held.has("Connection: close\r\n"));
  CHECK(held.has("answered"));
  held.close();
  site.loop.run_until([&] { return listener.sessions() == 0; });
}

TEST_CASE("draining: whoever waits in the queue is served, and a request on its way finds its connection open") {
  Site site;
  auto& listener = site.listen();
  const auto port = listener.local_endpoint().port();
  auto idle = site.connect();
  idle.send(request);
  site.expect(idle, "answered");
  auto silent = site.connect();
  silent.send(request);
  site.expect(silent, "answered");
  // The kernel has accepted them; the loop has not run since.
  auto queued = test::connect_to(port);
  auto queued_and_sent = test::connect_to(port);
  queued_and_sent.send(request);
  listener.drain(Queued::accept, 300ms);
  CHECK(listener.sessions() == 4);
  CHECK_THROWS(test::connect_to(port));
  queued.send(request);
  idle.send(request);
  for (auto* client : {&queued, &queued_and_sent, &idle}) {
    site.loop.run_until([&] { return client->is_over(); });
    CHECK(client->has("answered"));
    CHECK(client->has("Connection: close\r\n"));
    client->close();
  }
  CHECK(!silent.is_over());
  site.loop.run_until([&] { return silent.is_over(); });
  silent.close();
  site.loop.run_until([&] { return listener.sessions() == 0; });
}

TEST_CASE("sockets that another process accepts from are left as they are, with all who wait there") {
  Site site;
  std::vector<ListeningSocket> sockets;
  sockets.push_back(ListeningSocket::bind({"127.0.0.1", 0}, false));
  const auto port = sockets.front().local_endpoint().port();
  auto elsewhere = sockets.front().duplicate();
  site.listener = std::make_unique<Listener>(site.loop.context, site.loop.wheel, std::move(sockets), site.limits,
                                             site.handler, site.counters);
  site.listener->start();
  auto queued = test::connect_to(port);
  queued.send(request);
  site.listener->drain(Queued::leave, 0ms);
  site.loop.settle();
  CHECK(site.listener->sessions() == 0);
  CHECK(!queued.is_over());

  Site next;
  std::vector<ListeningSocket> taken;
  taken.push_back(ListeningSocket::adopt(elsewhere.duplicate().release()));
  next.listener = std::make_unique<Listener>(next.loop.context, next.loop.wheel, std::move(taken), next.limits,
                                             next.handler, next.counters);
  next.listener->start();
  next.expect(queued, "answered");
}

TEST_CASE("several sockets, and one that two listeners share") {
  Site site;
  std::vector<ListeningSocket> sockets;
  sockets.push_back(ListeningSocket::bind({"127.0.0.1", 0}, false));
  sockets.push_back(ListeningSocket::bind({"127.0.0.1", 0}, false));
  const auto first = sockets[0].local_endpoint().port();
  const auto second = sockets[1].local_endpoint().port();
  std::vector<ListeningSocket> shared;
  shared.push_back(sockets[0].duplicate());
  site.listener = std::make_unique<Listener>(site.loop.context, site.loop.wheel, std::move(sockets), site.limits,
                                             site.handler, site.counters);
  site.listener->start();
  Listener other(site.loop.context, site.loop.wheel, std::move(shared), site.limits, site.handler, site.counters);
  other.start();
  for (const auto port : {first, second}) {
    for (int i = 0; i < 5; ++i) {
      auto client = test::connect_to(port);
      client.send(request);
      site.expect(client, "answered");
    }
  }
  // One that stops does not take the socket from the other.
  site.listener->drain(Queued::leave, 0ms);
  auto client = test::connect_to(first);
  client.send(request);
  site.expect(client, "answered");
  CHECK(other.sessions() >= 1);
}

TEST_CASE("limits are replaced for the sessions that there are, too") {
  Site site;
  auto& listener = site.listen();
  auto client = site.connect();
  client.send(request);
  site.expect(client, "answered");
  auto limits = site.limits;
  limits.head_size = 1024;
  limits.connections = 1;
  listener.set_limits(limits);
  auto second = site.connect();
  second.send(request);
  site.expect(second, "HTTP/1.1 503 ");
  client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + std::string(2000, 'x') + "\r\n\r\n");
  site.expect(client, "HTTP/1.1 431 ");
}

TEST_CASE("what is no listening TCP socket is not taken over") {
  const int plain = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_THROWS_AS(ListeningSocket::adopt(plain), std::exception);
  const int datagrams = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK_THROWS_AS(ListeningSocket::adopt(datagrams), std::exception);
  CHECK_THROWS_AS(ListeningSocket::adopt(100000), std::exception);
}

TEST_CASE("aborting") {
  Site site;
  auto& listener = site.listen();
  auto idle = site.connect();
  auto half = site.connect();
  half.send("GET / HT");
  site.loop.run_until([&] { return listener.sessions() == 2; });
  listener.abort();
  site.loop.run_until([&] { return listener.sessions() == 0; });
}

TEST_CASE("an exception ends its session only") {
  Site site;
  auto& listener = site.listen();
  auto client = site.connect();
  client.send("GET /throws HTTP/1.1\r\nHost: a\r\n\r\n");
  site.loop.run_until([&] { return client.is_over(); });
  CHECK(listener.sessions() == 0);
  auto other = site.connect();
  other.send(request);
  site.expect(other, "answered");
}

TEST_CASE("out of descriptors: it goes on when there are some again") {
  Site site;
  auto& listener = site.listen();
  auto client = site.connect();
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit low{static_cast<rlim_t>(client.fd()) + 1, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  client.send(request);
  site.loop.settle();
  CHECK(listener.sessions() == 0);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  site.expect(client, "answered");
}

TEST_CASE("what still runs goes with the context") {
  Site site;
  auto& listener = site.listen();
  auto client = site.connect();
  client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
  site.loop.run_until([&] { return listener.sessions() == 1; });
  site.loop.settle();
}

}  // namespace
}  // namespace larder::net
