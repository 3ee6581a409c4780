#pragma once
// The namespaces of the key-value store: how long their values live, and who may read and write them. Pure.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/freshness.hpp"

namespace larder::policy {

/// SHA-256 of a token in lower-case hex: what is kept of it, so that it can be compared but never told.
using TokenDigest = std::array<char, 64>;
TokenDigest token_digest(std::string_view token);
/// Takes the same time whatever the two are.
bool equal_digests(const TokenDigest& a, const TokenDigest& b) noexcept;

/// One entry of `namespaces:`.
struct Namespace {
  std::string name;   ///< what stands in front of the first ':' of its keys; "default" is that of all other keys
  Seconds ttl{3600};  ///< of a value that is stored without one
  std::vector<TokenDigest> readers;
  std::vector<TokenDigest> writers;  ///< they may read too
};

/// The name of the namespace that holds what no other one does.
inline constexpr std::string_view default_namespace = "default";

/// All namespaces. A RuleSet without `namespaces:` has the default one alone.
struct Namespaces {
  std::vector<Namespace> all{
      Namespace{.name = std::string(default_namespace), .ttl = Seconds{3600}, .readers = {}, .writers = {}}};

  /// The namespace of keys with this prefix (empty for none); null where it is not configured and the default one is
  /// off.
  [[nodiscard]] const Namespace* find(std::string_view prefix) const noexcept;
};

/// What a token is worth in a namespace.
enum class TokenScope : unsigned char { none, read, write };
/// Compares with every token of the namespace, in a time that does not depend on the token.
TokenScope scope_of(const Namespace& space, const TokenDigest& token) noexcept;

}  // namespace larder::policy
