// The way of every request that is not a plain hit in memory.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <charconv>
#include <cstdint>
#include <limits>

#include "larder/http/conditional.hpp"
#include "larder/http/hop_by_hop.hpp"
#include "larder/http/target.hpp"
#include "larder/http/trace_context.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

Proxy::Proxy(Shared& shared, boost::asio::io_context& context, net::DeadlineWheel& wheel, net::OriginPool& origins,
             RemoteStore* remote, WorkerCounters& counters)
    : shared_(shared),
      context_(context),
      wheel_(wheel),
      origins_(origins),
      remote_(remote),
      counters_(counters),
      via_(shared.cache.node_name),
      random_(random_number()),
      terms_(std::make_shared<const Terms>(Terms{.rules = shared.rules,
                                                 .other_rules = nullptr,
                                                 .trust_forwarded = shared.trust_forwarded,
                                                 .preserve_host = shared.preserve_host,
                                                 .tunnel_idle_timeout = shared.tunnel_idle_timeout,
                                                 .admin_token = shared.admin_token})) {}

void Proxy::adopt(TermsPtr terms) {
  counters_.routes.grow(terms->rules->counted.size());
  match_ = {};  // it points into the rules before
  ++named_;     // and nobody goes on from there
  terms_ = std::move(terms);
}

net::Handler Proxy::handler() {
  return {.answer_at_once = [this](net::Exchange& exchange) { return answer_at_once(exchange); },
          .answer = [this](net::Exchange& exchange) { return answer(exchange); },
          .excess = [this] { return shared_.memory.excess(); },
          .freed_without = [this](const void* retained,
                                  void (*release)(const void*)) { return freed_without(retained, release); }};
}

policy::PurgeSubject Proxy::Transaction::subject() const noexcept {
  return {.key = key.key,
          .base_key = key.key,
          .type = route().type->name,
          .origin = origin,
          .target = purge_target,
          .tags = tags};
}

namespace {

// Max-Forwards (RFC 9110 §7.6.2) is for OPTIONS and TRACE only. Returns false where the request ends here.
bool pass_max_forwards(std::string_view method, http::FieldList& fields) {
  if (method != "OPTIONS" && method != "TRACE") return true;
  const auto* field = http::find(fields, "Max-Forwards");
  if (field == nullptr) return true;
  std::uint32_t left = 0;
  const auto text = field->value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), left);
  if (end != text.data() + text.size() || text.empty()) return true;  // no number: nothing to count
  if (error == std::errc::result_out_of_range) left = std::numeric_limits<std::uint32_t>::max();
  if (left == 0) return false;
  fields.set("Max-Forwards", std::to_string(left - 1));
  return true;
}

}  // namespace

bool Proxy::is_trusted(const store::StoredResponse& stored, policy::TimePoint now) const noexcept {
  if (shared_.bus == nullptr) return !shared_.is_doubled.load(std::memory_order_relaxed);
  switch (shared_.bus->trust()) {
    case Trust::whole:
      return true;
    case Trust::bounded:
      return now - stored.lifetime().response_time <= shared_.coherence_bound;
    case Trust::none:
      return false;
  }
  return false;
}

// What was found alive may have been purged while we waited for something.
bool Proxy::is_alive(const store::StoredResponse& stored) const {
  return shared_.log.alive_since(stored.subject(), stored.stamp().sequence) == store::Liveness::alive;
}

// Is every purge of the fleet known here, so that what others fetch is of use? `current`: as far as Redis was asked.
bool Proxy::may_join(bool current) const noexcept {
  if (!current) return false;
  return shared_.bus == nullptr ? !shared_.is_doubled.load(std::memory_order_relaxed)
                                : shared_.bus->trust() == Trust::whole;
}

// May what is stale be served because the origin failed? (RFC 5861 §4)
bool Proxy::may_serve_on_error(const Transaction& transaction, policy::TimePoint now) const {
  const auto& t = transaction;
  return t.stale && t.reason != policy::NotReused::epoch && t.stale->can_answer(t.request) && is_alive(*t.stale) &&
         policy::may_serve_on_error(t.stale->lifetime(), t.client, now);
}

// Does an answer of the origin's (a 304, or the head of a 200) speak of this very response? What a purge has killed
// since it was looked up only a strong validator can bring back to life: others may be equal before and after a write.
bool Proxy::is_confirmed_by(const store::StoredResponse& stored, http::FieldSpan answer_fields) const {
  return is_alive(stored) || policy::share_strong_validator(stored.fields(), answer_fields);
}

Proxy::Awaitable<void> Proxy::answer(net::Exchange& exchange) {
  counters_.requests.add();
  identify(exchange);
  if (shared_.trace.make_traceparent && !http::find_traceparent(exchange.request.fields)) {
    const auto high = random_();
    const auto low = random_();
    exchange.traceparent = http::make_traceparent(high, low, random_());
    if (exchange.record != nullptr) exchange.record->traceparent.assign(exchange.traceparent);
  }
  if (const auto why = is_lately_unstorable(exchange)) {
    return pass(exchange, terms_, *why, policy::cache_key(exchange.request, match_, canonical_), *match_.route);
  }
  if (auto key = key_to_ask_redis_for(exchange)) {
    return ask_redis_first(exchange, terms_, std::move(*key), *match_.route);
  }
  // From here on only end-to-end fields count, for the key as for the origin.
  auto fields = http::FieldList::view_of(exchange.request.fields);
  http::remove_hop_by_hop(fields);
  if (exchange.request.control.has(http::ControlField::explanation)) fields.remove(http::explain_field);
  auto request = exchange.request;
  request.fields = fields;
  const auto& body = exchange.body;
  const auto admission = policy::admit(*terms_->rules, request,
                                       {.has_body = body != nullptr,
                                        .body_length = body != nullptr ? body->length() : std::nullopt,
                                        .expects_continue = exchange.expects_continue,
                                        .asks_for_upgrade = http::asks_for_upgrade(exchange.request)});
  if (admission.way == policy::Way::look_up) {
    return get(exchange, make_transaction(terms_, request, exchange.client_address, std::nullopt));
  }
  return answer_uncached(exchange, terms_, std::move(fields), admission);
}

// All but GET and HEAD, and what of these the cache has no part in.
Proxy::Awaitable<void> Proxy::answer_uncached(net::Exchange& exchange, TermsPtr terms, http::FieldList fields,
                                              policy::Admission admission) {
  const bool passes = pass_max_forwards(exchange.request.method, fields);
  auto request = exchange.request;
  request.fields = fields;
  if (!passes) {
    reply_with_text(exchange.reply, request.method == "OPTIONS" ? 200 : 405, "Max-Forwards is used up here");
    co_return;
  }
  if (admission.way == policy::Way::query) {
    co_await query(exchange, terms, request, admission.route);
    co_return;
  }
  if (admission.way == policy::Way::write) {
    co_await write(exchange, terms, request);
    co_return;
  }
  count(admission.route, admission.reason);
  Labels labels;
  labels.outcome = policy::CacheOutcome::bypass;
  labels.reason = admission.reason;
  labels.forward = forward_reason(admission.reason);
  labels.detail = policy::to_string(admission.reason);
  co_await relay(exchange, *terms, request, labels, admission.route);
}

// Of a GET or HEAD without a body.
Proxy::TransactionPtr Proxy::make_end_to_end_transaction(const TermsPtr& terms, const net::Exchange& exchange) const {
  auto fields = http::FieldList::view_of(exchange.request.fields);
  http::remove_hop_by_hop(fields);
  auto request = exchange.request;
  request.fields = fields;
  return make_transaction(terms, request, exchange.client_address, std::nullopt);
}

Proxy::TransactionPtr Proxy::make_transaction(const TermsPtr& terms, const http::RequestHead& request,
                                              std::string_view client_address,
                                              std::optional<std::string> content) const {
  auto transaction = std::make_shared<Transaction>();
  auto& t = *transaction;
  t.terms = terms;
  const auto& rules = *terms->rules;
  t.method = request.method;
  t.target = request.target;
  t.scheme = request.scheme;
  t.authority = request.authority;
  t.client_address = client_address;
  t.fields = http::FieldList::copy_of(request.fields);
  t.request = {.method = t.method,
               .target = t.target,
               .scheme = t.scheme,
               .authority = t.authority,
               .version = request.version,
               .fields = t.fields};
  // Matched again, because captures are views into the path.
  t.match = rules.match_cache(t.method, t.request.path());
  if (t.route().key_has_host) t.origin = http::origin_text(t.scheme, t.authority);
  if (rules.honour_client_directives) t.client = policy::parse_request_cache_control(t.fields);
  t.purge_target = policy::purge_target(t.request, t.route());
  t.path_size = policy::canonical_request(t.request, t.match, t.key.canonical);
  t.key.key = policy::cache_key(t.request, t.match, t.key.canonical);
  if (content) {
    policy::add_query_content(t.key, t.fields, *content);
    t.content = std::move(content);
  }
  if (t.content || !rules.honour_no_vary_search) t.path_size = 0;
  if (t.path_size > 0 && !shared_.variances.empty()) {
    const auto path = std::string_view(t.key.canonical).substr(0, t.path_size);
    for (const auto& variance : shared_.variances.find(path)) t.varied_keys.push_back(key_under(t, variance));
  }
  t.tags = policy::rule_tags(t.match, t.request);
  return transaction;
}

policy::CacheKey Proxy::key_under(const Transaction& transaction, const policy::QueryVariance& variance) const {
  const auto& t = transaction;
  policy::CacheKey key;
  key.canonical = policy::canonical_modulo(t.key.canonical, t.path_size, t.match, t.request, variance);
  key.key = policy::cache_key(t.request, t.match, key.canonical);
  return key;
}

// Under its own query first, then under what responses of its path have said does not matter.
store::Lookup Proxy::find_in_memory(const Transaction& transaction, bool count_hit) {
  const auto& t = transaction;
  auto found = shared_.memory.find(t.key.canonical, t.fields, count_hit);
  const bool was_dead = named_reason_ == policy::NotReused::purged || named_reason_ == policy::NotReused::epoch;
  if (was_dead && found.reason == policy::NotReused::absent && t.key.canonical == canonical_) {
    // The look-up of answer_at_once() has removed it.
    found.reason = std::exchange(named_reason_, policy::NotReused::absent);
  }
  for (const auto& key : t.varied_keys) {
    if (found.stored) break;
    auto varied = shared_.memory.find(key.canonical, t.fields, count_hit);
    if (varied.stored || found.reason == policy::NotReused::absent) found = std::move(varied);
  }
  return found;
}

// Serves a stored response where its freshness, the client's directives and what of it is held allow; else remembers it
// as stale, with the reason.
bool Proxy::serve_if_usable(net::Exchange& exchange, const TransactionPtr& transaction, const store::StoredPtr& stored,
                            std::string_view tier) {
  auto& t = *transaction;
  const auto now = wall_clock();
  const auto use = usability(t, stored, now);
  if (use.reason != policy::NotReused::none) {
    if (use.form) t.stale = stored;
    t.reason = use.reason;
    return false;
  }
  const bool is_fresh_use = use.reuse.use == policy::Use::serve;
  const auto outcome = is_fresh_use ? policy::CacheOutcome::hit : policy::CacheOutcome::stale;
  auto labels = Labels::from_cache(outcome, stored->lifetime(), now, tier);
  labels.reason = use.reuse.reason;
  count(exchange, &t.route(), labels.outcome);
  serve_stored(exchange, *t.terms, t.request, use.form, labels, now);
  if (t.route().verify_ppm > 0 && use.form == stored && is_fresh_use) {
    verify_by_chance(exchange, t.terms, t.route(), stored);
  }
  if (use.reuse.use == policy::Use::serve_stale_and_revalidate) {
    t.stale = stored;
    refresh_in_background(transaction);
  }
  return true;
}

Proxy::Awaitable<void> Proxy::get(net::Exchange& exchange, TransactionPtr transaction) {
  auto& t = *transaction;
  if (t.route().is_shadow) {
    co_await shadow(exchange, std::move(transaction));
    co_return;
  }
  if (remote_ != nullptr) t.redis_until = remote_->deadline_from_now();
  bool current = true;
  if (shared_.coherence == Coherence::strict) {
    current = remote_ != nullptr;
    const net::AccessLap lap(remote_ != nullptr ? exchange.record : nullptr, &net::AccessRecord::redis);
    if (current) current = co_await remote_->confirm_clock(t.redis_until);
  }
  t.may_ask_redis = current && remote_ != nullptr && !t.found_in_redis;
  t.may_join = may_join(current);
  // The plain look-up has counted the hit already, except where there was none.
  auto found = find_in_memory(t, shared_.coherence == Coherence::strict || !t.varied_keys.empty());
  if (found.stored && (!current || !is_trusted(*found.stored, wall_clock()))) {
    // It may have been purged by a node that we cannot hear; it may still be confirmed by the origin.
    t.stale = found.stored;
    t.reason = policy::NotReused::epoch;
  } else if (found.stored) {
    if (serve_if_usable(exchange, transaction, found.stored, "memory")) {
      counters_.memory_hits.add();
      co_return;
    }
  } else {
    t.reason = found.reason;
  }

  if (t.found_in_redis && absorb_remote(t, std::move(*t.found_in_redis))) {
    const auto stored = t.stale;
    if (serve_if_usable(exchange, transaction, stored, "redis")) {
      count_redis_hit(&exchange);
      co_return;
    }
  }
  // A fill's leader asks Redis for all who follow; what cannot be shared asks by itself.
  const bool wants_range = t.method == "GET" && http::find(t.fields, "Range") != nullptr;
  if (t.method == "HEAD" || wants_range || t.client.only_if_cached) {
    bool usable = asks_redis(t);
    const net::AccessLap lap(remote_ != nullptr ? exchange.record : nullptr, &net::AccessRecord::redis);
    if (usable) usable = co_await look_up_remote(transaction);
    const auto stored = t.stale;
    if (usable && serve_if_usable(exchange, transaction, stored, "redis")) {
      count_redis_hit(&exchange);
      co_return;
    }
  }
  if (t.client.only_if_cached) {
    count(&t.route(), t.reason);
    auto labels = Labels::from_origin(t);
    labels.is_local = true;
    if (exchange.record != nullptr) note_route(*exchange.record, t.route());
    std::string lines;
    append_labels(lines, *t.terms, labels, exchange);
    reply_with_text(exchange.reply, 504, "not stored, and the request says only-if-cached", lines);
    co_return;
  }
  if (t.method == "HEAD") {
    co_await head(exchange, transaction);
    co_return;
  }
  if (t.client.no_store) {
    count(&t.route(), t.reason);
    count(&t.route(), policy::NotStored::request_no_store);
    auto labels = Labels::from_origin(t);
    labels.detail = policy::to_string(policy::NotStored::request_no_store);
    co_await relay(exchange, *t.terms, t.request, labels, &t.route(), t.content ? &*t.content : nullptr);
    co_return;
  }
  co_await miss(exchange, transaction);
}

namespace {

// A body of which some was read already.
class ResumedBody final : public net::RequestBody {
 public:
  ResumedBody(std::string already_read, net::RequestBody& rest) : first_(std::move(already_read)), rest_(rest) {}

  net::Awaitable<net::Result<std::string_view>> read() override {
    if (!std::exchange(is_first_read_, true)) co_return std::string_view(first_);
    const auto piece = co_await rest_.read();
    co_return piece;
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return rest_.length(); }
  [[nodiscard]] const http::FieldList& trailers() const override { return rest_.trailers(); }
  void cancel() override { rest_.cancel(); }

 private:
  const std::string first_;
  net::RequestBody& rest_;
  bool is_first_read_ = false;
};

}  // namespace

// QUERY is a GET whose content is part of the key (RFC 10008 §2.7). What is too large for a key is relayed.
Proxy::Awaitable<void> Proxy::query(net::Exchange& exchange, const TermsPtr& terms, const http::RequestHead& request,
                                    const policy::Route* route) {
  std::string content;
  while (exchange.body != nullptr) {
    const auto piece = co_await exchange.body->read();
    if (!piece) {
      OriginResponse failure;
      failure.error = piece.error();
      reply_with_failure(exchange, *terms, failure, {});
      co_return;
    }
    if (piece->empty()) break;
    content += *piece;
    if (content.size() <= policy::largest_query) continue;
    ResumedBody whole(std::move(content), *exchange.body);
    exchange.body = &whole;
    count(route, policy::NotReused::expectation);
    Labels labels;
    labels.reason = policy::NotReused::expectation;
    labels.forward = forward_reason(policy::NotReused::expectation);
    labels.detail = policy::to_string(policy::NotReused::expectation);
    co_await relay(exchange, *terms, request, labels, route);
    co_return;
  }
  auto transaction = make_transaction(terms, request, exchange.client_address, std::move(content));
  co_await get(exchange, std::move(transaction));
}

}  // namespace larder::proxy
