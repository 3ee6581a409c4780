#include "larder/net/input_buffer.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <string_view>

namespace larder::net {
namespace {

void fill(InputBuffer& buffer, std::string_view bytes) {
  REQUIRE(buffer.room().size() >= bytes.size());
  std::memcpy(buffer.room().data(), bytes.data(), bytes.size());
  buffer.filled(bytes.size());
}

TEST_CASE("it begins without a block, and content is used from the front") {
  InputBuffer buffer(8);
  CHECK(buffer.capacity() == 0);
  CHECK(buffer.empty());
  REQUIRE(buffer.make_room(32));
  fill(buffer, "abcdef");
  buffer.consume(2);
  CHECK(buffer.data() == "cdef");
  buffer.consume(4);
  CHECK(buffer.empty());
}

TEST_CASE("room is made by moving, then by growing, up to the limit") {
  InputBuffer buffer(8);
  REQUIRE(buffer.make_room(32));
  fill(buffer, "abcdefgh");
  CHECK(buffer.is_full());
  buffer.consume(3);
  CHECK_FALSE(buffer.is_full());
  REQUIRE(buffer.make_room(32));
  CHECK(buffer.capacity() == 8);
  CHECK(buffer.data() == "defgh");
  fill(buffer, "ijk");
  REQUIRE(buffer.make_room(20));
  CHECK(buffer.capacity() == 16);
  fill(buffer, "lmnopqrs");
  REQUIRE(buffer.make_room(20));
  CHECK(buffer.capacity() == 20);
  fill(buffer, "tuvw");
  CHECK_FALSE(buffer.make_room(20));
  CHECK(buffer.data() == "defghijklmnopqrstuvw");
}

TEST_CASE("what was used up gives its room back, and an idle buffer its large block") {
  InputBuffer buffer(8);
  REQUIRE(buffer.make_room(8));
  fill(buffer, "abcdefgh");
  buffer.consume(8);
  REQUIRE(buffer.make_room(8));
  CHECK(buffer.room().size() == 8);
  buffer.clear();
  CHECK(buffer.capacity() == 8);
  fill(buffer, "abcdefgh");
  REQUIRE(buffer.make_room(64));
  buffer.clear();
  CHECK(buffer.capacity() == 0);
  CHECK(buffer.empty());
}

}  // namespace
}  // namespace larder::net
