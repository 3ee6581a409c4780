#include "larder/admin/distinct_count.hpp"

#include <doctest/doctest.h>
#include <string>

#include "larder/store/keyed_hash.hpp"

namespace larder::admin {
namespace {

TEST_CASE("DistinctCount: about right, whatever is repeated") {
  for (const int many : {0, 1, 2, 10, 100, 1000, 10000, 200000}) {
    DistinctCount count;
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < many; ++i) count.add(store::keyed_hash("value " + std::to_string(i)));
    }
    CAPTURE(many);
    // Five times the standard error of 3.25 %, and one for the smallest.
    CHECK(count.estimate() >= many * 0.83 - 1);
    CHECK(count.estimate() <= many * 1.17 + 1);
  }
}

}  // namespace
}  // namespace larder::admin
