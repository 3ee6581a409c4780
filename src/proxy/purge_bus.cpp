#include "larder/proxy/purge_bus.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <random>
#include <spdlog/spdlog.h>

#include "larder/store/codec.hpp"

namespace larder::proxy {

namespace asio = boost::asio;

namespace {
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, net::Executor>;
constexpr std::chrono::milliseconds operation_deadline{2000};
constexpr std::chrono::milliseconds retry_pause{200};
// A sweep looks at this many keys per step. Between steps it pauses for a multiple of what the step took, so that its
// share of Redis's time stays under 3 % however many keys there are, but not for ever where Redis is slow.
constexpr std::string_view sweep_step = "256";
constexpr int sweep_rest = 32;
constexpr std::chrono::milliseconds longest_sweep_pause{500};
// Few records have a front longer than the first; one that is longer than the second is left to its TTL.
constexpr std::array<std::size_t, 2> front_sizes{512, 4096};
constexpr std::size_t max_waiting_sweeps = 32;

net::Awaitable<void> pause(std::chrono::milliseconds duration) {
  Timer timer(co_await asio::this_coro::executor);
  timer.expires_after(duration);
  (void)co_await timer.async_wait(net::as_result);
}

// What a command that delivers a purge returned: epoch and clock, and behind them what is its follower's.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_delivery(redis::Reply reply) {
  if (reply.elements.size() > 2) reply.elements.resize(2);
  return parse_purge(reply);
}
}  // namespace

std::uint64_t random_number() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

std::string_view to_string(Trust trust) noexcept {
  switch (trust) {
    case Trust::whole:
      return "whole";
    case Trust::bounded:
      return "bounded";
    case Trust::none:
      return "none";
  }
  return "none";
}

PurgeBus::PurgeBus(asio::io_context& context, const RedisParameters& parameters, store::PurgeLog& log,
                   std::unique_ptr<store::Journal> journal, ErrorLog& errors, LogFollower follower)
    : context_(context),
      parameters_(parameters),
      log_(log),
      journal_(std::move(journal)),
      errors_(errors),
      follower_(std::move(follower)),
      node_(std::to_string(random_number())),
      push_(context, parameters.connection,
            [this](redis::Event event, std::string_view detail) {
              subscribed_ = false;
              if (event == redis::Event::connected) {
                attach_requested_ = true;
              } else {
                detach(detail);
              }
              wake_->notify();
            }),
      commands_(context, parameters.connection,
                [this](redis::Event event, std::string_view detail) {
                  if (event == redis::Event::connect_failed) {
                    errors_.report(fmt::format("Redis is not reachable: {}; serving from memory and origin", detail));
                  } else if (event == redis::Event::connected) {
                    spdlog::info("Redis connected ({}:{})", parameters_.connection.host, parameters_.connection.port);
                  }
                  wake_->notify();
                }),
      wake_(std::make_shared<net::WaitPoint>(context.get_executor())),
      // Nothing is known yet of other nodes: as if the channel had broken with others there, but for the bound.
      trust_(parameters.coherence == Coherence::strict ? Trust::none : Trust::bounded) {
  push_.on_message([this](std::string_view, std::string_view payload) { on_push(payload); });
}

PurgeBus::~PurgeBus() = default;

void PurgeBus::start() {
  if (journal_) {
    for (const auto& selectors : journal_->recovered()) log_.apply_local(selectors, true);
    owed_up_to_ = log_.sequence();
    if (const auto n = journal_->size(); n > 0) {
      spdlog::warn("{} purges of an earlier run were not delivered to Redis; they hold here and will be delivered", n);
    }
  }
  push_.start();
  commands_.start();
  asio::co_spawn(context_.get_executor(), maintain(), asio::detached);
  asio::co_spawn(context_.get_executor(), heartbeat(), asio::detached);
}

void PurgeBus::stop() {
  stopped_ = true;
  push_.stop();
  commands_.stop();
  wake_->notify();
}

bool PurgeBus::is_attached_to(std::string_view run_id) const {
  if (!is_attached()) return false;
  const std::lock_guard lock(mutex_);
  return run_id_ == run_id;
}

void PurgeBus::journal(std::uint64_t sequence, std::vector<policy::Selector> selectors, std::function<void()> done) {
  asio::post(context_, [this, sequence, selectors = std::move(selectors), done = std::move(done)] {
    append_to_journal(selectors);
    owed_up_to_ = std::max(owed_up_to_, sequence);
    done();
    wake_->notify();
  });
}

// Appending and clearing both happen on the context's one thread, so a purge is never cleared before it was delivered:
// it is pending in the log before it is appended, and the file is cleared only while nothing is pending.
void PurgeBus::append_to_journal(const std::vector<policy::Selector>& selectors) {
  if (!journal_) return;
  std::uint64_t record = 0;
  if (const auto error = journal_->append(selectors, record)) {
    errors_.report(
        fmt::format("a purge that Redis has not got could not be written to the journal: {}; it holds as "
                    "long as this process runs",
                    error.message()));
  }
}

void PurgeBus::clear_journal_if_delivered() {
  if (!journal_ || journal_->size() == 0 || log_.pending_count() > 0) return;
  if (const auto error = journal_->clear()) {
    errors_.report(fmt::format("the purge journal could not be cleared: {}", error.message()));
  }
}

void PurgeBus::absorb(std::unique_ptr<store::Journal> left_behind) {
  asio::post(context_, [this, shared = std::shared_ptr<store::Journal>(std::move(left_behind))] {
    for (const auto& selectors : shared->recovered()) {
      owed_up_to_ = std::max(owed_up_to_, log_.apply_local(selectors, true));
      append_to_journal(selectors);
    }
    if (const auto error = shared->clear()) {
      errors_.report(fmt::format("the purge journal of another process could not be cleared: {}", error.message()));
    }
    wake_->notify();
  });
}

void PurgeBus::settle() {
  asio::post(context_, [this] {
    owed_up_to_ = log_.sequence();
    wake_->notify();
  });
}

void PurgeBus::request_attach() {
  attach_requested_ = true;
  wake_->notify();
}

// The narrowest key pattern that covers the selectors; tags and paths say nothing of keys.
std::string PurgeBus::sweep_pattern(std::span<const policy::Selector> selectors) const {
  if (follower_.sweep_pattern) return follower_.sweep_pattern(selectors);
  std::string pattern;
  for (const auto& selector : selectors) {
    std::string one = "cache:*";
    if (selector.kind == policy::SelectorKind::type) one = "cache:" + selector.value + ":*";
    if (selector.kind == policy::SelectorKind::glob) one = selector.value;
    if (selector.kind == policy::SelectorKind::key) one = selector.value + "*";
    pattern = pattern.empty() || pattern == one ? one : "cache:*";
  }
  return pattern;
}

void PurgeBus::request_sweep(std::span<const policy::Selector> selectors) {
  auto pattern = sweep_pattern(selectors);
  if (pattern.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::find(sweeps_.begin(), sweeps_.end(), pattern) != sweeps_.end()) return;
    if (sweeps_.size() >= max_waiting_sweeps)
      sweeps_.assign(1, sweep_pattern(std::vector{policy::Selector{}}));
    else
      sweeps_.push_back(std::move(pattern));
  }
  wake_->notify();
}

PurgeBusState PurgeBus::state() const {
  return {.attached = is_attached(),
          .trust = trust(),
          .alone = alone_.load(),
          .pending = log_.pending_count(),
          .journalled = journal_ ? journal_->size() : 0,
          .attaches = attaches_.load(),
          .epochs = epochs_.load(),
          .heard = heard_.load(),
          .swept = swept_.load()};
}

void PurgeBus::detach(std::string_view why) {
  if (!attached_.exchange(false)) return;
  if (parameters_.coherence == Coherence::strict) {
    trust_ = Trust::none;
  } else {
    // With no other node there is nobody whose purges could be missed.
    trust_ = alone_ ? Trust::whole : Trust::none;
  }
  errors_.report(fmt::format("the push channel is down ({}); memory is trusted: {}", why, to_string(trust())));
}

void PurgeBus::on_push(std::string_view payload) {
  auto push = parse_push(payload);
  if (!push) {
    errors_.report("a message on the purge channel is not ours; attaching anew");
    request_attach();
    return;
  }
  if (holding_) {
    held_.push_back(std::move(*push));
    return;
  }
  apply(*push);
}

void PurgeBus::apply(const PushMessage& push) {
  if (push.kind == PushMessage::Kind::hello) {
    if (push.node != node_) {
      alone_ = false;
      ++others_heard_;
    }
    return;
  }
  if (push.epoch != log_.epoch()) {
    // The log was lost and begun anew. Until we have attached, others' purges may be unknown to us.
    detach("another epoch began");
    request_attach();
    return;
  }
  if (push.kind == PushMessage::Kind::purge) {
    apply_fleet(push.clock, push.selectors);
    const bool is_ours = push.node == node_;
    if (!is_ours) heard_.fetch_add(1, std::memory_order_relaxed);
    if (push.made) {
      (is_ours ? own_propagation_ : others_propagation_).add(std::chrono::system_clock::now() - *push.made);
    }
  }
}

void PurgeBus::apply_fleet(std::uint64_t clock, std::span<const policy::Selector> selectors) {
  log_.apply_fleet(clock, selectors);
  if (follower_.heard) follower_.heard(clock, selectors);
}

PurgeBus::Awaitable<void> PurgeBus::maintain() {
  while (!stopped_) {
    if (push_.is_ready() && commands_.is_ready()) {
      if (attach_requested_ || !attached_) {
        attach_requested_ = false;
        const bool done = co_await attach();
        if (!done && !stopped_) {
          attach_requested_ = true;
          co_await pause(retry_pause);
          continue;
        }
      }
      if (log_.pending_count() > 0) co_await deliver(owed_up_to_);
      clear_journal_if_delivered();
      std::string pattern;
      {
        const std::lock_guard lock(mutex_);
        if (!sweeps_.empty()) {
          pattern = std::move(sweeps_.front());
          sweeps_.pop_front();
        }
      }
      if (!pattern.empty()) {
        co_await sweep(std::move(pattern));
        continue;
      }
    }
    if (stopped_) break;
    co_await wake_->wait();
  }
}

PurgeBus::Awaitable<bool> PurgeBus::attach() {
  const std::vector<std::string_view> info_arguments{"INFO", "server"};
  const auto info = co_await commands_.command(info_arguments, operation_deadline);
  if (!info) co_return false;
  // Without INFO (forbidden by an ACL) a restart of Redis cannot be told from a broken connection.
  const auto run_id = info->is_error() ? std::string{} : run_id_of(info->text);
  if (info->is_error()) {
    errors_.report(
        fmt::format("INFO is refused ({}): a restart of Redis that loses purges will not be noticed", info->text));
  }
  holding_ = true;
  if (!subscribed_) {
    const std::vector<std::string_view> subscribe{"SUBSCRIBE", parameters_.namespace_key};
    const auto subscribed = co_await push_.command(subscribe, operation_deadline);
    if (!subscribed || subscribed->is_error()) {
      holding_ = false;
      held_.clear();
      errors_.report(fmt::format("cannot subscribe to the purge channel: {}",
                                 subscribed ? subscribed->text : subscribed.error().message()));
      co_return false;
    }
    subscribed_ = true;
  }
  const auto known_epoch = log_.epoch();
  const auto known_clock = log_.clock();
  const auto known_epoch_text = std::to_string(known_epoch);
  const auto known_clock_text = std::to_string(known_clock);
  const auto new_epoch = std::to_string(random_number());
  const std::vector<std::string_view> arguments{
      "EVAL",           attach_script(),  "1",  parameters_.namespace_key, parameters_.namespace_key, run_id, new_epoch,
      known_epoch_text, known_clock_text, node_};
  const auto reply = co_await commands_.command(arguments, operation_deadline);
  auto held = std::exchange(held_, {});
  holding_ = false;
  const auto attached = reply ? parse_attach(*reply) : std::nullopt;
  if (!attached || !subscribed_) {
    errors_.report(
        fmt::format("cannot attach to the purge log in Redis: {}",
                    reply ? (reply->is_error() ? reply->text : "unexpected reply") : reply.error().message()));
    co_return false;
  }
  if (attached->epoch != known_epoch) {
    epochs_.fetch_add(1, std::memory_order_relaxed);
    spdlog::info("purge log: epoch {} at clock {}; what was stored under another epoch is dead", attached->epoch,
                 attached->clock);
  }
  // Where our history does not reach the log's, it begins at the floor and all that the log still has is applied on
  // top, so that entries in Redis stay usable. Until that is done nothing may be read from there.
  auto known = known_clock;
  if (attached->epoch != known_epoch || known_clock < attached->floor) {
    attached_ = false;
    log_.enter_epoch(attached->epoch, attached->floor, attached->floor);
    known = attached->floor;
    if (follower_.lost) follower_.lost(alone_ && std::to_string(attached->epoch) == new_epoch);
  }
  for (const auto& [clock, selectors] : attached->purges) apply_fleet(clock, selectors);
  if (follower_.lost && log_.clock() < attached->clock) follower_.lost(false);
  log_.enter_epoch(attached->epoch, attached->clock, attached->floor, known);
  {
    const std::lock_guard lock(mutex_);
    run_id_ = run_id;
  }
  for (const auto& push : held) {
    // One of another epoch is either older than the script or tells of a log begun anew after it: ask again.
    if (push.kind != PushMessage::Kind::hello && push.epoch != attached->epoch) {
      attach_requested_ = true;
    } else {
      apply(push);
    }
  }
  // The log was begun anew by us: what other epochs have left in Redis is dead.
  if (std::to_string(attached->epoch) == new_epoch) request_sweep(std::vector{policy::Selector{}});
  if (!subscribed_ || attach_requested_) co_return false;
  attaches_.fetch_add(1, std::memory_order_relaxed);
  attached_ = true;
  if (trust_.exchange(Trust::whole) != Trust::whole) spdlog::info("the push channel is up; memory is trusted: whole");
  co_return true;
}

PurgeBus::Awaitable<void> PurgeBus::deliver(std::uint64_t up_to) {
  auto pending = log_.pending();
  std::erase_if(pending, [up_to](const auto& purge) { return purge.sequence > up_to; });
  for (const auto& purge : pending) {
    std::string run_id;
    {
      const std::lock_guard lock(mutex_);
      run_id = run_id_;
    }
    const auto payload = encode_payload(purge.selectors);
    const auto new_epoch = std::to_string(random_number());
    const auto mark = encode_mark({.node = node_, .made = {}});
    std::vector<std::string> own_arguments;
    if (follower_.delivery) own_arguments = follower_.delivery(purge, run_id, new_epoch);
    const auto arguments = follower_.delivery
                               ? std::vector<std::string_view>(own_arguments.begin(), own_arguments.end())
                               : purge_command(parameters_.namespace_key, run_id, new_epoch, payload, mark);
    const auto reply = co_await commands_.command(arguments, operation_deadline);
    const auto done = reply ? parse_delivery(*reply) : std::nullopt;
    if (!done) {
      errors_.report(fmt::format("{} purges still wait for Redis: {}", log_.pending_count(),
                                 reply ? reply->text : reply.error().message()));
      co_await pause(retry_pause);
      wake_->notify();
      co_return;
    }
    if (!log_.delivered(purge.sequence, done->second, done->first)) {
      // The log was begun anew between attach and now; attaching learns its state, and the purge stays pending until
      // it is known to stand in the epoch we are in.
      request_attach();
      co_return;
    }
    if (follower_.delivered) follower_.delivered(purge, *reply);
    request_sweep(purge.selectors);
  }
  if (!pending.empty()) spdlog::info("{} waiting purges were delivered to Redis", pending.size());
}

PurgeBus::Awaitable<void> PurgeBus::look_for_others() {
  const std::vector<std::string_view> arguments{"PUBSUB", "NUMSUB", parameters_.namespace_key};
  const auto subscribers = co_await commands_.command(arguments, operation_deadline);
  if (!subscribers || subscribers->elements.size() != 2) co_return;
  const auto& n = subscribers->elements[1];
  const bool is_one = n.kind == redis::Reply::Kind::integer && n.integer <= 1;
  // Who counts more than one has heard of another, too.
  if (n.kind == redis::Reply::Kind::integer && !is_one) ++others_heard_;
  // Once there was another node, none being subscribed may mean that it is cut off, and will be back with its purges.
  alone_ = is_one && others_heard_ == 0;
}

// Says whether the channel is alive, and whether anyone else is there. A paused Redis breaks no connection: only an
// unanswered PING shows it.
PurgeBus::Awaitable<void> PurgeBus::heartbeat() {
  std::uint64_t seen_by_last_beat = 0;
  while (!stopped_) {
    co_await pause(parameters_.push_heartbeat);
    if (stopped_ || !attached_) continue;
    const std::vector<std::string_view> ping{"PING"};
    const auto pong = co_await push_.command(ping, parameters_.push_heartbeat);
    if (stopped_) break;
    if (!pong) {
      detach(pong.error().message());
      push_.reconnect();
      continue;
    }
    co_await look_for_others();
    // Whatever still waits after a whole beat has nobody else to deliver it.
    owed_up_to_ = std::max(owed_up_to_, std::exchange(seen_by_last_beat, log_.sequence()));
    if (log_.pending_count() > 0 || (journal_ && journal_->size() > 0)) wake_->notify();
  }
}

PurgeBus::Awaitable<void> PurgeBus::sweep(std::string pattern) {
  std::string cursor = "0";
  do {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<std::string_view> scan{"SCAN", cursor, "MATCH", pattern, "COUNT", sweep_step};
    auto page = co_await commands_.command(scan, operation_deadline);
    if (!page || page->elements.size() != 2 || !attached_) co_return;
    cursor = std::move(page->elements[0].text);
    std::vector<std::string> keys;
    for (auto& key : page->elements[1].elements) keys.push_back(std::move(key.text));
    for (const auto front_size : front_sizes) {
      if (!co_await sweep_keys(keys, front_size)) co_return;
    }
    const auto took = std::chrono::steady_clock::now() - begin;
    co_await pause(std::min(std::chrono::ceil<std::chrono::milliseconds>(sweep_rest * took), longest_sweep_pause));
  } while (cursor != "0" && !stopped_);
}

// Removes those that are dead, and leaves in `keys` those whose front is longer than `front_size` bytes. False where
// Redis failed.
PurgeBus::Awaitable<bool> PurgeBus::sweep_keys(std::vector<std::string>& keys, std::size_t front_size) {
  if (keys.empty()) co_return true;
  const auto last = std::to_string(front_size - 1);
  std::vector<std::vector<std::string_view>> commands;
  for (const auto& key : keys) commands.push_back({"GETRANGE", key, "0", last});
  const auto fronts = co_await commands_.pipeline(commands, operation_deadline);
  if (!fronts) co_return false;
  std::vector<std::string_view> dead;
  std::vector<std::string_view> headers;
  std::vector<std::string> unread;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string_view front = (*fronts)[i].text;
    if (follower_.dead_beginning) {
      const auto beginning = follower_.dead_beginning(keys[i], front);
      if (beginning.empty()) continue;
      dead.emplace_back(keys[i]);
      headers.push_back(beginning);
      continue;
    }
    const auto summary = store::summarise(front);
    if (const auto* entry = std::get_if<store::RecordSummary>(&summary)) {
      if (log_.alive_remote(entry->subject(), entry->stamp) == store::Liveness::alive) continue;
      dead.emplace_back(keys[i]);
      headers.push_back(front.substr(0, store::record_header_size));
    } else if (std::get<store::DecodeError>(summary) == store::DecodeError::truncated && front.size() == front_size) {
      unread.push_back(keys[i]);
    }  // else a vary marker or a foreign value
  }
  if (!dead.empty()) {
    const auto count = std::to_string(dead.size());
    std::vector<std::string_view> remove{"EVAL", remove_script(), count};
    remove.insert(remove.end(), dead.begin(), dead.end());
    remove.insert(remove.end(), headers.begin(), headers.end());
    const auto removed = co_await commands_.command(remove, operation_deadline);
    if (removed && removed->kind == redis::Reply::Kind::integer) {
      swept_.fetch_add(static_cast<std::uint64_t>(removed->integer), std::memory_order_relaxed);
    }
  }
  keys = std::move(unread);
  co_return true;
}

}  // namespace larder::proxy
