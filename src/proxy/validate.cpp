// What the origin is asked about a stored response, and what its answer confirms (RFC 9111 §4.3).
#include "larder/policy/cache_groups.hpp"
#include "larder/policy/storable.hpp"
#include "larder/policy/validation.hpp"
#include "larder/policy/vary.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

namespace {

// The tags that the rule has given to a stored response: those of its fields are made anew from what they are now.
std::vector<std::string> rule_tags(const store::StoredResponse& stored) {
  auto tags = stored.tags().strings();
  std::erase_if(tags, [](const std::string& tag) { return policy::is_own_tag(tag); });
  return tags;
}

}  // namespace

// `passes_range`: the answer is for one client alone, whose Range and preconditions are passed on where we have nothing
// better to ask. `is_shared`: the answer is for everyone, so it must be whole.
Proxy::Question Proxy::make_question(const Transaction& transaction, bool passes_range, bool is_shared) const {
  const auto& t = transaction;
  Question question;
  question.fields = http::FieldList::view_of(t.fields);
  if (t.stale && t.stale->has_validator() && t.stale->can_answer(t.request)) {
    question.validates = true;
    policy::add_validators(question.fields, t.stale->fields());
    return question;
  }
  if (t.stale && !t.stale->is_complete()) {
    question.gap = policy::missing_range(t.request, t.stale->fields(), *t.stale->extent());
    if (question.gap && !fits(t, *question.gap)) question.gap.reset();
  }
  if (question.gap) {
    policy::remove_preconditions(question.fields);
    question.fields.add("Range", policy::range_field(*question.gap));
    question.fields.add("If-Range", *http::first_value(t.stale->fields(), "ETag"));
    return question;
  }
  if (passes_range) return question;
  question.fields.remove("Range");
  question.fields.remove("If-Range");
  if (is_shared) {
    question.fields.remove("If-None-Match");
    question.fields.remove("If-Modified-Since");
  }
  return question;
}

// All but status, reason and body of what is stored for this transaction. `fields`: end-to-end fields of the answer.
store::StoredParts Proxy::parts_of(const Transaction& transaction, const store::PurgeStamp& stamp,
                                   const policy::Lifetime& lifetime, http::FieldSpan fields) const {
  const auto& t = transaction;
  store::StoredParts parts;
  auto key = t.key;
  if (t.path_size > 0) {
    const auto variance = policy::query_variance(fields);
    if (!variance.is_default() &&
        shared_.variances.remember(std::string_view(t.key.canonical).substr(0, t.path_size), variance)) {
      key = key_under(t, variance);
    }
  }
  parts.selecting = selecting_of(t, fields);
  parts.key = std::move(key.key);
  parts.base_key_size = parts.key.size();
  parts.canonical = std::move(key.canonical);
  parts.type = t.route().type->name;
  parts.origin = t.origin;
  parts.target = t.purge_target;
  parts.tags = tags_of(t, t.tags, fields);
  parts.priority = t.route().type->priority;
  parts.stamp = stamp;
  parts.lifetime = lifetime;
  parts.fields = policy::stored_fields(fields, t.route().store);
  // It was the id of the request that fetched this.
  if (shared_.trace.return_request_id) parts.fields.remove(shared_.trace.request_id_field);
  name_variant(parts);
  return parts;
}

// The rule's tags, and those that the response itself gives.
std::vector<std::string> Proxy::tags_of(const Transaction& transaction, std::vector<std::string> rule_tags,
                                        http::FieldSpan fields) const {
  const auto& t = transaction;
  auto tags = std::move(rule_tags);
  for (const auto& group : policy::cache_groups(fields).names) {
    // What hosts share belongs to the groups of all of them.
    tags.push_back(t.origin.empty() ? policy::group_tag({}, {}, group)
                                    : policy::group_tag(t.scheme, t.authority, group));
  }
  if (t.path_size > 0 && !policy::query_variance(fields).is_default()) {
    tags.push_back(policy::varied_path_tag(t.request.path()));
  }
  return tags;
}

// The name that goes with parts.selecting and parts.fields.
void Proxy::name_variant(store::StoredParts& parts) const {
  parts.key.resize(parts.base_key_size);
  if (parts.selecting.empty()) return;
  parts.key = policy::variant_key(parts.key, policy::variant_names(parts.selecting, parts.fields).front());
}

// What a response with these fields is selected by. Where it lacks Vary and others of the resource have it, it was left
// out (RFC 9111 §4.1): then what selects the most recent one of those selects this one too.
std::string Proxy::selecting_of(const Transaction& transaction, http::FieldSpan fields) const {
  const auto& t = transaction;
  auto names = policy::vary_names(fields).names;
  if (names.empty()) {
    names = t.vary_names;
    for (const auto& variant : shared_.memory.variants(t.key.canonical)) {
      if (variant->selecting().empty()) continue;
      names = policy::selecting_names(variant->selecting());
      break;
    }
  }
  return policy::selecting_fields(names, t.fields);
}

policy::NotStored Proxy::keep(const Transaction& transaction, const store::StoredPtr& stored,
                              const store::PurgeStamp& stamp) {
  const auto& route = transaction.route();
  // Its key, lifetime and tags are the old rules', and the purge that goes with their end may have been before the
  // fill.
  if (transaction.terms->rules != terms_->rules) {
    count(&route, policy::NotStored::rules_changed);
    return policy::NotStored::rules_changed;
  }
  auto reason = policy::NotStored::purged_while_filling;
  if (shared_.log.alive_since(stored->subject(), stamp.sequence) == store::Liveness::alive) {
    reason = shared_.memory.insert(stored, stamp.sequence);
  }
  if (reason == policy::NotStored::none) {
    counters_.stored.add();
  } else {
    count(&route, reason);
  }
  if (reason != policy::NotStored::purged_while_filling && remote_ != nullptr) remote_->insert(stored);
  return reason;
}

void Proxy::drop(const store::StoredResponse& stored) {
  const store::StoredPtr held(&stored);
  shared_.memory.erase(held);
  if (remote_ != nullptr) remote_->remove(stored);
}

// What is stored under a search variance of its own (No-Vary-Search) takes the place of what the plain key has for this
// request, which would else be found first.
void Proxy::supersede(const Transaction& transaction, const store::StoredResponse& stored) {
  const auto& t = transaction;
  if (stored.canonical() == t.key.canonical) return;
  auto older = shared_.memory.find(t.key.canonical, t.fields, false).stored;
  if (!older) older = t.stale;
  if (older && older->canonical() == t.key.canonical) drop(*older);
}

// A 304 may confirm another stored variant than the one that was asked about (RFC 9111 §4.3.4): the one with the same
// strong entity tag.
store::StoredPtr Proxy::find_confirmed(const Transaction& transaction, http::FieldSpan not_modified_fields) const {
  for (const auto& stored : shared_.memory.variants(transaction.key.canonical)) {
    if (policy::share_strong_validator(stored->fields(), not_modified_fields) &&
        stored->can_answer(transaction.request)) {
      return stored;
    }
  }
  return nullptr;
}

// Stores what `answer_fields` (of a 304 or a HEAD) confirm of transaction.stale, for this request, and refreshes the
// other variants with the same strong entity tag as well (RFC 9111 §4.3.4). Where the reason says that the result must
// not be stored, nobody but the client that asked may be given it.
Proxy::Freshened Proxy::freshen(const Transaction& transaction, http::FieldSpan answer_fields,
                                const store::PurgeStamp& stamp, policy::TimePoint request_time,
                                policy::TimePoint response_time) {
  const auto& t = transaction;
  const auto& rule = t.route().store;
  const auto& old = *t.stale;
  const auto old_fields = old.fields();
  const auto fields = policy::freshen(old_fields, answer_fields);
  const http::ResponseHead head{
      .status = old.status(), .reason = old.reason(), .version = http::Version::http_1_1, .fields = fields};
  const auto lifetime =
      policy::compute_freshened_lifetime(old.status(), fields, answer_fields, rule, request_time, response_time);
  const auto reason = policy::storable(t.request, head, rule, lifetime);
  auto parts = parts_of(t, stamp, lifetime, fields);
  // It may have been selected for another request than this one, and what it was selected by stays.
  parts.selecting = policy::extended_selecting(old.selecting(), policy::vary_names(fields).names, t.fields);
  // So do the tags: they may come from request fields that are no part of the key.
  parts.tags = tags_of(t, rule_tags(old), fields);
  name_variant(parts);
  parts.status = old.status();
  parts.reason = old.reason();
  parts.body = old.shared_body();
  parts.extent = old.shared_extent();
  auto stored = store::StoredResponse::make(std::move(parts));
  if (reason != policy::NotStored::none) {
    count(&t.route(), reason);
    drop(*t.stale);
    return {stored, reason};
  }
  (void)keep(t, stored, stamp);
  supersede(t, *stored);
  if (!policy::share_strong_validator(old_fields, answer_fields)) return {stored, reason};
  for (const auto& other : shared_.memory.variants(old.canonical())) {
    if (other == stored || other == t.stale || other->selecting() == stored->selecting()) continue;
    if (!policy::share_strong_validator(other->fields(), answer_fields)) continue;
    const auto other_fields = policy::freshen(other->fields(), answer_fields);
    const auto other_lifetime = policy::compute_freshened_lifetime(other->status(), other_fields, answer_fields, rule,
                                                                   request_time, response_time);
    auto copy = parts_of(t, stamp, other_lifetime, other_fields);
    copy.selecting = other->selecting();
    copy.tags = tags_of(t, rule_tags(*other), other_fields);
    name_variant(copy);
    copy.status = other->status();
    copy.reason = other->reason();
    copy.body = other->shared_body();
    copy.extent = other->shared_extent();
    (void)keep(t, store::StoredResponse::make(std::move(copy)), stamp);
  }
  return {stored, reason};
}

}  // namespace larder::proxy
