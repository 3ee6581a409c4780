#include "larder/app/service_notice.hpp"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace larder::app {

namespace {
std::string taken_from_environment(const char* name) {
  const char* const value = std::getenv(name);
  std::string text = value != nullptr ? value : "";
  (void)::unsetenv(name);
  return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}
}  // namespace

ServiceNotice::ServiceNotice(std::string_view socket, std::string_view watchdog_usec) : socket_(socket) {
  const auto usec = number(watchdog_usec);
  if (!socket_.empty() && usec && *usec > 0) {
    interval_ = std::chrono::milliseconds(std::max<std::uint64_t>(1, *usec / 2000));
  }
}

ServiceNotice ServiceNotice::of_this_process() {
  const auto socket = taken_from_environment("NOTIFY_SOCKET");
  auto usec = taken_from_environment("WATCHDOG_USEC");
  const auto pid = taken_from_environment("WATCHDOG_PID");
  if (!pid.empty() && number(pid) != static_cast<std::uint64_t>(::getpid())) usec.clear();
  return ServiceNotice(socket, usec);
}

void ServiceNotice::reloading() const {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto usec = static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void ServiceNotice::status(std::string_view text) const {
  std::string line = "STATUS=";
  for (const char c : text) line += c == '\n' ? ' ' : c;
  send(line);
}

void ServiceNotice::send(std::string_view state) const {
  if (socket_.empty()) return;
  sockaddr_un address{};
  if (socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  const bool is_abstract = socket_.front() == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size() + (is_abstract ? 0 : 1));
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool is_sent = descriptor >= 0 && ::sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL,
                                                   reinterpret_cast<const sockaddr*>(&address),  // NOLINT: POSIX's way
                                                   size) >= 0;
  if (!is_sent) spdlog::warn("the service manager cannot be told \"{}\": {}", state, std::strerror(errno));
  if (descriptor >= 0) ::close(descriptor);
}

}  // namespace larder::app
