// The way of every request that is not a plain hit in memory.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <charconv>

#include "larder/http/conditional.hpp"
#include "larder/http/hop_by_hop.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

Proxy::Proxy(Shared& shared, boost::asio::io_context& context, net::DeadlineWheel& wheel, net::OriginPool& origins,
             RemoteStore* remote, WorkerCounters& counters)
    : shared_(shared), context_(context), wheel_(wheel), origins_(origins), remote_(remote), counters_(counters) {}

net::Handler Proxy::handler() {
  return {.answer_at_once = [this](net::Exchange& exchange) { return answer_at_once(exchange); },
          .answer = [this](net::Exchange& exchange) { return answer(exchange); }};
}

policy::PurgeSubject Proxy::Transaction::subject() const noexcept {
  return {.key = key.key, .base_key = key.key, .type = route().type->name, .target = target, .tags = tags};
}

namespace {

// Max-Forwards (RFC 9110 §7.6.2) is for OPTIONS and TRACE only. Returns false where the request ends here.
bool pass_max_forwards(std::string_view method, http::FieldList& fields) {
  if (method != "OPTIONS" && method != "TRACE") return true;
  const auto* field = http::find(fields, "Max-Forwards");
  if (field == nullptr) return true;
  unsigned left = 0;
  const auto text = field->value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), left);
  if (error != std::errc{} || end != text.data() + text.size()) return true;
  if (left == 0) return false;
  fields.set("Max-Forwards", std::to_string(left - 1));
  return true;
}

}  // namespace

bool Proxy::is_trusted(const store::StoredResponse& stored, policy::TimePoint now) const noexcept {
  if (shared_.bus == nullptr) return true;
  switch (shared_.bus->trust()) {
    case Trust::whole:
      return true;
    case Trust::bounded:
      return now - stored.parts().lifetime.response_time <= shared_.coherence_bound;
    case Trust::none:
      return false;
  }
  return false;
}

Proxy::Awaitable<void> Proxy::answer(net::Exchange& exchange) {
  counters_.requests.add();
  // From here on only end-to-end fields count, for the key as for the origin.
  auto fields = http::FieldList::copy_of(exchange.request.fields);
  http::remove_hop_by_hop(fields);
  auto request = exchange.request;
  const bool passes = pass_max_forwards(request.method, fields);
  request.fields = fields;
  if (!passes) {
    reply_with_text(exchange.reply, request.method == "OPTIONS" ? 200 : 405, "Max-Forwards is used up here");
    co_return;
  }

  Labels labels;
  auto reason = policy::NotReused::method;
  const policy::Route* route = nullptr;
  if (request.method == "GET" || request.method == "HEAD") {
    const auto match = shared_.rules->match_cache(request.method, request.path());
    route = match.route;
    if (route == nullptr) {
      reason = policy::NotReused::no_route;
    } else if (route->cache_off) {
      reason = policy::NotReused::route_off;
    } else if (asks_for_upgrade(exchange.request)) {
      reason = policy::NotReused::upgrade;
    } else if (exchange.body != nullptr || http::has_origin_preconditions(fields)) {
      reason = policy::NotReused::expectation;
    } else {
      co_await get(exchange, request);
      co_return;
    }
  } else if (!http::is_safe(request.method)) {
    co_await write(exchange, request);
    co_return;
  }
  counters_.count(reason);
  labels.outcome = policy::CacheOutcome::bypass;
  labels.forward = forward_reason(reason);
  labels.detail = policy::to_string(reason);
  co_await relay(exchange, request, labels, route);
}

Proxy::TransactionPtr Proxy::make_transaction(const http::RequestHead& request, std::string_view client_address) const {
  auto transaction = std::make_shared<Transaction>();
  auto& t = *transaction;
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
  t.match = shared_.rules->match_cache(t.method, t.request.path());
  if (shared_.rules->honour_client_directives) t.client = policy::parse_request_cache_control(t.fields);
  policy::canonical_request(t.request, t.match, t.key.canonical);
  t.key.key = policy::cache_key(t.request, t.match, t.key.canonical);
  const auto identity = t.route().identity ? policy::identity_of(*t.route().identity, t.request) : std::nullopt;
  for (const auto& tag : t.route().tags) {
    if (auto value = policy::expand(tag, t.request, t.match.captures, identity)) t.tags.push_back(std::move(*value));
  }
  return transaction;
}

Proxy::Awaitable<void> Proxy::get(net::Exchange& exchange, const http::RequestHead& request) {
  const auto transaction = make_transaction(request, exchange.client_address);
  auto& t = *transaction;
  const auto* route = &t.route();

  if (remote_ != nullptr) t.redis_until = remote_->deadline_from_now();
  bool current = true;
  if (shared_.coherence == Coherence::strict) {
    current = remote_ != nullptr;
    if (current) current = co_await remote_->confirm_clock(t.redis_until);
  }
  // The plain look-up has counted the hit already, except where there was none.
  auto found = shared_.memory.find(t.key.canonical, t.fields, shared_.coherence == Coherence::strict);
  const auto now = wall_clock();
  if (found.stored && (!current || !is_trusted(*found.stored, now))) {
    // It may have been purged by a node that we cannot hear; it may still be confirmed by the origin.
    t.stale = found.stored;
    t.reason = policy::NotReused::epoch;
  } else if (found.stored) {
    const auto& lifetime = found.stored->parts().lifetime;
    const auto reuse = policy::decide_reuse(lifetime, t.client, now);
    if (reuse.use != policy::Use::revalidate) {
      Labels labels;
      labels.outcome = reuse.use == policy::Use::serve ? policy::CacheOutcome::hit : policy::CacheOutcome::stale;
      labels.ttl = lifetime.freshness_lifetime - lifetime.current_age(now);
      labels.age = lifetime.current_age(now);
      labels.detail = "memory";
      counters_.memory_hits.add();
      count(route, labels.outcome);
      serve_stored(exchange, t.request, found.stored, labels, now);
      if (reuse.use == policy::Use::serve_stale_and_revalidate) refresh_in_background(transaction);
      co_return;
    }
    t.stale = found.stored;
    t.reason = reuse.reason;
  } else {
    t.reason = found.reason;
  }

  if (t.client.only_if_cached) {
    counters_.count(t.reason);
    const auto line = "X-Cache: MISS\r\nX-Cache-Key: " + t.key.key + "\r\n";
    reply_with_text(exchange.reply, 504, "not stored, and the request says only-if-cached", line);
    co_return;
  }
  const bool range = http::find(t.fields, "Range") != nullptr;
  if (t.method == "HEAD" || range || t.client.no_store) {
    // Passed on as it stands; its answer is no whole representation, or must not be stored.
    counters_.count(t.reason);
    counters_.count(range               ? policy::NotStored::range_request
                    : t.client.no_store ? policy::NotStored::request_no_store
                                        : policy::NotStored::method);
    Labels labels;
    labels.outcome = policy::CacheOutcome::miss;
    labels.key = t.key.key;
    labels.forward = forward_reason(t.reason);
    co_await relay(exchange, t.request, labels, route);
    co_return;
  }
  co_await miss(exchange, transaction);
}

}  // namespace larder::proxy
