// The way of every request that is not a plain hit in memory.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <charconv>
#include <cstdint>
#include <limits>

#include "larder/http/conditional.hpp"
#include "larder/http/hop_by_hop.hpp"
#include "larder/http/target.hpp"
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
      terms_(std::make_shared<const Terms>(Terms{.rules = shared.rules,
                                                 .other_rules = nullptr,
                                                 .trust_forwarded = shared.trust_forwarded,
                                                 .preserve_host = shared.preserve_host,
                                                 .tunnel_idle_timeout = shared.tunnel_idle_timeout})) {}

void Proxy::adopt(TermsPtr terms) {
  counters_.routes.grow(terms->rules->counted.size());
  match_ = {};  // it points into the rules before
  ++named_;     // and nobody goes on from there
  terms_ = std::move(terms);
}

net::Handler Proxy::handler() {
  return {.answer_at_once = [this](net::Exchange& exchange) { return answer_at_once(exchange); },
          .answer = [this](net::Exchange& exchange) { return answer(exchange); }};
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

// Bodies of QUERY up to this many bytes are read whole and make a key.
constexpr std::uint64_t largest_query = 64UL << 10;

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
  if (const auto why = is_lately_unstorable(exchange)) {
    return pass(exchange, terms_, *why, policy::cache_key(exchange.request, match_, canonical_), *match_.route);
  }
  if (auto key = key_to_ask_redis_for(exchange)) {
    return ask_redis_first(exchange, terms_, std::move(*key), *match_.route);
  }
  // From here on only end-to-end fields count, for the key as for the origin.
  auto fields = http::FieldList::view_of(exchange.request.fields);
  http::remove_hop_by_hop(fields);
  auto request = exchange.request;
  request.fields = fields;
  auto reason = policy::NotReused::method;
  const policy::Route* route = nullptr;
  if (request.method == "GET" || request.method == "HEAD") {
    route = terms_->rules->match_cache(request.method, request.path()).route;
    if (route == nullptr) {
      reason = policy::NotReused::no_route;
    } else if (route->cache_off) {
      reason = policy::NotReused::route_off;
    } else if (asks_for_upgrade(exchange.request)) {
      reason = policy::NotReused::upgrade;
    } else if (exchange.body != nullptr || http::has_origin_preconditions(fields)) {
      reason = policy::NotReused::expectation;
    } else {
      return get(exchange, make_transaction(terms_, request, exchange.client_address, std::nullopt));
    }
  }
  return answer_uncached(exchange, terms_, std::move(fields), route, reason);
}

// All but GET and HEAD, and what of these the cache has no part in, for that reason.
Proxy::Awaitable<void> Proxy::answer_uncached(net::Exchange& exchange, TermsPtr terms, http::FieldList fields,
                                              const policy::Route* route, policy::NotReused reason) {
  const bool passes = pass_max_forwards(exchange.request.method, fields);
  auto request = exchange.request;
  request.fields = fields;
  if (!passes) {
    reply_with_text(exchange.reply, request.method == "OPTIONS" ? 200 : 405, "Max-Forwards is used up here");
    co_return;
  }
  if (request.method == "QUERY") {
    route = terms->rules->match_cache(request.method, request.path()).route;
    const bool is_small = exchange.body == nullptr || exchange.body->length().value_or(0) <= largest_query;
    if (route == nullptr) {
      reason = policy::NotReused::no_route;
    } else if (route->cache_off) {
      reason = policy::NotReused::route_off;
    } else if (!is_small || exchange.expects_continue || http::has_origin_preconditions(fields)) {
      reason = policy::NotReused::expectation;
    } else {
      co_await query(exchange, terms, request, route);
      co_return;
    }
  } else if (!http::is_safe(request.method)) {
    co_await write(exchange, terms, request);
    co_return;
  }
  counters_.count(reason);
  Labels labels;
  labels.outcome = policy::CacheOutcome::bypass;
  labels.forward = forward_reason(reason);
  labels.detail = policy::to_string(reason);
  co_await relay(exchange, *terms, request, labels, route);
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
  const auto identity = t.route().identity ? policy::identity_of(*t.route().identity, t.request) : std::nullopt;
  for (const auto& tag : t.route().tags) {
    if (auto value = policy::expand(tag, t.request, t.match.captures, identity)) t.tags.push_back(std::move(*value));
  }
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
  const auto lifetime = stored->lifetime();
  const auto reuse = policy::decide_reuse(lifetime, t.client, now);
  const auto form = acceptable_form(t, stored);
  if (!form) {
    t.reason = policy::NotReused::vary_miss;
    return false;
  }
  if (reuse.use == policy::Use::revalidate || !stored->can_answer(t.request)) {
    t.stale = stored;
    t.reason = reuse.use == policy::Use::revalidate ? reuse.reason : policy::NotReused::incomplete;
    return false;
  }
  const auto outcome = reuse.use == policy::Use::serve ? policy::CacheOutcome::hit : policy::CacheOutcome::stale;
  const auto labels = Labels::from_cache(outcome, lifetime, now, tier);
  count(&t.route(), labels.outcome);
  serve_stored(exchange, *t.terms, t.request, form, labels, now);
  if (reuse.use == policy::Use::serve_stale_and_revalidate) {
    t.stale = stored;
    refresh_in_background(transaction);
  }
  return true;
}

Proxy::Awaitable<void> Proxy::get(net::Exchange& exchange, TransactionPtr transaction) {
  auto& t = *transaction;
  if (remote_ != nullptr) t.redis_until = remote_->deadline_from_now();
  bool current = true;
  if (shared_.coherence == Coherence::strict) {
    current = remote_ != nullptr;
    if (current) current = co_await remote_->confirm_clock(t.redis_until);
  }
  t.may_ask_redis = current && remote_ != nullptr && !t.found_in_redis;
  t.may_join = current && (shared_.bus == nullptr ? !shared_.is_doubled.load(std::memory_order_relaxed)
                                                  : shared_.bus->trust() == Trust::whole);
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
      counters_.redis_hits.add();
      co_return;
    }
  }
  // A fill's leader asks Redis for all who follow; what cannot be shared asks by itself.
  const bool wants_range = t.method == "GET" && http::find(t.fields, "Range") != nullptr;
  if (t.method == "HEAD" || wants_range || t.client.only_if_cached) {
    bool usable = asks_redis(t);
    if (usable) usable = co_await look_up_remote(transaction);
    const auto stored = t.stale;
    if (usable && serve_if_usable(exchange, transaction, stored, "redis")) {
      counters_.redis_hits.add();
      co_return;
    }
  }
  if (t.client.only_if_cached) {
    counters_.count(t.reason);
    const auto line = "X-Cache: MISS\r\nX-Cache-Key: " + t.key.key + "\r\n";
    reply_with_text(exchange.reply, 504, "not stored, and the request says only-if-cached", line);
    co_return;
  }
  if (t.method == "HEAD") {
    co_await head(exchange, transaction);
    co_return;
  }
  if (t.client.no_store) {
    counters_.count(t.reason);
    counters_.count(policy::NotStored::request_no_store);
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
      reply_with_failure(exchange, failure, {});
      co_return;
    }
    if (piece->empty()) break;
    content += *piece;
    if (content.size() <= largest_query) continue;
    ResumedBody whole(std::move(content), *exchange.body);
    exchange.body = &whole;
    counters_.count(policy::NotReused::expectation);
    Labels labels;
    labels.forward = forward_reason(policy::NotReused::expectation);
    labels.detail = policy::to_string(policy::NotReused::expectation);
    co_await relay(exchange, *terms, request, labels, route);
    co_return;
  }
  auto transaction = make_transaction(terms, request, exchange.client_address, std::move(content));
  co_await get(exchange, std::move(transaction));
}

}  // namespace larder::proxy
