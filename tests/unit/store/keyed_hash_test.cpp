#include "larder/store/keyed_hash.hpp"

#include <array>
#include <cstddef>
#include <doctest/doctest.h>
#include <set>
#include <string>

namespace larder::store {
namespace {

// The key and inputs of the reference implementation's vectors: key bytes 00..0f, input bytes 00, 01, 02, ...
constexpr HashKey reference_key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

std::string reference_input(std::size_t size) {
  std::string input;
  for (std::size_t i = 0; i < size; ++i) input += static_cast<char>(i);
  return input;
}

TEST_CASE("siphash24: the published vectors") {
  struct Row {
    std::size_t size;
    std::uint64_t expected;
  };
  const std::array rows{Row{0, 0x726fdb47dd0e0e31U}, Row{1, 0x74f839c593dc67fdU}, Row{7, 0xab0200f58b01d137U},
                        Row{8, 0x93f5f5799a932462U}, Row{15, 0xa129ca6149be45e5U}};
  for (const auto& row : rows) {
    CAPTURE(row.size);
    CHECK(siphash24(reference_key, reference_input(row.size)) == row.expected);
  }
}

TEST_CASE("siphash13: depends on every byte, on the length and on the key") {
  std::set<std::uint64_t> seen;
  for (std::size_t size = 0; size < 64; ++size) seen.insert(siphash13(reference_key, reference_input(size)));
  for (std::size_t size = 0; size < 64; ++size) seen.insert(siphash13(reference_key, std::string(size, '\0')));
  CHECK(seen.size() == 64 + 64 - 2);  // the empty input and the single zero byte come twice
  auto input = reference_input(33);
  const auto hash = siphash13(reference_key, input);
  for (auto& byte : input) {
    const auto old = byte;
    byte = static_cast<char>(byte ^ 1);
    CHECK(siphash13(reference_key, input) != hash);
    byte = old;
  }
  CHECK(siphash13({1, 2}, input) != hash);
}

TEST_CASE("keyed_hash: one key per process") {
  CHECK(keyed_hash("a") == keyed_hash("a"));
  CHECK(keyed_hash("a") != keyed_hash("b"));
  CHECK(KeyedHash{}("a") == keyed_hash("a"));
}

}  // namespace
}  // namespace larder::store
