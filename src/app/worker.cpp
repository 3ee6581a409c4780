#include "larder/app/worker.hpp"

#include <boost/asio/post.hpp>
#include <exception>
#include <spdlog/spdlog.h>

namespace larder::app {

namespace {
constexpr net::Milliseconds count_interval{50};
}

Worker::Worker(const config::Settings& settings, proxy::Shared& shared, boost::asio::io_context& encoding,
               proxy::PurgeBus* bus, proxy::ErrorLog& redis_errors, std::atomic<std::size_t>& write_bytes)
    : work_(context_.get_executor()),
      wheel_(context_),
      counters_(settings.rules->counted.size()),
      origins_(context_, wheel_, settings.origin),
      remote_(bus == nullptr ? nullptr
                             : std::make_unique<proxy::RemoteStore>(context_, encoding, *settings.redis, shared.log,
                                                                    *bus, counters_, redis_errors, write_bytes)),
      proxy_(shared, context_, wheel_, origins_, remote_.get(), counters_),
      session_count_(wheel_, [this] { count_sessions(); }) {}

Worker::~Worker() { stop(); }

net::Listener& Worker::listen(std::vector<net::ListeningSocket> sockets, const net::ClientLimits& limits,
                              net::Handler handler, net::SessionCounters& counters) {
  listener_ =
      std::make_unique<net::Listener>(context_, wheel_, std::move(sockets), limits, std::move(handler), counters);
  return *listener_;
}

void Worker::run() {
  if (remote_) remote_->start();
  thread_ = std::thread([this] {
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception& error) {
        // A handler let an exception out: that request is lost, the worker is not.
        spdlog::error("internal error on a worker: {}", error.what());
      }
    }
  });
}

void Worker::accept() {
  boost::asio::post(context_, [this] {
    if (listener_) listener_->start();
  });
}

void Worker::adopt(const net::ClientLimits& limits, const net::OriginParameters& origin, const proxy::TermsPtr& terms,
                   std::latch& adopted) {
  boost::asio::post(context_, [this, limits, origin, terms, &adopted] {
    // Who waits must not wait for ever, even where memory runs out here.
    const std::unique_ptr<std::latch, void (*)(std::latch*)> done(&adopted, [](std::latch* l) { l->count_down(); });
    if (listener_) listener_->set_limits(limits);
    origins_.set_parameters(origin);
    proxy_.adopt(terms);
  });
}

void Worker::drain(net::Queued queued, net::Milliseconds idle_grace) {
  sessions_ = 1;  // until counted
  boost::asio::post(context_, [this, queued, idle_grace] {
    if (listener_) listener_->drain(queued, idle_grace);
    count_sessions();
  });
}

void Worker::count_sessions() {
  sessions_ = listener_ ? listener_->sessions() : 0;
  if (sessions_ > 0) session_count_.arm(count_interval);
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(context_, [this] {
    if (listener_) listener_->abort();
    if (remote_) remote_->stop();
    origins_.close_idle();
    wheel_.stop();
    context_.stop();
  });
  thread_.join();
}

}  // namespace larder::app
