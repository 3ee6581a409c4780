#include "larder/config/loader.hpp"

#include <doctest/doctest.h>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace larder::config {
namespace {

using Texts = std::map<std::string, std::string, std::less<>>;

struct Case {
  std::optional<std::string> config{};  // text of "dir/larder.yaml"
  Overrides overrides{};
  Texts environment{};
  Texts files{};
};

Loaded load_case(const Case& given) {
  const Environment environment = [&given](std::string_view name) -> std::optional<std::string> {
    const auto found = given.environment.find(name);
    return found == given.environment.end() ? std::nullopt : std::optional(found->second);
  };
  const FileReader files = [&given](const std::string& path, std::string& error) -> std::optional<std::string> {
    if (path == "dir/larder.yaml") return given.config;
    const auto found = given.files.find(path);
    if (found != given.files.end()) return found->second;
    error = "No such file";
    return std::nullopt;
  };
  return load(given.config ? std::optional<std::string>("dir/larder.yaml") : std::nullopt, given.overrides, environment,
              files);
}

Settings loaded(const Case& given) {
  auto result = load_case(given);
  REQUIRE_MESSAGE(result.settings.has_value(), report(result));
  return *result.settings;
}

std::string origin(std::string_view rest) { return "origin: {servers: [http://o:1]}\n" + std::string(rest); }

Overrides with_origin() {
  Overrides overrides;
  overrides.origins = {"http://o:1"};
  return overrides;
}

std::string source_file(const std::string& name) {
  std::string error;
  const auto text = read_file(std::string(LARDER_SOURCE_DIR) + "/" + name, error);
  REQUIRE_MESSAGE(text.has_value(), error);
  return *text;
}

// conf/larder.yaml with its commented `redis:` section switched on, as its own comment says how.
std::string conf_with_redis() {
  std::string text = source_file("conf/larder.yaml");
  auto line = text.find("\n#redis:");
  REQUIRE(line != std::string::npos);
  while (line != std::string::npos && line + 1 < text.size()) {
    REQUIRE(text[line + 1] == '#');
    text.erase(line + 1, 1);
    line = text.find('\n', line + 1);
  }
  return text;
}

void collect(const TreeNode& node, const std::string& prefix, std::set<std::string>& out) {
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const auto path = prefix + node.keys[i].text;
    if (node.items[i].kind == TreeNode::Kind::mapping) {
      collect(node.items[i], path + ".", out);
    } else {
      out.insert(path);
    }
  }
}

TEST_CASE("conf/larder.yaml: each key of the loader is in it, and the other way round") {
  std::vector<Fault> faults;
  const auto root = read_document(
      conf_with_redis(), "f", [](std::string_view) { return std::nullopt; }, faults);
  REQUIRE(root.has_value());
  CHECK(faults.empty());
  std::set<std::string> written;
  collect(*root, "", written);
  std::set<std::string> known;
  const Settings standard;
  for (const auto& setting : show(standard)) known.insert(setting.path);
  CHECK(written == known);
}

TEST_CASE("conf/larder.yaml: what it writes is the default, with Redis on and off") {
  std::map<std::string, std::string> defaults;
  const Settings standard;
  for (const auto& setting : show(standard)) defaults[setting.path] = setting.value;
  for (const bool redis : {false, true}) {
    const auto settings = loaded({.config = redis ? conf_with_redis() : source_file("conf/larder.yaml"),
                                  .files = {{"dir/rules.yaml", source_file("conf/rules.yaml")}}});
    CHECK(settings.redis.has_value() == redis);
    CHECK(settings.rules->routes.size() > 5);
    for (const auto& setting : show(settings)) {
      // These two have no default that could be written: where the API is, and that there are rules.
      if (setting.path == "origin.servers" || setting.path == "rules") continue;
      CAPTURE(setting.path);
      CHECK(setting.value == defaults.at(setting.path));
    }
  }
}

TEST_CASE("conf/larder.yaml: every key stands with a comment") {
  std::string text = source_file("conf/larder.yaml");
  std::string_view rest = text;
  bool comment_above = false;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const bool is_setting = !line.empty() && !line.starts_with("# ") && !line.starts_with("#   ");
    if (line.starts_with("# ")) {
      comment_above = true;
    } else if (line.empty()) {
      comment_above = false;
    } else if (is_setting && !line.starts_with(' ') && !line.starts_with('#')) {
      CAPTURE(line);
      CHECK(comment_above);
    }
  }
}

TEST_CASE("load: built-in defaults and an origin suffice") {
  const auto settings = loaded({.overrides = with_origin()});
  CHECK(settings.listen.port == 8080);
  CHECK(settings.admin->port == 8081);
  CHECK(settings.origin.servers == std::vector<std::string>{"http://o:1"});
  CHECK_FALSE(settings.redis.has_value());
  CHECK(settings.rules->type("default") != nullptr);
  CHECK(settings.admin_token.empty());
  CHECK(report(load_case({.overrides = with_origin()})) == "ok: 1 type, 1 route\n");
}

TEST_CASE("load: no origin is a fault") {
  const auto none = load_case({});
  CHECK(report(none).find("no origin server is given, write origin:") != std::string::npos);
  CHECK(report(load_case({.config = "workers: 2"})).starts_with("dir/larder.yaml: no origin server"));
}

TEST_CASE("load: every kind of value from a file") {
  const auto settings = loaded({.config = R"(
listen: "[::]:9000"
workers: 3
log_level: debug
trust_forwarded: on
admin: { listen: localhost:0, token: "0123456789abcdef" }
client: { head_size: 10kB, header_timeout: 500ms, body_rate: off, fields: 50 }
origin:
  servers:
    - http://a
    - http://b:81/
  preserve_host: false
memory: { capacity: 1GiB }
cache: { node_name: edge-1, unstorable_memory: 5 }
redis:
  coherence: strict
  url: rediss://u:p%40@r:7/2
  port: 8
  compress_threshold: off
)"});
  CHECK(settings.listen.host == "::");
  CHECK(settings.listen.port == 9000);
  CHECK(settings.workers == 3);
  CHECK(settings.log_level == LogLevel::debug);
  CHECK(settings.trust_forwarded);
  CHECK(settings.admin->port == 0);
  CHECK(settings.admin_token == "0123456789abcdef");
  CHECK(settings.client.head_size == 10000);
  CHECK(settings.client.header_timeout == net::Milliseconds(500));
  CHECK(settings.client.body_rate == 0);
  CHECK(settings.origin.servers == std::vector<std::string>{"http://a:80", "http://b:81"});
  CHECK_FALSE(settings.origin.preserve_host);
  CHECK(settings.memory.capacity == 1UL << 30);
  CHECK(settings.cache.node_name == "edge-1");
  CHECK(settings.cache.unstorable_memory == std::chrono::seconds(5));
  REQUIRE(settings.redis.has_value());
  const auto& connection = settings.redis->connection;
  CHECK(connection.transport == redis::ConnectionParameters::Transport::tls);
  CHECK(connection.host == "r");
  CHECK(connection.port == 8);  // beside the url, the key wins
  CHECK(connection.user == "u");
  CHECK(connection.password == "p@");
  CHECK(connection.database == 2);
  CHECK(settings.redis->coherence == proxy::Coherence::strict);
  CHECK(settings.redis->codec.compress_threshold == 0);
}

TEST_CASE("load: sections may be off") {
  const auto settings = loaded({.config = origin("admin: off\nmemory: off\nredis: {}\n")});
  CHECK_FALSE(settings.admin.has_value());
  CHECK(settings.memory.capacity == 0);
  CHECK(settings.redis.has_value());
  CHECK_FALSE(loaded({.config = origin("admin: {listen: off}")}).admin.has_value());
  const auto nothing = load_case({.config = origin("memory: off\n")});
  CHECK(nothing.settings.has_value());
  REQUIRE(nothing.warnings.size() == 1);
  CHECK(report(nothing).find("warning: ") == 0);
}

TEST_CASE("load: whether Redis is on, and where, by precedence") {
  struct Row {
    std::string file;
    std::optional<std::string> option;
    Texts environment;
    std::string host;  // "" for off
    std::uint16_t port;
    std::string password;
  };
  const std::vector<Row> rows{
      {"", {}, {}, "", 0, ""},
      {"", {}, {{"REDIS_URL", "redis://:pw@e:1/3"}}, "e", 1, "pw"},
      {"", {}, {{"REDIS_HOST", "e"}, {"REDIS_PORT", "2"}, {"REDIS_PASSWORD", "pw"}}, "e", 2, "pw"},
      {"", {}, {{"REDIS_PORT", "2"}}, "", 0, ""},
      {"", {}, {{"REDIS_URL", ""}, {"REDIS_HOST", ""}}, "", 0, ""},
      {"", {}, {{"REDIS_URL", "redis://e:1"}, {"REDIS_HOST", "x"}, {"REDIS_PORT", "9"}}, "e", 1, ""},
      {"redis: off", {}, {{"REDIS_URL", "redis://e:1"}}, "", 0, ""},
      {"redis: off", {}, {{"REDIS_URL", "not even a url"}}, "", 0, ""},
      {"redis:", {}, {{"REDIS_URL", "redis://e:1"}}, "e", 1, ""},
      {"redis: {deadline: 50ms}", {}, {{"REDIS_URL", "redis://:pw@e:1"}}, "e", 1, "pw"},
      {"redis: {url: redis://f:3}", {}, {{"REDIS_HOST", "e"}, {"REDIS_PASSWORD", "pw"}}, "f", 3, "pw"},
      {"redis: {host: f}", {}, {{"REDIS_URL", "redis://e:1"}}, "f", 1, ""},
      {"redis: {url: redis://f:3}", "off", {{"REDIS_URL", "redis://e:1"}}, "", 0, ""},
      {"redis: off", "redis://c:4", {{"REDIS_URL", "redis://e:1"}}, "c", 4, ""},
      {"redis: {url: redis://f:3}", "redis://c:4", {}, "c", 4, ""},
      {"redis: on", {}, {}, "127.0.0.1", 6379, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.file);
    CAPTURE(row.environment.size());
    Overrides overrides;
    overrides.redis = row.option;
    const auto settings = loaded({.config = origin(row.file), .overrides = overrides, .environment = row.environment});
    CHECK(settings.redis.has_value() == !row.host.empty());
    if (!settings.redis) continue;
    CHECK(settings.redis->connection.host == row.host);
    CHECK(settings.redis->connection.port == row.port);
    CHECK(settings.redis->connection.password == row.password);
  }
  const auto full = loaded(
      {.overrides = with_origin(), .environment = {{"REDIS_HOST", "e"}, {"REDIS_DB", "5"}, {"REDIS_USER", "u"}}});
  CHECK(full.redis->connection.database == 5);
  CHECK(full.redis->connection.user == "u");
}

TEST_CASE("load: the command line wins over the file") {
  Overrides overrides;
  overrides.listen = "h:1";
  overrides.admin = "off";
  overrides.origins = {"http://x:1", "http://y:2"};
  overrides.rules = "here.yaml";
  overrides.workers = "7";
  overrides.memory = "off";
  overrides.redis = "unix:///s";
  overrides.token = "fedcba9876543210";
  const auto settings =
      loaded({.config = origin("listen: a:9\nworkers: 1\nmemory: {capacity: 1MiB}\nrules: there.yaml\n"
                               "admin: {token: aaaaaaaaaaaaaaaaaa}\n"),
              .overrides = overrides,
              .files = {{"here.yaml", "types: {mine: }"}}});
  CHECK(settings.listen.host == "h");
  CHECK_FALSE(settings.admin.has_value());
  CHECK(settings.origin.servers == std::vector<std::string>{"http://x:1", "http://y:2"});
  CHECK(settings.rules->type("mine") != nullptr);
  CHECK(settings.rules_file == "here.yaml");
  CHECK(settings.workers == 7);
  CHECK(settings.memory.capacity == 0);
  CHECK(settings.redis->connection.transport == redis::ConnectionParameters::Transport::unix_socket);
  CHECK(settings.admin_token == "fedcba9876543210");
}

TEST_CASE("load: overrides are checked like the file") {
  Overrides overrides;
  overrides.listen = "nowhere";
  overrides.origins = {"http://ok", "https://u:secret@x"};
  overrides.workers = "many";
  overrides.redis = "redis://u:secret@h:x";
  overrides.token = "secret with spaces";
  overrides.memory = "1K";
  overrides.admin = "8081";
  const auto result = load_case({.overrides = overrides});
  const auto text = report(result);
  for (const std::string_view option :
       {"--listen", "--origin", "--workers", "--redis", "--token", "--memory", "--admin"}) {
    CAPTURE(option);
    CHECK(text.find("command line: " + std::string(option) + ": ") != std::string::npos);
  }
  CHECK(result.faults.size() == 7);
  CHECK(text.find("secret") == std::string::npos);
}

TEST_CASE("load: rules are read from the folder of the file") {
  const auto settings = loaded({.config = origin("rules: sub/r.yaml"), .files = {{"dir/sub/r.yaml", "types: {r: }"}}});
  CHECK(settings.rules->type("r") != nullptr);
  const auto absolute = loaded({.config = origin("rules: /r.yaml"), .files = {{"/r.yaml", "types: {r: }"}}});
  CHECK(absolute.rules_file == "/r.yaml");
  const auto missing = load_case({.config = origin("rules: none.yaml")});
  REQUIRE(missing.faults.size() == 1);
  CHECK(missing.faults[0].line == 2);
  CHECK(missing.faults[0].wrong.find("No such file") != std::string::npos);
}

TEST_CASE("load: REDIS_CACHE_TTL is the default ttl, with rules and without") {
  const Texts environment{{"REDIS_CACHE_TTL", "90"}};
  CHECK(loaded({.overrides = with_origin(), .environment = environment}).rules->routes[0].store.ttl ==
        policy::Seconds(90));
  CHECK(loaded({.config = origin("rules: r"), .environment = environment, .files = {{"dir/r", "types: {a: }"}}})
            .rules->type("a")
            ->ttl == policy::Seconds(90));
  for (const std::string bad : {"x", "-1", "1.5", "500ms"}) {
    CAPTURE(bad);
    const auto result = load_case({.overrides = with_origin(), .environment = {{"REDIS_CACHE_TTL", bad}}});
    REQUIRE(result.faults.size() == 1);
    CHECK(result.faults[0].file == "environment: REDIS_CACHE_TTL");
  }
}

TEST_CASE("load: each wrong value is a fault with its line") {
  struct Row {
    std::string_view text;  // from line 2 on
    int line;
    std::string_view says;
  };
  const std::vector<Row> rows{
      {"lisen: x:1", 2, "did you mean listen?"},
      {"\n\nclient: {headsize: 1}", 4, "did you mean head_size?"},
      {"client:\n  header-timeout: 1", 3, "did you mean header_timeout?"},
      {"origins: []", 2, "did you mean origin?"},
      {"listen: 8080", 2, "HOST:PORT"},
      {"listen: a:70000", 2, "HOST:PORT"},
      {"listen: [a]", 2, "a list is not"},
      {"workers: -1", 2, "from 0 to 1024"},
      {"workers: 1.5", 2, "from 0 to 1024"},
      {"workers:", 2, "nothing is not"},
      {"log_level: loud", 2, "one of trace, debug"},
      {"trust_forwarded: maybe", 2, "true or false"},
      {"client: []", 2, "not a mapping"},
      {"client: {head_size: 10}", 2, "from 1KiB"},
      {"client: {head_size: 1TiB}", 2, "to 16MiB"},
      {"client: {idle_timeout: -5}", 2, "a duration"},
      {"client: {idle_timeout: 5min}", 2, "a duration"},
      {"client: {idle_timeout: 0}", 2, "from 100ms"},
      {"client: {fields: 0}", 2, "from 10"},
      {"client: off", 2, "not a mapping"},
      {"memory: {capacity: 5}", 2, "or off"},
      {"memory: 5", 2, "or off"},
      {"cache: {unstorable_memory: 500ms}", 2, "whole seconds"},
      {"cache: {node_name: \"a b\"}", 2, "token"},
      {"cache: {max_object: 512MiB}", 1, "fill_budget is smaller"},
      {"memory: {outside: 31MiB}", 2, "smaller than four times cache.max_object"},
      {"client: {head_size: 128KiB, buffers: 64KiB}", 2, "client.buffers is smaller than client.head_size"},
      {"cache: {fill_budget: 1MiB}", 2, "8MiB at least"},
      {"admin: {listen: 127.0.0.1:8080}", 2, "same as listen"},
      {"redis: 5", 2, "or off"},
      {"redis: {port: 0}", 2, "from 1 to 65535"},
      {"redis: {url: http://x}", 2, "scheme"},
      {"redis: {max_body: 1MiB}", 2, "smaller than cache.max_object"},
      {"redis: {backoff_max: 1ms}", 2, "backoff_first"},
      {"redis: {coherence: none}", 2, "bounded, strict"},
      {"redis: {compress_level: 10}", 2, "from 1 to 9"},
      {"redis: {namespace_key: \"cache:x\"}", 2, "cache:"},
      {"workers: ${NONE}", 2, "NONE is not set"},
      {"workers: 1\nworkers: 2", 3, "comes twice"},
      {"workers: [1", 2, "not YAML"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto result = load_case({.config = origin(row.text)});
    CAPTURE(report(result));
    CHECK_FALSE(result.settings.has_value());
    REQUIRE(!result.faults.empty());
    if (row.line == 1) continue;  // found when all is known: where it is missing, it has no line
    CHECK(result.faults.size() == 1);
    CHECK(std::abs(result.faults[0].line - row.line) <= (row.says == "not YAML" ? 1 : 0));
    CHECK(format(result.faults[0]).find(row.says) != std::string::npos);
    CHECK(result.faults[0].file == "dir/larder.yaml");
  }
}

TEST_CASE("load: wrong origins") {
  for (const std::string_view servers :
       {"[]", "", "{a: b}", "[[a]]", "[http://a, http://A:80]", "https://a", "[a:1]", "[http://u:secret@a]"}) {
    CAPTURE(servers);
    const auto result = load_case({.config = "origin:\n  servers: " + std::string(servers)});
    REQUIRE(result.faults.size() == 1);
    CHECK(result.faults[0].line == 2);
    CHECK(report(result).find("secret") == std::string::npos);
  }
}

TEST_CASE("load: all faults of both files, in order; secrets of variables stay out") {
  const auto result = load_case({.config = "rules: r\nworkers: ${WORKERS}\nlisten: x\nclient: {fields: y, foo: z}\n"
                                           "redis: {url: \"${U}\", password: [a]}\n",
                                 .environment = {{"WORKERS", "s3cret"}, {"U", "redis://s3cret@"}},
                                 .files = {{"dir/r", "types: 5\nroutes: 6\n"}}});
  const auto text = report(result);
  CAPTURE(text);
  CHECK(result.faults.size() == 8);
  CHECK(text.find("s3cret") == std::string::npos);
  CHECK(text.find("${WORKERS}") != std::string::npos);
  for (std::size_t i = 1; i < 6; ++i) CHECK(result.faults[i - 1].line <= result.faults[i].line);
  CHECK(result.faults[6].file == "dir/r");
}

TEST_CASE("load: a file that cannot be read is a fault, and so is what is no mapping") {
  const auto missing = load(std::string("/none/such"), with_origin(), nullptr);
  REQUIRE(missing.faults.size() == 1);
  CHECK(missing.faults[0].file == "/none/such");
  CHECK(load(std::string("/"), with_origin(), nullptr).faults.size() == 1);
  CHECK(load_case({.config = "[a]", .overrides = with_origin()}).faults.size() == 1);
  CHECK(load_case({.config = "", .overrides = with_origin()}).faults.empty());
}

TEST_CASE("show: secrets are hidden") {
  const auto settings =
      loaded({.config = origin("admin: {token: 0123456789s3cret}\nredis: {url: redis://:s3cret@h}\n")});
  bool token_seen = false;
  for (const auto& setting : show(settings)) {
    CHECK(setting.value.find("s3cret") == std::string::npos);
    token_seen = token_seen || (setting.path == "admin.token" && setting.value == "(hidden)");
  }
  CHECK(token_seen);
}

TEST_CASE("LogLevel has names") {
  CHECK(to_string(LogLevel::trace) == "trace");
  CHECK(to_string(LogLevel::off) == "off");
}

TEST_CASE("load: metrics and alerts") {
  const auto settings = loaded({.config = origin(R"(
admin: { metrics_token: scraper, metrics_open: true, sample_interval: 1s }
alerts:
  webhook: http://alerts.example/larder?key=x
  webhook_token: t
  webhook_tries: 2
  rules:
    - { name: low, when: hit_rate < 80%, window: 2m, least: 10, for: 30s }
    - name: redis
      when: redis_down
)")});
  CHECK(settings.watch.metrics_token == "scraper");
  CHECK(settings.watch.metrics_open);
  CHECK(settings.watch.sample_interval == std::chrono::seconds(1));
  CHECK(settings.watch.webhook.server == "http://alerts.example:80");
  CHECK(settings.watch.webhook.target == "/larder?key=x");
  CHECK(settings.watch.webhook.tries == 2);
  REQUIRE(settings.watch.alerts.size() == 2);
  const auto& low = settings.watch.alerts[0];
  CHECK(low.window == std::chrono::minutes(2));
  CHECK(low.lasting == std::chrono::seconds(30));
  CHECK(low.least == 10);
  CHECK(admin::describe(settings.watch.alerts[1]) == "redis_down");
  // Secrets are not shown.
  for (const auto& setting : show(settings)) {
    CHECK(setting.value.find("key=x") == std::string::npos);
    CHECK(setting.value.find("scraper") == std::string::npos);
  }
}

TEST_CASE("load: faults of alerts stand at their lines") {
  const auto text = report(load_case({.config = origin(R"(
alerts:
  webhook: https://alerts.example/secret
  rules:
    - { name: low, when: hit_rate < 80, window: 2h }
    - { name: low2, when: hitrate < 80 }
    - { name: "a b", when: redis_down }
)")}));
  CHECK(text.find("dir/larder.yaml:4: alerts.webhook: is not right: TLS to webhooks is not supported") !=
        std::string::npos);
  CHECK(text.find("secret") == std::string::npos);
  CHECK(text.find("dir/larder.yaml:6: window: \"2h\" is not a right value") != std::string::npos);
  CHECK(text.find("dir/larder.yaml:7: when: there is no measure \"hitrate\", did you mean hit_rate?") !=
        std::string::npos);
  CHECK(text.find("dir/larder.yaml:8: name: \"a b\" is no name of an alert") != std::string::npos);
}

TEST_CASE("load: a window must fit the samples") {
  const auto faults = [](const std::string& interval, const std::string& window) {
    return report(load_case(
        {.config = origin("admin: { sample_interval: " + interval +
                          " }\nalerts: { rules: [ { name: a, when: errors > 1, window: " + window + " } ] }\n")}));
  };
  CHECK(faults("5s", "15m").starts_with("ok:"));
  CHECK(faults("5s", "5s").starts_with("ok:"));
  CHECK(faults("5s", "16m").find("the window of the alert \"a\" does not fit") != std::string::npos);
  CHECK(faults("5s", "1s").find("make it from 5s to 15m") != std::string::npos);
  CHECK(report(load_case({.config = origin("admin: { token: t, metrics_token: t }\n")}))
            .find("warning: dir/larder.yaml:2: admin.metrics_token is the same as admin.token") != std::string::npos);
}

}  // namespace
}  // namespace larder::config
