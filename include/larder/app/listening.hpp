#pragma once
// Where the listening sockets come from: a service manager (sd_listen_fds(3)), the process that is replaced, or bind().
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/settings.hpp"
#include "larder/net/listening_socket.hpp"

namespace larder::app {

/// A socket that a service manager hands over.
struct PassedSocket {
  net::ListeningSocket socket;
  std::string name;  ///< FileDescriptorName= of the socket unit
};

/// What LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say; they are taken out of the environment. Empty where they are not
/// for this process. Throws std::exception where a descriptor is no listening TCP socket.
std::vector<PassedSocket> passed_sockets();

/// All sockets of the process.
struct ListeningSockets {
  std::vector<net::ListeningSocket> clients;
  std::vector<net::ListeningSocket> admin;  ///< empty where the admin API is off
  /// Somebody else keeps the clients' sockets open, so that what is queued in them outlives this process.
  bool outlive_us = false;
};

/// Which of the passed sockets is for whom: "admin" by its name, or, unnamed, by admin.listen; all others are for
/// clients. What is missing is bound. Throws std::exception where that cannot be, or where a socket for the admin API
/// is passed and there is none.
ListeningSockets sort_sockets(std::vector<PassedSocket> passed, const config::Settings& settings, unsigned workers);

/// Binds all: one socket per worker for the clients.
ListeningSockets bind_sockets(const config::Settings& settings, unsigned workers);

/// Shares the sockets out: each worker gets one at least, each socket goes to one worker at least. Where there are
/// fewer sockets than workers, several accept from the same.
std::vector<std::vector<net::ListeningSocket>> share_out(std::vector<net::ListeningSocket> sockets, unsigned workers);

}  // namespace larder::app
