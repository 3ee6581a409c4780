#pragma once
// Texts of clients and origins as a log may hold them: nothing that ends a line, moves a terminal's cursor or is no
// UTF-8, and no secrets of URLs.
#include <span>
#include <string>
#include <string_view>

namespace larder::http {

/// Appends `text` for a line of plain text: control characters (C0, DEL, C1), U+2028, U+2029, bidirectional controls
/// and bytes that are no UTF-8 become \xNN, each byte of them.
void append_log_text(std::string& out, std::string_view text);

/// The same as the inside of a JSON string (RFC 8259 §7): quotes and backslashes are escaped, control characters become
/// \u00NN, bytes that are no UTF-8 the text "\xNN".
void append_json_text(std::string& out, std::string_view text);

/// Appends a normalised target without its secrets: the values of query parameters with one of these names (decoded,
/// without regard to case; '*' at the end of a name matches any ending), and the userinfo of URLs anywhere in it
/// ("://user:password@", percent-encoded or not), become "***".
void append_without_secrets(std::string& out, std::string_view target, std::span<const std::string> secret_parameters);

/// True where the parameter, as it stands in a query, has one of these names.
bool is_secret_parameter(std::string_view raw_name, std::span<const std::string> secret_parameters) noexcept;

}  // namespace larder::http
