#include "larder/net/listener.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <spdlog/spdlog.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

#include "larder/net/error.hpp"
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
      ++begun;
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
  int begun = 0;
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
  site.listen();
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
  CHECK(site.counters.open.load() == 2);
  first.close();
  site.loop.run_until([&] { return site.counters.open.load() == 1; });
  auto fourth = site.connect();
  fourth.send(request);
  site.expect(fourth, "answered");
}

TEST_CASE("those who are told that there is no place take none, and a crowd of them is told at once") {
  Site site;
  site.limits.connections = 1;
  auto& listener = site.listen();
  auto first = site.connect();
  first.send(request);
  site.expect(first, "answered");
  // They read what they are told, and stay.
  std::vector<Peer> crowd;
  for (int i = 0; i < 400; ++i) {
    crowd.push_back(site.connect());
    if (i % 50 == 49) site.loop.settle();
  }
  site.loop.run_until([&] { return site.counters.refused.load() == 400; });
  int told = 0;
  for (auto& client : crowd) told += client.has("HTTP/1.1 503 ") && client.has("Retry-After: 1\r\n") ? 1 : 0;
  CHECK(told == 400);
  CHECK(site.counters.open.load() == 1);
  CHECK(listener.sessions() <= 257);
  first.close();
  site.loop.run_until([&] { return site.counters.open.load() == 0; });
  auto next = site.connect();
  next.send(request);
  site.expect(next, "answered");
}

TEST_CASE("heads that do not end in time: each client is told, and no other") {
  Site site;
  site.limits.header_timeout = 50ms;
  site.listen();
  std::vector<Peer> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(site.connect());
    clients.back().send("GET / HTTP/1.1\r\n");
  }
  for (auto& client : clients) {
    site.loop.run_until([&] { return client.is_over(); });
    const auto text = client.take();
    CHECK(text.starts_with("HTTP/1.1 408 "));
    CHECK(text.find("HTTP/1.1 ", 1) == std::string::npos);
  }
}

TEST_CASE("unfinished heads have a budget: who has waited longest gives way") {
  Site site;
  site.limits.buffers = 80UL << 10;  // ten of the least
  site.listen();
  std::vector<Peer> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(site.connect());
    clients.back().send("GET / HTTP/1.1\r\n");
    site.loop.settle();
  }
  CHECK(site.counters.shed_heads.load() == 2);
  CHECK(site.counters.buffered.load() <= site.limits.buffers);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    CHECK(clients[i].has("HTTP/1.1 503 ") == (i < 2));
    CHECK(clients[i].has("client.buffers") == (i < 2));
  }
  // The others are none the worse.
  for (std::size_t i = 2; i < clients.size(); ++i) clients[i].send("Host: a\r\n\r\n");
  for (std::size_t i = 2; i < clients.size(); ++i) site.expect(clients[i], "answered");
  site.loop.run_until([&] { return site.counters.buffered.load() == 0; });
}

TEST_CASE("a head for which there is no room, with nobody to give way") {
  Site site;
  site.limits.buffers = 10000;
  site.limits.head_size = 30000;
  site.listen();
  auto client = site.connect();
  client.send("GET / HTTP/1.1\r\nX: " + std::string(20000, 'x'));
  site.loop.run_until([&] { return client.is_over(); });
  CHECK(client.has("HTTP/1.1 503 "));
  CHECK(site.counters.shed_heads.load() == 1);
  client.close();
  site.loop.run_until([&] { return site.counters.open.load() == 0; });
  CHECK(site.counters.buffered.load() == 0);
}

TEST_CASE("request bodies have a budget") {
  Site site;
  site.limits.buffers = 30000;
  error_code ended;
  site.handler.answer = [&](Exchange& exchange) -> Awaitable<void> {
    while (exchange.body != nullptr) {
      const auto piece = co_await exchange.body->read();
      if (!piece) ended = piece.error();
      if (!piece || piece->empty()) break;
    }
    reply_with_text(exchange.reply, ended ? 503 : 200, "answered");
  };
  site.listen();
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
  std::vector<Peer> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(site.connect());
    clients.back().send(head);
    site.loop.settle();
  }
  CHECK(site.counters.shed_bodies.load() == 0);
  CHECK(site.counters.buffered.load() > 20000);
  auto extra = site.connect();
  extra.send(head);
  site.expect(extra, "HTTP/1.1 503 ");
  CHECK(ended == Error::client_buffers_full);
  CHECK(site.counters.shed_bodies.load() == 1);
  ended = {};
  for (auto& client : clients) client.send(std::string(1000, 'b'));
  for (auto& client : clients) site.expect(client, "HTTP/1.1 200 ");
  site.loop.run_until([&] { return site.counters.buffered.load() == 0; });
}

TEST_CASE("replies that nobody reads have a budget: who has waited longest is cut short") {
  Site site;
  const std::string body(8UL << 20, 'b');
  bool at_once = false;
  SUBCASE("whole replies") { at_once = true; }
  SUBCASE("streams") {}
  site.handler.answer_at_once = [&](Exchange& exchange) {
    if (!at_once) return false;
    exchange.reply.whole({.head = "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n", .more_lines = {}, .body = body});
    return true;
  };
  site.handler.answer = [&](Exchange& exchange) -> Awaitable<void> {
    exchange.reply.begin({.status = 200, .reason = {}, .version = http::Version::http_1_1, .fields = {}}, {},
                         body.size());
    if (co_await exchange.reply.write(body)) {
      exchange.reply.cut_short();
    } else {
      exchange.reply.finish({});
    }
  };
  // Of a whole reply nothing is copied any more when it waits.
  site.limits.buffers = at_once ? 10UL << 10 : 32UL << 10;
  site.listen();
  std::vector<Peer> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(test::connect_to(site.listener->local_endpoint().port(), 4096));
    clients.back().send(request);
    site.loop.settle();
  }
  const auto shed = site.counters.shed_readers.load();
  CHECK(shed > 0);
  CHECK(shed < 10);
  CHECK(site.counters.buffered.load() <= site.limits.buffers);
  site.loop.run_until([&] { return site.counters.open.load() == 10 - shed; });
  // The youngest are read to their end.
  for (std::size_t i = shed; i < 10; ++i) {
    std::size_t got = 0;
    site.loop.run_until([&] {
      got += clients[i].take().size();
      return got > body.size() || clients[i].is_over();
    });
    CHECK(got > body.size());
  }
  site.loop.run_until([&] { return site.counters.buffered.load() == 0; });
}

TEST_CASE("where replies keep too much memory, those that have waited longest for their clients are cut short") {
  Site site;
  const std::string body(8UL << 20, 'b');
  static std::size_t kept;
  kept = 0;
  site.handler.answer_at_once = [&](Exchange& exchange) {
    const bool is_shared = exchange.request.target == "/shared";
    if (!is_shared) kept += 100;
    exchange.reply.whole({.head = "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n",
                          .more_lines = {},
                          .body = body,
                          .retained = is_shared ? static_cast<const void*>(&body) : &kept,
                          .release = [](const void* object) { kept -= object == &kept ? 100 : 0; }});
    return true;
  };
  site.handler.excess = [&] { return kept > 500 ? kept - 500 : 0; };
  site.handler.freed_without = [](const void* object, void (*)(const void*)) {
    return object == &kept ? std::size_t{100} : std::size_t{0};
  };
  site.listen();
  std::vector<Peer> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(test::connect_to(site.listener->local_endpoint().port(), 4096));
    clients.back().send(i < 4 ? "GET /shared HTTP/1.1\r\nHost: a\r\n\r\n" : request);
    site.loop.settle();
  }
  site.loop.run_until([&] { return kept <= 500; });
  CHECK(kept == 500);
  CHECK(site.counters.shed_readers.load() == 3);
  site.loop.run_until([&] { return site.counters.open.load() == 9; });
  // The first, who have waited longest, keep nothing that others do not keep too.
  for (std::size_t i = 0; i < 7; ++i) {
    std::size_t got = 0;
    site.loop.run_until([&] {
      got += clients[i].take().size();
      return got > body.size() || clients[i].is_over();
    });
    CHECK((got > body.size()) == (i < 4));
  }
}

TEST_CASE("a crowd of requests that must wait does not keep the others waiting") {
  Site site;
  std::vector<std::string> order;
  site.handler.answer_at_once = [&](Exchange& exchange) {
    if (exchange.request.target != "/at-once") return false;
    order.emplace_back("at once");
    reply_with_text(exchange.reply, 200, "answered");
    return true;
  };
  site.handler.answer = [&](Exchange& exchange) -> Awaitable<void> {
    order.emplace_back("begun");
    reply_with_text(exchange.reply, 200, "answered");
    co_return;
  };
  site.listen();
  std::vector<Peer> crowd;
  for (int i = 0; i < 200; ++i) crowd.push_back(site.connect());
  auto other = site.connect();
  site.loop.run_until([&] { return site.counters.open.load() == 201; });
  for (auto& client : crowd) client.send(request);
  other.send("GET /at-once HTTP/1.1\r\nHost: a\r\n\r\n");
  site.expect(other, "answered");
  const auto at = static_cast<std::size_t>(std::ranges::find(order, "at once") - order.begin());
  CHECK(at <= 128);
  for (auto& client : crowd) site.expect(client, "answered");
  CHECK(order.size() == 201);
}

TEST_CASE("requests that have not begun go with the listener") {
  Site site;
  site.handler.answer = [&](Exchange&) -> Awaitable<void> {
    ++site.begun;
    co_await std::make_shared<WaitPoint>(site.loop.context.get_executor())->wait();
  };
  site.listen();
  std::vector<Peer> crowd;
  for (int i = 0; i < 200; ++i) crowd.push_back(site.connect());
  site.loop.run_until([&] { return site.counters.open.load() == 200; });
  for (auto& client : crowd) client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
  while (site.begun == 0) site.loop.context.run_one_for(2ms);
  site.listener->abort();
  site.listener.reset();
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
