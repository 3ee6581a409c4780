// HEAD that no stored response answers: relayed, and what it tells of a later GET is kept (RFC 9111 §4.3.5).
#include "larder/policy/storable.hpp"
#include "larder/policy/validation.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

Proxy::Awaitable<void> Proxy::head(net::Exchange& exchange, TransactionPtr transaction) {
  auto& t = *transaction;
  count(&t.route(), t.reason);
  const auto stamp = shared_.log.stamp();
  const auto request_time = wall_clock();
  const auto origin = origin_request(&exchange, *t.terms, t.request, t.client_address);
  OriginResponse response;
  {
    const net::AccessLap lap(exchange.record, &net::AccessRecord::origin);
    co_await fetch(origins_, origin, response);
  }
  const auto response_time = wall_clock();
  if (response.error) report_origin_error(t.method, t.target, response);
  const auto shed = shed_by(response.error);
  if ((response.error || policy::is_server_failure(response.head.status)) && may_serve_on_error(t, response_time)) {
    const auto stale = Labels::from_cache(policy::CacheOutcome::stale, t.stale->lifetime(), response_time,
                                          shed             ? to_string(*shed)
                                          : response.error ? "origin_error"
                                                           : "origin_5xx");
    count(exchange, &t.route(), stale.outcome);
    const auto form = acceptable_form(t, t.stale);
    serve_stored(exchange, *t.terms, t.request, form ? form : t.stale, stale, response_time);
    co_return;
  }
  auto labels = Labels::from_origin(t);
  count(exchange, &t.route(), labels.outcome);
  if (response.error) {
    labels.detail = "origin_error";
    reply_with_failure(exchange, *t.terms, response, labels);
    co_return;
  }
  const auto reason = absorb_head(t, response, stamp, request_time, response_time);
  labels.stored = reason == policy::NotStored::none;
  if (!labels.stored) labels.detail = policy::to_string(reason);
  co_await relay_response(exchange, *t.terms, response, labels);
}

// What the head of a GET would be: it renews the stored response, shows that it has changed, or, where there is none,
// is stored to answer the next HEAD.
policy::NotStored Proxy::absorb_head(Transaction& transaction, const OriginResponse& response,
                                     const store::PurgeStamp& stamp, policy::TimePoint request_time,
                                     policy::TimePoint response_time) {
  auto& t = transaction;
  if (t.client.no_store) return policy::NotStored::request_no_store;
  const auto length = response.lease.connection().length();
  const auto answer = response_fields(response.head, via_.of(response.head.version), response_time);
  if (t.stale) {
    if (response.head.status != 200) return policy::NotStored::status;
    const auto& old = *t.stale;
    const auto size =
        old.is_complete() ? std::optional<std::uint64_t>(old.body().size()) : old.extent()->complete_length;
    if (old.status() == 200 && policy::is_head_of(answer, length, old.fields(), size) &&
        is_confirmed_by(*t.stale, answer)) {
      return freshen(t, answer, stamp, request_time, response_time).reason;
    }
    drop(*t.stale);
    t.stale = nullptr;
  }
  const auto& rule = t.route().store;
  const auto lifetime = policy::compute_lifetime(response.head, rule, request_time, response_time);
  auto reason = policy::storable(t.request, response.head, rule, lifetime);
  if (reason == policy::NotStored::none) {
    auto parts = parts_of(t, stamp, lifetime, answer);
    parts.status = response.head.status;
    parts.reason = response.head.reason;
    parts.body = std::make_shared<const std::string>();
    parts.extent = std::make_shared<const policy::Extent>(policy::Extent{.ranges = {}, .complete_length = length});
    return keep(t, store::StoredResponse::make(std::move(parts)), stamp);
  }
  count(&t.route(), reason);
  return reason;
}

}  // namespace larder::proxy
