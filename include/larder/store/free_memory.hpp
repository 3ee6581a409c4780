#pragma once
// Memory that was freed but is still resident: bodies of ever new sizes leave holes between them that the allocator
// keeps. Given back to the system before it comes to much, so that the memory tier's budget bounds what is resident.
#include <atomic>
#include <cstddef>

namespace larder::store {

/// Thread-safe.
class FreeMemory {
 public:
  /// `capacity`: bytes of the budget that bounds what is in use.
  explicit FreeMemory(std::size_t capacity) : step_(capacity / 16), slack_(capacity / 8) {}

  /// So many bytes were freed.
  void add(std::size_t bytes) noexcept { freed_.fetch_add(bytes, std::memory_order_relaxed); }
  /// Gives back what is free where a sixteenth of the capacity was freed since the last time and the process has more
  /// than an eighth of the capacity resident beyond the bytes `in_use`. Takes milliseconds per 100 MiB of capacity
  /// then, in which others may wait to allocate; else next to nothing.
  void give_back(std::size_t in_use);

 private:
  const std::size_t step_;
  const std::size_t slack_;
  std::atomic<std::size_t> freed_{0};
};

/// Bytes of this process that are resident; 0 where the system does not tell.
std::size_t resident_bytes();

}  // namespace larder::store
