#pragma once
// Who may compute a missing value, as this node knows it, and who waits for that. A lease is one key's; it ends with
// its time, by release, or with any change of the key: then its token is worth nothing, so that a holder who comes late
// cannot overwrite what has come since.
//
// Of those who wait for a key, the first looks again when the lease ends; whoever leaves the queue wakes the next.
#include <boost/asio/basic_waitable_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "larder/net/awaitable.hpp"
#include "larder/store/keyed_hash.hpp"

namespace larder::proxy {

/// One who waits. Its client may go meanwhile.
class LeaseWait {
 public:
  explicit LeaseWait(const net::Executor& executor) : timer_(executor) {}
  /// On the executor's thread: nobody is there any more who could be told.
  void abandon() {
    is_abandoned_ = true;
    timer_.cancel();
  }
  [[nodiscard]] bool is_abandoned() const noexcept { return is_abandoned_; }

 private:
  friend class ValueLeases;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    net::Executor>
      timer_;
  bool is_abandoned_ = false;
};

/// Used on one thread.
class ValueLeases {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit ValueLeases(std::size_t most) : most_(most) {}

  /// True where somebody holds the key's lease, or is asking for it.
  [[nodiscard]] bool is_held(std::string_view key, Time now) const;
  /// True where `token` is the lease of the key.
  [[nodiscard]] bool is_valid(std::string_view key, std::string_view token, Time now) const;
  /// Takes note of a lease until `until`, in place of what was known. An empty token: it is held elsewhere, or being
  /// asked for. False where there are too many.
  bool hold(std::string_view key, std::string_view token, Time until, Time now);
  /// The lease has ended; the first who waits looks again.
  void end(std::string_view key);
  /// The key has changed: the lease has ended, and all who wait look again.
  void changed(std::string_view key);
  /// The same for all keys for which `is_one` holds.
  void changed_if(const std::function<bool(std::string_view key)>& is_one);
  /// Waits for one of these, for the lease's end (who is first in the queue), or until `until`.
  net::Awaitable<void> wait(std::string key, Time until, std::shared_ptr<LeaseWait> me);

  [[nodiscard]] std::size_t size() const noexcept { return leases_.size(); }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }

 private:
  struct Lease {
    std::string token;
    Time until;
    std::deque<std::shared_ptr<LeaseWait>> queue;
  };
  using Leases = std::unordered_map<std::string, Lease, store::KeyedHash, std::equal_to<>>;
  static void end(Lease& lease, bool wake_all);
  void drop_if_idle(Leases::iterator at, Time now);

  const std::size_t most_;
  Leases leases_;
  std::size_t waiting_ = 0;
};

}  // namespace larder::proxy
