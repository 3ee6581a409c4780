#pragma once
// Message digests by OpenSSL, with one context per thread: a digest costs the hashing and little else.
#include <cstddef>
#include <string_view>

namespace larder::policy {

/// One digest being computed. At most one of each algorithm may be in use on a thread at a time.
/// Throws std::runtime_error where OpenSSL does not offer SHA-256 or has no memory.
class Digest {
 public:
  enum class Algorithm : unsigned char {
    md5,    ///< 32 hex digits; a name, never a proof
    sha256  ///< 64 hex digits
  };
  explicit Digest(Algorithm algorithm);
  void update(std::string_view bytes);
  /// Writes the lower-case hex digits to `out`, which has room for them (32 or 64); returns how many.
  std::size_t finish_hex(char* out);

 private:
  void* sha256_ = nullptr;  // EVP_MD_CTX of this thread; null for md5
};

/// True where both texts are equal. The time it takes tells nothing of either but its length: digests are compared, and
/// those in constant time.
bool same_secret(std::string_view given, std::string_view known);

}  // namespace larder::policy
