// Parts of representations: stored, combined, completed by asking for what is missing alone (RFC 9111 §3.3, §3.4).
#include <algorithm>

#include "larder/http/content_range.hpp"
#include "larder/http/hop_by_hop.hpp"
#include "larder/net/error.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/validation.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

// Does the 206 hold just what was asked for of the representation that we hold the rest of?
bool Proxy::is_missing_part(const Transaction& transaction, const Question& question,
                            const OriginResponse& response) const {
  const auto stored_fields = transaction.stale->fields();
  const auto content_range = http::parse_content_range(response.head.fields);
  if (!content_range || !content_range->range || !policy::share_strong_validator(response.head.fields, stored_fields)) {
    return false;
  }
  // It need not be told again to who sent If-Range (RFC 9110 §15.3.7).
  const auto coding = http::combined(response.head.fields, "Content-Encoding");
  if (coding && coding != http::combined(stored_fields, "Content-Encoding")) return false;
  const auto& held_length = transaction.stale->extent()->complete_length;
  const auto complete_length = content_range->complete_length ? content_range->complete_length : held_length;
  if (held_length && complete_length != held_length) return false;
  const auto last = question.gap->last ? question.gap->last
                    : complete_length  ? std::optional(*complete_length - 1)
                                       : std::nullopt;
  return last && *content_range->range == http::ByteRange{question.gap->first, *last} &&
         response.lease.connection().length() == content_range->range->size() &&
         fits(transaction, {.first = content_range->range->first, .last = content_range->range->last});
}

// Would what is held and the missing part be an object that we may hold? Where the end is unknown, the answer shows.
bool Proxy::fits(const Transaction& transaction, const policy::Gap& gap) const noexcept {
  const auto& extent = *transaction.stale->extent();
  const auto room = shared_.cache.max_object - std::min<std::uint64_t>(extent.size(), shared_.cache.max_object);
  const auto end = gap.last                 ? std::optional(*gap.last + 1)
                   : extent.complete_length ? extent.complete_length
                                            : std::nullopt;
  return !end || *end - gap.first <= room;
}

// The whole response that the missing part makes. Null where it does not fit: then the whole must be asked for.
std::shared_ptr<Proxy::Completion> Proxy::complete(const Transaction& transaction, const Question& question,
                                                   const OriginResponse& response, policy::TimePoint request_time,
                                                   policy::TimePoint response_time) const {
  if (!is_missing_part(transaction, question, response)) return nullptr;
  const auto& old = *transaction.stale->extent();
  const auto content_range = http::parse_content_range(response.head.fields);
  const auto part = *content_range->range;
  const auto length = content_range->complete_length ? content_range->complete_length : old.complete_length;
  if (!length || *length > shared_.cache.max_object) return nullptr;
  if (part.first > 0 && !old.holds({0, part.first - 1})) return nullptr;
  if (part.last + 1 < *length && !old.holds({part.last + 1, *length - 1})) return nullptr;

  auto completion = std::make_shared<Completion>();
  const auto answer = response_fields(response.head, via_.of(response.head.version), response_time);
  completion->fields = policy::freshen(transaction.stale->fields(), answer);
  const auto& rule = transaction.route().store;
  const http::ResponseHead head{.status = 200,
                                .reason = http::reason_phrase(200),
                                .version = http::Version::http_1_1,
                                .fields = completion->fields};
  completion->lifetime =
      policy::compute_freshened_lifetime(200, completion->fields, answer, rule, request_time, response_time);
  if (policy::storable(transaction.request, head, rule, completion->lifetime) != policy::NotStored::none) {
    return nullptr;
  }
  completion->length = *length;
  completion->stored = transaction.stale;
  const std::string_view held = transaction.stale->body();
  if (part.first > 0) {
    completion->before = held.substr(static_cast<std::size_t>(old.offset_of(0)), static_cast<std::size_t>(part.first));
  }
  if (part.last + 1 < *length) {
    completion->behind = held.substr(static_cast<std::size_t>(old.offset_of(part.last + 1)),
                                     static_cast<std::size_t>(*length - part.last - 1));
  }
  return completion;
}

// Makes a stored response of a part, together with what is held of the same representation: what it `completes`, or
// what is there by now; and stores it where it `is_storable`.
store::StoredPtr Proxy::keep_part(const Transaction& transaction, http::FieldSpan answer_fields, http::ByteRange part,
                                  std::optional<std::uint64_t> complete_length, std::string bytes, bool completes,
                                  bool is_storable, const store::PurgeStamp& stamp, policy::TimePoint request_time,
                                  policy::TimePoint response_time) {
  const auto& t = transaction;
  const auto& rule = t.route().store;
  // Others may have stored more of it meanwhile.
  const auto present = shared_.memory.find(t.key.canonical, t.fields, false).stored;
  const bool is_wanted = !present || present == t.stale || !present->is_complete();
  auto held = completes || !present ? t.stale : present;
  if (held && (held->is_complete() || !policy::share_strong_validator(held->fields(), answer_fields))) {
    held = nullptr;
  }
  // Some origins give all codings one entity tag, against RFC 9110 §8.8.3.3. is_missing_part() has looked already.
  if (held && !completes &&
      http::combined(held->fields(), "Content-Encoding") != http::combined(answer_fields, "Content-Encoding")) {
    held = nullptr;
  }
  policy::PartialBody body{.extent = {.ranges = {part}, .complete_length = complete_length}, .bytes = std::move(bytes)};
  if (held) {
    auto combined = policy::combine(*held->extent(), held->body(), part, body.bytes, complete_length);
    if (combined && combined->bytes.size() <= shared_.cache.max_object) {
      body = std::move(*combined);
    } else {
      held = nullptr;
    }
  }
  auto fields = held ? policy::freshen(held->fields(), answer_fields) : http::FieldList::copy_of(answer_fields);
  fields.remove("Content-Range");
  const auto lifetime =
      policy::compute_freshened_lifetime(200, fields, answer_fields, rule, request_time, response_time);
  auto parts = parts_of(t, stamp, lifetime, fields);
  parts.status = 200;
  parts.reason = http::reason_phrase(200);
  parts.body = std::make_shared<const std::string>(std::move(body.bytes));
  if (!body.extent.is_whole()) parts.extent = std::make_shared<const policy::Extent>(std::move(body.extent));
  auto stored = store::StoredResponse::make(std::move(parts));
  if (is_wanted && is_storable) {
    (void)keep(t, stored, stamp);
    supersede(t, *stored);
  }
  return stored;
}

// Answers with a 206 of the origin: as it comes where it is what the client asked for (keeping a copy where it may be
// stored), or, where it `completes` what is held, from both together.
Proxy::Awaitable<void> Proxy::serve_part(net::Exchange& exchange, TransactionPtr transaction, OriginResponse& response,
                                         bool completes, store::PurgeStamp stamp, policy::TimePoint request_time,
                                         policy::TimePoint response_time) {
  const auto& t = *transaction;
  auto& connection = response.lease.connection();
  const auto& rule = t.route().store;
  const auto lifetime = policy::compute_lifetime(response.head, rule, request_time, response_time);
  auto reason = policy::storable(t.request, response.head, rule, lifetime);
  const auto content_range = http::parse_content_range(response.head.fields);
  const auto part = content_range ? content_range->range : std::nullopt;
  if (reason == policy::NotStored::none && (!part || connection.length().value_or(part->size()) != part->size())) {
    reason = policy::NotStored::partial_content;
  }
  if (reason == policy::NotStored::none && part->size() > shared_.cache.max_object) {
    reason = policy::NotStored::too_large;
  }
  auto labels = Labels::from_origin(t);
  labels.forward_status = 206;
  labels.ttl = lifetime.freshness_lifetime - lifetime.current_age(response_time);
  count(exchange, &t.route(), labels.outcome);
  if (reason != policy::NotStored::none) {
    count(&t.route(), reason);
    labels.detail = policy::to_string(reason);
    if (!completes) {
      co_await relay_response(exchange, *t.terms, response, labels);
      co_return;
    }
  }

  // What is gathered here counts as a fill does.
  const auto share = shared_.fills.reserve(static_cast<std::size_t>(part->size()));
  if (!share) {
    count(&t.route(), policy::NotStored::fill_budget);
    labels.detail = policy::to_string(policy::NotStored::fill_budget);
    if (completes) {
      connection.close();
      response.error = net::Error::over_budget;
      reply_with_failure(exchange, *t.terms, response, labels);
    } else {
      co_await relay_response(exchange, *t.terms, response, labels);
    }
    co_return;
  }
  const auto answer = response_fields(response.head, via_.of(response.head.version), response_time);
  std::string bytes;
  if (!completes) {
    BodyCopy copy{.bytes = {}, .most = static_cast<std::size_t>(part->size())};
    co_await relay_response(exchange, *t.terms, response, labels, &copy);
    if (!response.error && !copy.is_cut && copy.bytes.size() == part->size()) {
      (void)keep_part(t, answer, *part, content_range->complete_length, std::move(copy.bytes), false, true, stamp,
                      request_time, response_time);
    }
    co_return;
  }
  while (!connection.body_done()) {
    const auto piece = co_await connection.read_body();
    if (!piece) {
      response.error = piece.error();
      response.fault = connection.fault();
      report_origin_error(t.method, t.target, response);
      reply_with_failure(exchange, *t.terms, response, labels);
      co_return;
    }
    bytes += *piece;
  }
  const bool is_storable = reason == policy::NotStored::none;
  auto stored = keep_part(t, answer, *part, content_range->complete_length, std::move(bytes), true, is_storable, stamp,
                          request_time, response_time);
  if (!stored || !stored->can_answer(t.request)) {
    // Not what is_missing_part() has seen.
    response.error = net::Error::origin_malformed;
    reply_with_failure(exchange, *t.terms, response, labels);
    co_return;
  }
  labels.key = {};
  labels.stored = is_storable;
  serve_stored(exchange, *t.terms, t.request, stored, labels, response_time);
}

}  // namespace larder::proxy
