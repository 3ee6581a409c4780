#pragma once
// Tells when one of some files changes (inotify). Editors and deployments replace files rather than write them, and
// whole folders by turning a symbolic link, so the folders are watched and the files compared.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace larder::app {

/// Used on the context's thread.
class FileWatch {
 public:
  /// `on_change` is called once things have been still for `settle_time` after a change.
  FileWatch(boost::asio::io_context& context, std::function<void()> on_change,
            std::chrono::milliseconds settle_time = std::chrono::milliseconds(200));
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Watches these files and no others; none: nothing. What cannot be watched is logged as a warning.
  void watch(const std::vector<std::string>& files);

 private:
  // What tells one state of a file from another.
  struct State {
    bool exists = false;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    friend bool operator==(const State&, const State&) = default;
  };
  static State state_of(const std::string& file);
  [[nodiscard]] std::vector<State> states() const;
  void wait();
  void compare();

  boost::asio::io_context& context_;
  const std::function<void()> on_change_;
  const std::chrono::milliseconds settle_time_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer timer_;
  std::vector<std::string> files_;
  std::vector<State> known_;
};

}  // namespace larder::app
