// Any bytes to the decoders of content codings: no crash, never more than the limit, and the same text whatever the
// limit is. The first byte chooses coding and limit.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "larder/store/content_decoding.hpp"

namespace {

using namespace larder::store;
using larder::http::Coding;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr Coding codings[] = {Coding::gzip, Coding::br, Coding::zstd, Coding::identity};
  const auto coding = codings[data[0] & 3U];
  const std::size_t limit = std::size_t{1} << (data[0] >> 2U) % 21U;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  const auto result = decode(coding, bytes, limit);
  if (const auto* const text = std::get_if<std::string>(&result)) {
    require(text->size() <= limit);
    const auto exact = decode(coding, bytes, text->size());
    require(std::holds_alternative<std::string>(exact) && std::get<std::string>(exact) == *text);
    if (!text->empty()) {
      const auto less = decode(coding, bytes, text->size() - 1);
      require(std::holds_alternative<DecodingError>(less) && std::get<DecodingError>(less) == DecodingError::too_large);
    }
    // One stream has one end.
    if (coding == Coding::br) {
      require(std::holds_alternative<DecodingError>(decode(coding, bytes.substr(0, bytes.size() - 1), limit)));
    }
  }
  return 0;
}
