#include "larder/policy/digest.hpp"

#include <doctest/doctest.h>
#include <string>

namespace larder::policy {
namespace {

TEST_CASE("same_secret") {
  CHECK(same_secret("", ""));
  CHECK(same_secret("token", "token"));
  CHECK(same_secret(std::string("a\0b", 3), std::string("a\0b", 3)));
  CHECK_FALSE(same_secret("token", "Token"));
  CHECK_FALSE(same_secret("token", "token "));
  CHECK_FALSE(same_secret("", "token"));
  CHECK_FALSE(same_secret(std::string("a\0b", 3), std::string("a\0c", 3)));
  CHECK_FALSE(same_secret(std::string(100000, 'x'), "x"));
}

}  // namespace
}  // namespace larder::policy
