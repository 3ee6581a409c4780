#include "larder/proxy/remote_store.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "larder/policy/cache_key.hpp"
#include "larder/policy/vary.hpp"

namespace larder::proxy {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds background_deadline{2000};

std::chrono::milliseconds left(SteadyTime until) {
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return std::max(rest, std::chrono::milliseconds{1});
}

// Seconds an entry stays in Redis: while it is fresh or may be served stale. What can never be served without asking
// the origin first (no-cache, max-age=0) stays as long as validation is worth while.
std::int64_t time_to_live(const store::StoredResponse& stored) {
  const auto& lifetime = stored.parts().lifetime;
  const auto stale = std::max(lifetime.stale_while_revalidate, lifetime.stale_if_error);
  const auto usable = lifetime.freshness_lifetime - lifetime.corrected_initial_age + stale;
  if (usable.count() > 0 && !lifetime.no_cache) return usable.count();
  return stored.has_validator() ? lifetime.retention(true).count() : 0;
}
}  // namespace

RemoteStore::RemoteStore(asio::io_context& context, asio::io_context& encoding, const RedisParameters& parameters,
                         store::PurgeLog& log, PurgeBus& bus, WorkerCounters& counters, ErrorLog& errors,
                         std::atomic<std::size_t>& encoding_bytes)
    : context_(context),
      encoding_(encoding),
      parameters_(parameters),
      log_(log),
      bus_(bus),
      counters_(counters),
      errors_(errors),
      encoding_bytes_(encoding_bytes),
      connection_(context, parameters.connection, [this](redis::Event event, std::string_view detail) {
        run_known_ = false;
        usable_ = false;
        if (event == redis::Event::connected) {
          asio::co_spawn(context_.get_executor(), verify(), asio::detached);
        } else if (event == redis::Event::disconnected) {
          failed("connection", detail);
        }
      }) {}

RemoteStore::~RemoteStore() = default;

void RemoteStore::stop() {
  stopped_ = true;
  connection_.stop();
}

void RemoteStore::failed(std::string_view what, std::string_view why) {
  if (stopped_) return;
  counters_.redis_errors.add();
  errors_.report(fmt::format("Redis {}: {}", what, why));
}

// Which run of Redis does this connection speak to? A restarted one may hold entries without the purges that killed
// them, so nothing is read until the purge bus follows the same run.
net::Awaitable<void> RemoteStore::verify() {
  const std::vector<std::string_view> arguments{"INFO", "server"};
  const auto info = co_await connection_.command(arguments, background_deadline);
  if (!info) {
    if (connection_.is_ready()) connection_.reconnect();
    co_return;
  }
  run_id_ = info->is_error() ? std::string{} : run_id_of(info->text);
  run_known_ = true;
  usable_ = true;
}

bool RemoteStore::is_readable() const { return run_known_ && connection_.is_ready() && bus_.is_attached_to(run_id_); }

net::Awaitable<boost::system::result<redis::Reply>> RemoteStore::get(std::string_view key, SteadyTime until) {
  const std::vector<std::string_view> arguments{"GET", key};
  auto reply = co_await connection_.command(arguments, left(until));
  if (!reply) {
    failed("GET", reply.error().message());
  } else if (reply->is_error()) {
    failed("GET", reply->text);
  }
  co_return reply;
}

net::Awaitable<store::Lookup> RemoteStore::find(std::string key, std::string canonical, http::FieldSpan request_fields,
                                                SteadyTime until) {
  store::Lookup lookup;
  const auto base_key = key;
  // Two steps at the most: the base key may hold a marker that names the selecting header fields.
  for (int step = 0; step < 2; ++step) {
    const auto reply = co_await get(key, until);
    if (!reply || reply->kind != redis::Reply::Kind::string) {
      if (step == 1) lookup.reason = policy::NotReused::vary_miss;
      co_return lookup;
    }
    // Loaded before the entry is judged: what is applied from now on is tested again when it is next used.
    const auto sequence = log_.sequence();
    auto decoded = store::decode(reply->text, parameters_.codec, sequence);
    if (const auto* error = std::get_if<store::DecodeError>(&decoded)) {
      counters_.undecodable.add();
      failed("entry", fmt::format("{} does not decode ({}); removed", key, store::to_string(*error)));
      remove(key);
      lookup.reason = policy::NotReused::undecodable;
      co_return lookup;
    }
    if (const auto* marker = std::get_if<store::VaryMarker>(&decoded)) {
      if (step == 1 || marker->canonical != canonical) {
        lookup.reason = policy::NotReused::canonical_differs;
        co_return lookup;
      }
      key = policy::variant_key(base_key, policy::selecting_fields(marker->names, request_fields));
      continue;
    }
    auto& stored = std::get<store::StoredPtr>(decoded);
    const auto& parts = stored->parts();
    if (parts.canonical != canonical) {
      lookup.reason = policy::NotReused::canonical_differs;
      co_return lookup;
    }
    if (!policy::selecting_fields_match(parts.selecting, request_fields)) {
      lookup.reason = policy::NotReused::vary_miss;
      co_return lookup;
    }
    const auto liveness = log_.alive_remote(stored->subject(), parts.stamp);
    if (liveness != store::Liveness::alive) {
      lookup.reason = liveness == store::Liveness::epoch ? policy::NotReused::epoch : policy::NotReused::purged;
      remove(key);
      co_return lookup;
    }
    // The push channel may have broken while Redis answered; then a purge may be missing from our log.
    if (!is_readable()) {
      lookup.reason = policy::NotReused::epoch;
      co_return lookup;
    }
    lookup.stored = std::move(stored);
    lookup.reason = policy::NotReused::none;
    co_return lookup;
  }
  co_return lookup;
}

void RemoteStore::insert(store::StoredPtr stored) {
  if (stopped_ || !connection_.is_ready()) return;
  const auto ttl = time_to_live(*stored);
  if (ttl <= 0) return;
  const auto size = stored->memory_size();
  if (encoding_bytes_.load(std::memory_order_relaxed) + size > max_encoding_bytes) {
    failed("SET", "too much waits to be written already; this response is kept in memory only");
    return;
  }
  encoding_bytes_.fetch_add(size, std::memory_order_relaxed);
  asio::post(encoding_, [this, stored = std::move(stored), ttl, size] {
    auto key = std::make_shared<std::string>(stored->parts().key);
    auto record = std::make_shared<std::string>(store::encode(*stored, parameters_.codec));
    std::shared_ptr<std::string> marker_key;
    std::shared_ptr<std::string> marker;
    if (!stored->parts().selecting.empty()) {
      marker_key = std::make_shared<std::string>(stored->base_key());
      marker = std::make_shared<std::string>(
          store::encode(store::VaryMarker{.canonical = stored->parts().canonical,
                                          .names = policy::selecting_names(stored->parts().selecting),
                                          .stamp = stored->parts().stamp}));
    }
    asio::post(context_, [this, key, record, marker_key, marker, ttl, size] {
      encoding_bytes_.fetch_sub(size, std::memory_order_relaxed);
      if (stopped_) return;
      if (marker) write(marker_key, marker, ttl, parameters_.tries, parameters_.retry_first);
      write(key, record, ttl, parameters_.tries, parameters_.retry_first);
    });
  });
}

void RemoteStore::write(std::shared_ptr<std::string> key, std::shared_ptr<std::string> record, std::int64_t ttl_seconds,
                        unsigned tries_left, std::chrono::milliseconds pause) {
  const auto ttl = std::to_string(ttl_seconds);
  connection_.send(
      {"SET", *key, *record, "EX", ttl}, background_deadline,
      [this, key, record, ttl_seconds, tries_left, pause](const boost::system::result<redis::Reply>& reply) {
        if (stopped_) return;
        if (reply && !reply->is_error()) return;
        failed("SET", reply ? reply->text : reply.error().message());
        // A refusal (OOM, READONLY) will be one again; a broken connection may be back soon.
        if (reply || tries_left <= 1) return;
        auto timer = std::make_shared<asio::steady_timer>(context_, pause);
        timer->async_wait([this, timer, key, record, ttl_seconds, tries_left, pause](auto error) {
          if (!error && !stopped_) write(key, record, ttl_seconds, tries_left - 1, pause * 2);
        });
      });
}

net::Awaitable<void> RemoteStore::publish(std::uint64_t sequence, std::vector<policy::Selector> selectors) {
  const auto payload = encode_payload(selectors);
  const auto new_epoch = std::to_string(random_number());
  std::string why = "not connected";
  if (run_known_ && connection_.is_ready()) {
    const auto run_id = run_id_;
    const std::vector<std::string_view> arguments{
        "EVAL",    purge_script(), "1",    parameters_.namespace_key, parameters_.namespace_key, run_id,
        new_epoch, most_selectors, payload};
    const auto reply = co_await connection_.command(arguments, parameters_.deadline);
    if (const auto done = reply ? parse_purge(*reply) : std::nullopt) {
      if (log_.delivered(sequence, done->second, done->first)) {
        bus_.request_sweep(selectors);
        co_return;
      }
      // Recorded, but in an epoch that we are not in: it stays pending here until the bus has attached to that one.
      bus_.request_attach();
      why = "the purge log was begun anew (Redis was flushed or restarted)";
    } else {
      why = reply ? (reply->is_error() ? reply->text : "unexpected reply") : reply.error().message();
    }
  }
  failed("purge", why + "; kept in the journal until Redis takes it");
  auto written = std::make_shared<net::WaitPoint>(context_.get_executor());
  bus_.journal(sequence, std::move(selectors), [written] { written->notify(); });
  co_await written->wait();
}

net::Awaitable<bool> RemoteStore::confirm_clock(SteadyTime until) {
  if (!is_readable()) co_return false;
  const std::vector<std::string_view> arguments{"HMGET", parameters_.namespace_key, "epoch", "clock"};
  const auto reply = co_await connection_.command(arguments, left(until));
  if (!reply || reply->elements.size() != 2) {
    failed("clock", reply ? reply->text : reply.error().message());
    co_return false;
  }
  const auto epoch = parse_number(reply->elements[0].text);
  const auto clock = parse_number(reply->elements[1].text);
  co_return epoch&& clock&&* epoch == log_.epoch() && *clock <= log_.clock();
}

void RemoteStore::remove(std::string_view key) {
  if (!connection_.is_ready()) return;
  connection_.send({"UNLINK", key}, background_deadline, {});
}

}  // namespace larder::proxy
