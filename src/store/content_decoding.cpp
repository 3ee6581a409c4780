#include "larder/store/content_decoding.hpp"

#include <algorithm>
#include <array>
#include <brotli/decode.h>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace larder::store {

namespace {

constexpr std::size_t first_size = 4096;
constexpr int max_window_log = 23;  // 8 MiB, RFC 9659 §3
constexpr std::uint64_t max_window = std::uint64_t{1} << max_window_log;

// Where decoders write. It is full at max_size; then one spare byte shows whether the decoder has more to write.
class Output {
 public:
  explicit Output(std::size_t max_size) noexcept : max_size_(max_size) {}

  // Room for at least one byte.
  std::span<char> room() {
    if (used_ == text_.size()) {
      if (used_ == max_size_) return {&spare_, 1};
      const std::size_t doubled = used_ > max_size_ / 2 ? max_size_ : used_ * 2;
      text_.resize(std::min(max_size_, std::max(first_size, doubled)));
    }
    return {text_.data() + used_, text_.size() - used_};
  }
  // The first `size` bytes of the last room() were written; false where there is no place for them.
  [[nodiscard]] bool take(std::size_t size) noexcept {
    if (size > text_.size() - used_) return false;
    used_ += size;
    return true;
  }
  std::string release() {
    text_.resize(used_);
    // It may be kept for long.
    if (text_.capacity() - used_ > used_ / 8) text_.shrink_to_fit();
    return std::move(text_);
  }

 private:
  std::string text_;
  std::size_t used_ = 0;
  const std::size_t max_size_;
  char spare_ = 0;
};

using Fault = std::optional<DecodingError>;

class Inflater {
 public:
  Inflater() {
    constexpr int gzip_only = 16;
    if (inflateInit2(&stream_, MAX_WBITS + gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Fault run(std::string_view bytes, Output& output) {
    while (true) {
      if (const auto fault = member(bytes, output)) return fault;
      if (bytes.empty()) return std::nullopt;
      if (bytes.front() != '\x1F') return DecodingError::trailing_bytes;
      inflateReset(&stream_);
    }
  }

 private:
  // Takes one member away from the front of `bytes`.
  Fault member(std::string_view& bytes, Output& output) {
    while (true) {
      const auto room = output.room();
      const auto offered = limited(bytes.size());
      const auto wanted = limited(room.size());
      // zlib's interface is older than const, and its byte is unsigned.
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // NOLINT
      stream_.avail_in = offered;
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());  // NOLINT
      stream_.avail_out = wanted;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      bytes.remove_prefix(offered - stream_.avail_in);
      if (!output.take(wanted - stream_.avail_out)) return DecodingError::too_large;
      if (result == Z_STREAM_END) return std::nullopt;
      if (result == Z_MEM_ERROR) throw std::bad_alloc();
      // Z_BUF_ERROR too: there was room, so it is the input that lacks.
      if (result != Z_OK) return DecodingError::damaged;
    }
  }
  static uInt limited(std::size_t size) noexcept {
    return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
  }

  z_stream stream_{};
};

Fault decode_brotli(std::string_view bytes, Output& output) {
  struct Destroy {
    void operator()(BrotliDecoderState* state) const noexcept { BrotliDecoderDestroyInstance(state); }
  };
  const std::unique_ptr<BrotliDecoderState, Destroy> state(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr));
  if (!state) throw std::bad_alloc();
  std::size_t left = bytes.size();
  const auto* next = reinterpret_cast<const std::uint8_t*>(bytes.data());  // NOLINT: brotli's byte type
  while (true) {
    const auto room = output.room();
    std::size_t free = room.size();
    auto* place = reinterpret_cast<std::uint8_t*>(room.data());  // NOLINT: as above
    const auto result = BrotliDecoderDecompressStream(state.get(), &left, &next, &free, &place, nullptr);
    if (!output.take(room.size() - free)) return DecodingError::too_large;
    switch (result) {
      case BROTLI_DECODER_RESULT_SUCCESS:
        if (left > 0) return DecodingError::trailing_bytes;
        return std::nullopt;
      case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        break;
      case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
        return DecodingError::damaged;
      case BROTLI_DECODER_RESULT_ERROR: {
        const auto error = BrotliDecoderGetErrorCode(state.get());
        if (error <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && error >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES) {
          throw std::bad_alloc();
        }
        return DecodingError::damaged;
      }
    }
  }
}

std::uint64_t little_endian(std::string_view bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Asked at the begin of each frame, so that libzstd's decoders for formats before RFC 8878 are never reached.
bool begins_zstd_frame(std::string_view bytes) noexcept {
  if (bytes.size() < 4) return false;
  const auto magic = little_endian(bytes.substr(0, 4));
  return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

// What the frame that begins here says of itself (RFC 8878 §3.1.1.1). Nothing for a skippable frame, and where the head
// is cut off. libzstd reads it too, but does not hold frames to it that it can decode without a window, or that end
// with an empty block.
struct FrameHead {
  std::uint64_t window = 0;
  std::optional<std::uint64_t> content_size;
};
FrameHead read_frame_head(std::string_view bytes) noexcept {
  constexpr std::array<std::size_t, 4> dictionary_id_sizes{0, 1, 2, 4};
  constexpr std::array<std::size_t, 4> content_size_sizes{0, 2, 4, 8};
  if (bytes.size() < 6 || little_endian(bytes.substr(0, 4)) != ZSTD_MAGICNUMBER) return {};
  const auto descriptor = static_cast<unsigned char>(bytes[4]);
  const bool is_single_segment = (descriptor & 0x20U) != 0;
  const std::size_t at = 5 + (is_single_segment ? 0 : 1) + dictionary_id_sizes[descriptor & 3U];
  const std::size_t size = is_single_segment && descriptor < 0x40 ? 1 : content_size_sizes[descriptor >> 6U];
  if (bytes.size() < at + size) return {};
  FrameHead head;
  if (size > 0) head.content_size = little_endian(bytes.substr(at, size)) + (size == 2 ? 256 : 0);
  if (is_single_segment) {
    head.window = *head.content_size;
  } else {
    const auto window = static_cast<unsigned char>(bytes[5]);
    const std::uint64_t base = std::uint64_t{1} << (10U + (window >> 3U));
    head.window = base + base / 8 * (window & 7U);
  }
  return head;
}

Fault decode_zstd(std::string_view bytes, Output& output) {
  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (!context) throw std::bad_alloc();
  if (ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, max_window_log)) != 0) {
    return DecodingError::unsupported;
  }
  if (!begins_zstd_frame(bytes)) return DecodingError::damaged;
  auto frame = read_frame_head(bytes);
  if (frame.window > max_window) return DecodingError::unsupported;
  std::uint64_t made = 0;  // in this frame
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  while (true) {
    const auto room = output.room();
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const auto before = in.pos;
    const auto result = ZSTD_decompressStream(context.get(), &out, &in);
    if (!output.take(out.pos)) return DecodingError::too_large;
    made += out.pos;
    if (ZSTD_isError(result) != 0) {
      switch (ZSTD_getErrorCode(result)) {
        case ZSTD_error_frameParameter_windowTooLarge:
        case ZSTD_error_dictionary_wrong:
          return DecodingError::unsupported;
        case ZSTD_error_memory_allocation:
          throw std::bad_alloc();
        default:
          return DecodingError::damaged;
      }
    }
    if (result == 0) {
      if (frame.content_size && made != *frame.content_size) return DecodingError::damaged;
      if (in.pos == in.size) return std::nullopt;
      const auto rest = bytes.substr(in.pos);
      if (!begins_zstd_frame(rest)) return DecodingError::trailing_bytes;
      frame = read_frame_head(rest);
      if (frame.window > max_window) return DecodingError::unsupported;
      made = 0;
    } else if (in.pos == before && out.pos == 0) {
      return DecodingError::damaged;
    }
  }
}

}  // namespace

std::string_view to_string(DecodingError error) noexcept {
  switch (error) {
    case DecodingError::damaged:
      return "damaged";
    case DecodingError::too_large:
      return "too_large";
    case DecodingError::trailing_bytes:
      return "trailing_bytes";
    case DecodingError::unsupported:
      return "unsupported";
  }
  return {};
}

std::variant<DecodingError, std::string> decode(http::Coding coding, std::string_view bytes, std::size_t max_size) {
  Output output(max_size);
  Fault fault;
  switch (coding) {
    case http::Coding::identity:
      if (bytes.size() > max_size) return DecodingError::too_large;
      return std::string(bytes);
    case http::Coding::gzip:
      fault = Inflater().run(bytes, output);
      break;
    case http::Coding::br:
      fault = decode_brotli(bytes, output);
      break;
    case http::Coding::zstd:
      fault = decode_zstd(bytes, output);
      break;
    case http::Coding::other:
      return DecodingError::unsupported;
  }
  if (fault) return *fault;
  return output.release();
}

}  // namespace larder::store
