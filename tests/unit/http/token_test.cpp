#include "larder/http/token.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>

namespace larder::http {
namespace {

TEST_CASE("tokens") {
  for (const auto* good : {"a", "gzip", "*", "en-US", "!#$%&'*+-.^_`|~09AZaz"}) CHECK(is_token(good));
  for (const auto* bad : {"", " ", "a b", "a,b", "a;b", "\"a\"", "a/b", "a=b", "(a)", "f\xC3\xB6", "\x7F", "a\t"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_token(bad));
  }
  CHECK_FALSE(is_token(std::string_view("a\0", 2)));
}

}  // namespace
}  // namespace larder::http
