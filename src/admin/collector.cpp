#include "larder/admin/collector.hpp"

namespace larder::admin {

Collector::Collector(Sources sources)
    : sources_(std::move(sources)), poll_(sources_.proxy.context(), sources_.workers) {
  for (auto* const worker : sources_.workers) counters_.push_back(&worker->counters());
}

net::Awaitable<Statistics> Collector::collect() {
  auto workers = co_await poll_.ask();
  auto& shared = sources_.shared;
  std::optional<RedisState> redis;
  if (auto* const remote = sources_.proxy.remote(); remote != nullptr && shared.bus != nullptr) {
    redis.emplace();
    redis->connected = remote->is_connected();
    redis->readable = remote->is_readable() && sources_.redis_is_in_use && sources_.redis_is_in_use();
    redis->bus = shared.bus->state();
    redis->connections = add_up_redis(workers);
    shared.bus->own_propagation().read_into(redis->own_propagation);
    shared.bus->others_propagation().read_into(redis->others_propagation);
  }
  Statistics statistics{.rules = shared.rules,
                        .totals = add_up(counters_, shared.rules->counted.size()),
                        .memory = shared.memory.counters(),
                        .memory_capacity = shared.memory.parameters().capacity,
                        .redis = redis,
                        .fills_in_progress = shared.fills.fills(),
                        .fill_bytes = shared.fills.bytes_in_fills(),
                        .sessions = read(sources_.sessions),
                        .budgets = sources_.budgets ? sources_.budgets() : std::vector<BudgetState>{},
                        .origin = add_up(workers),
                        .workers = {},
                        .purge_log = {.epoch = shared.log.epoch(),
                                      .clock = shared.log.clock(),
                                      .selectors = shared.log.size(),
                                      .pending = shared.log.pending_count()},
                        .process = {},
                        .started = sources_.started,
                        .version = sources_.version,
                        .recent = {},
                        .alerts = {},
                        .webhook = {}};
  statistics.workers = std::move(workers);
  if (sources_.access_log != nullptr) statistics.access_log = sources_.access_log->totals();
  statistics.checks = shared.checks->totals();
  co_return statistics;
}

}  // namespace larder::admin
