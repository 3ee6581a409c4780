#include "larder/policy/outcome.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>

using namespace larder::policy;

namespace {

template <class Enumeration>
void check_names() {
  std::set<std::string> names;
  const auto count = static_cast<unsigned char>(Enumeration::count_);
  for (unsigned char i = 0; i < count; ++i) {
    const std::string name(to_string(static_cast<Enumeration>(i)));
    CHECK_FALSE(name.empty());
    CHECK(names.insert(name).second);
  }
  CHECK(to_string(Enumeration::count_).empty());
}

}  // namespace

TEST_CASE("every outcome has a name of its own") {
  check_names<NotStored>();
  check_names<NotReused>();
  check_names<CacheOutcome>();
  CHECK(to_string(NotStored::request_no_store) == "request_no_store");
  CHECK(to_string(NotReused::vary_miss) == "vary_miss");
  CHECK(to_string(CacheOutcome::revalidated) == "REVALIDATED");
}
