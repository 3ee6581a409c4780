#include "larder/store/decoded_bodies.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>
#include <utility>

#include "gzip.hpp"

namespace larder::store {
namespace {

StoredPtr response(std::string body) {
  StoredParts parts;
  parts.body = std::make_shared<const std::string>(std::move(body));
  return StoredResponse::make(std::move(parts));
}
StoredPtr gzip(const std::string& text) { return response(test::gzip(text)); }

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
  const auto junk = response("junk");
  CHECK(bodies.body_of(junk, http::Coding::gzip, 1000) == nullptr);
  CHECK(bodies.body_of(junk, http::Coding::gzip, 1000) == nullptr);
  CHECK(bodies.body_of(gzip(std::string(1001, 'x')), http::Coding::gzip, 1000) == nullptr);
}

TEST_CASE("it holds no more than its capacity, and drops what was used longest ago") {
  DecodedBodies bodies(4500);
  const auto a = gzip(std::string(1500, 'a'));
  const auto b = gzip(std::string(1500, 'b'));
  const auto c = gzip(std::string(1500, 'c'));
  const auto first = bodies.body_of(a, http::Coding::gzip, 10000);
  (void)bodies.body_of(b, http::Coding::gzip, 10000);
  CHECK(bodies.body_of(a, http::Coding::gzip, 10000) == first);
  (void)bodies.body_of(c, http::Coding::gzip, 10000);
  CHECK(bodies.bytes() <= 4500);
  CHECK(bodies.body_of(a, http::Coding::gzip, 10000) == first);
  const auto large = gzip(std::string(5000, 'x'));
  CHECK(bodies.body_of(large, http::Coding::gzip, 10000)->size() == 5000);
  CHECK(bodies.bytes() <= 4500);
}

TEST_CASE("a body that has gone is not taken for another at its address") {
  DecodedBodies bodies;
  for (int i = 0; i < 100; ++i) {
    const auto text = std::to_string(i + 100);
    CHECK(*bodies.body_of(gzip(text), http::Coding::gzip, 100) == text);
  }
}

TEST_CASE("a large body that a successor shares is decoded once") {
  DecodedBodies bodies;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i * i % 7919);
  const auto first = gzip(text);
  REQUIRE(first->body().size() > StoredResponse::inline_body);
  StoredParts parts;
  parts.body = first->shared_body();
  const auto successor = StoredResponse::make(std::move(parts));
  const auto decoded = bodies.body_of(first, http::Coding::gzip, 1UL << 20);
  REQUIRE(decoded);
  CHECK(bodies.body_of(successor, http::Coding::gzip, 1UL << 20) == decoded);
}

}  // namespace
}  // namespace larder::store
