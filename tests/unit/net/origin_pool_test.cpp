#include "larder/net/origin_pool.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

#include "larder/net/error.hpp"

#include "loopback.hpp"
#include "read_head.hpp"

namespace larder::net {
namespace {

using test::Clock;
using test::Loop;
using test::Peer;
using test::PeerListener;
using namespace std::chrono_literals;
using namespace std::string_literals;

struct Outcome {
  OriginLease lease;
  error_code error;
  bool done = false;
};

struct Site {
  explicit Site(std::vector<std::string> servers) {
    parameters.servers = std::move(servers);
    parameters.connect_timeout = 5s;
    pool.emplace(loop.context, loop.wheel, parameters);
  }

  Awaitable<void> acquire(Outcome& outcome, TriedServers& tried, bool fresh) {
    auto lease = co_await pool->acquire(tried, fresh);
    if (lease) {
      outcome.lease = std::move(*lease);
    } else {
      outcome.error = lease.error();
    }
  }
  Outcome acquire(TriedServers& tried, bool fresh = false) {
    Outcome outcome;
    loop.run(acquire(outcome, tried, fresh));
    return outcome;
  }
  Outcome acquire(bool fresh = false) {
    TriedServers tried;
    return acquire(tried, fresh);
  }
  // Begins to wait for a connection.
  std::unique_ptr<Outcome> begin() {
    auto outcome = std::make_unique<Outcome>();
    loop.start(acquire_alone(*outcome), outcome->done);
    return outcome;
  }
  Awaitable<void> acquire_alone(Outcome& outcome) {
    TriedServers tried;
    co_await acquire(outcome, tried, false);
  }
  // Answers on the origin's side of a lease and reads the answer, so that the connection can be kept.
  Awaitable<void> use(OriginLease& lease) {
    const auto head = co_await test::read_head(lease.connection());
    REQUIRE(head.has_value());
  }
  void answer(OriginLease& lease, Peer& peer) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    loop.run(use(lease));
  }

  Loop loop;
  OriginParameters parameters;
  std::optional<OriginPool> pool;
};

TEST_CASE("a connection is kept and used again") {
  PeerListener origin;
  Site site({origin.url()});
  auto first = site.acquire();
  REQUIRE(first.lease);
  CHECK(!first.lease.is_reused());
  auto peer = origin.accept(site.loop);
  site.answer(first.lease, peer);
  first.lease.give_back();
  CHECK(!first.lease);
  CHECK(site.pool->counters().idle == 1);
  auto second = site.acquire();
  REQUIRE(second.lease);
  CHECK(second.lease.is_reused());
  CHECK(!second.lease.connection().has_answered());
  CHECK(site.pool->counters().reused == 1);
  CHECK(site.pool->counters().open == 1);
  // Given back without an answer: it cannot be used again.
  second.lease.give_back();
  CHECK(site.pool->counters().open == 0);
  site.loop.run_until([&] { return peer.is_over(); });
}

TEST_CASE("a kept connection that is dead is not used") {
  for (const bool speaks : {false, true}) {
    PeerListener origin;
    Site site({origin.url()});
    auto lease = std::move(site.acquire().lease);
    auto peer = origin.accept(site.loop);
    site.answer(lease, peer);
    lease.give_back();
    if (speaks) {
      peer.send("HTTP/1.1 408 Unasked\r\n\r\n");
    } else {
      peer.close();
    }
    auto next = site.acquire();
    REQUIRE(next.lease);
    CHECK(!next.lease.is_reused());
    CHECK(site.pool->counters().open == 1);
  }
}

TEST_CASE("asked for a fresh one, it keeps the kept one") {
  PeerListener origin;
  Site site({origin.url()});
  auto lease = std::move(site.acquire().lease);
  auto peer = origin.accept(site.loop);
  site.answer(lease, peer);
  lease.give_back();
  auto next = site.acquire(true);
  CHECK(!next.lease.is_reused());
  CHECK(site.pool->counters().idle == 1);
  CHECK(site.pool->counters().open == 2);
}

TEST_CASE("idle connections: how many, and how long") {
  PeerListener origin;
  Site site({origin.url()});
  site.parameters.idle_connections = 2;
  site.parameters.idle_timeout = 100ms;
  site.pool->set_parameters(site.parameters);
  std::vector<OriginLease> leases;
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) {
    leases.push_back(std::move(site.acquire().lease));
    peers.push_back(origin.accept(site.loop));
    site.answer(leases.back(), peers.back());
  }
  leases.clear();
  CHECK(site.pool->counters().idle == 2);
  CHECK(site.pool->counters().open == 2);
  site.loop.run_until([&] { return peers[0].is_over() && peers[1].is_over() && peers[2].is_over(); });
  // Those that have expired are no obstacle to a living one.
  auto lease = std::move(site.acquire().lease);
  CHECK(!lease.is_reused());
  CHECK(site.pool->counters().open == 1);
}

TEST_CASE("closing what is idle") {
  PeerListener origin;
  Site site({origin.url()});
  auto lease = std::move(site.acquire().lease);
  auto peer = origin.accept(site.loop);
  site.answer(lease, peer);
  lease.give_back();
  site.pool->close_idle();
  CHECK(site.pool->counters().open == 0);
  site.loop.run_until([&] { return peer.is_over(); });
}

TEST_CASE("round robin, and around what was tried") {
  PeerListener a;
  PeerListener b;
  PeerListener c;
  Site site({a.url(), b.url() + "/", c.url()});
  CHECK(site.pool->server_count() == 3);
  std::vector<std::string> order;
  for (int i = 0; i < 6; ++i) order.push_back(site.acquire().lease.server().port);
  for (std::size_t i = 0; i < 3; ++i) CHECK(order[i] == order[i + 3]);
  CHECK(order[0] != order[1]);
  CHECK(order[1] != order[2]);
  CHECK(order[0] != order[2]);
  TriedServers tried;
  std::vector<std::string> ports;
  for (int i = 0; i < 3; ++i) ports.push_back(site.acquire(tried).lease.server().port);
  CHECK(tried.size() == 3);
  std::sort(ports.begin(), ports.end());
  CHECK(std::unique(ports.begin(), ports.end()) == ports.end());
  // All were tried: one of them again.
  CHECK(site.acquire(tried).lease);
  CHECK(tried.size() == 4);
}

TEST_CASE("a kept connection can be had at once, in turn, and asking for one in vain changes nothing") {
  PeerListener a;
  PeerListener b;
  Site site({a.url(), b.url()});
  TriedServers tried;
  CHECK(!site.pool->acquire_kept(tried, true));
  CHECK(tried.empty());
  auto lease = std::move(site.acquire().lease);
  CHECK(lease.server().port == std::to_string(a.port()));
  auto peer = a.accept(site.loop);
  site.answer(lease, peer);
  lease.give_back();
  // It is the other's turn, who has none.
  CHECK(!site.pool->acquire_kept(tried, true));
  CHECK(site.acquire().lease.server().port == std::to_string(b.port()));
  auto kept = site.pool->acquire_kept(tried, true);
  REQUIRE(kept);
  CHECK(kept.is_reused());
  REQUIRE(tried.size() == 1);
  CHECK(tried.front()->port == std::to_string(a.port()));
  kept.give_back();
}

TEST_CASE("a server that refuses is passed over for a while, unless there is no other") {
  PeerListener living;
  Site site({"http://127.0.0.1:" + std::to_string(test::dead_port()), living.url()});
  auto failed = site.acquire();
  CHECK(failed.error == Error::origin_unreachable);
  for (int i = 0; i < 5; ++i) CHECK(site.acquire().lease.server().port == std::to_string(living.port()));
  CHECK(site.pool->counters().connect_failures == 1);
  Site alone({"http://127.0.0.1:" + std::to_string(test::dead_port())});
  for (int i = 0; i < 3; ++i) CHECK(alone.acquire().error == Error::origin_unreachable);
  CHECK(alone.pool->counters().connect_failures == 3);
  CHECK(alone.pool->counters().open == 0);
  // Each server tells of itself.
  const auto servers = site.pool->servers();
  REQUIRE(servers.size() == 2);
  CHECK(servers[0].paused);
  CHECK(servers[0].open == 0);
  CHECK_FALSE(servers[1].paused);
  CHECK(servers[1].authority == "127.0.0.1:" + std::to_string(living.port()));
  CHECK(servers[1].waiting == 0);
  // It comes back after its pause.
  Site pause({"http://127.0.0.1:" + std::to_string(test::dead_port()), living.url()});
  pause.parameters.failed_server_pause = 1ms;
  pause.pool->set_parameters(pause.parameters);
  CHECK(pause.acquire().error == Error::origin_unreachable);
  CHECK(pause.acquire().lease);
  const auto later = Clock::now() + 5ms;
  pause.loop.run_until([&] { return Clock::now() > later; });
  CHECK(pause.acquire().error == Error::origin_unreachable);
}

TEST_CASE("names and addresses") {
  PeerListener origin;
  Site named({"http://localhost:" + std::to_string(origin.port())});
  CHECK(named.acquire().lease.server().authority == "localhost:" + std::to_string(origin.port()));
  Site unknown({"http://no-such-host.invalid:80"});
  CHECK(unknown.acquire().error == Error::origin_unresolved);
  Site plain({"http://127.0.0.1:80"});
  TriedServers tried;
  (void)plain.acquire(tried);
  CHECK(tried[0]->authority == "127.0.0.1");
  CHECK(tried[0]->port == "80");
  Site v6({"http://[::1]:1"});
  tried.clear();
  (void)v6.acquire(tried);
  CHECK(tried[0]->authority == "[::1]:1");
  CHECK(tried[0]->host == "::1");
}

TEST_CASE("connecting has a deadline") {
  // A full backlog: the kernel drops what comes.
  PeerListener full(0);
  std::vector<int> fillers;
  for (int i = 0; i < 8; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(full.port());
    (void)::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    fillers.push_back(fd);
  }
  Site site({full.url()});
  site.parameters.connect_timeout = 200ms;
  site.pool->set_parameters(site.parameters);
  const auto start = Clock::now();
  CHECK(site.acquire().error == Error::origin_connect_timeout);
  CHECK(Clock::now() - start >= 200ms);
  CHECK(site.pool->counters().open == 0);
  for (const int fd : fillers) ::close(fd);
}

TEST_CASE("more requests than connections wait their turn") {
  PeerListener origin;
  Site site({origin.url()});
  site.parameters.connections = 2;
  site.parameters.queue_timeout = 10s;
  site.pool->set_parameters(site.parameters);
  std::vector<OriginLease> leases;
  std::vector<Peer> peers;
  for (int i = 0; i < 2; ++i) {
    leases.push_back(std::move(site.acquire().lease));
    peers.push_back(origin.accept(site.loop));
  }
  std::vector<std::unique_ptr<Outcome>> waiting;
  for (int i = 0; i < 6; ++i) waiting.push_back(site.begin());
  site.loop.settle();
  for (const auto& one : waiting) CHECK(!one->done);

  SUBCASE("two come back at once: two go on, on the same connections") {
    for (std::size_t i = 0; i < 2; ++i) site.answer(leases[i], peers[i]);
    const auto start = Clock::now();
    leases.clear();
    site.loop.run_until([&] { return waiting[0]->done && waiting[1]->done; });
    CHECK(Clock::now() - start < 5s);
    CHECK(waiting[0]->lease.is_reused());
    CHECK(waiting[1]->lease.is_reused());
    site.loop.settle();
    CHECK(!waiting[2]->done);
    // The same where they were broken, and new ones must be made.
    waiting[0].reset();
    waiting[1].reset();
    site.loop.run_until([&] { return waiting[2]->done && waiting[3]->done; });
    CHECK(!waiting[2]->lease.is_reused());
    CHECK(site.pool->counters().open == 2);
    waiting[2].reset();
    waiting[3].reset();
    site.loop.run_until([&] { return waiting[4]->done && waiting[5]->done; });
  }
  SUBCASE("the origin goes away: all are told") {
    origin.close();
    leases.clear();
    site.loop.run_until(
        [&] { return std::all_of(waiting.begin(), waiting.end(), [](const auto& one) { return one->done; }); });
    for (const auto& one : waiting) CHECK(one->error == Error::origin_unreachable);
    CHECK(site.pool->counters().open == 0);
  }
  SUBCASE("a kept connection that died while they waited") {
    site.answer(leases[0], peers[0]);
    leases[0].give_back();
    peers[0].close();
    site.loop.run_until([&] { return waiting[0]->done; });
    CHECK(waiting[0]->lease);
    CHECK(site.pool->counters().open == 2);
  }
  // Before the pool.
  waiting.clear();
  leases.clear();
}

TEST_CASE("waiting has a deadline") {
  PeerListener origin;
  Site site({origin.url()});
  site.parameters.connections = 1;
  site.parameters.queue_timeout = 100ms;
  site.pool->set_parameters(site.parameters);
  auto held = std::move(site.acquire().lease);
  CHECK(site.acquire().error == Error::origin_busy);
  held.give_back();
  CHECK(site.acquire().lease);
}

TEST_CASE("as many wait as may, and more are refused at once") {
  PeerListener origin;
  Site site({origin.url()});
  site.parameters.connections = 1;
  site.parameters.queue = 2;
  site.parameters.queue_timeout = 10s;
  site.pool->set_parameters(site.parameters);
  auto held = std::move(site.acquire().lease);
  auto first = site.begin();
  auto second = site.begin();
  site.loop.settle();
  CHECK(site.pool->waiting() == 2);
  const auto start = Clock::now();
  CHECK(site.acquire().error == Error::origin_queue_full);
  CHECK(Clock::now() - start < 1s);
  held.give_back();
  site.loop.run_until([&] { return first->done; });
  CHECK(first->lease);
  CHECK(site.pool->waiting() == 1);
  // There is a place again.
  auto third = site.begin();
  site.loop.settle();
  CHECK(!third->done);
  site.parameters.queue = 0;
  site.pool->set_parameters(site.parameters);
  CHECK(site.acquire().error == Error::origin_queue_full);
  first.reset();
  site.loop.run_until([&] { return second->done; });
  second.reset();
  site.loop.run_until([&] { return third->done; });
  CHECK(third->lease);
}

TEST_CASE("who comes later does not go before those who wait") {
  PeerListener origin;
  Site site({origin.url()});
  site.parameters.connections = 1;
  site.parameters.queue_timeout = 10s;
  site.pool->set_parameters(site.parameters);
  auto held = std::move(site.acquire().lease);
  auto peer = origin.accept(site.loop);
  auto first = site.begin();
  site.loop.settle();
  site.answer(held, peer);
  held.give_back();
  // It is free now, but not for us: who waits for it has not run yet.
  TriedServers tried;
  CHECK(!site.pool->acquire_kept(tried, false));
  auto later = site.begin();
  site.loop.run_until([&] { return first->done; });
  CHECK(first->lease.is_reused());
  site.loop.settle();
  CHECK(!later->done);
  first.reset();
  site.loop.run_until([&] { return later->done; });
}

TEST_CASE("a server that has a connection free is preferred to one that has none") {
  PeerListener a;
  PeerListener b;
  Site site({a.url(), b.url()});
  site.parameters.connections = 2;
  site.pool->set_parameters(site.parameters);
  std::vector<OriginLease> leases;
  for (int i = 0; i < 2; ++i) leases.push_back(std::move(site.acquire().lease));
  // One of the first server comes back broken: only that one has room.
  leases.push_back(std::move(site.acquire().lease));
  leases.push_back(std::move(site.acquire().lease));
  const auto port = leases[0].server().port;
  leases[0].give_back();
  for (int i = 0; i < 3; ++i) {
    auto lease = std::move(site.acquire().lease);
    CHECK(lease.server().port == port);
  }
}

TEST_CASE("a lease in a coroutine that the context destroys after the pool") {
  PeerListener origin;
  auto site = std::make_unique<Site>(std::vector{origin.url()});
  bool has_lease = false;
  const auto hold = [&]() -> Awaitable<void> {
    TriedServers tried;
    auto lease = co_await site->pool->acquire(tried, false);
    has_lease = static_cast<bool>(lease);
    co_await std::make_shared<WaitPoint>(site->loop.context.get_executor())->wait();
  };
  bool done = false;
  site->loop.start(hold(), done);
  site->loop.run_until([&] { return has_lease; });
  site->pool.reset();
  site.reset();
}

TEST_CASE("other servers: those that stay keep their connections, those that go finish what they have") {
  PeerListener first;
  PeerListener second;
  Site site({first.url()});
  auto kept = site.acquire();
  auto busy = site.acquire();
  auto kept_peer = first.accept(site.loop);
  auto busy_peer = first.accept(site.loop);
  site.answer(kept.lease, kept_peer);
  kept.lease.give_back();
  CHECK(site.pool->counters().idle == 1);

  auto parameters = site.parameters;
  parameters.servers = {second.url()};
  parameters.connections = 1;
  site.pool->set_parameters(parameters);
  // What was idle is closed, what runs goes on and is not kept afterwards.
  site.loop.run_until([&] { return kept_peer.is_over(); });
  site.answer(busy.lease, busy_peer);
  busy.lease.give_back();
  site.loop.run_until([&] { return busy_peer.is_over(); });
  CHECK(site.pool->counters().idle == 0);
  auto now = site.acquire();
  REQUIRE(now.lease);
  CHECK(now.lease.server().authority == second.url().substr(7));
  auto peer = second.accept(site.loop);
  CHECK(site.pool->server_count() == 1);

  // Both, and the bound on connections is the new one: no second one to `second`.
  parameters.servers = {second.url(), first.url()};
  site.pool->set_parameters(parameters);
  CHECK(site.pool->server_count() == 2);
  site.answer(now.lease, peer);
  now.lease.give_back();
  CHECK(site.pool->counters().idle == 1);
}

}  // namespace
}  // namespace larder::net
