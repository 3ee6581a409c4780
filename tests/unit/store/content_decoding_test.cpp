#include "larder/store/content_decoding.hpp"

#include <array>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>
#include <zlib.h>
#include <zstd.h>

#include "gzip.hpp"

namespace larder::store {
namespace {

using http::Coding;
using test::gzip;
constexpr std::size_t no_limit = ~std::size_t{0};

// Zstandard as a stream, so that the frame has a window of 2^window_log bytes and no content size.
std::string zstd(std::string_view text, int window_log = 17) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  REQUIRE(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log)) == 0);
  REQUIRE(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0);
  std::string out(ZSTD_compressBound(text.size()) + 100, '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer buffer{out.data(), out.size(), 0};
  // Two calls, lest the size be known when the head is written.
  REQUIRE(ZSTD_compressStream2(context, &buffer, &in, ZSTD_e_continue) <= out.size());
  REQUIRE(ZSTD_compressStream2(context, &buffer, &in, ZSTD_e_end) == 0);
  out.resize(buffer.pos);
  ZSTD_freeCCtx(context);
  return out;
}

// What a Brotli encoder made of known texts.
template <std::size_t n>
std::string bytes(const char (&literal)[n]) {
  return {literal, n - 1};
}
const std::string brotli_hello = bytes(
    "\x1B\x1A\x00\xF8\x8D\x94\x6E\xDE\x44\x09\x52\x86\xD6\x6C\x2C\x69\x6F\xD3\x10\x49\xE4\xA9\x04\x5C\x3A\xC7\x43\x8B"
    "\x66");
const std::string brotli_nothing = bytes("\x06");
const std::string brotli_100k = bytes("\xEA\xD3\x30\x00\x48\x00\xC4\x63\x81\x64\xF9\x05\x00");  // zero bytes
const std::string brotli_64m = bytes(
    "\xCB\xFF\xFF\x3F\x00\x24\x00\xE2\xB1\x40\x72\xEF\xFF\xF8\xFF\xFF\x07\x80\x04\x40\x1C\x16\x80\xEE\xFD\x1F\xFF\xFF"
    "\xFF\x00\x90\x00\x88\xC3\x02\xD0\xBD\xFF\xE3\xFF\xFF\x1F\x00\x12\x00\x71\x58\x00\xBA\xF7\x7F\xFC\xFF\xFF\x03\x40"
    "\x02\x20\x0E\x0B\x40\xF7\xFE\x8F\xFF\xFF\x7F\x00\x48\x00\xC4\x61\x01\xE8\xDE\xFF\xF1\xFF\xFF\x0F\x00\x09\x80\x38"
    "\x2C\x00\xDD\xFB\xBF\xFC\xFF\xFF\x03\x20\x01\x10\x87\x05\xA0\x7B\xFF\x07");

std::string text_of(const std::variant<DecodingError, std::string>& result) {
  if (const auto* const error = std::get_if<DecodingError>(&result)) return "error: " + std::string(to_string(*error));
  return std::get<std::string>(result);
}
std::string decoded(Coding coding, std::string_view data, std::size_t max_size = no_limit) {
  return text_of(decode(coding, data, max_size));
}

struct Sample {
  Coding coding;
  std::string data;
  std::string text;
};
std::vector<Sample> samples() {
  std::vector<Sample> all{{Coding::br, brotli_hello, "hello, hello, hello, brotli"},
                          {Coding::br, brotli_nothing, ""},
                          {Coding::br, brotli_100k, std::string(100000, '\0')}};
  std::mt19937 random(1);
  std::string noise(70000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  for (const auto& text : {std::string(), std::string("x"), std::string(4095, 'a'), std::string(4096, 'b'),
                           std::string(4097, 'c'), std::string(300000, 'd'), noise}) {
    all.push_back({Coding::gzip, gzip(text), text});
    all.push_back({Coding::zstd, zstd(text), text});
  }
  return all;
}

TEST_CASE("what was encoded is decoded, up to max_size and not a byte more") {
  for (const auto& sample : samples()) {
    CAPTURE(http::to_string(sample.coding));
    CAPTURE(sample.text.size());
    CHECK(decoded(sample.coding, sample.data) == sample.text);
    CHECK(decoded(sample.coding, sample.data, sample.text.size()) == sample.text);
    if (!sample.text.empty()) {
      CHECK(decoded(sample.coding, sample.data, sample.text.size() - 1) == "error: too_large");
      CHECK(decoded(sample.coding, sample.data, 0) == "error: too_large");
    }
    const auto result = decode(sample.coding, sample.data, no_limit);
    const auto& text = std::get<std::string>(result);
    CHECK(text.capacity() <= std::max<std::size_t>(15, text.size() + text.size() / 8));
  }
}

TEST_CASE("identity is a copy, and what is not known is not decoded") {
  CHECK(decoded(Coding::identity, "abc") == "abc");
  CHECK(decoded(Coding::identity, "") == "");
  CHECK(decoded(Coding::identity, "abc", 3) == "abc");
  CHECK(decoded(Coding::identity, "abc", 2) == "error: too_large");
  CHECK(decoded(Coding::other, "abc") == "error: unsupported");
  CHECK(decoded(Coding::other, "") == "error: unsupported");
}

TEST_CASE("what is cut off is damaged, wherever") {
  for (const auto& sample : samples()) {
    CAPTURE(http::to_string(sample.coding));
    CAPTURE(sample.text.size());
    const auto step = std::max<std::size_t>(1, sample.data.size() / 100);
    for (std::size_t size = 0; size < sample.data.size(); size += step) {
      CAPTURE(size);
      CHECK(decoded(sample.coding, std::string_view(sample.data).substr(0, size)) == "error: damaged");
    }
    CHECK(decoded(sample.coding, std::string_view(sample.data).substr(0, sample.data.size() - 1)) == "error: damaged");
  }
}

TEST_CASE("changed bytes never crash, and what has a checksum never gives another text") {
  std::mt19937 random(2);
  for (const auto& sample : samples()) {
    for (int round = 0; round < 200; ++round) {
      std::string data = sample.data;
      for (unsigned i = 0; i <= random() % 3; ++i) data[random() % data.size()] = static_cast<char>(random());
      const auto result = decode(sample.coding, data, 1UL << 20);
      const auto* const text = std::get_if<std::string>(&result);
      if (text != nullptr && sample.coding == Coding::gzip) CHECK(*text == sample.text);
    }
  }
}

TEST_CASE("several members and frames, and what follows them") {
  const auto a = gzip("first ");
  const auto b = gzip("second");
  CHECK(decoded(Coding::gzip, a + b) == "first second");
  CHECK(decoded(Coding::gzip, a + gzip("") + b) == "first second");
  CHECK(decoded(Coding::gzip, a + b, 12) == "first second");
  CHECK(decoded(Coding::gzip, a + b, 11) == "error: too_large");
  CHECK(decoded(Coding::gzip, a + "x") == "error: trailing_bytes");
  CHECK(decoded(Coding::gzip, a + std::string(8, '\0')) == "error: trailing_bytes");
  CHECK(decoded(Coding::gzip, a + "\x1F") == "error: damaged");
  CHECK(decoded(Coding::gzip, a + b.substr(0, 12)) == "error: damaged");
  CHECK(decoded(Coding::gzip, "x" + a) == "error: damaged");

  const auto c = zstd("first ");
  const auto d = zstd("second");
  const std::string skippable = bytes("\x5F\x2A\x4D\x18\x03\x00\x00\x00xyz");
  CHECK(decoded(Coding::zstd, c + d) == "first second");
  CHECK(decoded(Coding::zstd, c + d, 11) == "error: too_large");
  CHECK(decoded(Coding::zstd, skippable + c + skippable + d + skippable) == "first second");
  CHECK(decoded(Coding::zstd, skippable) == "");
  CHECK(decoded(Coding::zstd, c + "x") == "error: trailing_bytes");
  CHECK(decoded(Coding::zstd, c + std::string(9, '\0')) == "error: trailing_bytes");
  CHECK(decoded(Coding::zstd, c + d.substr(0, 6)) == "error: damaged");
  CHECK(decoded(Coding::zstd, skippable.substr(0, 10)) == "error: damaged");

  CHECK(decoded(Coding::br, brotli_hello + "x") == "error: trailing_bytes");
  CHECK(decoded(Coding::br, brotli_hello + brotli_hello) == "error: trailing_bytes");
  CHECK(decoded(Coding::br, brotli_nothing + brotli_nothing) == "error: trailing_bytes");
}

TEST_CASE("another coding than stated is damaged") {
  CHECK(decoded(Coding::gzip, zstd("text")) == "error: damaged");
  CHECK(decoded(Coding::zstd, gzip("text")) == "error: damaged");
  CHECK(decoded(Coding::gzip, gzip("text", MAX_WBITS)) == "error: damaged");   // zlib
  CHECK(decoded(Coding::gzip, gzip("text", -MAX_WBITS)) == "error: damaged");  // deflate alone
  CHECK(decoded(Coding::gzip, "text") == "error: damaged");
  CHECK(decoded(Coding::zstd, "text") == "error: damaged");
  CHECK(decoded(Coding::br, "\xFF\xFF\xFF\xFF") == "error: damaged");
  for (const auto coding : {Coding::gzip, Coding::br, Coding::zstd}) {
    CHECK(decoded(coding, "") == "error: damaged");
    CHECK(decoded(coding, {}) == "error: damaged");
  }
  // Magic numbers of Zstandard's formats before RFC 8878, which libzstd may still read.
  for (const char version : {'\x22', '\x23', '\x24', '\x25', '\x26', '\x27'}) {
    CHECK(decoded(Coding::zstd, std::string(1, version) + bytes("\xB5\x2F\xFD\x00\x00\x00\x00\x00")) ==
          "error: damaged");
  }
}

TEST_CASE("a Zstandard window of 8 MiB and no more") {
  const std::string text(100000, 'w');
  CHECK(decoded(Coding::zstd, zstd(text, 23)) == text);
  CHECK(decoded(Coding::zstd, zstd(text, 24)) == "error: unsupported");
  CHECK(decoded(Coding::zstd, zstd(text, 27)) == "error: unsupported");
  // Empty frames. 0x68 is 2^(10+13) bytes, 0x69 an eighth more.
  const std::string magic = bytes("\x28\xB5\x2F\xFD");
  const std::string end = bytes("\x01\x00\x00");
  CHECK(decoded(Coding::zstd, magic + bytes("\x00\x68") + end) == "");
  CHECK(decoded(Coding::zstd, magic + bytes("\x00\x69") + end) == "error: unsupported");
  CHECK(decoded(Coding::zstd, magic + bytes("\x00\xFF") + end) == "error: unsupported");
  CHECK(decoded(Coding::zstd, zstd(text) + magic + bytes("\x00\x69") + end) == "error: unsupported");
  // Single segments, whose window is their content: 4 and 8 bytes of size.
  CHECK(decoded(Coding::zstd, magic + bytes("\x20\x00") + end) == "");
  CHECK(decoded(Coding::zstd, magic + bytes("\xA0\x01\x00\x80\x00") + end) == "error: unsupported");
  CHECK(decoded(Coding::zstd, magic + bytes("\xA0\x00\x00\x80\x00") + end) == "error: damaged");
  CHECK(decoded(Coding::zstd, magic + bytes("\xE0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF") + end) == "error: unsupported");
  // What needs no window all the same has one: one frame with 1 byte of content, size known.
  CHECK(decoded(Coding::zstd, magic + bytes("\x80\x90\x01\x00\x00\x00\x09\x00\x00x")) == "error: unsupported");
  CHECK(decoded(Coding::zstd, magic + bytes("\x80\x68\x01\x00\x00\x00\x09\x00\x00x")) == "x");
  // A dictionary: frame header with a dictionary id, then an empty last block.
  CHECK(decoded(Coding::zstd, bytes("\x28\xB5\x2F\xFD\x21\x05\x00\x01\x00\x00")) == "error: unsupported");
}

TEST_CASE("bombs stop at max_size") {
  constexpr std::size_t limit = 100000;
  const std::string zeros(1UL << 24, '\0');
  CHECK(decoded(Coding::gzip, gzip(zeros), limit) == "error: too_large");
  CHECK(decoded(Coding::zstd, zstd(zeros), limit) == "error: too_large");
  CHECK(decoded(Coding::br, brotli_64m, limit) == "error: too_large");
  CHECK(decoded(Coding::br, brotli_64m).size() == 64UL << 20);
  // Many members with nothing in them cost no more than their bytes.
  std::string members;
  while (members.size() < 1UL << 20) members += gzip("");
  CHECK(decoded(Coding::gzip, members, 0) == "");
}

TEST_CASE("names of the errors") {
  CHECK(to_string(DecodingError::damaged) == "damaged");
  CHECK(to_string(DecodingError::unsupported) == "unsupported");
}

}  // namespace
}  // namespace larder::store
