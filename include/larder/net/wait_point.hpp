#pragma once
// One coroutine waits, anyone wakes it: the join between a request and what other workers or callbacks do for it.
#include <atomic>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "larder/net/awaitable.hpp"

namespace larder::net {

/// A binary signal with one waiter. notify() may be called from any thread and any number of times; a notification with
/// nobody waiting is kept for the next wait(). Everything else happens on the executor's one thread. Always held by
/// shared_ptr, because a notification may outlive the request it was meant for.
class WaitPoint : public std::enable_shared_from_this<WaitPoint> {
 public:
  explicit WaitPoint(Executor executor) : executor_(std::move(executor)) {}

  /// Suspends until notified (since the last wait).
  Awaitable<void> wait() {
    if (signalled_) {
      signalled_ = false;
      co_return;
    }
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(
        [this](auto handler) { handler_ = std::move(handler); },
        asio::use_awaitable_t<Executor>{});
  }

  void notify() {
    if (posted_.exchange(true, std::memory_order_acq_rel)) return;
    asio::post(executor_, [self = shared_from_this()] { self->deliver(); });
  }

 private:
  void deliver() {
    posted_.store(false, std::memory_order_release);
    if (!handler_) {
      signalled_ = true;
      return;
    }
    auto handler = std::move(handler_);
    std::move(handler)();
  }

  Executor executor_;
  asio::any_completion_handler<void()> handler_;
  bool signalled_ = false;
  std::atomic<bool> posted_{false};
};

}  // namespace larder::net
