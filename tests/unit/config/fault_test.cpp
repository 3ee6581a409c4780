#include "larder/config/fault.hpp"

#include <array>
#include <doctest/doctest.h>
#include <string>

namespace larder::config {
namespace {

TEST_CASE("format: file, line, what is wrong, what would be right") {
  CHECK(format({"conf/larder.yaml", 12, "workers: \"x\" is wrong", "write a number"}) ==
        "conf/larder.yaml:12: workers: \"x\" is wrong, write a number");
  CHECK(format({"command line: --origin", 0, "it is wrong", "write a URL"}) ==
        "command line: --origin: it is wrong, write a URL");
}

TEST_CASE("shown: no control characters, no endless text") {
  CHECK(shown("a b") == "\"a b\"");
  CHECK(shown("a\x1b[31m\n") == "\"a\\x1b[31m\\x0a\"");
  CHECK(shown(std::string(1000, 'x')).size() < 70);
}

TEST_CASE("nearest: misspellings, not guesses") {
  constexpr std::array<std::string_view, 4> words{"listen", "head_size", "store_despite", "ttl"};
  CHECK(nearest("listen", words) == "listen");
  CHECK(nearest("Listne", words) == "listen");
  CHECK(nearest("head-size", words) == "head_size");
  CHECK(nearest("store_despit", words) == "store_despite");
  CHECK(nearest("tll", words) == "ttl");
  CHECK(nearest("", words).empty());
  CHECK(nearest("xyz", words).empty());
  CHECK(nearest(std::string(10000, 'l'), words).empty());
  CHECK(known_words("lissen", words) == "did you mean listen?");
  CHECK(known_words("zzz", words) == "it may be listen, head_size, store_despite or ttl");
}

}  // namespace
}  // namespace larder::config
