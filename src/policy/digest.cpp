#include "larder/policy/digest.hpp"

#include <array>
#include <memory>
#include <openssl/evp.h>
#include <stdexcept>

namespace larder::policy {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, ContextDeleter>;

// Never freed: OpenSSL's own exit handlers may run before ours.
const EVP_MD* fetched(Digest::Algorithm algorithm) {
  static const EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm == Digest::Algorithm::md5 ? md5 : sha256;
}

}  // namespace

Digest::Digest(Algorithm algorithm) {
  thread_local const std::array<ContextPtr, 2> contexts{ContextPtr(EVP_MD_CTX_new()), ContextPtr(EVP_MD_CTX_new())};
  EVP_MD_CTX* const context = contexts[static_cast<std::size_t>(algorithm)].get();
  const EVP_MD* const digest = fetched(algorithm);
  if (context == nullptr || digest == nullptr || EVP_DigestInit_ex(context, digest, nullptr) != 1) {
    throw std::runtime_error("OpenSSL offers no MD5 or SHA-256 (the default provider is not loaded)");
  }
  context_ = context;
}

void Digest::update(std::string_view bytes) {
  if (EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("EVP_DigestUpdate failed");
  }
}

std::size_t Digest::finish_hex(char* out) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), bytes.data(), &size) != 1) {
    throw std::runtime_error("EVP_DigestFinal_ex failed");
  }
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < size; ++i) {
    out[2 * i] = digits[bytes[i] >> 4U];
    out[2 * i + 1] = digits[bytes[i] & 0xFU];
  }
  return std::size_t{size} * 2;
}

}  // namespace larder::policy
