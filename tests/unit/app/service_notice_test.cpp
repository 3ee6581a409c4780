#include "larder/app/service_notice.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace larder::app {
namespace {

// A service manager's end: an abstract socket, named after this process.
class Manager {
 public:
  Manager() : name_("larder-notice-" + std::to_string(::getpid())) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    REQUIRE(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  }
  ~Manager() { ::close(descriptor_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  std::string name() const { return "@" + name_; }
  // What was told; empty where nothing was.
  std::string told() {
    std::array<char, 512> text{};
    const auto n = ::recv(descriptor_, text.data(), text.size(), MSG_DONTWAIT);
    return n > 0 ? std::string(text.data(), static_cast<std::size_t>(n)) : std::string();
  }

 private:
  std::string name_;
  int descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST_CASE("what the service manager is told") {
  Manager manager;
  const ServiceNotice notice(manager.name(), "30000000");
  notice.ready();
  CHECK(manager.told() == "READY=1");
  notice.reloading();
  const auto reloading = manager.told();
  CHECK(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(reloading.size() > std::string("RELOADING=1\nMONOTONIC_USEC=").size());
  notice.status("two\nlines");
  CHECK(manager.told() == "STATUS=two lines");
  notice.stopping();
  CHECK(manager.told() == "STOPPING=1");
  notice.alive();
  CHECK(manager.told() == "WATCHDOG=1");
  REQUIRE(notice.interval().has_value());
  CHECK(*notice.interval() == std::chrono::seconds(15));
}

TEST_CASE("no service manager, no watchdog, or nonsense") {
  ServiceNotice().ready();
  CHECK(!ServiceNotice("", "30000000").interval());
  CHECK(!ServiceNotice("@x", "").interval());
  CHECK(!ServiceNotice("@x", "0").interval());
  CHECK(!ServiceNotice("@x", "soon").interval());
  ServiceNotice(std::string(300, 'x'), "").ready();
  ServiceNotice("/no/such/socket", "").ready();  // logged, and that is all
}

TEST_CASE("of this process: taken out of the environment, which programs that we start would inherit") {
  Manager manager;
  ::setenv("NOTIFY_SOCKET", manager.name().c_str(), 1);
  ::setenv("WATCHDOG_USEC", "2000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const auto notice = ServiceNotice::of_this_process();
  CHECK(notice.interval() == std::chrono::milliseconds(1000));
  notice.ready();
  CHECK(manager.told() == "READY=1");
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
  // The watchdog is for another process.
  ::setenv("NOTIFY_SOCKET", manager.name().c_str(), 1);
  ::setenv("WATCHDOG_USEC", "2000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  CHECK(!ServiceNotice::of_this_process().interval());
}

}  // namespace
}  // namespace larder::app
