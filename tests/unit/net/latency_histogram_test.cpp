#include "larder/net/latency_histogram.hpp"

#include <doctest/doctest.h>
#include <vector>

namespace larder::net {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST_CASE("every duration is in the bucket whose bounds enclose it") {
  CHECK(LatencyBuckets::upper_bound(3) == microseconds(1));
  CHECK(LatencyBuckets::upper_bound(7) == microseconds(2));
  CHECK(LatencyBuckets::upper_bound(11) == microseconds(4));
  CHECK(LatencyBuckets::upper_bound(LatencyBuckets::count - 2) == microseconds(std::int64_t{1} << 26));
  for (std::size_t i = 0; i + 1 < LatencyBuckets::count; ++i) {
    CAPTURE(i);
    const auto bound = LatencyBuckets::upper_bound(i);
    CHECK(LatencyBuckets::of(bound) == i);
    CHECK(LatencyBuckets::of(bound + nanoseconds(1)) == i + 1);
    // Four to a doubling: none is wider than a quarter of where it begins.
    if (i >= 4) CHECK((bound - LatencyBuckets::upper_bound(i - 1)) * 4 <= LatencyBuckets::upper_bound(i - 1));
  }
  CHECK(LatencyBuckets::of(nanoseconds(-5)) == 0);
  CHECK(LatencyBuckets::of(nanoseconds(0)) == 0);
  CHECK(LatencyBuckets::of(nanoseconds::max()) == LatencyBuckets::count - 1);
}

LatencyTotals read(const LatencyHistogram& histogram) {
  LatencyTotals totals;
  histogram.read_into(totals);
  return totals;
}

TEST_CASE("quantiles are right to an eighth") {
  CHECK_FALSE(LatencyTotals{}.quantile(0.5).has_value());
  LatencyHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.add(microseconds(i));
  const auto totals = read(histogram);
  CHECK(totals.count() == 1000);
  CHECK(totals.sum == microseconds(500500));
  for (const auto& [part, right] : std::vector<std::pair<double, int>>{{0.5, 500}, {0.95, 950}, {0.99, 990}}) {
    const auto estimate = totals.quantile(part);
    REQUIRE(estimate.has_value());
    CHECK(*estimate > microseconds(right) * 7 / 8);
    CHECK(*estimate < microseconds(right) * 9 / 8);
  }
  CHECK(*totals.quantile(0) <= microseconds(1));
  CHECK(*totals.quantile(1) >= microseconds(1000));
}

TEST_CASE("what is longer than all bounds, many at once, negative ones") {
  LatencyHistogram histogram;
  histogram.add(seconds(1000), 3);
  histogram.add(nanoseconds(-1));
  const auto totals = read(histogram);
  CHECK(totals.count() == 4);
  CHECK(totals.sum == seconds(3000));
  CHECK(*totals.quantile(0.99) == LatencyBuckets::upper_bound(LatencyBuckets::count - 2));
}

TEST_CASE("totals are added, and compared with earlier ones") {
  LatencyHistogram a;
  LatencyHistogram b;
  a.add(microseconds(3));
  b.add(microseconds(300), 2);
  auto totals = read(a);
  totals += read(b);
  CHECK(totals.count() == 3);
  const auto earlier = totals;
  a.add(microseconds(30));
  auto later = read(a);
  later += read(b);
  const auto between = later.since(earlier);
  CHECK(between.count() == 1);
  CHECK(between.sum == microseconds(30));
  CHECK(between.buckets[LatencyBuckets::of(microseconds(30))] == 1);
}

}  // namespace
}  // namespace larder::net
