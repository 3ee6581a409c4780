// MD5 is called by its old name: the way through the provider costs twice the hashing of a key.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "larder/policy/digest.hpp"

#include <array>
#include <memory>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <stdexcept>

namespace larder::policy {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, ContextDeleter>;

thread_local MD5_CTX md5_context;

EVP_MD_CTX* sha256_context() {
  // Never freed: OpenSSL's own exit handlers may run before ours.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const ContextPtr context(EVP_MD_CTX_new());
  if (context == nullptr || sha256 == nullptr || EVP_DigestInit_ex(context.get(), sha256, nullptr) != 1) {
    throw std::runtime_error("OpenSSL offers no SHA-256 (the default provider is not loaded)");
  }
  return context.get();
}

}  // namespace

Digest::Digest(Algorithm algorithm) {
  if (algorithm == Algorithm::sha256) {
    sha256_ = sha256_context();
  } else {
    (void)MD5_Init(&md5_context);
  }
}

void Digest::update(std::string_view bytes) {
  if (sha256_ == nullptr) {
    (void)MD5_Update(&md5_context, bytes.data(), bytes.size());
  } else if (EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(sha256_), bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("EVP_DigestUpdate failed");
  }
}

std::size_t Digest::finish_hex(char* out) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = MD5_DIGEST_LENGTH;
  if (sha256_ == nullptr) {
    (void)MD5_Final(bytes.data(), &md5_context);
  } else if (EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(sha256_), bytes.data(), &size) != 1) {
    throw std::runtime_error("EVP_DigestFinal_ex failed");
  }
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < size; ++i) {
    out[2 * i] = digits[bytes[i] >> 4U];
    out[2 * i + 1] = digits[bytes[i] & 0xFU];
  }
  return std::size_t{size} * 2;
}

bool same_secret(std::string_view given, std::string_view known) {
  using Hex = std::array<char, 64>;
  const auto digest_of = [](std::string_view text) {
    Digest digest(Digest::Algorithm::sha256);
    digest.update(text);
    Hex hex{};
    digest.finish_hex(hex.data());
    return hex;
  };
  const auto a = digest_of(given);
  const auto b = digest_of(known);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace larder::policy
