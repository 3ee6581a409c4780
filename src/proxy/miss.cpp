// A miss: one request leads a fill, equal ones follow it, and what proves not storable is fetched by each alone.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "larder/http/conditional.hpp"
#include "larder/net/error.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/validation.hpp"
#include "larder/policy/vary.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace asio = boost::asio;

namespace {

// However a leader ends, also by an exception, its followers must not wait for ever and the table must forget it.
class Leadership {
 public:
  Leadership(store::FillTable& table, std::string join_key, std::shared_ptr<store::Fill> fill, bool listed)
      : table_(table), join_key_(std::move(join_key)), fill_(std::move(fill)), listed_(listed) {}
  Leadership(const Leadership&) = delete;
  Leadership& operator=(const Leadership&) = delete;
  ~Leadership() {
    if (!fill_) return;
    leave();
    fill_->fail(502);
  }
  /// No new follower from now on.
  void leave() {
    if (listed_) table_.leave(join_key_, fill_);
    listed_ = false;
  }
  void answer(const store::StoredPtr& stored, policy::CacheOutcome outcome) {
    leave();
    std::exchange(fill_, nullptr)->answer(stored, outcome);
  }
  void decline() {
    leave();
    std::exchange(fill_, nullptr)->decline();
  }
  void fail(int status) {
    leave();
    std::exchange(fill_, nullptr)->fail(status);
  }
  /// The pump ends the fill from here on.
  void hand_over() { fill_ = nullptr; }

 private:
  store::FillTable& table_;
  std::string join_key_;
  std::shared_ptr<store::Fill> fill_;
  bool listed_;
};

}  // namespace

Proxy::Awaitable<void> Proxy::miss(net::Exchange& exchange, TransactionPtr transaction) {
  counters_.count(transaction->reason);
  auto join_key = transaction->key.canonical;
  bool joined_variant = false;
  for (;;) {
    auto ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
    bool listed = true;
    if (ticket.role == store::FillRole::follow) {
      store::FillReader reader(ticket.fill);
      const auto followed = co_await follow(exchange, transaction, reader, false);
      if (followed == Followed::replied) co_return;
      if (followed == Followed::other_variant && !joined_variant) {
        // The fill's selecting header fields are now known: those who share mine share the next fill.
        const auto view = reader.view();
        const auto& encoding = view.stored ? view.stored->parts().selecting : view.head->selecting;
        join_key += '\0';
        join_key += policy::selecting_fields(policy::selecting_names(encoding), transaction->fields);
        joined_variant = true;
        continue;
      }
      ticket.role = store::FillRole::alone;
    }
    if (ticket.role == store::FillRole::alone) {
      listed = false;
      ticket.fill = shared_.fills.unlisted(shared_.log);
      if (!ticket.fill) {
        counters_.count(policy::NotStored::fill_budget);
        Labels labels;
        labels.outcome = policy::CacheOutcome::miss;
        labels.key = transaction->key.key;
        labels.forward = forward_reason(transaction->reason);
        labels.detail = policy::to_string(policy::NotStored::fill_budget);
        co_await relay(exchange, transaction->request, labels, &transaction->route());
        co_return;
      }
    }
    co_await lead(&exchange, transaction, std::move(join_key), std::move(ticket.fill), listed);
    co_return;
  }
}

// Asks Redis. True where what it found is in transaction->stale and may be served as it is.
Proxy::Awaitable<bool> Proxy::look_up_remote(TransactionPtr transaction) {
  auto& t = *transaction;
  if (remote_ == nullptr || !remote_->is_readable()) co_return false;
  const auto key = t.key.key;
  const auto canonical = t.key.canonical;
  auto found = co_await remote_->find(key, canonical, t.fields, t.redis_until);
  if (!found.stored) {
    if (!t.stale) t.reason = found.reason;
    co_return false;
  }
  // Another node may have stored a newer response than the one that memory holds.
  if (t.stale && t.stale->parts().lifetime.response_time >= found.stored->parts().lifetime.response_time) {
    co_return false;
  }
  (void)shared_.memory.insert(found.stored, found.stored->parts().stamp.sequence);
  const auto reuse = policy::decide_reuse(found.stored->parts().lifetime, t.client, wall_clock());
  t.stale = std::move(found.stored);
  t.reason = reuse.reason;
  co_return reuse.use != policy::Use::revalidate;
}

Proxy::Awaitable<void> Proxy::lead(net::Exchange* exchange, TransactionPtr transaction, std::string join_key,
                                   std::shared_ptr<store::Fill> fill, bool listed) {
  auto& t = *transaction;
  const auto& rule = t.route().store;
  Leadership leadership(shared_.fills, join_key, fill, listed);

  // Serves a stored response to the followers and, where there is one, to our own client.
  const auto serve = [&](const store::StoredPtr& stored, policy::CacheOutcome outcome, std::string_view detail) {
    leadership.answer(stored, outcome);
    if (exchange == nullptr) return;
    const auto now = wall_clock();
    const auto& lifetime = stored->parts().lifetime;
    Labels labels;
    labels.outcome = outcome;
    labels.detail = detail;
    labels.ttl = lifetime.freshness_lifetime - lifetime.current_age(now);
    labels.age = lifetime.current_age(now);
    if (outcome == policy::CacheOutcome::revalidated) {
      labels.forward = "stale";
      labels.forward_status = 304;
      labels.stored = true;
    }
    count(&t.route(), outcome);
    serve_stored(*exchange, t.request, stored, labels, now);
  };

  if (exchange != nullptr) {
    const bool found = co_await look_up_remote(transaction);
    if (found) {
      const auto now = wall_clock();
      counters_.redis_hits.add();
      const bool fresh = t.stale->parts().lifetime.is_fresh(now);
      const auto stored = t.stale;
      serve(stored, fresh ? policy::CacheOutcome::hit : policy::CacheOutcome::stale, "redis");
      if (policy::decide_reuse(stored->parts().lifetime, t.client, now).use ==
          policy::Use::serve_stale_and_revalidate) {
        refresh_in_background(transaction);
      }
      co_return;
    }
  }

  counters_.fills.add();
  OriginResponse response;
  policy::TimePoint request_time;
  policy::TimePoint response_time;
  bool ours = false;  // the preconditions sent were ours, not the client's
  // The second round is for a 304 that confirms nothing we have.
  for (int round = 0; round < 2; ++round) {
    auto fields = http::FieldList::copy_of(t.fields);
    fields.remove("Range");  // a refresh begun by a range request is for the whole
    fields.remove("If-Range");
    ours = t.stale && t.stale->has_validator();
    if (ours) {
      policy::add_validators(fields, t.stale->parts().fields);
    } else if (listed || round == 1) {
      // The answer is for everyone who shares this fill: it must be whole.
      fields.remove("If-None-Match");
      fields.remove("If-Modified-Since");
    }
    request_time = wall_clock();
    auto origin = origin_request(exchange, t.request, fields, t.client_address);
    origin.on_connection = nullptr;  // a fill goes on without its leader's client
    response = co_await fetch(origins_, origin);
    response_time = wall_clock();
    if (response.error || response.head.status != 304 || !ours) break;
    if (policy::confirms(response.head.fields, t.stale->parts().fields)) break;
    t.stale = nullptr;
    response = OriginResponse{};
  }

  const bool origin_failed = response.error || response.head.status >= 500;
  if (response.error) report_origin_error(t.method, t.target, response);
  if (origin_failed && t.stale && t.reason != policy::NotReused::epoch &&
      policy::may_serve_on_error(t.stale->parts().lifetime, t.client, response_time)) {
    serve(t.stale, policy::CacheOutcome::stale, response.error ? "origin_error" : "origin_5xx");
    co_return;
  }
  if (response.error) {
    leadership.fail(status_of(response.error));
    if (exchange != nullptr) {
      Labels labels;
      labels.outcome = policy::CacheOutcome::miss;
      labels.key = t.key.key;
      labels.forward = forward_reason(t.reason);
      labels.detail = "origin_error";
      count(&t.route(), labels.outcome);
      reply_with_failure(*exchange, response, labels);
    }
    co_return;
  }
  if (response.head.status == 304 && ours) {
    const auto freshened = freshen(transaction, response.head, fill->stamp(), request_time, response_time);
    serve(freshened, policy::CacheOutcome::revalidated, {});
    co_return;
  }

  const auto lifetime = policy::compute_lifetime(response.head, rule, request_time, response_time);
  auto reason = policy::storable(t.request, response.head, rule, lifetime);
  if (response.head.status == 101) reason = policy::NotStored::upgrade;
  const auto length = response.lease.connection().length();
  if (reason == policy::NotStored::none && length && *length > shared_.cache.max_object) {
    reason = policy::NotStored::too_large;
  }
  if (reason != policy::NotStored::none) {
    counters_.count(reason);
    leadership.decline();
    shared_.fills.remember_unstorable(t.key.canonical, response_time + shared_.cache.unstorable_memory);
    if (exchange == nullptr) co_return;
    Labels labels;
    labels.outcome = policy::CacheOutcome::miss;
    labels.key = t.key.key;
    labels.forward = forward_reason(t.reason);
    labels.detail = policy::to_string(reason);
    count(&t.route(), labels.outcome);
    if (response.head.status == 101) {
      response.error = net::Error::origin_malformed;
      response.lease.connection().close();
      reply_with_failure(*exchange, response, labels);
      co_return;
    }
    co_await relay_response(*exchange, response, labels);
    co_return;
  }

  // Our own client reads the fill as every follower does, and must be known as a reader before the first byte.
  std::optional<store::FillReader> own_place;
  if (exchange != nullptr) own_place.emplace(fill);
  shared_.fills.forget_unstorable(t.key.canonical);
  const auto vary = policy::vary_names(response.head.fields);
  fill->publish_head({.status = response.head.status,
                      .reason = std::string(response.head.reason),
                      .fields = response_fields(response.head, shared_.cache.node_name, response_time),
                      .length = length,
                      .selecting = policy::selecting_fields(vary.names, t.fields)});
  auto& connection = response.lease.connection();
  bool broken = false;
  while (!connection.body_done()) {
    const auto piece = connection.buffered_body();
    broken = !piece;
    if (broken || piece->empty()) break;
    if (fill->append(*piece) != store::Append::kept) break;
  }
  if (connection.body_done()) {
    // The usual answer of an API: all of it came with its head.
    finish_fill(transaction, join_key, fill, lifetime, connection.trailers());
    response.lease.give_back();
  } else {
    auto shared_response = std::make_shared<OriginResponse>(std::move(response));
    asio::co_spawn(context_.get_executor(), pump(transaction, join_key, fill, shared_response, lifetime),
                   asio::detached);
  }
  leadership.hand_over();
  if (own_place) (void)co_await follow(*exchange, transaction, *own_place, true);
}

// Reads the rest of the body into the fill, whether or not its leader's client is still there.
Proxy::Awaitable<void> Proxy::pump(TransactionPtr transaction, std::string join_key, std::shared_ptr<store::Fill> fill,
                                   std::shared_ptr<OriginResponse> response, policy::Lifetime lifetime) {
  Leadership leadership(shared_.fills, join_key, fill, true);
  auto& connection = response->lease.connection();
  const auto space = std::make_shared<net::WaitPoint>(context_.get_executor());
  bool listed = true;
  while (!connection.body_done()) {
    const auto piece = co_await connection.read_body();
    if (!piece) {
      response->error = piece.error();
      response->fault = connection.fault();
      report_origin_error(transaction->method, transaction->target, *response);
      counters_.count(policy::NotStored::incomplete);
      leadership.fail(502);
      co_return;
    }
    auto appended = fill->append(*piece);
    while (appended == store::Append::wait) {
      fill->on_space([space] { space->notify(); });
      co_await space->wait();
      appended = fill->append(*piece);
    }
    if (appended != store::Append::kept && listed) {
      listed = false;
      counters_.count(policy::NotStored::too_large);
      leadership.leave();
      shared_.fills.remember_unstorable(transaction->key.canonical, wall_clock() + shared_.cache.unstorable_memory);
    }
    if (appended == store::Append::no_reader) {
      leadership.decline();  // who has joined meanwhile goes on alone
      co_return;
    }
  }
  finish_fill(transaction, join_key, fill, lifetime, connection.trailers());
  leadership.hand_over();
}

void Proxy::finish_fill(const TransactionPtr& transaction, const std::string& join_key,
                        const std::shared_ptr<store::Fill>& fill, const policy::Lifetime& lifetime,
                        http::FieldSpan trailers) {
  const auto& t = *transaction;
  auto body = fill->whole_body();
  store::FillReader reader(fill);
  const auto head = reader.view().head;
  store::StoredPtr stored;
  if (body) {
    store::StoredParts parts;
    parts.key = policy::variant_key(t.key.key, head->selecting);
    parts.base_key_size = t.key.key.size();
    parts.canonical = t.key.canonical;
    parts.selecting = head->selecting;
    parts.type = t.route().type->name;
    parts.target = t.target;
    parts.tags = t.tags;
    parts.priority = t.route().type->priority;
    parts.stamp = fill->stamp();
    parts.lifetime = lifetime;
    parts.status = head->status;
    parts.reason = head->reason;
    // Trailers are relayed but not stored (RFC 9110 §6.5.1 lets a recipient discard them), so none are announced.
    auto fields = http::FieldList::copy_of(head->fields);
    fields.remove("Trailer");
    parts.fields = policy::stored_fields(fields, t.route().store);
    parts.body = std::move(body);
    stored = store::StoredResponse::make(std::move(parts));
    keep(stored, fill->stamp());
  }
  shared_.fills.leave(join_key, fill);
  fill->complete(std::move(stored), trailers);
}

void Proxy::keep(const store::StoredPtr& stored, const store::PurgeStamp& stamp) {
  if (shared_.log.alive_since(stored->subject(), stamp.sequence) != store::Liveness::alive) {
    counters_.count(policy::NotStored::purged_while_filling);
    return;
  }
  const auto reason = shared_.memory.insert(stored, stamp.sequence);
  if (reason == policy::NotStored::none) {
    counters_.stored.add();
  } else {
    counters_.count(reason);
  }
  if (reason == policy::NotStored::purged_while_filling) return;
  if (remote_ != nullptr) remote_->insert(stored);
}

store::StoredPtr Proxy::freshen(const TransactionPtr& transaction, const http::ResponseHead& not_modified,
                                const store::PurgeStamp& stamp, policy::TimePoint request_time,
                                policy::TimePoint response_time) {
  const auto& t = *transaction;
  const auto& rule = t.route().store;
  const auto& old = t.stale->parts();
  const auto answer = response_fields(not_modified, shared_.cache.node_name, response_time);
  auto fields = policy::freshen(old.fields, answer);
  http::ResponseHead head{
      .status = old.status, .reason = old.reason, .version = http::Version::http_1_1, .fields = fields};
  const auto lifetime =
      policy::compute_freshened_lifetime(old.status, fields, answer, rule, request_time, response_time);
  const auto reason = policy::storable(t.request, head, rule, lifetime);
  store::StoredParts parts;
  // The 304's Vary may name more than the stored one did.
  parts.selecting = policy::selecting_fields(policy::vary_names(fields).names, t.fields);
  parts.key = policy::variant_key(t.key.key, parts.selecting);
  parts.base_key_size = t.key.key.size();
  parts.canonical = old.canonical;
  parts.type = old.type;
  parts.target = old.target;
  parts.tags = old.tags;
  parts.priority = old.priority;
  parts.stamp = stamp;
  parts.lifetime = lifetime;
  parts.status = old.status;
  parts.reason = old.reason;
  parts.fields = policy::stored_fields(fields, rule);
  parts.body = old.body;
  auto stored = store::StoredResponse::make(std::move(parts));
  if (reason == policy::NotStored::none) {
    keep(stored, stamp);
  } else {
    counters_.count(reason);
    shared_.memory.erase(t.stale);
    if (remote_ != nullptr) remote_->remove(old.key);
  }
  return stored;
}

Proxy::Awaitable<Proxy::Followed> Proxy::follow(net::Exchange& exchange, TransactionPtr transaction,
                                                store::FillReader& reader, bool leads) {
  const auto& t = *transaction;
  const auto changed = std::make_shared<net::WaitPoint>(context_.get_executor());
  bool begun = false;
  Labels labels;
  labels.outcome = policy::CacheOutcome::miss;
  labels.forward = forward_reason(t.reason);
  labels.collapsed = !leads;
  if (!leads) counters_.collapsed.add();
  for (;;) {
    const auto view = reader.view();
    const auto now = wall_clock();
    switch (view.phase) {
      case store::FillPhase::waiting:
        break;
      case store::FillPhase::declined:
        if (!begun) co_return Followed::go_alone;
        exchange.reply.cut_short();
        co_return Followed::replied;
      case store::FillPhase::failed:
        if (begun) {
          exchange.reply.cut_short();
        } else if (t.stale && t.reason != policy::NotReused::epoch &&
                   policy::may_serve_on_error(t.stale->parts().lifetime, t.client, now)) {
          labels.outcome = policy::CacheOutcome::stale;
          labels.forward = {};
          labels.age = t.stale->parts().lifetime.current_age(now);
          count(&t.route(), labels.outcome);
          serve_stored(exchange, t.request, t.stale, labels, now);
        } else {
          OriginResponse failure;
          failure.error = view.failure_status == 504   ? net::make_error_code(net::Error::origin_timeout)
                          : view.failure_status == 503 ? net::make_error_code(net::Error::origin_busy)
                                                       : net::make_error_code(net::Error::origin_closed);
          labels.key = t.key.key;
          count(&t.route(), labels.outcome);
          reply_with_failure(exchange, failure, labels);
        }
        co_return Followed::replied;
      case store::FillPhase::answered: {
        if (!policy::selecting_fields_match(view.stored->parts().selecting, t.fields))
          co_return Followed::other_variant;
        const auto& lifetime = view.stored->parts().lifetime;
        labels.outcome = view.outcome;
        if (view.outcome != policy::CacheOutcome::revalidated) labels.forward = {};
        labels.age = lifetime.current_age(now);
        labels.ttl = lifetime.freshness_lifetime - lifetime.current_age(now);
        count(&t.route(), labels.outcome);
        serve_stored(exchange, t.request, view.stored, labels, now);
        co_return Followed::replied;
      }
      case store::FillPhase::streaming:
      case store::FillPhase::complete: {
        if (!begun) {
          if (!leads && !policy::selecting_fields_match(view.head->selecting, t.fields)) {
            co_return Followed::other_variant;
          }
          labels.forward_status = view.head->status;
          labels.stored = view.phase == store::FillPhase::complete && view.stored != nullptr;
          count(&t.route(), labels.outcome);
          if (labels.stored) {
            serve_stored(exchange, t.request, view.stored, labels, now);
            co_return Followed::replied;
          }
          labels.key = t.key.key;
          std::string lines;
          append_labels(lines, labels);
          http::ResponseHead head{.status = view.head->status,
                                  .reason = view.head->reason,
                                  .version = http::Version::http_1_1,
                                  .fields = view.head->fields};
          if (http::evaluate_for_cache(t.method, t.fields, head.status, head.fields, now) ==
              http::Precondition::not_modified) {
            head.status = 304;
            head.reason = {};
            exchange.reply.begin(head, lines, std::nullopt);
            exchange.reply.finish({});
            co_return Followed::replied;
          }
          exchange.reply.begin(head, lines, view.head->length);
          begun = true;
        }
        if (!view.bytes.empty()) {
          const auto bytes = view.bytes;
          const auto error = co_await exchange.reply.write(bytes);
          if (error) {
            exchange.reply.cut_short();
            co_return Followed::replied;
          }
          reader.advance(bytes.size());
          continue;
        }
        if (view.phase == store::FillPhase::complete) {
          exchange.reply.finish(view.trailers ? view.trailers->span() : http::FieldSpan{});
          co_return Followed::replied;
        }
        const auto error = co_await exchange.reply.flush();
        if (error) {
          exchange.reply.cut_short();
          co_return Followed::replied;
        }
        break;
      }
    }
    reader.on_change(view, [changed] { changed->notify(); });
    co_await changed->wait();
  }
}

// One refresh at a time: only who leads the fill does anything. The transaction is the refresh's from here on.
void Proxy::refresh_in_background(const TransactionPtr& transaction) {
  if (transaction->method != "GET") return;
  const auto& join_key = transaction->key.canonical;
  auto ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
  if (ticket.role != store::FillRole::lead) return;
  transaction->reason = policy::NotReused::stale;
  asio::co_spawn(context_.get_executor(), lead(nullptr, transaction, join_key, ticket.fill, true), asio::detached);
}

}  // namespace larder::proxy
