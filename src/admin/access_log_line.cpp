#include "larder/admin/access_log_line.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "larder/admin/answer.hpp"
#include "larder/http/token.hpp"

namespace larder::admin {
namespace {

using std::chrono::system_clock;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Takes pieces of a text from its front.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool skip(std::string_view text) noexcept {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  /// Exactly `digits` digits.
  std::optional<int> number(std::size_t digits) noexcept {
    int value = 0;
    if (rest_.size() < digits ||
        !std::all_of(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(digits), is_digit)) {
      return std::nullopt;
    }
    std::from_chars(rest_.data(), rest_.data() + digits, value);
    rest_.remove_prefix(digits);
    return value;
  }
  /// What stands in front of `end`, which is passed; empty optional where it does not come.
  std::optional<std::string_view> until(char end) noexcept {
    const auto at = rest_.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const auto taken = rest_.substr(0, at);
    rest_.remove_prefix(at + 1);
    return taken;
  }
  /// A text in quotes, in which a backslash hides a quote.
  std::optional<std::string_view> quoted() noexcept {
    if (!skip("\"")) return std::nullopt;
    for (std::size_t at = 0; at < rest_.size(); ++at) {
      if (rest_[at] == '\\') {
        ++at;
      } else if (rest_[at] == '"') {
        const auto taken = rest_.substr(0, at);
        rest_.remove_prefix(at + 1);
        return taken;
      }
    }
    return std::nullopt;
  }
  void skip_digits() noexcept {
    while (!rest_.empty() && is_digit(rest_.front())) rest_.remove_prefix(1);
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
};

std::optional<system_clock::time_point> point(int year, int month, int day, int hour, int minute, int second,
                                              int offset_minutes) {
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute - offset_minutes) +
         std::chrono::seconds(second);
}

// "Z", "+01:00", "+0100", or nothing, which is taken for UTC.
std::optional<int> offset_minutes(Scanner& scanner) {
  if (scanner.rest().empty() || scanner.skip("Z")) return 0;
  const bool is_west = scanner.skip("-");
  if (!is_west && !scanner.skip("+")) return std::nullopt;
  const auto hours = scanner.number(2);
  scanner.skip(":");
  const auto minutes = scanner.number(2);
  if (!hours || !minutes) return std::nullopt;
  const int value = *hours * 60 + *minutes;
  return is_west ? -value : value;
}

std::optional<system_clock::time_point> iso_point(std::string_view text) {
  Scanner s(text);
  const auto year = s.number(4);
  if (!year || !s.skip("-")) return std::nullopt;
  const auto month = s.number(2);
  if (!month || !s.skip("-")) return std::nullopt;
  const auto day = s.number(2);
  if (!day || (!s.skip("T") && !s.skip(" "))) return std::nullopt;
  const auto hour = s.number(2);
  if (!hour || !s.skip(":")) return std::nullopt;
  const auto minute = s.number(2);
  if (!minute || !s.skip(":")) return std::nullopt;
  const auto second = s.number(2);
  if (!second) return std::nullopt;
  if (s.skip(".") || s.skip(",")) s.skip_digits();
  const auto offset = offset_minutes(s);
  if (!offset || !s.rest().empty()) return std::nullopt;
  return point(*year, *month, *day, *hour, *minute, *second, *offset);
}

std::optional<system_clock::time_point> combined_point(std::string_view text) {
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  Scanner s(text);
  const auto day = s.number(2);
  if (!day || !s.skip("/")) return std::nullopt;
  const auto month = std::ranges::find(months, s.rest().substr(0, 3));
  if (month == months.end()) return std::nullopt;
  s.skip(*month);
  if (!s.skip("/")) return std::nullopt;
  const auto year = s.number(4);
  if (!year || !s.skip(":")) return std::nullopt;
  const auto hour = s.number(2);
  if (!hour || !s.skip(":")) return std::nullopt;
  const auto minute = s.number(2);
  if (!minute || !s.skip(":")) return std::nullopt;
  const auto second = s.number(2);
  if (!second) return std::nullopt;
  s.skip(" ");
  const auto offset = offset_minutes(s);
  if (!offset || !s.rest().empty()) return std::nullopt;
  return point(*year, static_cast<int>(month - months.begin()) + 1, *day, *hour, *minute, *second, *offset);
}

std::optional<system_clock::time_point> since_1970(double value) {
  constexpr double first_milliseconds = 1e11;  // as seconds that is the year 5138
  if (!std::isfinite(value) || value < 0 || value > 1e14) return std::nullopt;
  const double seconds = value > first_milliseconds ? value / 1000 : value;
  return system_clock::time_point(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
}

std::optional<LineFault> read_request_line(std::string_view line, LoggedRequest& out) {
  const auto space = line.find(' ');
  const auto method = line.substr(0, space);
  if (!http::is_token(method)) return LineFault::bad_method;
  if (space == std::string_view::npos) return LineFault::no_target;
  auto target = line.substr(space + 1);
  if (const auto end = target.rfind(" HTTP/"); end != std::string_view::npos) target = target.substr(0, end);
  if (target.empty()) return LineFault::no_target;
  out.method = method;
  out.target = target;
  return std::nullopt;
}

bool is_status(int status) noexcept { return status >= 100 && status <= 999; }

std::variant<LoggedRequest, LineFault> parse_combined(std::string_view line) {
  LoggedRequest out;
  Scanner s(line);
  const auto client = s.until(' ');
  const auto ident = s.until(' ');
  const auto user = s.until('[');
  if (!client || !ident || !user || client->empty()) return LineFault::unknown_form;
  out.client = *client;
  const auto name = user->substr(0, user->find(' '));
  if (!name.empty() && name != "-") out.client = name;
  const auto time = s.until(']');
  if (!time) return LineFault::unknown_form;
  const auto when = parse_log_time(*time);
  if (!when) return LineFault::bad_time;
  out.time = *when;
  s.skip(" ");
  const auto request = s.quoted();
  if (!request) return LineFault::unknown_form;
  if (const auto fault = read_request_line(*request, out)) return *fault;
  if (!s.skip(" ")) return LineFault::bad_status;
  const auto status = s.number(3);
  if (!status || !is_status(*status)) return LineFault::bad_status;
  out.status = *status;
  if (s.skip(" ") && !s.rest().empty() && is_digit(s.rest().front())) {
    std::uint64_t bytes = 0;
    const auto rest = s.rest();
    if (std::from_chars(rest.data(), rest.data() + rest.size(), bytes).ec == std::errc{}) out.bytes = bytes;
  }
  return out;
}

using Names = std::initializer_list<const char*>;

const Json* find(const Json& object, Names names) {
  for (const char* const name : names) {
    const auto found = object.find(name);
    if (found != object.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

// Numbers are written as texts by many.
std::string text_of(const Json& object, Names names) {
  const auto* const value = find(object, names);
  if (value == nullptr || value->is_structured()) return {};
  return value->is_string() ? value->get<std::string>() : value->dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class T>
std::optional<T> number_of(const Json& object, Names names) {
  const auto text = text_of(object, names);
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::variant<LoggedRequest, LineFault> parse_json(std::string_view line) {
  // A log's line is flat; nesting is bounded all the same.
  int deepest = 0;
  const Json::parser_callback_t watch = [&deepest](int depth, Json::parse_event_t, Json&) {
    deepest = std::max(deepest, depth);
    return deepest < 16;
  };
  const auto object = Json::parse(line.begin(), line.end(), watch, false);
  if (object.is_discarded() || !object.is_object()) return LineFault::bad_json;
  if (const auto event = text_of(object, {"event"}); !event.empty() && event != "request" && event != "access") {
    return LineFault::other_event;
  }
  LoggedRequest out;
  const auto request_line = text_of(object, {"request"});
  out.method = text_of(object, {"method", "request_method"});
  out.target = text_of(object, {"target", "uri", "request_uri", "url", "path"});
  if (out.target.empty() && !request_line.empty()) {
    if (const auto fault = read_request_line(request_line, out)) return *fault;
  }
  if (out.target.empty()) return LineFault::no_target;
  if (!http::is_token(out.method)) return LineFault::bad_method;
  const auto time =
      parse_log_time(text_of(object, {"time", "ts", "timestamp", "@timestamp", "time_iso8601", "time_local", "msec"}));
  if (!time) return LineFault::bad_time;
  out.time = *time;
  const auto status = number_of<int>(object, {"status", "status_code", "code"});
  if (!status || !is_status(*status)) return LineFault::bad_status;
  out.status = *status;
  out.host = text_of(object, {"host", "http_host", "authority"});
  out.client = text_of(object, {"client", "remote_addr", "ip", "client_ip"});
  if (const auto user = text_of(object, {"user", "remote_user"}); !user.empty() && user != "-") out.client = user;
  out.bytes = number_of<std::uint64_t>(object, {"bytes", "body_bytes_sent", "bytes_sent", "size"});
  out.cache = text_of(object, {"cache", "x_cache", "outcome", "upstream_cache_status"});
  std::ranges::transform(out.cache, out.cache.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

}  // namespace

std::string_view to_string(LineFault fault) noexcept {
  switch (fault) {
    case LineFault::empty:
      return "empty";
    case LineFault::other_event:
      return "other_event";
    case LineFault::unknown_form:
      return "unknown_form";
    case LineFault::bad_json:
      return "bad_json";
    case LineFault::no_target:
      return "no_target";
    case LineFault::bad_method:
      return "bad_method";
    case LineFault::bad_time:
      return "bad_time";
    case LineFault::bad_status:
      return "bad_status";
    case LineFault::too_long:
      return "too_long";
    case LineFault::bad_request:
      return "bad_request";
    case LineFault::count_:
      break;
  }
  return {};
}

std::string_view meaning(LineFault fault) noexcept {
  switch (fault) {
    case LineFault::empty:
      return "there is nothing on the line";
    case LineFault::other_event:
      return "it is not about a request";
    case LineFault::unknown_form:
      return "it is neither Combined Log Format nor a JSON object";
    case LineFault::bad_json:
      return "it begins as a JSON object and is none";
    case LineFault::no_target:
      return "it names no request target";
    case LineFault::bad_method:
      return "it names no method";
    case LineFault::bad_time:
      return "it has no time, or one of no known form";
    case LineFault::bad_status:
      return "it has no status";
    case LineFault::too_long:
      return "it is longer than 64 KiB";
    case LineFault::bad_request:
      return "its target or host is invalid";
    case LineFault::count_:
      break;
  }
  return {};
}

std::optional<system_clock::time_point> parse_log_time(std::string_view text) {
  if (const auto iso = iso_point(text)) return iso;
  if (const auto combined = combined_point(text)) return combined;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? since_1970(value) : std::nullopt;
}

std::variant<LoggedRequest, LineFault> parse_access_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const auto begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return LineFault::empty;
  line.remove_prefix(begin);
  if (line.size() > most_line) return LineFault::too_long;
  return line.front() == '{' ? parse_json(line) : parse_combined(line);
}

}  // namespace larder::admin
