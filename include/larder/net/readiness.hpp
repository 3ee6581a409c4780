#pragma once
// Which sockets are ready: an epoll set of our own inside the loop's.
//
// Asio tries every read before it waits for it, and after a reply that try finds nothing: one system call in three was
// wasted on it. Here a socket is registered once, edge-triggered and for both directions, and is read when it is known
// to have something. The set is a descriptor that Asio waits for, so that timers, Redis and all else that Asio
// does run on the same thread, and one look at the set serves all sockets that became ready in one turn.
#include <array>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <optional>
#include <sys/epoll.h>

#include "larder/net/awaitable.hpp"

namespace larder::net {

/// One per io_context: use `Readiness::of`. Used on the context's thread, but before it runs.
class Readiness final : public asio::execution_context::service {
 public:
  using key_type = Readiness;
  static inline asio::execution_context::id id;

  /// Something with a descriptor.
  class Watched : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

   protected:
    Watched() = default;
    ~Watched() = default;

   private:
    friend class Readiness;
    /// `events`: EPOLLIN, EPOLLOUT and their kin. May forget and destroy anything watched, itself too.
    virtual void on_events(std::uint32_t events) noexcept = 0;
    /// The context ends: let go of every coroutine that waits.
    virtual void on_shutdown() noexcept = 0;
  };

  explicit Readiness(asio::execution_context& context);
  ~Readiness() override;
  static Readiness& of(asio::io_context& context) { return asio::use_service<Readiness>(context); }

  /// Tells `watched` of `events` on `descriptor`; with EPOLLET once for every change. Throws where the kernel refuses.
  void watch(int descriptor, std::uint32_t events, Watched& watched);
  /// Tells it nothing more. To be called before the descriptor is closed.
  void forget(int descriptor, Watched& watched) noexcept;

 private:
  void shutdown() override;
  void wait();
  void dispatch() noexcept;

  int set_;
  std::optional<asio::posix::basic_stream_descriptor<Executor>> descriptor_;
  boost::intrusive::list<Watched, boost::intrusive::constant_time_size<false>> watched_;
  // The batch that is being dispatched: what is forgotten meanwhile is struck out of it.
  std::array<epoll_event, 256> batch_{};
  std::size_t batch_size_ = 0;
  std::size_t next_ = 0;
};

}  // namespace larder::net
