#include "larder/net/wait_point.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <thread>
#include <vector>

#include "loopback.hpp"

namespace larder::net {
namespace {

using test::Loop;

Awaitable<void> wait_times(std::shared_ptr<WaitPoint> point, int times, int& waited) {
  for (int i = 0; i < times; ++i) {
    co_await point->wait();
    ++waited;
  }
}

TEST_CASE("a notification before the wait is kept, and several are one") {
  Loop loop;
  const auto point = std::make_shared<WaitPoint>(loop.context.get_executor());
  point->notify();
  point->notify();
  loop.settle();
  int waited = 0;
  bool done = false;
  loop.start(wait_times(point, 2, waited), done);
  loop.settle();
  CHECK(waited == 1);
  point->notify();
  loop.run_until([&] { return done; });
  CHECK(waited == 2);
}

TEST_CASE("every notification from another thread is seen") {
  Loop loop;
  const auto point = std::make_shared<WaitPoint>(loop.context.get_executor());
  std::atomic<int> produced{0};
  int seen = 0;
  bool done = false;
  constexpr int last = 20000;
  const auto consume = [&]() -> Awaitable<void> {
    while (seen < last) {
      co_await point->wait();
      seen = produced.load();
    }
  };
  loop.start(consume(), done);
  std::thread producer([&] {
    for (int i = 1; i <= last; ++i) {
      produced = i;
      point->notify();
    }
  });
  loop.run_until([&] { return done; }, "a notification was lost");
  producer.join();
  CHECK(seen == last);
}

TEST_CASE("a notification may outlive its waiter") {
  Loop loop;
  auto point = std::make_shared<WaitPoint>(loop.context.get_executor());
  const std::weak_ptr<WaitPoint> watched = point;
  point->notify();
  point.reset();
  CHECK(!watched.expired());
  loop.settle();
  CHECK(watched.expired());
}

TEST_CASE("what waits goes with its context") {
  struct Destroyed {
    std::shared_ptr<bool> flag;
    ~Destroyed() { *flag = true; }
  };
  auto destroyed = std::make_shared<bool>(false);
  {
    Loop loop;
    // The coroutine holds the point that it waits on, and, behind a call, another one that nobody waits on.
    const auto wait = [](std::shared_ptr<WaitPoint> point, std::shared_ptr<bool> flag) -> Awaitable<void> {
      const Destroyed on_exit{std::move(flag)};
      int waited = 0;
      const auto other = std::make_shared<WaitPoint>(co_await asio::this_coro::executor);
      co_await wait_times(point, 1, waited);
    };
    asio::co_spawn(loop.context.get_executor(),
                   wait(std::make_shared<WaitPoint>(loop.context.get_executor()), destroyed), asio::detached);
    loop.settle();
    CHECK(!*destroyed);
  }
  CHECK(*destroyed);
}

}  // namespace
}  // namespace larder::net
