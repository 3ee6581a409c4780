#pragma once
// The whole program between start and stop: what is shared, the workers, the background thread, the signals.
#include <memory>
#include <string>

#include "larder/config/settings.hpp"

namespace larder::app {

class Server {
 public:
  /// Binds its listeners and opens its journal; throws std::exception with a message for the user where it cannot.
  Server(config::Settings settings, std::string version);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until SIGINT or SIGTERM, then drains and returns.
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::app
