#include "larder/store/decoded_bodies.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>

#include "gzip.hpp"

namespace larder::store {
namespace {

SharedBody gzip(const std::string& text) { return std::make_shared<const std::string>(test::gzip(text)); }

TEST_CASE("a body is decoded once") {
  DecodedBodies bodies;
  const auto coded = gzip("hello, world");
  const auto first = bodies.body_of(coded, http::Coding::gzip, 1000);
  REQUIRE(first);
  CHECK(*first == "hello, world");
  CHECK(bodies.body_of(coded, http::Coding::gzip, 1000) == first);
  CHECK(bodies.body_of(gzip("hello, world"), http::Coding::gzip, 1000) != first);
}

TEST_CASE("what does not decode, or to too much, is null") {
  DecodedBodies bodies;
  const auto junk = std::make_shared<const std::string>("junk");
  CHECK(bodies.body_of(junk, http::Coding::gzip, 1000) == nullptr);
  CHECK(bodies.body_of(junk, http::Coding::gzip, 1000) == nullptr);
  CHECK(bodies.body_of(gzip(std::string(1001, 'x')), http::Coding::gzip, 1000) == nullptr);
}

TEST_CASE("it holds no more than its capacity, and drops what was used longest ago") {
  DecodedBodies bodies(4000);
  const auto a = gzip(std::string(1500, 'a'));
  const auto b = gzip(std::string(1500, 'b'));
  const auto c = gzip(std::string(1500, 'c'));
  const auto first = bodies.body_of(a, http::Coding::gzip, 10000);
  (void)bodies.body_of(b, http::Coding::gzip, 10000);
  CHECK(bodies.body_of(a, http::Coding::gzip, 10000) == first);
  (void)bodies.body_of(c, http::Coding::gzip, 10000);
  CHECK(bodies.bytes() <= 4000);
  CHECK(bodies.body_of(a, http::Coding::gzip, 10000) == first);
  const auto large = gzip(std::string(5000, 'x'));
  CHECK(bodies.body_of(large, http::Coding::gzip, 10000)->size() == 5000);
  CHECK(bodies.bytes() <= 4000);
}

TEST_CASE("another body at the same address is not taken for the first") {
  DecodedBodies bodies;
  std::string storage = *gzip("one");
  const SharedBody first(&storage, [](const std::string*) {});
  CHECK(*bodies.body_of(first, http::Coding::gzip, 100) == "one");
  const auto other = *gzip("two");
  storage = other;
  const SharedBody second(&storage, [](const std::string*) {});
  CHECK(*bodies.body_of(second, http::Coding::gzip, 100) == "two");
}

}  // namespace
}  // namespace larder::store
