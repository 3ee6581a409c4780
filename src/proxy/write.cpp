// Unsafe requests: relayed, and what they made stale purged before the client learns that they were carried out.
#include <algorithm>
#include <array>

#include "larder/net/error.hpp"
#include "larder/policy/invalidation.hpp"
#include "larder/policy/storable.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {
// Answers up to this size are read whole before the purge, so that one purge covers everything the origin did for them.
constexpr std::uint64_t whole_answer = 32UL << 10;

}  // namespace

// While the rules are replaced, what is stored may be of the old ones or of the new ones, whichever the write itself
// began with: then it makes stale what any of them says.
std::vector<policy::Selector> Proxy::selectors_of(const Terms& terms, const http::RequestHead& request,
                                                  const http::ResponseHead* response) const {
  std::vector<policy::Selector> selectors;
  std::array<const policy::RuleSet*, 4> done{};
  auto end = done.begin();
  for (const auto* each : {&terms, terms_.get()}) {
    for (const auto* rules : {each->rules.get(), each->other_rules.get()}) {
      if (rules == nullptr || std::find(done.begin(), end, rules) != end) continue;
      *end++ = rules;
      auto purges = policy::write_purges(*rules, request, response, terms.preserve_host && terms_->preserve_host);
      for (auto& purge : purges) {
        auto& selector = purge.selector;
        if (std::ranges::find(selectors, selector) == selectors.end()) selectors.push_back(std::move(selector));
      }
    }
  }
  const bool is_everything =
      std::ranges::any_of(selectors, [](const auto& one) { return one.kind == policy::SelectorKind::all; });
  if (is_everything) return {{policy::SelectorKind::all, {}}};
  return selectors;
}

Proxy::Awaitable<bool> Proxy::purge(std::vector<policy::Selector> selectors) {
  if (selectors.empty()) co_return true;
  counters_.purges.add();
  counters_.purged_selectors.add(selectors.size());
  for (const auto& selector : selectors) counters_.purged_selectors_by[static_cast<std::size_t>(selector.kind)].add();
  const auto sequence = shared_.log.apply_local(selectors, remote_ != nullptr);
  if (remote_ == nullptr) co_return true;
  const bool delivered = co_await remote_->publish(sequence, std::move(selectors));
  co_return delivered;
}

// RFC 9110 §9.3.3: the answer to a POST may be reused for a GET of its target. `before`: the stamp from before the POST
// went to the origin; `delivered`: its own purge has a place in the fleet's order. That must be the only purge since,
// or another write might be newer than this answer.
void Proxy::keep_answer_to_post(const TermsPtr& terms, const http::RequestHead& request, const http::ResponseHead& head,
                                std::string body, std::string_view client_address, const store::PurgeStamp& before,
                                bool delivered, policy::TimePoint request_time, policy::TimePoint response_time) {
  const auto stamp = shared_.log.stamp();
  auto as_get = request;
  as_get.method = "GET";
  const auto match = terms->rules->match_cache(as_get.method, as_get.path());
  if (match.route == nullptr || match.route->cache_off) return;
  const auto& rule = match.route->store;
  const auto lifetime = policy::compute_lifetime(head, rule, request_time, response_time);
  auto reason = policy::storable(request, head, rule, lifetime);
  if (reason == policy::NotStored::none && (!delivered || stamp.epoch != before.epoch ||
                                            stamp.clock != before.clock + 1 || shared_.log.pending_count() > 0)) {
    reason = policy::NotStored::purged_while_filling;
  }
  if (reason != policy::NotStored::none) {
    if (reason != policy::NotStored::method) count(match.route, reason);
    return;
  }
  const auto transaction = make_transaction(terms, as_get, client_address, std::nullopt);
  const auto fields = response_fields(head, via_.of(head.version), response_time);
  auto parts = parts_of(*transaction, stamp, lifetime, fields);
  parts.status = head.status;
  parts.reason = head.reason;
  parts.body = std::make_shared<const std::string>(std::move(body));
  (void)keep(*transaction, store::StoredResponse::make(std::move(parts)), stamp);
}

Proxy::Awaitable<void> Proxy::write(net::Exchange& exchange, const TermsPtr& terms, const http::RequestHead& request) {
  counters_.writes.add();
  count(exchange, nullptr, policy::CacheOutcome::bypass);
  if (exchange.record != nullptr) exchange.record->writes = true;
  Labels labels;
  labels.reason = policy::NotReused::method;
  labels.forward = forward_reason(labels.reason);
  const auto origin = origin_request(&exchange, *terms, request, exchange.client_address);
  const auto before = shared_.log.stamp();
  const auto request_time = wall_clock();
  OriginResponse response;
  {
    const net::AccessLap lap(exchange.record, &net::AccessRecord::origin);
    co_await fetch(origins_, origin, response);
  }
  const auto response_time = wall_clock();
  if (response.error) {
    report_origin_error(request.method, request.target, response);
    // A connection that broke or timed out may have done so after the origin acted.
    if (response.reached && policy::may_have_changed(request.method, policy::WriteEnd::unknown, 0)) {
      auto selectors = selectors_of(*terms, request, nullptr);
      co_await purge(std::move(selectors));
    }
    reply_with_failure(exchange, *terms, response, labels);
    co_return;
  }
  if (response.head.status == 101) {
    auto selectors = selectors_of(*terms, request, nullptr);
    co_await purge(std::move(selectors));
    co_await relay_upgraded(exchange, *terms, response);
    co_return;
  }
  if (!policy::may_have_changed(request.method, policy::WriteEnd::answered, response.head.status)) {
    co_await relay_response(exchange, *terms, response, labels);
    co_await end_upload(response, exchange.body);
    co_return;
  }
  auto& connection = response.lease.connection();

  std::string whole;
  if (connection.length() && *connection.length() <= whole_answer) {
    while (!connection.body_done()) {
      const auto piece = co_await connection.read_body();
      if (!piece) {
        response.error = piece.error();
        break;
      }
      whole += *piece;
    }
  }
  const bool all_read = connection.body_done() || response.error;
  auto first = selectors_of(*terms, request, &response.head);
  bool delivered = false;
  {
    const net::AccessLap lap(remote_ != nullptr ? exchange.record : nullptr, &net::AccessRecord::redis);
    delivered = co_await purge(std::move(first));
  }

  if (request.method == "POST" && all_read && !response.error && response.head.status < 400) {
    keep_answer_to_post(terms, request, response.head, whole, exchange.client_address, before, delivered, request_time,
                        response_time);
  }

  auto head = response.head;
  auto fields = response_fields(head, via_.of(head.version), wall_clock());
  hide_targeted_fields(*terms, fields);
  head.fields = fields;
  labels.forward_status = head.status;
  lines_.clear();
  append_labels(lines_, *terms, labels, exchange);
  exchange.reply.begin(head, lines_, connection.length());
  bool client_gone = false;
  if (!whole.empty()) client_gone = static_cast<bool>(co_await exchange.reply.write(whole));
  exchange.on_client_gone = [&connection] { connection.close(); };
  while (!response.error && !connection.body_done()) {
    if (const auto error = co_await exchange.reply.flush()) client_gone = true;
    const auto piece = co_await connection.read_body();
    if (!piece) {
      response.error = piece.error();
      break;
    }
    // The client may be gone; the origin is at work all the same, and its end is awaited for the sake of the purge.
    if (!client_gone && !piece->empty()) {
      const auto bytes = *piece;
      client_gone = static_cast<bool>(co_await exchange.reply.write(bytes));
    }
  }
  exchange.on_client_gone = nullptr;
  if (!all_read) {
    // The origin was still at work while it answered: what was fetched meanwhile may be old again.
    auto second = selectors_of(*terms, request, &response.head);
    co_await purge(std::move(second));
  }
  if (response.error) {
    report_origin_error(request.method, request.target, response);
    exchange.reply.cut_short();
  } else {
    exchange.reply.finish(connection.trailers());
  }
  co_await end_upload(response, exchange.body);
}

}  // namespace larder::proxy
