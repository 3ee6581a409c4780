// The look-ups of a request without their effects: nothing is counted as a use, served or fetched.
#include "larder/proxy/inspection.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

Usability Proxy::usability(const Transaction& transaction, const store::StoredPtr& stored, policy::TimePoint now) {
  Usability out;
  out.reuse = policy::decide_reuse(stored->lifetime(), transaction.client, now);
  out.form = acceptable_form(transaction, stored);
  if (!out.form) {
    out.reason = policy::NotReused::vary_miss;
  } else if (out.reuse.use == policy::Use::revalidate) {
    out.reason = out.reuse.reason;
  } else if (!stored->can_answer(transaction.request)) {
    out.reason = policy::NotReused::incomplete;
  }
  return out;
}

TierFinding Proxy::finding_of(const Transaction& transaction, std::string_view tier, store::Lookup found,
                              bool is_trustworthy) {
  TierFinding out;
  out.tier = tier;
  out.reason = found.reason;
  if (!found.stored) return out;
  const auto now = wall_clock();
  const auto use = usability(transaction, found.stored, now);
  out.use = use.reuse.use;
  out.reason = is_trustworthy ? use.reason : policy::NotReused::epoch;
  out.may_serve_on_error = is_trustworthy && use.form != nullptr && found.stored->can_answer(transaction.request) &&
                           policy::may_serve_on_error(found.stored->lifetime(), transaction.client, now);
  out.stored = std::move(found.stored);
  return out;
}

Proxy::Awaitable<Inspection> Proxy::inspect(TermsPtr terms, const http::RequestHead& request) {
  const auto transaction = make_transaction(terms, request, {}, std::nullopt);
  auto& t = *transaction;
  Inspection out;
  bool current = true;
  if (remote_ != nullptr) t.redis_until = remote_->deadline_from_now();
  if (shared_.coherence == Coherence::strict) {
    current = remote_ != nullptr;
    if (current) current = co_await remote_->confirm_clock(t.redis_until);
  }
  out.is_filling = shared_.fills.is_filling(t.key.canonical);
  out.variants = shared_.memory.variants(t.key.canonical);

  auto in_memory = find_in_memory(t, false);
  const bool is_trustworthy = current && in_memory.stored && is_trusted(*in_memory.stored, wall_clock());
  out.tiers.push_back(finding_of(t, "memory", std::move(in_memory), is_trustworthy));
  out.tiers.back().is_asked = shared_.memory.parameters().capacity > 0;
  if (remote_ != nullptr) {
    const bool is_asked = current && remote_->is_readable();
    store::Lookup in_redis;
    if (is_asked) in_redis = co_await find_in_redis(transaction);
    out.tiers.push_back(finding_of(t, "redis", std::move(in_redis), true));
    out.tiers.back().is_asked = is_asked;
  }

  // As get() goes on: memory first; Redis where that does not serve it, unless what it has is older.
  const auto& memory = out.tiers.front();
  const auto* chosen = &memory;
  if (memory.reason != policy::NotReused::none && out.tiers.size() > 1) {
    const auto& redis = out.tiers.back();
    const bool is_older = memory.stored && redis.stored &&
                          memory.stored->lifetime().response_time >= redis.stored->lifetime().response_time;
    if (redis.is_asked && !is_older && (redis.stored || !memory.stored)) chosen = &redis;
  }
  out.reason = chosen->reason;
  if (chosen->reason == policy::NotReused::none) {
    out.outcome = chosen->use == policy::Use::serve ? policy::CacheOutcome::hit : policy::CacheOutcome::stale;
    out.tier = chosen->tier;
  } else {
    out.would_validate = chosen->stored && chosen->stored->has_validator();
  }
  co_return out;
}

}  // namespace larder::proxy
