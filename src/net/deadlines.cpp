#include "larder/net/deadlines.hpp"

#include <algorithm>
#include <ctime>

namespace larder::net {

namespace {
// The steady clock as of the kernel's last timer interrupt: a deadline is armed for every request, and this costs a
// fifth of asking for the time proper. It is late by one interrupt's interval at the most.
std::chrono::steady_clock::time_point coarse_now() noexcept {
  timespec time{};
  (void)::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return std::chrono::steady_clock::time_point(std::chrono::seconds(time.tv_sec) +
                                               std::chrono::nanoseconds(time.tv_nsec));
}
constexpr Milliseconds coarse_lag{10};  // at 100 interrupts per second, the fewest of all kernels
}  // namespace

void Deadline::arm(Milliseconds after) {
  expires_ = wheel_.tick_at(after);
  // Hanging in a slot that comes up no later than the new expiry is good enough: it is moved on when its slot comes.
  if (is_linked() && slot_tick_ <= expires_) return;
  if (is_linked()) unlink();
  wheel_.link(*this);
}

DeadlineWheel::DeadlineWheel(asio::io_context& context)
    : start_(std::chrono::steady_clock::now()), timer_(context.get_executor()) {}

void DeadlineWheel::stop() {
  stopped_ = true;
  timer_.cancel();
}

std::uint64_t DeadlineWheel::current_tick() const noexcept {
  return static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start_) / tick);
}

std::uint64_t DeadlineWheel::tick_at(Milliseconds after) const noexcept {
  // Longer than any process lives, and far from overflow.
  constexpr Milliseconds longest = std::chrono::hours(24 * 365 * 100);
  const auto due = coarse_now() + coarse_lag - start_ + std::clamp(after, Milliseconds{0}, longest);
  return static_cast<std::uint64_t>((due + tick - std::chrono::steady_clock::duration{1}) / tick);
}

void DeadlineWheel::link(Deadline& deadline) {
  if (!ticking_) {
    // Nothing hung in the wheel meanwhile, so nothing was missed.
    processed_ = std::max(processed_, current_tick());
    schedule_tick();
  }
  deadline.slot_tick_ = std::clamp(deadline.expires_, processed_ + 1, processed_ + slot_count - 1);
  slots_[deadline.slot_tick_ % slot_count].push_back(deadline);
}

void DeadlineWheel::schedule_tick() {
  if (stopped_) return;
  ticking_ = true;
  timer_.expires_at(start_ + tick * static_cast<std::int64_t>(processed_ + 1));
  timer_.async_wait([this](const error_code& error) {
    if (!error) on_tick();
  });
}

void DeadlineWheel::on_tick() {
  const auto now = current_tick();
  while (processed_ < now) {
    ++processed_;
    auto& slot = slots_[processed_ % slot_count];
    // Callbacks may arm, disarm and destroy other deadlines of this slot; taking them one by one from a list of our own
    // keeps every one of them linked somewhere valid, and keeps what is hung in again out of this round.
    Slot due;
    due.splice(due.end(), slot);
    while (!due.empty()) {
      auto& deadline = due.front();
      due.pop_front();
      if (deadline.expires_ == Deadline::never) continue;
      if (deadline.expires_ > processed_) {
        link(deadline);
        continue;
      }
      deadline.expires_ = Deadline::never;
      deadline.on_expiry_();
    }
  }
  const bool empty = std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.empty(); });
  ticking_ = false;
  if (!empty) schedule_tick();
}

}  // namespace larder::net
