// Any bytes as a request or a response, in pieces of any size: the parser must neither crash nor hang, and the pieces
// must make no difference. The first byte chooses what it is, the second how it is cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../unit/net/message_outcome.hpp"

namespace {

using larder::net::test::MessageOutcome;
using larder::net::test::read_message;

template <bool is_request>
void check(std::string_view bytes, unsigned cut, bool answers_head) {
  constexpr std::size_t most_fields = 20;
  const auto whole = read_message<is_request>(
      bytes, [] { return ~std::size_t{0}; }, answers_head, most_fields);
  auto state = cut * 2654435761U + 1;
  const auto piece = [&]() -> std::size_t {
    state = state * 1664525U + 1013904223U;
    return 1 + (state >> 24) % (1 + cut);
  };
  const auto pieces = read_message<is_request>(bytes, piece, answers_head, most_fields);
  if (!pieces.agrees_with(whole)) std::abort();

  using End = MessageOutcome::End;
  if (whole.end == End::incomplete_head || whole.end == End::refused_head) return;
  // What is relayed must be readable in one way only.
  if (whole.fields.size() > most_fields || whole.trailers.size() > most_fields) std::abort();
  for (const auto* section : {&whole.fields, &whole.trailers}) {
    for (const auto& [name, value] : *section) {
      if (name.empty() || name.find_first_of(std::string_view("\0\t\r\n :", 6)) != std::string_view::npos) std::abort();
      if (value.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos) std::abort();
    }
  }
  if (is_request && whole.framing == larder::net::Framing::until_close) std::abort();
  if (whole.end == End::complete && whole.framing == larder::net::Framing::length &&
      whole.body.size() != *whole.length) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  switch (data[0] % 3) {
    case 0:
      check<true>(bytes, data[1], false);
      break;
    case 1:
      check<false>(bytes, data[1], false);
      break;
    default:
      check<false>(bytes, data[1], true);
      break;
  }
  return 0;
}
