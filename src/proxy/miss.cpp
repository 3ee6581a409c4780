// A miss: one request leads a fill, equal ones follow it, and what proves not storable is fetched by each alone.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "larder/http/conditional.hpp"
#include "larder/http/hop_by_hop.hpp"
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
  /// `join_key`: empty where nobody can join.
  Leadership(store::FillTable& table, std::string join_key, std::shared_ptr<store::Fill> fill)
      : table_(table), join_key_(std::move(join_key)), fill_(std::move(fill)) {}
  Leadership(const Leadership&) = delete;
  Leadership& operator=(const Leadership&) = delete;
  ~Leadership() {
    if (!fill_) return;
    leave();
    fill_->fail(502);
  }
  /// No new follower from now on.
  void leave() {
    if (!join_key_.empty()) table_.leave(join_key_, fill_);
    join_key_.clear();
  }
  [[nodiscard]] bool has_ended() const noexcept { return !fill_; }
  void complete(store::StoredPtr stored, http::FieldSpan trailers) { end()->complete(std::move(stored), trailers); }
  void answer(const store::StoredPtr& stored, policy::CacheOutcome outcome) { end()->answer(stored, outcome); }
  void decline() { end()->decline(); }
  void fail(int status, int error = 0) { end()->fail(status, error); }

 private:
  std::shared_ptr<store::Fill> end() {
    leave();
    return std::exchange(fill_, nullptr);
  }

  store::FillTable& table_;
  std::string join_key_;
  std::shared_ptr<store::Fill> fill_;
};

bool is_taken(store::Append appended) noexcept {
  return appended == store::Append::kept || appended == store::Append::unstored;
}

// Counts one who waits for another request's fill, from now until it goes.
class Following {
 public:
  /// `counters`: null for who waits for its own.
  explicit Following(WorkerCounters* counters) noexcept : counters_(counters) {
    if (counters_ != nullptr) counters_->collapsed.add();
  }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;
  ~Following() {
    if (counters_ != nullptr) counters_->followed.add();
  }

 private:
  WorkerCounters* counters_;
};

}  // namespace

// A fill on the way to its answer, and the request that leads it.
struct Proxy::Leading {
  Leading(store::FillTable& table, net::Exchange* client, TransactionPtr of, std::string join_key,
          std::shared_ptr<store::Fill> its_fill)
      : exchange(client),
        transaction(std::move(of)),
        fill(std::move(its_fill)),
        is_listed(!join_key.empty()),
        leadership(table, std::move(join_key), fill) {}

  net::Exchange* exchange;  ///< null where no client waits: a refresh in the background
  TransactionPtr transaction;
  std::shared_ptr<store::Fill> fill;
  bool is_listed;  ///< the answer is for everyone, so it must be whole
  Leadership leadership;

  // What the origin was asked, and its answer.
  Question question;
  policy::TimePoint request_time;
  policy::TimePoint response_time;
  OriginResponse response;
  std::shared_ptr<Completion> completion;  ///< the answer is the missing part of what is stored
  bool is_unstored = false;                ///< the body streams, but will not be stored
  std::string_view offered;                ///< what of the body is at hand and not in the fill yet
  bool has_part = false;                   ///< it is the missing part of what the client wants a range of
  policy::Lifetime lifetime;               ///< of what may be stored
  std::optional<std::uint64_t> length;

  /// The client's own Range and preconditions may be asked.
  [[nodiscard]] bool passes_range() const noexcept { return exchange != nullptr && !is_listed; }
};

Proxy::Awaitable<void> Proxy::miss(net::Exchange& exchange, TransactionPtr transaction) {
  count(&transaction->route(), transaction->reason);
  // A range is the answer to one request alone, unless it is cut from a whole that is validated first.
  const auto& stale = transaction->stale;
  const bool is_shared =
      transaction->may_join && (http::find(transaction->fields, "Range") == nullptr || transaction->method != "GET" ||
                                (stale && stale->is_complete() && stale->has_validator()));
  if (!is_shared) return go_alone(exchange, std::move(transaction));
  const auto& join_key = transaction->key.canonical;
  auto ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
  switch (ticket.role) {
    case store::FillRole::lead:
      return lead(&exchange, transaction, join_key, std::move(ticket.fill));
    case store::FillRole::follow:
      return join(exchange, std::move(transaction), std::move(ticket.fill));
    case store::FillRole::alone:
      break;
  }
  return go_alone(exchange, std::move(transaction));
}

// Follows a fill; where its answer is another variant, the fill of its own variant.
Proxy::Awaitable<void> Proxy::join(net::Exchange& exchange, TransactionPtr transaction,
                                   std::shared_ptr<store::Fill> fill) {
  std::optional<store::FillReader> reader(std::move(fill));
  auto followed = co_await follow(exchange, transaction, *reader, false);
  if (followed == Followed::other_variant) {
    // The fill's selecting header fields are now known: those who share mine share the next fill.
    const auto view = reader->view();
    const auto& encoding = view.stored ? view.stored->selecting() : view.head->selecting;
    auto join_key = transaction->key.canonical;
    join_key += '\0';
    join_key += policy::selecting_fields(policy::selecting_names(encoding), transaction->fields);
    auto ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
    if (ticket.role == store::FillRole::lead) {
      reader.reset();
      co_await lead(&exchange, transaction, std::move(join_key), std::move(ticket.fill));
      co_return;
    }
    if (ticket.role == store::FillRole::follow) {
      reader.emplace(std::move(ticket.fill));
      followed = co_await follow(exchange, transaction, *reader, false);
    }
  }
  reader.reset();
  if (followed != Followed::replied) co_await go_alone(exchange, transaction);
}

// Asks for this client only; what comes may be stored all the same. The caller keeps the transaction until it is
// answered.
Proxy::Awaitable<void> Proxy::go_alone(net::Exchange& exchange, TransactionPtr transaction) {
  if (auto fill = shared_.fills.unlisted(shared_.log.stamp())) {
    return lead(&exchange, std::move(transaction), {}, std::move(fill));
  }
  count(&transaction->route(), policy::NotStored::fill_budget);
  auto labels = Labels::from_origin(*transaction);
  labels.detail = policy::to_string(policy::NotStored::fill_budget);
  const auto* content = transaction->content ? &*transaction->content : nullptr;
  return relay(exchange, *transaction->terms, transaction->request, labels, &transaction->route(), content);
}

bool Proxy::asks_redis(const Transaction& transaction) const noexcept {
  // What Redis holds would come on top of what slow clients keep.
  return transaction.may_ask_redis && remote_->is_readable() && shared_.memory.excess() == 0;
}

// Asks Redis, once per request, where asks_redis() says so. True where what it found is in transaction->stale and may
// be served as it is.
Proxy::Awaitable<bool> Proxy::look_up_remote(TransactionPtr transaction) {
  transaction->may_ask_redis = false;
  auto found = co_await find_in_redis(transaction);
  co_return absorb_remote(*transaction, std::move(found));
}

// Under its own query first, then under what responses of its path have said does not matter.
Proxy::Awaitable<store::Lookup> Proxy::find_in_redis(TransactionPtr transaction) {
  const auto& t = *transaction;
  auto found = co_await remote_->find(t.key.key, t.key.canonical, t.fields, t.redis_until);
  for (std::size_t i = 0; !found.stored && i < t.varied_keys.size() && remote_->is_readable(); ++i) {
    const auto& key = t.varied_keys[i];
    auto varied = co_await remote_->find(key.key, key.canonical, t.fields, t.redis_until);
    if (varied.stored || found.reason == policy::NotReused::absent) found = std::move(varied);
  }
  co_return found;
}

// Takes note of what Redis holds. True where it is in transaction.stale and may be served as it is.
bool Proxy::absorb_remote(Transaction& transaction, store::Lookup found) {
  auto& t = transaction;
  t.vary_names = std::move(found.vary_names);
  if (found.stored && !acceptable_form(t, found.stored)) {
    found.stored = nullptr;
    found.reason = policy::NotReused::vary_miss;
  }
  if (!found.stored) {
    if (!t.stale) t.reason = found.reason;
    return false;
  }
  // Another node may have stored a newer response than the one that memory holds.
  if (t.stale && t.stale->lifetime().response_time >= found.stored->lifetime().response_time) {
    return false;
  }
  (void)shared_.memory.insert(found.stored, found.stored->stamp().sequence);
  const auto reuse = policy::decide_reuse(found.stored->lifetime(), t.client, wall_clock());
  t.stale = std::move(found.stored);
  t.reason = reuse.reason;
  if (reuse.use == policy::Use::revalidate) return false;
  if (t.stale->can_answer(t.request)) return true;
  t.reason = policy::NotReused::incomplete;
  return false;
}

Proxy::Awaitable<void> Proxy::lead(net::Exchange* exchange, TransactionPtr transaction, std::string join_key,
                                   std::shared_ptr<store::Fill> fill) {
  // Shared, because what is still to come of the answer is read by a coroutine of its own.
  auto shared_leading =
      std::make_shared<Leading>(shared_.fills, exchange, transaction, std::move(join_key), std::move(fill));
  auto& leading = *shared_leading;
  if (exchange != nullptr && asks_redis(*transaction)) {
    bool found = false;
    {
      const net::AccessLap lap(exchange->record, &net::AccessRecord::redis);
      found = co_await look_up_remote(transaction);
    }
    if (found) {
      serve_found_in_redis(leading);
      co_return;
    }
  }

  counters_.fills.add();
  // The second round is for an answer that confirms or completes nothing we have: then nothing stored is asked about.
  for (bool is_first = true;; is_first = false) {
    const auto question = next_question(leading, is_first);
    {
      const net::AccessLap lap(exchange != nullptr ? exchange->record : nullptr, &net::AccessRecord::origin);
      co_await fetch(origins_, question, leading.response);
    }
    leading.response_time = wall_clock();
    if (is_of_use(leading) || !is_first) break;
    leading.response = {};
  }
  transaction->fetched.status = leading.response.head.status;
  transaction->fetched.error = leading.response.error;
  if (serve_stale_on_error(leading) || report_error(leading) || serve_freshened(leading)) co_return;
  co_await deliver(std::move(shared_leading));
}

// The origin has answered with something new, which is stored where it may be.
Proxy::Awaitable<void> Proxy::deliver(std::shared_ptr<Leading> shared_leading) {
  auto& leading = *shared_leading;
  auto* const exchange = leading.exchange;
  const auto transaction = leading.transaction;
  auto& response = leading.response;
  const bool asked_for_range = http::find(leading.question.fields, "Range") != nullptr;
  if (response.head.status == 206 && leading.passes_range() && asked_for_range) {
    leading.leadership.decline();
    co_await serve_part(*exchange, transaction, response, leading.has_part, leading.fill->stamp(), leading.request_time,
                        leading.response_time);
    co_return;
  }
  if (const auto reason = judge(leading); reason != policy::NotStored::none) {
    const auto labels = decline(leading, reason);
    if (exchange == nullptr) co_return;
    if (response.head.status == 101) {
      response.error = net::Error::origin_malformed;
      response.lease.connection().close();
      reply_with_failure(*exchange, *transaction->terms, response, labels);
      co_return;
    }
    co_await relay_response(*exchange, *transaction->terms, response, labels);
    co_return;
  }

  // Our own client reads the fill as every follower does, and must be known as a reader before the first byte.
  std::optional<store::FillReader> own_place;
  if (exchange != nullptr) own_place.emplace(leading.fill);
  stream(std::move(shared_leading));
  if (own_place) (void)co_await follow(*exchange, transaction, *own_place, true);
}

// The reason for a look-up's miss where the request is of a kind that a fill would not change, and its answers have
// lately proved not storable; its route is in match_ then and its canonical request in canonical_. Not with Redis,
// which may hold an older answer: stale, but of use where the newer one is an error.
std::optional<policy::NotReused> Proxy::is_lately_unstorable(const net::Exchange& exchange) {
  const auto& request = exchange.request;
  if (remote_ != nullptr || request.method != "GET" || exchange.body != nullptr || needs_the_story(request) ||
      request.control.has(http::ControlField::caching) || request.control.has(http::ControlField::range)) {
    return std::nullopt;
  }
  const bool is_looked_up = is_named(exchange);
  if (!is_looked_up && !name(request)) return std::nullopt;
  if (!shared_.fills.is_unstorable(canonical_, wall_clock()) || has_other_names()) return std::nullopt;
  if (is_looked_up) return named_reason_;
  const auto found = shared_.memory.find(canonical_, request.fields, false);
  if (found.stored) return std::nullopt;
  return found.reason;
}

// Asks for this client only, and makes a fill of it when the answer proves storable, as go_alone() would.
Proxy::Awaitable<void> Proxy::pass(net::Exchange& exchange, TermsPtr terms, policy::NotReused why, std::string key,
                                   const policy::Route& route) {
  count(&route, why);
  counters_.fills.add();
  auto fields = http::FieldList::view_of(exchange.request.fields);
  http::remove_hop_by_hop(fields);
  auto request = exchange.request;
  request.fields = fields;
  const auto stamp = shared_.log.stamp();
  const auto request_time = wall_clock();
  OriginResponse response;
  {
    const net::AccessLap lap(exchange.record, &net::AccessRecord::origin);
    co_await fetch(origins_, origin_request(&exchange, *terms, request, exchange.client_address), response);
  }
  Labels labels;
  labels.outcome = policy::CacheOutcome::miss;
  labels.reason = why;
  labels.key = key;
  labels.forward = forward_reason(why);
  if (response.error) {
    report_origin_error(request.method, request.target, response);
    labels.detail = "origin_error";
    count(exchange, &route, labels.outcome);
    reply_with_failure(exchange, *terms, response, labels);
    co_return;
  }
  if (response.head.status == 101) {
    co_await relay_upgraded(exchange, *terms, response);  // nobody has asked for it, which it says
    co_return;
  }
  const auto response_time = wall_clock();
  auto refusal = policy::refused_at_sight(request, response.head, route.store);
  if (refusal == policy::NotStored::none) {
    refusal = policy::storable(request, response.head, route.store,
                               policy::compute_lifetime(response.head, route.store, request_time, response_time));
  }
  if (refusal == policy::NotStored::none) {
    if (auto fill = shared_.fills.unlisted(stamp)) {
      const auto leading = std::make_shared<Leading>(
          shared_.fills, &exchange, make_transaction(terms, request, exchange.client_address, std::nullopt),
          std::string(), std::move(fill));
      leading->transaction->reason = why;
      leading->request_time = request_time;
      leading->response_time = response_time;
      leading->response = std::move(response);
      co_await deliver(leading);
      co_return;
    }
    refusal = policy::NotStored::fill_budget;
  }
  count(&route, refusal);
  count(exchange, &route, labels.outcome);
  labels.detail = policy::to_string(refusal);
  co_await relay_response(exchange, *terms, response, labels);
}

// Serves a stored response to the followers, unless they were told to go on alone, and to our own client, if any.
void Proxy::serve(Leading& leading, const store::StoredPtr& stored, policy::CacheOutcome outcome,
                  std::string_view detail) {
  const bool is_shared = !leading.leadership.has_ended();
  if (is_shared) leading.leadership.answer(stored, outcome);
  if (leading.exchange == nullptr) return;
  const auto& t = *leading.transaction;
  const auto now = wall_clock();
  auto labels = Labels::from_cache(outcome, stored->lifetime(), now, detail);
  labels.reason = t.reason;
  if (outcome == policy::CacheOutcome::revalidated) {
    labels.forward = "stale";
    labels.forward_status = 304;
    labels.stored = is_shared;
  }
  count(*leading.exchange, &t.route(), outcome);
  const auto form = acceptable_form(t, stored);
  serve_stored(*leading.exchange, *t.terms, t.request, form ? form : stored, labels, now);
}

void Proxy::serve_found_in_redis(Leading& leading) {
  const auto& t = *leading.transaction;
  const auto stored = t.stale;
  const auto& lifetime = stored->lifetime();
  const auto now = wall_clock();
  // Stale by leave of this client's max-stale: nobody else has given it.
  if (policy::decide_reuse(lifetime, {}, now).use == policy::Use::revalidate) leading.leadership.decline();
  serve(leading, stored, lifetime.is_fresh(now) ? policy::CacheOutcome::hit : policy::CacheOutcome::stale, "redis");
  count_redis_hit(leading.exchange);
  if (policy::decide_reuse(lifetime, t.client, now).use == policy::Use::serve_stale_and_revalidate) {
    refresh_in_background(leading.transaction);
  }
}

// What the origin is asked next. Its views are those of `leading`.
OriginRequest Proxy::next_question(Leading& leading, bool is_first) {
  const auto& t = *leading.transaction;
  leading.question = make_question(t, leading.passes_range(), leading.is_listed || !is_first);
  leading.request_time = wall_clock();
  auto request = t.request;
  request.fields = leading.question.fields;
  auto origin =
      origin_request(leading.exchange, *t.terms, request, t.client_address, t.content ? &*t.content : nullptr);
  origin.on_connection = nullptr;  // a fill goes on without its leader's client
  return origin;
}

// False where the answer is about a stored response and does not fit to any: then that is not asked about again.
bool Proxy::is_of_use(Leading& leading) {
  auto& t = *leading.transaction;
  const auto& question = leading.question;
  const auto& response = leading.response;
  if (response.error) return true;
  const auto status = response.head.status;
  if (question.validates && status == 304) {
    if (!policy::confirms(response.head.fields, t.stale->fields()) ||
        !is_confirmed_by(*t.stale, response.head.fields)) {
      t.stale = find_confirmed(t, response.head.fields);
    }
    return t.stale != nullptr;
  }
  if (!question.gap || (status != 206 && status != 416)) return true;
  if (status == 206 && leading.passes_range()) leading.has_part = is_missing_part(t, question, response);
  if (status == 206 && !leading.passes_range()) {
    leading.completion = complete(t, question, response, leading.request_time, leading.response_time);
  }
  if (leading.has_part || leading.completion) return true;
  count(&t.route(), policy::NotStored::changed);
  drop(*t.stale);
  t.stale = nullptr;
  return false;
}

bool Proxy::serve_stale_on_error(Leading& leading) {
  const auto& t = *leading.transaction;
  const auto& response = leading.response;
  if (response.error) report_origin_error(t.method, t.target, response);
  if (!response.error && !policy::is_server_failure(response.head.status)) return false;
  if (!may_serve_on_error(t, leading.response_time)) return false;
  const auto shed = shed_by(response.error);
  serve(leading, t.stale, policy::CacheOutcome::stale,
        shed             ? to_string(*shed)
        : response.error ? "origin_error"
                         : "origin_5xx");
  return true;
}

// There is no answer: tells everyone so.
bool Proxy::report_error(Leading& leading) {
  const auto& t = *leading.transaction;
  const auto& response = leading.response;
  if (!response.error) return false;
  const auto shed = shed_by(response.error);
  leading.leadership.fail(status_of(response.error), shed ? response.error.value() : 0);
  if (leading.exchange == nullptr) return true;
  auto labels = Labels::from_origin(t);
  labels.detail = "origin_error";
  count(*leading.exchange, &t.route(), labels.outcome);
  reply_with_failure(*leading.exchange, *leading.transaction->terms, response, labels);
  return true;
}

// The origin has confirmed what is stored.
bool Proxy::serve_freshened(Leading& leading) {
  const auto& response = leading.response;
  if (response.head.status != 304 || !leading.question.validates) return false;
  const auto answer = response_fields(response.head, via_.of(response.head.version), leading.response_time);
  const auto freshened =
      freshen(*leading.transaction, answer, leading.fill->stamp(), leading.request_time, leading.response_time);
  leading.transaction->fetched.not_stored = freshened.reason;
  if (freshened.reason != policy::NotStored::none) leading.leadership.decline();
  serve(leading, freshened.stored, policy::CacheOutcome::revalidated, {});
  return true;
}

// May the answer be stored, for how long, and how long is it?
policy::NotStored Proxy::judge(Leading& leading) const {
  const auto& t = *leading.transaction;
  const auto& head = leading.response.head;
  auto reason = policy::NotStored::none;
  if (leading.completion) {
    leading.lifetime = leading.completion->lifetime;
    leading.length = leading.completion->length;
  } else {
    const auto& rule = t.route().store;
    leading.lifetime = policy::compute_lifetime(head, rule, leading.request_time, leading.response_time);
    leading.length = leading.response.lease.connection().length();
    reason = policy::storable(t.request, head, rule, leading.lifetime, leading.length, shared_.cache.max_object);
    if (head.status == 101) reason = policy::NotStored::upgrade;
    // A part that nobody asked for, or a refresh of the whole that got one.
    if (head.status == 206) reason = policy::NotStored::partial_content;
  }
  if (leading.completion && *leading.length > shared_.cache.max_object) reason = policy::NotStored::too_large;
  return reason;
}

// The answer is for our own client alone, with these labels: followers go on by themselves, and the next do not queue.
Proxy::Labels Proxy::decline(Leading& leading, policy::NotStored reason) {
  const auto& t = *leading.transaction;
  count(&t.route(), reason);
  leading.transaction->fetched.not_stored = reason;
  leading.leadership.decline();
  if (leading.is_listed) {
    shared_.fills.remember_unstorable(t.key.canonical, leading.response_time + shared_.cache.unstorable_memory);
  }
  auto labels = Labels::from_origin(t);
  labels.detail = policy::to_string(reason);
  if (leading.exchange != nullptr) count(*leading.exchange, &t.route(), labels.outcome);
  return labels;
}

// Lets the answer stream through the fill: what of it is here at once, the rest in a coroutine of its own. The origin's
// connection goes back as soon as all is read, however slow our client is.
void Proxy::stream(std::shared_ptr<Leading> shared_leading) {
  auto& leading = *shared_leading;
  const auto& t = *leading.transaction;
  auto& response = leading.response;
  const auto& completion = leading.completion;
  const auto& fill = leading.fill;
  shared_.fills.forget_unstorable(t.key.canonical);
  store::FillHead head;
  head.length = leading.length;
  if (completion) {
    head.status = 200;
    head.reason = http::reason_phrase(200);
    head.fields = http::FieldList::copy_of(completion->fields);
  } else {
    head.status = response.head.status;
    head.reason = response.head.reason;
    head.fields =
        http::FieldList::copy_of(response_fields(response.head, via_.of(response.head.version), leading.response_time));
  }
  head.selecting = selecting_of(t, head.fields);
  head.shared_fields = policy::stored_fields(head.fields, t.route().store);
  head.lifetime = leading.lifetime;
  fill->publish_head(std::move(head));
  auto& connection = response.lease.connection();
  auto& offered = leading.offered;
  if (completion) offered = completion->before;
  // All of it is taken where nothing is in the way.
  while (offered.empty() || append(leading, offered) == store::Append::kept) {
    if (!offered.empty()) continue;
    if (connection.body_done()) break;
    const auto piece = connection.buffered_body();
    if (!piece || piece->empty()) break;
    offered = *piece;
  }
  if (connection.body_done() && offered.empty() && !completion) {
    // The usual answer of an API: all of it came with its head.
    finish_fill(leading);
    response.lease.give_back();
    return;
  }
  asio::co_spawn(context_.get_executor(), pump(std::move(shared_leading)), asio::detached);
}

// Offers the beginning of `rest` to the fill, and takes off it what the fill has taken. Once the body will not be
// stored, nobody new shall wait for it.
store::Append Proxy::append(Leading& leading, std::string_view& rest) {
  const auto piece = rest.substr(0, leading.fill->most_at_once());
  const auto appended = leading.fill->append(piece);
  if (is_taken(appended)) rest.remove_prefix(piece.size());
  if (appended == store::Append::kept || std::exchange(leading.is_unstored, true)) return appended;
  // What there was no room for now may be stored another time.
  const bool is_large = !leading.fill->is_over_budget();
  const auto reason = is_large ? policy::NotStored::too_large : policy::NotStored::fill_budget;
  count(&leading.transaction->route(), reason);
  leading.transaction->fetched.not_stored = reason;
  leading.leadership.leave();
  if (is_large) {
    shared_.fills.remember_unstorable(leading.transaction->key.canonical,
                                      wall_clock() + shared_.cache.unstorable_memory);
  }
  return appended;
}

// Reads the rest of the body into the fill, whether or not its leader's client is still there.
Proxy::Awaitable<void> Proxy::pump(std::shared_ptr<Leading> leading) {
  const auto& t = *leading->transaction;
  const auto& fill = leading->fill;
  auto& response = leading->response;
  auto& leadership = leading->leadership;
  auto& connection = response.lease.connection();
  const auto space = std::make_shared<net::WaitPoint>(context_.get_executor());
  // What is held behind the missing part comes after it.
  const auto behind = [&] {
    const bool is_next = connection.body_done() && leading->completion;
    return is_next ? std::exchange(leading->completion->behind, {}) : std::string_view{};
  };
  auto& offered = leading->offered;
  for (;;) {
    if (offered.empty()) offered = behind();
    if (offered.empty()) {
      if (connection.body_done()) break;
      const auto piece = co_await connection.read_body();
      if (!piece) {
        response.error = piece.error();
        response.fault = connection.fault();
        report_origin_error(t.method, t.target, response);
        count(&t.route(), policy::NotStored::incomplete);
        leading->transaction->fetched.error = response.error;
        leadership.fail(502);
        co_return;
      }
      offered = *piece;
      continue;
    }
    const auto appended = append(*leading, offered);
    if (appended == store::Append::no_reader) {
      leadership.decline();  // who has joined meanwhile goes on alone
      co_return;
    }
    if (appended == store::Append::wait) {
      fill->on_space([space] { space->notify(); });
      co_await space->wait();
    }
  }
  finish_fill(*leading);
}

void Proxy::finish_fill(Leading& leading) {
  const auto& t = *leading.transaction;
  const auto& fill = leading.fill;
  auto body = fill->whole_body();
  store::StoredPtr stored;
  if (body) {
    // Trailers are relayed but not stored (RFC 9110 §6.5.1 lets a recipient discard them), so none are announced.
    const auto head = fill->head();
    auto parts = parts_of(t, fill->stamp(), leading.lifetime, head->fields);
    parts.status = head->status;
    parts.reason = head->reason;
    parts.body = std::move(body);
    remember_credentials(t, parts.key);
    stored = store::StoredResponse::make(std::move(parts));
    leading.transaction->fetched.not_stored = keep(t, stored, fill->stamp());
    supersede(t, *stored);
  }
  leading.leadership.complete(std::move(stored), leading.response.lease.connection().trailers());
}

Proxy::Awaitable<Proxy::Followed> Proxy::follow(net::Exchange& exchange, TransactionPtr transaction,
                                                store::FillReader& reader, bool leads) {
  const auto& t = *transaction;
  std::shared_ptr<net::WaitPoint> changed;
  bool begun = false;
  auto labels = Labels::from_origin(t);
  labels.collapsed = !leads;
  const Following following(leads ? nullptr : &counters_);
  // A client that reads slowly keeps what was stored, also when memory holds it no more.
  exchange.freed_without_reply = [this, &reader]() -> std::size_t {
    const auto stored = reader.fill().stored();
    return stored && !shared_.memory.holds(*stored) ? stored->memory_size() : 0;
  };
  struct Forget {
    net::Exchange& of;
    ~Forget() { of.freed_without_reply = nullptr; }
  } const forget{exchange};
  for (;;) {
    const auto view = reader.view();
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
        } else {
          reply_with_failure_of_fill(exchange, t, view, labels);
        }
        co_return Followed::replied;
      case store::FillPhase::answered:
        co_return serve_answer_of_fill(exchange, t, view, labels);
      case store::FillPhase::streaming:
      case store::FillPhase::complete: {
        if (!begun) {
          const auto refused = leads ? std::nullopt : may_not_read(t, reader, view);
          if (refused) co_return *refused;
          begun = begin_reply_from_fill(exchange, t, view, labels);
          if (!begun) co_return Followed::replied;
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
    if (!changed) changed = std::make_shared<net::WaitPoint>(context_.get_executor());
    reader.on_change(view, [changed] { changed->notify(); });
    co_await changed->wait();
  }
}

// As the leader was told, unless something stored may be served.
void Proxy::reply_with_failure_of_fill(net::Exchange& exchange, const Transaction& transaction,
                                       const store::FillView& view, Labels labels) {
  const auto& t = transaction;
  const auto now = wall_clock();
  OriginResponse failure;
  failure.error = view.failure_error != 0      ? net::make_error_code(static_cast<net::Error>(view.failure_error))
                  : view.failure_status == 504 ? net::make_error_code(net::Error::origin_timeout)
                                               : net::make_error_code(net::Error::origin_closed);
  if (may_serve_on_error(t, now)) {
    const auto shed = shed_by(failure.error);
    const auto stale = Labels::from_cache(policy::CacheOutcome::stale, t.stale->lifetime(), now,
                                          shed ? to_string(*shed) : std::string_view{});
    count(exchange, &t.route(), stale.outcome);
    const auto form = acceptable_form(t, t.stale);
    serve_stored(exchange, *t.terms, t.request, form ? form : t.stale, stale, now);
    return;
  }
  count(exchange, &t.route(), labels.outcome);
  reply_with_failure(exchange, *t.terms, failure, labels);
}

// The fill was answered with a stored response: serves it where this request may have it.
Proxy::Followed Proxy::serve_answer_of_fill(net::Exchange& exchange, const Transaction& transaction,
                                            const store::FillView& view, Labels labels) {
  const auto& t = transaction;
  const auto now = wall_clock();
  if (!policy::selecting_fields_match(view.stored->selecting(), t.fields)) return Followed::other_variant;
  // A part that was refreshed in the background; or something that was purged before we came.
  if (!view.stored->can_answer(t.request) || !is_alive(*view.stored)) return Followed::go_alone;
  const auto& lifetime = view.stored->lifetime();
  // The leader's directives are not ours.
  if (view.outcome != policy::CacheOutcome::revalidated &&
      policy::decide_reuse(lifetime, t.client, now).use == policy::Use::revalidate &&
      (view.outcome != policy::CacheOutcome::stale || !policy::may_serve_on_error(lifetime, t.client, now))) {
    return Followed::go_alone;
  }
  const auto form = acceptable_form(t, view.stored);
  if (!form) return Followed::go_alone;
  auto answer = Labels::from_cache(view.outcome, lifetime, now, {});
  answer.collapsed = labels.collapsed;
  if (view.outcome == policy::CacheOutcome::revalidated) answer.forward = labels.forward;
  count(exchange, &t.route(), answer.outcome);
  if (answer.outcome == policy::CacheOutcome::hit) exchange.latency = &counters_.latency(LatencyOf::redis_hit);
  serve_stored(exchange, *t.terms, t.request, form, answer, now);
  return Followed::replied;
}

// Why a follower must not have the response that streams, if it must not.
std::optional<Proxy::Followed> Proxy::may_not_read(const Transaction& transaction, store::FillReader& reader,
                                                   const store::FillView& view) const {
  const auto& t = transaction;
  if (!policy::selecting_fields_match(view.head->selecting, t.fields)) return Followed::other_variant;
  // Only now is it known to which groups it belongs; one of them may have been purged before we came.
  const auto tags = tags_of(t, t.tags, view.head->fields);
  auto subject = t.subject();
  subject.tags = tags;
  const bool is_alive = shared_.log.alive_since(subject, reader.fill().stamp().sequence) == store::Liveness::alive;
  return is_alive ? std::nullopt : std::optional(Followed::go_alone);
}

// False where that was the whole reply.
bool Proxy::begin_reply_from_fill(net::Exchange& exchange, const Transaction& transaction, const store::FillView& view,
                                  Labels labels) {
  const auto& t = transaction;
  const auto now = wall_clock();
  const bool leads = !labels.collapsed;
  labels.forward_status = view.head->status;
  labels.stored = view.phase == store::FillPhase::complete && view.stored != nullptr;
  count(exchange, &t.route(), labels.outcome);
  const auto age = view.head->lifetime.current_age(now);
  const bool had_age = http::find(view.head->fields, "Age") != nullptr;
  if (!leads || had_age) labels.age = age;
  labels.ttl = view.head->lifetime.freshness_lifetime - age;
  labels.source = view.head->lifetime.source;
  // What no-cache="..." and private="..." list is for the leader's client alone, and is not stored.
  const bool is_whole_head = !leads || !policy::lists_fields(view.head->fields);
  if (labels.stored && is_whole_head) {
    serve_stored(exchange, *t.terms, t.request, view.stored, labels, now);
    return false;
  }
  auto fields = http::FieldList::view_of(leads ? view.head->fields : view.head->shared_fields);
  fields.remove("Age");  // written anew among the labels
  hide_targeted_fields(*t.terms, fields);
  http::ResponseHead head{
      .status = view.head->status, .reason = view.head->reason, .version = http::Version::http_1_1, .fields = fields};
  lines_.clear();
  append_labels(lines_, *t.terms, labels, exchange);
  if (http::evaluate_for_cache(t.method, t.fields, head.status, head.fields, now) == http::Precondition::not_modified) {
    head.status = 304;
    head.reason = {};
    exchange.reply.begin(head, lines_, std::nullopt);
    exchange.reply.finish({});
    return false;
  }
  exchange.reply.begin(head, lines_, view.head->length);
  return true;
}

// One refresh at a time: only who leads the fill does anything. The transaction is the refresh's from here on.
void Proxy::refresh_in_background(const TransactionPtr& transaction) {
  if (transaction->method == "HEAD") return;
  const auto& join_key = transaction->key.canonical;
  auto ticket = shared_.fills.join(join_key, transaction->subject(), shared_.log, wall_clock());
  if (ticket.role != store::FillRole::lead) return;
  transaction->reason = policy::NotReused::stale;
  asio::co_spawn(context_.get_executor(), lead(nullptr, transaction, join_key, ticket.fill), asio::detached);
}

}  // namespace larder::proxy
