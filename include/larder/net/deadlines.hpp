#pragma once
// One coarse timer wheel per worker instead of a timer per operation. Precision is one tick (50 ms): it is for
// bounding what is slow, not for measuring. Re-arming a deadline to a later time is one store.
#include <array>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <functional>

#include "larder/net/awaitable.hpp"
#include "larder/net/parameters.hpp"

namespace larder::net {

class DeadlineWheel;

/// A deadline that can be armed again and again. Not thread-safe; used on its wheel's thread only. The callback runs on
/// the loop; it may arm and destroy other deadlines, and arm but not destroy its own.
class Deadline : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  Deadline(DeadlineWheel& wheel, std::function<void()> on_expiry) : wheel_(wheel), on_expiry_(std::move(on_expiry)) {}
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  /// Expires once, `after` from now at the earliest and a tick and 10 ms later at the latest, unless armed again or
  /// disarmed.
  void arm(Milliseconds after);
  void disarm() noexcept { expires_ = never; }
  [[nodiscard]] bool is_armed() const noexcept { return expires_ != never; }

 private:
  friend class DeadlineWheel;
  static constexpr std::uint64_t never = ~std::uint64_t{0};
  DeadlineWheel& wheel_;
  std::function<void()> on_expiry_;
  std::uint64_t expires_ = never;  ///< tick at which it is due
  std::uint64_t slot_tick_ = 0;    ///< tick at which the slot it hangs in is looked at
};

/// The wheel of one io_context thread.
class DeadlineWheel {
 public:
  explicit DeadlineWheel(asio::io_context& context);
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;
  /// Stops ticking; armed deadlines never expire afterwards.
  void stop();

 private:
  friend class Deadline;
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
  using Slot = boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>>;
  static constexpr std::size_t slot_count = 512;
  static constexpr Milliseconds tick{50};

  [[nodiscard]] std::uint64_t current_tick() const noexcept;
  /// The first tick that is not earlier than `after` from now.
  [[nodiscard]] std::uint64_t tick_at(Milliseconds after) const noexcept;
  void link(Deadline& deadline);
  void schedule_tick();
  void on_tick();

  std::chrono::steady_clock::time_point start_;
  std::array<Slot, slot_count> slots_;
  std::uint64_t processed_ = 0;  ///< all ticks up to this one were looked at
  bool ticking_ = false;
  bool stopped_ = false;
  Timer timer_;
};

}  // namespace larder::net
