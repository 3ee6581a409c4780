#pragma once
// Tokens (RFC 9110 §5.6.2), of which names of fields, methods and directives are made. Pure; allocates nothing.
#include <string_view>

namespace larder::http {

/// True for a character that a token may hold.
bool is_tchar(char c) noexcept;

/// True for a token, which is never empty.
bool is_token(std::string_view text) noexcept;

}  // namespace larder::http
