// Shadow mode, in which the origin answers everything and the cache only reckons; and verification, which asks the
// origin about a share of the hits after they were served. Both compare what is stored with what the origin says.
#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "larder/http/log_text.hpp"
#include "larder/net/error.hpp"
#include "larder/policy/digest.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/validation.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace asio = boost::asio;

namespace {

constexpr std::uint32_t all_of_them = 1000000;

std::string sha256_of(std::string_view bytes) {
  policy::Digest digest(policy::Digest::Algorithm::sha256);
  digest.update(bytes);
  std::array<char, 64> hex{};
  return {hex.data(), digest.finish_hex(hex.data())};
}

std::string_view detail_of(ShadowOutcome outcome) noexcept {
  switch (outcome) {
    case ShadowOutcome::hit:
      return "shadow_hit";
    case ShadowOutcome::stale:
      return "shadow_stale";
    case ShadowOutcome::revalidate:
      return "shadow_revalidate";
    default:
      return "shadow_miss";
  }
}

}  // namespace

// The origin's answer to a request, as far as it can be compared.
struct Proxy::FreshAnswer {
  int status = 0;
  http::FieldSpan fields;
  std::optional<std::string_view> body;  ///< empty where it is not known whole
  bool is_longer = false;                ///< than what is stored, so that not all of it was read
};

// Compares what is stored, in the form in which the client was or would have been given it, with what the origin has
// said, and counts the verdict.
void Proxy::compare(CheckKind kind, const Transaction& transaction, const store::StoredPtr& stored,
                    const store::StoredPtr& form, const FreshAnswer& fresh) {
  const auto& t = transaction;
  auto& checks = *shared_.checks;
  const auto fields = form->fields();
  std::vector<std::string> differs;
  if (policy::is_server_failure(fresh.status)) {
    checks.count(t.route(), kind, policy::AnswerVerdict::failed);
    return;
  }
  if (fresh.status == 304) {
    // The client's own validators: then the entity tags tell.
    const auto ours = http::combined(fields, "ETag");
    const auto theirs = http::combined(fresh.fields, "ETag");
    if (!ours || !theirs) {
      checks.count(t.route(), kind, policy::AnswerVerdict::incomparable);
      return;
    }
    if (*ours != *theirs) differs.emplace_back("ETag");
  } else if (!form->is_complete() || (!fresh.body && !fresh.is_longer) ||
             !policy::have_same_coding(fields, fresh.fields)) {
    checks.count(t.route(), kind, policy::AnswerVerdict::incomparable);
    return;
  } else {
    differs = policy::differences({form->status(), fields, form->body()},
                                  {fresh.status, fresh.fields, fresh.body.value_or(std::string_view{})},
                                  t.terms->rules->compared_fields);
    if (fresh.is_longer && std::ranges::find(differs, "body") == differs.end()) differs.emplace_back("body");
  }
  if (differs.empty()) {
    checks.count(t.route(), kind, policy::AnswerVerdict::same);
    return;
  }
  auto verdict = policy::AnswerVerdict::stale;
  if (!is_alive(*stored)) {
    verdict = policy::AnswerVerdict::purged;
  } else if (checks.had_other_credentials(stored->key(), policy::credentials_of(t.fields))) {
    verdict = policy::AnswerVerdict::mixed;
  }
  checks.count(t.route(), kind, verdict);
  if (verdict == policy::AnswerVerdict::purged) return;
  CheckExample example{.when = wall_clock(),
                       .kind = kind,
                       .verdict = verdict,
                       .route = t.route().match_text,
                       .key = std::string(stored->key()),
                       .target = {},
                       .differs = std::move(differs),
                       .stored_status = form->status(),
                       .fresh_status = fresh.status,
                       .stored_hash = sha256_of(form->body()),
                       .fresh_hash = fresh.body ? sha256_of(*fresh.body) : std::string(),
                       .age = stored->lifetime().current_age(wall_clock())};
  http::append_without_secrets(example.target, t.target, shared_.secret_parameters);
  checks.add(std::move(example));
}

// Who fetched what is stored now, for those who are given it later.
void Proxy::remember_credentials(const Transaction& transaction, std::string_view name) {
  const auto& route = transaction.route();
  if (route.is_shadow || route.verify_ppm > 0) {
    shared_.checks->remember_credentials(name, policy::credentials_of(transaction.fields));
  }
}

// What the cache would have done, and with what. The response, where there is one, in transaction.stale.
Proxy::Awaitable<ShadowOutcome> Proxy::look_up_in_shadow(net::Exchange& exchange, TransactionPtr transaction) {
  auto& t = *transaction;
  bool current = true;
  if (remote_ != nullptr) t.redis_until = remote_->deadline_from_now();
  const net::AccessLap lap(exchange.record, &net::AccessRecord::redis);
  if (shared_.coherence == Coherence::strict) {
    current = remote_ != nullptr;
    if (current) current = co_await remote_->confirm_clock(t.redis_until);
  }
  t.may_ask_redis = current && remote_ != nullptr;
  auto found = find_in_memory(t, true);
  t.reason = found.reason;
  if (found.stored && current && is_trusted(*found.stored, wall_clock())) t.stale = found.stored;
  if (!t.stale && asks_redis(t)) (void)co_await look_up_remote(transaction);
  if (!t.stale || !acceptable_form(t, t.stale)) co_return ShadowOutcome::miss;
  const auto reuse = policy::decide_reuse(t.stale->lifetime(), t.client, wall_clock());
  if (reuse.use == policy::Use::revalidate || !t.stale->can_answer(t.request)) {
    t.reason = reuse.use == policy::Use::revalidate ? reuse.reason : policy::NotReused::incomplete;
    co_return ShadowOutcome::revalidate;
  }
  t.reason = policy::NotReused::none;
  co_return reuse.use == policy::Use::serve ? ShadowOutcome::hit : ShadowOutcome::stale;
}

// Each request has its own answer from the origin. What the cache would have stored is stored, and a response that
// would have been a hit stays until it would have become stale, as it would have without shadow mode.
Proxy::Awaitable<void> Proxy::shadow(net::Exchange& exchange, TransactionPtr transaction) {
  auto& t = *transaction;
  auto& checks = *shared_.checks;
  const auto would = co_await look_up_in_shadow(exchange, transaction);
  const bool would_serve = would == ShadowOutcome::hit || would == ShadowOutcome::stale;
  checks.count(t.route(), would);
  if (!would_serve) count(&t.route(), t.reason);
  const auto stored = t.stale;
  const auto form = would_serve ? acceptable_form(t, stored) : nullptr;

  Labels labels;
  labels.outcome = policy::CacheOutcome::bypass;
  labels.key = t.key.key;
  labels.reason = t.reason;
  labels.forward = "bypass";
  labels.detail = detail_of(would);
  count(exchange, &t.route(), labels.outcome);

  const auto stamp = shared_.log.stamp();
  const auto request_time = wall_clock();
  const auto origin =
      origin_request(&exchange, *t.terms, t.request, t.client_address, t.content ? &*t.content : nullptr);
  OriginResponse response;
  {
    const net::AccessLap lap(exchange.record, &net::AccessRecord::origin);
    co_await fetch(origins_, origin, response);
  }
  const auto response_time = wall_clock();
  if (response.error) {
    report_origin_error(t.method, t.target, response);
    if (would_serve) checks.count(t.route(), CheckKind::shadow, policy::AnswerVerdict::failed);
    reply_with_failure(exchange, *t.terms, response, labels);
    co_return;
  }
  if (response.head.status == 101) {
    co_await relay_upgraded(exchange, *t.terms, response);
    co_return;
  }

  const auto most = shared_.cache.max_object;
  const auto length = response.lease.connection().length();
  const bool is_whole = t.method != "HEAD" && response.head.status != 206 && length.value_or(0) <= most;
  const auto share = is_whole ? shared_.fills.reserve(static_cast<std::size_t>(length.value_or(most))) : std::nullopt;
  BodyCopy copy{.bytes = {}, .most = most};
  const auto answer = response_fields(response.head, via_.of(response.head.version), response_time);
  co_await relay_response(exchange, *t.terms, response, labels, share ? &copy : nullptr);
  const bool is_known = share && !response.error && !copy.is_cut;

  if (would_serve) {
    FreshAnswer fresh{.status = response.head.status, .fields = answer, .body = std::nullopt};
    if (is_known) fresh.body = copy.bytes;
    compare(CheckKind::shadow, t, stored, form, fresh);
    co_return;
  }
  const auto& rule = t.route().store;
  const auto lifetime = policy::compute_lifetime(response.head, rule, request_time, response_time);
  const auto reason = policy::storable(t.request, response.head, rule, lifetime);
  if (reason != policy::NotStored::none) count(&t.route(), reason);
  if (reason != policy::NotStored::none || !is_known) co_return;
  auto parts = parts_of(t, stamp, lifetime, answer);
  parts.status = response.head.status;
  parts.reason = response.head.reason;
  parts.body = std::make_shared<const std::string>(std::move(copy.bytes));
  remember_credentials(t, parts.key);
  (void)keep(t, store::StoredResponse::make(std::move(parts)), stamp);
}

// After a hit was served: shall the origin be asked about it? Only what may be asked again without harm: a GET that has
// no credentials, unless the rules know of them.
void Proxy::verify_by_chance(const net::Exchange& exchange, const TermsPtr& terms, const policy::Route& route,
                             const store::StoredPtr& stored) {
  if (random_() % all_of_them >= route.verify_ppm) return;
  if (exchange.request.method != "GET" || !stored->is_complete()) return;
  auto& checks = *shared_.checks;
  if (!route.verify_credentials && !route.identity && policy::credentials_of(exchange.request.fields) != 0) {
    checks.count(route, VerifySkip::credentials);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - verify_second_ >= std::chrono::seconds(1)) {
    verify_second_ = now;
    verified_in_second_ = 0;
  }
  const auto& limits = shared_.cache;
  if (verified_in_second_ >= limits.verify_rate || verifying_.use_count() > static_cast<long>(limits.verify_parallel)) {
    checks.count(route, VerifySkip::rate);
    return;
  }
  // An answer that is longer differs, so no more is read of it.
  auto share = shared_.fills.reserve(stored->body().size());
  if (!share) {
    checks.count(route, VerifySkip::memory);
    return;
  }
  ++verified_in_second_;
  asio::co_spawn(context_.get_executor(),
                 verify(make_end_to_end_transaction(terms, exchange), stored, std::move(*share), verifying_),
                 asio::detached);
}

// `share`: of memory for the answer; `place`: counts those that are under way.
Proxy::Awaitable<void> Proxy::verify(TransactionPtr transaction, store::StoredPtr stored, store::BudgetShare share,
                                     std::shared_ptr<const bool> place) {
  const auto held_share = std::move(share);
  const auto held_place = std::move(place);
  const auto& t = *transaction;
  auto& checks = *shared_.checks;
  auto fields = http::FieldList::view_of(t.fields);
  policy::remove_preconditions(fields);
  auto request = t.request;
  request.fields = fields;
  const auto origin = origin_request(nullptr, *t.terms, request, t.client_address);
  OriginResponse response;
  co_await fetch(origins_, origin, response);
  if (response.error) {
    report_origin_error(t.method, t.target, response);
    checks.count(t.route(), CheckKind::verify, policy::AnswerVerdict::failed);
    co_return;
  }
  auto& connection = response.lease.connection();
  if (response.head.status == 101) {
    connection.close();
    checks.count(t.route(), CheckKind::verify, policy::AnswerVerdict::incomparable);
    co_return;
  }
  const auto most = stored->body().size();
  std::string body;
  bool is_longer = connection.length().value_or(0) > most;
  while (!is_longer && !connection.body_done()) {
    const auto piece = co_await connection.read_body();
    if (!piece) {
      response.error = piece.error();
      response.fault = connection.fault();
      report_origin_error(t.method, t.target, response);
      checks.count(t.route(), CheckKind::verify, policy::AnswerVerdict::failed);
      co_return;
    }
    is_longer = piece->size() > most - body.size();
    if (!is_longer) body += *piece;
  }
  const auto answer = response_fields(response.head, via_.of(response.head.version), wall_clock());
  FreshAnswer fresh{.status = response.head.status, .fields = answer, .body = std::nullopt, .is_longer = is_longer};
  if (!is_longer) fresh.body = body;
  compare(CheckKind::verify, t, stored, stored, fresh);
  if (is_longer) connection.close();
}

}  // namespace larder::proxy
