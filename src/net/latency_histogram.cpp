#include "larder/net/latency_histogram.hpp"

#include <cmath>
#include <numeric>

namespace larder::net {

std::uint64_t LatencyTotals::count() const noexcept {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

std::optional<std::chrono::nanoseconds> LatencyTotals::quantile(double part) const noexcept {
  const auto all = count();
  if (all == 0) return std::nullopt;
  const auto rank = std::clamp<double>(std::ceil(part * static_cast<double>(all)), 1, static_cast<double>(all));
  double before = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const auto here = static_cast<double>(buckets[i]);
    if (before + here < rank) {
      before += here;
      continue;
    }
    const auto lower = i == 0 ? std::chrono::nanoseconds{0} : LatencyBuckets::upper_bound(i - 1);
    if (i + 1 == buckets.size()) return lower;  // beyond the last bound nothing more is known
    const auto width = static_cast<double>((LatencyBuckets::upper_bound(i) - lower).count());
    return lower + std::chrono::nanoseconds(std::llround(width * (rank - before) / here));
  }
  return std::nullopt;
}

LatencyTotals& LatencyTotals::operator+=(const LatencyTotals& other) noexcept {
  for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
  sum += other.sum;
  return *this;
}

LatencyTotals LatencyTotals::since(const LatencyTotals& earlier) const noexcept {
  auto difference = *this;
  for (std::size_t i = 0; i < buckets.size(); ++i) difference.buckets[i] -= earlier.buckets[i];
  difference.sum -= earlier.sum;
  return difference;
}

void LatencyHistogram::read_into(LatencyTotals& totals) const noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) totals.buckets[i] += buckets_[i].value();
  totals.sum += std::chrono::nanoseconds(static_cast<std::int64_t>(sum_.value()));
}

}  // namespace larder::net
