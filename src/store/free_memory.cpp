#include "larder/store/free_memory.hpp"

#include <fstream>
#include <malloc.h>
#include <unistd.h>

namespace larder::store {

void FreeMemory::give_back(std::size_t in_use) {
  if (freed_.load(std::memory_order_relaxed) < step_) return;
  freed_.store(0, std::memory_order_relaxed);
  if (resident_bytes() > in_use + slack_) (void)malloc_trim(0);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  if (!(statm >> all >> resident)) return 0;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace larder::store
