#pragma once
// The log of what Larder itself does and suffers: spdlog's default logger, set up to be asynchronous, to escape what
// clients and origins could smuggle into a line, and to open its file anew on SIGUSR1.
#include <chrono>
#include <string>
#include <string_view>

#include "larder/config/settings.hpp"

namespace larder::app {

/// Appends one line, with its line feed. Human: "2026-11-26T01:02:03.456+0000 warning text", in local time.
void append_log_line(std::string& out, net::LogFormat format, std::chrono::system_clock::time_point time,
                     std::string_view level, std::string_view text);

/// Before there is a configuration: to the error output, at once.
void log_to_stderr();

/// The log as configured, written by a thread of its own: whoever logs waits for nobody. Lines that find the queue full
/// push the oldest out, and the log says how many. Throws std::runtime_error where the file cannot be opened.
void begin_log(const net::LogParameters& parameters, config::LogLevel level);

/// Writes what is queued, for at most a second, and ends the thread. Afterwards nothing may be logged.
void end_log();

/// SIGUSR1 makes every log open its file anew. Other threads' system calls go on.
void reopen_logs_on_signal();

}  // namespace larder::app
