// The endpoints. What is decided is decided by pure functions beside this file; here is what reads the cache, waits for
// a body or a purge, and replies.
#include "larder/admin/api.hpp"

#include <exception>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>
#include <variant>

#include "larder/admin/answer.hpp"
#include "larder/admin/check_view.hpp"
#include "larder/admin/dashboard.hpp"
#include "larder/admin/endpoint.hpp"
#include "larder/admin/entry_survey.hpp"
#include "larder/admin/entry_view.hpp"
#include "larder/admin/explain_order.hpp"
#include "larder/admin/explanation_view.hpp"
#include "larder/admin/key_listing.hpp"
#include "larder/admin/metrics.hpp"
#include "larder/admin/process_usage.hpp"
#include "larder/admin/purge_order.hpp"
#include "larder/admin/purge_preview.hpp"
#include "larder/admin/remote_reader.hpp"
#include "larder/admin/request_body.hpp"
#include "larder/admin/statistics.hpp"
#include "larder/admin/token.hpp"
#include "larder/admin/value_api.hpp"
#include "larder/admin/warm_order.hpp"
#include "larder/http/http_date.hpp"
#include "larder/http/message.hpp"

namespace larder::admin {

namespace {

using policy::Selector;
using policy::SelectorKind;
using Now = std::chrono::system_clock::time_point;

void reply_with(net::ReplySink& reply, Answer answer, Now now) {
  // A 304 has no content, and would say of that of the 200 what is not so.
  const auto content = answer.status == 304 ? std::string()
                                            : fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n",
                                                          answer.content_type, answer.body.size());
  const auto lines =
      fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n{}Cache-Control: {}\r\nX-Content-Type-Options: nosniff\r\n{}",
                  answer.status, http::reason_phrase(answer.status), http::format_http_date(now), content,
                  answer.cache_control, answer.more_lines);
  auto body = std::make_unique<const std::string>(std::move(answer.body));
  const auto* const kept = body.get();
  reply.whole(
      {.head = {}, .more_lines = lines, .body = *kept, .retained = body.release(), .release = [](const void* object) {
         delete static_cast<const std::string*>(object);
       }});
}

Answer refused(Access access, bool for_metrics) {
  if (access == Access::unset && for_metrics) {
    return failure(403, "no_token_configured",
                   "no token for /metrics is configured; set admin.metrics_token (or admin.token) and send "
                   "Authorization: Bearer TOKEN, or set admin.metrics_open: true");
  }
  if (access == Access::unset) {
    return failure(403, "no_token_configured",
                   "no admin token is configured, so the admin API answers /health and /ready only; set admin.token in "
                   "the configuration file or start with --token TOKEN, then send Authorization: Bearer TOKEN");
  }
  const bool is_wrong = access == Access::wrong;
  auto answer =
      is_wrong ? failure(401, "wrong_token",
                         for_metrics ? "the token is not a configured one (admin.metrics_token, admin.token or --token)"
                                     : "the token is not the configured one (admin.token or --token)")
               : failure(401, "no_token", "a token is needed; send one field Authorization: Bearer TOKEN");
  answer.more_lines = is_wrong ? "WWW-Authenticate: Bearer realm=\"larder\", error=\"invalid_token\"\r\n"
                               : "WWW-Authenticate: Bearer realm=\"larder\"\r\n";
  return answer;
}

Answer bad_key() {
  return failure(400, "bad_key",
                 "every cache key begins with \"cache:\"; right would be the value of X-Cache-Key or a \"key\" of "
                 "/api/cache/keys, percent-encoded where it is no URI text");
}

}  // namespace

struct Api::Impl {
  explicit Impl(ApiContext given)
      : context(std::move(given)), values(context.shared.rules, context.values, context.token) {
    if (auto* const remote = context.proxy.remote()) reader.emplace(*remote, context.shared.log);
  }

  template <class T>
  using Awaitable = net::Awaitable<T>;

  Awaitable<void> answer(net::Exchange& exchange);
  Awaitable<Answer> respond(net::Exchange& exchange);

  Answer health() const;
  Answer ready() const;
  Awaitable<Statistics> statistics();
  Awaitable<Answer> stats();
  Awaitable<Answer> metrics();
  Answer series() const;
  [[nodiscard]] Access judge(const http::RequestHead& request, std::optional<Endpoint> endpoint) const;
  Awaitable<Answer> keys(std::string query);
  Awaitable<Answer> show(std::string raw_key);
  Awaitable<Answer> remove(std::string raw_key);
  Awaitable<Answer> explain(std::shared_ptr<const ExplainOrder> order);
  Answer warm_state() const;
  Awaitable<Answer> warm(WarmOrder order);
  Awaitable<Answer> purge_ordered(net::Exchange& exchange, Endpoint endpoint, std::string argument);
  Awaitable<Answer> purge(std::vector<Selector> selectors, std::optional<bool> found);
  Awaitable<Answer> preview(Selector selector);
  Awaitable<Answer> busiest(ListOrder order);
  Awaitable<Json> variants(std::vector<std::string> keys);
  Awaitable<void> list_remote(ListOrder order, KeyPage& page, std::optional<Cursor>& next);
  Awaitable<void> mark_remote(KeyPage& page);

  [[nodiscard]] bool reads_redis() const { return reader && context.proxy.remote()->is_readable(); }

  ApiContext context;
  std::optional<RemoteReader> reader;  ///< empty without Redis
  ValueApi values;
  proxy::ErrorLog refusals{"[ADMIN REFUSED]"};
  proxy::ErrorLog faults{"[ADMIN ERROR]"};
};

Api::Api(ApiContext context) : impl_(std::make_unique<Impl>(std::move(context))) {}

Api::~Api() = default;

void Api::set_token(std::string token) {
  impl_->values.set_admin_token(token);
  impl_->context.token = std::move(token);
}

void Api::set_watch(WatchParameters watch) { impl_->context.watch = std::move(watch); }

net::Handler Api::handler() {
  return {.answer_at_once = [](net::Exchange&) { return false; },
          .answer = [impl = impl_.get()](net::Exchange& exchange) { return impl->answer(exchange); }};
}

net::Awaitable<void> Api::Impl::answer(net::Exchange& exchange) {
  std::optional<Answer> made;
  try {
    made = co_await respond(exchange);
  } catch (const std::exception& error) {
    faults.report(fmt::format("{} {}: {}", exchange.request.method, exchange.request.path(), error.what()));
  }
  if (!made) made = failure(500, "internal_error", "this is our fault; the log says more");
  reply_with(exchange.reply, std::move(*made), proxy::wall_clock());
}

net::Awaitable<Answer> Api::Impl::respond(net::Exchange& exchange) {
  const auto& request = exchange.request;
  if (ValueApi::is_path(request.path())) {
    auto answered = co_await values.respond(exchange);
    co_return answered;
  }
  if (auto page = dashboard_answer(request.method, request.path(), request.fields)) co_return std::move(*page);
  const auto to = route(request.method, request.path());
  if (const auto access = judge(request, to.endpoint); access != Access::granted) {
    if (access == Access::wrong) {
      refusals.report(fmt::format("wrong token from {} for {}", exchange.client_address, request.path()));
    }
    co_return refused(access, to.endpoint == Endpoint::metrics);
  }
  if (!to.endpoint) co_return unknown_path(request.path());
  if (!to.has_method) co_return wrong_method(request.method, to.allow);

  std::string argument(to.argument);
  switch (*to.endpoint) {
    case Endpoint::health:
      co_return health();
    case Endpoint::ready:
      co_return ready();
    case Endpoint::metrics: {
      auto text = co_await metrics();
      co_return text;
    }
    case Endpoint::stats: {
      auto told = co_await stats();
      co_return told;
    }
    case Endpoint::series:
      co_return series();
    case Endpoint::checks:
      co_return success(examples_json(context.shared.checks->examples()), proxy::wall_clock());
    case Endpoint::keys: {
      std::string query(request.query());
      auto listing = co_await keys(std::move(query));
      co_return listing;
    }
    case Endpoint::entry: {
      if (request.method == "DELETE") {
        auto removed = co_await remove(std::move(argument));
        co_return removed;
      }
      auto shown = co_await show(std::move(argument));
      co_return shown;
    }
    case Endpoint::explain: {
      auto body = co_await read_body(exchange, max_order_body);
      if (auto* const wrong = std::get_if<Answer>(&body)) co_return std::move(*wrong);
      auto order = parse_explain_order(std::get<std::string>(body), context.default_host);
      if (auto* const wrong = std::get_if<Answer>(&order)) co_return std::move(*wrong);
      auto kept = std::make_shared<const ExplainOrder>(std::get<ExplainOrder>(std::move(order)));
      auto explained = co_await explain(std::move(kept));
      co_return explained;
    }
    case Endpoint::warm: {
      if (request.method != "POST") co_return warm_state();
      const auto body = co_await read_body(exchange, max_order_body);
      if (const auto* const wrong = std::get_if<Answer>(&body)) co_return *wrong;
      auto order = parse_warm_order(std::get<std::string>(body), context.shared.rules->warming);
      if (auto* const wrong = std::get_if<Answer>(&order)) co_return std::move(*wrong);
      auto warmed = co_await warm(std::get<WarmOrder>(std::move(order)));
      co_return warmed;
    }
    case Endpoint::reload: {
      if (!context.reload) co_return failure(404, "no_reload", "this process has nothing to reload");
      const auto report = co_await context.reload();
      co_return to_answer(report, proxy::wall_clock());
    }
    case Endpoint::invalidate_type:
    case Endpoint::invalidate_pattern:
    case Endpoint::clear_all:
      break;
  }
  auto purged = co_await purge_ordered(exchange, *to.endpoint, std::move(argument));
  co_return purged;
}

// One of the endpoints that purge. `argument` is the type, where it names one.
net::Awaitable<Answer> Api::Impl::purge_ordered(net::Exchange& exchange, Endpoint endpoint, std::string argument) {
  PurgeOrder order;
  if (endpoint == Endpoint::invalidate_type) {
    auto selector = type_order(argument, *context.shared.rules);
    if (auto* const wrong = std::get_if<Answer>(&selector)) co_return std::move(*wrong);
    order.selector = std::get<Selector>(std::move(selector));
  }
  const auto body = co_await read_body(exchange, max_order_body);
  if (const auto* const wrong = std::get_if<Answer>(&body)) co_return *wrong;
  const auto& text = std::get<std::string>(body);
  if (endpoint == Endpoint::invalidate_pattern) {
    auto parsed = parse_purge_order(text);
    if (auto* const wrong = std::get_if<Answer>(&parsed)) co_return std::move(*wrong);
    order = std::get<PurgeOrder>(std::move(parsed));
  } else {
    const auto parsed = parse_dry_run(text);
    if (const auto* const wrong = std::get_if<Answer>(&parsed)) co_return *wrong;
    order.dry_run = std::get<bool>(parsed);
  }
  if (order.dry_run) {
    auto counted = co_await preview(std::move(order.selector));
    co_return counted;
  }
  if (endpoint == Endpoint::clear_all && exchange.request.query() == "kv=true" && context.values != nullptr) {
    std::string every_namespace;
    (void)co_await context.values->flush(std::move(every_namespace));
  }
  std::vector<Selector> selectors;
  selectors.push_back(std::move(order.selector));
  const std::optional<bool> found;
  auto purged = co_await purge(std::move(selectors), found);
  co_return purged;
}

// What would become of a request, and what the tiers hold for it now.
net::Awaitable<Answer> Api::Impl::explain(std::shared_ptr<const ExplainOrder> order) {
  const auto& shared = context.shared;
  const auto now = proxy::wall_clock();
  // One and the same in all that is told, whatever is reloaded meanwhile.
  const auto terms = context.proxy.terms();
  const policy::ExplainContext explaining{
      .rules = terms->rules, .preserve_host = terms->preserve_host, .max_object = shared.cache.max_object, .now = now};
  const auto explanation = policy::explain(explaining, order->request, order->response ? &*order->response : nullptr);
  auto json = to_json(explanation);
  json["look_up"] = nullptr;
  if (explanation.admission.way == policy::Way::look_up) {
    const auto head = order->request.head();
    const auto inspection = co_await context.proxy.inspect(terms, head);
    json["look_up"] = to_json(inspection, *explaining.rules, now);
  }
  co_return success(json, now);
}

Answer Api::Impl::warm_state() const {
  return success({{"warm", to_json(context.warmer.state())}}, proxy::wall_clock());
}

net::Awaitable<Answer> Api::Impl::warm(WarmOrder order) {
  const auto run = context.warmer.order(order);
  if (!run) {
    const auto state = context.warmer.state();
    co_return failure(409, "already_running",
                      "a run goes on, and there is never more than one; ask GET /api/cache/warm how far it is",
                      {{"run", state.run ? to_json(*state.run) : Json(nullptr)}});
  }
  if (!order.wait) {
    auto answer = success({{"run", to_json(*run)}}, proxy::wall_clock());
    answer.status = 202;
    co_return answer;
  }
  co_await context.warmer.ended();
  const auto state = context.warmer.state();
  co_return success({{"run", to_json(*state.run)}}, proxy::wall_clock());
}

Answer Api::Impl::health() const { return {.status = 200, .body = "{\"status\":\"healthy\"}\n", .more_lines = {}}; }

Answer Api::Impl::ready() const {
  if (context.is_draining && context.is_draining()) {
    return failure(503, "draining", "this process is about to end; send requests elsewhere");
  }
  if (!context.is_ready || context.is_ready()) {
    return {.status = 200, .body = "{\"status\":\"ready\"}\n", .more_lines = {}};
  }
  return failure(503, "not_ready", "starting; ask again");
}

net::Awaitable<Statistics> Api::Impl::statistics() {
  auto statistics = co_await context.collector.collect();
  context.monitor.add_to(statistics);
  if (auto warm = context.warmer.state(); !warm.tasks.empty()) statistics.warm = std::move(warm);
  co_return statistics;
}

net::Awaitable<Answer> Api::Impl::stats() {
  const auto now = proxy::wall_clock();
  const auto told = co_await statistics();
  auto content = to_json(told, now);
  add_checks(content["cache_stats"], told.checks);
  content["cache_stats"]["kv"] = values.stats();
  co_return success(content, now);
}

net::Awaitable<Answer> Api::Impl::metrics() {
  auto told = co_await statistics();
  told.process = process_usage();
  told.values = values.totals();
  co_return Answer{.status = 200, .body = metrics_text(told), .more_lines = {}, .content_type = metrics_content_type};
}

Answer Api::Impl::series() const {
  return success(context.monitor.series().to_json(context.watch.sample_interval), proxy::wall_clock());
}

// A scraper need not hold the token that may purge.
Access Api::Impl::judge(const http::RequestHead& request, std::optional<Endpoint> endpoint) const {
  if (endpoint && is_open(*endpoint)) return Access::granted;
  const auto access = judge_access(request.fields, context.token);
  if (access == Access::granted || endpoint != Endpoint::metrics) return access;
  if (context.watch.metrics_open) return Access::granted;
  if (context.watch.metrics_token.empty()) return access;
  return judge_access(request.fields, context.watch.metrics_token);
}

net::Awaitable<Answer> Api::Impl::keys(std::string query) {
  auto parsed = parse_list_order(query);
  if (auto* const wrong = std::get_if<Answer>(&parsed)) co_return std::move(*wrong);
  const auto order = std::get<ListOrder>(std::move(parsed));
  if (order.by_hits) {
    auto listing = co_await busiest(order);
    co_return listing;
  }
  const auto now = proxy::wall_clock();
  KeyPage page;
  std::optional<Cursor> next;
  auto reach = RemoteReach::not_configured;
  if (reader) reach = reads_redis() ? RemoteReach::read : RemoteReach::unreadable;

  bool memory_is_done = order.cursor.tier == Cursor::Tier::redis;
  if (!memory_is_done) {
    const auto at = context.shared.memory.list(order.pattern, order.limit, order.cursor.position,
                                               [&](const store::MemoryEntry& entry) {
                                                 if (!is_expired(*entry.stored, now)) page.add(row_of(entry));
                                               });
    memory_is_done = at == 0;
    if (!memory_is_done) next = Cursor{.tier = Cursor::Tier::memory, .position = at};
    if (reach == RemoteReach::read) co_await mark_remote(page);
  }
  if (memory_is_done && reach == RemoteReach::read) {
    co_await list_remote(order, page, next);
    if (!reads_redis()) reach = RemoteReach::unreadable;
  }
  co_return success(to_json(page, next, reach, now), now);
}

// Says of the rows found in memory whether Redis has them too.
net::Awaitable<void> Api::Impl::mark_remote(KeyPage& page) {
  std::vector<std::string> names;
  for (const auto& row : page.rows()) names.push_back(row.key);
  const auto existing = co_await reader->exist(std::move(names));
  for (std::size_t i = 0; i < existing.size(); ++i) page.rows()[i].in_redis = existing[i];
}

// Fills the page up from Redis. What memory holds was listed with memory: it is left out, on this page or a later one.
net::Awaitable<void> Api::Impl::list_remote(ListOrder order, KeyPage& page, std::optional<Cursor>& next) {
  const auto start = order.cursor.tier == Cursor::Tier::redis ? order.cursor.position : 0;
  if (page.size() >= order.limit) {
    next = Cursor{.tier = Cursor::Tier::redis, .position = start};
    co_return;
  }
  auto pattern = order.pattern;
  auto remote = co_await reader->list(std::move(pattern), order.limit - page.size(), start);
  std::unordered_set<std::string_view> elsewhere;
  for (const auto& entry : remote.entries) {
    if (!page.contains(entry.key)) elsewhere.insert(entry.key);
  }
  std::unordered_set<std::string> in_memory;
  if (!elsewhere.empty()) {
    context.shared.memory.list(order.pattern, std::numeric_limits<std::size_t>::max(), 0,
                               [&](const store::MemoryEntry& entry) {
                                 const std::string key(entry.stored->key());
                                 if (elsewhere.contains(key)) in_memory.insert(key);
                               });
  }
  for (const auto& entry : remote.entries) {
    if (!in_memory.contains(entry.key)) page.add(row_of(entry));
  }
  if (remote.next != 0) next = Cursor{.tier = Cursor::Tier::redis, .position = remote.next};
}

// Every live stored response under any of the keys, as JSON. Memory's is shown where both tiers have one.
net::Awaitable<Json> Api::Impl::variants(std::vector<std::string> keys) {
  struct Variant {
    RemoteEntry entry;
    Found found;
  };
  std::vector<Variant> all;
  const auto now = proxy::wall_clock();
  for (const auto& key : keys) {
    for (const auto& entry : context.shared.memory.by_key(key)) {
      if (is_expired(*entry.stored, now)) continue;
      all.push_back({entry.stored, {.in_memory = true, .in_redis = false, .hits = entry.hits}});
    }
  }
  if (reads_redis()) {
    for (const auto& key : keys) {
      const auto entries = co_await reader->entries(key);
      for (const auto& entry : entries) {
        const auto* const stored = std::get_if<store::StoredPtr>(&entry);
        const auto& name = stored != nullptr ? (*stored)->key() : std::get<store::RecordSummary>(entry).key;
        bool is_known = false;
        for (auto& known : all) {
          const auto* const held = std::get_if<store::StoredPtr>(&known.entry);
          if (held == nullptr || (*held)->key() != name) continue;
          known.found.in_redis = is_known = true;
        }
        if (!is_known) all.push_back({entry, {.in_memory = false, .in_redis = true, .hits = 0}});
      }
    }
  }
  auto json = Json::array();
  for (const auto& variant : all) {
    const auto* const stored = std::get_if<store::StoredPtr>(&variant.entry);
    json.push_back(stored != nullptr ? to_json(**stored, variant.found, now)
                                     : to_json(std::get<store::RecordSummary>(variant.entry), variant.found, now));
  }
  co_return json;
}

net::Awaitable<Answer> Api::Impl::show(std::string raw_key) {
  auto names = key_candidates(raw_key);
  if (names.empty()) co_return bad_key();
  const auto key = names.front();
  auto found = co_await variants(std::move(names));
  if (found.empty()) {
    co_return failure(404, "no_entry", fmt::format("nothing is stored under {}, in memory or Redis", key));
  }
  const Json content{{"key", key}, {"variants", std::move(found)}};
  co_return success(content, proxy::wall_clock());
}

net::Awaitable<Answer> Api::Impl::remove(std::string raw_key) {
  const auto names = key_candidates(raw_key);
  if (names.empty()) co_return bad_key();
  auto looked_for = names;
  const auto stored = co_await variants(std::move(looked_for));
  std::vector<Selector> selectors;
  selectors.reserve(names.size());
  for (const auto& name : names) selectors.push_back({SelectorKind::key, name});
  const std::optional<bool> found(!stored.empty());
  auto purged = co_await purge(std::move(selectors), found);
  co_return purged;
}

net::Awaitable<Answer> Api::Impl::purge(std::vector<Selector> selectors, std::optional<bool> found) {
  PurgeReport report{.selectors = selectors, .epoch = 0, .clock = 0, .pending = 0, .journalled = false, .found = found};
  co_await context.proxy.purge(std::move(selectors));
  const auto& log = context.shared.log;
  report.epoch = log.epoch();
  report.clock = log.clock();
  report.pending = log.pending_count();
  report.journalled = context.shared.bus != nullptr && context.shared.bus->state().journalled > 0;
  co_return success(to_json(report), proxy::wall_clock());
}

// What a purge would take. Nothing is purged.
net::Awaitable<Answer> Api::Impl::preview(Selector selector) {
  PurgePreview counted(std::move(selector));
  EntrySurvey survey(context.shared.memory);
  auto reach = RemoteReach::not_configured;
  if (reader) reach = reads_redis() ? RemoteReach::read : RemoteReach::unreadable;
  auto* const remote = reach == RemoteReach::read ? &*reader : nullptr;
  const bool is_complete = co_await survey.look_through(counted, remote);
  if (remote != nullptr && !reads_redis()) reach = RemoteReach::unreadable;
  co_return success(counted.to_json(is_complete, reach), proxy::wall_clock());
}

net::Awaitable<Answer> Api::Impl::busiest(ListOrder order) {
  EntrySurvey survey(context.shared.memory);
  std::function<bool(const store::StoredResponse&)> takes = [pattern = order.pattern](const auto& stored) {
    return policy::glob_match(pattern, stored.key());
  };
  const auto found = co_await survey.busiest(std::move(takes), order.limit);
  KeyPage page;
  for (const auto& entry : found.entries) page.add(row_of(entry));
  auto reach = RemoteReach::not_configured;
  if (reader) reach = reads_redis() ? RemoteReach::read : RemoteReach::unreadable;
  if (reach == RemoteReach::read) co_await mark_remote(page);
  const auto now = proxy::wall_clock();
  auto json = to_json(page, std::nullopt, reach, now);
  json["examined"] = found.examined;
  json["complete"] = found.is_complete;
  co_return success(json, now);
}

}  // namespace larder::admin
