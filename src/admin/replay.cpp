#include "larder/admin/replay.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <utility>
#include <variant>

#include "larder/admin/distinct_count.hpp"
#include "larder/http/target.hpp"
#include "larder/policy/admission.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/explanation.hpp"
#include "larder/policy/invalidation.hpp"
#include "larder/policy/storable.hpp"
#include "larder/store/keyed_hash.hpp"
#include "larder/store/purge_log.hpp"

namespace larder::admin {
namespace {

using policy::Route;
using policy::TimePoint;

constexpr std::size_t most_compared = 4096;   ///< remainders of queries kept per parameter
constexpr std::uint64_t enough_compared = 5;  ///< pairs that say something
constexpr double same_size_share = 0.95;
constexpr double worth_a_rate = 0.05;  ///< hit rates below are not worth caching
constexpr double nearly_best = 0.9;
constexpr double splits = 1.2;

std::uint64_t hash_of(std::string_view text) { return store::keyed_hash(text); }

// A simulated entry.
struct Entry {
  TimePoint end;
  std::uint64_t sequence = 0;  ///< of the purge log when it was stored
};

struct ParameterFigures {
  std::uint64_t requests = 0;
  DistinctCount values;
  DistinctCount keys;          ///< of the requests that have it
  DistinctCount keys_without;  ///< what they would be without it
  struct Seen {
    std::uint64_t value = 0;
    std::uint64_t bytes = 0;
  };
  std::unordered_map<std::uint64_t, Seen> seen;  ///< by what is left of the target
  std::uint64_t compared = 0;
  std::uint64_t same_size = 0;
};

struct RouteState {
  ReplayReport::RouteFigures figures;
  DistinctCount keys;
  std::uint64_t last_key = 0;
  std::uint64_t last_bytes = 0;
  std::uint64_t changes = 0;       ///< from one key to another, both with a known size
  std::uint64_t same_changes = 0;  ///< of these, those to an answer of the same size
  std::map<std::string, ParameterFigures, std::less<>> parameters;
};

// What is followed of one target of an uncached path: when each tried lifetime has stored it last.
struct Followed {
  std::array<TimePoint, tried_ttls.size()> stored{};
  std::uint64_t bytes = 0;
  std::uint32_t group = 0;
};

struct Group {
  ReplayReport::UncachedPath figures;
  DistinctCount targets;
  std::uint64_t followed = 0;  ///< requests to followed targets
  std::array<std::uint64_t, tried_ttls.size()> hits{};
  TimePoint first{};
  TimePoint last{};
  std::uint64_t followed_targets = 0;
};

bool is_for_tracking(std::string_view name) {
  static constexpr std::array<std::string_view, 12> names{"gclid", "gbraid", "wbraid", "fbclid", "msclkid", "dclid",
                                                          "_ga",   "_gl",    "mc_cid", "mc_eid", "igshid",  "yclid"};
  return name.starts_with("utm_") || std::ranges::find(names, name) != names.end();
}

bool looks_like_identifier(std::string_view segment) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_hex = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-';
  };
  const bool has_digit = std::ranges::any_of(segment, is_digit);
  if (!has_digit) return false;
  if (std::ranges::all_of(segment, is_digit)) return true;
  if (segment.size() >= 8 && std::ranges::all_of(segment, is_hex)) return true;
  return segment.size() >= 20;
}

}  // namespace

struct Replay::Impl {
  explicit Impl(ReplayParameters given)
      : parameters(std::move(given)), log(1, 1U << 20U), routes(parameters.rules->routes.size()) {
    for (std::size_t i = 0; i < routes.size(); ++i) routes[i].figures.route = &parameters.rules->routes[i];
  }

  std::optional<LineFault> add(const LoggedRequest& logged);
  void look_up(const LoggedRequest& logged, const http::RequestHead& request);
  void write(const LoggedRequest& logged, const http::RequestHead& request);
  void follow(const LoggedRequest& logged, const http::RequestHead& request, const Route* off);
  void note_parameters(RouteState& state, const LoggedRequest& logged, const http::RequestHead& request);
  void make_room();
  Group* group_of(std::string pattern);
  ReplayReport report() const;

  ReplayParameters parameters;
  store::PurgeLog log;
  std::unordered_map<std::uint64_t, Entry> entries;
  std::vector<RouteState> routes;
  std::vector<Group> groups;
  std::map<std::string, std::size_t, std::less<>> group_index;
  std::unordered_map<std::uint64_t, Followed> followed;
  TimePoint now{};
  ReplayReport totals;
};

std::optional<LineFault> Replay::Impl::add(const LoggedRequest& logged) {
  policy::AskedRequest asked;
  asked.method = logged.method;
  asked.target = logged.target;
  asked.host = logged.host.empty() ? parameters.default_host : logged.host;
  auto made = policy::NormalRequest::make(asked);
  if (std::holds_alternative<std::string>(made)) return LineFault::bad_request;
  // Who it is that asks is known from the log alone: it stands in for the header or cookie that the route asks for.
  {
    const auto plain = std::get<policy::NormalRequest>(made).head();
    const auto* const route = parameters.rules->match_cache(plain.method, plain.path()).route;
    if (route != nullptr && route->identity) {
      const auto& [source, name] = *route->identity;
      const auto caller = logged.client.empty() ? std::string("-") : logged.client;
      if (source == policy::IdentityRule::Source::header) {
        asked.fields.add(name, caller);
      } else {
        asked.fields.add("Cookie", name + "=" + caller);
      }
      made = policy::NormalRequest::make(asked);
    }
  }
  const auto* const normal = std::get_if<policy::NormalRequest>(&made);
  if (normal == nullptr) return LineFault::bad_request;
  const auto request = normal->head();
  // Logs are written as requests end, so their times go back now and then.
  now = std::max(now, logged.time);
  if (!totals.first) totals.first = logged.time;
  totals.last = now;
  ++totals.requests;
  const auto admission = policy::admit(*parameters.rules, request, normal->traits());
  switch (admission.way) {
    case policy::Way::look_up:
      look_up(logged, request);
      break;
    case policy::Way::write:
      write(logged, request);
      break;
    case policy::Way::query:
    case policy::Way::pass:
      ++totals.passed;
      if (request.method == "GET") follow(logged, request, admission.route);
      break;
  }
  return std::nullopt;
}

void Replay::Impl::look_up(const LoggedRequest& logged, const http::RequestHead& request) {
  const auto match = parameters.rules->match_cache(request.method, request.path());
  const auto& route = *match.route;
  auto& state = routes[static_cast<std::size_t>(&route - parameters.rules->routes.data())];
  auto& figures = state.figures;
  ++totals.look_ups;
  ++figures.requests;
  if (!logged.cache.empty()) {
    ++figures.logged;
    if (logged.cache == "HIT" || logged.cache == "STALE") ++figures.logged_hits;
  }
  std::string canonical;
  (void)policy::canonical_request(request, match, canonical);
  const auto hash = hash_of(canonical);
  state.keys.add(hash);
  note_parameters(state, logged, request);

  const auto found = entries.find(hash);
  if (found != entries.end() && found->second.end > now) {
    const auto key = policy::cache_key(request, match, canonical);
    const auto tags = policy::rule_tags(match, request);
    const auto origin = route.key_has_host ? http::origin_text(request.scheme, request.authority) : std::string();
    const auto target = policy::purge_target(request, route);
    const policy::PurgeSubject subject{
        .key = key, .base_key = key, .type = route.type->name, .origin = origin, .target = target, .tags = tags};
    if (log.alive_since(subject, found->second.sequence) == store::Liveness::alive) {
      ++totals.hits;
      ++figures.hits;
      return;
    }
    ++figures.after_purge;
  }
  if (request.method != "GET") return;
  // Who has a 304 has asked with a validator; the origin's answer for everyone is the whole.
  const http::ResponseHead response{
      .status = logged.status == 304 ? 200 : logged.status, .reason = {}, .version = {}, .fields = {}};
  const auto lifetime = policy::compute_lifetime(response, route.store, now, now);
  if (lifetime.source == policy::LifetimeSource::none && response.status < 400) {
    ++figures.unknown_lifetime;
    return;
  }
  if (policy::storable(request, response, route.store, lifetime) != policy::NotStored::none) {
    ++figures.not_stored;
    return;
  }
  if (entries.size() >= parameters.most_entries) make_room();
  entries.insert_or_assign(hash, Entry{now + lifetime.freshness_lifetime, log.sequence()});
}

void Replay::Impl::make_room() {
  std::erase_if(entries, [this](const auto& entry) { return entry.second.end <= now; });
  const auto wanted = parameters.most_entries - parameters.most_entries / 8;
  while (entries.size() > wanted) {
    entries.erase(entries.begin());
    ++totals.forgotten;
  }
}

void Replay::Impl::write(const LoggedRequest& logged, const http::RequestHead& request) {
  ++totals.writes;
  if (!policy::may_have_changed(request.method, policy::WriteEnd::answered, logged.status)) return;
  const http::ResponseHead response{.status = logged.status, .reason = {}, .version = {}, .fields = {}};
  std::vector<policy::Selector> selectors;
  for (auto& purge : policy::write_purges(*parameters.rules, request, &response, parameters.preserve_host)) {
    selectors.push_back(std::move(purge.selector));
  }
  if (!selectors.empty()) log.apply_local(selectors, false);
  const auto known = group_index.find(path_pattern(request.path()));
  if (known != group_index.end()) ++groups[known->second].figures.writes;
}

// The counts of a key's parameters; those of a route whose `key:` names what counts are its own affair.
void Replay::Impl::note_parameters(RouteState& state, const LoggedRequest& logged, const http::RequestHead& request) {
  const auto& route = *state.figures.route;
  if (route.key) return;
  const auto kept = policy::parameters_in_key(route.query, request.query());
  std::string whole(request.path());
  for (const auto parameter : kept) whole.append(1, '&').append(parameter);
  const auto whole_hash = hash_of(whole);
  const bool has_size = logged.bytes && logged.status == 200 && request.method == "GET";
  if (has_size) {
    if (state.last_key != 0 && state.last_key != whole_hash) {
      ++state.changes;
      if (state.last_bytes == *logged.bytes) ++state.same_changes;
    }
    state.last_key = whole_hash;
    state.last_bytes = *logged.bytes;
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto equals = kept[i].find('=');
    const auto name = kept[i].substr(0, equals);
    auto known = state.parameters.find(name);
    if (known == state.parameters.end()) {
      if (state.parameters.size() >= parameters.most_parameters || name.size() > 128) continue;
      known = state.parameters.emplace(std::string(name), ParameterFigures{}).first;
    }
    auto& figures = known->second;
    ++figures.requests;
    const auto value = hash_of(kept[i]);
    figures.values.add(value);
    figures.keys.add(whole_hash);
    std::string rest(request.path());
    for (std::size_t k = 0; k < kept.size(); ++k) {
      if (k != i) rest.append(1, '&').append(kept[k]);
    }
    const auto rest_hash = hash_of(rest);
    figures.keys_without.add(rest_hash);
    if (!has_size) continue;
    const auto seen = figures.seen.find(rest_hash);
    if (seen == figures.seen.end()) {
      if (figures.seen.size() < most_compared)
        figures.seen.emplace(rest_hash, ParameterFigures::Seen{value, *logged.bytes});
    } else if (seen->second.value != value) {
      ++figures.compared;
      if (seen->second.bytes == *logged.bytes) ++figures.same_size;
      seen->second = {value, *logged.bytes};
    }
  }
}

Group* Replay::Impl::group_of(std::string pattern) {
  const auto known = group_index.find(pattern);
  if (known != group_index.end()) return &groups[known->second];
  if (groups.size() >= parameters.most_groups) return nullptr;
  group_index.emplace(pattern, groups.size());
  groups.emplace_back();
  groups.back().figures.pattern = std::move(pattern);
  return &groups.back();
}

void Replay::Impl::follow(const LoggedRequest& logged, const http::RequestHead& request, const Route* off) {
  auto* const group = group_of(path_pattern(request.path()));
  if (group == nullptr) {
    ++totals.more_paths;
    return;
  }
  auto& figures = group->figures;
  ++figures.requests;
  figures.bytes += logged.bytes.value_or(0);
  figures.off = off;
  const auto hash = hash_of(std::string(request.authority) + std::string(request.target));
  group->targets.add(hash);
  if (group->first == TimePoint{}) group->first = now;
  group->last = now;
  const bool is_success = (logged.status >= 200 && logged.status < 300 && logged.status != 206) || logged.status == 304;
  if (!is_success || hash % totals.sample != 0) return;
  auto known = followed.find(hash);
  if (known == followed.end()) {
    if (followed.size() >= parameters.most_targets) {
      totals.sample *= 2;
      std::erase_if(followed, [this](const auto& one) { return one.first % totals.sample != 0; });
      if (hash % totals.sample != 0) return;
    }
    known = followed.emplace(hash, Followed{}).first;
    known->second.group = static_cast<std::uint32_t>(group - groups.data());
    ++group->followed_targets;
  }
  auto& target = known->second;
  ++group->followed;
  for (std::size_t i = 0; i < tried_ttls.size(); ++i) {
    if (target.stored[i] != TimePoint{} && now - target.stored[i] < tried_ttls[i]) {
      ++group->hits[i];
    } else {
      target.stored[i] = now;
    }
  }
  if (logged.bytes && logged.status == 200) {
    if (target.bytes != 0 && target.bytes != *logged.bytes + 1) ++figures.changes;
    target.bytes = *logged.bytes + 1;  // so that an empty body is not "none yet"
  }
}

ReplayReport Replay::Impl::report() const {
  auto out = totals;
  const auto rounded = [](double value) { return static_cast<std::uint64_t>(std::llround(value)); };
  for (const auto& state : routes) {
    if (state.figures.requests == 0) continue;
    out.routes.push_back(state.figures);
    out.routes.back().keys = rounded(state.keys.estimate());
    // Where answers of all keys have one size, sizes say nothing.
    const bool sizes_tell =
        static_cast<double>(state.same_changes) < same_size_share / 2 * static_cast<double>(state.changes);
    for (const auto& [name, figures] : state.parameters) {
      ReplayReport::SplittingParameter parameter;
      parameter.route = state.figures.route;
      parameter.name = name;
      parameter.requests = figures.requests;
      parameter.values = rounded(figures.values.estimate());
      parameter.split = std::max(1.0, figures.keys.estimate() / std::max(1.0, figures.keys_without.estimate()));
      parameter.compared = figures.compared;
      parameter.same_size = figures.same_size;
      parameter.is_for_tracking = is_for_tracking(name);
      const bool changes_nothing =
          sizes_tell && figures.compared >= enough_compared &&
          static_cast<double>(figures.same_size) >= same_size_share * static_cast<double>(figures.compared);
      parameter.is_to_be_ignored = parameter.values > 1 && (parameter.is_for_tracking || changes_nothing);
      if (parameter.values > 1) out.parameters.push_back(std::move(parameter));
    }
  }
  for (const auto& group : groups) {
    auto path = group.figures;
    path.targets = rounded(group.targets.estimate());
    const auto rate = [&group](std::size_t i) {
      return group.followed == 0 ? 0.0 : static_cast<double>(group.hits[i]) / static_cast<double>(group.followed);
    };
    // No longer than half of the time in which a target changes, as far as sizes tell.
    auto longest = tried_ttls.size();
    if (path.changes > 0) {
      const auto span = std::chrono::duration<double>(group.last - group.first).count();
      const auto interval = span * static_cast<double>(group.followed_targets) / static_cast<double>(path.changes);
      longest = 0;
      while (longest < tried_ttls.size() && static_cast<double>(tried_ttls[longest].count()) <= interval / 2) ++longest;
    }
    if (longest > 0) {
      const auto best = rate(longest - 1);
      for (std::size_t i = 0; i < longest && best >= worth_a_rate; ++i) {
        if (rate(i) < nearly_best * best) continue;
        path.ttl = tried_ttls[i];
        path.hit_rate = rate(i);
        break;
      }
    }
    out.uncached.push_back(std::move(path));
  }
  std::ranges::stable_sort(out.routes, std::greater{}, &ReplayReport::RouteFigures::requests);
  std::ranges::stable_sort(out.uncached, std::greater{}, &ReplayReport::UncachedPath::requests);
  std::ranges::stable_sort(out.parameters, std::greater{}, &ReplayReport::SplittingParameter::split);
  std::erase_if(out.parameters,
                [](const auto& parameter) { return parameter.split < splits && !parameter.is_to_be_ignored; });
  return out;
}

Replay::Replay(ReplayParameters parameters) : impl_(std::make_unique<Impl>(std::move(parameters))) {}

Replay::~Replay() = default;

std::optional<LineFault> Replay::add(const LoggedRequest& request) { return impl_->add(request); }

ReplayReport Replay::report() const { return impl_->report(); }

std::string path_pattern(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = std::min(path.find('/', 1), path.size());
    const auto segment = path.substr(1, end - 1);
    out += '/';
    if (looks_like_identifier(segment)) {
      out += "{id}";
    } else {
      out += segment;
    }
    path.remove_prefix(end);
  }
  return out;
}

}  // namespace larder::admin
