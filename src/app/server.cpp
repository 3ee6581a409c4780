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
#include "larder/net/access_log.hpp"
#include "larder/store/journal.hpp"

namespace larder::app {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds sweep_interval{100};
constexpr std::chrono::seconds drain_deadline{10};
// Descriptors for all but clients and origins, roughly.
constexpr std::size_t own_descriptors = 128;

// Each connection is a descriptor; take as many as we are allowed. Where clients could take all of them, nothing would
// be left for the origin: then fewer clients may connect.
config::Settings within_descriptor_limit(config::Settings settings) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return settings;
  if (limit.rlim_cur != limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
  }
  const auto descriptors = static_cast<std::size_t>(limit.rlim_cur);
  const auto others = std::min<std::size_t>(own_descriptors + settings.origin.connections, descriptors / 2);
  auto& connections = settings.client.connections;
  if (connections > descriptors - others) {
    spdlog::warn(
        "client.connections: {} of {}: the process may have {} descriptors, and others need some; raise it with "
        "ulimit -n or LimitNOFILE=",
        descriptors - others, connections, descriptors);
    connections = std::max<std::size_t>(1, descriptors - others);
  }
  return settings;
}

// What memory lets go of for the sake of one response is as large as two of the largest at the most, and one more may
// be on its way: so that the bound is kept, the store acts at half of it.
store::MemoryStoreParameters with_headroom(store::MemoryStoreParameters memory) {
  memory.outside /= 2;
  return memory;
}

// Where undelivered purges are kept unless the configuration says where: one file per listening port, in the first of
// the places that systemd, the user's session or the system provide for state.
std::filesystem::path default_journal(const net::Endpoint& listen, std::string_view of) {
  const auto name = fmt::format("{}-{}.journal", of, listen.port);
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

// `of`: whose purges they are.
std::unique_ptr<store::Journal> open_journal(const config::Settings& settings, std::string_view of,
                                             std::string_view suffix) {
  const bool configured = !settings.redis->journal.empty();
  auto path = configured ? std::filesystem::path(settings.redis->journal) : default_journal(settings.listen, of);
  if (configured) path += suffix;
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
      : settings(within_descriptor_limit(std::move(given))),
        log(proxy::random_number()),
        memory(with_headroom(settings.memory), log),
        fills(settings.cache.max_object, settings.cache.fill_budget),
        redis_errors("[CACHE ERROR]", 5, std::chrono::seconds(1)),
        origin_errors("[ORIGIN ERROR]", 50, std::chrono::milliseconds(100)),
        overload("[OVERLOAD]", 10, std::chrono::seconds(1)),
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
               .origin_errors = origin_errors,
               .overload = overload,
               .trace = settings.trace,
               .secret_parameters = settings.secret_parameters,
               .admin_token = settings.admin_token} {
    // What takes its time is done on threads that serve no hits. Three of them, so that neither compressing nor the
    // admin API delays the purges that the bus hears.
    if (settings.redis) {
      bus = std::make_unique<proxy::PurgeBus>(bus_context, *settings.redis, log, open_journal(settings, "purges", {}),
                                              redis_errors);
      shared.bus = bus.get();
    }
    background = std::make_unique<Worker>(settings, shared, encoding_context, bus.get(), redis_errors, write_bytes);
    const auto count = settings.workers > 0 ? settings.workers : std::max(1U, std::thread::hardware_concurrency());
    if (!settings.access_log.file.empty()) {
      access_log = std::make_unique<net::AccessLog>(settings.access_log, settings.secret_parameters, count);
    }
    auto endpoint = settings.listen;
    for (unsigned i = 0; i < count; ++i) {
      auto worker = std::make_unique<Worker>(settings, shared, encoding_context, bus.get(), redis_errors, write_bytes);
      auto handler = worker->proxy().handler();
      if (access_log) handler.access = &access_log->lane(i);
      const auto& listener = worker->listen(endpoint, count > 1, settings.client, std::move(handler), session_counters);
      listening = listener.local_endpoint();
      endpoint.port = listening.port();
      workers.push_back(std::move(worker));
    }
    if (settings.admin && settings.values.memory > 0) {
      values = std::make_unique<proxy::Values>(background->context(), settings.values, settings.redis,
                                               settings.redis ? open_journal(settings, "values", ".values") : nullptr,
                                               redis_errors);
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
                                                          .version = std::move(version),
                                                          .budgets = [this] { return budgets(); }});
    monitor = std::make_unique<admin::Monitor>(background->context(), background->wheel(), *collector, settings.watch);
    if (settings.admin) {
      api = std::make_unique<admin::Api>(admin::ApiContext{.token = settings.admin_token,
                                                           .shared = shared,
                                                           .proxy = background->proxy(),
                                                           .values = values.get(),
                                                           .collector = *collector,
                                                           .monitor = *monitor,
                                                           .watch = settings.watch,
                                                           .is_ready = [this] { return ready.load(); },
                                                           .default_host = shown(listening)});
      admin_listening =
          background->listen(*settings.admin, false, settings.client, api->handler(), admin_session_counters)
              .local_endpoint();
    }
  }

  std::vector<admin::BudgetState> budgets() const {
    std::vector<admin::BudgetState> all{
        {.name = "client.buffers", .bytes = session_counters.buffered.load(), .limit = settings.client.buffers},
        {.name = "memory.capacity", .bytes = memory.counters().bytes, .limit = settings.memory.capacity},
        {.name = "memory.outside", .bytes = store::StoredResponse::bytes_outside(), .limit = settings.memory.outside},
        {.name = "cache.fill_budget", .bytes = fills.bytes_in_fills(), .limit = fills.budget()}};
    if (settings.redis) {
      all.push_back({.name = "redis.write_budget", .bytes = write_bytes.load(), .limit = settings.redis->write_budget});
    }
    return all;
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
  proxy::ErrorLog overload;
  proxy::Shared shared;
  std::atomic<std::size_t> write_bytes{0};
  net::SessionCounters session_counters;
  net::SessionCounters admin_session_counters;
  std::atomic<bool> ready{false};
  asio::io_context bus_context{1};
  asio::io_context encoding_context{1};
  asio::steady_timer sweep_timer{bus_context};
  std::unique_ptr<proxy::PurgeBus> bus;
  std::unique_ptr<net::AccessLog> access_log;  ///< null while it is off
  std::unique_ptr<Worker> background;
  std::unique_ptr<proxy::Values> values;  ///< on the background worker's thread; null where it is off
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

  if (self.access_log) self.access_log->start();
  if (self.bus) self.bus->start();
  if (self.values) self.values->start();
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
  if (self.access_log) self.access_log->stop();
  if (self.values) asio::post(self.background->context(), [&] { self.values->stop(); });
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
