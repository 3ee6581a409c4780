#include "larder/net/pace.hpp"

#include <doctest/doctest.h>

namespace larder::net {
namespace {

using namespace std::chrono_literals;

TEST_CASE("some at once, then one per interval, and each tells how many were held back") {
  std::chrono::steady_clock::time_point now{1h};
  Pace pace(3, 100ms, now);
  for (int i = 0; i < 3; ++i) CHECK(pace.allow(now) == 0);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(pace.allow(now));
  CHECK_FALSE(pace.allow(now + 99ms));
  CHECK(pace.allow(now + 100ms) == 6);
  CHECK_FALSE(pace.allow(now + 199ms));
  CHECK(pace.allow(now + 250ms) == 1);
  // The rest of an interval is not lost.
  CHECK(pace.allow(now + 300ms) == 0);
  // No more is saved up than the burst.
  now += 1h;
  for (int i = 0; i < 3; ++i) CHECK(pace.allow(now) == 0);
  CHECK_FALSE(pace.allow(now));
}

}  // namespace
}  // namespace larder::net
