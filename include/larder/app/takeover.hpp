#pragma once
// One process replaces another without a connection lost: the new one gets the old one's listening sockets themselves
// over a Unix socket, so that no queue of the kernel is ever closed with connections in it (which is what SO_REUSEPORT
// alone would do).
//
//   new: connects, "larder takeover 1"
//   old: "sockets C A", with C descriptors for clients and A for the admin API; or "refused WHY"
//   new: starts all but accepting, "ready"
//   old: "draining", stops accepting and finishes what runs; the new one accepts
//   old: ends; that closes the connection
//
// One message each (SOCK_SEQPACKET). Until "ready" either side may give up and nothing has happened.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "larder/app/listening.hpp"

namespace larder::app {

/// The new process's side. Blocking, with a deadline of some seconds for each answer; throws std::exception with a
/// message for the user.
class Predecessor {
 public:
  /// Connects to who serves at `path` and takes its sockets; null where nobody is there.
  static std::unique_ptr<Predecessor> find(const std::string& path);
  ~Predecessor();
  Predecessor(const Predecessor&) = delete;
  Predecessor& operator=(const Predecessor&) = delete;

  /// Those that find() has got; once.
  [[nodiscard]] ListeningSockets take_sockets() { return std::move(sockets_); }
  /// Says that all is ready, and waits until the old one has stopped to accept.
  void release();
  /// Readable once the old process has ended.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  explicit Predecessor(int descriptor) noexcept : descriptor_(descriptor) {}
  int descriptor_;
  ListeningSockets sockets_;
};

/// The old process's side: waits for one that replaces it. Used on the context's thread.
class Successor {
 public:
  /// `sockets`: kept by whoever calls, called when one has asked. `on_ready`: the new process is ready; it is told
  /// "draining" when this returns.
  Successor(boost::asio::io_context& context, std::string path, std::function<const ListeningSockets&()> sockets,
            std::function<void()> on_ready);
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  /// Binds the path, which may be left over from a process that has ended. Throws std::exception.
  void listen();
  /// Takes no more requests.
  void close() noexcept;
  [[nodiscard]] bool has_taken_over() const noexcept { return has_taken_over_; }

 private:
  class Peer;
  void accept();
  [[nodiscard]] bool is_peer(const Peer& peer) const noexcept;
  void forget(Peer& peer);

  boost::asio::io_context& context_;
  const std::string path_;
  const std::function<const ListeningSockets&()> sockets_;
  const std::function<void()> on_ready_;
  boost::asio::posix::stream_descriptor acceptor_;
  std::shared_ptr<Peer> peer_;  ///< one at a time
  bool is_bound_ = false;
  bool has_taken_over_ = false;
};

}  // namespace larder::app
