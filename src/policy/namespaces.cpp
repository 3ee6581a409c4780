#include "larder/policy/namespaces.hpp"

#include <openssl/crypto.h>

#include "larder/policy/digest.hpp"

namespace larder::policy {

TokenDigest token_digest(std::string_view token) {
  Digest digest(Digest::Algorithm::sha256);
  digest.update(token);
  TokenDigest hex{};
  digest.finish_hex(hex.data());
  return hex;
}

bool equal_digests(const TokenDigest& a, const TokenDigest& b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

const Namespace* Namespaces::find(std::string_view prefix) const noexcept {
  const Namespace* fallback = nullptr;
  for (const auto& space : all) {
    if (space.name == prefix) return &space;
    if (space.name == default_namespace) fallback = &space;
  }
  return fallback;
}

TokenScope scope_of(const Namespace& space, const TokenDigest& token) noexcept {
  bool reads = false;
  bool writes = false;
  for (const auto& reader : space.readers) reads |= equal_digests(reader, token);
  for (const auto& writer : space.writers) writes |= equal_digests(writer, token);
  if (writes) return TokenScope::write;
  return reads ? TokenScope::read : TokenScope::none;
}

}  // namespace larder::policy
