#pragma once
// The key-value store: values that services keep here, in memory and in Redis, under the same promise as stored
// responses: once a change is acknowledged, nobody is given the old value.
//
// With Redis at hand a change is one script there (value_scripts), which orders it among all nodes' changes; memory
// follows when it is done. Else it is kept in memory, and the key waits in the purge log and its journal: until it is
// delivered, what Redis holds under it is not read. Delivering it stores the value, unless another node has changed the
// key meanwhile: which came last is not known then, and the value is removed. What is not known for sure is a miss.
//
// It has a purge log, a push channel and a journal of its own, so that neither its many changes nor its flushes touch
// stored responses. Used on one thread throughout, the bus's too; so nothing here takes a lock.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "larder/net/awaitable.hpp"
#include "larder/proxy/error_log.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/proxy/remote_values.hpp"
#include "larder/proxy/value_leases.hpp"
#include "larder/proxy/value_parameters.hpp"
#include "larder/proxy/value_scripts.hpp"
#include "larder/store/purge_log.hpp"
#include "larder/store/value_memory.hpp"

namespace larder::proxy {

/// Why there is no value, by name.
enum class NoValue : unsigned char {
  none,         ///< there is one
  absent,       ///< nothing is stored, or it has expired
  undelivered,  ///< it was changed here while Redis was away, and memory does not hold it any more
  untrusted,    ///< other nodes may have changed it without our knowing
  unavailable,  ///< Redis had to be asked and did not answer
};
std::string_view to_string(NoValue reason) noexcept;

/// What was found under a key.
struct ValueLookup {
  std::string text;  ///< JSON
  std::chrono::milliseconds left{0};
  NoValue reason = NoValue::absent;

  [[nodiscard]] bool found() const noexcept { return reason == NoValue::none; }
};

/// What came of a change.
struct ValueChanged {
  bool lease_lost = false;  ///< nothing was changed
  bool delivered = false;   ///< Redis has it, or there is none; else it is in the journal
  bool refused = false;     ///< strict coherence: other nodes do not know of it yet; nothing is stored, but what was
                            ///< there before is gone, or will be
  bool existed = false;     ///< of clear: there was a value
};

/// What came of asking for a value or the lease to compute it.
struct ValueOrLease {
  enum class Kind : unsigned char {
    value,      ///< in `value`
    lease,      ///< to compute it, under `token`
    timed_out,  ///< somebody else was computing it all the time
    too_many,   ///< leases on this node
    abandoned   ///< the client has gone
  } kind = Kind::timed_out;
  ValueLookup value;
  std::string token;
  bool waited = false;  ///< for somebody else's lease
};

/// State for admin.
struct ValueState {
  store::ValueMemoryCounters memory;
  std::size_t capacity = 0;
  std::size_t leases = 0;
  std::size_t waiting = 0;
  std::optional<PurgeBusState> bus;  ///< empty without Redis
  bool readable = false;
  std::uint64_t redis_errors = 0;
  std::uint64_t conflicts = 0;  ///< values removed because two nodes had changed them apart
};

/// Used on one thread, that of `context`, but for construction and destruction.
class Values {
 public:
  /// `redis` is empty where there is none; `journal` may be null. All references must outlive it.
  Values(boost::asio::io_context& context, ValueParameters parameters, const std::optional<RedisParameters>& redis,
         std::unique_ptr<store::Journal> journal, ErrorLog& errors);
  ~Values();
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;

  void start();
  void stop();
  /// From any thread, as PurgeBus::absorb() and is_settled(); nothing and true without Redis.
  void absorb(std::unique_ptr<store::Journal> left_behind);
  [[nodiscard]] bool is_settled() const;

  /// What is stored under each of the keys, as one moment has it as far as Redis is asked.
  net::Awaitable<std::vector<ValueLookup>> get(std::vector<std::string> keys);
  /// Stores a value (JSON text). With a lease: only while that holds.
  net::Awaitable<ValueChanged> set(std::string key, std::string text, std::chrono::milliseconds ttl, std::string lease);
  net::Awaitable<ValueChanged> clear(std::string key);
  /// Clears a namespace, or everything where `space` is empty.
  net::Awaitable<ValueChanged> flush(std::string space);
  /// The value, or the lease to compute it for as long as `lease`; waits until `until` while another one holds that.
  net::Awaitable<ValueOrLease> get_or_lease(std::string key, std::chrono::milliseconds lease,
                                            std::chrono::steady_clock::time_point until, std::shared_ptr<LeaseWait> me);
  /// Gives a lease back without a value. False where it was over already.
  net::Awaitable<bool> release(std::string key, std::string lease);

  [[nodiscard]] ValueState state() const;
  [[nodiscard]] const ValueParameters& parameters() const noexcept { return parameters_; }
  [[nodiscard]] net::Executor executor() const noexcept { return context_.get_executor(); }

 private:
  using Time = std::chrono::steady_clock::time_point;
  template <class T>
  using Awaitable = net::Awaitable<T>;

  [[nodiscard]] const store::HeldValue* trusted(std::string_view key, Time now);
  [[nodiscard]] bool is_pending(std::string_view key) const;
  Awaitable<void> first_contact() const;
  [[nodiscard]] bool may_ask() const { return remote_ && remote_->is_readable(); }
  Awaitable<ValueChanged> change(ValueChange change);
  void carry_out(const ValueChange& change, std::uint64_t version, std::uint64_t owed);
  void apply(const ValueChange& change, const ChangeReply& reply);
  void forget(const policy::Selector& selector, std::uint64_t clock, bool is_own);
  Awaitable<void> journal(std::uint64_t sequence, policy::Selector selector);
  Awaitable<void> upload(std::vector<std::string> keys);
  void upload_owed(std::uint64_t sequence);
  Awaitable<void> sweep_memory();

  // What the bus tells (LogFollower).
  void heard(std::uint64_t clock, std::span<const policy::Selector> selectors);
  void lost(bool nobody_else);
  std::vector<std::string> delivery(const store::PendingPurge& purge, std::string_view run_id,
                                    std::string_view new_epoch);
  void delivered(const store::PendingPurge& purge, const redis::Reply& reply);
  [[nodiscard]] std::string sweep_pattern(std::span<const policy::Selector> selectors) const;
  [[nodiscard]] std::string_view dead_beginning(std::string_view name, std::string_view front) const;
  LogFollower follower();

  boost::asio::io_context& context_;
  const ValueParameters parameters_;
  const ValueNames names_;
  const std::optional<RedisParameters> redis_;
  store::ValueMemory memory_;
  store::PurgeLog log_;
  ValueLeases leases_;
  std::unique_ptr<PurgeBus> bus_;                           ///< null without Redis
  std::unique_ptr<RemoteValues> remote_;                    ///< null without Redis
  std::unordered_map<std::string, std::uint64_t> flushes_;  ///< clocks of flushes that were heard of, for sweeps
  std::uint64_t losses_ = 0;                                ///< how often lost() was called
  std::uint64_t conflicts_ = 0;
  std::uint64_t local_tokens_ = 0;
  Time started_;
  bool stopped_ = false;
};

}  // namespace larder::proxy
