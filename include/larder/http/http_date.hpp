#pragma once
// HTTP-date (RFC 9110 §5.6.7).
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace larder::http {

/// Bytes of an IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT".
inline constexpr std::size_t http_date_size = 29;

/// Reads an HTTP-date in any of its three forms: IMF-fixdate, RFC 850 and asctime. Letters match in either case, as
/// RFC 9111 §4.2 asks of a cache; all else is strict, and what is not exactly a date (other zones, signs, more or less
/// white space, days that do not exist) is an empty optional. The name of the weekday need not fit the date. A
/// two-digit year that would lie more than 50 years after `now` is taken from the past. Years before 1900 and after
/// 2189 become the nearest date between, so that the difference of any two results fits into system_clock's duration.
std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text,
                                                                     std::chrono::system_clock::time_point now);

/// Writes `time` as an IMF-fixdate, seconds rounded down. Allocates nothing.
void format_http_date(std::chrono::system_clock::time_point time, std::span<char, http_date_size> out) noexcept;
/// The same as a string.
std::string format_http_date(std::chrono::system_clock::time_point time);

}  // namespace larder::http
