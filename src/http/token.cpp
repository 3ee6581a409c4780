#include "larder/http/token.hpp"

#include <algorithm>
#include <array>

namespace larder::http {

namespace {

// A table: each look-up of a variant reads some tokens.
constexpr std::array<bool, 256> tchars = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20U] = true;
  return table;
}();

}  // namespace

bool is_tchar(char c) noexcept { return tchars[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_tchar);
}

}  // namespace larder::http
