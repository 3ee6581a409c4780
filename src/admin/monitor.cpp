#include "larder/admin/monitor.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <spdlog/spdlog.h>

#include "larder/admin/webhook.hpp"

namespace larder::admin {

namespace asio = boost::asio;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, net::Executor>;
using Clock = std::chrono::steady_clock;

// Shared with the coroutine, which may outlive the monitor; the references are of no use to it then, and it looks at
// `is_over` whenever it is resumed.
struct Monitor::Impl {
  Impl(asio::io_context& io, net::DeadlineWheel& deadlines, Collector& from, const WatchParameters& given)
      : context(io),
        wheel(deadlines),
        collector(from),
        parameters(given),
        book(given.alerts),
        timer(io.get_executor()) {
    if (!given.webhook.server.empty()) webhook.emplace(io, wheel, given.webhook);
  }

  static net::Awaitable<void> watch(std::shared_ptr<Impl> self);
  void adopt(const WatchParameters& given);
  void judge();
  void tell(const std::vector<AlertChange>& changes);

  asio::io_context& context;
  net::DeadlineWheel& wheel;
  Collector& collector;
  WatchParameters parameters;
  Series series;
  AlertBook book;
  std::optional<Webhook> webhook;
  Timer timer;
  bool is_over = false;
};

Monitor::Monitor(asio::io_context& context, net::DeadlineWheel& wheel, Collector& collector,
                 const WatchParameters& parameters)
    : impl_(std::make_shared<Impl>(context, wheel, collector, parameters)) {}

Monitor::~Monitor() { stop(); }

void Monitor::start() { asio::co_spawn(impl_->context.get_executor(), Impl::watch(impl_), asio::detached); }

void Monitor::stop() noexcept {
  impl_->is_over = true;
  impl_->webhook.reset();
  impl_->timer.cancel();
}

void Monitor::adopt(const WatchParameters& parameters) { impl_->adopt(parameters); }

const Series& Monitor::series() const noexcept { return impl_->series; }

void Monitor::add_to(Statistics& statistics) const {
  statistics.recent = impl_->series.recent();
  statistics.alerts = impl_->book.states();
  if (impl_->webhook) statistics.webhook = impl_->webhook->state();
}

net::Awaitable<void> Monitor::Impl::watch(std::shared_ptr<Impl> self) {
  auto next = Clock::now();
  while (!self->is_over) {
    try {
      auto statistics = co_await self->collector.collect();
      if (self->is_over) co_return;
      self->series.add(make_sample(statistics, Clock::now(), std::chrono::system_clock::now()));
      self->judge();
    } catch (const std::exception& error) {
      spdlog::error("a sample of the statistics was lost: {}", error.what());
    }
    // After a pause of the whole machine it goes on from there, and does not catch up.
    next = std::max(next + self->parameters.sample_interval, Clock::now());
    self->timer.expires_at(next);
    (void)co_await self->timer.async_wait(net::as_result);
  }
}

void Monitor::Impl::adopt(const WatchParameters& given) {
  if (is_over) return;
  // What ends is told where its beginning was.
  if (given.alerts != parameters.alerts) {
    tell(book.replace(given.alerts, Clock::now(), std::chrono::system_clock::now()));
    parameters.alerts = given.alerts;
  }
  if (given.webhook == parameters.webhook) return;
  if (webhook && webhook->state().waiting > 0) {
    spdlog::warn("[ALERT] another webhook is configured: {} messages for the one before are given up",
                 webhook->state().waiting);
  }
  webhook.reset();
  parameters.webhook = given.webhook;
  if (!given.webhook.server.empty()) webhook.emplace(context, wheel, given.webhook);
}

void Monitor::Impl::judge() { tell(book.judge(series)); }

void Monitor::Impl::tell(const std::vector<AlertChange>& changes) {
  for (const auto& change : changes) {
    if (change.begins) {
      spdlog::warn("[ALERT] {}", describe(change));
    } else {
      spdlog::info("[ALERT] {}", describe(change));
    }
    if (webhook) webhook->post(to_webhook_body(change));
  }
}

}  // namespace larder::admin
