#pragma once
// The node's side of the fleet's purge log: attaches to it, hears the other nodes' purges, delivers what Redis has not
// got, and says how far the caches of this node may be trusted. One per process, on the background thread.
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "larder/net/latency_histogram.hpp"
#include "larder/net/wait_point.hpp"
#include "larder/proxy/error_log.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/purge_scripts.hpp"
#include "larder/redis/connection.hpp"
#include "larder/store/journal.hpp"
#include "larder/store/purge_log.hpp"

namespace larder::proxy {

/// How far stored responses may be trusted to have outlived no purge that we have not heard of.
enum class Trust : unsigned char {
  whole,    ///< the push channel is up, or no other node was there when it broke
  bounded,  ///< it is down: only what came within coherence_bound
  none      ///< it is down, and other nodes may be writing
};
std::string_view to_string(Trust trust) noexcept;

/// Counters and state for admin.
struct PurgeBusState {
  bool attached = false;
  Trust trust = Trust::none;
  bool alone = false;            ///< no other node was ever seen
  std::size_t pending = 0;       ///< purges that Redis has not got
  std::uint64_t journalled = 0;  ///< records in the journal
  std::uint64_t attaches = 0;
  std::uint64_t epochs = 0;  ///< how often another epoch was entered
  std::uint64_t heard = 0;   ///< purges heard from other nodes
  std::uint64_t swept = 0;   ///< dead entries removed from Redis in the background
};

/// What else follows a purge log, where it is not (only) stored responses: values. All callables are called on the
/// bus's thread; an empty one leaves the bus to do as it does for stored responses.
struct LogFollower {
  /// The purge of `clock`, ours too, is in the log now. It may come more than once.
  std::function<void(std::uint64_t clock, std::span<const policy::Selector>)> heard;
  /// Purges may have been missed: nothing that was kept before counts any more. `nobody_else`: but no other node was
  /// ever there, and the new epoch is ours, so that only what Redis holds is in doubt.
  std::function<void(bool nobody_else)> lost;
  /// The command that delivers a pending purge, as purge_command() would.
  std::function<std::vector<std::string>(const store::PendingPurge&, std::string_view run_id,
                                         std::string_view new_epoch)>
      delivery;
  /// It was delivered; what the command returned.
  std::function<void(const store::PendingPurge&, const redis::Reply&)> delivered;
  /// The keys in Redis that a purge may have left to be removed; empty for none.
  std::function<std::string(std::span<const policy::Selector>)> sweep_pattern;
  /// The beginning of the record, where its front shows that it is dead; else empty.
  std::function<std::string_view(std::string_view key, std::string_view front)> dead_beginning;
};

class PurgeBus {
 public:
  /// `journal` may be null (then undelivered purges do not outlive the process, which is logged). `log`, `errors` and
  /// `context` must outlive the bus, and what `follower` calls too.
  PurgeBus(boost::asio::io_context& context, const RedisParameters& parameters, store::PurgeLog& log,
           std::unique_ptr<store::Journal> journal, ErrorLog& errors, LogFollower follower = {});
  ~PurgeBus();
  PurgeBus(const PurgeBus&) = delete;
  PurgeBus& operator=(const PurgeBus&) = delete;

  /// Applies the journal's purges and begins to connect. On the context's thread.
  void start();
  /// On the context's thread.
  void stop();

  // From any thread.
  [[nodiscard]] Trust trust() const noexcept { return trust_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_attached() const noexcept { return attached_.load(std::memory_order_acquire); }
  /// True where we are attached to that very run of Redis.
  [[nodiscard]] bool is_attached_to(std::string_view run_id) const;
  /// Writes the pending purge `sequence`, which Redis did not take, to the journal (fsync included), then `done` is
  /// called on the context's thread; delivery is tried until it succeeds.
  void journal(std::uint64_t sequence, std::vector<policy::Selector> selectors, std::function<void()> done);
  /// From any thread: takes over what another process has left in its journal, and empties that.
  void absorb(std::unique_ptr<store::Journal> left_behind);
  /// From any thread: delivers at once what Redis has not got, without waiting for the worker that may be at it. Before
  /// the end; is_settled() tells when no more can be done.
  void settle();
  /// True where nothing waits for Redis, or cannot be delivered now: then it stays in the journal.
  [[nodiscard]] bool is_settled() const { return !is_attached() || log_.pending_count() == 0; }
  /// Something about the log in Redis is not as we know it: attach anew.
  void request_attach();
  /// Keys died: give their space in Redis back, gently.
  void request_sweep(std::span<const policy::Selector> selectors);
  [[nodiscard]] PurgeBusState state() const;
  /// How long purges took from being made to being applied at a node that heard of them by push. Of this node's own,
  /// which come back to it on the same channel, by one clock; of others' by two, those of two nodes: how far these are
  /// apart is part of it, and what would be negative counts as nothing. Neither has purges that had to wait for Redis,
  /// or that were learnt by catching up.
  [[nodiscard]] const net::LatencyHistogram& own_propagation() const noexcept { return own_propagation_; }
  [[nodiscard]] const net::LatencyHistogram& others_propagation() const noexcept { return others_propagation_; }
  /// The name of this node on the channel.
  [[nodiscard]] const std::string& node() const noexcept { return node_; }
  [[nodiscard]] const std::string& channel() const noexcept { return parameters_.namespace_key; }

 private:
  using Executor = net::Executor;
  template <class T>
  using Awaitable = net::Awaitable<T>;

  Awaitable<void> maintain();
  Awaitable<void> heartbeat();
  Awaitable<bool> attach();
  Awaitable<void> deliver(std::uint64_t up_to);
  Awaitable<void> look_for_others();
  Awaitable<void> sweep(std::string pattern);
  Awaitable<bool> sweep_keys(std::vector<std::string>& keys, std::size_t front_size);
  void detach(std::string_view why);
  void on_push(std::string_view payload);
  void apply(const PushMessage& push);
  void apply_fleet(std::uint64_t clock, std::span<const policy::Selector> selectors);
  [[nodiscard]] std::string sweep_pattern(std::span<const policy::Selector> selectors) const;
  void append_to_journal(const std::vector<policy::Selector>& selectors);
  void clear_journal_if_delivered();

  boost::asio::io_context& context_;
  const RedisParameters& parameters_;
  store::PurgeLog& log_;
  std::unique_ptr<store::Journal> journal_;
  ErrorLog& errors_;
  const LogFollower follower_;
  const std::string node_;
  redis::Connection push_;
  redis::Connection commands_;
  std::shared_ptr<net::WaitPoint> wake_;
  std::atomic<bool> attached_{false};
  std::atomic<bool> attach_requested_{true};
  std::atomic<Trust> trust_;
  bool subscribed_ = false;
  bool holding_ = false;  ///< between SUBSCRIBE and the attach reply messages are held
  std::vector<PushMessage> held_;
  /// Pending purges up to this sequence are ours to deliver; newer ones a worker is just delivering itself.
  std::uint64_t owed_up_to_ = 0;
  std::atomic<bool> alone_{false};
  std::uint64_t others_heard_ = 0;  ///< signs of other nodes, on the context's thread
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;  ///< guards run_id_ and sweeps_
  std::string run_id_;
  std::deque<std::string> sweeps_;  ///< key patterns waiting to be swept
  std::atomic<std::uint64_t> attaches_{0};
  std::atomic<std::uint64_t> epochs_{0};
  std::atomic<std::uint64_t> heard_{0};
  std::atomic<std::uint64_t> swept_{0};
  net::LatencyHistogram own_propagation_;  ///< written on the context's thread
  net::LatencyHistogram others_propagation_;
};

/// A random 64-bit number from the system.
std::uint64_t random_number();

}  // namespace larder::proxy
