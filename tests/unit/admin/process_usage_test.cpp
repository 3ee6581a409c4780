#include "larder/admin/process_usage.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

namespace larder::admin {
namespace {

TEST_CASE("the system says what this process uses") {
  const auto before = process_usage();
  CHECK(before.resident_bytes > 1UL << 20);
  CHECK(before.most_descriptors > 0);
  CHECK(before.open_descriptors >= 3);
  CHECK(before.open_descriptors < before.most_descriptors);
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(descriptor >= 0);
  CHECK(process_usage().open_descriptors == before.open_descriptors + 1);
  ::close(descriptor);
  CHECK(process_usage().open_descriptors == before.open_descriptors);
  CHECK(process_usage().cpu_seconds >= before.cpu_seconds);
}

}  // namespace
}  // namespace larder::admin
