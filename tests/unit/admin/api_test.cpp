// The endpoints as a client sees them, from the memory tier alone and with a real redis-server; no sockets on the
// client's side.
#include "larder/admin/api.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <doctest/doctest.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "larder/admin/answer.hpp"
#include "larder/admin/endpoint.hpp"
#include "larder/net/error.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/vary.hpp"

#include "../redis/redis_server.hpp"

namespace larder::admin {
namespace {

using std::chrono::milliseconds;

/// A body that comes in pieces and may end in an error.
class PiecewiseBody final : public net::RequestBody {
 public:
  std::vector<std::string> pieces;
  std::optional<std::uint64_t> announced;
  net::error_code end;
  std::size_t reads = 0;

  net::Awaitable<net::Result<std::string_view>> read() override {
    if (reads < pieces.size()) co_return std::string_view(pieces[reads++]);
    if (end) co_return end;
    co_return std::string_view{};
  }
  [[nodiscard]] std::optional<std::uint64_t> length() const override { return announced; }
  [[nodiscard]] const http::FieldList& trailers() const override { return none_; }
  void cancel() override {}

 private:
  http::FieldList none_;
};

/// What the client was told.
struct Reply {
  std::string head;
  std::string body;
  int interims = 0;

  [[nodiscard]] int status() const { return std::stoi(head.substr(9, 3)); }
  [[nodiscard]] bool has_line(const std::string& line) const { return head.find(line + "\r\n") != std::string::npos; }
  [[nodiscard]] Json json() const { return Json::parse(body); }
  [[nodiscard]] std::string error() const { return json().value("error", ""); }
};

/// Keeps the one reply.
class KeepingSink final : public net::ReplySink {
 public:
  Reply kept;

  void whole(const net::WholeReply& reply) override {
    REQUIRE_FALSE(begun_);
    begun_ = true;
    kept.head = std::string(reply.head) + std::string(reply.more_lines);
    kept.body = reply.body;
    if (reply.release != nullptr) reply.release(reply.retained);
  }
  net::Awaitable<net::error_code> interim(const http::ResponseHead& response) override {
    CHECK(response.status == 100);
    ++kept.interims;
    co_return net::error_code{};
  }
  void begin(const http::ResponseHead&, std::string_view, std::optional<std::uint64_t>) override { FAIL("streamed"); }
  net::Awaitable<net::error_code> write(std::string_view) override { co_return net::error_code{}; }
  net::Awaitable<net::error_code> flush() override { co_return net::error_code{}; }
  void finish(http::FieldSpan, std::string_view) override {}
  void cut_short() override { FAIL("cut short"); }
  [[nodiscard]] bool begun() const noexcept override { return begun_; }
  net::Stream* take_over(std::string_view&) override { return nullptr; }

 private:
  bool begun_ = false;
};

std::shared_ptr<const policy::RuleSet> rules_with_types() {
  auto rules = std::make_shared<policy::RuleSet>();
  for (const char* name : {"product", "user"}) {
    policy::Type type;
    type.name = name;
    rules->types.push_back(std::make_shared<const policy::Type>(std::move(type)));
  }
  return rules;
}

WatchParameters sampled_every(milliseconds interval) {
  WatchParameters watch;
  watch.sample_interval = interval;
  return watch;
}

struct Request {
  std::string_view method = "GET";
  std::string_view target;
  std::string_view authorization = "Bearer secret";
  PiecewiseBody* body = nullptr;
  bool expects_continue = false;
};

/// A node with its admin API, all on one loop that runs while a request is answered.
class Node {
 public:
  explicit Node(const redis::test::RedisServer* server = nullptr, std::string token = "secret") {
    if (server != nullptr) {
      redis_parameters_.connection = server->tcp();
      bus_ = std::make_unique<proxy::PurgeBus>(io_, redis_parameters_, log_, nullptr, redis_errors_);
      remote_ = std::make_unique<proxy::RemoteStore>(io_, io_, redis_parameters_, log_, *bus_, counters_, redis_errors_,
                                                     write_bytes_);
      shared_.bus = bus_.get();
    }
    proxy_ = std::make_unique<proxy::Proxy>(shared_, io_, wheel_, pool_, remote_.get(), counters_);
    collector_ =
        std::make_unique<Collector>(Sources{.shared = shared_,
                                            .proxy = *proxy_,
                                            .workers = {proxy_.get()},
                                            .sessions = sessions_,
                                            .started = proxy::wall_clock(),
                                            .redis_is_in_use = [this] { return remote_ && remote_->is_readable(); },
                                            .version = "test"});
    warmer_ = std::make_unique<Warmer>(*proxy_);
    monitor_ = std::make_unique<Monitor>(io_, wheel_, *collector_, watch);
    api_ = std::make_unique<Api>(ApiContext{.token = std::move(token),
                                            .shared = shared_,
                                            .proxy = *proxy_,
                                            .collector = *collector_,
                                            .monitor = *monitor_,
                                            .warmer = *warmer_,
                                            .watch = watch,
                                            .is_ready = [this] { return is_ready; },
                                            .is_draining = [this] { return is_draining; },
                                            .reload = [this] { return reload(); }});
    if (server != nullptr) {
      bus_->start();
      remote_->start();
      run_until([this] { return remote_->is_readable(); });
      REQUIRE(remote_->is_readable());
    }
  }
  ~Node() {
    if (remote_) remote_->stop();
    if (bus_) bus_->stop();
    monitor_->stop();
    wheel_.stop();
    io_.run_for(milliseconds(20));
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  template <class Condition>
  void run_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.restart();
      io_.run_one_for(milliseconds(10));
    }
  }

  void adopt_watch() { api_->set_watch(watch); }

  Reply ask(const Request& request) {
    KeepingSink sink;
    std::vector<http::Field> fields;
    if (!request.authorization.empty()) fields.push_back({"Authorization", request.authorization});
    http::RequestHead head;
    head.method = request.method;
    head.target = request.target;
    head.scheme = "http";
    head.authority = "localhost";
    head.fields = fields;
    net::Exchange exchange{.request = head,
                           .body = request.body,
                           .reply = sink,
                           .client_address = "127.0.0.1",
                           .expects_continue = request.expects_continue,
                           .on_client_gone = {}};
    const auto handler = api_->handler();
    CHECK_FALSE(handler.answer_at_once(exchange));
    bool is_done = false;
    boost::asio::co_spawn(io_, handler.answer(exchange), [&](const std::exception_ptr& thrown) {
      CHECK_FALSE(thrown);
      is_done = true;
    });
    run_until([&] { return is_done; });
    REQUIRE(is_done);
    REQUIRE(sink.begun());
    return std::move(sink.kept);
  }
  Reply get(std::string_view target) { return ask({.method = "GET", .target = target}); }
  Reply post(std::string_view target, std::string text) {
    PiecewiseBody body;
    body.pieces.push_back(std::move(text));
    return ask({.method = "POST", .target = target, .body = &body});
  }

  /// A response stored in memory, in Redis or both.
  void put(const std::string& key, const std::string& target, bool in_memory = true, bool in_redis = false,
           std::string selecting = {}, std::string body = "body") {
    store::StoredParts parts;
    parts.key = policy::variant_key(key, selecting);
    parts.base_key_size = key.size();
    parts.canonical = "canonical of " + key;
    parts.selecting = std::move(selecting);
    parts.type = "product";
    parts.target = target;
    parts.tags = {"tag:" + target};
    parts.stamp = log_.stamp();
    parts.lifetime.freshness_lifetime = policy::Seconds(100);
    parts.lifetime.response_time = proxy::wall_clock();
    parts.reason = "OK";
    parts.fields.add("Content-Type", "text/plain");
    parts.body = std::make_shared<const std::string>(std::move(body));
    const auto stored = store::StoredResponse::make(std::move(parts));
    if (in_memory) CHECK(memory_.insert(stored, stored->stamp().sequence) == policy::NotStored::none);
    if (in_redis) {
      remote_->insert(stored);
      run_until([this] { return remote_->connection().counters().queued == 0 && write_bytes_ == 0; });
    }
  }

  /// Hits of what put() has stored in memory under a key.
  void use(const std::string& key, int times) {
    for (int i = 0; i < times; ++i) CHECK(memory_.find("canonical of " + key, {}).stored);
  }

  std::optional<redis::Reply> command(std::vector<std::string> arguments) {
    std::optional<redis::Reply> answered;
    bool is_done = false;
    remote_->connection().send({arguments.begin(), arguments.end()}, milliseconds(2000), [&](auto reply) {
      if (reply) answered = std::move(*reply);
      is_done = true;
    });
    run_until([&] { return is_done; });
    return answered;
  }

  /// Every key of a listing in pages, with its tiers.
  std::multiset<std::string> list_all(const std::string& query, std::size_t* pages = nullptr) {
    std::multiset<std::string> all;
    std::string cursor;
    for (std::size_t page = 1; page < 10000; ++page) {
      const auto json = get("/api/cache/keys?" + query + "&cursor=" + cursor).json();
      REQUIRE(json["status"] == "success");
      for (const auto& row : json["keys"]) {
        std::string name = row["key"];
        for (const auto& tier : row["tier"]) name += " " + tier.get<std::string>();
        all.insert(std::move(name));
      }
      if (pages != nullptr) *pages = page;
      if (json["cursor"].is_null()) return all;
      cursor = json["cursor"];
    }
    FAIL("a listing without end");
    return all;
  }

  void start_monitor() { monitor_->start(); }

  bool is_ready = true;
  WatchParameters watch = sampled_every(milliseconds(20));
  bool is_draining = false;
  ReloadReport next_report;  ///< what a reload comes to
  int reloads = 0;
  void set_token(std::string token) { api_->set_token(std::move(token)); }

 private:
  net::Awaitable<ReloadReport> reload() {
    ++reloads;
    co_return next_report;
  }

  boost::asio::io_context io_{1};
  net::DeadlineWheel wheel_{io_};
  net::OriginParameters origin_parameters_{.servers = {"http://127.0.0.1:1"}};
  net::OriginPool pool_{io_, wheel_, origin_parameters_};
  store::PurgeLog log_{7};
  store::MemoryStore memory_{store::MemoryStoreParameters{}, log_};
  store::FillTable fills_{1 << 20, 1 << 20};
  store::VarianceIndex variances_;
  store::DecodedBodies decoded_;
  proxy::ErrorLog redis_errors_{"[CACHE ERROR]"};
  proxy::ErrorLog origin_errors_{"[ORIGIN ERROR]"};
  proxy::ErrorLog overload_{"[OVERLOAD]"};
  proxy::Shared shared_{.rules = rules_with_types(),
                        .cache = {},
                        .log = log_,
                        .memory = memory_,
                        .fills = fills_,
                        .variances = variances_,
                        .decoded = decoded_,
                        .bus = nullptr,
                        .origin_errors = origin_errors_,
                        .overload = overload_};
  proxy::WorkerCounters counters_{0};
  net::SessionCounters sessions_;
  std::atomic<std::size_t> write_bytes_{0};
  proxy::RedisParameters redis_parameters_;
  std::unique_ptr<proxy::PurgeBus> bus_;
  std::unique_ptr<proxy::RemoteStore> remote_;
  std::unique_ptr<proxy::Proxy> proxy_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<Warmer> warmer_;
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<Api> api_;
};

TEST_CASE("health and readiness need no token") {
  Node node(nullptr, "");
  for (const std::string_view method : {"GET", "HEAD"}) {
    const auto health = node.ask({.method = method, .target = "/health", .authorization = ""});
    CHECK(health.status() == 200);
    CHECK(health.json()["status"] == "healthy");
    CHECK(health.has_line("Content-Type: application/json"));
    CHECK(health.has_line("Cache-Control: no-store"));
    CHECK(health.has_line("Content-Length: " + std::to_string(health.body.size())));
    CHECK(node.ask({.method = method, .target = "/ready?x", .authorization = ""}).status() == 200);
  }
  node.is_ready = false;
  CHECK(node.ask({.target = "/ready", .authorization = ""}).status() == 503);
  CHECK(node.ask({.target = "/health", .authorization = ""}).status() == 200);
  const auto wrong = node.ask({.method = "POST", .target = "/health", .authorization = ""});
  CHECK(wrong.status() == 405);
  CHECK(wrong.has_line("Allow: GET, HEAD"));
}

TEST_CASE("metrics: the admin token, a token of their own, or none") {
  Node node;
  CHECK(node.get("/metrics").status() == 200);
  CHECK(node.ask({.target = "/metrics", .authorization = ""}).error() == "no_token");
  node.watch.metrics_token = "scraper";
  node.adopt_watch();
  CHECK(node.ask({.target = "/metrics", .authorization = "Bearer scraper"}).status() == 200);
  CHECK(node.get("/metrics").status() == 200);
  const auto wrong = node.ask({.target = "/metrics", .authorization = "Bearer other"});
  CHECK(wrong.error() == "wrong_token");
  CHECK(wrong.body.find("admin.metrics_token") != std::string::npos);
  // It opens nothing else.
  for (const std::string_view target : {"/api/cache/stats", "/api/cache/series", "/api/cache/keys", "/metrics/x"}) {
    CHECK(node.ask({.target = target, .authorization = "Bearer scraper"}).status() == 401);
  }
  node.watch.metrics_token.clear();
  node.watch.metrics_open = true;
  node.adopt_watch();
  CHECK(node.ask({.target = "/metrics", .authorization = ""}).status() == 200);
  CHECK(node.ask({.target = "/metrics", .authorization = "Bearer other"}).status() == 200);
  CHECK(node.ask({.target = "/api/cache/stats", .authorization = ""}).status() == 401);

  Node without(nullptr, "");
  const auto unset = without.ask({.target = "/metrics", .authorization = ""});
  CHECK(unset.status() == 403);
  CHECK(unset.body.find("admin.metrics_token") != std::string::npos);
  without.watch.metrics_token = "scraper";
  without.adopt_watch();
  CHECK(without.ask({.target = "/metrics", .authorization = "Bearer scraper"}).status() == 200);
  CHECK(without.ask({.target = "/api/cache/stats", .authorization = "Bearer scraper"}).status() == 403);
}

TEST_CASE("metrics are text, for GET and HEAD") {
  Node node;
  const auto reply = node.get("/metrics");
  CHECK(reply.has_line("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  CHECK(reply.has_line("Cache-Control: no-store"));
  CHECK(reply.body.find("\nlarder_worker_responsive{worker=\"0\"} 1\n") != std::string::npos);
  CHECK(reply.body.find("\nprocess_resident_memory_bytes 0\n") == std::string::npos);
  CHECK(node.ask({.method = "HEAD", .target = "/metrics"}).status() == 200);
  CHECK(node.ask({.method = "POST", .target = "/metrics"}).status() == 405);
}

TEST_CASE("the series grows by what is sampled, and the statistics tell of it") {
  Node node;
  CHECK(node.get("/api/cache/series").json()["points"].empty());
  CHECK(node.get("/api/cache/stats").json()["cache_stats"]["latency"]["window_seconds"] == 0);
  node.start_monitor();
  node.run_until([&node] { return node.get("/api/cache/series").json()["points"].size() >= 3; });
  const auto series = node.get("/api/cache/series").json();
  CHECK(series["interval_seconds"] == 0.02);
  REQUIRE(series["points"].size() >= 3);
  CHECK(series["points"][0]["requests"] == 0);
  CHECK(series["points"][0]["hit_rate"].is_null());
}

TEST_CASE("while it drains it is not ready, and says why") {
  Node node;
  node.is_draining = true;
  const auto ready = node.ask({.target = "/ready", .authorization = ""});
  CHECK(ready.status() == 503);
  CHECK(ready.json()["error"] == "draining");
}

TEST_CASE("a reload, and another token") {
  Node node;
  CHECK(node.ask({.method = "POST", .target = "/api/cache/reload", .authorization = ""}).status() == 401);
  CHECK(node.reloads == 0);
  node.next_report.changed = {"log_level"};
  const auto accepted = node.ask({.method = "POST", .target = "/api/cache/reload"});
  CHECK(accepted.status() == 200);
  CHECK(accepted.json()["changed"][0] == "log_level");
  node.next_report.end = ReloadReport::End::refused;
  node.next_report.faults = {{"rules.yaml", 3, "wrong", "right"}};
  const auto refused = node.ask({.method = "POST", .target = "/api/cache/reload"});
  CHECK(refused.status() == 422);
  CHECK(refused.json()["faults"][0]["line"] == 3);
  CHECK(node.reloads == 2);
  node.set_token("another");
  CHECK(node.get("/api/cache/stats").status() == 401);
  CHECK(node.ask({.target = "/api/cache/stats", .authorization = "Bearer another"}).status() == 200);
}

TEST_CASE("everything else needs the token") {
  Node without(nullptr, "");
  Node with;
  for (const std::string_view target : {"/api/cache/stats", "/api/cache/keys", "/api/cache/entry/cache:x", "/nowhere",
                                        "/dashboard", "/api/cache/clear-all"}) {
    CAPTURE(target);
    const auto refused = without.ask({.target = target, .authorization = "Bearer secret"});
    CHECK(refused.status() == 403);
    CHECK(refused.json()["message"].get<std::string>().find("admin.token") != std::string::npos);
    const auto missing = with.ask({.target = target, .authorization = ""});
    CHECK(missing.status() == 401);
    CHECK(missing.has_line("WWW-Authenticate: Bearer realm=\"larder\""));
    const auto wrong = with.ask({.target = target, .authorization = "Bearer wrong"});
    CHECK(wrong.status() == 401);
    CHECK(wrong.has_line("WWW-Authenticate: Bearer realm=\"larder\", error=\"invalid_token\""));
  }
  CHECK(with.ask({.method = "POST", .target = "/api/cache/clear-all", .authorization = "Bearer wrong"}).status() ==
        401);
}

TEST_CASE("unknown paths and wrong methods") {
  Node node;
  CHECK(node.get("/nowhere").status() == 404);
  CHECK(node.get("/nowhere").json()["endpoints"].size() == 23);
  CHECK(node.ask({.method = "OPTIONS", .target = "*"}).status() == 404);
  const auto wrong = node.get("/api/cache/clear-all");
  CHECK(wrong.status() == 405);
  CHECK(wrong.has_line("Allow: POST"));
}

TEST_CASE("statistics") {
  Node node;
  node.put("cache:product:1", "/1");
  const auto reply = node.get("/api/cache/stats");
  CHECK(reply.status() == 200);
  const auto json = reply.json();
  CHECK(json["status"] == "success");
  CHECK(json["timestamp"].get<std::string>().size() == 20);
  const auto& stats = json["cache_stats"];
  for (const char* name : {"hits", "misses", "errors", "total_requests", "hit_rate", "is_available"}) {
    CHECK(stats.contains(name));
  }
  CHECK(stats["memory"]["entries"] == 1);
  CHECK(stats["redis"].is_null());
  CHECK(stats["types"].contains("product"));
}

TEST_CASE("keys of memory in pages") {
  Node node;
  std::multiset<std::string> expected;
  for (int i = 0; i < 250; ++i) {
    const auto key = "cache:product:" + std::to_string(i);
    node.put(key, "/" + std::to_string(i));
    expected.insert(key + " memory");
  }
  node.put("cache:user:\xFF", "/\xC3");
  std::size_t pages = 0;
  CHECK(node.list_all("pattern=cache:product:*&limit=100", &pages) == expected);
  CHECK(pages == 3);
  CHECK(node.list_all("pattern=cache:product:*&limit=1") == expected);
  CHECK(node.list_all("pattern=cache:product:17").size() == 1);
  CHECK(node.list_all("pattern=nothing").empty());
  CHECK(node.list_all("limit=1000").size() == 251);
  const auto row = node.get("/api/cache/keys?pattern=cache:product:17").json()["keys"][0];
  CHECK(row["type"] == "product");
  CHECK(row["target"] == "/17");
  CHECK(row["tags"] == Json::array({"tag:/17"}));
  CHECK(row["size"] == 4);
  CHECK(row["ttl"] >= 90);
  CHECK(node.get("/api/cache/keys").json()["redis"] == "not_configured");
  // Foreign cursors are cursors somewhere, never a crash.
  for (const char* cursor : {"m18446744073709551615", "m9223372036854775808", "r0", "r18446744073709551615", "m1"}) {
    CHECK(node.get(std::string("/api/cache/keys?cursor=") + cursor).status() == 200);
  }
  CHECK(node.get("/api/cache/keys?limit=-1").error() == "bad_limit");
  CHECK(node.get("/api/cache/keys?cursor=z").status() == 400);
}

TEST_CASE("one entry") {
  Node node;
  node.put("cache:user:profile:a%20b", "/x");
  const std::vector<http::Field> request{{"Accept-Language", "de"}};
  node.put("cache:product:1", "/1", true, false, policy::selecting_fields({"accept-language"}, {}), "none");
  node.put("cache:product:1", "/1", true, false, policy::selecting_fields({"accept-language"}, request), "de");
  for (const char* target : {"/api/cache/entry/cache:user:profile:a%2520b", "/api/cache/entry/cache:user:profile:a%20b",
                             "/api/cache/entry/cache%3Auser%3Aprofile%3Aa%20b"}) {
    CAPTURE(target);
    const auto reply = node.get(target);
    REQUIRE(reply.status() == 200);
    const auto json = reply.json();
    REQUIRE(json["variants"].size() == 1);
    CHECK(json["variants"][0]["body"]["text"] == "body");
  }
  CHECK(node.get("/api/cache/entry/cache:product:1").json()["variants"].size() == 2);
  CHECK(node.get("/api/cache/entry/cache:product:2").error() == "no_entry");
  CHECK(node.get("/api/cache/entry/larder:purge-log").error() == "bad_key");
  CHECK(node.get("/api/cache/entry/%FF").status() == 400);
}

TEST_CASE("purges: what is named is gone when the answer comes, and nothing else") {
  Node node;
  const auto fill = [&node] {
    node.put("cache:product:1", "/api/products/1");
    node.put("cache:product:2", "/api/products/2");
    node.put("cache:search:1", "/api/search?q=1");
  };
  const auto left = [&node] { return node.list_all("limit=10").size(); };
  fill();
  const auto removed = node.ask({.method = "DELETE", .target = "/api/cache/entry/cache:product:1"});
  CHECK(removed.status() == 200);
  CHECK(removed.json()["found"] == true);
  CHECK(removed.json()["delivered"] == true);
  CHECK(removed.json()["purged"] == Json::array({{{"kind", "key"}, {"value", "cache:product:1"}}}));
  CHECK(left() == 2);
  CHECK(node.get("/api/cache/entry/cache:product:1").status() == 404);
  CHECK(node.ask({.method = "DELETE", .target = "/api/cache/entry/cache:product:1"}).json()["found"] == false);

  fill();
  CHECK(node.post("/api/cache/invalidate-pattern", R"({"pattern":"cache:search:*"})").status() == 200);
  CHECK(left() == 2);
  fill();
  CHECK(node.post("/api/cache/invalidate-pattern", R"({"tag":"tag:/api/products/2"})").status() == 200);
  CHECK(left() == 2);
  fill();
  CHECK(node.post("/api/cache/invalidate-pattern", R"({"path":"/api/products/**"})").status() == 200);
  CHECK(left() == 1);
  fill();
  CHECK(node.post("/api/cache/invalidate-pattern", R"({"key":"cache:search:1"})").status() == 200);
  CHECK(left() == 2);
  fill();
  CHECK(node.post("/api/cache/invalidate/user", "").status() == 200);
  CHECK(left() == 3);
  CHECK(node.post("/api/cache/invalidate/product", "").json()["clock"] > 0);
  CHECK(left() == 0);
  fill();
  CHECK(node.post("/api/cache/clear-all", "").status() == 200);
  CHECK(left() == 0);
  CHECK(node.get("/api/cache/stats").json()["cache_stats"]["purges"] == 9);
}

TEST_CASE("the dashboard needs no token, and says what a browser may do with it") {
  Node node(nullptr, "");
  const auto page = node.ask({.target = "/", .authorization = ""});
  CHECK(page.status() == 200);
  CHECK(page.has_line("Content-Type: text/html; charset=utf-8"));
  CHECK(page.has_line("Cache-Control: no-cache"));
  CHECK(page.has_line("X-Content-Type-Options: nosniff"));
  CHECK(page.has_line("Content-Length: " + std::to_string(page.body.size())));
  CHECK(page.head.find("Content-Security-Policy: default-src 'none';") != std::string::npos);
  CHECK(node.ask({.target = "/dashboard/dashboard.js", .authorization = ""}).status() == 200);
  CHECK(node.ask({.method = "POST", .target = "/", .authorization = ""}).status() == 405);
}

TEST_CASE("dry runs tell what matches, and purge nothing") {
  Node node;
  node.put("cache:product:1", "/api/products/1?a=1");
  node.put("cache:product:2", "/api/products/2");
  node.put("cache:product:2", "/api/products/2", true, false, "accept: b");
  node.put("cache:search:1", "/api/search");
  struct Row {
    std::string_view target;
    std::string body;
    std::size_t matches;
  };
  for (const auto& row :
       std::vector<Row>{{"/api/cache/invalidate-pattern", R"({"pattern":"cache:search:*","dry_run":true})", 1},
                        {"/api/cache/invalidate-pattern", R"({"tag":"tag:/api/products/2","dry_run":true})", 2},
                        {"/api/cache/invalidate-pattern", R"({"path":"/api/products/*","dry_run":true})", 3},
                        {"/api/cache/invalidate-pattern", R"({"key":"cache:product:2","dry_run":true})", 2},
                        {"/api/cache/invalidate-pattern", R"({"tag":"nothing","dry_run":true})", 0},
                        // put() gives every entry this type, whatever its key.
                        {"/api/cache/invalidate/product", R"({"dry_run":true})", 4},
                        {"/api/cache/invalidate/user", R"({"dry_run":true})", 0},
                        {"/api/cache/clear-all", R"({"dry_run":true})", 4}}) {
    CAPTURE(row.body);
    const auto reply = node.post(row.target, row.body);
    CHECK(reply.status() == 200);
    const auto json = reply.json();
    CHECK(json["dry_run"] == true);
    CHECK(json["matches"] == row.matches);
    CHECK(json["in_memory"] == row.matches);
    CHECK(json["in_redis"] == 0);
    CHECK(json["complete"] == true);
    CHECK(json["redis"] == "not_configured");
    CHECK(json["examples"].size() == row.matches);
  }
  CHECK(node.list_all("").size() == 4);
  for (const std::string_view target : {"/api/cache/clear-all", "/api/cache/invalidate/product"}) {
    CHECK(node.post(target, R"({"dry_run":"true"})").status() == 400);
    CHECK(node.post(target, "dry_run").status() == 400);
  }
  CHECK(node.list_all("").size() == 4);
  CHECK(node.post("/api/cache/invalidate-pattern", R"({"tag":"tag:/api/products/2","dry_run":false})").status() == 200);
  CHECK(node.list_all("").size() == 2);
}

TEST_CASE("many entries are counted in steps, and few are told as examples") {
  Node node;
  for (int i = 0; i < 1500; ++i) node.put("cache:product:" + std::to_string(i), "/p/" + std::to_string(i));
  const auto json = node.post("/api/cache/invalidate-pattern", R"({"path":"/p/*","dry_run":true})").json();
  CHECK(json["matches"] == 1500);
  CHECK(json["complete"] == true);
  CHECK(json["examples"].size() == 20);
}

TEST_CASE("the busiest keys come first") {
  Node node;
  for (int i = 0; i < 30; ++i) {
    node.put("cache:product:" + std::to_string(i), "/p/" + std::to_string(i));
    node.use("cache:product:" + std::to_string(i), (i * 7) % 30);
  }
  const auto json = node.get("/api/cache/keys?sort=hits&limit=5").json();
  REQUIRE(json["keys"].size() == 5);
  for (int i = 0; i < 5; ++i) CHECK(json["keys"][static_cast<std::size_t>(i)]["hits"] == 29 - i);
  CHECK(json["cursor"].is_null());
  CHECK(json["complete"] == true);
  CHECK(json["examined"] == 30);
  const auto few = node.get("/api/cache/keys?sort=hits&pattern=cache:product:2").json();
  REQUIRE(few["keys"].size() == 1);
  CHECK(few["keys"][0]["hits"] == 14);
}

TEST_CASE("bodies that are wrong purge nothing") {
  Node node;
  node.put("cache:product:1", "/1");
  const auto target = "/api/cache/invalidate-pattern";
  CHECK(node.ask({.method = "POST", .target = target}).error() == "bad_json");
  CHECK(node.post(target, "{}").error() == "bad_order");
  CHECK(node.post(target, R"({"pattern":"*"})").error() == "bad_pattern");
  CHECK(node.post(target, std::string(60000, '[')).status() == 400);
  CHECK(node.post(target, std::string(65537, ' ')).status() == 413);
  CHECK(node.post("/api/cache/invalidate/unknown", "").error() == "unknown_type");

  PiecewiseBody endless;
  endless.pieces.assign(100000, std::string(1000, ' '));
  CHECK(node.ask({.method = "POST", .target = target, .body = &endless}).status() == 413);
  CHECK(endless.reads < 100);
  PiecewiseBody announced;
  announced.announced = 1ULL << 40U;
  CHECK(node.ask({.method = "POST", .target = target, .body = &announced, .expects_continue = true}).status() == 413);
  CHECK(announced.reads == 0);
  PiecewiseBody slow;
  slow.end = net::Error::client_timeout;
  CHECK(node.ask({.method = "POST", .target = target, .body = &slow}).status() == 408);
  PiecewiseBody broken;
  broken.pieces = {R"({"tag":)"};
  broken.end = net::Error::client_gone;
  CHECK(node.ask({.method = "POST", .target = target, .body = &broken}).status() == 400);
  CHECK(node.list_all("").size() == 1);

  PiecewiseBody pieces;
  for (const char c : std::string(R"({"tag":"tag:/1"})")) pieces.pieces.emplace_back(1, c);
  const auto waited = node.ask({.method = "POST", .target = target, .body = &pieces, .expects_continue = true});
  CHECK(waited.status() == 200);
  CHECK(waited.interims == 1);
  CHECK(node.list_all("").empty());
}

TEST_CASE("both tiers: keys, entries and purges") {
  redis::test::RedisServer server;
  Node node(&server);
  std::multiset<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    const auto key = "cache:product:" + std::to_string(i);
    const bool in_memory = i % 3 != 0;
    const bool in_redis = i % 3 != 1;
    node.put(key, "/" + std::to_string(i), in_memory, in_redis);
    expected.insert(key + (in_memory ? " memory" : "") + (in_redis ? " redis" : ""));
  }
  // What is in Redis, but no stored response of ours.
  node.command({"SET", "cache:product:foreign", "not a record"});
  node.command({"SET", "cache:product:empty", ""});
  node.command({"RPUSH", "cache:product:list", "x"});
  node.command({"SET", "session:product:1", "theirs"});
  node.command({"RENAME", "cache:product:0", "cache:product:renamed"});
  expected.erase("cache:product:0 redis");

  SUBCASE("a listing tells of every entry once, with its tiers") {
    CHECK(node.list_all("limit=1000") == expected);
    CHECK(node.list_all("limit=7") == expected);
    CHECK(node.list_all("limit=1") == expected);
    CHECK(node.list_all("pattern=cache:product:3").size() == 1);
    CHECK(node.list_all("pattern=*").size() == expected.size());
    CHECK(node.get("/api/cache/keys").json()["redis"] == "read");
  }

  SUBCASE("a dry run counts what is in either tier once, and purges nothing") {
    std::size_t in_memory = 0;
    std::size_t in_redis = 0;
    for (const auto& name : expected) {
      if (name.find(" memory") != std::string::npos) ++in_memory;
      if (name.find(" redis") != std::string::npos) ++in_redis;
    }
    for (const auto* const body :
         {R"({"pattern":"cache:product:*","dry_run":true})", R"({"path":"/*","dry_run":true})"}) {
      const auto json = node.post("/api/cache/invalidate-pattern", body).json();
      CHECK(json["matches"] == expected.size());
      CHECK(json["in_memory"] == in_memory);
      CHECK(json["in_redis"] == in_redis);
      CHECK(json["complete"] == true);
      CHECK(json["redis"] == "read");
    }
    CHECK(node.post("/api/cache/invalidate-pattern", R"({"key":"cache:product:3","dry_run":true})").json()["matches"] ==
          1);
    CHECK(node.list_all("limit=1000") == expected);
    node.use("cache:product:1", 3);
    const auto busiest = node.get("/api/cache/keys?sort=hits&limit=1").json();
    CHECK(busiest["keys"][0]["key"] == "cache:product:1");
    CHECK(busiest["redis"] == "read");
  }

  SUBCASE("pages are not much longer than asked for") {
    std::string cursor;
    do {
      const auto json = node.get("/api/cache/keys?limit=5&cursor=" + cursor).json();
      CHECK(json["keys"].size() <= 12);
      cursor = json["cursor"].is_null() ? "" : json["cursor"].get<std::string>();
    } while (!cursor.empty());
  }

  SUBCASE("a long front is read again") {
    node.put("cache:product:long", "/" + std::string(20000, 'x'), false, true);
    CHECK(node.list_all("pattern=cache:product:long").size() == 1);
    CHECK(node.get("/api/cache/entry/cache:product:long").json()["variants"].size() == 1);
  }

  SUBCASE("an entry of Redis alone, small and too large to fetch") {
    auto json = node.get("/api/cache/entry/cache:product:3").json();
    REQUIRE(json["variants"].size() == 1);
    CHECK(json["variants"][0]["tier"] == Json::array({"redis"}));
    CHECK(json["variants"][0]["body"]["text"] == "body");
    CHECK(json["variants"][0]["fields"][0]["name"] == "Content-Type");
    json = node.get("/api/cache/entry/cache:product:2").json();
    REQUIRE(json["variants"].size() == 1);
    CHECK(json["variants"][0]["tier"] == Json{"memory", "redis"});
    for (const char* target : {"cache:product:foreign", "cache:product:empty", "cache:product:list",
                               "cache:product:renamed", "cache:product:none"}) {
      CHECK(node.get(std::string("/api/cache/entry/") + target).status() == 404);
    }
    std::string large;
    std::uint32_t state = 1;
    for (int i = 0; i < (6 << 20); ++i) large += static_cast<char>((state = state * 1664525 + 1013904223) >> 24U);
    node.put("cache:product:large", "/large", false, true, {}, large);
    json = node.get("/api/cache/entry/cache:product:large").json();
    REQUIRE(json["variants"].size() == 1);
    CHECK(json["variants"][0]["size"] == 6 << 20);
    CHECK(json["variants"][0]["body"]["encoding"] == "omitted");
  }

  SUBCASE("variants in Redis are found by their key") {
    for (const std::string_view language : {"de", "en", "fr"}) {
      const std::vector<http::Field> request{{"Accept-Language", language}};
      node.put("cache:product:v", "/v", language == "de", true, policy::selecting_fields({"accept-language"}, request),
               std::string(language));
    }
    node.put("cache:product:v:other", "/other", false, true);
    const auto variants = node.get("/api/cache/entry/cache:product:v").json()["variants"];
    REQUIRE(variants.size() == 3);
    std::multiset<std::string> bodies;
    for (const auto& variant : variants) bodies.insert(variant["body"]["text"].get<std::string>());
    CHECK(bodies == std::multiset<std::string>{"de", "en", "fr"});
    CHECK(node.ask({.method = "DELETE", .target = "/api/cache/entry/cache:product:v"}).json()["found"] == true);
    CHECK(node.get("/api/cache/entry/cache:product:v").status() == 404);
    CHECK(node.get("/api/cache/entry/cache:product:v:other").status() == 200);
    CHECK(node.ask({.method = "DELETE", .target = "/api/cache/entry/cache:product:v"}).json()["found"] == false);
  }

  SUBCASE("what was purged is listed in no tier") {
    const auto purged = node.ask({.method = "DELETE", .target = "/api/cache/entry/cache:product:3"}).json();
    CHECK(purged["found"] == true);
    CHECK(purged["delivered"] == true);
    CHECK(node.list_all("pattern=cache:product:3").empty());
    CHECK(node.post("/api/cache/clear-all", "").json()["delivered"] == true);
    CHECK(node.list_all("").empty());
    CHECK(node.get("/api/cache/entry/cache:product:5").status() == 404);
  }

  SUBCASE("without Redis memory goes on, and a purge says that it waits") {
    CHECK(node.get("/api/cache/stats").json()["cache_stats"]["is_available"] == true);
    server.kill();
    node.run_until([&node] { return !node.get("/api/cache/stats").json()["cache_stats"]["is_available"].get<bool>(); });
    const auto listed = node.get("/api/cache/keys?limit=1000").json();
    CHECK(listed["redis"] == "unreadable");
    CHECK(listed["count"] == 40);
    CHECK(listed["cursor"].is_null());
    CHECK(node.get("/api/cache/keys?cursor=r0").json()["count"] == 0);
    CHECK(node.get("/api/cache/entry/cache:product:1").status() == 200);
    CHECK(node.get("/api/cache/entry/cache:product:3").status() == 404);
    const auto purged = node.post("/api/cache/invalidate-pattern", R"({"pattern":"cache:product:1*"})").json();
    CHECK(purged["status"] == "success");
    CHECK(purged["delivered"] == false);
    CHECK(purged["pending_purges"] == 1);
    CHECK(purged.contains("note"));
    CHECK(node.get("/api/cache/entry/cache:product:1").status() == 404);
  }

  SUBCASE("Redis that does not answer is no endless wait") {
    server.pause();
    const auto start = std::chrono::steady_clock::now();
    CHECK(node.get("/api/cache/keys?cursor=r0").status() == 200);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
    server.resume();
  }
}

}  // namespace
}  // namespace larder::admin
