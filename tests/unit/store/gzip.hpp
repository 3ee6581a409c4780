#pragma once
// gzip for tests of what takes it off again.
#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <zlib.h>

namespace larder::store::test {

/// `text` in gzip, or in another form that zlib's `window_bits` stands for.
inline std::string gzip(std::string_view text, int window_bits = MAX_WBITS + 16) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace larder::store::test
