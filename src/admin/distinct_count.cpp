#include "larder/admin/distinct_count.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace larder::admin {

void DistinctCount::add(std::uint64_t hash) noexcept {
  const auto index = static_cast<std::size_t>(hash >> (64 - index_bits));
  // The bit behind them ends the run of zeros at the latest.
  const auto rest = (hash << index_bits) | (1ULL << (index_bits - 1));
  const auto rank = static_cast<std::uint8_t>(std::countl_zero(rest) + 1);
  registers_[index] = std::max(registers_[index], rank);
}

double DistinctCount::estimate() const noexcept {
  const auto m = static_cast<double>(registers_.size());
  double sum = 0;
  double empty = 0;
  for (const auto rank : registers_) {
    sum += std::ldexp(1.0, -rank);
    if (rank == 0) ++empty;
  }
  const double alpha = 0.7213 / (1 + 1.079 / m);
  const double raw = alpha * m * m / sum;
  // Small counts are told by the registers that are still empty.
  return raw <= 2.5 * m && empty > 0 ? m * std::log(m / empty) : raw;
}

}  // namespace larder::admin
