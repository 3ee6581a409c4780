#pragma once
// Tier 2: the stored responses in Redis as one worker sees them. Never a dependency: every call ends within the
// deadline, and what fails is a miss, counted and logged as [CACHE ERROR].
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "larder/net/awaitable.hpp"
#include "larder/policy/outcome.hpp"
#include "larder/proxy/counters.hpp"
#include "larder/proxy/error_log.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/redis/connection.hpp"
#include "larder/store/codec.hpp"
#include "larder/store/memory_store.hpp"
#include "larder/store/purge_log.hpp"

namespace larder::proxy {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Used on its worker's thread.
class RemoteStore {
 public:
  /// `context`: the worker's; `encoding`: where bodies are compressed; `write_bytes`: what waits to be written, over
  /// all workers (RedisParameters::write_budget). All references must outlive the store.
  RemoteStore(boost::asio::io_context& context, boost::asio::io_context& encoding, const RedisParameters& parameters,
              store::PurgeLog& log, PurgeBus& bus, WorkerCounters& counters, ErrorLog& errors,
              std::atomic<std::size_t>& write_bytes);
  ~RemoteStore();

  void start() { connection_.start(); }
  void stop();

  /// True where entries may be read: connected, and to the run of Redis whose purge log we follow.
  [[nodiscard]] bool is_readable() const;

  /// From any thread: the same, as it last was seen on the worker's.
  [[nodiscard]] bool was_readable() const noexcept {
    return usable_.load(std::memory_order_relaxed) && bus_.is_attached();
  }

  /// Looks a canonical request up. The live entry whose canonical form and selecting fields match best is returned, and
  /// the selecting fields' names where the resource varies; freshness is the caller's to judge. Dead and undecodable
  /// entries are removed. All of it ends at `until`. Who asks for the same at the same time, with no purge between,
  /// shares one question, and one decoded answer. The arguments must outlive it.
  net::Awaitable<store::Lookup> find(std::string_view key, std::string_view canonical, http::FieldSpan request_fields,
                                     SteadyTime until);

  /// Writes in the background, compressed off this thread, with its TTL in the same command. What it takes until the
  /// last try is over counts; where that would be too much it is not written.
  void insert(store::StoredPtr stored);

  /// Makes a purge known to the fleet: within the deadline by Redis, else by the journal. It must have been applied to
  /// the log as `sequence` (pending) before. Returns when the write's reply may go to the client: true where Redis has
  /// it.
  net::Awaitable<bool> publish(std::uint64_t sequence, std::vector<policy::Selector> selectors);

  /// For strict coherence: true where our log is at least as new as Redis's in this moment.
  net::Awaitable<bool> confirm_clock(SteadyTime until);
  /// When a request that begins now must be done with Redis.
  [[nodiscard]] SteadyTime deadline_from_now() const { return std::chrono::steady_clock::now() + parameters_.deadline; }

  /// Removes one key.
  void remove(std::string_view key);
  /// Removes a stored response under all its names (policy::variant_names).
  void remove(const store::StoredResponse& stored);

  /// From any thread: background writes that Redis has not answered yet.
  [[nodiscard]] std::size_t owed() const noexcept { return owed_.load(std::memory_order_relaxed); }

  [[nodiscard]] bool is_connected() const noexcept { return connection_.is_ready(); }
  [[nodiscard]] redis::Connection& connection() noexcept { return connection_; }

 private:
  class Fetch;
  /// What was found under a key: why there is nothing, a response that was alive then, or a marker.
  using Found = std::variant<policy::NotReused, store::StoredPtr, store::VaryMarker>;

  net::Awaitable<void> verify();
  Fetch& fetch(std::vector<std::string> keys, SteadyTime until);
  void complete(Fetch& fetch, const boost::system::result<redis::Reply>& reply);
  [[nodiscard]] Found judge(std::string_view key, const redis::Reply& reply);
  const store::VaryMarker* choose(const Found& found, std::string_view canonical, http::FieldSpan request_fields,
                                  store::Lookup& lookup, unsigned& best_rank) const;
  struct Writing;
  void write(std::shared_ptr<const std::string> key, std::shared_ptr<const std::string> record,
             std::int64_t ttl_seconds, unsigned tries_left, std::chrono::milliseconds pause);
  void failed(std::string_view what, std::string_view why);

  boost::asio::io_context& context_;
  boost::asio::io_context& encoding_;
  const RedisParameters& parameters_;
  store::PurgeLog& log_;
  PurgeBus& bus_;
  WorkerCounters& counters_;
  ErrorLog& errors_;
  std::atomic<std::size_t>& write_bytes_;
  std::string run_id_;  ///< of the Redis this connection speaks to; empty until known
  bool run_known_ = false;
  std::atomic<bool> usable_{false};  ///< for other threads: connected, and the run is known
  bool stopped_ = false;
  std::atomic<std::size_t> owed_{0};
  boost::unordered_flat_map<std::string_view, Fetch*> fetches_;  ///< those to join, by their own names
  redis::Connection connection_;
};

}  // namespace larder::proxy
