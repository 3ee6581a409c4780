#include "larder/config/settings.hpp"

#include <algorithm>
#include <array>

#include "larder/config/settings_keys.hpp"

namespace larder::config {

std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::trace:
      return "trace";
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
    case LogLevel::off:
      return "off";
  }
  return {};
}

std::vector<ShownSetting> show(const Settings& settings) {
  Settings copy = settings;
  proxy::RedisParameters redis = settings.redis.value_or(proxy::RedisParameters{});
  std::vector<ShownSetting> shown;
  for (const auto& key : settings_keys(copy, redis)) {
    auto value = key.show();
    if (key.secret && !value.empty()) value = "(hidden)";
    shown.push_back({key.path, std::move(value)});
  }
  return shown;
}

std::vector<std::string> changed_keys(const Settings& before, const Settings& after) {
  struct Values {
    explicit Values(const Settings& of)
        : settings(of), redis(of.redis.value_or(proxy::RedisParameters{})), keys(settings_keys(settings, redis)) {}
    Settings settings;
    proxy::RedisParameters redis;
    std::vector<SettingsKey> keys;
  };
  const Values old(before);
  const Values now(after);
  std::vector<std::string> changed;
  // Off and on again, whatever its keys say.
  const bool is_redis_switched = before.redis.has_value() != after.redis.has_value();
  if (is_redis_switched) changed.emplace_back("redis");
  for (std::size_t i = 0; i < old.keys.size(); ++i) {
    const auto& key = old.keys[i];
    if (is_redis_switched && key.path.starts_with("redis.")) continue;
    if (key.show() != now.keys[i].show()) changed.push_back(key.path);
  }
  return changed;
}

namespace {
// What is looked at anew by whoever uses it, and may change under a request that runs. All else is laid out at start.
constexpr std::array<std::string_view, 38> changeable{"admin.metrics_open",
                                                      "admin.metrics_token",
                                                      "admin.token",
                                                      "alerts.rules",
                                                      "alerts.webhook",
                                                      "alerts.webhook_deadline",
                                                      "alerts.webhook_retry_first",
                                                      "alerts.webhook_token",
                                                      "alerts.webhook_tries",
                                                      "client.body_rate",
                                                      "client.body_rate_grace",
                                                      "client.buffers",
                                                      "client.connections",
                                                      "client.fields",
                                                      "client.half_closed_timeout",
                                                      "client.head_size",
                                                      "client.header_timeout",
                                                      "client.idle_timeout",
                                                      "client.io_timeout",
                                                      "client.tunnel_idle_timeout",
                                                      "log_level",
                                                      "origin.connect_timeout",
                                                      "origin.connections",
                                                      "origin.failed_server_pause",
                                                      "origin.fields",
                                                      "origin.head_size",
                                                      "origin.idle_connections",
                                                      "origin.idle_timeout",
                                                      "origin.preserve_host",
                                                      "origin.queue",
                                                      "origin.queue_timeout",
                                                      "origin.read_timeout",
                                                      "origin.servers",
                                                      "reload_on_change",
                                                      "rules",
                                                      "shutdown.deadline",
                                                      "shutdown.idle_grace",
                                                      "trust_forwarded"};
}  // namespace

bool takes_effect_at_reload(std::string_view path) noexcept {
  return std::ranges::find(changeable, path) != changeable.end();
}

Settings reloaded(const Settings& present, const Settings& loaded) {
  auto next = present;
  next.admin_token = loaded.admin_token;
  next.watch = loaded.watch;
  next.watch.sample_interval = present.watch.sample_interval;  // the series is laid out for it
  next.log_level = loaded.log_level;
  next.trust_forwarded = loaded.trust_forwarded;
  next.client = loaded.client;
  next.origin = loaded.origin;
  next.shutdown_deadline = loaded.shutdown_deadline;
  next.shutdown_idle_grace = loaded.shutdown_idle_grace;
  next.reload_on_change = loaded.reload_on_change;
  next.rules_file = loaded.rules_file;
  next.rules = loaded.rules;
  return next;
}

}  // namespace larder::config
