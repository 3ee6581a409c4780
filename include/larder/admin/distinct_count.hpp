#pragma once
// How many different values there were, in constant memory: HyperLogLog (Flajolet et al. 2007) with 1024 registers,
// which is right to about 3 percent.
#include <array>
#include <cstdint>

namespace larder::admin {

/// Counts different hashes. 1 KiB.
class DistinctCount {
 public:
  /// `hash`: 64 well-mixed bits of the value.
  void add(std::uint64_t hash) noexcept;
  [[nodiscard]] double estimate() const noexcept;

 private:
  static constexpr unsigned index_bits = 10;
  std::array<std::uint8_t, 1U << index_bits> registers_{};
};

}  // namespace larder::admin
