#pragma once
// Where a log's lines go: the error output, or a file that is opened anew when a log rotation asks for it.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::net {

/// Used by one thread, but for what says otherwise.
class LogOutput {
 public:
  using Clock = std::chrono::steady_clock;

  /// `file`: a path, which is appended to and made where it is missing (mode 0640), or "stderr". Throws
  /// std::runtime_error with a message for the user where it cannot be opened.
  explicit LogOutput(std::string file);
  ~LogOutput();
  LogOutput(const LogOutput&) = delete;
  LogOutput& operator=(const LogOutput&) = delete;

  /// Writes whole lines; waits as long as the output takes none, but not beyond give_up_at(). False where some of them
  /// are lost: `last_error()` says why. What goes to a pipe is cut at line ends, so that others may write to it too.
  bool write(std::string_view lines);
  /// From any thread: what cannot be written by then is lost.
  void give_up_at(Clock::time_point when) noexcept { give_up_.store(when.time_since_epoch().count()); }

  /// Opens the file anew where ask_to_reopen() was called since the last time. True where it was; where that fails the
  /// old one stays in use, and last_error() says why.
  bool reopen_if_asked();
  /// Every output opens its file anew before its next line. From any thread, and from a signal handler.
  static void ask_to_reopen() noexcept;

  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] const std::string& last_error() const noexcept { return last_error_; }

 private:
  [[nodiscard]] int open_file() const noexcept;

  const std::string file_;
  int descriptor_ = -1;
  bool owns_ = false;
  bool is_regular_ = false;
  unsigned reopened_ = 0;  ///< requests to reopen that were followed
  std::string last_error_;
  std::atomic<Clock::rep> give_up_{Clock::time_point::max().time_since_epoch().count()};
};

}  // namespace larder::net
