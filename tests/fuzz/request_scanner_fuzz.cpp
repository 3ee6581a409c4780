// Any bytes as a request: what the scanner of plain heads takes, find_head() and the parser must take for the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../unit/net/plain_request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t most_fields = 20;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (larder::net::test::judge_plain_request(bytes, most_fields) == larder::net::test::PlainRequestVerdict::differs) {
    std::abort();
  }
  return 0;
}
