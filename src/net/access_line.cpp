#include "larder/net/access_line.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <iterator>

#include "larder/http/log_text.hpp"

namespace larder::net {

namespace {

// The numbers of an entry as they lie in the queue.
struct Packed {
  std::uint32_t size = 0;  // of the whole entry
  std::uint32_t target_size = 0;
  std::int64_t ended_ns = 0;
  std::int64_t total_ns = 0;
  std::int64_t origin_ns = 0;
  std::int64_t redis_ns = 0;
  std::uint64_t bytes = 0;
  std::uint16_t status = 0;
  std::uint16_t flags = 0;
  std::array<std::uint16_t, 13> text_sizes{};
};

constexpr std::uint16_t flag_http_1_0 = 1;
constexpr std::uint16_t flag_collapsed = 2;
constexpr std::uint16_t flag_cut_short = 4;

struct TextMember {
  std::string_view AccessEntry::*member;
  std::size_t most;
};
constexpr std::array<TextMember, 13> texts{{{&AccessEntry::client, 64},
                                            {&AccessEntry::method, 64},
                                            {&AccessEntry::host, 512},
                                            {&AccessEntry::target, most_target},
                                            {&AccessEntry::request_id, 128},
                                            {&AccessEntry::trace_id, 32},
                                            {&AccessEntry::cache, 32},
                                            {&AccessEntry::reason, 128},
                                            {&AccessEntry::detail, 128},
                                            {&AccessEntry::tier, 32},
                                            {&AccessEntry::key, 640},
                                            {&AccessEntry::type, 64},
                                            {&AccessEntry::route, 256}}};
static_assert([] {
  std::size_t sum = sizeof(Packed);
  for (const auto& text : texts) sum += text.most;
  return sum;
}() <= largest_entry);

double as_milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

// One line in one of the two forms.
class LineWriter {
 public:
  LineWriter(std::string& out, LogFormat format) : out_(out), is_json_(format == LogFormat::json) {}

  void begin(std::chrono::system_clock::time_point time, std::string_view event) {
    if (is_json_) out_ += "{\"time\":\"";
    append_time(out_, time);
    out_ += is_json_ ? "\",\"event\":\"" : " ";
    out_ += event;
    if (is_json_) out_ += '"';
  }
  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    open(name);
    if (is_json_) {
      out_ += '"';
      http::append_json_text(out_, value);
      out_ += '"';
    } else {
      append_plain(value);
    }
  }
  void number(std::string_view name, std::uint64_t value) {
    open(name);
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }
  void time(std::string_view name, std::int64_t nanoseconds) {
    open(name);
    fmt::format_to(std::back_inserter(out_), "{:.3f}", as_milliseconds(nanoseconds));
  }
  void flag(std::string_view name, bool value) {
    if (!value) return;
    open(name);
    out_ += "true";
  }
  void end() { out_ += is_json_ ? "}\n" : "\n"; }

 private:
  void open(std::string_view name) {
    out_ += is_json_ ? ",\"" : " ";
    out_ += name;
    out_ += is_json_ ? "\":" : "=";
  }
  // In quotes where the end would not be seen otherwise.
  void append_plain(std::string_view value) {
    const bool is_word = value.find_first_of(" \"=\\") == std::string_view::npos;
    if (!is_word) out_ += '"';
    // A quote or backslash inside must not look like the end.
    while (!value.empty()) {
      const auto piece = value.substr(0, value.find_first_of("\"\\"));
      http::append_log_text(out_, piece);
      value.remove_prefix(piece.size());
      if (value.empty()) break;
      out_ += '\\';
      out_ += value.front();
      value.remove_prefix(1);
    }
    if (!is_word) out_ += '"';
  }

  std::string& out_;
  const bool is_json_;
};

}  // namespace

std::size_t pack_entry(const AccessEntry& entry, std::span<char, largest_entry> out) noexcept {
  Packed packed;
  packed.target_size = entry.target_size;
  packed.ended_ns = entry.ended_ns;
  packed.total_ns = entry.total_ns;
  packed.origin_ns = entry.origin_ns;
  packed.redis_ns = entry.redis_ns;
  packed.bytes = entry.bytes;
  packed.status = entry.status;
  packed.flags =
      static_cast<std::uint16_t>((entry.is_http_1_0 ? flag_http_1_0 : 0) | (entry.collapsed ? flag_collapsed : 0) |
                                 (entry.cut_short ? flag_cut_short : 0));
  auto at = sizeof(Packed);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto text = (entry.*texts[i].member).substr(0, texts[i].most);
    std::copy(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    packed.text_sizes[i] = static_cast<std::uint16_t>(text.size());
    at += text.size();
  }
  packed.size = static_cast<std::uint32_t>(at);
  std::memcpy(out.data(), &packed, sizeof packed);
  return at;
}

std::optional<AccessEntry> unpack_entry(std::string_view& bytes) noexcept {
  Packed packed;
  if (bytes.size() < sizeof packed) return std::nullopt;
  std::memcpy(&packed, bytes.data(), sizeof packed);
  if (packed.size < sizeof packed || packed.size > bytes.size()) return std::nullopt;
  AccessEntry entry;
  entry.target_size = packed.target_size;
  entry.ended_ns = packed.ended_ns;
  entry.total_ns = packed.total_ns;
  entry.origin_ns = packed.origin_ns;
  entry.redis_ns = packed.redis_ns;
  entry.bytes = packed.bytes;
  entry.status = packed.status;
  entry.is_http_1_0 = (packed.flags & flag_http_1_0) != 0;
  entry.collapsed = (packed.flags & flag_collapsed) != 0;
  entry.cut_short = (packed.flags & flag_cut_short) != 0;
  auto rest = bytes.substr(sizeof packed, packed.size - sizeof packed);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    entry.*texts[i].member = rest.substr(0, packed.text_sizes[i]);
    rest.remove_prefix(std::min<std::size_t>(packed.text_sizes[i], rest.size()));
  }
  bytes.remove_prefix(packed.size);
  return entry;
}

void append_time(std::string& out, std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<milliseconds>(time) - day);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                 clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

void append_line(std::string& out, const AccessEntry& entry, LogFormat format,
                 std::chrono::system_clock::time_point ended, std::span<const std::string> secret_parameters) {
  std::string target;
  http::append_without_secrets(target, entry.target, secret_parameters);
  LineWriter line(out, format);
  line.begin(ended, "request");
  line.text("client", entry.client);
  line.text("method", entry.method);
  line.text("host", entry.host);
  line.text("target", target);
  if (entry.target_size > entry.target.size()) line.number("target_bytes", entry.target_size);
  if (!entry.method.empty()) line.text("version", entry.is_http_1_0 ? "1.0" : "1.1");
  line.number("status", entry.status);
  line.number("bytes", entry.bytes);
  line.text("cache", entry.cache);
  line.text("reason", entry.reason);
  line.text("detail", entry.detail);
  line.text("tier", entry.tier);
  line.text("key", entry.key);
  line.text("type", entry.type);
  line.text("route", entry.route);
  line.time("total_ms", entry.total_ns);
  if (entry.origin_ns > 0) line.time("origin_ms", entry.origin_ns);
  if (entry.redis_ns > 0) line.time("redis_ms", entry.redis_ns);
  line.flag("collapsed", entry.collapsed);
  line.flag("cut_short", entry.cut_short);
  line.text("id", entry.request_id);
  line.text("trace", entry.trace_id);
  line.end();
}

void append_dropped_line(std::string& out, std::uint64_t count, LogFormat format,
                         std::chrono::system_clock::time_point now) {
  LineWriter line(out, format);
  line.begin(now, "dropped");
  line.number("requests", count);
  line.text("why", "the queue of the access log was full");
  line.end();
}

}  // namespace larder::net
