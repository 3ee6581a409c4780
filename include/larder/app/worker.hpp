#pragma once
// One worker: one thread, one io_context, its listening sockets, its own connections to origins and Redis.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <latch>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "larder/config/settings.hpp"
#include "larder/net/listener.hpp"
#include "larder/net/origin_pool.hpp"
#include "larder/proxy/proxy.hpp"
#include "larder/proxy/remote_store.hpp"

namespace larder::app {

/// A thread with its loop, and the proxy's story on it. The one that listens to no clients serves the admin side.
class Worker {
 public:
  /// All references must outlive the worker. `encoding`: the loop on which bodies are compressed. `bus` is null without
  /// Redis.
  Worker(const config::Settings& settings, proxy::Shared& shared, boost::asio::io_context& encoding,
         proxy::PurgeBus* bus, proxy::ErrorLog& redis_errors, std::atomic<std::size_t>& write_bytes);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Where it will accept; before run().
  net::Listener& listen(std::vector<net::ListeningSocket> sockets, const net::ClientLimits& limits,
                        net::Handler handler, net::SessionCounters& counters);
  /// Starts the thread and the connection to Redis.
  void run();
  /// From any thread, once it runs: begins to accept.
  void accept();
  /// From any thread, while it runs: new limits and origins, and the terms of requests that begin from then on. Counts
  /// `adopted` down once that is done.
  void adopt(const net::ClientLimits& limits, const net::OriginParameters& origin, const proxy::TermsPtr& terms,
             std::latch& adopted);
  /// From any thread: stop accepting, let requests finish (net::Listener::drain).
  void drain(net::Queued queued, net::Milliseconds idle_grace);
  /// From any thread: requests still running; 0 once drained.
  [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.load(); }
  /// From any thread: background writes that Redis has not answered yet.
  [[nodiscard]] std::size_t owed() const noexcept { return remote_ ? remote_->owed() : 0; }
  /// Stops the loop and joins the thread.
  void stop();

  [[nodiscard]] proxy::Proxy& proxy() noexcept { return proxy_; }
  [[nodiscard]] const proxy::WorkerCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }
  [[nodiscard]] net::DeadlineWheel& wheel() noexcept { return wheel_; }

 private:
  void count_sessions();

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  net::DeadlineWheel wheel_;
  proxy::WorkerCounters counters_;
  net::OriginPool origins_;
  std::unique_ptr<proxy::RemoteStore> remote_;
  proxy::Proxy proxy_;
  std::unique_ptr<net::Listener> listener_;
  net::Deadline session_count_;
  std::atomic<std::size_t> sessions_{0};
  std::thread thread_;
};

}  // namespace larder::app
