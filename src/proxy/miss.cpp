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
  [[nodiscard]] bool has_ended() const noexcept { return !fill_; }
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
  // A range is the answer to one request alone, unless it is cut from a whole that is validated first.
  const auto& stale = transaction->stale;
  const bool is_shared =
      transaction->may_join && (http::find(transaction->fields, "Range") == nullptr || transaction->method != "GET" ||
                                (stale && stale->is_complete() && stale->has_validator()));
  for (;;) {
    store::FillTicket ticket;
    if (is_shared) ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
    bool listed = true;
    if (ticket.role == store::FillRole::follow) {
      store::FillReader reader(ticket.fill);
      const auto followed = co_await follow(exchange, transaction, reader, false);
      if (followed == Followed::replied) co_return;
      if (followed == Followed::other_variant && !joined_variant) {
        // The fill's selecting header fields are now known: those who share mine share the next fill.
        const auto view = reader.view();
        const auto& encoding = view.stored ? view.stored->selecting() : view.head->selecting;
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
        const auto* content = transaction->content ? &*transaction->content : nullptr;
        co_await relay(exchange, transaction->request, labels, &transaction->route(), content);
        co_return;
      }
    }
    co_await lead(&exchange, transaction, std::move(join_key), std::move(ticket.fill), listed);
    co_return;
  }
}

// Asks Redis, once per request. True where what it found is in transaction->stale and may be served as it is.
Proxy::Awaitable<bool> Proxy::look_up_remote(TransactionPtr transaction) {
  auto& t = *transaction;
  if (!t.may_ask_redis || !remote_->is_readable()) co_return false;
  t.may_ask_redis = false;
  auto key = t.key.key;
  auto canonical = t.key.canonical;
  auto found = co_await remote_->find(key, canonical, t.fields, t.redis_until);
  for (std::size_t i = 0; !found.stored && i < t.varied_keys.size() && remote_->is_readable(); ++i) {
    key = t.varied_keys[i].key;
    canonical = t.varied_keys[i].canonical;
    auto varied = co_await remote_->find(key, canonical, t.fields, t.redis_until);
    if (varied.stored || found.reason == policy::NotReused::absent) found = std::move(varied);
  }
  t.vary_names = std::move(found.vary_names);
  if (found.stored && !acceptable_form(t, found.stored)) {
    found.stored = nullptr;
    found.reason = policy::NotReused::vary_miss;
  }
  if (!found.stored) {
    if (!t.stale) t.reason = found.reason;
    co_return false;
  }
  // Another node may have stored a newer response than the one that memory holds.
  if (t.stale && t.stale->lifetime().response_time >= found.stored->lifetime().response_time) {
    co_return false;
  }
  (void)shared_.memory.insert(found.stored, found.stored->stamp().sequence);
  const auto reuse = policy::decide_reuse(found.stored->lifetime(), t.client, wall_clock());
  t.stale = std::move(found.stored);
  t.reason = reuse.reason;
  if (reuse.use == policy::Use::revalidate) co_return false;
  if (t.stale->can_answer(t.request)) co_return true;
  t.reason = policy::NotReused::incomplete;
  co_return false;
}

Proxy::Awaitable<void> Proxy::lead(net::Exchange* exchange, TransactionPtr transaction, std::string join_key,
                                   std::shared_ptr<store::Fill> fill, bool listed) {
  auto& t = *transaction;
  const auto& rule = t.route().store;
  Leadership leadership(shared_.fills, join_key, fill, listed);

  // Serves a stored response to the followers, unless they were told to go on alone, and to our own client, if any.
  const auto serve = [&](const store::StoredPtr& stored, policy::CacheOutcome outcome, std::string_view detail) {
    const bool is_shared = !leadership.has_ended();
    if (is_shared) leadership.answer(stored, outcome);
    if (exchange == nullptr) return;
    const auto now = wall_clock();
    const auto lifetime = stored->lifetime();
    Labels labels;
    labels.outcome = outcome;
    labels.detail = detail;
    labels.ttl = lifetime.freshness_lifetime - lifetime.current_age(now);
    labels.age = lifetime.current_age(now);
    if (outcome == policy::CacheOutcome::revalidated) {
      labels.forward = "stale";
      labels.forward_status = 304;
      labels.stored = is_shared;
    }
    count(&t.route(), outcome);
    const auto form = acceptable_form(t, stored);
    serve_stored(*exchange, t.request, form ? form : stored, labels, now);
  };

  if (exchange != nullptr) {
    const bool found = co_await look_up_remote(transaction);
    if (found) {
      const auto now = wall_clock();
      counters_.redis_hits.add();
      const bool fresh = t.stale->lifetime().is_fresh(now);
      const auto stored = t.stale;
      // Stale by leave of this client's max-stale: nobody else has given it.
      if (policy::decide_reuse(stored->lifetime(), {}, now).use == policy::Use::revalidate) leadership.decline();
      serve(stored, fresh ? policy::CacheOutcome::hit : policy::CacheOutcome::stale, "redis");
      if (policy::decide_reuse(stored->lifetime(), t.client, now).use == policy::Use::serve_stale_and_revalidate) {
        refresh_in_background(transaction);
      }
      co_return;
    }
  }

  counters_.fills.add();
  OriginResponse response;
  policy::TimePoint request_time;
  policy::TimePoint response_time;
  const bool passes_range = exchange != nullptr && !listed;
  const std::string* content = t.content ? &*t.content : nullptr;
  Question question;
  std::shared_ptr<Completion> completion;
  bool has_part = false;  // the missing part of what the client wants a range of
  // The second round is for an answer that confirms or completes nothing we have.
  for (int round = 0; round < 2; ++round) {
    question = make_question(t, passes_range, listed || round == 1);
    request_time = wall_clock();
    auto origin = origin_request(exchange, t.request, question.fields, t.client_address, content);
    origin.on_connection = nullptr;  // a fill goes on without its leader's client
    response = co_await fetch(origins_, origin);
    response_time = wall_clock();
    if (response.error) break;
    const auto status = response.head.status;
    if (question.validates && status == 304) {
      if (!policy::confirms(response.head.fields, t.stale->fields()) ||
          !is_confirmed_by(*t.stale, response.head.fields)) {
        t.stale = find_confirmed(t, response.head.fields);
      }
      if (t.stale) break;
    } else if (question.gap && (status == 206 || status == 416)) {
      if (status == 206 && passes_range) has_part = is_missing_part(t, question, response);
      if (status == 206 && !passes_range) {
        completion = complete(t, question, response, request_time, response_time);
      }
      if (has_part || completion) break;
      counters_.count(policy::NotStored::changed);
      drop(*t.stale);
      t.stale = nullptr;
    } else {
      break;
    }
    response = OriginResponse{};
  }

  const bool origin_failed = response.error || policy::is_server_failure(response.head.status);
  if (response.error) report_origin_error(t.method, t.target, response);
  if (origin_failed && may_serve_on_error(t, response_time)) {
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
  if (response.head.status == 304 && question.validates) {
    const auto answer = response_fields(response.head, shared_.cache.node_name, response_time);
    const auto freshened = freshen(t, answer, fill->stamp(), request_time, response_time);
    if (freshened.reason != policy::NotStored::none) leadership.decline();
    serve(freshened.stored, policy::CacheOutcome::revalidated, {});
    co_return;
  }
  const bool asked_for_range = http::find(question.fields, "Range") != nullptr;
  if (response.head.status == 206 && passes_range && asked_for_range) {
    leadership.decline();
    co_await serve_part(*exchange, transaction, response, has_part, fill->stamp(), request_time, response_time);
    co_return;
  }

  auto lifetime =
      completion ? completion->lifetime : policy::compute_lifetime(response.head, rule, request_time, response_time);
  auto reason = completion ? policy::NotStored::none : policy::storable(t.request, response.head, rule, lifetime);
  if (response.head.status == 101) reason = policy::NotStored::upgrade;
  // A part that nobody asked for, or a refresh of the whole that got one.
  if (response.head.status == 206 && !completion) reason = policy::NotStored::partial_content;
  const auto length = completion ? completion->length : response.lease.connection().length();
  if (reason == policy::NotStored::none && length && *length > shared_.cache.max_object) {
    reason = policy::NotStored::too_large;
  }
  if (reason != policy::NotStored::none) {
    counters_.count(reason);
    leadership.decline();
    if (listed) {
      shared_.fills.remember_unstorable(t.key.canonical, response_time + shared_.cache.unstorable_memory);
    }
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
  store::FillHead head;
  head.length = length;
  if (completion) {
    head.status = 200;
    head.reason = http::reason_phrase(200);
    head.fields = http::FieldList::copy_of(completion->fields);
  } else {
    head.status = response.head.status;
    head.reason = response.head.reason;
    head.fields = response_fields(response.head, shared_.cache.node_name, response_time);
  }
  head.selecting = selecting_of(t, head.fields);
  head.shared_fields = policy::stored_fields(head.fields, rule);
  head.lifetime = lifetime;
  fill->publish_head(std::move(head));
  if (completion) (void)fill->append(completion->before);
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
    finish_fill(transaction, join_key, fill, lifetime, connection.trailers(), completion);
    response.lease.give_back();
  } else {
    auto shared_response = std::make_shared<OriginResponse>(std::move(response));
    asio::co_spawn(context_.get_executor(), pump(transaction, join_key, fill, shared_response, lifetime, completion),
                   asio::detached);
  }
  leadership.hand_over();
  if (own_place) (void)co_await follow(*exchange, transaction, *own_place, true);
}

// Reads the rest of the body into the fill, whether or not its leader's client is still there.
Proxy::Awaitable<void> Proxy::pump(TransactionPtr transaction, std::string join_key, std::shared_ptr<store::Fill> fill,
                                   std::shared_ptr<OriginResponse> response, policy::Lifetime lifetime,
                                   std::shared_ptr<Completion> completion) {
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
  finish_fill(transaction, join_key, fill, lifetime, connection.trailers(), completion);
  leadership.hand_over();
}

void Proxy::finish_fill(const TransactionPtr& transaction, const std::string& join_key,
                        const std::shared_ptr<store::Fill>& fill, const policy::Lifetime& lifetime,
                        http::FieldSpan trailers, const std::shared_ptr<Completion>& completion) {
  if (completion) (void)fill->append(completion->behind);
  auto body = fill->whole_body();
  store::FillReader reader(fill);
  const auto head = reader.view().head;
  store::StoredPtr stored;
  if (body) {
    // Trailers are relayed but not stored (RFC 9110 §6.5.1 lets a recipient discard them), so none are announced.
    auto parts = parts_of(*transaction, fill->stamp(), lifetime, head->fields);
    parts.status = head->status;
    parts.reason = head->reason;
    parts.body = std::move(body);
    stored = store::StoredResponse::make(std::move(parts));
    (void)keep(stored, fill->stamp());
    supersede(*transaction, *stored);
  }
  shared_.fills.leave(join_key, fill);
  fill->complete(std::move(stored), trailers);
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
        } else if (may_serve_on_error(t, now)) {
          labels.outcome = policy::CacheOutcome::stale;
          labels.forward = {};
          labels.age = t.stale->lifetime().current_age(now);
          count(&t.route(), labels.outcome);
          const auto form = acceptable_form(t, t.stale);
          serve_stored(exchange, t.request, form ? form : t.stale, labels, now);
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
        if (!policy::selecting_fields_match(view.stored->selecting(), t.fields)) {
          co_return Followed::other_variant;
        }
        // A part that was refreshed in the background; or something that was purged before we came.
        if (!view.stored->can_answer(t.request) || !is_alive(*view.stored)) co_return Followed::go_alone;
        const auto lifetime = view.stored->lifetime();
        // The leader's directives are not ours.
        if (view.outcome != policy::CacheOutcome::revalidated &&
            policy::decide_reuse(lifetime, t.client, now).use == policy::Use::revalidate &&
            (view.outcome != policy::CacheOutcome::stale || !policy::may_serve_on_error(lifetime, t.client, now))) {
          co_return Followed::go_alone;
        }
        const auto form = acceptable_form(t, view.stored);
        if (!form) co_return Followed::go_alone;
        labels.outcome = view.outcome;
        if (view.outcome != policy::CacheOutcome::revalidated) labels.forward = {};
        labels.age = lifetime.current_age(now);
        labels.ttl = lifetime.freshness_lifetime - lifetime.current_age(now);
        count(&t.route(), labels.outcome);
        serve_stored(exchange, t.request, form, labels, now);
        co_return Followed::replied;
      }
      case store::FillPhase::streaming:
      case store::FillPhase::complete: {
        if (!begun) {
          if (!leads && !policy::selecting_fields_match(view.head->selecting, t.fields)) {
            co_return Followed::other_variant;
          }
          // Only now is it known to which groups it belongs; one of them may have been purged before we came.
          if (!leads) {
            const auto tags = tags_of(t, t.tags, view.head->fields);
            auto subject = t.subject();
            subject.tags = tags;
            if (shared_.log.alive_since(subject, reader.fill().stamp().sequence) != store::Liveness::alive) {
              co_return Followed::go_alone;
            }
          }
          labels.forward_status = view.head->status;
          labels.stored = view.phase == store::FillPhase::complete && view.stored != nullptr;
          count(&t.route(), labels.outcome);
          // What no-cache="..." and private="..." list is for the leader's client alone, and is not stored.
          const bool is_whole_head = !leads || !policy::lists_fields(view.head->fields);
          const auto age = view.head->lifetime.current_age(now);
          const bool had_age = http::find(view.head->fields, "Age") != nullptr;
          if (!leads || had_age) labels.age = age;
          labels.ttl = view.head->lifetime.freshness_lifetime - age;
          if (labels.stored && is_whole_head) {
            serve_stored(exchange, t.request, view.stored, labels, now);
            co_return Followed::replied;
          }
          labels.key = t.key.key;
          std::string lines;
          append_labels(lines, labels);
          auto fields = http::FieldList::copy_of(leads ? view.head->fields : view.head->shared_fields);
          fields.remove("Age");  // written anew among the labels
          hide_targeted_fields(fields);
          http::ResponseHead head{.status = view.head->status,
                                  .reason = view.head->reason,
                                  .version = http::Version::http_1_1,
                                  .fields = fields};
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
  if (transaction->method == "HEAD") return;
  const auto& join_key = transaction->key.canonical;
  auto ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
  if (ticket.role != store::FillRole::lead) return;
  transaction->reason = policy::NotReused::stale;
  asio::co_spawn(context_.get_executor(), lead(nullptr, transaction, join_key, ticket.fill, true), asio::detached);
}

}  // namespace larder::proxy
