#pragma once
// The whole program between start and stop: what is shared, the workers, the background thread, the signals.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "larder/config/loader.hpp"
#include "larder/config/settings.hpp"

namespace larder::app {

/// How the configuration is found again for a reload.
struct ConfigurationSource {
  std::optional<std::string> file;  ///< of --config
  config::Overrides overrides;      ///< of the command line; they win over the file at every reload
};

class Server {
 public:
  /// Gets its listening sockets (from the service manager, the process that is replaced, or by binding) and opens its
  /// journal; throws std::exception with a message for the user where it cannot.
  Server(config::Settings settings, ConfigurationSource source, std::string version);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until SIGINT or SIGTERM, or until another process takes over, then drains and returns. SIGHUP reloads.
  /// Throws std::exception where the process that is to be replaced does not let go.
  void run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::app
