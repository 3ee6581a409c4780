#pragma once
// The node's side of the fleet's purge log: attaches to it, hears the other nodes' purges, delivers what Redis has not
// got, and says how far the caches of this node may be trusted. One per process, on the background thread.
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

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

class PurgeBus {
 public:
  /// `journal` may be null (then undelivered purges do not outlive the process, which is logged). `log`, `errors` and
  /// `context` must outlive the bus.
  PurgeBus(boost::asio::io_context& context, const RedisParameters& parameters, store::PurgeLog& log,
           std::unique_ptr<store::Journal> journal, ErrorLog& errors);
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
  void append_to_journal(const std::vector<policy::Selector>& selectors);
  void clear_journal_if_delivered();

  boost::asio::io_context& context_;
  const RedisParameters& parameters_;
  store::PurgeLog& log_;
  std::unique_ptr<store::Journal> journal_;
  ErrorLog& errors_;
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
};

/// A random 64-bit number from the system.
std::uint64_t random_number();

}  // namespace larder::proxy
