#include "larder/proxy/value_leases.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <vector>

#include "../net/loopback.hpp"

namespace larder::proxy {
namespace {

using namespace std::chrono_literals;
using Time = ValueLeases::Time;

struct Queue {
  std::shared_ptr<LeaseWait> wait(int name, std::chrono::milliseconds most = 1h) {
    auto me = std::make_shared<LeaseWait>(loop.context.get_executor());
    net::asio::co_spawn(loop.context.get_executor(), one(name, me, now() + most), net::asio::detached);
    loop.settle();
    return me;
  }
  net::Awaitable<void> one(int name, std::shared_ptr<LeaseWait> me, Time until) {
    co_await leases.wait("k", until, me);
    woken.push_back(name);
  }
  static Time now() { return std::chrono::steady_clock::now(); }

  net::test::Loop loop;
  ValueLeases leases{3};
  std::vector<int> woken;
};

TEST_CASE("a lease is its holder's until it ends") {
  ValueLeases leases(10);
  const Time start{100s};
  CHECK_FALSE(leases.is_held("k", start));
  CHECK(leases.hold("k", "token", start + 10s, start));
  CHECK(leases.is_held("k", start + 9s));
  CHECK(leases.is_valid("k", "token", start + 9s));
  CHECK_FALSE(leases.is_valid("k", "other", start));
  CHECK_FALSE(leases.is_valid("k", "", start));
  CHECK_FALSE(leases.is_valid("other", "token", start));
  CHECK_FALSE(leases.is_held("k", start + 10s));
  CHECK_FALSE(leases.is_valid("k", "token", start + 10s));
  leases.changed("k");
  CHECK_FALSE(leases.is_valid("k", "token", start));
  CHECK(leases.size() == 0);
  CHECK(leases.hold("k", "", start + 10s, start));
  CHECK(leases.is_held("k", start));
  CHECK_FALSE(leases.is_valid("k", "", start));
}

TEST_CASE("there are not more than allowed; those that have ended make room") {
  ValueLeases leases(2);
  const Time start{100s};
  CHECK(leases.hold("a", "1", start + 1s, start));
  CHECK(leases.hold("b", "2", start + 5s, start));
  CHECK_FALSE(leases.hold("c", "3", start + 5s, start));
  CHECK(leases.hold("b", "4", start + 5s, start));
  CHECK(leases.hold("c", "3", start + 5s, start + 2s));
  CHECK_FALSE(leases.is_held("a", start));
}

TEST_CASE("the end of a lease wakes the first, a change wakes all") {
  Queue queue;
  (void)queue.leases.hold("k", "t", Queue::now() + 1h, Queue::now());
  for (int i = 1; i <= 3; ++i) (void)queue.wait(i);
  CHECK(queue.leases.waiting() == 3);
  CHECK(queue.woken.empty());
  (void)queue.leases.hold("k", "t", Queue::now() + 1h, Queue::now());
  queue.leases.end("k");
  (void)queue.leases.hold("k", "u", Queue::now() + 1h, Queue::now());
  queue.loop.settle();
  // The first leaves, and so lets the next one look at what has become of the lease; and so on.
  REQUIRE_FALSE(queue.woken.empty());
  CHECK(queue.woken.front() == 1);
  queue.woken.clear();
  for (int i = 4; i <= 5; ++i) (void)queue.wait(i);
  queue.leases.changed_if([](std::string_view key) { return key == "other"; });
  queue.loop.settle();
  CHECK(queue.woken.empty());
  queue.leases.changed_if([](std::string_view key) { return key == "k"; });
  queue.loop.settle();
  CHECK(queue.woken == std::vector<int>{4, 5});
  CHECK(queue.leases.waiting() == 0);
  CHECK(queue.leases.size() == 0);
}

TEST_CASE("who waits is woken by the lease's end, by its own deadline, or when its client goes") {
  Queue queue;
  (void)queue.leases.hold("k", "t", Queue::now() + 30ms, Queue::now());
  (void)queue.wait(1);
  queue.loop.run_until([&] { return queue.woken == std::vector<int>{1}; });

  (void)queue.leases.hold("k", "t", Queue::now() + 1h, Queue::now());
  (void)queue.wait(2, 20ms);
  queue.loop.run_until([&] { return queue.woken == std::vector<int>{1, 2}; });

  const auto gone = queue.wait(3);
  gone->abandon();
  queue.loop.run_until([&] { return queue.woken == std::vector<int>{1, 2, 3}; });
  CHECK(gone->is_abandoned());
  CHECK(queue.leases.is_held("k", Queue::now()));
  CHECK(queue.leases.waiting() == 0);
}

TEST_CASE("without a lease nobody waits") {
  Queue queue;
  (void)queue.wait(1);
  CHECK(queue.woken == std::vector<int>{1});
}

}  // namespace
}  // namespace larder::proxy
