// Any bytes as an HTTP-date: what is accepted must survive being written and read again.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "larder/http/http_date.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1'800'000'000)};
  const auto time = larder::http::parse_http_date(text, now);
  if (!time) return 0;
  const auto written = larder::http::format_http_date(*time);
  if (written.size() != larder::http::http_date_size) std::abort();
  if (larder::http::parse_http_date(written, now) != time) std::abort();
  return 0;
}
