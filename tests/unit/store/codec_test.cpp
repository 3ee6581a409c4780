#include "larder/store/codec.hpp"

#include <algorithm>
#include <chrono>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <utility>
#include <vector>
#include <zlib.h>

namespace larder::store {
namespace {

using policy::Seconds;
using policy::TimePoint;
using std::chrono::milliseconds;

constexpr std::size_t header_size = 28;
constexpr std::size_t flags_at = 5;

StoredParts sample_parts(std::string body = "hello, world") {
  StoredParts parts;
  parts.key = "cache:product:0123456789abcdef:fedcba";
  parts.base_key_size = 30;
  parts.canonical = std::string(3, '\0') + "canonical";
  parts.selecting = std::string(2, '\0') + "selecting";
  parts.type = "product";
  parts.target = "/api/products/42?x=1";
  parts.tags = {"product:42", "", "list"};
  parts.priority = policy::Priority::high;
  parts.stamp = {.epoch = 0xFEDCBA9876543210U, .clock = 42, .sequence = 9};
  parts.lifetime.freshness_lifetime = Seconds{7200};
  parts.lifetime.source = policy::LifetimeSource::rule;
  parts.lifetime.corrected_initial_age = Seconds{17};
  parts.lifetime.response_time = TimePoint{milliseconds{1'700'000'000'123}};
  parts.lifetime.stale_while_revalidate = Seconds{60};
  parts.lifetime.stale_if_error = Seconds{86400};
  parts.lifetime.must_revalidate = true;
  parts.status = 203;
  parts.reason = "Fine\twith me";
  parts.fields.add("Content-Type", "text/plain");
  parts.fields.add("x-Many", "a");
  parts.fields.add("X-many", "");
  parts.fields.add("Cache-Status", "origin; hit");
  parts.body = std::make_shared<const std::string>(std::move(body));
  return parts;
}

std::string sample_record(std::string body = "hello, world", const CodecParameters& parameters = {}) {
  return encode(*StoredResponse::make(sample_parts(std::move(body))), parameters);
}

std::string sample_marker() {
  return encode(VaryMarker{.canonical = std::string("\x01\x00z", 3),
                           .names = {"accept", "accept-language"},
                           .stamp = {.epoch = 5, .clock = 6, .sequence = 7}});
}

std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::uint32_t crc(std::string_view bytes, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}
void write_number(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xFFU);
}
std::uint32_t read_number(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[at + i]);
  return value;
}
/// Makes sizes and checksums fit a record that was changed: what somebody who wants to harm would do.
std::string repaired(std::string record) {
  const std::size_t front = read_number(record, 8);
  const std::string_view bytes = record;
  const auto rest = bytes.substr(header_size + front);
  const auto rest_checksum = crc(rest);
  write_number(record, 12, rest.size(), 8);
  write_number(record, 20, crc(bytes.substr(header_size, front), crc(bytes.substr(0, 20))), 4);
  write_number(record, 24, rest_checksum, 4);
  return record;
}

std::string outcome(const std::variant<DecodeError, StoredPtr, VaryMarker>& decoded) {
  if (const auto* error = std::get_if<DecodeError>(&decoded)) return std::string(to_string(*error));
  return std::holds_alternative<StoredPtr>(decoded) ? "stored" : "marker";
}
std::string outcome(const std::variant<DecodeError, RecordSummary>& summary) {
  if (const auto* error = std::get_if<DecodeError>(&summary)) return std::string(to_string(*error));
  return "summary";
}

TEST_CASE("a stored response survives the round trip") {
  const auto original = StoredResponse::make(sample_parts());
  const auto decoded = decode(encode(*original, {}), {}, 33);
  REQUIRE(std::holds_alternative<StoredPtr>(decoded));
  const auto& stored = *std::get<StoredPtr>(decoded);
  const auto& expected = *original;
  CHECK(stored.head() == original->head());
  CHECK(stored.body() == original->body());
  CHECK(stored.key() == expected.key());
  CHECK(stored.base_key() == original->base_key());
  CHECK(stored.canonical() == expected.canonical());
  CHECK(stored.selecting() == expected.selecting());
  CHECK(stored.type() == expected.type());
  CHECK(stored.target() == expected.target());
  CHECK(stored.tags().strings() == expected.tags().strings());
  CHECK(stored.priority() == expected.priority());
  CHECK(stored.stamp().epoch == expected.stamp().epoch);
  CHECK(stored.stamp().clock == expected.stamp().clock);
  CHECK(stored.stamp().sequence == 33);
  CHECK(stored.status() == 203);
  CHECK(stored.reason() == expected.reason());
  const auto fields = stored.fields();
  const auto expected_fields = expected.fields();
  REQUIRE(fields.size() == expected_fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    CHECK(fields.span()[i].name == expected_fields.span()[i].name);
    CHECK(fields.span()[i].value == expected_fields.span()[i].value);
  }
  const auto lifetime = stored.lifetime();
  CHECK(lifetime.freshness_lifetime == Seconds{7200});
  CHECK(lifetime.source == policy::LifetimeSource::rule);
  CHECK(lifetime.corrected_initial_age == Seconds{17});
  CHECK(lifetime.response_time == TimePoint{milliseconds{1'700'000'000'123}});
  CHECK(lifetime.stale_while_revalidate == Seconds{60});
  CHECK(lifetime.stale_if_error == Seconds{86400});
  CHECK(lifetime.must_revalidate);
  CHECK_FALSE(lifetime.no_cache);
}

TEST_CASE("an incomplete response survives the round trip, and an impossible extent does not") {
  const auto record_of = [](const policy::Extent& extent, std::string body) {
    auto parts = sample_parts(std::move(body));
    parts.extent = std::make_shared<const policy::Extent>(extent);
    return encode(*StoredResponse::make(std::move(parts)), {});
  };
  const std::vector<std::pair<policy::Extent, std::string>> possible{
      {{{{2, 4}, {7, 7}}, 10}, "abcd"}, {{{{0, 4}}, std::nullopt}, "abcde"}, {{{}, 12}, ""}, {{{}, std::nullopt}, ""}};
  for (const auto& [extent, body] : possible) {
    const auto decoded = decode(record_of(extent, body), {});
    REQUIRE(std::holds_alternative<StoredPtr>(decoded));
    const auto& stored = *std::get<StoredPtr>(decoded);
    REQUIRE(stored.extent() != nullptr);
    CHECK(*stored.extent() == extent);
    CHECK(stored.body() == body);
    CHECK_FALSE(stored.is_complete());
  }
  const std::vector<std::pair<policy::Extent, std::string>> impossible{{{{{2, 4}}, 10}, "ab"},
                                                                       {{{{2, 4}}, 4}, "abc"},
                                                                       {{{{4, 2}}, 10}, ""},
                                                                       {{{{5, 6}, {2, 3}}, 10}, "abcd"},
                                                                       {{{{0, ~0ULL}}, std::nullopt}, ""}};
  for (const auto& [extent, body] : impossible) CHECK(outcome(decode(record_of(extent, body), {})) == "value");
}

TEST_CASE("age and freshness are the same on both sides of the trip") {
  auto parts = sample_parts();
  parts.lifetime.response_time = TimePoint{std::chrono::microseconds{1'700'000'000'123'999}};
  const auto lifetime = parts.lifetime;
  const auto decoded = decode(encode(*StoredResponse::make(std::move(parts)), {}), {});
  REQUIRE(std::holds_alternative<StoredPtr>(decoded));
  const auto copy = std::get<StoredPtr>(decoded)->lifetime();
  for (const auto later : {0, 1, 17, 3600, 7182, 7183, 7184, 86400}) {
    const auto now = lifetime.response_time + Seconds{later};
    CHECK(copy.current_age(now) == lifetime.current_age(now));
    CHECK(copy.is_fresh(now) == lifetime.is_fresh(now));
  }
}

TEST_CASE("without a sequence it is older than every purge") {
  const auto decoded = decode(sample_record(), {});
  REQUIRE(std::holds_alternative<StoredPtr>(decoded));
  CHECK(std::get<StoredPtr>(decoded)->stamp().sequence == 0);
}

TEST_CASE("negative lifetimes survive, absurd ones are brought into range") {
  auto parts = sample_parts();
  parts.lifetime.freshness_lifetime = Seconds{-5};
  parts.lifetime.stale_if_error = Seconds::max();
  const auto decoded = decode(encode(*StoredResponse::make(std::move(parts)), {}), {});
  REQUIRE(std::holds_alternative<StoredPtr>(decoded));
  CHECK(std::get<StoredPtr>(decoded)->lifetime().freshness_lifetime == Seconds{-5});
  CHECK(std::get<StoredPtr>(decoded)->lifetime().stale_if_error > Seconds{1'000'000'000});
}

TEST_CASE("a marker survives the round trip") {
  const auto decoded = decode(sample_marker(), {}, 3);
  REQUIRE(std::holds_alternative<VaryMarker>(decoded));
  const auto& marker = std::get<VaryMarker>(decoded);
  CHECK(marker.canonical == std::string("\x01\x00z", 3));
  CHECK(marker.names == std::vector<std::string>{"accept", "accept-language"});
  CHECK(marker.stamp.epoch == 5);
  CHECK(marker.stamp.clock == 6);
  CHECK(marker.stamp.sequence == 3);
  CHECK(outcome(summarise(sample_marker())) == "not_a_record");
}

TEST_CASE("compression: the table") {
  struct Row {
    const char* what;
    std::size_t threshold;
    int level;
    std::string body;
    std::string content_encoding;
    bool compressed;
  };
  const std::vector<Row> rows{
      {"at the threshold", 1024, 6, std::string(1024, 'x'), "", false},
      {"over the threshold", 1024, 6, std::string(1025, 'x'), "", true},
      {"off", 0, 6, std::string(100000, 'x'), "", false},
      {"fast", 1, 1, std::string(5000, 'x'), "", true},
      {"best", 1, 9, std::string(5000, 'x'), "", true},
      {"an impossible level is the nearest", 1, 99, std::string(5000, 'x'), "", true},
      {"does not shrink", 16, 6, random_bytes(5000, 1), "", false},
      {"two bytes", 1, 6, "ab", "", false},
      {"coded already", 16, 6, std::string(5000, 'x'), "gzip", false},
      {"identity is no coding", 16, 6, std::string(5000, 'x'), "Identity", true},
      {"empty", 1, 6, "", "", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto parts = sample_parts(row.body);
    if (!row.content_encoding.empty()) parts.fields.add("Content-Encoding", row.content_encoding);
    const CodecParameters parameters{.compress_threshold = row.threshold, .compress_level = row.level};
    const auto record = encode(*StoredResponse::make(std::move(parts)), parameters);
    CHECK((record[flags_at] == 1) == row.compressed);
    if (row.compressed) CHECK(record.size() < row.body.size());
    const auto decoded = decode(record, parameters);
    REQUIRE(std::holds_alternative<StoredPtr>(decoded));
    CHECK(std::get<StoredPtr>(decoded)->body() == row.body);
    const auto summary = summarise(record);
    REQUIRE(std::holds_alternative<RecordSummary>(summary));
    CHECK(std::get<RecordSummary>(summary).body_size == row.body.size());
  }
}

TEST_CASE("the summary needs only the front") {
  const auto record = sample_record(random_bytes(100000, 2));
  const std::string_view front = std::string_view(record).substr(0, 1024);
  const auto read = summarise(front);
  REQUIRE(std::holds_alternative<RecordSummary>(read));
  const auto& summary = std::get<RecordSummary>(read);
  CHECK(summary.key == "cache:product:0123456789abcdef:fedcba");
  CHECK(summary.type == "product");
  CHECK(summary.target == "/api/products/42?x=1");
  CHECK(summary.tags == std::vector<std::string>{"product:42", "", "list"});
  CHECK(summary.stamp.epoch == 0xFEDCBA9876543210U);
  CHECK(summary.stamp.clock == 42);
  CHECK(summary.lifetime.freshness_lifetime == Seconds{7200});
  CHECK(summary.body_size == 100000);
  const auto subject = summary.subject();
  CHECK(subject.key == summary.key);
  CHECK(subject.base_key == summary.key.substr(0, 30));
  CHECK(subject.tags.strings() == summary.tags);
}

TEST_CASE("every truncation is an error, and every extension too") {
  for (const auto& record : {sample_record(), sample_record(std::string(5000, 'x')), sample_marker()}) {
    for (std::size_t size = 0; size < record.size(); ++size) {
      CAPTURE(size);
      // A copy without slack, so that the address sanitizer sees a read beyond.
      const std::vector<char> cut(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(size));
      CHECK(outcome(decode({cut.data(), cut.size()}, {})) == "truncated");
      const auto summary = outcome(summarise({cut.data(), cut.size()}));
      CHECK((summary == "truncated" || summary == "summary" || summary == "not_a_record"));
    }
    CHECK(outcome(decode(record + '\0', {})) == "value");
  }
}

TEST_CASE("every damaged byte is noticed") {
  for (const auto& record : {sample_record(), sample_record(std::string(3000, 'x')), sample_marker()}) {
    for (std::size_t at = 0; at < record.size(); ++at) {
      for (const unsigned bits : {0x01U, 0x80U, 0xFFU}) {
        CAPTURE(at);
        auto damaged = record;
        damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ bits);
        CHECK(std::holds_alternative<DecodeError>(decode(damaged, {})));
      }
    }
  }
}

TEST_CASE("a damaged byte behind right checksums never crashes and never breaks out of the head") {
  for (const auto& record : {sample_record(), sample_record(std::string(1500, 'x')), sample_marker()}) {
    for (std::size_t at = 0; at < record.size(); ++at) {
      if (at >= 8 && at < header_size) continue;
      for (int byte = 0; byte < 256; byte += 5) {
        auto damaged = record;
        damaged[at] = static_cast<char>(byte);
        const auto decoded = decode(repaired(std::move(damaged)), {});
        if (const auto* stored = std::get_if<StoredPtr>(&decoded)) {
          const auto head = (*stored)->head();
          CHECK(static_cast<std::size_t>(std::ranges::count(head, '\n')) ==
                (*stored)->fields().size() - http::count((*stored)->fields(), "Age") + 1 +
                    ((*stored)->status() == 204 ? 1U : 2U));
        }
      }
    }
  }
}

TEST_CASE("random bytes, with and without our magic") {
  std::mt19937 random(4);
  for (unsigned i = 0; i < 20000; ++i) {
    auto bytes = random_bytes(random() % 300, i);
    if (i % 2 == 1) bytes.replace(0, 4, "LRD\x01");
    if (i % 4 == 3 && bytes.size() >= header_size) {
      write_number(bytes, 4, 1 + i % 3, 1);
      write_number(bytes, 5, i % 2, 3);
      write_number(bytes, 8, random() % (bytes.size() - header_size + 1), 4);
      bytes = repaired(std::move(bytes));
    }
    (void)decode(bytes, {});
    (void)summarise(bytes);
  }
}

TEST_CASE("huge lengths and counts allocate nothing") {
  const auto record = sample_record();
  // Each 4-byte place in turn holds the largest number, behind checksums that fit.
  for (std::size_t at = header_size; at + 4 <= record.size(); ++at) {
    for (const std::uint64_t value : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x00FFFFFFU}) {
      auto changed = record;
      write_number(changed, at, value, 4);
      (void)decode(repaired(std::move(changed)), {});
    }
  }
  auto front = record;
  write_number(front, 8, ~std::uint64_t{0}, 4);
  CHECK(outcome(decode(front, {})) == "truncated");
  for (const std::uint64_t rest : {~std::uint64_t{0}, std::uint64_t{1} << 40}) {
    auto changed = repaired(record);
    write_number(changed, 12, rest, 8);
    const std::string_view bytes = changed;
    const auto checksum = crc(bytes.substr(header_size, read_number(changed, 8)), crc(bytes.substr(0, 20)));
    write_number(changed, 20, checksum, 4);
    CHECK(outcome(decode(changed, {})) == "truncated");
  }
}

TEST_CASE("foreign and future values are not records") {
  for (const std::string value :
       {"X", "LRDX", "{\"json\":true}", "LRD\x03zzz", "LRD\x01zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "\x1f\x8b"}) {
    CHECK(outcome(decode(value, {})) == "not_a_record");
    CHECK(outcome(summarise(value)) == "not_a_record");
  }
  CHECK(outcome(decode("", {})) == "truncated");
  auto kind = sample_record();
  kind[4] = 3;
  CHECK(outcome(decode(repaired(std::move(kind)), {})) == "not_a_record");
  auto flags = sample_record();
  flags[flags_at] = 2;
  CHECK(outcome(decode(repaired(std::move(flags)), {})) == "value");
}

TEST_CASE("bodies that are not what they claim") {
  CodecParameters parameters;
  parameters.max_body = 1UL << 20;
  SUBCASE("larger than allowed, plain") {
    const auto record = sample_record(std::string((1UL << 20) + 1, 'x'), {.compress_threshold = 0});
    CHECK(outcome(decode(record, parameters)) == "body");
  }
  SUBCASE("a bomb that says so") {
    const auto record = sample_record(std::string(32UL << 20, 'x'));
    CHECK(record.size() < (1UL << 17));
    CHECK(outcome(decode(record, parameters)) == "body");
    CHECK(outcome(decode(record, {})) == "stored");
  }
  SUBCASE("a bomb that hides it, and other wrong sizes") {
    const auto record = sample_record(std::string(100000, 'x'));
    const auto size_at = record.find(std::string("\xa0\x86\x01\x00\x00\x00\x00\x00", 8));
    REQUIRE(size_at != std::string::npos);
    for (const std::uint64_t size : {0UL, 1UL, 99999UL, 100001UL, 1UL << 20}) {
      auto changed = record;
      write_number(changed, size_at, size, 8);
      CHECK(outcome(decode(repaired(std::move(changed)), parameters)) == "body");
    }
  }
  SUBCASE("more compressed bytes than belong to it") {
    CHECK(outcome(decode(repaired(sample_record(std::string(5000, 'x')) + "more"), parameters)) == "body");
  }
  SUBCASE("plain bytes under the flag") {
    auto record = sample_record();
    record[flags_at] = 1;
    CHECK(outcome(decode(repaired(std::move(record)), parameters)) == "body");
  }
  SUBCASE("compressed bytes without it") {
    auto record = sample_record(std::string(5000, 'x'));
    record[flags_at] = 0;
    CHECK(outcome(decode(repaired(std::move(record)), parameters)) == "body");
  }
}

TEST_CASE("values that would break out of a reply head are refused") {
  struct Row {
    const char* what;
    void (*change)(StoredParts&);
  };
  const std::vector<Row> rows{
      {"NUL in a value", [](StoredParts& p) { p.fields.add("A", std::string_view("b\0c", 3)); }},
      {"LF in the reason", [](StoredParts& p) { p.reason = "OK\n"; }},
      {"space in a name", [](StoredParts& p) { p.fields.add("A b", "c"); }},
      {"an empty name", [](StoredParts& p) { p.fields.add("", "c"); }},
      {"CRLF in the key",
       [](StoredParts& p) {
         p.key = "cache:\r\nA: b";
         p.base_key_size = 6;
       }},
      {"an empty key",
       [](StoredParts& p) {
         p.key = "";
         p.base_key_size = 0;
       }},
      {"a base key longer than the key", [](StoredParts& p) { p.base_key_size = 1000; }},
      {"control in the target", [](StoredParts& p) { p.target = "/\x01"; }},
      {"interim status", [](StoredParts& p) { p.status = 100; }},
      {"status of four digits", [](StoredParts& p) { p.status = 1000; }},
      {"age below zero", [](StoredParts& p) { p.lifetime.corrected_initial_age = Seconds{-1}; }},
      {"received before 1970", [](StoredParts& p) { p.lifetime.response_time = TimePoint{milliseconds{-1}}; }},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto parts = sample_parts();
    row.change(parts);
    const auto base_key_size = parts.base_key_size;
    parts.base_key_size = std::min(parts.base_key_size, parts.key.size());
    auto record = encode(*StoredResponse::make(std::move(parts)), {});
    if (base_key_size == 1000) {
      const auto at = record.find("fedcba") + 6;
      write_number(record, at, base_key_size, 4);
      record = repaired(std::move(record));
    }
    CHECK(outcome(decode(record, {})) == "value");
  }
}

TEST_CASE("fields that no response can have are refused where somebody has forged them") {
  struct Row {
    const char* what;
    std::string_view name;
    std::string_view value;
  };
  const std::vector<Row> rows{{"CRLF in a value", "X-Forged", "b\r\nSet-Cookie: x"},
                              {"LF in a value", "X-Forged", "b\nSet-Cookie: xy"},
                              {"colon in a name", "X-Forge:", "a value of 16 b."}};
  for (const auto& row : rows) {
    CAPTURE(row.what);
    auto parts = sample_parts();
    parts.fields.add("X-Filled", "a value of 16 b.");
    auto record = encode(*StoredResponse::make(std::move(parts)), {});
    REQUIRE(std::holds_alternative<StoredPtr>(decode(record, {})));
    const auto name_at = record.find("X-Filled");
    record.replace(name_at, row.name.size(), row.name);
    record.replace(name_at + row.name.size() + 4, row.value.size(), row.value);
    CHECK(outcome(decode(repaired(std::move(record)), {})) == "value");
  }
}

TEST_CASE("markers with impossible names are refused") {
  const std::vector<std::vector<std::string>> rows{{}, {""}, {"Accept"}, {"b", "a"}, {"a", "a"}, {"a b"}, {"a\r\n"}};
  for (const auto& names : rows) {
    CHECK(outcome(decode(encode(VaryMarker{.canonical = "c", .names = names, .stamp = {}}), {})) == "value");
  }
}

TEST_CASE("to_string names every error") {
  CHECK(to_string(DecodeError::not_a_record) == "not_a_record");
  CHECK(to_string(DecodeError::truncated) == "truncated");
  CHECK(to_string(DecodeError::checksum) == "checksum");
  CHECK(to_string(DecodeError::body) == "body");
  CHECK(to_string(DecodeError::value) == "value");
}

}  // namespace
}  // namespace larder::store
