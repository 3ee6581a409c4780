#pragma once
// What the service manager is told: sd_notify(3)'s protocol, a datagram to $NOTIFY_SOCKET.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace larder::app {

/// Thread-safe. Does nothing where no service manager asks for it.
class ServiceNotice {
 public:
  /// `socket`: the value of NOTIFY_SOCKET; a leading '@' is an abstract name. `watchdog_usec`: that of WATCHDOG_USEC.
  explicit ServiceNotice(std::string_view socket = {}, std::string_view watchdog_usec = {});
  /// Of this process: what its environment says (WATCHDOG_PID included), which is taken out of the environment.
  static ServiceNotice of_this_process();

  void ready() const { send("READY=1"); }
  /// A reload began; ready() ends it (systemd's Type=notify-reload wants the time as well).
  void reloading() const;
  void stopping() const { send("STOPPING=1"); }
  void alive() const { send("WATCHDOG=1"); }
  void status(std::string_view text) const;
  /// How often alive() is to be told: half of the watchdog's time; empty where there is no watchdog.
  [[nodiscard]] std::optional<std::chrono::milliseconds> interval() const noexcept { return interval_; }

 private:
  void send(std::string_view state) const;
  std::string socket_;
  std::optional<std::chrono::milliseconds> interval_;
};

}  // namespace larder::app
