#pragma once
// What the admin API answers, as a value: a status and a JSON body. Pure.
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace larder::admin {

/// Fields keep the order in which they were written.
using Json = nlohmann::ordered_json;

/// An answer before it is sent: the body is serialised already.
struct Answer {
  int status = 200;
  std::string body;                                    ///< JSON and a line feed, unless content_type says otherwise
  std::string more_lines;                              ///< further header field lines, each with CRLF
  std::string_view content_type = "application/json";  ///< lives for ever
  std::string_view cache_control = "no-store";         ///< lives for ever
};

/// JSON text of any value. Strings that are not UTF-8 (keys and targets hold any bytes) get U+FFFD in place of what is
/// wrong; throws nothing but std::bad_alloc.
std::string serialise(const Json& value);

/// 200 with {"status":"success", …`content`…, "timestamp":…}; `content` is an object.
Answer success(const Json& content, std::chrono::system_clock::time_point now);

/// An error: {"status":"error","error":name,"message":…}. `name` is for programs and never changes; `message` says
/// what is wrong and what would be right. The members of `details` (an object, or null) follow.
Answer failure(int status, std::string_view name, std::string_view message);
Answer failure(int status, std::string_view name, std::string_view message, const Json& details);

/// ISO 8601 in UTC with seconds, rounded down: "2025-01-31T09:00:00Z".
std::string iso_time(std::chrono::system_clock::time_point time);

/// `part` of `whole` in percent, 0..100 with two decimals; 0 where the whole is 0.
double percent(std::uint64_t part, std::uint64_t whole) noexcept;

}  // namespace larder::admin
