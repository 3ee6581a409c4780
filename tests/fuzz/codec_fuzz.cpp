// Any bytes to the codec of stored responses: it must neither crash nor take memory out of proportion, and what it
// accepts it must write again as it was read. The checksums are set right first where the first byte says so, as few
// inputs would pass them otherwise.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>
#include <zlib.h>

#include "larder/store/codec.hpp"

namespace {

using namespace larder::store;

constexpr std::size_t header_size = 28;

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void write_number(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xFFU);
}

std::uint32_t crc(const std::string& bytes, std::size_t at, std::size_t size, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()) + at, size));
}

void repair(std::string& record) {
  if (record.size() < header_size) return;
  const std::size_t front = number_at(record, 8);
  if (front > record.size() - header_size) return;
  const auto rest = record.size() - header_size - front;
  write_number(record, 12, rest, 8);
  write_number(record, 20, crc(record, header_size, front, crc(record, 0, 20)), 4);
  write_number(record, 24, crc(record, header_size + front, rest), 4);
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string record(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1U) != 0) repair(record);

  CodecParameters parameters;
  parameters.max_body = 1UL << 20;
  const auto summary = summarise(record);
  const auto decoded = decode(record, parameters, 7);
  if (const auto* stored = std::get_if<StoredPtr>(&decoded)) {
    const auto* const entry = std::get_if<RecordSummary>(&summary);
    require(entry != nullptr && entry->key == (*stored)->key());
    require(entry->body_size == (*stored)->body().size());
    require((*stored)->head().find("\r\n\r\n") == std::string_view::npos);
    // Uncompressed, since another zlib may have written the input.
    parameters.compress_threshold = 0;
    const auto written = encode(**stored, parameters);
    const auto again = decode(written, parameters, 7);
    const auto* const same = std::get_if<StoredPtr>(&again);
    require(same != nullptr && (*same)->head() == (*stored)->head() && (*same)->body() == (*stored)->body());
    require(encode(**same, parameters) == written);
  } else if (const auto* marker = std::get_if<VaryMarker>(&decoded)) {
    require(encode(*marker) == record);
  }
  return 0;
}
