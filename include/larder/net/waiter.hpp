#pragma once
// The place where one coroutine is suspended until somebody resumes it.
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "larder/net/awaitable.hpp"

namespace larder::net {

/// Holds the suspended coroutine in place: waiting allocates nothing. Used on one executor's thread. Who owns a Waiter
/// must cancel() or destroy() it before the context goes, for the coroutine mostly holds its owner.
class Waiter {
  using Token = asio::use_awaitable_t<Executor>;
  using Handler = asio::async_result<Token, void(bool)>::handler_type;

 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Suspends the caller. True where it was resumed, false where it was cancelled. One caller at a time.
  Awaitable<bool> wait() {
    return asio::async_initiate<const Token, void(bool)>(
        [this](Handler handler) { handler_.emplace(std::move(handler)); }, Token{});
  }
  /// Suspends the caller until a later turn of the loop. True.
  static Awaitable<bool> yield(const Executor& executor) {
    return asio::async_initiate<const Token, void(bool)>(
        [executor](Handler handler) {
          asio::post(executor, [handler = std::move(handler)]() mutable { std::move(handler)(true); });
        },
        Token{});
  }
  [[nodiscard]] bool is_waiting() const noexcept { return handler_.has_value(); }
  /// Runs the coroutine on, now and on this stack, up to its next suspension. Nothing where none waits.
  void resume() {
    if (!handler_) return;
    auto handler = take();
    std::move(handler)(true);
  }
  /// The same from a later turn of the loop, so that the caller's objects are safe.
  void resume_later(const Executor& executor) { post(executor, true); }
  /// Ends the wait, from a later turn of the loop. Nothing where none waits.
  void cancel(const Executor& executor) { post(executor, false); }
  /// Lets go of the coroutine without running it: for the end of the context.
  void destroy() noexcept { handler_.reset(); }

 private:
  Handler take() {
    Handler handler(std::move(*handler_));
    handler_.reset();
    return handler;
  }
  void post(const Executor& executor, bool resumed) {
    if (!handler_) return;
    asio::post(executor, [handler = take(), resumed]() mutable { std::move(handler)(resumed); });
  }

  std::optional<Handler> handler_;
};

}  // namespace larder::net
