// A request that is made before any client makes it: what is stored for it is looked up and, where that will not do for
// long, fetched by the same fills that clients lead and follow.
#include "larder/policy/admission.hpp"
#include "larder/policy/vary.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {
// A write or a reload may come between the question and the answer: then what was fetched is of no use, and it is asked
// for again, but not for ever.
constexpr int most_attempts = 3;

bool comes_too_late(policy::NotStored reason) noexcept {
  return reason == policy::NotStored::purged_while_filling || reason == policy::NotStored::rules_changed;
}
}  // namespace

std::string_view to_string(Warmed end) noexcept {
  switch (end) {
    case Warmed::fresh:
      return "fresh";
    case Warmed::stored:
      return "stored";
    case Warmed::revalidated:
      return "revalidated";
    case Warmed::not_stored:
      return "not_stored";
    case Warmed::error_status:
      return "error_status";
    case Warmed::origin_error:
      return "origin_error";
    case Warmed::not_cached:
      return "not_cached";
    case Warmed::count_:
      break;
  }
  return {};
}

Proxy::Awaitable<WarmResult> Proxy::warm(std::shared_ptr<const policy::NormalRequest> request,
                                         policy::Seconds fresh_for, policy::TimePoint since) {
  const auto head = request->head();
  WarmResult result;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const auto admission = policy::admit(*terms_->rules, head, request->traits());
    if (admission.way != policy::Way::look_up) {
      result = {Warmed::not_cached, std::string(to_string(admission.reason))};
      break;
    }
    const auto transaction = make_transaction(terms_, head, {}, std::nullopt);
    const bool lasts = co_await lasts_for(transaction, fresh_for, since);
    if (lasts) {
      result = {Warmed::fresh, {}};
      break;
    }
    const auto stored = co_await fill_ahead(transaction);
    result = end_of_fill(*transaction, stored);
    if (!comes_too_late(transaction->fetched.not_stored)) break;
  }
  co_return result;
}

// Is something stored that is fresh for longer than this, or as new as can be? What is stored else is then in
// transaction->stale.
Proxy::Awaitable<bool> Proxy::lasts_for(TransactionPtr transaction, policy::Seconds fresh_for,
                                        policy::TimePoint since) {
  auto& t = *transaction;
  const auto lasts = [&](const store::StoredPtr& stored) {
    const auto now = wall_clock();
    const auto use = usability(t, stored, now);
    const auto& lifetime = stored->lifetime();
    return use.reason == policy::NotReused::none && use.reuse.use == policy::Use::serve &&
           (lifetime.response_time >= since || lifetime.freshness_lifetime - lifetime.current_age(now) > fresh_for);
  };
  bool current = true;
  if (remote_ != nullptr) t.redis_until = remote_->deadline_from_now();
  if (shared_.coherence == Coherence::strict) {
    current = remote_ != nullptr;
    if (current) current = co_await remote_->confirm_clock(t.redis_until);
  }
  t.may_ask_redis = current && remote_ != nullptr;
  t.may_join = may_join(current);
  const auto in_memory = find_in_memory(t, false);
  t.reason = in_memory.reason;
  if (in_memory.stored) {
    const bool is_trustworthy = current && is_trusted(*in_memory.stored, wall_clock());
    if (is_trustworthy && lasts(in_memory.stored)) co_return true;
    t.stale = in_memory.stored;
    t.reason = is_trustworthy ? policy::NotReused::stale : policy::NotReused::epoch;
  }
  if (!asks_redis(t)) co_return false;
  (void)co_await look_up_remote(transaction);
  co_return t.stale != nullptr&& t.stale != in_memory.stored&& lasts(t.stale);
}

// Follows the fill that a client leads, or leads one that nobody waits for. What came of it is in transaction->fetched
// and, where it is stored, the return.
Proxy::Awaitable<store::StoredPtr> Proxy::fill_ahead(TransactionPtr transaction) {
  auto& t = *transaction;
  std::shared_ptr<store::Fill> fill;
  std::string join_key;
  if (t.may_join) {
    auto ticket = shared_.fills.join(t.key.canonical, t.subject(), shared_.log, wall_clock());
    if (ticket.role == store::FillRole::follow) {
      store::FillReader reader(std::move(ticket.fill));
      auto stored = co_await read_to_end(reader);
      const bool is_ours = stored && policy::selecting_fields_match(stored->selecting(), t.fields) &&
                           stored->lifetime().is_fresh(wall_clock());
      if (is_ours) {
        t.fetched.status = stored->status();
        co_return stored;
      }
    } else if (ticket.role == store::FillRole::lead) {
      fill = std::move(ticket.fill);
      join_key = t.key.canonical;
    }
  }
  if (!fill) fill = shared_.fills.unlisted(shared_.log.stamp());
  if (!fill) {
    t.fetched.not_stored = policy::NotStored::fill_budget;
    co_return nullptr;
  }
  // Known as a reader before the first byte, as somebody must read what is too large to be kept.
  store::FillReader reader(fill);
  co_await lead(nullptr, transaction, std::move(join_key), std::move(fill));
  auto stored = co_await read_to_end(reader);
  co_return stored;
}

// Waits until the fill has ended; returns what is stored of it, if anything.
Proxy::Awaitable<store::StoredPtr> Proxy::read_to_end(store::FillReader& reader) {
  const auto changed = std::make_shared<net::WaitPoint>(context_.get_executor());
  std::size_t size = 0;
  for (;;) {
    const auto view = reader.view();
    if (view.phase != store::FillPhase::waiting && view.phase != store::FillPhase::streaming) co_return view.stored;
    size += view.bytes.size();
    if (size > shared_.cache.max_object) co_return nullptr;  // it will not be stored: no reason to read on
    if (!view.bytes.empty()) {
      reader.advance(view.bytes.size());
      continue;
    }
    reader.on_change(view, [changed] { changed->notify(); });
    co_await changed->wait();
  }
}

WarmResult Proxy::end_of_fill(Transaction& transaction, const store::StoredPtr& stored) const {
  auto& got = transaction.fetched;
  if (got.error) return {Warmed::origin_error, got.error.message()};
  if (got.status >= 400) return {Warmed::error_status, std::to_string(got.status)};
  if (stored && got.not_stored == policy::NotStored::none && !is_alive(*stored)) {
    got.not_stored = policy::NotStored::purged_while_filling;
  }
  if (got.not_stored == policy::NotStored::none && !stored) got.not_stored = policy::NotStored::incomplete;
  if (got.not_stored != policy::NotStored::none) return {Warmed::not_stored, std::string(to_string(got.not_stored))};
  return {got.status == 304 ? Warmed::revalidated : Warmed::stored, {}};
}

}  // namespace larder::proxy
