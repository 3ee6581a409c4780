#pragma once
// Tells a server by POST what begins and ends: one message after the other, each tried a few times and then given up,
// which is logged. Never in the way of anything else.
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <string>

#include "larder/admin/parameters.hpp"
#include "larder/admin/statistics.hpp"
#include "larder/net/deadlines.hpp"
#include "larder/net/origin_pool.hpp"

namespace larder::admin {

/// Messages that may wait; of more the oldest are given up.
inline constexpr std::size_t most_waiting_messages = 100;

/// Used on the context's thread.
class Webhook {
 public:
  /// `parameters.server` is not empty. `context` and `wheel` outlive it.
  Webhook(boost::asio::io_context& context, net::DeadlineWheel& wheel, WebhookParameters parameters);
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  /// Queues a JSON body. A 2xx is success; a 4xx but 408 and 429 is not tried again.
  void post(std::string body);
  [[nodiscard]] WebhookState state() const noexcept;

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace larder::admin
