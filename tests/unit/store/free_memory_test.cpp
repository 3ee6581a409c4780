#include "larder/store/free_memory.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <vector>

namespace larder::store {
namespace {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // those have allocators of their own
TEST_CASE("the holes between what is in use are given back once enough was freed") {
  constexpr std::size_t blocks = 2000;
  constexpr std::size_t size = 32768;
  std::vector<std::unique_ptr<char[]>> held;
  for (std::size_t i = 0; i < blocks; ++i) held.push_back(std::make_unique<char[]>(size));
  const auto full = resident_bytes();
  FreeMemory memory(blocks * size);
  for (std::size_t i = 0; i < blocks; i += 2) {
    held[i].reset();
    memory.add(size);
  }
  memory.give_back(full);
  CHECK(resident_bytes() > full - blocks * size / 8);
  for (int i = 0; i < 100; ++i) memory.add(size);
  memory.give_back(full - blocks * size / 2);
  CHECK(resident_bytes() > full - blocks * size / 8);  // too little was freed since
  for (std::size_t i = 0; i < blocks; ++i) memory.add(size);
  memory.give_back(full - blocks * size / 2);
  CHECK(resident_bytes() < full - blocks * size / 4);
}
#endif

TEST_CASE("a process knows how much of it is resident") { CHECK(resident_bytes() > 100'000); }

}  // namespace
}  // namespace larder::store
