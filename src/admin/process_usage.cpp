#include "larder/admin/process_usage.hpp"

#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

namespace larder::admin {

ProcessUsage process_usage() {
  ProcessUsage usage;
  std::ifstream statm("/proc/self/statm");
  std::uint64_t virtual_pages = 0;
  std::uint64_t resident_pages = 0;
  if (statm >> virtual_pages >> resident_pages) {
    usage.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  rusage resources{};
  if (::getrusage(RUSAGE_SELF, &resources) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    usage.cpu_seconds = seconds(resources.ru_utime) + seconds(resources.ru_stime);
  }
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator{}; it.increment(error)) {
    ++usage.open_descriptors;
  }
  if (usage.open_descriptors > 0) --usage.open_descriptors;  // the one that reads the folder
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.most_descriptors = limit.rlim_cur;
  return usage;
}

}  // namespace larder::admin
