#pragma once
// One coroutine waits, anyone wakes it: the join between a request and what other workers or callbacks do for it.
#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "larder/net/awaitable.hpp"

namespace larder::net {

class WaitPoint;

/// Those of an io_context that are being waited on. A waiting coroutine mostly holds its WaitPoint, which holds the
/// coroutine: when the context goes, somebody must cut that knot, as Asio does for what waits on sockets and timers.
class WaitPointService final : public asio::execution_context::service {
 public:
  using key_type = WaitPointService;
  static inline asio::execution_context::id id;
  using Hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  explicit WaitPointService(asio::execution_context& context) : asio::execution_context::service(context) {}
  void add(WaitPoint& point);

 private:
  void shutdown() override;

  boost::intrusive::list<WaitPoint, boost::intrusive::base_hook<Hook>, boost::intrusive::constant_time_size<false>>
      waiting_;
};

/// A binary signal with one waiter. notify() may be called from any thread and any number of times; a notification with
/// nobody waiting is kept for the next wait(). Everything else happens on the executor's one thread. Always held by
/// shared_ptr, because a notification may outlive the request it was meant for.
class WaitPoint : public std::enable_shared_from_this<WaitPoint>, public WaitPointService::Hook {
 public:
  explicit WaitPoint(Executor executor)
      : executor_(std::move(executor)), service_(asio::use_service<WaitPointService>(executor_.context())) {}

  /// Suspends until notified (since the last wait).
  Awaitable<void> wait() {
    if (signalled_) {
      signalled_ = false;
      co_return;
    }
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(
        [this](auto handler) {
          handler_ = std::make_unique<Holder<decltype(handler)>>(std::move(handler));
          service_.add(*this);
        },
        asio::use_awaitable_t<Executor>{});
  }

  void notify() {
    if (posted_.exchange(true, std::memory_order_acq_rel)) return;
    asio::post(executor_, [self = shared_from_this()] { self->deliver(); });
  }

 private:
  // any_completion_handler of Boost 1.81 recurses without end when it is moved from, so the type is erased here.
  struct HandlerBase {
    HandlerBase() = default;
    HandlerBase(const HandlerBase&) = delete;
    HandlerBase& operator=(const HandlerBase&) = delete;
    virtual ~HandlerBase() = default;
    virtual void resume() = 0;
  };
  template <class Type>
  struct Holder final : HandlerBase {
    explicit Holder(Type h) : handler(std::move(h)) {}
    void resume() override { std::move(handler)(); }
    Type handler;
  };

  void deliver() {
    posted_.store(false, std::memory_order_release);
    if (!handler_) {
      signalled_ = true;
      return;
    }
    unlink();
    const auto handler = std::move(handler_);
    handler->resume();
  }

  friend class WaitPointService;
  Executor executor_;
  WaitPointService& service_;
  std::unique_ptr<HandlerBase> handler_;
  bool signalled_ = false;
  std::atomic<bool> posted_{false};
};

inline void WaitPointService::add(WaitPoint& point) { waiting_.push_back(point); }

inline void WaitPointService::shutdown() {
  std::vector<std::unique_ptr<WaitPoint::HandlerBase>> handlers;
  while (!waiting_.empty()) {
    handlers.push_back(std::move(waiting_.front().handler_));
    waiting_.pop_front();
  }
}

}  // namespace larder::net
