#include "larder/proxy/remote_store.hpp"

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <iterator>
#include <span>

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

// Seconds an entry stays in Redis: as long as it can be of use to anyone.
std::int64_t time_to_live(const store::StoredResponse& stored) {
  return stored.lifetime().retention(stored.has_validator()).count();
}
}  // namespace

// One question to Redis, and all who wait for its answer. What it finds is what the keys hold, judged by the purge log
// as it is when the answer is here; which of it is for whom, each who waits decides by itself.
// It holds the coroutines that wait, so none of them may hold it: who asked Redis does, until the answer is delivered.
class RemoteStore::Fetch : public std::enable_shared_from_this<Fetch> {
 public:
  /// `sequence`: the purge log's when it is asked.
  Fetch(std::vector<std::string> keys, std::uint64_t sequence, SteadyTime until)
      : name_(name_of(keys)), keys_(std::move(keys)), sequence_(sequence), until_(until) {}

  /// Others for others: a single key is its own name, and begins with a letter.
  static std::string name_of(std::span<const std::string> keys) {
    if (keys.size() == 1) return keys.front();
    std::string name;
    for (const auto& key : keys) fmt::format_to(std::back_inserter(name), "{}:{}", key.size(), key);
    return name;
  }
  /// True for who asks at `sequence` and waits until `until`: nothing was purged since this was asked, and it is
  /// answered in time.
  [[nodiscard]] bool serves(std::uint64_t sequence, SteadyTime until) const noexcept {
    return sequence == sequence_ && until_ <= until;
  }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }
  [[nodiscard]] SteadyTime asked_at() const noexcept { return asked_at_; }
  /// One for each key; none where Redis has not answered.
  [[nodiscard]] std::vector<Found>& found() noexcept { return found_; }

  auto wait() {
    return asio::async_initiate<const Token, void()>(
        [this](auto&& handler) { waiting_.push_back(std::forward<decltype(handler)>(handler)); }, token_);
  }
  /// Resumes all who wait, one after the other.
  void deliver() {
    // One who lets an exception out must not take the others with it.
    struct Rest {
      Fetch& self;
      std::vector<Handler>& waiting;
      std::size_t next = 0;
      ~Rest() {
        for (; next < waiting.size(); ++next) {
          const auto executor = asio::get_associated_executor(waiting[next]);
          asio::post(executor, [fetch = self.shared_from_this(), handler = std::move(waiting[next])]() mutable {
            std::move(handler)();
          });
        }
      }
    } rest{*this, waiting_};
    while (rest.next < waiting_.size()) asio::dispatch(std::move(waiting_[rest.next++]));
  }

 private:
  using Token = asio::use_awaitable_t<net::Executor>;
  using Handler = asio::async_result<Token, void()>::handler_type;
  static constexpr Token token_{};

  const std::string name_;
  const std::vector<std::string> keys_;
  const std::uint64_t sequence_;
  const SteadyTime until_;
  const SteadyTime asked_at_ = std::chrono::steady_clock::now();
  std::vector<Found> found_;
  std::vector<Handler> waiting_;
};

RemoteStore::RemoteStore(asio::io_context& context, asio::io_context& encoding, const RedisParameters& parameters,
                         store::PurgeLog& log, PurgeBus& bus, WorkerCounters& counters, ErrorLog& errors,
                         std::atomic<std::size_t>& write_bytes)
    : context_(context),
      encoding_(encoding),
      parameters_(parameters),
      log_(log),
      bus_(bus),
      counters_(counters),
      errors_(errors),
      write_bytes_(write_bytes),
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

// Asks for `keys`, or joins who is asking for the same.
RemoteStore::Fetch& RemoteStore::fetch(std::vector<std::string> keys, SteadyTime until) {
  const auto sequence = log_.sequence();
  auto fetch = std::make_shared<Fetch>(std::move(keys), sequence, until);
  if (const auto known = fetches_.find(fetch->name()); known != fetches_.end()) {
    if (known->second->serves(sequence, until)) return *known->second;
    fetches_.erase(known);
  }
  std::vector<std::string_view> arguments{fetch->keys().size() == 1 ? "GET" : "MGET"};
  arguments.insert(arguments.end(), fetch->keys().begin(), fetch->keys().end());
  connection_.send(std::move(arguments), left(until),
                   [this, fetch](const boost::system::result<redis::Reply>& reply) { complete(*fetch, reply); });
  fetches_.emplace(fetch->name(), fetch.get());
  return *fetch;
}

void RemoteStore::complete(Fetch& fetch, const boost::system::result<redis::Reply>& reply) {
  // From here on nobody joins it. Another may have taken its place.
  const auto place = fetches_.find(fetch.name());
  if (place != fetches_.end() && place->second == &fetch) fetches_.erase(place);
  if (reply) counters_.latency(RedisOperation::get).add(std::chrono::steady_clock::now() - fetch.asked_at());
  const auto& keys = fetch.keys();
  if (!reply || reply->is_error()) {
    failed(keys.size() == 1 ? "GET" : "MGET", reply ? reply->text : reply.error().message());
  } else if (keys.size() == 1) {
    fetch.found().push_back(judge(keys.front(), *reply));
  } else {
    const auto count = std::min(keys.size(), reply->elements.size());
    for (std::size_t i = 0; i < count; ++i) fetch.found().push_back(judge(keys[i], reply->elements[i]));
  }
  fetch.deliver();
}

// Judges what a key holds by itself, whoever asks for it. What is dead or does not decode is removed.
RemoteStore::Found RemoteStore::judge(std::string_view key, const redis::Reply& reply) {
  if (reply.kind != redis::Reply::Kind::string) return policy::NotReused::absent;
  // Loaded before the entry is judged: what is applied from now on is tested again when it is next used.
  const auto sequence = log_.sequence();
  auto decoded = store::decode(reply.text, parameters_.codec, sequence);
  if (const auto* error = std::get_if<store::DecodeError>(&decoded)) {
    counters_.undecodable.add();
    failed("entry", fmt::format("{} does not decode ({}); removed", key, store::to_string(*error)));
    remove(key);
    return policy::NotReused::undecodable;
  }
  if (auto* marker = std::get_if<store::VaryMarker>(&decoded)) return std::move(*marker);
  auto& stored = std::get<store::StoredPtr>(decoded);
  const auto liveness = log_.alive_remote(stored->subject(), stored->stamp());
  if (liveness != store::Liveness::alive) {
    remove(key);
    return liveness == store::Liveness::epoch ? policy::NotReused::epoch : policy::NotReused::purged;
  }
  // The push channel may have broken while Redis answered; then a purge may be missing from our log.
  if (!is_readable()) return policy::NotReused::epoch;
  return std::move(stored);
}

// What of it is for this request. A marker is returned; a response that matches goes to `lookup` where it matches
// better than what is there, and else the reason why it does not.
const store::VaryMarker* RemoteStore::choose(const Found& found, std::string_view canonical,
                                             http::FieldSpan request_fields, store::Lookup& lookup,
                                             unsigned& best_rank) const {
  const auto refuse = [&](policy::NotReused reason) {
    if (!lookup.stored) lookup.reason = reason;
    return nullptr;
  };
  if (const auto* reason = std::get_if<policy::NotReused>(&found)) {
    return *reason == policy::NotReused::absent ? nullptr : refuse(*reason);
  }
  if (const auto* marker = std::get_if<store::VaryMarker>(&found)) {
    if (marker->canonical != canonical) return refuse(policy::NotReused::canonical_differs);
    return marker;
  }
  const auto& stored = std::get<store::StoredPtr>(found);
  if (stored->canonical() != canonical) return refuse(policy::NotReused::canonical_differs);
  const auto match = stored->match(request_fields);
  if (!match.matches) return refuse(policy::NotReused::vary_miss);
  // Others may have been resumed before us since it was judged.
  if (log_.alive_since(stored->subject(), stored->stamp().sequence) != store::Liveness::alive) {
    return refuse(policy::NotReused::purged);
  }
  // Of equally good ones the most recent (RFC 9111 §4.1).
  if (match.rank < best_rank) return nullptr;
  if (match.rank == best_rank && lookup.stored &&
      stored->lifetime().generation_time() <= lookup.stored->lifetime().generation_time()) {
    return nullptr;
  }
  best_rank = match.rank;
  lookup.stored = stored;
  lookup.needs_decoding = match.needs_decoding;
  lookup.reason = policy::NotReused::none;
  return nullptr;
}

net::Awaitable<store::Lookup> RemoteStore::find(std::string_view key, std::string_view canonical,
                                                http::FieldSpan request_fields, SteadyTime until) {
  store::Lookup lookup;
  unsigned best_rank = 0;
  auto& base = fetch({std::string(key)}, until);
  co_await base.wait();
  const store::VaryMarker* marker = nullptr;
  for (const auto& found : base.found()) marker = choose(found, canonical, request_fields, lookup, best_rank);
  if (marker == nullptr) co_return lookup;

  // The resource varies: the marker names the selecting header fields, and what may match is asked for at once.
  lookup.vary_names = marker->names;
  lookup.reason = policy::NotReused::vary_miss;
  std::vector<std::string> keys;
  for (const auto& name : policy::variant_candidates(lookup.vary_names, request_fields)) {
    keys.push_back(policy::variant_key(key, name));
  }
  auto& variants = fetch(std::move(keys), until);
  co_await variants.wait();
  for (const auto& found : variants.found()) {
    if (choose(found, canonical, request_fields, lookup, best_rank) != nullptr) {
      lookup.reason = policy::NotReused::canonical_differs;  // a marker has no place here
    }
  }
  co_return lookup;
}

// What one response takes until the last try of its last write is over. The texts that are written are parts of it.
struct RemoteStore::Writing {
  Writing(std::atomic<std::size_t>& total_bytes, std::size_t charged) : total(total_bytes), bytes(charged) {}
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  ~Writing() { total.fetch_sub(bytes, std::memory_order_relaxed); }
  /// Once its texts are known. Each command is copied into the queue.
  void charge() {
    const auto of_record = record.capacity() + (other_key.empty() ? 1U : 2U) * record.size();
    const auto now =
        sizeof(Writing) + of_record + 2 * (key.size() + other_key.size() + marker_key.size() + marker.size());
    total.fetch_add(now, std::memory_order_relaxed);
    total.fetch_sub(std::exchange(bytes, now), std::memory_order_relaxed);
  }

  std::atomic<std::size_t>& total;
  std::size_t bytes;
  std::string key;
  std::string record;
  std::string other_key;   ///< empty where the response has one name
  std::string marker_key;  ///< empty where it does not vary
  std::string marker;
};

void RemoteStore::insert(store::StoredPtr stored) {
  if (stopped_ || !connection_.is_ready()) return;
  const auto ttl = time_to_live(*stored);
  if (ttl <= 0) return;
  // What is encoded is compressed, or as large as it was.
  const auto bytes = sizeof(Writing) + 2 * stored->memory_size();
  if (write_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > parameters_.write_budget) {
    write_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    counters_.redis_unwritten.add();
    failed("SET", "as much waits to be written as may (redis.write_budget); not written");
    return;
  }
  owed_.fetch_add(1, std::memory_order_relaxed);
  auto writing = std::make_shared<Writing>(write_bytes_, bytes);
  asio::post(encoding_, [this, stored = std::move(stored), ttl, writing = std::move(writing)]() mutable {
    writing->key = stored->key();
    writing->record = store::encode(*stored, parameters_.codec);
    if (!stored->selecting().empty()) {
      writing->marker_key = stored->base_key();
      writing->marker = store::encode(store::VaryMarker{.canonical = std::string(stored->canonical()),
                                                        .names = policy::selecting_names(stored->selecting()),
                                                        .stamp = stored->stamp()});
      const auto names = policy::variant_names(stored->selecting(), stored->fields());
      if (names.size() > 1) writing->other_key = policy::variant_key(stored->base_key(), names[1]);
    }
    stored.reset();
    writing->charge();
    asio::post(context_, [this, ttl, writing = std::move(writing)] {
      if (stopped_) return;
      const auto part = [&](const std::string& text) { return std::shared_ptr<const std::string>(writing, &text); };
      const auto& w = *writing;
      // Counted one by one from here on; that of the response itself already is.
      owed_.fetch_add((w.marker_key.empty() ? 0U : 1U) + (w.other_key.empty() ? 0U : 1U), std::memory_order_relaxed);
      const auto write_one = [&](const std::string& key, const std::string& record) {
        if (!key.empty()) write(part(key), part(record), ttl, parameters_.tries, parameters_.retry_first);
      };
      write_one(w.marker_key, w.marker);
      write_one(w.other_key, w.record);
      write_one(w.key, w.record);
    });
  });
}

void RemoteStore::write(std::shared_ptr<const std::string> key, std::shared_ptr<const std::string> record,
                        std::int64_t ttl_seconds, unsigned tries_left, std::chrono::milliseconds pause) {
  const auto ttl = std::to_string(ttl_seconds);
  const auto sent = std::chrono::steady_clock::now();
  connection_.send(
      {"SET", *key, *record, "EX", ttl}, background_deadline,
      [this, key, record, ttl_seconds, tries_left, pause, sent](const boost::system::result<redis::Reply>& reply) {
        if (stopped_) return;
        if (reply) counters_.latency(RedisOperation::set).add(std::chrono::steady_clock::now() - sent);
        const bool is_written = reply && !reply->is_error();
        if (!is_written) failed("SET", reply ? reply->text : reply.error().message());
        // A refusal (OOM, READONLY) will be one again; a broken connection may be back soon.
        if (reply || tries_left <= 1) {
          owed_.fetch_sub(1, std::memory_order_relaxed);
          return;
        }
        auto timer = std::make_shared<asio::steady_timer>(context_, pause);
        timer->async_wait([this, timer, key, record, ttl_seconds, tries_left, pause](auto error) {
          if (!error && !stopped_) write(key, record, ttl_seconds, tries_left - 1, pause * 2);
        });
      });
}

net::Awaitable<bool> RemoteStore::publish(std::uint64_t sequence, std::vector<policy::Selector> selectors) {
  const auto made = std::chrono::system_clock::now();
  const auto payload = encode_payload(selectors);
  const auto new_epoch = std::to_string(random_number());
  std::string why = "not connected";
  if (run_known_ && connection_.is_ready()) {
    const auto run_id = run_id_;
    const auto mark = encode_mark({.node = bus_.node(), .made = made});
    const auto arguments = purge_command(parameters_.namespace_key, run_id, new_epoch, payload, mark);
    const auto sent = std::chrono::steady_clock::now();
    const auto reply = co_await connection_.command(arguments, parameters_.deadline);
    if (reply) counters_.latency(RedisOperation::purge).add(std::chrono::steady_clock::now() - sent);
    if (const auto done = reply ? parse_purge(*reply) : std::nullopt) {
      if (log_.delivered(sequence, done->second, done->first)) {
        bus_.request_sweep(selectors);
        co_return true;
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
  co_return false;
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

void RemoteStore::remove(const store::StoredResponse& stored) {
  if (stored.selecting().empty()) {
    remove(stored.key());
    return;
  }
  for (const auto& name : policy::variant_names(stored.selecting(), stored.fields())) {
    remove(policy::variant_key(stored.base_key(), name));
  }
}

void RemoteStore::remove(std::string_view key) {
  if (!connection_.is_ready()) return;
  connection_.send({"UNLINK", key}, background_deadline, {});
}

}  // namespace larder::proxy
