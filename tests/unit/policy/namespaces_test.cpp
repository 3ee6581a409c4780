#include "larder/policy/namespaces.hpp"

#include <doctest/doctest.h>
#include <set>
#include <string>

namespace larder::policy {
namespace {

TEST_CASE("a prefix's namespace, or else the default one") {
  Namespaces spaces;
  CHECK(spaces.find("") == &spaces.all[0]);
  CHECK(spaces.find("session") == &spaces.all[0]);
  spaces.all.push_back({.name = "session", .ttl = Seconds{60}, .readers = {}, .writers = {}});
  CHECK(spaces.find("session") == &spaces.all[1]);
  CHECK(spaces.find("sessions") == &spaces.all[0]);
  CHECK(spaces.find("default") == &spaces.all[0]);
  spaces.all.erase(spaces.all.begin());
  CHECK(spaces.find("session") == &spaces.all[0]);
  CHECK(spaces.find("sessions") == nullptr);
  CHECK(spaces.find("") == nullptr);
}

TEST_CASE("what a token is worth") {
  const Namespace space{.name = "session",
                        .ttl = Seconds{60},
                        .readers = {token_digest("r"), token_digest("both")},
                        .writers = {token_digest("w"), token_digest("both")}};
  const struct {
    const char* token;
    TokenScope scope;
  } table[] = {{"r", TokenScope::read}, {"w", TokenScope::write}, {"both", TokenScope::write},
               {"", TokenScope::none},  {"rw", TokenScope::none}, {"R", TokenScope::none}};
  for (const auto& row : table) {
    CAPTURE(std::string(row.token));
    CHECK(scope_of(space, token_digest(row.token)) == row.scope);
  }
  CHECK(scope_of(Namespace{}, token_digest("")) == TokenScope::none);
}

TEST_CASE("digests are SHA-256, and equal for equal tokens only") {
  const auto digest = token_digest("abc");
  CHECK(std::string(digest.begin(), digest.end()) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(equal_digests(digest, token_digest("abc")));
  CHECK_FALSE(equal_digests(digest, token_digest("abd")));
}

}  // namespace
}  // namespace larder::policy
