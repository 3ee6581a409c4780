// The watch as a whole: workers on threads of their own are asked, samples taken, alerts posted.
#include "larder/admin/monitor.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <thread>

#include "../net/loopback.hpp"

namespace larder::admin {
namespace {

using net::test::Loop;
using net::test::PeerListener;
using std::chrono::milliseconds;

WatchParameters sampled_every(milliseconds interval) {
  WatchParameters watch;
  watch.sample_interval = interval;
  return watch;
}

// A worker's loop, story and pool. It runs while its thread does.
struct Worker {
  explicit Worker(proxy::Shared& shared) : story(shared, context, wheel, pool, nullptr, counters) {}
  ~Worker() {
    guard.reset();
    context.stop();
    if (thread.joinable()) thread.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  void run() {
    thread = std::thread([this] { context.run(); });
  }

  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{context.get_executor()};
  net::DeadlineWheel wheel{context};
  net::OriginParameters origins{.servers = {"http://127.0.0.1:1"}};
  net::OriginPool pool{context, wheel, origins};
  proxy::WorkerCounters counters{0};
  proxy::Proxy story;
  std::thread thread;
};

struct Site {
  Site() { spdlog::set_level(spdlog::level::off); }

  Loop loop;
  store::PurgeLog log{7};
  store::MemoryStore memory{store::MemoryStoreParameters{}, log};
  store::FillTable fills{1 << 20, 1 << 20};
  store::VarianceIndex variances;
  store::DecodedBodies decoded;
  proxy::ErrorLog origin_errors{"[ORIGIN ERROR]"};
  proxy::ErrorLog overload{"[OVERLOAD]"};
  proxy::Shared shared{.rules = std::make_shared<const policy::RuleSet>(),
                       .cache = {},
                       .log = log,
                       .memory = memory,
                       .fills = fills,
                       .variances = variances,
                       .decoded = decoded,
                       .origin_errors = origin_errors,
                       .overload = overload};
  net::SessionCounters sessions;
  net::OriginParameters origins{.servers = {"http://127.0.0.1:1"}};
  net::OriginPool pool{loop.context, loop.wheel, origins};
  proxy::WorkerCounters counters{0};
  proxy::Proxy own{shared, loop.context, loop.wheel, pool, nullptr, counters};
  Worker worker{shared};

  Sources sources() {
    return {.shared = shared,
            .proxy = own,
            .workers = {&own, &worker.story},
            .sessions = sessions,
            .started = proxy::wall_clock(),
            .redis_is_in_use = {},
            .version = "test"};
  }
};

TEST_CASE("workers are asked on their own threads; who does not answer is shown as such") {
  Site site;
  site.worker.run();
  WorkerPoll poll(site.loop.context, {&site.own, &site.worker.story});
  site.worker.pool.latency().add(milliseconds(1));
  site.worker.pool.count_request();
  auto states = site.loop.run(poll.ask(milliseconds(20000)));
  REQUIRE(states.size() == 2);
  for (const auto& state : states) {
    CHECK(state.has_answered);
    CHECK(state.loop_delay > std::chrono::nanoseconds(0));
    REQUIRE(state.servers.size() == 1);
    CHECK(state.servers[0].authority == "127.0.0.1:1");
    CHECK_FALSE(state.redis.has_value());
  }
  CHECK(states[1].origin.requests == 1);
  CHECK(states[1].origin_latency.count() == 1);

  // One that is busy: what it said last is still known.
  std::atomic<bool> go_on{false};
  boost::asio::post(site.worker.context, [&] {
    while (!go_on) std::this_thread::yield();
  });
  states = site.loop.run(poll.ask(milliseconds(30)));
  CHECK(states[0].has_answered);
  CHECK_FALSE(states[1].has_answered);
  CHECK(states[1].loop_delay >= milliseconds(30));
  CHECK(states[1].origin.requests == 1);
  go_on = true;
  states = site.loop.run(poll.ask(milliseconds(20000)));
  CHECK(states[1].has_answered);
}

TEST_CASE("counters of all workers are collected") {
  Site site;
  site.worker.run();
  site.counters.requests.add(2);
  site.worker.counters.requests.add(3);
  site.sessions.refused = 4;
  Collector collector(site.sources());
  const auto statistics = site.loop.run(collector.collect());
  CHECK(statistics.totals.requests == 5);
  CHECK(statistics.sessions.refused == 4);
  CHECK(statistics.workers.size() == 2);
  CHECK(statistics.version == "test");
  CHECK_FALSE(statistics.redis.has_value());
}

TEST_CASE("an alert begins and ends: in the statistics, and at the webhook") {
  Site site;
  site.worker.run();
  PeerListener receiver;
  auto watch = sampled_every(milliseconds(5));
  watch.alerts.push_back({.name = "errors",
                          .measure = Measure::errors,
                          .above = true,
                          .threshold = 2,
                          .window = milliseconds(200),
                          .lasting = {},
                          .least = 1});
  watch.webhook.server = receiver.url();
  watch.webhook.target = "/";
  Collector collector(site.sources());
  Monitor monitor(site.loop.context, site.loop.wheel, collector, watch);
  monitor.start();
  site.loop.run_until([&] { return !monitor.series().empty(); });
  site.counters.redis_errors.add(3);
  const auto next_message = [&] {
    auto peer = receiver.accept(site.loop);
    site.loop.run_until([&] { return peer.received().ends_with("}\n"); });
    const auto request = peer.take();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    return Json::parse(request.substr(request.find("\r\n\r\n") + 4));
  };
  auto message = next_message();
  CHECK(message["alert"] == "errors");
  CHECK(message["state"] == "begins");
  CHECK(message["value"] == 3.0);
  auto statistics = site.loop.run(collector.collect());
  monitor.add_to(statistics);
  REQUIRE(statistics.alerts.size() == 1);
  CHECK(statistics.alerts[0].begun == 1);
  REQUIRE(statistics.webhook.has_value());
  message = next_message();
  CHECK(message["state"] == "ends");
  site.loop.run_until([&] {
    monitor.add_to(statistics);
    return statistics.webhook->delivered == 2;
  });
  CHECK_FALSE(statistics.alerts[0].active);
  CHECK(statistics.recent.window > milliseconds(0));
  monitor.stop();
  site.loop.settle();
  const auto last = monitor.series().last().at;
  site.loop.settle();
  CHECK(monitor.series().last().at == last);
}

TEST_CASE("a monitor that is destroyed leaves its coroutine harmless") {
  Site site;
  site.worker.run();
  const auto watch = sampled_every(milliseconds(1));
  Collector collector(site.sources());
  {
    Monitor monitor(site.loop.context, site.loop.wheel, collector, watch);
    monitor.start();
    site.loop.run_until([&] { return !monitor.series().empty(); });
  }
  site.loop.settle();
}

}  // namespace
}  // namespace larder::admin
