#include "larder/admin/value_api.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "larder/admin/endpoint.hpp"
#include "larder/admin/request_body.hpp"
#include "larder/admin/token.hpp"
#include "larder/admin/value_order.hpp"
#include "larder/http/field_list.hpp"
#include "larder/policy/rules.hpp"

namespace larder::admin {
namespace {

using policy::Namespace;
using policy::Namespaces;
using policy::TokenScope;
using proxy::namespace_of;
using proxy::ValueLookup;
using std::chrono::milliseconds;

constexpr std::size_t most_answered = 16UL << 20;

struct Row {
  ValueEndpoint endpoint;
  std::string_view path;
  bool has_argument;
  std::string_view shown;
  std::string_view allow;
};

constexpr std::array<Row, 8> rows{{
    {ValueEndpoint::set, "/cache/set", false, "/cache/set", "POST"},
    {ValueEndpoint::get, "/cache/get", true, "/cache/get/{key}", "GET, HEAD"},
    {ValueEndpoint::get_many, "/cache/get-many", false, "/cache/get-many", "POST"},
    {ValueEndpoint::exists, "/cache/exists", true, "/cache/exists/{key}", "GET, HEAD"},
    {ValueEndpoint::get_or_set, "/cache/get-or-set", false, "/cache/get-or-set", "POST"},
    {ValueEndpoint::release, "/cache/release", false, "/cache/release", "POST"},
    {ValueEndpoint::clear, "/cache/clear", true, "/cache/clear/{key}", "DELETE"},
    {ValueEndpoint::flush, "/cache/flush", true, "/cache/flush, /cache/flush/{namespace}", "DELETE"},
}};

std::chrono::system_clock::time_point now() { return std::chrono::system_clock::now(); }

// Whole seconds, rounded up, so that what is alive has one at least.
std::int64_t seconds_left(milliseconds left) { return std::chrono::ceil<std::chrono::seconds>(left).count(); }

// A value's members, with its text as it was stored.
std::string value_members(const ValueLookup& value) {
  return fmt::format(R"("value":{},"ttl":{})", value.text, seconds_left(value.left));
}

Answer shown(std::string_view key, const ValueLookup& value, std::string_view more = {}) {
  return {.status = 200,
          .body = fmt::format("{{\"status\":\"success\",{}\"key\":{},{},\"timestamp\":\"{}\"}}\n", more,
                              serialise(Json(std::string(key))), value_members(value), iso_time(now())),
          .more_lines = {}};
}

Answer no_value(std::string_view key, proxy::NoValue reason) {
  std::string_view why = "nothing is stored under this key, or it has expired";
  if (reason == proxy::NoValue::undelivered) {
    why = "it was changed while Redis was away, and memory does not hold it any more";
  } else if (reason == proxy::NoValue::untrusted) {
    why = "Redis is away, and other nodes may have changed it";
  } else if (reason == proxy::NoValue::unavailable) {
    why = "memory does not hold it, and Redis does not answer";
  }
  return failure(404, "no_value", why, {{"key", std::string(key)}, {"reason", proxy::to_string(reason)}});
}

Answer no_token(bool is_wrong) {
  auto answer = is_wrong ? failure(401, "wrong_token", "no such token is configured")
                         : failure(401, "no_token", "a token is needed; send one field Authorization: Bearer TOKEN");
  answer.more_lines = is_wrong ? "WWW-Authenticate: Bearer realm=\"larder\", error=\"invalid_token\"\r\n"
                               : "WWW-Authenticate: Bearer realm=\"larder\"\r\n";
  return answer;
}

Answer retry_later(std::string_view name, std::string_view message) {
  auto answer = failure(503, name, message);
  answer.more_lines = "Retry-After: 1\r\n";
  return answer;
}

Answer not_coherent() {
  return retry_later(
      "not_coherent",
      "Redis did not take this change, and with redis.coherence strict it counts only when every node can "
      "see it; the old value is gone as soon as Redis is back; ask again");
}

Answer lost_lease() {
  return failure(409, "lease_lost",
                 "nothing was stored: the lease has ended, by its time, by release or because the key was changed");
}

}  // namespace

RoutedValue route_value(std::string_view method, std::string_view path) noexcept {
  for (const auto& row : rows) {
    if (!path.starts_with(row.path)) continue;
    auto rest = path.substr(row.path.size());
    if (!rest.empty() && (!row.has_argument || rest.front() != '/')) continue;
    if (!rest.empty()) rest.remove_prefix(1);
    http::ListMembers members(row.allow);
    bool has_method = false;
    while (const auto member = members.next()) has_method |= *member == method;
    return {.endpoint = row.endpoint, .argument = rest, .allow = row.allow, .has_method = has_method};
  }
  return {};
}

Json value_endpoints() {
  auto list = Json::array();
  for (const auto& row : rows) list.push_back(fmt::format("{} {}", row.allow, row.shown));
  return list;
}

ValueApi::ValueApi(const std::shared_ptr<const policy::RuleSet>& rules, proxy::Values* values,
                   std::string_view admin_token)
    : rules_(rules), values_(values) {
  set_admin_token(admin_token);
}

void ValueApi::set_admin_token(std::string_view token) {
  admin_token_.reset();
  if (!token.empty()) admin_token_ = policy::token_digest(token);
}

std::variant<ValueApi::Caller, Answer> ValueApi::caller_of(const net::Exchange& exchange, const Namespaces& spaces) {
  const bool has_tokens = std::ranges::any_of(
      spaces.all, [](const Namespace& space) { return !space.readers.empty() || !space.writers.empty(); });
  if (!admin_token_ && !has_tokens) {
    return failure(403, "no_token_configured",
                   "no token is configured; set admin.token in the configuration file or tokens of namespaces in the "
                   "rules file, then send Authorization: Bearer TOKEN");
  }
  const auto given = bearer_token(exchange.request.fields);
  if (!given) return no_token(false);
  Caller caller{.is_admin = false, .token = policy::token_digest(*given)};
  caller.is_admin = admin_token_ && policy::equal_digests(*admin_token_, caller.token);
  bool is_known = caller.is_admin;
  for (const auto& space : spaces.all) is_known |= policy::scope_of(space, caller.token) != TokenScope::none;
  if (is_known) return caller;
  refusals_.report(fmt::format("wrong token from {} for the key-value API", exchange.client_address));
  return no_token(true);
}

std::optional<Answer> ValueApi::refusal(const Caller& caller, const Namespaces& spaces, std::string_view prefix,
                                        Access needed) {
  const auto* const space = spaces.find(prefix);
  const auto scope = space != nullptr ? policy::scope_of(*space, caller.token) : TokenScope::none;
  if (space != nullptr && (caller.is_admin || scope >= needed)) return std::nullopt;
  if (space == nullptr && caller.is_admin) {
    auto names = Json::array();
    for (const auto& known : spaces.all) names.push_back(known.name);
    return failure(
        404, "unknown_namespace",
        fmt::format("there is no namespace \"{}\" (what stands before the key's first ':'), and the default one "
                    "is off",
                    prefix.substr(0, 64)),
        {{"namespaces", std::move(names)}});
  }
  if (space != nullptr) ++counters_[space->name].refused;
  if (scope == TokenScope::read) {
    return failure(403, "read_only", "this token may read this namespace, but not write to it");
  }
  return failure(403, "wrong_namespace", "this token is not one of this key's namespace");
}

ValueCounters& ValueApi::counters(const Namespaces& spaces, std::string_view key) {
  const auto* const space = spaces.find(namespace_of(key));
  return counters_[std::string(space != nullptr ? std::string_view(space->name) : policy::default_namespace)];
}

net::Awaitable<Answer> ValueApi::respond(net::Exchange& exchange) {
  // They stay while this request is answered.
  const auto rules = rules_;
  const auto& spaces = rules->namespaces;
  const auto& request = exchange.request;
  const auto judged = caller_of(exchange, spaces);
  if (const auto* const refused = std::get_if<Answer>(&judged)) co_return *refused;
  const auto& caller = std::get<Caller>(judged);
  const auto to = route_value(request.method, request.path());
  if (!to.endpoint) {
    co_return failure(404, "unknown_path", "there is no such path here; see \"endpoints\" for what there is",
                      {{"endpoints", value_endpoints()}});
  }
  if (!to.has_method) co_return wrong_method(request.method, to.allow);
  if (values_ == nullptr) {
    co_return failure(403, "kv_off", "the key-value store is off; set kv.memory in the configuration file");
  }
  const auto& bounds = values_->parameters();
  std::string key;
  const auto endpoint = *to.endpoint;
  if (endpoint == ValueEndpoint::get || endpoint == ValueEndpoint::exists || endpoint == ValueEndpoint::clear) {
    auto named = key_of(to.argument, request.query(), bounds);
    if (auto* const wrong = std::get_if<Answer>(&named)) co_return std::move(*wrong);
    key = std::get<std::string>(std::move(named));
    const auto needed = endpoint == ValueEndpoint::clear ? TokenScope::write : TokenScope::read;
    if (auto refused = refusal(caller, spaces, namespace_of(key), needed)) co_return std::move(*refused);
  }
  std::string body;
  if (to.allow == "POST") {
    if (auto wrong = wrong_media_type(request.fields)) co_return std::move(*wrong);
    const auto most = endpoint == ValueEndpoint::get_many ? most_keys_body(bounds) : most_set_body(bounds);
    auto read = co_await read_body(exchange, most);
    if (auto* const wrong = std::get_if<Answer>(&read)) co_return std::move(*wrong);
    body = std::get<std::string>(std::move(read));
  }
  std::string argument(to.argument);
  Answer answer;
  switch (endpoint) {
    case ValueEndpoint::set:
      answer = co_await set(std::move(body), spaces, caller);
      break;
    case ValueEndpoint::get:
      answer = co_await get(std::move(key), false, spaces);
      break;
    case ValueEndpoint::get_many:
      answer = co_await get_many(std::move(body), spaces, caller);
      break;
    case ValueEndpoint::exists:
      answer = co_await get(std::move(key), true, spaces);
      break;
    case ValueEndpoint::get_or_set:
      answer = co_await get_or_set(std::move(body), exchange, spaces, caller);
      break;
    case ValueEndpoint::release:
      answer = co_await release(std::move(body), spaces, caller);
      break;
    case ValueEndpoint::clear:
      answer = co_await clear(std::move(key), spaces);
      break;
    case ValueEndpoint::flush:
      answer = co_await flush(std::move(argument), spaces, caller);
      break;
  }
  co_return answer;
}

net::Awaitable<Answer> ValueApi::set(std::string body, const Namespaces& spaces, const Caller& caller) {
  auto parsed = parse_set(body, values_->parameters());
  if (auto* const wrong = std::get_if<Answer>(&parsed)) co_return std::move(*wrong);
  auto order = std::get<SetOrder>(std::move(parsed));
  if (auto refused = refusal(caller, spaces, namespace_of(order.key), TokenScope::write)) co_return std::move(*refused);
  const auto ttl = order.ttl.value_or(
      std::min<std::chrono::seconds>(spaces.find(namespace_of(order.key))->ttl, values_->parameters().max_ttl));
  auto& counts = counters(spaces, order.key);
  const auto key = order.key;
  const auto done = co_await values_->set(std::move(order.key), std::move(order.text), ttl, std::move(order.lease));
  if (done.lease_lost) {
    ++counts.lost_leases;
    co_return lost_lease();
  }
  if (done.refused) co_return not_coherent();
  ++counts.sets;
  const Json content{{"key", key}, {"ttl", ttl.count()}, {"delivered", done.delivered}};
  co_return success(content, now());
}

net::Awaitable<Answer> ValueApi::get(std::string key, bool only_whether, const Namespaces& spaces) {
  auto& counts = counters(spaces, key);
  std::vector<std::string> keys;
  keys.push_back(key);
  const auto lookups = co_await values_->get(std::move(keys));
  const auto& value = lookups.front();
  if (only_whether) {
    Json content{{"key", key}, {"exists", value.found()}};
    if (value.found()) {
      content["ttl"] = seconds_left(value.left);
    } else {
      content["reason"] = proxy::to_string(value.reason);
    }
    co_return success(content, now());
  }
  ++(value.found() ? counts.hits : counts.misses);
  co_return value.found() ? shown(key, value) : no_value(key, value.reason);
}

net::Awaitable<Answer> ValueApi::get_many(std::string body, const Namespaces& spaces, const Caller& caller) {
  auto parsed = parse_keys(body, values_->parameters());
  if (auto* const wrong = std::get_if<Answer>(&parsed)) co_return std::move(*wrong);
  const auto keys = std::get<std::vector<std::string>>(std::move(parsed));
  for (const auto& key : keys) {
    if (auto refused = refusal(caller, spaces, namespace_of(key), TokenScope::read)) co_return std::move(*refused);
  }
  auto asked = keys;
  const auto lookups = co_await values_->get(std::move(asked));
  std::string found;
  auto missing = Json::object();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto& counts = counters(spaces, keys[i]);
    ++(lookups[i].found() ? counts.hits : counts.misses);
    if (!lookups[i].found()) {
      missing[keys[i]] = proxy::to_string(lookups[i].reason);
      continue;
    }
    if (!found.empty()) found += ',';
    found += fmt::format("{}:{{{}}}", serialise(Json(keys[i])), value_members(lookups[i]));
    if (found.size() > std::max(most_answered, values_->parameters().max_value + most_answered / 16)) {
      co_return failure(413, "answer_too_large",
                        fmt::format("these values have more than {} bytes together; ask for fewer", most_answered));
    }
  }
  co_return Answer{
      .status = 200,
      .body = fmt::format("{{\"status\":\"success\",\"values\":{{{}}},\"missing\":{},\"timestamp\":\"{}\"}}\n", found,
                          serialise(missing), iso_time(now())),
      .more_lines = {}};
}

net::Awaitable<Answer> ValueApi::get_or_set(std::string body, net::Exchange& exchange, const Namespaces& spaces,
                                            const Caller& caller) {
  auto parsed = parse_lease_order(body, values_->parameters());
  if (auto* const wrong = std::get_if<Answer>(&parsed)) co_return std::move(*wrong);
  const auto order = std::get<LeaseOrder>(std::move(parsed));
  if (auto refused = refusal(caller, spaces, namespace_of(order.key), TokenScope::write)) co_return std::move(*refused);
  auto& counts = counters(spaces, order.key);
  auto me = std::make_shared<proxy::LeaseWait>(values_->executor());
  exchange.on_client_gone = [me] { me->abandon(); };
  const auto begun = std::chrono::steady_clock::now();
  auto key = order.key;
  auto waiting = me;
  const auto result =
      co_await values_->get_or_lease(std::move(key), order.lease, begun + order.wait, std::move(waiting));
  using Kind = proxy::ValueOrLease::Kind;
  if (result.kind == Kind::value) {
    ++counts.hits;
    if (result.waited) ++counts.lease_waits;
    co_return shown(order.key, result.value, "\"state\":\"value\",");
  }
  ++counts.misses;
  if (result.kind == Kind::lease) {
    ++counts.leases;
    const Json content{{"state", "lease"},
                       {"key", order.key},
                       {"lease", result.token},
                       {"expires_in", static_cast<double>(order.lease.count()) / 1000}};
    co_return success(content, now());
  }
  if (result.kind == Kind::too_many) {
    co_return retry_later("too_many_leases", "too many values are being computed at once (kv.max_leases)");
  }
  ++counts.lease_timeouts;
  co_return retry_later("lease_wait_timeout",
                        "another caller holds the lease of this key, and has not stored a value yet");
}

net::Awaitable<Answer> ValueApi::release(std::string body, const Namespaces& spaces, const Caller& caller) {
  auto parsed = parse_release(body, values_->parameters());
  if (auto* const wrong = std::get_if<Answer>(&parsed)) co_return std::move(*wrong);
  auto order = std::get<ReleaseOrder>(std::move(parsed));
  if (auto refused = refusal(caller, spaces, namespace_of(order.key), TokenScope::write)) co_return std::move(*refused);
  auto key = order.key;
  const auto was_held = co_await values_->release(std::move(key), std::move(order.lease));
  if (!was_held) co_return lost_lease();
  const Json content{{"key", order.key}, {"released", true}};
  co_return success(content, now());
}

net::Awaitable<Answer> ValueApi::clear(std::string key, const Namespaces& spaces) {
  auto& counts = counters(spaces, key);
  auto cleared = key;
  const auto done = co_await values_->clear(std::move(cleared));
  if (done.refused) co_return not_coherent();
  ++counts.clears;
  const Json content{{"key", key}, {"cleared", done.existed}, {"delivered", done.delivered}};
  co_return success(content, now());
}

net::Awaitable<Answer> ValueApi::flush(std::string raw_space, const Namespaces& spaces, const Caller& caller) {
  auto space = percent_decoded(raw_space);
  if (!space) co_return failure(400, "bad_namespace", "a '%' has no two hexadecimal digits behind it");
  if (space->empty()) {
    if (!caller.is_admin) {
      co_return failure(403, "admin_only",
                        "all namespaces are flushed with the admin token; right would be "
                        "/cache/flush/{namespace}");
    }
  } else {
    const auto is_it = [&](const Namespace& known) { return known.name == *space; };
    if (*space == policy::default_namespace || std::ranges::none_of(spaces.all, is_it)) {
      co_return failure(404, "unknown_namespace",
                        "only a namespace that the rules name can be flushed by itself, and not the default one");
    }
    if (auto refused = refusal(caller, spaces, *space, TokenScope::write)) co_return std::move(*refused);
  }
  auto flushed = *space;
  const auto done = co_await values_->flush(std::move(flushed));
  if (done.refused) co_return not_coherent();
  for (const auto& known : spaces.all) {
    if (space->empty() || known.name == *space) ++counters_[known.name].flushes;
  }
  const Json content{{"namespace", space->empty() ? Json() : Json(*space)}, {"delivered", done.delivered}};
  co_return success(content, now());
}

std::optional<ValueTotals> ValueApi::totals() const {
  if (values_ == nullptr) return std::nullopt;
  ValueTotals totals{.state = values_->state(), .spaces = {}};
  for (const auto& space : rules_->namespaces.all) {
    const auto counts = counters_.find(space.name);
    totals.spaces.emplace_back(space.name, counts == counters_.end() ? ValueCounters{} : counts->second);
  }
  return totals;
}

Json ValueApi::stats() const {
  const auto told = totals();
  if (!told) return nullptr;
  const auto& state = told->state;
  Json stats{{"capacity", state.capacity},      {"bytes", state.memory.bytes},
             {"entries", state.memory.entries}, {"evictions", state.memory.evictions},
             {"expired", state.memory.expired}, {"leases", state.leases},
             {"waiting", state.waiting},        {"conflicts", state.conflicts}};
  stats["redis"] = nullptr;
  if (state.bus) {
    stats["redis"] = {
        {"readable", state.readable},  {"attached", state.bus->attached}, {"trust", proxy::to_string(state.bus->trust)},
        {"alone", state.bus->alone},   {"pending", state.bus->pending},   {"journalled", state.bus->journalled},
        {"epochs", state.bus->epochs}, {"heard", state.bus->heard},       {"swept", state.bus->swept},
        {"errors", state.redis_errors}};
  }
  auto spaces = Json::object();
  const auto row = [&](const std::string& name, const ValueCounters& counts) {
    spaces[name] = {{"hits", counts.hits},
                    {"misses", counts.misses},
                    {"hit_rate", percent(counts.hits, counts.hits + counts.misses)},
                    {"sets", counts.sets},
                    {"clears", counts.clears},
                    {"flushes", counts.flushes},
                    {"leases", counts.leases},
                    {"lease_waits", counts.lease_waits},
                    {"lease_timeouts", counts.lease_timeouts},
                    {"lost_leases", counts.lost_leases},
                    {"refused", counts.refused}};
  };
  for (const auto& [name, counts] : told->spaces) row(name, counts);
  stats["namespaces"] = std::move(spaces);
  return stats;
}

}  // namespace larder::admin
