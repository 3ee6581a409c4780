#include "larder/admin/warmer.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <exception>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <spdlog/spdlog.h>
#include <string>
#include <utility>

#include "larder/admin/entry_survey.hpp"
#include "larder/admin/favourites.hpp"
#include "larder/net/wait_point.hpp"

namespace larder::admin {

namespace asio = boost::asio;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, net::Executor>;
using SteadyClock = std::chrono::steady_clock;
using policy::NormalRequest;
using policy::WarmTask;

namespace {

// How often the purge log is looked at. Purges that come together are answered by one run.
constexpr std::chrono::milliseconds purge_look{100};
// How long the first run waits for Redis, whose purge log says what is stored there may be used.
constexpr std::chrono::seconds redis_patience{2};
constexpr std::chrono::milliseconds redis_look{20};
// Of hits since the last look those with the most altogether need not have the most: so more are looked at.
constexpr std::size_t looked_at = 4;
constexpr std::size_t most_looked_at = 20000;
constexpr policy::Seconds for_ever{std::numeric_limits<std::int32_t>::max()};

std::string source_of(const WarmTask& task) {
  if (task.top > 0) {
    return fmt::format("the {} busiest keys{}", task.top, task.type.empty() ? "" : " of " + task.type);
  }
  return fmt::format("{} URL{}", task.requests.size(), task.requests.size() == 1 ? "" : "s");
}

// A query may hold what is no log's business.
std::string_view path_of(const NormalRequest& request) { return request.head().path(); }

}  // namespace

// Shared with the coroutines, which look at `is_over` whenever they are resumed.
struct Warmer::Impl : std::enable_shared_from_this<Warmer::Impl> {
  // A task of the rules, and what is known of it.
  struct Task {
    WarmTask rule;
    WarmTaskState state;
    SteadyClock::time_point due = SteadyClock::time_point::max();
    bool is_new = false;     ///< it is due because it has not been there before
    bool is_purged = false;  ///< it is due because of a purge
    Favourites favourites;
  };
  using TaskPtr = std::shared_ptr<Task>;

  // One request of a run.
  struct Item {
    std::size_t task = 0;  ///< in the run's tasks
    std::shared_ptr<const NormalRequest> request;
    policy::Seconds fresh_for{0};
  };

  // A run on its way.
  struct Run {
    std::vector<TaskPtr> tasks;
    std::vector<Item> items;
    std::vector<std::uint64_t> failed;       ///< by task
    std::vector<std::string> first_failure;  ///< likewise
    std::size_t next = 0;
    std::size_t runners = 0;
    SteadyClock::time_point slot;  ///< when the next request may go
    std::chrono::nanoseconds pace{0};
    policy::TimePoint since;  ///< what was fetched after this is as new as can be; whole milliseconds, as entries have
    std::shared_ptr<net::WaitPoint> done;
  };

  explicit Impl(proxy::Proxy& of) : proxy(of), timer(of.context().get_executor()) {}

  net::Awaitable<void> live(std::shared_ptr<Impl> self);
  net::Awaitable<void> wait_for_redis();
  net::Awaitable<void> run(std::vector<TaskPtr> chosen, WarmTrigger trigger, bool force);
  net::Awaitable<void> plan(std::shared_ptr<Run> run, bool force);
  net::Awaitable<void> fetch_next(std::shared_ptr<Impl> self, std::shared_ptr<Run> run);
  void begin(const std::shared_ptr<const policy::RuleSet>& with);
  void look_at_purges();
  [[nodiscard]] std::vector<TaskPtr> due_tasks(WarmTrigger& trigger);
  void note(Run& run, const Item& item, const proxy::WarmResult& result);
  void conclude(Run& run);

  proxy::Proxy& proxy;
  Timer timer;
  std::shared_ptr<const policy::RuleSet> rules;
  std::vector<TaskPtr> tasks;
  std::uint64_t seen_purges = 0;  ///< sequence of the purge log up to which `is_purged` is right
  WarmState totals;               ///< but for its tasks
  std::optional<WarmOrder> ordered;
  std::vector<std::shared_ptr<net::WaitPoint>> waiting;  ///< for the end of a run
  bool is_over = false;
};

Warmer::Warmer(proxy::Proxy& proxy) : impl_(std::make_shared<Impl>(proxy)) {}

Warmer::~Warmer() { stop(); }

void Warmer::start() { asio::co_spawn(impl_->proxy.context().get_executor(), impl_->live(impl_), asio::detached); }

void Warmer::stop() noexcept {
  impl_->is_over = true;
  impl_->timer.cancel();
}

void Warmer::adopt(const std::shared_ptr<const policy::RuleSet>& rules) {
  if (rules == impl_->rules) return;
  impl_->begin(rules);
  impl_->timer.cancel();
}

std::optional<WarmRun> Warmer::order(const WarmOrder& order) {
  auto& self = *impl_;
  if (self.is_over || self.ordered || self.totals.is_running()) return std::nullopt;
  self.ordered = order;
  self.timer.cancel();
  WarmRun run;
  run.number = self.totals.run ? self.totals.run->number + 1 : 1;
  run.trigger = WarmTrigger::order;
  for (const auto& task : self.tasks) {
    const auto& name = task->rule.name;
    if (order.tasks.empty() || std::ranges::find(order.tasks, name) != order.tasks.end()) run.tasks.push_back(name);
  }
  run.began = proxy::wall_clock();
  return run;
}

net::Awaitable<void> Warmer::ended() {
  if (!impl_->ordered && !impl_->totals.is_running()) co_return;
  const auto end = std::make_shared<net::WaitPoint>(impl_->proxy.context().get_executor());
  impl_->waiting.push_back(end);
  co_await end->wait();
}

WarmState Warmer::state() const {
  auto state = impl_->totals;
  const auto now = SteadyClock::now();
  const auto wall = proxy::wall_clock();
  for (const auto& task : impl_->tasks) {
    auto& shown = state.tasks.emplace_back(task->state);
    if (task->due == SteadyClock::time_point::max()) continue;
    shown.next_run =
        wall + std::chrono::duration_cast<policy::Clock::duration>(std::max(task->due - now, SteadyClock::duration{0}));
  }
  return state;
}

// The tasks of these rules, each with what is known of the one of its name.
void Warmer::Impl::begin(const std::shared_ptr<const policy::RuleSet>& with) {
  const bool is_first = rules == nullptr;
  rules = with;
  const auto now = SteadyClock::now();
  std::map<std::string, TaskPtr> known;
  for (auto& task : tasks) known.emplace(task->rule.name, task);
  tasks.clear();
  for (const auto& rule : with->warming.tasks) {
    const auto before = known.find(rule.name);
    const bool is_known = before != known.end();
    // The same object, as a run may be at work on it.
    auto task = is_known ? before->second : std::make_shared<Task>();
    task->rule = rule;
    task->state.name = rule.name;
    task->state.source = source_of(rule);
    task->state.is_critical = rule.is_critical;
    task->state.interval = rule.interval;
    task->state.after_purge = rule.after_purge;
    task->is_new = task->is_new || (!is_known && with->warming.at_start);
    const auto latest = rule.interval ? now + *rule.interval : SteadyClock::time_point::max();
    task->due = task->is_new ? now : rule.interval ? std::min(task->due, latest) : latest;
    tasks.push_back(std::move(task));
  }
  if (is_first) seen_purges = proxy.shared().log.sequence();
}

// Tasks are due for what has been purged of the types that they name: a purge of the type, of everything, or of a glob
// that all keys of the type match. So is all that went with a lost purge log.
void Warmer::Impl::look_at_purges() {
  const auto& log = proxy.shared().log;
  const auto until = log.sequence();
  if (until == seen_purges) return;
  for (auto& task : tasks) {
    for (const auto& type : task->rule.after_purge) {
      const auto any_key = "cache:" + type + ":";
      const policy::PurgeSubject any{
          .key = any_key, .base_key = any_key, .type = type, .origin = {}, .target = {}, .tags = {}};
      if (log.alive_since(any, seen_purges) != store::Liveness::alive) task->is_purged = true;
    }
  }
  seen_purges = until;
}

std::vector<Warmer::Impl::TaskPtr> Warmer::Impl::due_tasks(WarmTrigger& trigger) {
  std::vector<TaskPtr> due;
  const auto now = SteadyClock::now();
  bool is_new = false;
  bool is_purged = true;
  for (const auto& task : tasks) {
    if (task->due > now && !task->is_purged) continue;
    is_new = is_new || task->is_new;
    is_purged = is_purged && task->is_purged;
    due.push_back(task);
  }
  trigger = is_new ? WarmTrigger::start : is_purged ? WarmTrigger::purge : WarmTrigger::interval;
  return due;
}

// What is stored while Redis's purge log is not known yet is of no use once it is.
net::Awaitable<void> Warmer::Impl::wait_for_redis() {
  if (proxy.remote() == nullptr) co_return;
  const auto until = SteadyClock::now() + redis_patience;
  Timer pause(proxy.context().get_executor());
  while (!is_over && !proxy.remote()->is_readable() && SteadyClock::now() < until) {
    pause.expires_after(redis_look);
    (void)co_await pause.async_wait(net::as_result);
  }
}

net::Awaitable<void> Warmer::Impl::live(std::shared_ptr<Impl> /*keeps it*/) {
  begin(proxy.terms()->rules);
  co_await wait_for_redis();
  while (!is_over) {
    look_at_purges();
    auto trigger = WarmTrigger::order;
    std::vector<TaskPtr> chosen;
    bool force = false;
    if (ordered) {
      force = ordered->force;
      for (const auto& task : tasks) {
        const auto& names = ordered->tasks;
        if (names.empty() || std::ranges::find(names, task->rule.name) != names.end()) chosen.push_back(task);
      }
    } else {
      chosen = due_tasks(trigger);
    }
    if (!chosen.empty() || ordered) {
      co_await run(std::move(chosen), trigger, force);
      continue;
    }
    auto next = SteadyClock::time_point::max();
    for (const auto& task : tasks) {
      next = std::min(next, task->due);
      if (!task->rule.after_purge.empty()) next = std::min(next, SteadyClock::now() + purge_look);
    }
    timer.expires_at(next);
    (void)co_await timer.async_wait(net::as_result);
  }
}

net::Awaitable<void> Warmer::Impl::run(std::vector<TaskPtr> chosen, WarmTrigger trigger, bool force) {
  ordered.reset();
  ++totals.runs[static_cast<std::size_t>(trigger)];
  WarmRun told;
  told.number = totals.run ? totals.run->number + 1 : 1;
  told.trigger = trigger;
  told.began = proxy::wall_clock();
  const auto now = SteadyClock::now();
  for (const auto& task : chosen) {
    told.tasks.push_back(task->rule.name);
    task->is_new = false;
    task->is_purged = false;
    task->due = task->rule.interval ? now + *task->rule.interval : SteadyClock::time_point::max();
    task->state.last_run = told.began;
  }
  totals.run = std::move(told);

  const auto going = std::make_shared<Run>();
  going->tasks = std::move(chosen);
  going->since = std::chrono::ceil<std::chrono::milliseconds>(totals.run->began);
  going->failed.resize(going->tasks.size());
  going->first_failure.resize(going->tasks.size());
  try {
    co_await plan(going, force);
    totals.run->requests = going->items.size();
    totals.run->is_planned = true;
    const auto& warming = rules->warming;
    going->slot = SteadyClock::now();
    going->pace = std::chrono::nanoseconds(std::chrono::seconds(1)) / warming.rate;
    going->runners = std::min(warming.concurrency, going->items.size());
    going->done = std::make_shared<net::WaitPoint>(proxy.context().get_executor());
    for (auto i = going->runners; i > 0; --i) {
      asio::co_spawn(proxy.context().get_executor(), fetch_next(shared_from_this(), going), asio::detached);
    }
    if (going->runners > 0) co_await going->done->wait();
    if (!is_over) conclude(*going);
  } catch (const std::exception& error) {
    spdlog::error("[WARM] a run was lost: {}", error.what());
  }
  totals.run->ended = proxy::wall_clock();
  for (const auto& waiter : std::exchange(waiting, {})) waiter->notify();
}

// What the tasks name now.
net::Awaitable<void> Warmer::Impl::plan(std::shared_ptr<Run> run, bool force) {
  const auto present = rules;
  EntrySurvey survey(proxy.shared().memory);
  for (std::size_t i = 0; i < run->tasks.size(); ++i) {
    const auto task = run->tasks[i];
    auto requests = task->rule.requests;
    if (task->rule.top > 0) {
      std::function<bool(const store::StoredResponse&)> takes = [type = task->rule.type](const auto& stored) {
        return type.empty() || stored.type() == type;
      };
      const auto count = std::min(task->rule.top * looked_at, most_looked_at);
      const auto found = co_await survey.busiest(std::move(takes), count);
      const auto& host = present->warming.host;
      task->favourites.look(found.entries, *present, host.empty() ? "localhost" : host);
      task->state.unrepeatable = task->favourites.unrepeatable();
      requests = task->favourites.requests(task->rule.top);
    }
    // What would go stale before the next run is fetched in this one.
    const auto fresh_for = force ? for_ever : task->rule.interval.value_or(policy::Seconds{0});
    for (auto& request : requests) run->items.push_back({i, std::move(request), fresh_for});
    task->state.last_requests = requests.size();
  }
}

// Makes one request of the run after another, until there is none.
net::Awaitable<void> Warmer::Impl::fetch_next(std::shared_ptr<Impl> /*keeps it*/, std::shared_ptr<Run> run) {
  Timer pause(proxy.context().get_executor());
  while (!is_over && run->next < run->items.size()) {
    const auto& item = run->items[run->next++];
    const auto now = SteadyClock::now();
    const auto slot = std::max(run->slot, now);
    run->slot = slot + run->pace;
    if (slot > now) {
      pause.expires_at(slot);
      (void)co_await pause.async_wait(net::as_result);
      if (is_over) break;
    }
    proxy::WarmResult result;
    try {
      auto request = item.request;
      result = co_await proxy.warm(std::move(request), item.fresh_for, run->since);
    } catch (const std::exception& error) {
      result = {proxy::Warmed::origin_error, error.what()};
    }
    note(*run, item, result);
  }
  if (--run->runners == 0) run->done->notify();
}

void Warmer::Impl::note(Run& run, const Item& item, const proxy::WarmResult& result) {
  const auto way = static_cast<std::size_t>(result.end);
  ++totals.ends[way];
  ++totals.run->ends[way];
  if (is_warm(result.end)) return;
  ++run.failed[item.task];
  auto& first = run.first_failure[item.task];
  const auto what = fmt::format("{}: {} ({})", path_of(*item.request), to_string(result.end), result.detail);
  if (first.empty()) first = what;
  spdlog::debug("[WARM] {}: {}", run.tasks[item.task]->rule.name, what);
}

void Warmer::Impl::conclude(Run& run) {
  const auto now = proxy::wall_clock();
  for (std::size_t i = 0; i < run.tasks.size(); ++i) {
    auto& state = run.tasks[i]->state;
    ++state.execution_count;
    state.last_failures = run.failed[i];
    if (run.failed[i] == 0) {
      ++state.success_count;
      state.last_success = now;
      continue;
    }
    ++state.failure_count;
    state.last_failure = run.first_failure[i];
    spdlog::log(state.is_critical ? spdlog::level::warn : spdlog::level::debug,
                "[WARM] task {} failed: {} of {} requests; the first: {}", state.name, run.failed[i],
                state.last_requests, state.last_failure);
  }
}

}  // namespace larder::admin
