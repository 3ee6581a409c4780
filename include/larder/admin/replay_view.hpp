#pragma once
// The report of a replay for people. Pure.
#include <array>
#include <cstdint>
#include <string>

#include "larder/admin/access_log_line.hpp"
#include "larder/admin/replay.hpp"

namespace larder::admin {

/// What became of the lines of a log.
struct LogFigures {
  static constexpr auto faults_size = static_cast<std::size_t>(LineFault::count_);
  std::uint64_t lines = 0;
  std::array<std::uint64_t, faults_size> faults{};       ///< lines that were left out, by LineFault
  std::array<std::uint64_t, faults_size> first_lines{};  ///< number of the first one of each, from 1

  /// Notes that line `lines` has this fault.
  void note(LineFault fault) noexcept;
};

/// Lines of text; ends with a line feed.
std::string to_text(const ReplayReport& report, const LogFigures& figures);

}  // namespace larder::admin
