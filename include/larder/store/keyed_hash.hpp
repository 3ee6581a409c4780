#pragma once
// SipHash (Aumasson, Bernstein 2012): a hash of bytes that others choose (canonical requests, targets, keys), under a
// secret key of this process, so that nobody can send requests that all fall into one bucket.
#include <cstdint>
#include <string_view>

namespace larder::store {

/// The secret of a hash.
struct HashKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

/// SipHash-1-3, the variant for hash tables.
[[nodiscard]] std::uint64_t siphash13(HashKey key, std::string_view bytes) noexcept;
/// SipHash-2-4, the original: its published test vectors check the code that both share.
[[nodiscard]] std::uint64_t siphash24(HashKey key, std::string_view bytes) noexcept;

/// SipHash-1-3 under a random key drawn once per process. Values differ from process to process: never store them.
/// Throws what std::random_device throws at the first call only.
[[nodiscard]] std::uint64_t keyed_hash(std::string_view bytes);

/// keyed_hash() for unordered containers, transparent: a std::string_view finds without a copy.
struct KeyedHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::size_t operator()(std::string_view bytes) const { return keyed_hash(bytes); }
};

}  // namespace larder::store
