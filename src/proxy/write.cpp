// Unsafe requests: relayed, and what they made stale purged before the client learns that they were carried out.
#include <algorithm>

#include "larder/net/error.hpp"
#include "larder/policy/invalidation.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {
// Answers up to this size are read whole before the purge, so that one purge covers everything the origin did for them.
constexpr std::uint64_t whole_answer = 32UL << 10;
}  // namespace

std::vector<policy::Selector> Proxy::selectors_of(const http::RequestHead& request,
                                                  const http::ResponseHead* response) const {
  std::vector<policy::Selector> selectors;
  for (auto& target : policy::invalidated_targets(request, response)) {
    selectors.push_back({policy::SelectorKind::target, std::move(target)});
  }
  for (auto& selector : shared_.rules->purges(request)) {
    if (std::find(selectors.begin(), selectors.end(), selector) == selectors.end()) {
      selectors.push_back(std::move(selector));
    }
  }
  return selectors;
}

Proxy::Awaitable<void> Proxy::purge(std::vector<policy::Selector> selectors) {
  if (selectors.empty()) co_return;
  counters_.purges.add();
  counters_.purged_selectors.add(selectors.size());
  const auto sequence = shared_.log.apply_local(selectors, remote_ != nullptr);
  if (remote_ != nullptr) co_await remote_->publish(sequence, std::move(selectors));
}

Proxy::Awaitable<void> Proxy::write(net::Exchange& exchange, const http::RequestHead& request) {
  counters_.writes.add();
  count(nullptr, policy::CacheOutcome::bypass);
  Labels labels;
  labels.forward = "method";
  const auto origin = origin_request(&exchange, request, request.fields, exchange.client_address);
  auto response = co_await fetch(origins_, origin);
  if (response.error) {
    report_origin_error(request.method, request.target, response);
    // A connection that broke or timed out may have done so after the origin acted.
    if (response.reached && policy::may_have_changed(request.method, policy::WriteEnd::unknown, 0)) {
      auto selectors = selectors_of(request, nullptr);
      co_await purge(std::move(selectors));
    }
    reply_with_failure(exchange, response, labels);
    co_return;
  }
  if (response.head.status == 101) {
    auto selectors = selectors_of(request, nullptr);
    co_await purge(std::move(selectors));
    co_await relay_upgraded(exchange, response);
    co_return;
  }
  if (!policy::may_have_changed(request.method, policy::WriteEnd::answered, response.head.status)) {
    co_await relay_response(exchange, response, labels);
    co_await end_upload(response, exchange.body);
    co_return;
  }
  const auto selectors = selectors_of(request, &response.head);
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
  auto first = selectors;
  co_await purge(std::move(first));

  auto head = response.head;
  const auto fields = response_fields(head, shared_.cache.node_name, wall_clock());
  head.fields = fields;
  labels.forward_status = head.status;
  std::string lines;
  append_labels(lines, labels);
  exchange.reply.begin(head, lines, connection.length());
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
    auto second = selectors;
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
