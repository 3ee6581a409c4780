#include "larder/admin/answer.hpp"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace larder::admin {

std::string serialise(const Json& value) {
  constexpr int compact = -1;
  return value.dump(compact, ' ', false, Json::error_handler_t::replace);
}

Answer success(const Json& content, std::chrono::system_clock::time_point now) {
  Json body{{"status", "success"}};
  body.update(content);
  body["timestamp"] = iso_time(now);
  return {.status = 200, .body = serialise(body) + '\n', .more_lines = {}};
}

Answer failure(int status, std::string_view name, std::string_view message) {
  return failure(status, name, message, nullptr);
}

Answer failure(int status, std::string_view name, std::string_view message, const Json& details) {
  Json body{{"status", "error"}, {"error", name}, {"message", message}};
  if (details.is_object()) body.update(details);
  return {.status = status, .body = serialise(body) + '\n', .more_lines = {}};
}

std::string iso_time(std::chrono::system_clock::time_point time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

double percent(std::uint64_t part, std::uint64_t whole) noexcept {
  if (whole == 0) return 0;
  return std::round(static_cast<double>(part) * 10000 / static_cast<double>(whole)) / 100;
}

}  // namespace larder::admin
