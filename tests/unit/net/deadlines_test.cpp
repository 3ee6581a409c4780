#include "larder/net/deadlines.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <memory>
#include <vector>

#include "loopback.hpp"

namespace larder::net {
namespace {

using test::Clock;
using test::Loop;
using namespace std::chrono_literals;

constexpr auto tick = 50ms;

TEST_CASE("a deadline expires once, not early and not much later") {
  Loop loop;
  for (const auto after : {0ms, 1ms, 49ms, 50ms, 51ms, 99ms, 120ms, 30ms, 170ms}) {
    CAPTURE(after.count());
    int expired = 0;
    Deadline deadline(loop.wheel, [&] { ++expired; });
    const auto start = Clock::now();
    deadline.arm(after);
    CHECK(deadline.is_armed());
    loop.run_until([&] { return expired > 0; });
    const auto took = Clock::now() - start;
    CHECK(took >= after);
    CHECK(took < after + tick + 500ms);  // the machine may be busy
    CHECK(!deadline.is_armed());
    loop.settle();
    CHECK(expired == 1);
  }
}

TEST_CASE("never early, whatever the phase of the tick") {
  Loop loop;
  for (int i = 0; i < 30; ++i) {
    bool expired = false;
    Deadline deadline(loop.wheel, [&] { expired = true; });
    const auto phase = Clock::now() + std::chrono::milliseconds(i * 7 % 50);
    loop.run_until([&] { return Clock::now() >= phase; });
    const auto start = Clock::now();
    deadline.arm(std::chrono::milliseconds(i));
    loop.run_until([&] { return expired; });
    CHECK(Clock::now() - start >= std::chrono::milliseconds(i));
  }
}

TEST_CASE("arming again moves it, later or earlier, and disarming stops it") {
  Loop loop;
  int expired = 0;
  Deadline moved(loop.wheel, [&] { ++expired; });
  const auto start = Clock::now();
  moved.arm(100ms);
  moved.arm(300ms);
  loop.run_until([&] { return expired > 0; });
  CHECK(Clock::now() - start >= 300ms);

  moved.arm(10min);
  moved.arm(60ms);
  const auto again = Clock::now();
  loop.run_until([&] { return expired > 1; });
  CHECK(Clock::now() - again < 5s);

  moved.arm(1ms);
  moved.disarm();
  CHECK(!moved.is_armed());
  bool other = false;
  Deadline later(loop.wheel, [&] { other = true; });
  later.arm(200ms);
  loop.run_until([&] { return other; });
  CHECK(expired == 2);
}

TEST_CASE("longer than one turn of the wheel") {
  Loop loop;
  bool expired = false;
  // Armed far away first, so that it hangs in a slot of a later turn, and then moved.
  Deadline deadline(loop.wheel, [&] { expired = true; });
  deadline.arm(27s);
  deadline.arm(Milliseconds::max());
  CHECK(deadline.is_armed());
  bool soon = false;
  Deadline other(loop.wheel, [&] { soon = true; });
  other.arm(100ms);
  loop.run_until([&] { return soon; });
  CHECK(!expired);
  deadline.arm(Milliseconds{-5});
  loop.run_until([&] { return expired; });
}

TEST_CASE("a callback may arm its own deadline, and arm, disarm and destroy others that are due with it") {
  Loop loop;
  int own = 0;
  std::unique_ptr<Deadline> self;
  self = std::make_unique<Deadline>(loop.wheel, [&] {
    if (++own < 3) self->arm(1ms);
  });
  self->arm(1ms);
  loop.run_until([&] { return own == 3; });

  std::vector<std::unique_ptr<Deadline>> deadlines;
  int first = -1;
  int moved = 0;
  for (int i = 0; i < 4; ++i) {
    deadlines.push_back(std::make_unique<Deadline>(loop.wheel, [&, i] {
      if (first >= 0) {
        ++moved;
        return;
      }
      first = i;
      deadlines[static_cast<std::size_t>(i + 1) % 4].reset();
      deadlines[static_cast<std::size_t>(i + 2) % 4]->disarm();
      deadlines[static_cast<std::size_t>(i + 3) % 4]->arm(150ms);
    }));
  }
  for (auto& deadline : deadlines) deadline->arm(20ms);
  loop.run_until([&] { return first >= 0; });
  const auto start = Clock::now();
  loop.run_until([&] { return moved > 0; });
  CHECK(Clock::now() - start >= 100ms);
  CHECK(moved == 1);
}

TEST_CASE("destroying an armed deadline, and stopping the wheel") {
  Loop loop;
  bool expired = false;
  {
    Deadline gone(loop.wheel, [&] { expired = true; });
    gone.arm(1ms);
  }
  Deadline stopped(loop.wheel, [&] { expired = true; });
  stopped.arm(1ms);
  loop.wheel.stop();
  const auto limit = Clock::now() + 200ms;
  loop.run_until([&] { return Clock::now() > limit; });
  CHECK(!expired);
}

TEST_CASE("a thousand deadlines expire in their order, tick by tick") {
  Loop loop;
  std::vector<std::unique_ptr<Deadline>> deadlines;
  std::vector<int> order;
  for (int i = 0; i < 1000; ++i) {
    const int at = i * 37 % 10;
    deadlines.push_back(std::make_unique<Deadline>(loop.wheel, [&, at] { order.push_back(at); }));
    deadlines.back()->arm(std::chrono::milliseconds(at * 100));
  }
  loop.run_until([&] { return order.size() == 1000; });
  CHECK(std::is_sorted(order.begin(), order.end()));
}

}  // namespace
}  // namespace larder::net
