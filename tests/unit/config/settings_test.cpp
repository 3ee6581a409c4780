#include "larder/config/settings.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>
#include <vector>

#include "larder/config/settings_keys.hpp"

namespace larder::config {
namespace {

using Keys = std::vector<std::string>;

TEST_CASE("what a reload would change, by name; secrets too") {
  Settings before;
  before.redis.emplace();
  auto after = before;
  CHECK(changed_keys(before, after).empty());
  after.admin_token = "another";
  after.client.idle_timeout += std::chrono::seconds(1);
  after.redis->connection.password = "secret";
  after.listen.port = 1;
  CHECK(changed_keys(before, after) == Keys{"listen", "admin.token", "client.idle_timeout", "redis.password"});
  // Switched off as a whole, and not key by key.
  after = before;
  after.redis.reset();
  after.admin.reset();
  CHECK(changed_keys(before, after) == Keys{"redis", "admin.listen"});
}

TEST_CASE("what a reload can change is a key; and what it takes from the new settings is just that") {
  Settings settings;
  proxy::RedisParameters redis;
  const auto keys = settings_keys(settings, redis);
  std::size_t changeable = 0;
  for (const auto& key : keys) changeable += takes_effect_at_reload(key.path) ? 1U : 0U;
  CHECK(changeable == 38);
  CHECK_FALSE(takes_effect_at_reload("listen"));
  CHECK_FALSE(takes_effect_at_reload("redis"));
  CHECK_FALSE(takes_effect_at_reload("no.such.key"));

  // Every value differs; those that may change do, the others stay.
  Settings loaded;
  loaded.listen.port = 1;
  loaded.admin.reset();
  loaded.admin_token = "another";
  loaded.workers = 7;
  loaded.log_level = LogLevel::error;
  loaded.trust_forwarded = true;
  loaded.takeover = "/somewhere";
  loaded.reload_on_change = true;
  loaded.shutdown_deadline = std::chrono::seconds(1);
  loaded.shutdown_idle_grace = std::chrono::seconds(2);
  loaded.rules_file = "other.yaml";
  loaded.client = {.head_size = 1024,
                   .fields = 11,
                   .connections = 12,
                   .buffers = 1UL << 20,
                   .header_timeout = std::chrono::seconds(13),
                   .idle_timeout = std::chrono::seconds(14),
                   .io_timeout = std::chrono::seconds(15),
                   .body_rate = 16,
                   .body_rate_grace = std::chrono::seconds(17),
                   .tunnel_idle_timeout = std::chrono::seconds(18),
                   .half_closed_timeout = std::chrono::seconds(19)};
  loaded.origin = {.servers = {"http://other:1"},
                   .head_size = 1024,
                   .fields = 21,
                   .connect_timeout = std::chrono::seconds(22),
                   .read_timeout = std::chrono::seconds(23),
                   .idle_timeout = std::chrono::seconds(24),
                   .idle_connections = 25,
                   .connections = 26,
                   .queue = 29,
                   .queue_timeout = std::chrono::seconds(27),
                   .failed_server_pause = std::chrono::seconds(28),
                   .preserve_host = false};
  loaded.watch = {.sample_interval = std::chrono::seconds(30),
                  .metrics_token = "scraper",
                  .metrics_open = true,
                  .alerts = {{.name = "a", .measure = admin::Measure::redis_down}},
                  .webhook = {.server = "http://a:1",
                              .target = "/",
                              .token = "t",
                              .deadline = std::chrono::seconds(31),
                              .tries = 2,
                              .retry_first = std::chrono::seconds(32)}};
  loaded.memory.capacity = 1;
  loaded.cache.max_object = 1;
  loaded.redis.emplace();
  const Settings present;
  const auto next = reloaded(present, loaded);
  for (const auto& key : changed_keys(present, next)) {
    CAPTURE(key);
    CHECK(takes_effect_at_reload(key));
  }
  CHECK(changed_keys(present, next).size() == 38);
  for (const auto& key : changed_keys(next, loaded)) {
    CAPTURE(key);
    CHECK_FALSE(takes_effect_at_reload(key));
  }
}

}  // namespace
}  // namespace larder::config
