// Answers from stored responses. Nothing here suspends.
#include <algorithm>
#include <random>

#include "larder/http/conditional.hpp"
#include "larder/http/hop_by_hop.hpp"
#include "larder/http/range.hpp"
#include "larder/policy/targeted_cache_control.hpp"
#include "larder/policy/validation.hpp"
#include "larder/policy/vary.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {

// Fields of a 304 (RFC 9110 §15.4.5): those that a 200 would have had and a client needs to update what it has.
bool belongs_in_304(std::string_view name) {
  static constexpr std::string_view names[] = {"Cache-Control", "Content-Location", "Date", "ETag", "Expires",
                                               "Vary",          "Last-Modified",    "Via"};
  return std::any_of(std::begin(names), std::end(names), [&](std::string_view n) { return http::iequals(n, name); });
}

// Not what a client has from the response whose validator it sent in If-Range.
bool belongs_in_short_206(std::string_view name) {
  constexpr std::string_view content = "Content-";
  const bool is_representation_field = http::iequals(name.substr(0, content.size()), content);
  return (!is_representation_field || http::iequals(name, "Content-Location")) && !http::iequals(name, "Last-Modified");
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void release_stored(const void* object) { intrusive_ptr_release(static_cast<const store::StoredResponse*>(object)); }

void retain(net::WholeReply& reply, const store::StoredPtr& stored) {
  intrusive_ptr_add_ref(stored.get());
  reply.retained = stored.get();
  reply.release = release_stored;
}

// What an incomplete response is asked for by who may be answered from it.
http::RangeDecision part_decision(const http::RequestHead& request, http::FieldSpan fields,
                                  const policy::Extent& extent) {
  if (request.method == "HEAD") return {};
  return {http::RangeDecision::Kind::partial, policy::held_ranges(request, fields, extent)};
}

void release_string(const void* object) { delete static_cast<const std::string*>(object); }

// The reply's own head for anything but the stored response as it stands.
std::string changed_head(int status, http::FieldSpan fields, std::string_view key, const auto& keep_field) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " + std::string(http::reason_phrase(status)) + "\r\n";
  for (const auto& field : fields) {
    if (keep_field(field.name) && store::is_in_head(field)) append_field(head, field.name, field.value);
  }
  append_field(head, "X-Cache-Key", key);
  return head;
}

}  // namespace

RouteCounters* Proxy::counters_of(const policy::Route* route) noexcept {
  if (route == nullptr) return nullptr;
  return &counters_.routes[route->counter];
}

void Proxy::count(net::Exchange& exchange, const policy::Route* route, policy::CacheOutcome outcome) noexcept {
  exchange.latency = &counters_.latency(latency_of(outcome));
  counters_.count(outcome);
  auto* const of_route = counters_of(route);
  if (of_route == nullptr) return;
  of_route->count(outcome);
  if (exchange.record != nullptr) note_route(*exchange.record, *route);
}

void Proxy::count(const policy::Route* route, policy::NotStored reason) noexcept {
  counters_.count(reason);
  if (auto* const of_route = counters_of(route)) of_route->count(reason);
}

void Proxy::count(const policy::Route* route, policy::NotReused reason) noexcept {
  counters_.count(reason);
  if (auto* const of_route = counters_of(route)) of_route->count(reason);
}

// `exchange`: null where no client waits.
void Proxy::count_redis_hit(net::Exchange* exchange) noexcept {
  counters_.redis_hits.add();
  if (exchange != nullptr) exchange->latency = &counters_.latency(LatencyOf::redis_hit);
}

// Fields that only a coroutine can act on.
bool Proxy::needs_the_story(const http::RequestHead& request) {
  using http::ControlField;
  return (request.control.has(ControlField::connection) &&
          (names_other_fields(request.fields) || http::asks_for_upgrade(request))) ||
         (request.control.has(ControlField::explanation) &&
          http::find(request.fields, http::explain_field) != nullptr) ||
         (request.control.has(ControlField::origin_conditions) && http::has_origin_preconditions(request.fields));
}

// Finds the route into match_ and makes the canonical request in canonical_; false where no route caches it, or only
// reckons (shadow mode has no short ways).
bool Proxy::name(const http::RequestHead& request) {
  ++named_;
  terms_->rules->match_cache(request.method, request.path(), match_);
  if (match_.route == nullptr || match_.route->cache_off || match_.route->is_shadow) return false;
  path_size_ = policy::canonical_request(request, match_, canonical_);
  return true;
}

// May what is stored of it be found under other names too (No-Vary-Search)?
bool Proxy::has_other_names() const {
  return path_size_ > 0 && terms_->rules->honour_no_vary_search && !shared_.variances.empty() &&
         !shared_.variances.find(std::string_view(canonical_).substr(0, path_size_)).empty();
}

// True where answer_at_once() has named this request and found nothing in memory, and none was named since. Its bytes
// have moved, so captures would be views of what is no more.
bool Proxy::is_named(const net::Exchange& exchange) const noexcept {
  return exchange.look_up == named_ && match_.captures.empty();
}

bool Proxy::answer_at_once(net::Exchange& exchange) {
  const auto& request = exchange.request;
  if (request.method != "GET" && request.method != "HEAD") return false;
  if (shared_.coherence == Coherence::strict || needs_the_story(request)) return false;
  if (!name(request)) return false;
  const auto found = shared_.memory.find(canonical_, request.fields);
  if (!found.stored) {
    exchange.look_up = named_;
    named_reason_ = found.reason;
    return false;
  }
  named_reason_ = policy::NotReused::absent;
  if (found.needs_decoding) return false;
  const auto now = wall_clock();
  if (!is_trusted(*found.stored, now)) return false;
  if (!serve_if_fresh(exchange, terms_, *match_.route, found.stored, "memory", now)) return false;
  counters_.requests.add();
  counters_.memory_hits.add();
  return true;
}

// Serves what a look-up found where it is fresh; this client takes it as it is.
bool Proxy::serve_if_fresh(net::Exchange& exchange, const TermsPtr& terms, const policy::Route& route,
                           const store::StoredPtr& stored, std::string_view tier, policy::TimePoint now) {
  const auto& request = exchange.request;
  policy::RequestCacheControl client;
  if (terms->rules->honour_client_directives && request.control.has(http::ControlField::caching)) {
    client = policy::parse_request_cache_control(request.fields);
  }
  const auto lifetime = stored->lifetime();
  if (policy::decide_reuse(lifetime, client, now).use != policy::Use::serve || !stored->can_answer(request)) {
    return false;
  }
  if (exchange.request_id.empty() && (exchange.record != nullptr || shared_.trace.return_request_id)) {
    identify(exchange);
  }
  count(exchange, &route, policy::CacheOutcome::hit);
  serve_stored(exchange, *terms, request, stored, Labels::from_cache(policy::CacheOutcome::hit, lifetime, now, tier),
               now);
  if (route.verify_ppm > 0) verify_by_chance(exchange, terms, route, stored);
  return true;
}

// What a reply that waits for its client keeps in memory alone.
std::size_t Proxy::freed_without(const void* retained, void (*release)(const void*)) const {
  if (release != release_stored) return 0;
  const auto& stored = *static_cast<const store::StoredResponse*>(retained);
  return shared_.memory.holds(stored) ? 0 : stored.memory_size();
}

// Where nothing stands between the request and what Redis may hold: its key, and its route in match_. Not where memory
// has an answer, or a fill under way will.
std::optional<policy::CacheKey> Proxy::key_to_ask_redis_for(const net::Exchange& exchange) {
  const auto& request = exchange.request;
  if (remote_ == nullptr || (request.method != "GET" && request.method != "HEAD") || exchange.body != nullptr ||
      shared_.coherence == Coherence::strict || needs_the_story(request) || !remote_->is_readable() ||
      shared_.memory.excess() > 0) {
    return std::nullopt;
  }
  if (!is_named(exchange)) {
    if (!name(request) || shared_.memory.find(canonical_, request.fields, false).stored) return std::nullopt;
  }
  if (has_other_names() || shared_.fills.is_filling(canonical_)) return std::nullopt;
  policy::CacheKey key;
  key.canonical = canonical_;
  key.key = policy::cache_key(request, match_, key.canonical);
  return key;
}

// The short way of a plain hit in Redis. All else takes the long way, which does not ask Redis again.
Proxy::Awaitable<void> Proxy::ask_redis_first(net::Exchange& exchange, TermsPtr terms, policy::CacheKey key,
                                              const policy::Route& route) {
  const auto until = remote_->deadline_from_now();
  store::Lookup found;
  {
    const net::AccessLap lap(exchange.record, &net::AccessRecord::redis);
    found = co_await remote_->find(key.key, key.canonical, exchange.request.fields, until);
  }
  if (found.stored && !found.needs_decoding &&
      serve_if_fresh(exchange, terms, route, found.stored, "redis", wall_clock())) {
    count_redis_hit(&exchange);
    (void)shared_.memory.insert(found.stored, found.stored->stamp().sequence);
    co_return;
  }
  const auto transaction = make_end_to_end_transaction(terms, exchange);
  transaction->found_in_redis = std::move(found);
  co_await get(exchange, transaction);
}

// The stored response as this client accepts it: as it is, or without its content coding. Null where that cannot be
// taken off: then it serves others only.
store::StoredPtr Proxy::acceptable_form(const Transaction& transaction, const store::StoredPtr& stored) {
  if (!stored->match(transaction.fields).needs_decoding) return stored;
  if (!stored->is_complete()) return nullptr;
  const auto fields = stored->fields();
  const auto body = shared_.decoded.body_of(stored, http::content_coding(fields), shared_.cache.max_object);
  if (!body) return nullptr;
  store::StoredParts plain;
  plain.key = stored->key();
  plain.base_key_size = stored->base_key().size();
  plain.canonical = stored->canonical();
  plain.selecting = stored->selecting();
  plain.type = stored->type();
  plain.origin = stored->origin();
  plain.target = stored->target();
  plain.stamp = stored->stamp();
  plain.lifetime = stored->lifetime();
  plain.status = stored->status();
  plain.reason = stored->reason();
  plain.fields = policy::decoded_fields(fields);
  plain.body = body;
  return store::StoredResponse::make(std::move(plain));
}

void Proxy::serve_stored(net::Exchange& exchange, const Terms& terms, const http::RequestHead& request,
                         const store::StoredPtr& stored, const Labels& labels, policy::TimePoint now) {
  // Only these look at the stored fields; else the head leaves as it is.
  const bool may_be_conditional =
      request.control.has(http::ControlField::cache_conditions) && http::has_cache_preconditions(request.fields);
  const bool may_be_range =
      request.control.has(http::ControlField::range) && http::find(request.fields, "Range") != nullptr;
  const bool needs_fields =
      !stored->is_complete() || may_be_conditional || may_be_range || terms.rules->forward_targeted_fields;
  const auto fields = needs_fields ? stored->fields() : store::StoredFields{};
  const auto* const extent = stored->extent();
  const auto status = stored->status();
  lines_.clear();
  auto complete = labels;
  complete.key = {};
  complete.stored_key = stored->base_key();
  append_labels(lines_, terms, complete, exchange);
  if (terms.rules->forward_targeted_fields) {
    for (const auto& field : fields.span()) {
      if (policy::is_targeted_field(field.name)) append_field(lines_, field.name, field.value);
    }
  }
  net::WholeReply reply;

  if (may_be_conditional && http::evaluate_for_cache(request.method, request.fields, status, fields, now) ==
                                http::Precondition::not_modified) {
    const auto head = changed_head(304, fields, stored->base_key(), belongs_in_304);
    lines_.insert(0, head);
    reply.more_lines = lines_;
    exchange.reply.whole(reply);
    return;
  }

  const auto body = stored->body();
  const auto range = !may_be_range || status != 200 ? http::RangeDecision{}
                     : extent                       ? part_decision(request, fields, *extent)
                              : http::decide_range(request.method, request.fields, fields, body.size());
  const auto complete_length = extent ? extent->complete_length : std::optional(body.size());
  const auto bytes_of = [&](http::ByteRange part) {
    const auto offset = extent ? extent->offset_of(part.first) : part.first;
    return body.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(part.size()));
  };
  const auto all = [](std::string_view) { return true; };
  // Who sent If-Range has the representation's other fields already (RFC 9110 §15.3.7).
  const bool is_short = may_be_range && http::find(request.fields, "If-Range") != nullptr;
  const auto of_part = [is_short](std::string_view name) { return !is_short || belongs_in_short_206(name); };
  const auto of_parts = [&](std::string_view name) { return of_part(name) && !http::iequals(name, "Content-Type"); };
  switch (range.kind) {
    case http::RangeDecision::Kind::whole: {
      if (stored->is_complete()) {
        reply.head = stored->head();
        reply.body = body;
        retain(reply, stored);
        break;
      }
      // Only a HEAD comes here: any other answer needs bytes.
      auto head = changed_head(status, fields, stored->base_key(), all);
      if (complete_length) append_field(head, "Content-Length", std::to_string(*complete_length));
      lines_.insert(0, head);
      break;
    }
    case http::RangeDecision::Kind::unsatisfiable: {
      auto head =
          changed_head(416, fields, stored->base_key(), [](std::string_view name) { return belongs_in_304(name); });
      append_field(head, "Content-Range", http::unsatisfied_content_range(body.size()));
      append_field(head, "Content-Length", "0");
      lines_.insert(0, head);
      break;
    }
    case http::RangeDecision::Kind::partial: {
      if (range.ranges.size() == 1) {
        const auto part = range.ranges.front();
        auto head = changed_head(206, fields, stored->base_key(), of_part);
        append_field(head, "Content-Range", http::content_range(part, complete_length));
        append_field(head, "Content-Length", std::to_string(part.size()));
        lines_.insert(0, head);
        reply.body = bytes_of(part);
        retain(reply, stored);
        break;
      }
      const auto boundary = http::multipart_boundary(random_number(), random_number());
      const auto type = http::first_value(fields, "Content-Type").value_or("");
      auto* multipart = new std::string;
      for (const auto part : range.ranges) {
        multipart->append(http::multipart_part_head(boundary, type, part, complete_length));
        multipart->append(bytes_of(part));
      }
      multipart->append(http::multipart_end(boundary));
      auto head = changed_head(206, fields, stored->base_key(), of_parts);
      append_field(head, "Content-Type", http::multipart_content_type(boundary));
      append_field(head, "Content-Length", std::to_string(multipart->size()));
      lines_.insert(0, head);
      reply.body = *multipart;
      reply.retained = multipart;
      reply.release = release_string;
      break;
    }
  }
  reply.more_lines = lines_;
  exchange.reply.whole(reply);
}

}  // namespace larder::proxy
