// What the cache has no part in: requests and responses relayed as they come.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "larder/http/hop_by_hop.hpp"
#include "larder/net/error.hpp"
#include "larder/net/tunnel.hpp"
#include "larder/policy/targeted_cache_control.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {
// Bodies up to this many bytes are held until an answer has begun.
constexpr std::uint64_t small_body = 64UL << 10;
// The last piece of a body, up to this many bytes, is copied behind its head.
constexpr std::size_t short_piece = 4UL << 10;
// When who was refused may come again (RFC 9110 §10.2.3).
constexpr std::chrono::seconds retry_after{1};
}  // namespace

// `request`: as the client sent it, but with the fields that the origin is sent. What it and the others point at
// outlives the fetch.
OriginRequest Proxy::origin_request(net::Exchange* exchange, const Terms& terms, const http::RequestHead& request,
                                    std::string_view client_address, const std::string* content) {
  OriginRequest origin;
  origin.head = request;
  origin.forward = {.via = via_.of(request.version),
                    .client_address = client_address,
                    .trust_forwarded = terms.trust_forwarded,
                    .expects_continue = false,
                    .request_id_field = shared_.trace.request_id_field};
  if (exchange != nullptr) {
    origin.forward.request_id = exchange->request_id;
    origin.forward.traceparent = exchange->traceparent;
  } else if (!shared_.trace.request_id_field.empty()) {
    // A refresh in the background is a request of its own.
    const auto high = random_();
    origin.forward.request_id.make(high, random_());
  }
  origin.preserve_host = terms.preserve_host;
  if (content != nullptr) {
    origin.content = *content;
    origin.framing = {.present = true, .length = content->size()};
  }
  if (exchange == nullptr) return origin;
  if (exchange->body != nullptr && content == nullptr) {
    origin.body = exchange->body;
    origin.framing = {.present = true, .length = exchange->body->length()};
    origin.forward.expects_continue = exchange->expects_continue;
    origin.read_body_first =
        origin.framing.length && *origin.framing.length <= small_body && !exchange->expects_continue;
  }
  // With a body the tunnel could only begin behind it (RFC 9110 §7.8); nobody does that.
  if (exchange->body == nullptr && http::asks_for_upgrade(exchange->request)) {
    origin.upgrade = http::combined(exchange->request.fields, "Upgrade").value_or("");
  }
  origin.on_interim = [exchange](const http::ResponseHead& head) -> Awaitable<net::error_code> {
    auto interim = head;
    auto fields = http::FieldList::view_of(head.fields);
    http::remove_hop_by_hop(fields, http::Sender::origin);
    interim.fields = fields;
    co_return co_await exchange->reply.interim(interim);
  };
  origin.on_connection = [exchange](net::OriginConnection* connection) {
    if (connection == nullptr) {
      exchange->on_client_gone = nullptr;
    } else {
      exchange->on_client_gone = [connection] { connection->close(); };
    }
  };
  return origin;
}

Proxy::Awaitable<void> Proxy::relay(net::Exchange& exchange, const Terms& terms, const http::RequestHead& request,
                                    Labels labels, const policy::Route* route, const std::string* content) {
  count(exchange, route, labels.outcome);
  const auto origin = origin_request(&exchange, terms, request, exchange.client_address, content);
  OriginResponse response;
  {
    const net::AccessLap lap(exchange.record, &net::AccessRecord::origin);
    co_await fetch(origins_, origin, response);
  }
  if (response.error) {
    report_origin_error(request.method, request.target, response);
    reply_with_failure(exchange, terms, response, labels);
    co_return;
  }
  if (response.head.status == 101) {
    co_await relay_upgraded(exchange, terms, response);
    co_return;
  }
  co_await relay_response(exchange, terms, response, labels);
  co_await end_upload(response, exchange.body);
}

// Streams the response piece by piece; the client's pace is the origin's pace. `copy` gets what it has room for; it is
// the whole body where response.error is none and it was not cut.
Proxy::Awaitable<void> Proxy::relay_response(net::Exchange& exchange, const Terms& terms, OriginResponse& response,
                                             const Labels& labels, BodyCopy* copy) {
  auto& connection = response.lease.connection();
  auto head = response.head;
  auto fields = response_fields(head, via_.of(head.version), wall_clock());
  hide_targeted_fields(terms, fields);
  head.fields = fields;
  auto complete = labels;
  complete.forward_status = head.status;
  lines_.clear();
  append_labels(lines_, terms, complete, exchange);
  exchange.reply.begin(head, lines_, connection.length());
  // While the origin is silent only a look at the client shows that it is gone.
  exchange.on_client_gone = [&connection] { connection.close(); };
  bool sent_head = false;
  for (;;) {
    auto piece = connection.buffered_body();
    if (piece && piece->empty() && !connection.body_done()) {
      if (!sent_head) {
        // The head must not wait for a body that may take its time.
        if (co_await exchange.reply.flush()) {
          response.error = net::Error::client_gone;
          break;
        }
        sent_head = true;
      }
      piece = co_await connection.read_body();
    }
    if (!piece) {
      response.error = piece.error();
      response.fault = connection.fault();
      report_origin_error(exchange.request.method, exchange.request.target, response);
      exchange.reply.cut_short();
      break;
    }
    if (piece->empty()) {
      exchange.reply.finish(connection.trailers());
      break;
    }
    const auto bytes = *piece;
    if (copy != nullptr) {
      copy->is_cut = copy->is_cut || bytes.size() > copy->most - copy->bytes.size();
      if (!copy->is_cut) copy->bytes.append(bytes);
    }
    if (connection.body_done() && bytes.size() <= short_piece) {
      exchange.reply.finish(connection.trailers(), bytes);
      break;
    }
    if (co_await exchange.reply.write(bytes)) {
      connection.close();
      response.error = net::Error::client_gone;
      exchange.reply.cut_short();
      break;
    }
    sent_head = true;
  }
  exchange.on_client_gone = nullptr;
}

void Proxy::hide_targeted_fields(const Terms& terms, http::FieldList& fields) const {
  // The reply has the request's own id, not what the origin made of it.
  if (shared_.trace.return_request_id) fields.remove(shared_.trace.request_id_field);
  if (terms.rules->forward_targeted_fields) return;
  fields.remove_if([](const http::Field& field) { return policy::is_targeted_field(field.name); });
}

Proxy::Awaitable<void> Proxy::relay_upgraded(net::Exchange& exchange, const Terms& terms, OriginResponse& response) {
  auto& connection = response.lease.connection();
  auto head = response.head;
  auto fields = response_fields(head, via_.of(head.version), wall_clock());
  const auto protocols = http::combined(head.fields, "Upgrade");
  if (exchange.body != nullptr || !http::asks_for_upgrade(exchange.request) || !protocols) {
    response.error = net::Error::origin_malformed;
    report_origin_error(exchange.request.method, exchange.request.target, response);
    connection.close();
    reply_with_failure(exchange, terms, response, {});
    co_await end_upload(response, exchange.body);
    co_return;
  }
  fields.add("Connection", "upgrade");
  fields.add("Upgrade", *protocols);
  head.fields = fields;
  exchange.reply.begin(head, {}, std::nullopt);
  const auto error = co_await exchange.reply.flush();
  std::string_view from_client;
  auto* client = exchange.reply.take_over(from_client);
  if (error || client == nullptr) {
    connection.close();
    co_return;
  }
  exchange.latency = nullptr;  // a tunnel's life is no answer's duration
  co_await net::relay_tunnel(*client, from_client, connection.stream(), connection.already_read(), wheel_,
                             terms.tunnel_idle_timeout);
  connection.close();
}

void Proxy::report_origin_error(std::string_view method, std::string_view target, const OriginResponse& response) {
  const auto status = status_of(response.error);
  if (status == 400 || status == 408 || response.error == net::Error::cancelled) return;  // the client's doing
  if (const auto shed = shed_by(response.error)) {
    // The refused are counted one by one, as some get a stored response instead.
    shared_.overload.report(fmt::format("{} {}: {} ({})", method, target.substr(0, target.find('?')),
                                        explanation_of(*shed), limit_of(*shed)));
    return;
  }
  counters_.origin_errors.add();
  std::string detail = response.error.message();
  if (response.error == net::Error::origin_malformed) detail += fmt::format(" ({})", net::to_string(response.fault));
  if (response.error == net::Error::origin_unreachable) detail += fmt::format(" ({})", response.server->last_failure);
  shared_.origin_errors.report(
      fmt::format("{} {} at {}: {}", method, target.substr(0, target.find('?')), response.server->authority, detail));
}

void Proxy::reply_with_failure(net::Exchange& exchange, const Terms& terms, const OriginResponse& response,
                               const Labels& labels) {
  if (exchange.reply.begun()) return;
  std::string lines;
  auto local = labels;
  local.is_local = true;
  append_labels(lines, terms, local, exchange);
  std::string text;
  if (const auto shed = shed_by(response.error)) {
    counters_.count(*shed);
    text = fmt::format("{} ({}); try again later", explanation_of(*shed), limit_of(*shed));
    fmt::format_to(std::back_inserter(lines), "Retry-After: {}\r\nProxy-Status: {}; error={}; details=\"{}\"\r\n",
                   retry_after.count(), shared_.cache.node_name, proxy_error_of(*shed), limit_of(*shed));
    net::reply_with_text(exchange.reply, 503, text, lines);
    return;
  }
  switch (status_of(response.error)) {
    case 400:
      text = "the request body is malformed";
      break;
    case 408:
      text = "the request body did not arrive in time";
      break;
    case 504:
      text = "the origin did not answer in time";
      break;
    default:
      text = "the origin is not reachable or gave no valid answer";
      break;
  }
  net::reply_with_text(exchange.reply, status_of(response.error), text, lines);
}

}  // namespace larder::proxy
