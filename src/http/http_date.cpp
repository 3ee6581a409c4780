#include "larder/http/http_date.hpp"

#include <array>
#include <cstring>

#include "larder/http/field_list.hpp"

namespace larder::http {

namespace {

namespace chr = std::chrono;
using TimePoint = chr::system_clock::time_point;

constexpr std::array<std::string_view, 7> short_days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> long_days{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                    "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr int first_year = 1900;
constexpr int last_year = 2189;

// Takes pieces off the front of a text; after the first mismatch `ok` is false and everything else is void.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : rest_(text) {}

  void literal(std::string_view expected) noexcept {
    const bool stands_here = rest_.starts_with(expected) || (rest_.size() >= expected.size() &&
                                                             iequals(rest_.data(), expected.data(), expected.size()));
    if (!stands_here) {
      ok_ = false;
      return;
    }
    rest_.remove_prefix(expected.size());
  }
  int digits(std::size_t count) noexcept {
    if (rest_.size() < count) {
      ok_ = false;
      return 0;
    }
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') {
        ok_ = false;
        return 0;
      }
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  // Index of the name in front, or -1.
  template <std::size_t N>
  int one_of(const std::array<std::string_view, N>& names) noexcept {
    for (std::size_t i = 0; i < N; ++i) {
      // Most names differ in their first letter.
      if (rest_.size() >= names[i].size() && ((rest_[0] ^ names[i][0]) | 0x20) == 0x20 &&
          iequals(rest_.data(), names[i].data(), names[i].size())) {
        rest_.remove_prefix(names[i].size());
        return static_cast<int>(i);
      }
    }
    ok_ = false;
    return -1;
  }
  // asctime's day of month: two digits, or a space and one.
  int padded_day() noexcept {
    if (!rest_.empty() && rest_.front() == ' ') {
      rest_.remove_prefix(1);
      return digits(1);
    }
    return digits(2);
  }
  [[nodiscard]] bool done() const noexcept { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Parts {
  int year = 0;
  int month = 0;  // 0..11
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  bool two_digit_year = false;

  void time(Reader& in) noexcept {
    hour = in.digits(2);
    in.literal(":");
    minute = in.digits(2);
    in.literal(":");
    second = in.digits(2);
  }
};

bool read_imf(std::string_view text, Parts& p) noexcept {
  Reader in(text);
  in.one_of(short_days);
  in.literal(", ");
  p.day = in.digits(2);
  in.literal(" ");
  p.month = in.one_of(months);
  in.literal(" ");
  p.year = in.digits(4);
  in.literal(" ");
  p.time(in);
  in.literal(" GMT");
  return in.done();
}

bool read_rfc850(std::string_view text, Parts& p) noexcept {
  Reader in(text);
  in.one_of(long_days);
  in.literal(", ");
  p.day = in.digits(2);
  in.literal("-");
  p.month = in.one_of(months);
  in.literal("-");
  p.year = in.digits(2);
  p.two_digit_year = true;
  in.literal(" ");
  p.time(in);
  in.literal(" GMT");
  return in.done();
}

bool read_asctime(std::string_view text, Parts& p) noexcept {
  Reader in(text);
  in.one_of(short_days);
  in.literal(" ");
  p.month = in.one_of(months);
  in.literal(" ");
  p.day = in.padded_day();
  in.literal(" ");
  p.time(in);
  in.literal(" ");
  p.year = in.digits(4);
  return in.done();
}

chr::year_month_day date_of(const Parts& p, int year) noexcept {
  return chr::year{year} / chr::month{static_cast<unsigned>(p.month + 1)} / chr::day{static_cast<unsigned>(p.day)};
}

chr::sys_seconds moment(const Parts& p, int year) noexcept {
  // A leap second is "the nearest time equal to or earlier" that our clock can show (RFC 9111 §4.2).
  const int second = p.second == 60 ? 59 : p.second;
  return chr::sys_days{date_of(p, year)} + chr::hours{p.hour} + chr::minutes{p.minute} + chr::seconds{second};
}

int full_year(const Parts& p, TimePoint now) noexcept {
  const chr::year_month_day today{chr::floor<chr::days>(now)};
  // 50 years of 365.2425 days.
  const chr::sys_seconds limit = chr::floor<chr::seconds>(now) + chr::years{50};
  int year = (static_cast<int>(today.year()) / 100 + 1) * 100 + p.year;
  while (moment(p, year) > limit) year -= 100;
  return year;
}

}  // namespace

std::optional<TimePoint> parse_http_date(std::string_view text, TimePoint now) {
  Parts p;
  bool known = false;
  // The forms are told apart by the byte after the weekday.
  if (text.size() == http_date_size && text[3] == ',') {
    known = read_imf(text, p);
  } else if (text.size() > 3 && text[3] == ' ') {
    known = read_asctime(text, p);
  } else {
    known = read_rfc850(text, p);
  }
  if (!known || p.hour > 23 || p.minute > 59 || p.second > 60) return std::nullopt;
  const int year = p.two_digit_year ? full_year(p, now) : p.year;
  if (!date_of(p, year).ok()) return std::nullopt;
  if (year < first_year) return chr::sys_days{chr::year{first_year} / 1 / 1};
  if (year > last_year) return chr::sys_days{chr::year{last_year + 1} / 1 / 1};
  return moment(p, year);
}

void format_http_date(TimePoint time, std::span<char, http_date_size> out) noexcept {
  const auto seconds = chr::floor<chr::seconds>(time);
  const auto day = chr::floor<chr::days>(seconds);
  const chr::year_month_day date{day};
  const chr::hh_mm_ss clock{seconds - day};
  const auto two = [&](std::size_t at, long value) {
    out[at] = static_cast<char>('0' + value / 10 % 10);
    out[at + 1] = static_cast<char>('0' + value % 10);
  };
  static constexpr std::string_view form = "Sun, 06 Nov 1994 08:49:37 GMT";
  std::memcpy(out.data(), form.data(), form.size());
  std::memcpy(out.data(), short_days[chr::weekday{day}.c_encoding()].data(), 3);
  two(5, static_cast<long>(static_cast<unsigned>(date.day())));
  std::memcpy(out.data() + 8, months[static_cast<unsigned>(date.month()) - 1].data(), 3);
  const int year = static_cast<int>(date.year());
  two(12, year / 100);
  two(14, year % 100);
  two(17, clock.hours().count());
  two(20, clock.minutes().count());
  two(23, clock.seconds().count());
}

std::string format_http_date(TimePoint time) {
  std::string text(http_date_size, '\0');
  format_http_date(time, std::span<char, http_date_size>(text.data(), http_date_size));
  return text;
}

}  // namespace larder::http
