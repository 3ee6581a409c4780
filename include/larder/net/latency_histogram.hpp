#pragma once
// How long things took, counted in buckets of fixed, logarithmic bounds: from a quarter of a microsecond to 67 s, four
// buckets to each doubling, so that an estimate is wrong by an eighth at the most. One thread writes, without a lock
// and without allocating; others read, and add up what several threads have written.
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "larder/net/counter.hpp"

namespace larder::net {

/// Bounds of the buckets, as pure functions of their number.
struct LatencyBuckets {
  using Duration = std::chrono::nanoseconds;
  static constexpr std::size_t doublings = 26;  ///< of one microsecond
  /// Four up to 1 µs, four to each doubling, and one for what is longer than the last bound.
  static constexpr std::size_t count = 4 * (doublings + 1) + 1;

  /// The bucket of a duration; negative ones are in the first.
  static constexpr std::size_t of(Duration duration) noexcept {
    // A quarter of a microsecond is the unit, and a bound belongs to the bucket that it ends.
    const auto units = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 1) - 1) / 250;
    if (units < 4) return static_cast<std::size_t>(units);
    const auto doubling = static_cast<unsigned>(std::bit_width(units)) - 3;  // 4..7 are the first
    const std::size_t bucket = (std::size_t{doubling} + 1) * 4 + ((units >> doubling) & 3U);
    return std::min(bucket, count - 1);
  }
  /// Durations up to and with this one are in the bucket or one before it; not for the last, which has no bound.
  static constexpr Duration upper_bound(std::size_t bucket) noexcept {
    const auto unit = Duration(250);
    if (bucket < 4) return unit * static_cast<std::int64_t>(bucket + 1);
    return unit * (static_cast<std::int64_t>(bucket % 4 + 5) << (bucket / 4 - 1));
  }
};

/// What a histogram, or several, held at one moment; a plain value.
struct LatencyTotals {
  std::array<std::uint64_t, LatencyBuckets::count> buckets{};
  std::chrono::nanoseconds sum{0};

  [[nodiscard]] std::uint64_t count() const noexcept;
  /// The duration under which `part` (0..1) of all were, estimated within its bucket; empty where there was none.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> quantile(double part) const noexcept;
  LatencyTotals& operator+=(const LatencyTotals& other) noexcept;
  /// What has come since `earlier`, a former value of the same histograms.
  [[nodiscard]] LatencyTotals since(const LatencyTotals& earlier) const noexcept;
};

/// One writer.
class LatencyHistogram {
 public:
  void add(std::chrono::nanoseconds duration, std::uint64_t times = 1) noexcept {
    buckets_[LatencyBuckets::of(duration)].add(times);
    sum_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)) * times);
  }
  /// From any thread. What is added meanwhile may be in one bucket and not yet in the sum.
  void read_into(LatencyTotals& totals) const noexcept;

 private:
  std::array<Counter, LatencyBuckets::count> buckets_;
  Counter sum_;  ///< nanoseconds
};

}  // namespace larder::net
