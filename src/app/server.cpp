// Threads: the workers; one for the admin API and what runs in the background; one for the purge bus; one that
// compresses; and the main thread, which waits for signals, file changes and a successor, and is the only one that
// reloads, drains and stops. What it tells the others it posts to their loops.
#include "larder/app/server.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <latch>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "larder/admin/api.hpp"
#include "larder/app/file_watch.hpp"
#include "larder/app/listening.hpp"
#include "larder/app/service_notice.hpp"
#include "larder/app/takeover.hpp"
#include "larder/app/worker.hpp"
#include "larder/net/access_log.hpp"
#include "larder/policy/rule_change.hpp"
#include "larder/store/journal.hpp"

namespace larder::app {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds sweep_interval{100};
constexpr std::chrono::milliseconds drain_look{20};
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

// A journal, by whose purges are in it.
struct JournalKind {
  std::string_view name;    ///< where the configuration does not say where it is
  std::string_view suffix;  ///< of the name that the configuration says
};
constexpr JournalKind response_journal{"purges", ""};
constexpr JournalKind value_journal{"values", ".values"};

std::filesystem::path journal_path(const config::Settings& settings, const JournalKind& kind) {
  if (settings.redis->journal.empty()) return default_journal(settings.listen, kind.name);
  return std::filesystem::path(settings.redis->journal) += kind.suffix;
}

// While a process is replaced each of the two has a journal: the one that comes takes this where the other is in use.
std::filesystem::path second_journal_path(const std::filesystem::path& path) { return path.string() + "-2"; }

// `replaces`: another process may still have the first journal.
std::unique_ptr<store::Journal> open_journal(const config::Settings& settings, const JournalKind& kind, bool replaces) {
  const bool configured = !settings.redis->journal.empty();
  const auto path = journal_path(settings, kind);
  if (path.empty()) {
    spdlog::warn("no purge journal: purges made while Redis is away will not outlive this process; set redis.journal");
    return nullptr;
  }
  std::error_code error;
  auto journal = store::Journal::open(path, error);
  if (!journal && replaces && error == std::errc::resource_unavailable_try_again) {
    journal = store::Journal::open(second_journal_path(path), error);
  }
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

std::vector<admin::ConfigurationFault> faults_of(const std::vector<config::Fault>& faults) {
  std::vector<admin::ConfigurationFault> out;
  for (const auto& fault : faults) out.push_back({fault.file, fault.line, fault.wrong, fault.right});
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
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
  Impl(config::Settings given, ConfigurationSource from, std::string version)
      : signals(control, SIGHUP, SIGINT, SIGTERM),
        settings(within_descriptor_limit(std::move(given))),
        present(settings),
        source(std::move(from)),
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
               .admin_token = settings.admin_token},
        buffers_limit(settings.client.buffers) {
    const auto count = settings.workers > 0 ? settings.workers : std::max(1U, std::thread::hardware_concurrency());
    auto sockets = open_sockets(count);
    // What takes its time is done on threads that serve no hits. Three of them, so that neither compressing nor the
    // admin API delays the purges that the bus hears.
    if (settings.redis) {
      bus = std::make_unique<proxy::PurgeBus>(bus_context, *settings.redis, log,
                                              open_journal(settings, response_journal, predecessor != nullptr),
                                              redis_errors);
      shared.bus = bus.get();
    }
    shared.is_doubled = predecessor != nullptr && !bus;
    background = std::make_unique<Worker>(settings, shared, encoding_context, bus.get(), redis_errors, write_bytes);
    if (!settings.access_log.file.empty()) {
      access_log = std::make_unique<net::AccessLog>(settings.access_log, settings.secret_parameters, count);
    }
    sockets_outlive_us = sockets.outlive_us;
    if (!settings.takeover.empty()) {
      for (const auto& one : sockets.clients) kept_sockets.clients.push_back(one.duplicate());
      for (const auto& one : sockets.admin) kept_sockets.admin.push_back(one.duplicate());
      successor = std::make_unique<Successor>(
          control, settings.takeover, [this]() -> const ListeningSockets& { return kept_sockets; },
          [this] { be_replaced(); });
    }
    listening = sockets.clients.front().local_endpoint();
    for (auto& share : share_out(std::move(sockets.clients), count)) {
      auto worker = std::make_unique<Worker>(settings, shared, encoding_context, bus.get(), redis_errors, write_bytes);
      auto handler = worker->proxy().handler();
      if (access_log) handler.access = &access_log->lane(workers.size());
      worker->listen(std::move(share), settings.client, std::move(handler), session_counters);
      workers.push_back(std::move(worker));
    }
    if (settings.admin && settings.values.memory > 0) {
      values = std::make_unique<proxy::Values>(
          background->context(), settings.values, settings.redis,
          settings.redis ? open_journal(settings, value_journal, predecessor != nullptr) : nullptr, redis_errors);
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
                                                          .budgets = [this] { return budgets(); },
                                                          .access_log = access_log.get()});
    warmer = std::make_unique<admin::Warmer>(background->proxy());
    monitor = std::make_unique<admin::Monitor>(background->context(), background->wheel(), *collector, settings.watch);
    if (settings.admin) {
      api = std::make_unique<admin::Api>(admin::ApiContext{.token = settings.admin_token,
                                                           .shared = shared,
                                                           .proxy = background->proxy(),
                                                           .values = values.get(),
                                                           .collector = *collector,
                                                           .monitor = *monitor,
                                                           .warmer = *warmer,
                                                           .watch = settings.watch,
                                                           .is_ready = [this] { return ready.load(); },
                                                           .default_host = shown(listening),
                                                           .is_draining = [this] { return draining.load(); },
                                                           .reload = [this] { return reload_for_api(); }});
      admin_listening = sockets.admin.front().local_endpoint();
      background->listen(std::move(sockets.admin), settings.client, api->handler(), admin_session_counters);
    }
  }

  // From the service manager, the process that we replace, or bound.
  ListeningSockets open_sockets(unsigned count) {
    auto passed = passed_sockets();
    if (!passed.empty()) return sort_sockets(std::move(passed), settings, count);
    if (!settings.takeover.empty()) predecessor = Predecessor::find(settings.takeover);
    if (!predecessor) return bind_sockets(settings, count);
    auto sockets = predecessor->take_sockets();
    if (settings.admin && sockets.admin.empty())
      sockets.admin.push_back(net::ListeningSocket::bind(*settings.admin, false));
    if (!settings.admin) sockets.admin.clear();
    return sockets;
  }

  std::vector<admin::BudgetState> budgets() const {
    std::vector<admin::BudgetState> all{
        {.name = "client.buffers", .bytes = session_counters.buffered.load(), .limit = buffers_limit.load()},
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

  // ---- on the main thread

  void wait_for_signals() {
    signals.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      if (number == SIGHUP) {
        (void)reload("SIGHUP");
      } else if (!draining) {
        spdlog::info("{}: finishing what runs", number == SIGINT ? "SIGINT" : "SIGTERM");
        begin_drain(sockets_outlive_us ? net::Queued::leave : net::Queued::accept);
      } else {
        spdlog::info("a second signal: ending at once");
        hurry = true;
      }
      wait_for_signals();
    });
  }

  void watch_files() {
    std::vector<std::string> files;
    if (present.reload_on_change) {
      if (source.file) files.push_back(*source.file);
      if (!present.rules_file.empty()) files.push_back(present.rules_file);
      const auto& urls = present.rules->warming.files;
      files.insert(files.end(), urls.begin(), urls.end());
    }
    file_watch.watch(files);
  }

  // Requests that begin on a worker after this are answered under these rules; those that run end under what they began
  // with. Returns when all workers have it.
  void adopt(const std::shared_ptr<const policy::RuleSet>& rules,
             const std::shared_ptr<const policy::RuleSet>& other_rules) {
    const auto terms =
        std::make_shared<const proxy::Terms>(proxy::Terms{.rules = rules,
                                                          .other_rules = other_rules,
                                                          .trust_forwarded = present.trust_forwarded,
                                                          .preserve_host = present.origin.preserve_host,
                                                          .tunnel_idle_timeout = present.client.tunnel_idle_timeout,
                                                          .admin_token = present.admin_token});
    buffers_limit = present.client.buffers;
    std::latch adopted(static_cast<std::ptrdiff_t>(workers.size() + 1));
    background->adopt(present.client, present.origin, terms, adopted);
    for (auto& worker : workers) worker->adopt(present.client, present.origin, terms, adopted);
    adopted.wait();
  }

  // What is stored under the old rules would have to be found by the purges of the new ones, and the other way round
  // while workers differ: so writes purge by both, from before the first worker changes until the last has changed and
  // what the new rules may not answer with is purged.
  void replace_rules(std::shared_ptr<const policy::RuleSet> before, std::shared_ptr<const policy::RuleSet> after,
                     const std::vector<std::string>& types) {
    adopt(before, after);
    adopt(after, before);
    fills.forget_unstorable();
    std::vector<policy::Selector> selectors;
    for (const auto& type : types) selectors.push_back({policy::SelectorKind::type, type});
    auto purged = asio::co_spawn(background->context().get_executor(), background->proxy().purge(std::move(selectors)),
                                 asio::use_future);
    (void)purged.get();
    adopt(after, nullptr);
  }

  admin::ReloadReport reload(std::string_view why) {
    admin::ReloadReport report;
    if (draining) {
      spdlog::warn("{}: not reloaded, this process is about to end", why);
      report.end = admin::ReloadReport::End::draining;
      return report;
    }
    notice.reloading();
    auto loaded = config::load(source.file, source.overrides, config::process_environment);
    report.warnings = faults_of(loaded.warnings);
    for (const auto& warning : loaded.warnings) spdlog::warn("{}", config::format(warning));
    if (!loaded.settings) {
      for (const auto& fault : loaded.faults) spdlog::error("{}", config::format(fault));
      spdlog::error("{}: the new configuration is refused ({} faults); the one before goes on", why,
                    loaded.faults.size());
      report.end = admin::ReloadReport::End::refused;
      report.faults = faults_of(loaded.faults);
      notice.ready();
      return report;
    }
    loaded.settings = within_descriptor_limit(std::move(*loaded.settings));
    for (auto& key : config::changed_keys(present, *loaded.settings)) {
      if (config::takes_effect_at_reload(key)) report.changed.push_back(std::move(key));
    }
    for (auto& key : config::changed_keys(settings, *loaded.settings)) {
      if (!config::takes_effect_at_reload(key)) report.at_restart.push_back(std::move(key));
    }
    auto next = config::reloaded(present, *loaded.settings);
    const auto before = present.rules;
    auto numbered = *next.rules;
    policy::number_routes(numbered, before->counted);
    report.rules_changed = numbered.fingerprint != before->fingerprint;
    report.purged_types = policy::types_to_purge(*before, numbered);
    next.rules = report.rules_changed ? std::make_shared<const policy::RuleSet>(std::move(numbered)) : before;
    present = std::move(next);
    spdlog::set_level(spdlog::level::from_str(std::string(config::to_string(present.log_level))));
    if (report.rules_changed) {
      replace_rules(before, present.rules, report.purged_types);
    } else if (!report.changed.empty()) {
      adopt(present.rules, nullptr);
    }
    asio::post(background->context(),
               [this, rules = present.rules, token = present.admin_token, watch = present.watch] {
                 shared.rules = rules;
                 warmer->adopt(rules);
                 monitor->adopt(watch);
                 if (api) {
                   api->set_token(token);
                   api->set_watch(watch);
                 }
               });
    watch_files();
    notice.ready();
    tell(report, why);
    return report;
  }

  static void tell(const admin::ReloadReport& report, std::string_view why) {
    spdlog::info("{}: reloaded; rules: {}; settings that changed: {}; purged types: {}", why,
                 report.rules_changed ? "new" : "as before", report.changed.empty() ? "none" : joined(report.changed),
                 report.purged_types.empty() ? "none" : joined(report.purged_types));
    if (!report.at_restart.empty()) {
      spdlog::warn("{}: these settings differ and take effect at the next start: {}", why, joined(report.at_restart));
    }
  }

  // Another process is ready to accept from our sockets.
  void be_replaced() {
    if (draining) return;
    spdlog::info("another process has taken over: finishing what runs");
    if (!bus) shared.is_doubled = true;
    begin_drain(net::Queued::leave);
  }

  void begin_drain(net::Queued queued) {
    draining = true;
    ready = false;
    notice.stopping();
    drain_until = std::chrono::steady_clock::now() + present.shutdown_deadline;
    file_watch.watch({});
    if (successor) successor->close();
    kept_sockets = {};
    asio::post(background->context(), [this] { warmer->stop(); });
    for (auto& worker : workers) worker->drain(queued, present.shutdown_idle_grace);
    // The successor answers there from now on.
    if (successor && successor->has_taken_over()) background->drain(queued, present.shutdown_idle_grace);
    control.stop();
  }

  // Runs the main thread's loop until nothing runs any more, or it must end. A second signal ends the wait.
  void finish() {
    const auto is_over = [this] { return hurry || std::chrono::steady_clock::now() >= drain_until; };
    const auto wait_until = [&](const auto& done) {
      while (!done() && !is_over()) {
        control.restart();
        control.run_for(drain_look);
      }
    };
    wait_until([this] { return std::ranges::all_of(workers, [](const auto& w) { return w->sessions() == 0; }); });
    if (bus) {
      bus->settle();
      wait_until([this] {
        return bus->is_settled() && (!values || values->is_settled()) && background->owed() == 0 &&
               std::ranges::all_of(workers, [](const auto& w) { return w->owed() == 0; });
      });
    }
    tell_what_is_left();
  }

  void tell_what_is_left() const {
    std::size_t sessions = 0;
    std::size_t owed = background->owed();
    for (const auto& worker : workers) {
      sessions += worker->sessions();
      owed += worker->owed();
    }
    if (sessions > 0) spdlog::warn("{} connections are cut off: they were not finished in time", sessions);
    if (owed > 0) spdlog::warn("{} entries were not written to Redis in time", owed);
    if (bus && log.pending_count() > 0) {
      spdlog::warn("{} purges have not reached Redis; they are in the journal, for the next start: {}",
                   log.pending_count(), bus->state().journalled > 0);
    }
  }

  void await_successor() {
    if (!successor) return;
    try {
      successor->listen();
    } catch (const std::exception& error) {
      // The process before has let go: to end now would leave nobody.
      if (!predecessor) throw;
      spdlog::error("{}; this process cannot be replaced in its turn", error.what());
    }
  }

  // The process that we have replaced may still answer, and write, until it ends.
  void wait_for_predecessor() {
    if (!predecessor) return;
    predecessor_end.assign(::dup(predecessor->descriptor()));
    predecessor_end.async_wait(asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
      if (error) return;
      boost::system::error_code ignored;
      predecessor_end.close(ignored);
      predecessor.reset();
      spdlog::info("the process before has ended");
      if (!bus) {
        // Its writes are not known here: what was fetched until now may be old.
        log.apply_local(std::array{policy::Selector{}}, false);
        shared.is_doubled = false;
      }
      absorb_other_journal();
    });
  }

  // What another process, or one that ended while it was being replaced, has left undelivered.
  void absorb_other_journal() {
    if (!bus) return;
    absorb_other_journal(response_journal, *bus);
    if (values) absorb_other_journal(value_journal, *values);
  }

  void absorb_other_journal(const JournalKind& kind, auto& into) const {
    const auto path = journal_path(settings, kind);
    if (path.empty()) return;
    for (const auto& one : {path, second_journal_path(path)}) {
      std::error_code error;
      if (!std::filesystem::exists(one, error)) continue;
      // Our own is locked, by us.
      if (auto journal = store::Journal::open(one, error)) into.absorb(std::move(journal));
    }
  }

  // The watchdog is fed only while every worker's loop turns.
  void feed_watchdog() {
    const auto interval = notice.interval();
    if (!interval) return;
    if (beats_awaited.load() == 0) {
      notice.alive();
      beats_awaited = workers.size() + 1;
      const auto beat = [this] { beats_awaited.fetch_sub(1); };
      asio::post(background->context(), beat);
      for (auto& worker : workers) asio::post(worker->context(), beat);
    }
    watchdog_timer.expires_after(*interval);
    watchdog_timer.async_wait([this](const boost::system::error_code& error) {
      if (!error) feed_watchdog();
    });
  }

  // ---- on the admin API's thread

  net::Awaitable<admin::ReloadReport> reload_for_api() {
    auto report = std::make_shared<admin::ReloadReport>();
    auto done = std::make_shared<net::WaitPoint>(background->context().get_executor());
    asio::post(control, [this, report, done] {
      *report = reload("POST /api/cache/reload");
      done->notify();
    });
    co_await done->wait();
    co_return std::move(*report);
  }

  asio::io_context control{1};      ///< the main thread's
  asio::signal_set signals;         ///< from the first moment on: none may end us unheard
  const config::Settings settings;  ///< of the start
  config::Settings present;         ///< with what reloads have changed
  const ConfigurationSource source;
  const ServiceNotice notice = ServiceNotice::of_this_process();
  store::PurgeLog log;
  store::MemoryStore memory;
  store::FillTable fills;
  store::VarianceIndex variances;
  store::DecodedBodies decoded;
  proxy::ErrorLog redis_errors;
  proxy::ErrorLog origin_errors;
  proxy::ErrorLog overload;
  proxy::Shared shared;
  std::atomic<std::size_t> buffers_limit;  ///< client.buffers, as it is after the last reload
  std::atomic<std::size_t> write_bytes{0};
  net::SessionCounters session_counters;
  net::SessionCounters admin_session_counters;
  std::atomic<bool> ready{false};
  std::atomic<bool> draining{false};
  bool hurry = false;
  std::chrono::steady_clock::time_point drain_until;
  asio::io_context bus_context{1};
  asio::io_context encoding_context{1};
  asio::steady_timer sweep_timer{bus_context};
  asio::steady_timer watchdog_timer{control};
  std::atomic<std::size_t> beats_awaited{0};
  FileWatch file_watch{control, [this] { (void)reload("a file has changed"); }};
  std::unique_ptr<Predecessor> predecessor;  ///< null where there is none, or once it has ended
  asio::posix::stream_descriptor predecessor_end{control};
  ListeningSockets kept_sockets;  ///< for a successor
  bool sockets_outlive_us = false;
  std::unique_ptr<Successor> successor;
  std::unique_ptr<proxy::PurgeBus> bus;
  std::unique_ptr<net::AccessLog> access_log;  ///< null while it is off
  std::unique_ptr<Worker> background;
  std::unique_ptr<proxy::Values> values;  ///< on the background worker's thread; null where it is off
  std::unique_ptr<admin::Collector> collector;
  std::unique_ptr<admin::Warmer> warmer;
  std::unique_ptr<admin::Monitor> monitor;
  std::unique_ptr<admin::Api> api;
  std::vector<std::unique_ptr<Worker>> workers;
  asio::ip::tcp::endpoint listening;
  asio::ip::tcp::endpoint admin_listening;
};

Server::Server(config::Settings settings, ConfigurationSource source, std::string version)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(source), std::move(version))) {}

Server::~Server() = default;

void Server::run() {
  auto& self = *impl_;
  if (self.access_log) self.access_log->start();
  if (self.bus) self.bus->start();
  if (self.values) self.values->start();
  self.schedule_sweep();
  std::thread bus_thread(run_loop, std::ref(self.bus_context), "the purge bus");
  std::thread encoding_thread(run_loop, std::ref(self.encoding_context), "the encoding thread");
  self.monitor->start();
  const auto stop = [&] {
    asio::post(self.background->context(), [&] {
      self.warmer->stop();
      self.monitor->stop();
    });
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
  };
  self.background->run();
  for (auto& worker : self.workers) worker->run();
  try {
    if (self.predecessor) self.predecessor->release();
    self.await_successor();
  } catch (...) {
    stop();
    throw;
  }
  self.background->accept();
  for (auto& worker : self.workers) worker->accept();
  self.warmer->start();
  self.ready = true;
  self.wait_for_signals();
  self.wait_for_predecessor();
  if (!self.predecessor) self.absorb_other_journal();
  self.watch_files();
  std::string origins = joined(self.settings.origin.servers);
  spdlog::info("listening on {} ({} workers) before {}", shown(self.listening), self.workers.size(), origins);
  if (self.api) spdlog::info("admin listening on {}", shown(self.admin_listening));
  if (self.api && self.settings.admin_token.empty()) {
    spdlog::warn("no admin token: the admin API refuses everything but /health and /ready; set admin.token or --token");
  }
  self.notice.ready();
  self.feed_watchdog();

  const auto work = asio::make_work_guard(self.control);
  self.control.run();
  self.finish();
  stop();
  spdlog::info("stopped");
}

}  // namespace larder::app
