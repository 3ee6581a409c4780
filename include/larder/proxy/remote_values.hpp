#pragma once
// The key-value store's connection to Redis: asks for values, changes them, asks for leases. Never a dependency: every
// call ends within redis.deadline, and what fails is logged as [CACHE ERROR] and told as such.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/net/awaitable.hpp"
#include "larder/proxy/error_log.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/purge_bus.hpp"
#include "larder/proxy/value_scripts.hpp"
#include "larder/redis/connection.hpp"

namespace larder::proxy {

/// A live value of Redis.
struct RemoteValue {
  std::string text;
  std::uint64_t version = 0;
  std::uint64_t epoch = 0;
  std::chrono::milliseconds left{0};  ///< of its TTL
};

/// Used on one thread, that of `context` and of `bus`. All references must outlive it.
class RemoteValues {
 public:
  RemoteValues(boost::asio::io_context& context, const RedisParameters& parameters, const ValueNames& names,
               PurgeBus& bus, ErrorLog& errors);

  void start() { connection_.start(); }
  void stop();
  /// True where Redis may be asked: connected, and to the run of Redis whose purge log we follow.
  [[nodiscard]] bool is_readable() const;

  /// True once it was, or could not be reached.
  [[nodiscard]] bool was_tried() const noexcept { return tried_; }

  /// The live values of these keys (those of Redis in one moment: its epoch and flushes judge them), empty where there
  /// is none. An empty optional where Redis failed.
  net::Awaitable<std::optional<std::vector<std::optional<RemoteValue>>>> read(std::vector<std::string> keys);
  /// Makes a change, unless Redis comes to it later than the deadline. `change` must outlive the call.
  net::Awaitable<ChangeReply> change(ValueChange& change);
  /// Asks for a lease.
  net::Awaitable<LeaseReply> lease(std::string key, std::chrono::milliseconds duration);

  /// Redis's clock when `duration` has passed here, at the latest, in microseconds. Asks for its time on the way.
  std::uint64_t time_after(std::chrono::milliseconds duration);

  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
  [[nodiscard]] const std::string& node() const noexcept { return node_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  net::Awaitable<void> verify();
  [[nodiscard]] std::uint64_t time_at(std::chrono::milliseconds after) const;
  void see_time(std::uint64_t redis_time) noexcept;
  void failed(std::string_view what, std::string_view why);

  boost::asio::io_context& context_;
  const RedisParameters& parameters_;
  const ValueNames& names_;
  PurgeBus& bus_;
  ErrorLog& errors_;
  const std::string node_;
  std::string run_id_;
  bool run_known_ = false;
  mutable bool tried_ = false;
  bool stopped_ = false;
  /// Redis's clock (microseconds) minus ours, at the least: what it said, reckoned from when we heard it.
  std::int64_t redis_is_ahead_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t tokens_ = 0;
  redis::Connection connection_;
};

}  // namespace larder::proxy
