#pragma once
// The parameters of every layer in one struct. Defaults are those of the layers' own structs; conf/larder.yaml
// documents them.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/admin/parameters.hpp"
#include "larder/net/parameters.hpp"
#include "larder/policy/rules.hpp"
#include "larder/proxy/parameters.hpp"
#include "larder/proxy/value_parameters.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::config {

/// What is logged: this level and the more serious ones.
enum class LogLevel : unsigned char {
  trace,  ///< every step of every request
  debug,  ///< every decision of the cache
  info,   ///< starts, stops, reloads, servers that come and go
  warn,   ///< what is served all the same but should be looked at
  error,  ///< what could not be served
  off     ///< nothing
};
std::string_view to_string(LogLevel level) noexcept;

/// Everything that can be configured, checked. Immutable once loaded; a reload makes another one.
struct Settings {
  net::Endpoint listen{"127.0.0.1", 8080};
  std::optional<net::Endpoint> admin{net::Endpoint{"127.0.0.1", 8081}};  ///< empty: no admin API
  std::string admin_token;  ///< empty: none, and the admin API refuses everything but /health and /ready. Never logged
  unsigned workers = 0;     ///< threads that serve; 0 for one per core
  LogLevel log_level = LogLevel::info;
  net::LogParameters log;
  net::AccessLogParameters access_log;
  /// Query parameters whose values are never logged; '*' at the end matches any ending.
  std::vector<std::string> secret_parameters{"access_token", "api_key",   "apikey",        "auth",   "client_secret",
                                             "code",         "id_token",  "jwt",           "key",    "passwd",
                                             "password",     "pwd",       "refresh_token", "secret", "session",
                                             "sig",          "signature", "token",         "x-amz-*"};
  proxy::TraceParameters trace;
  bool trust_forwarded =
      false;  ///< keep the client's X-Forwarded-* and Forwarded and append to them; false replaces them
  net::ClientLimits client;
  net::OriginParameters origin;
  store::MemoryStoreParameters memory;
  std::optional<proxy::RedisParameters> redis;  ///< empty: the memory tier alone
  proxy::CacheParameters cache;
  proxy::ValueParameters values;
  admin::WatchParameters watch;
  std::chrono::milliseconds shutdown_deadline{30000};  ///< from SIGTERM to the end, whatever still runs
  std::chrono::milliseconds shutdown_idle_grace{200};  ///< how long an idle connection is kept open while draining
  std::string takeover;           ///< Unix socket by which another process replaces this one; empty: none
  bool reload_on_change = false;  ///< reload when the configuration's or the rules' file changes
  std::string rules_file;         ///< empty: the built-in rules
  std::shared_ptr<const policy::RuleSet> rules;  ///< never null in loaded settings
};

/// One setting by its place in conf/larder.yaml and its value as it would be written there.
struct ShownSetting {
  std::string path;   ///< "client.head_size"
  std::string value;  ///< "64KiB"; secrets are "(hidden)", or "" where there is none
};

/// Every key that conf/larder.yaml may have (also those below `redis:` where Redis is off: then with their defaults),
/// with the values of `settings`. `redis.url` is "" always: the keys that it stands for have its value.
std::vector<ShownSetting> show(const Settings& settings);

/// What a reload would change: the paths of the keys whose values differ ("client.head_size"), secrets too; "rules"
/// only where it names another file.
std::vector<std::string> changed_keys(const Settings& before, const Settings& after);

/// True for the keys that a reload can change; the others take effect at the next start.
bool takes_effect_at_reload(std::string_view path) noexcept;

/// The present settings after a reload of `loaded`: its own values for the keys that a reload can change.
Settings reloaded(const Settings& present, const Settings& loaded);

}  // namespace larder::config
