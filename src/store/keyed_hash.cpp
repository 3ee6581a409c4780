#include "larder/store/keyed_hash.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <random>

namespace larder::store {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded as they lie in memory");

struct State {
  std::uint64_t v0;
  std::uint64_t v1;
  std::uint64_t v2;
  std::uint64_t v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
};

template <int compression_rounds, int finalisation_rounds>
std::uint64_t siphash(HashKey key, std::string_view bytes) noexcept {
  State state{key.low ^ 0x736f6d6570736575U, key.high ^ 0x646f72616e646f6dU, key.low ^ 0x6c7967656e657261U,
              key.high ^ 0x7465646279746573U};
  const auto absorb = [&state](std::uint64_t word) {
    state.v3 ^= word;
    for (int i = 0; i < compression_rounds; ++i) state.round();
    state.v0 ^= word;
  };
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56U;
  std::size_t at = 0;
  for (; bytes.size() - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    absorb(word);
  }
  for (unsigned shift = 0; at < bytes.size(); ++at, shift += 8) {
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at])) << shift;
  }
  absorb(last);
  state.v2 ^= 0xffU;
  for (int i = 0; i < finalisation_rounds; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

HashKey random_key() {
  std::random_device device;
  const auto word = [&device] { return static_cast<std::uint64_t>(device()) << 32U | device(); };
  const auto low = word();
  return {low, word()};
}

}  // namespace

std::uint64_t siphash13(HashKey key, std::string_view bytes) noexcept { return siphash<1, 3>(key, bytes); }
std::uint64_t siphash24(HashKey key, std::string_view bytes) noexcept { return siphash<2, 4>(key, bytes); }

std::uint64_t keyed_hash(std::string_view bytes) {
  static const HashKey key = random_key();
  return siphash13(key, bytes);
}

}  // namespace larder::store
