#include "larder/store/variance_index.hpp"

#include <doctest/doctest.h>
#include <string>

namespace larder::store {
namespace {

policy::QueryVariance but(const std::string& name) { return {.names = {name}}; }

TEST_CASE("variances of a path are found, the last stated one first") {
  VarianceIndex index;
  CHECK(index.empty());
  CHECK(index.find("/a").empty());
  CHECK_FALSE(index.remember("/a", {}));
  CHECK(index.empty());
  index.remember("/a", but("x"));
  index.remember("/a", but("y"));
  index.remember("/a", but("x"));
  CHECK_FALSE(index.empty());
  CHECK(index.find("/a") == std::vector{but("x"), but("y")});
  CHECK(index.find("/b").empty());
}

TEST_CASE("it is bounded, per path and in all") {
  VarianceIndex index;
  for (int i = 0; i < 10; ++i) index.remember("/a", but(std::to_string(i)));
  CHECK(index.find("/a").size() == VarianceIndex::max_per_path);
  CHECK(index.find("/a").front() == but("9"));
  for (std::size_t i = 0; i < VarianceIndex::max_paths; ++i) index.remember("/" + std::to_string(i), but("x"));
  CHECK(index.find("/a").empty());
  CHECK(index.find("/" + std::to_string(VarianceIndex::max_paths - 1)).size() == 1);
  const std::string long_path(VarianceIndex::max_size, 'a');
  CHECK_FALSE(index.remember(long_path, but("x")));
  CHECK_FALSE(index.remember("/b", but(long_path)));
  CHECK(index.find(long_path).empty());
  CHECK(index.find("/b").empty());
}

}  // namespace
}  // namespace larder::store
