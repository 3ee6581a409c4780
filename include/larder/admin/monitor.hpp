#pragma once
// Watches the cache: takes a sample every few seconds, keeps the last ones, and says what alerts begin and end: in the
// log, and to the webhook.
#include <memory>

#include "larder/admin/alerts.hpp"
#include "larder/admin/collector.hpp"
#include "larder/admin/parameters.hpp"
#include "larder/admin/series.hpp"

namespace larder::admin {

/// Used on one thread, that of `context`.
class Monitor {
 public:
  /// `context`, `wheel` and `collector` outlive the monitor. Its coroutine may be in `context` still when it is
  /// destroyed.
  Monitor(boost::asio::io_context& context, net::DeadlineWheel& wheel, Collector& collector,
          const WatchParameters& parameters);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// Takes the first sample, and one every interval from then on. From any thread.
  void start();
  /// No sample from now on. On the context's thread.
  void stop() noexcept;

  /// Other alerts and another webhook from now on; the interval of the samples stays. On the context's thread.
  void adopt(const WatchParameters& parameters);
  [[nodiscard]] const Series& series() const noexcept;
  /// Puts what samples and alerts tell into the statistics.
  void add_to(Statistics& statistics) const;

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace larder::admin
