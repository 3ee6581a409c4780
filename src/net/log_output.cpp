#include "larder/net/log_output.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdexcept>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace larder::net {

namespace {

std::atomic<unsigned> reopen_requests{0};
static_assert(std::atomic<unsigned>::is_always_lock_free, "a signal handler counts them");

// A pipe that poll() calls writable takes this much at once (PIPE_BUF of Linux), as one piece.
constexpr std::size_t pipe_piece = 4096;
constexpr std::size_t file_piece = 1UL << 20;
constexpr std::chrono::milliseconds look_interval{100};

std::string message_of(int error) { return std::error_code(error, std::system_category()).message(); }

}  // namespace

LogOutput::LogOutput(std::string file) : file_(std::move(file)), reopened_(reopen_requests.load()) {
  owns_ = file_ != "stderr";
  descriptor_ = owns_ ? open_file() : STDERR_FILENO;
  if (descriptor_ < 0) throw std::runtime_error(fmt::format("cannot open the log {}: {}", file_, message_of(errno)));
  struct stat found {};
  is_regular_ = ::fstat(descriptor_, &found) == 0 && S_ISREG(found.st_mode);
}

LogOutput::~LogOutput() {
  if (owns_) ::close(descriptor_);
}

int LogOutput::open_file() const noexcept {
  // A FIFO without a reader must not hold the start up.
  return ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

bool LogOutput::write(std::string_view lines) {
  while (!lines.empty()) {
    auto piece = lines.substr(0, is_regular_ ? file_piece : pipe_piece);
    if (!is_regular_ && piece.size() < lines.size()) {
      const auto end = piece.rfind('\n');
      if (end != std::string_view::npos) piece = piece.substr(0, end + 1);
    }
    if (!is_regular_) {
      pollfd waiting{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      const int ready = ::poll(&waiting, 1, static_cast<int>(look_interval.count()));
      if (ready <= 0) {
        if (Clock::now().time_since_epoch().count() >= give_up_.load()) {
          last_error_ = "it takes no more";
          return false;
        }
        continue;
      }
    }
    const auto written = ::write(descriptor_, piece.data(), piece.size());
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      last_error_ = message_of(errno);
      return false;
    }
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool LogOutput::reopen_if_asked() {
  const auto requests = reopen_requests.load();
  if (requests == reopened_) return false;
  reopened_ = requests;
  if (!owns_) return false;
  last_error_.clear();
  const int fresh = open_file();
  if (fresh < 0) {
    last_error_ = message_of(errno);
    return true;
  }
  ::close(std::exchange(descriptor_, fresh));
  struct stat found {};
  is_regular_ = ::fstat(descriptor_, &found) == 0 && S_ISREG(found.st_mode);
  return true;
}

void LogOutput::ask_to_reopen() noexcept { reopen_requests.fetch_add(1); }

}  // namespace larder::net
