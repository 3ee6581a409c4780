#pragma once
// A number that one thread raises and others read.
#include <atomic>
#include <cstdint>

namespace larder::net {

/// A counter with a single writer: cheaper than an atomic increment, and safe to read from other threads.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace larder::net
