#include "larder/app/server.hpp"

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "larder/admin/api.hpp"
#include "larder/app/worker.hpp"
#include "larder/store/journal.hpp"

namespace larder::app {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds sweep_interval{100};
constexpr std::chrono::seconds drain_deadline{10};

// Each connection is a descriptor; take as many as we are allowed.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// Where undelivered purges are kept unless the configuration says where: one file per listening port, in the first of
// the places that systemd, the user's session or the system provide for state.
std::filesystem::path default_journal(const net::Endpoint& listen) {
  const auto name = fmt::format("purges-{}.journal", listen.port);
  const auto set = [](const char* variable) -> const char* {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0' ? value : nullptr;
  };
  if (const char* directory = set("STATE_DIRECTORY")) return std::filesystem::path(directory) / name;
  if (const char* directory = set("XDG_STATE_HOME")) return std::filesystem::path(directory) / "larder" / name;
  if (geteuid() == 0) return std::filesystem::path("/var/lib/larder") / name;
  if (const char* home = set("HOME")) return std::filesystem::path(home) / ".local" / "state" / "larder" / name;
  return {};
}

std::unique_ptr<store::Journal> open_journal(const config::Settings& settings) {
  const bool configured = !settings.redis->journal.empty();
  const auto path = configured ? std::filesystem::path(settings.redis->journal) : default_journal(settings.listen);
  if (path.empty()) {
    spdlog::warn("no purge journal: purges made while Redis is away will not outlive this process; set redis.journal");
    return nullptr;
  }
  std::error_code error;
  auto journal = store::Journal::open(path, error);
  if (!journal && configured) {
    throw std::runtime_error(fmt::format("redis.journal: cannot open {}: {}", path.string(), error.message()));
  }
  if (!journal) {
    spdlog::warn(
        "no purge journal: cannot open {}: {}; purges made while Redis is away will not outlive this process; "
        "set redis.journal",
        path.string(), error.message());
  }
  return journal;
}

std::string shown(const asio::ip::tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                         : fmt::format("{}:{}", address.to_string(), endpoint.port());
}

// Runs a loop until it is stopped. What lets an exception out is lost, the thread is not.
void run_loop(asio::io_context& context, const char* name) {
  const auto work = asio::make_work_guard(context);
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& error) {
      spdlog::error("internal error on {}: {}", name, error.what());
    }
  }
}
}  // namespace

struct Server::Impl {
  Impl(config::Settings given, std::string version)
      : settings(std::move(given)),
        log(proxy::random_number()),
        memory(settings.memory, log),
        fills(settings.cache.max_object, settings.cache.fill_budget),
        redis_errors("[CACHE ERROR]", 5, std::chrono::seconds(1)),
        origin_errors("[ORIGIN ERROR]", 50, std::chrono::milliseconds(100)),
        shared{.rules = settings.rules,
               .cache = settings.cache,
               .trust_forwarded = settings.trust_forwarded,
               .preserve_host = settings.origin.preserve_host,
               .tunnel_idle_timeout = settings.client.tunnel_idle_timeout,
               .coherence = settings.redis ? settings.redis->coherence : proxy::Coherence::bounded,
               .coherence_bound = settings.redis ? settings.redis->coherence_bound : std::chrono::milliseconds{0},
               .log = log,
               .memory = memory,
               .fills = fills,
               .variances = variances,
               .decoded = decoded,
               .bus = nullptr,
               .origin_errors = origin_errors} {
    raise_descriptor_limit();
    // What takes its time is done on threads that serve no hits. Three of them, so that neither compressing nor the
    // admin API delays the purges that the bus hears.
    if (settings.redis) {
      bus = std::make_unique<proxy::PurgeBus>(bus_context, *settings.redis, log, open_journal(settings), redis_errors);
      shared.bus = bus.get();
    }
    background = std::make_unique<Worker>(settings, shared, encoding_context, bus.get(), redis_errors, encoding_bytes);
    const auto count = settings.workers > 0 ? settings.workers : std::max(1U, std::thread::hardware_concurrency());
    auto endpoint = settings.listen;
    for (unsigned i = 0; i < count; ++i) {
      auto worker =
          std::make_unique<Worker>(settings, shared, encoding_context, bus.get(), redis_errors, encoding_bytes);
      const auto& listener =
          worker->listen(endpoint, count > 1, settings.client, worker->proxy().handler(), session_counters);
      listening = listener.local_endpoint();
      endpoint.port = listening.port();
      workers.push_back(std::move(worker));
    }
    std::vector<proxy::Proxy*> stories{&background->proxy()};
    for (const auto& worker : workers) stories.push_back(&worker->proxy());
    collector =
        std::make_unique<admin::Collector>(admin::Sources{.shared = shared,
                                                          .proxy = background->proxy(),
                                                          .workers = std::move(stories),
                                                          .sessions = session_counters,
                                                          .started = std::chrono::system_clock::now(),
                                                          .redis_is_in_use = [this] { return redis_is_in_use(); },
                                                          .version = std::move(version)});
    monitor = std::make_unique<admin::Monitor>(background->context(), background->wheel(), *collector, settings.watch);
    if (settings.admin) {
      api = std::make_unique<admin::Api>(admin::ApiContext{.token = settings.admin_token,
                                                           .shared = shared,
                                                           .proxy = background->proxy(),
                                                           .collector = *collector,
                                                           .monitor = *monitor,
                                                           .watch = settings.watch,
                                                           .is_ready = [this] { return ready.load(); }});
      admin_listening =
          background->listen(*settings.admin, false, settings.client, api->handler(), admin_session_counters)
              .local_endpoint();
    }
  }

  bool redis_is_in_use() const {
    return std::all_of(workers.begin(), workers.end(), [](const auto& worker) {
      const auto* remote = worker->proxy().remote();
      return remote != nullptr && remote->was_readable();
    });
  }

  // Looks at one stripe of memory per tick.
  void schedule_sweep() {
    sweep_timer.expires_after(sweep_interval);
    sweep_timer.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      memory.sweep(policy::Clock::now());
      schedule_sweep();
    });
  }

  const config::Settings settings;
  store::PurgeLog log;
  store::MemoryStore memory;
  store::FillTable fills;
  store::VarianceIndex variances;
  store::DecodedBodies decoded;
  proxy::ErrorLog redis_errors;
  proxy::ErrorLog origin_errors;
  proxy::Shared shared;
  std::atomic<std::size_t> encoding_bytes{0};
  net::SessionCounters session_counters;
  net::SessionCounters admin_session_counters;
  std::atomic<bool> ready{false};
  asio::io_context bus_context{1};
  asio::io_context encoding_context{1};
  asio::steady_timer sweep_timer{bus_context};
  std::unique_ptr<proxy::PurgeBus> bus;
  std::unique_ptr<Worker> background;
  std::unique_ptr<admin::Collector> collector;
  std::unique_ptr<admin::Monitor> monitor;
  std::unique_ptr<admin::Api> api;
  std::vector<std::unique_ptr<Worker>> workers;
  asio::ip::tcp::endpoint listening;
  asio::ip::tcp::endpoint admin_listening;
};

Server::Server(config::Settings settings, std::string version)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(version))) {}

Server::~Server() = default;

void Server::run() {
  auto& self = *impl_;
  asio::io_context signals_context{1};
  asio::signal_set signals(signals_context, SIGINT, SIGTERM);

  if (self.bus) self.bus->start();
  self.schedule_sweep();
  std::thread bus_thread(run_loop, std::ref(self.bus_context), "the purge bus");
  std::thread encoding_thread(run_loop, std::ref(self.encoding_context), "the encoding thread");
  if (self.settings.admin || !self.settings.watch.alerts.empty()) self.monitor->start();
  self.background->run();
  for (auto& worker : self.workers) worker->run();
  self.ready = true;
  std::string origins;
  for (const auto& server : self.settings.origin.servers) origins += (origins.empty() ? "" : ", ") + server;
  spdlog::info("listening on {} ({} workers) before {}", shown(self.listening), self.workers.size(), origins);
  if (self.api) spdlog::info("admin listening on {}", shown(self.admin_listening));
  if (self.api && self.settings.admin_token.empty()) {
    spdlog::warn("no admin token: the admin API refuses everything but /health and /ready; set admin.token or --token");
  }

  signals.async_wait([&](const boost::system::error_code&, int number) {
    spdlog::info("{}: finishing what runs", number == SIGINT ? "SIGINT" : "SIGTERM");
  });
  signals_context.run();

  self.ready = false;
  for (auto& worker : self.workers) worker->drain();
  // A second signal ends the wait.
  bool hurry = false;
  signals_context.restart();
  signals.async_wait([&](const boost::system::error_code& error, int) { hurry = !error; });
  const auto deadline = std::chrono::steady_clock::now() + drain_deadline;
  const auto drained = [&] {
    return std::all_of(self.workers.begin(), self.workers.end(), [](const auto& w) { return w->sessions() == 0; });
  };
  while (!drained() && !hurry && std::chrono::steady_clock::now() < deadline) {
    signals_context.run_for(std::chrono::milliseconds(20));
  }
  asio::post(self.background->context(), [&] { self.monitor->stop(); });
  for (auto& worker : self.workers) worker->stop();
  self.background->stop();
  self.encoding_context.stop();
  encoding_thread.join();
  asio::post(self.bus_context, [&] {
    self.sweep_timer.cancel();
    if (self.bus) self.bus->stop();
    self.bus_context.stop();
  });
  bus_thread.join();
  spdlog::info("stopped");
}

}  // namespace larder::app
