#include "larder/proxy/values.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>
#include <limits>
#include <span>
#include <utility>

namespace larder::proxy {

namespace asio = boost::asio;

namespace {

using policy::Selector;
using policy::SelectorKind;
using std::chrono::milliseconds;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, net::Executor>;

constexpr milliseconds sweep_interval{250};
constexpr std::size_t sweep_step = 2000;
constexpr milliseconds upload_retry{200};
constexpr milliseconds delivery_deadline{2000};
constexpr milliseconds first_contact_time{1000};
constexpr milliseconds first_contact_step{5};
constexpr std::size_t max_flushes = 10000;
constexpr std::string_view local_mark = "local-";

milliseconds left_of(const store::HeldValue& value, std::chrono::steady_clock::time_point now) {
  return std::chrono::ceil<milliseconds>(value.expires - now);
}

policy::PurgeSubject subject_of(std::string_view key) {
  return {.key = key, .base_key = key, .type = namespace_of(key), .origin = {}, .target = {}, .tags = {}};
}

bool is_named(const Selector& selector, std::string_view key) {
  if (selector.kind == SelectorKind::all) return true;
  if (selector.kind == SelectorKind::type) return namespace_of(key) == selector.value;
  return selector.kind == SelectorKind::key && key == selector.value;
}

std::optional<RedisParameters> with_log(const std::optional<RedisParameters>& redis, const ValueNames& names) {
  auto own = redis;
  if (own) own->namespace_key = names.log();
  return own;
}

net::Awaitable<void> pause(milliseconds duration) {
  Timer timer(co_await asio::this_coro::executor);
  timer.expires_after(duration);
  (void)co_await timer.async_wait(net::as_result);
}

}  // namespace

std::string_view to_string(NoValue reason) noexcept {
  switch (reason) {
    case NoValue::none:
      return "none";
    case NoValue::absent:
      return "absent";
    case NoValue::undelivered:
      return "undelivered";
    case NoValue::untrusted:
      return "untrusted";
    case NoValue::unavailable:
      return "unavailable";
  }
  return "absent";
}

Values::Values(asio::io_context& context, ValueParameters parameters, const std::optional<RedisParameters>& redis,
               std::unique_ptr<store::Journal> journal, ErrorLog& errors)
    : context_(context),
      parameters_(std::move(parameters)),
      names_(parameters_.name),
      redis_(with_log(redis, names_)),
      memory_(parameters_.memory),
      log_(random_number()),
      leases_(parameters_.max_leases) {
  if (!redis_) return;
  bus_ = std::make_unique<PurgeBus>(context_, *redis_, log_, std::move(journal), errors, follower());
  remote_ = std::make_unique<RemoteValues>(context_, *redis_, names_, *bus_, errors);
}

Values::~Values() = default;

LogFollower Values::follower() {
  return {
      .heard = [this](std::uint64_t clock, std::span<const Selector> selectors) { heard(clock, selectors); },
      .lost = [this](bool nobody_else) { lost(nobody_else); },
      .delivery = [this](const store::PendingPurge& purge, std::string_view run_id,
                         std::string_view new_epoch) { return delivery(purge, run_id, new_epoch); },
      .delivered = [this](const store::PendingPurge& purge, const redis::Reply& reply) { delivered(purge, reply); },
      .sweep_pattern = [this](std::span<const Selector> selectors) { return sweep_pattern(selectors); },
      .dead_beginning = [this](std::string_view name, std::string_view front) { return dead_beginning(name, front); }};
}

void Values::start() {
  started_ = std::chrono::steady_clock::now();
  if (bus_) {
    bus_->start();
    remote_->start();
  }
  asio::co_spawn(context_.get_executor(), sweep_memory(), asio::detached);
}

void Values::stop() {
  stopped_ = true;
  if (!bus_) return;
  bus_->stop();
  remote_->stop();
}

void Values::absorb(std::unique_ptr<store::Journal> left_behind) {
  if (bus_) bus_->absorb(std::move(left_behind));
}

bool Values::is_settled() const { return !bus_ || bus_->is_settled(); }

// A change made before Redis was first reached could not be told from one that other nodes have made anew since. So who
// comes that early waits a moment.
Values::Awaitable<void> Values::first_contact() const {
  while (remote_ && !may_ask() && !remote_->was_tried() && !stopped_ &&
         std::chrono::steady_clock::now() - started_ < first_contact_time) {
    co_await pause(first_contact_step);
  }
}

Values::Awaitable<void> Values::sweep_memory() {
  while (!stopped_) {
    co_await pause(sweep_interval);
    memory_.sweep(std::chrono::steady_clock::now(), sweep_step);
  }
}

// The value of memory, where it may be used: no other node can have changed it without our having heard of it. Where
// that is not certain, what was stored here lately may be used within the bound (see Coherence).
const store::HeldValue* Values::trusted(std::string_view key, Time now) {
  const auto* const value = memory_.find(key, now);
  if (value == nullptr || !redis_) return value;
  if (redis_->coherence == Coherence::strict) return nullptr;
  const auto trust = bus_->trust();
  if (trust == Trust::whole) return value;
  const bool is_recent = now - value->came < redis_->coherence_bound;
  return is_recent && (trust == Trust::bounded || value->owed != 0) ? value : nullptr;
}

// Whether a change of it waits to be delivered.
bool Values::is_pending(std::string_view key) const {
  if (log_.pending_count() == 0) return false;
  // Newer than everything that was delivered, so that only what is pending counts.
  const store::PurgeStamp newest{
      .epoch = log_.epoch(), .clock = std::numeric_limits<std::uint64_t>::max(), .sequence = 0};
  return log_.alive_remote(subject_of(key), newest) != store::Liveness::alive;
}

net::Awaitable<std::vector<ValueLookup>> Values::get(std::vector<std::string> keys) {
  if (remote_ && !remote_->was_tried()) co_await first_contact();
  std::vector<ValueLookup> lookups(keys.size());
  std::vector<std::size_t> places;
  std::vector<std::string> asked;
  const auto begun = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto& lookup = lookups[i];
    if (const auto* const value = trusted(keys[i], begun)) {
      lookup = {.text = value->text, .left = left_of(*value, begun), .reason = NoValue::none};
    } else if (!redis_) {
      lookup.reason = NoValue::absent;
    } else if (is_pending(keys[i])) {
      lookup.reason = memory_.peek(keys[i], begun) != nullptr ? NoValue::untrusted : NoValue::undelivered;
    } else if (!may_ask()) {
      lookup.reason = bus_->trust() == Trust::whole ? NoValue::unavailable : NoValue::untrusted;
    } else {
      places.push_back(i);
      asked.push_back(keys[i]);
    }
  }
  if (asked.empty()) co_return lookups;
  const auto sequence = log_.sequence();
  const auto found = co_await remote_->read(asked);
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto& lookup = lookups[places[i]];
    if (!found) {
      lookup.reason = NoValue::unavailable;
      continue;
    }
    const auto& value = (*found)[i];
    if (!value) continue;
    lookup = {.text = value->text, .left = value->left, .reason = NoValue::none};
    // It was the value while this request was here. It is kept only if nothing has changed it since.
    if (value->epoch != log_.epoch() || !bus_->is_attached() ||
        log_.alive_since(subject_of(asked[i]), sequence) != store::Liveness::alive) {
      continue;
    }
    memory_.put(
        asked[i],
        {.text = value->text, .expires = begun + value->left, .came = now, .version = value->version, .owed = 0});
  }
  co_return lookups;
}

net::Awaitable<ValueChanged> Values::set(std::string key, std::string text, milliseconds ttl, std::string lease) {
  ValueChange order;
  order.kind = ValueChange::Kind::set;
  order.key = std::move(key);
  order.text = text;
  order.ttl = ttl;
  order.lease = lease;
  const auto changed = co_await change(std::move(order));
  co_return changed;
}

net::Awaitable<ValueChanged> Values::clear(std::string key) {
  ValueChange order;
  order.kind = ValueChange::Kind::clear;
  order.key = std::move(key);
  const auto changed = co_await change(std::move(order));
  co_return changed;
}

net::Awaitable<ValueChanged> Values::flush(std::string space) {
  ValueChange order;
  order.kind = ValueChange::Kind::flush;
  order.key = std::move(space);
  const auto changed = co_await change(std::move(order));
  co_return changed;
}

net::Awaitable<ValueChanged> Values::change(ValueChange order) {
  if (remote_ && !remote_->was_tried()) co_await first_contact();
  const bool is_flush = order.kind == ValueChange::Kind::flush;
  const auto lease = order.lease;
  const bool is_local_lease = lease.starts_with(local_mark);
  if (is_local_lease) {
    if (!leases_.is_valid(order.key, lease, std::chrono::steady_clock::now())) {
      co_return ValueChanged{.lease_lost = true};
    }
    // Redis does not know it, but it can say whether others have changed the key.
    order.lease = {};
    order.kind = ValueChange::Kind::offer;
    order.base_clock = log_.clock();
    order.base_epoch = log_.epoch();
  }
  // Behind changes that still wait for Redis it waits too, as their order is that of the journal.
  if (may_ask() && (is_flush || !is_pending(order.key))) {
    const auto reply = co_await remote_->change(order);
    if (reply.outcome == ChangeOutcome::lease_lost || reply.outcome == ChangeOutcome::conflict) {
      co_return ValueChanged{.lease_lost = true};
    }
    const bool is_done = reply.outcome != ChangeOutcome::failed && reply.outcome != ChangeOutcome::late;
    if (is_done && reply.epoch == log_.epoch()) {
      apply(order, reply);
      co_return ValueChanged{.delivered = true, .existed = reply.outcome == ChangeOutcome::cleared};
    }
    // Done, but in an epoch that we are not in (yet): it waits until we are.
    if (is_done) bus_->request_attach();
  }
  const auto now = std::chrono::steady_clock::now();
  if (!lease.empty() && !leases_.is_valid(order.key, lease, now)) co_return ValueChanged{.lease_lost = true};
  const bool existed = !is_flush && memory_.peek(order.key, now) != nullptr;
  if (is_local_lease) order.kind = ValueChange::Kind::set;
  if (!redis_) {
    carry_out(order, 0, 0);
    co_return ValueChanged{.delivered = true, .existed = existed};
  }
  const auto selector = selector_of(order);
  const auto sequence = log_.apply_local(std::span(&selector, 1), true);
  const bool is_strict = redis_->coherence == Coherence::strict;
  // Others may read the old value as long as Redis has it, so this is no success; and what is none is not stored later.
  if (is_strict && order.kind == ValueChange::Kind::set) order.kind = ValueChange::Kind::clear;
  carry_out(order, 0, sequence);
  co_await journal(sequence, selector);
  co_return ValueChanged{.refused = is_strict, .existed = existed};
}

// Returns when the change outlives this process.
net::Awaitable<void> Values::journal(std::uint64_t sequence, Selector selector) {
  std::vector<Selector> selectors;
  selectors.push_back(std::move(selector));
  auto written = std::make_shared<net::WaitPoint>(context_.get_executor());
  bus_->journal(sequence, std::move(selectors), [written] { written->notify(); });
  co_await written->wait();
}

// Memory as it is after the change.
void Values::carry_out(const ValueChange& change, std::uint64_t version, std::uint64_t owed) {
  const auto selector = selector_of(change);
  if (change.kind == ValueChange::Kind::flush) {
    memory_.erase_if([&](std::string_view key, const store::HeldValue&) { return is_named(selector, key); });
    leases_.changed_if([&](std::string_view key) { return is_named(selector, key); });
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (change.kind == ValueChange::Kind::set || change.kind == ValueChange::Kind::offer) {
    memory_.put(
        change.key,
        {.text = std::string(change.text), .expires = now + change.ttl, .came = now, .version = version, .owed = owed});
  } else {
    memory_.erase(change.key);
  }
  leases_.changed(change.key);
}

// Redis has made the change.
void Values::apply(const ValueChange& change, const ChangeReply& reply) {
  const auto selector = selector_of(change);
  log_.apply_fleet(reply.clock, std::span(&selector, 1));
  forget(selector, reply.clock, true);
  if (change.kind == ValueChange::Kind::flush) {
    // What was stored here and waits for Redis was stored before.
    carry_out(change, reply.clock, 0);
    bus_->request_sweep(std::span(&selector, 1));
    return;
  }
  if (reply.outcome != ChangeOutcome::stored) return;
  // Another change of it may have been heard of before this reply: then memory leaves it to Redis.
  const store::PurgeStamp made{.epoch = reply.epoch, .clock = reply.clock, .sequence = 0};
  if (log_.alive_remote(subject_of(change.key), made) == store::Liveness::alive) carry_out(change, reply.clock, 0);
}

// What the change of `clock` has made old goes. What is owed came after our own earlier changes; but beside another
// node's nobody can say which was last.
void Values::forget(const Selector& selector, std::uint64_t clock, bool is_own) {
  const auto is_old = [&](const store::HeldValue& value) {
    if (value.owed == 0) return value.version < clock;
    if (!is_own) ++conflicts_;
    return !is_own;
  };
  if (selector.kind == SelectorKind::key) {
    const auto* const value = memory_.peek(selector.value, std::chrono::steady_clock::now());
    if (value != nullptr && is_old(*value)) memory_.erase(selector.value);
    leases_.changed(selector.value);
  } else if (selector.kind == SelectorKind::type || selector.kind == SelectorKind::all) {
    memory_.erase_if(
        [&](std::string_view key, const store::HeldValue& value) { return is_named(selector, key) && is_old(value); });
    leases_.changed_if([&](std::string_view key) { return is_named(selector, key); });
    if (flushes_.size() >= max_flushes) flushes_.clear();
    auto& flushed = flushes_[selector.value];
    flushed = std::max(flushed, clock);
  }
}

void Values::heard(std::uint64_t clock, std::span<const Selector> selectors) {
  const auto mark = node_mark(remote_->node());
  const bool is_own = std::ranges::find(selectors, mark) != selectors.end();
  for (const auto& selector : selectors) forget(selector, clock, is_own);
}

void Values::lost(bool nobody_else) {
  ++losses_;
  flushes_.clear();
  leases_.changed_if([](std::string_view) { return true; });
  if (!nobody_else) {
    memory_.erase_if([](std::string_view, const store::HeldValue&) { return true; });
    return;
  }
  // Redis began anew, and only this node has ever changed anything: memory is right, and Redis is given it again.
  auto keys = memory_.keys();
  const auto now = std::chrono::steady_clock::now();
  for (const auto& key : keys) {
    if (auto* const value = memory_.peek(key, now)) value->version = 0;
  }
  asio::co_spawn(context_.get_executor(), upload(std::move(keys)), asio::detached);
}

void Values::upload_owed(std::uint64_t sequence) {
  std::vector<std::string> owed;
  const auto now = std::chrono::steady_clock::now();
  for (auto& key : memory_.keys()) {
    auto* const value = memory_.peek(key, now);
    if (value == nullptr || value->owed == 0 || value->owed > sequence) continue;
    value->owed = 0;
    value->version = 0;
    owed.push_back(std::move(key));
  }
  if (!owed.empty()) asio::co_spawn(context_.get_executor(), upload(std::move(owed)), asio::detached);
}

// Stores what memory holds in Redis, unless it was changed meanwhile.
net::Awaitable<void> Values::upload(std::vector<std::string> keys) {
  const auto losses = losses_;
  for (const auto& key : keys) {
    for (;;) {
      if (stopped_ || losses_ != losses) co_return;
      const auto now = std::chrono::steady_clock::now();
      const auto* const value = memory_.peek(key, now);
      if (value == nullptr || value->version != 0 || value->owed != 0) break;
      if (!may_ask()) {
        co_await pause(upload_retry);
        continue;
      }
      const auto text = value->text;
      ValueChange order;
      order.kind = ValueChange::Kind::offer;
      order.key = key;
      order.text = text;
      order.ttl = left_of(*value, now);
      order.base_clock = log_.clock();
      order.base_epoch = log_.epoch();
      const auto reply = co_await remote_->change(order);
      if (losses_ != losses) co_return;
      if (reply.outcome == ChangeOutcome::stored && reply.epoch == log_.epoch()) {
        apply(order, reply);
        break;
      }
      if (reply.outcome == ChangeOutcome::conflict) {
        memory_.erase(key);  // what another node has made of it is newer than this
        break;
      }
      co_await pause(upload_retry);
    }
  }
}

std::vector<std::string> Values::delivery(const store::PendingPurge& purge, std::string_view run_id,
                                          std::string_view new_epoch) {
  ValueChange order;
  const auto& selector = purge.selectors.front();
  std::string text;
  if (selector.kind == SelectorKind::key) {
    order.key = selector.value;
    order.kind = ValueChange::Kind::clear;
    const auto now = std::chrono::steady_clock::now();
    if (const auto* const value = memory_.peek(selector.value, now)) {
      order.kind = ValueChange::Kind::set;
      text = value->text;
      order.text = text;
      order.ttl = left_of(*value, now);
      order.base_clock = log_.clock();
      order.base_epoch = log_.epoch();
    }
  } else {
    order.kind = ValueChange::Kind::flush;
    order.key = selector.value;
  }
  order.not_after = remote_->time_after(delivery_deadline);
  return change_command(names_, order, remote_->node(), run_id, new_epoch);
}

void Values::delivered(const store::PendingPurge& purge, const redis::Reply& reply) {
  const auto change = parse_change(reply);
  const auto& selector = purge.selectors.front();
  if (selector.kind != SelectorKind::key) {
    forget(selector, change.clock, true);
    // One flush may stand for more pending changes than the log can hold; what they stored is still owed.
    if (selector.kind == SelectorKind::all) upload_owed(purge.sequence);
    return;
  }
  auto* const value = memory_.peek(selector.value, std::chrono::steady_clock::now());
  // Stored anew meanwhile: that has a purge of its own.
  if (value == nullptr || value->owed > purge.sequence) return;
  if (change.outcome == ChangeOutcome::stored) {
    value->version = change.clock;
    value->owed = 0;
    return;
  }
  if (change.outcome == ChangeOutcome::conflict) ++conflicts_;
  memory_.erase(selector.value);
}

std::string Values::sweep_pattern(std::span<const Selector> selectors) const {
  std::string pattern;
  for (const auto& selector : selectors) {
    if (selector.kind == SelectorKind::all) return policy::glob_quoted(names_.value({})) + '*';
    if (selector.kind == SelectorKind::type) pattern = policy::glob_quoted(names_.value(selector.value + ':')) + '*';
  }
  return pattern;
}

std::string_view Values::dead_beginning(std::string_view name, std::string_view front) const {
  const auto record = read_value_record(front);
  const auto prefix = names_.value({});
  if (!record || !name.starts_with(prefix)) return {};
  if (record->epoch != log_.epoch()) return record->beginning;
  const auto flushed_at = [this](std::string_view space) {
    const auto found = flushes_.find(std::string(space));
    return found == flushes_.end() ? 0 : found->second;
  };
  const auto space = namespace_of(name.substr(prefix.size()));
  return record->version <= std::max(flushed_at({}), flushed_at(space)) ? record->beginning : std::string_view{};
}

net::Awaitable<ValueOrLease> Values::get_or_lease(std::string key, milliseconds lease, Time until,
                                                  std::shared_ptr<LeaseWait> me) {
  ValueOrLease result;
  for (;;) {
    std::vector<std::string> keys;
    keys.push_back(key);
    auto lookups = co_await get(std::move(keys));
    auto now = std::chrono::steady_clock::now();
    if (me->is_abandoned()) {
      result.kind = ValueOrLease::Kind::abandoned;
      break;
    }
    if (lookups.front().found()) {
      result.kind = ValueOrLease::Kind::value;
      result.value = std::move(lookups.front());
      break;
    }
    if (leases_.is_held(key, now)) {
      if (now >= until) break;
      result.waited = true;
      auto same_key = key;
      auto waiting = me;
      co_await leases_.wait(std::move(same_key), until, std::move(waiting));
      continue;
    }
    auto asks_redis = may_ask() && !is_pending(key);
    if (!leases_.hold(key, {}, now + (asks_redis ? redis_->deadline : lease), now)) {
      result.kind = ValueOrLease::Kind::too_many;
      break;
    }
    if (asks_redis) {
      auto same_key = key;
      auto reply = co_await remote_->lease(std::move(same_key), lease);
      now = std::chrono::steady_clock::now();
      if (reply.kind == LeaseReply::Kind::held) {
        leases_.hold(key, {}, now + reply.left, now);
        continue;
      }
      if (reply.kind == LeaseReply::Kind::present) {
        leases_.changed(key);
        // Memory may hold what Redis will not be asked for; and a value may go as fast as it came.
        if (now >= until) break;
        continue;
      }
      if (reply.kind == LeaseReply::Kind::granted) {
        result.token = std::move(reply.token);
      }
    }
    if (result.token.empty()) result.token = fmt::format("{}{}-{}", local_mark, random_number(), ++local_tokens_);
    leases_.hold(key, result.token, now + lease, now);
    if (me->is_abandoned()) {
      auto same_key = key;
      auto token = result.token;
      co_await release(std::move(same_key), std::move(token));
      result.kind = ValueOrLease::Kind::abandoned;
    } else {
      result.kind = ValueOrLease::Kind::lease;
    }
    break;
  }
  co_return result;
}

net::Awaitable<bool> Values::release(std::string key, std::string lease) {
  bool was_held = leases_.is_valid(key, lease, std::chrono::steady_clock::now());
  if (!lease.starts_with(local_mark) && may_ask()) {
    ValueChange order;
    order.kind = ValueChange::Kind::release;
    order.key = key;
    order.lease = lease;
    const auto reply = co_await remote_->change(order);
    if (reply.outcome == ChangeOutcome::released) {
      was_held = true;
      const auto selector = selector_of(order);
      if (reply.epoch == log_.epoch()) log_.apply_fleet(reply.clock, std::span(&selector, 1));
    }
    if (reply.outcome == ChangeOutcome::lease_lost) was_held = false;
  }
  if (was_held) leases_.end(key);
  co_return was_held;
}

ValueState Values::state() const {
  ValueState state{.memory = memory_.counters(),
                   .capacity = memory_.capacity(),
                   .leases = leases_.size(),
                   .waiting = leases_.waiting(),
                   .bus = std::nullopt,
                   .readable = may_ask(),
                   .redis_errors = remote_ ? remote_->failures() : 0,
                   .conflicts = conflicts_};
  if (bus_) state.bus = bus_->state();
  return state;
}

}  // namespace larder::proxy
