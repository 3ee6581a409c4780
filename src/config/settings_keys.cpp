#include "larder/config/settings_keys.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "larder/config/alerts_reader.hpp"
#include "larder/config/values.hpp"
#include "larder/http/token.hpp"

namespace larder::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kib = 1UL << 10;
constexpr std::uint64_t mib = 1UL << 20;
constexpr std::uint64_t gib = 1UL << 30;
constexpr std::uint64_t tib = 1UL << 40;
constexpr milliseconds hour{3600000};
constexpr milliseconds day{86400000};
constexpr std::size_t longest_socket_path = 100;  // sockaddr_un has 108 bytes

// Whether 0 may be written, and as "off" too.
enum class Off : unsigned char { no, is_zero };

SettingsKey size_key(std::string path, std::size_t& value, std::uint64_t min, std::uint64_t max, Off off = Off::no) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write a size from " + show_size(min) + " to " + show_size(max) + ", such as 64KiB, 10MB or plain bytes" +
              (off == Off::is_zero ? ", or off" : "");
  key.read = [&value, min, max, off](const TreeNode& node, std::string&) {
    if (!node.is_scalar()) return false;
    const auto size = off == Off::is_zero && node.is_off() ? 0 : parse_size(node.text);
    if (!size || ((*size < min || *size > max) && !(off == Off::is_zero && *size == 0))) return false;
    value = *size;
    return true;
  };
  key.show = [&value, off] { return off == Off::is_zero && value == 0 ? "off" : show_size(value); };
  return key;
}

template <std::integral T>
SettingsKey count_key(std::string path, T& value, std::uint64_t min, std::uint64_t max) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  key.read = [&value, min, max](const TreeNode& node, std::string&) {
    const auto count = node.is_scalar() ? parse_count(node.text) : std::nullopt;
    if (!count || *count < min || *count > max) return false;
    value = static_cast<T>(*count);
    return true;
  };
  key.show = [&value] { return std::to_string(value); };
  return key;
}

template <class Duration>
SettingsKey duration_key(std::string path, Duration& value, milliseconds min, milliseconds max) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write a duration from " + show_duration(min) + " to " + show_duration(max) +
              ", such as 300 (seconds), " + (std::same_as<Duration, seconds> ? "" : "500ms, ") + "5m, 1h or 1d";
  key.read = [&value, min, max](const TreeNode& node, std::string& wrong) {
    const auto duration = node.is_scalar() ? parse_duration(node.text) : std::nullopt;
    if (!duration || *duration < min || *duration > max) return false;
    value = std::chrono::duration_cast<Duration>(*duration);
    if (value == *duration) return true;
    wrong = "is not in whole seconds";
    return false;
  };
  key.show = [&value] { return show_duration(value); };
  return key;
}

SettingsKey flag_key(std::string path, bool& value) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write true or false";
  key.read = [&value](const TreeNode& node, std::string&) {
    const auto flag = node.is_scalar() ? parse_flag(node.text) : std::nullopt;
    if (flag) value = *flag;
    return flag.has_value();
  };
  key.show = [&value] { return std::string(value ? "true" : "false"); };
  return key;
}

// Values of enumerations. `names` is [enumerator] = name and lives for ever.
template <class Enum>
SettingsKey choice_key(std::string path, Enum& value, std::span<const std::string_view> names) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write one of ";
  for (const auto name : names) {
    if (!key.right.ends_with(' ')) key.right += ", ";
    key.right += name;
  }
  key.read = [&value, names](const TreeNode& node, std::string&) {
    if (!node.is_scalar()) return false;
    const auto found = std::ranges::find(names, std::string_view(node.text));
    if (found == names.end()) return false;
    value = static_cast<Enum>(found - names.begin());
    return true;
  };
  key.show = [&value, names] { return std::string(names[static_cast<std::size_t>(value)]); };
  return key;
}

// A text for which `accepts` holds; null and "" are the empty text.
template <class Accepts>
SettingsKey text_key(std::string path, std::string& value, std::string right, Accepts accepts) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = std::move(right);
  key.read = [&value, accepts](const TreeNode& node, std::string&) {
    if (node.kind != TreeNode::Kind::scalar && node.kind != TreeNode::Kind::null) return false;
    if (!accepts(std::string_view(node.text))) return false;
    value = node.text;
    return true;
  };
  key.show = [&value] { return value; };
  return key;
}

bool has_no_control(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool is_visible(std::string_view text) noexcept {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7F; });
}

SettingsKey endpoint_key(std::string path, net::Endpoint& value) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write HOST:PORT, such as 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080";
  key.read = [&value](const TreeNode& node, std::string&) {
    const auto endpoint = node.is_scalar() ? parse_endpoint(node.text) : std::nullopt;
    if (endpoint) value = *endpoint;
    return endpoint.has_value();
  };
  key.show = [&value] { return show_endpoint(value); };
  return key;
}

SettingsKey admin_key(std::optional<net::Endpoint>& value) {
  SettingsKey key;
  key.path = "admin.listen";
  key.right = "write HOST:PORT, such as 127.0.0.1:8081, or off";
  key.read = [&value](const TreeNode& node, std::string&) {
    if (node.is_off()) {
      value.reset();
      return true;
    }
    const auto endpoint = node.is_scalar() ? parse_endpoint(node.text) : std::nullopt;
    if (endpoint) value = *endpoint;
    return endpoint.has_value();
  };
  key.show = [&value] { return value ? show_endpoint(*value) : std::string("off"); };
  return key;
}

SettingsKey servers_key(std::vector<std::string>& value) {
  SettingsKey key;
  key.path = "origin.servers";
  key.right = "write a list of http://HOST:PORT, at least one: [http://127.0.0.1:3000]";
  key.read = [&value](const TreeNode& node, std::string& wrong) {
    std::vector<std::string> servers;
    const auto add = [&](const TreeNode& item) {
      std::string why;
      const auto server = item.is_scalar() ? parse_origin(item.text, why) : std::nullopt;
      if (!server) {
        // Not the text itself: it may hold a password.
        wrong = "server " + std::to_string(servers.size() + 1) +
                " is not right: " + (why.empty() ? std::string("it is not a text") : why);
        return false;
      }
      if (std::ranges::find(servers, *server) != servers.end()) {
        wrong = "names " + *server + " twice";
        return false;
      }
      servers.push_back(*server);
      return true;
    };
    if (node.is_scalar()) {
      if (!add(node)) return false;
    } else {
      if (node.kind != TreeNode::Kind::sequence) return false;
      if (!std::ranges::all_of(node.items, add)) return false;
    }
    if (servers.empty()) {
      wrong = "names no server";
      return false;
    }
    value = std::move(servers);
    return true;
  };
  key.show = [&value] {
    std::string out;
    for (const auto& server : value) out += (out.empty() ? "" : ", ") + server;
    return "[" + out + "]";
  };
  return key;
}

SettingsKey webhook_key(admin::WebhookParameters& value) {
  SettingsKey key;
  key.path = "alerts.webhook";
  key.right = "write http://HOST:PORT/PATH, or \"\" for none";
  key.secret = true;  // a path may be
  key.read = [&value](const TreeNode& node, std::string& wrong) {
    if (node.kind == TreeNode::Kind::null || (node.is_scalar() && node.text.empty())) {
      value.server.clear();
      return true;
    }
    std::string why;
    auto address = node.is_scalar() ? parse_webhook(node.text, why) : std::nullopt;
    if (!address) {
      if (!why.empty()) wrong = "is not right: " + why;
      return false;
    }
    value.server = std::move(address->server);
    value.target = std::move(address->target);
    return true;
  };
  key.show = [&value] { return value.server.empty() ? std::string() : value.server + value.target; };
  return key;
}

SettingsKey alert_rules_key(std::vector<admin::AlertRule>& value) {
  SettingsKey key;
  key.path = "alerts.rules";
  key.right = "write a list of { name: …, when: … }";
  key.read_lines = [&value](const TreeNode& node, const std::string& file, std::vector<Fault>& faults) {
    value = read_alert_rules(node, file, faults);
  };
  key.show = [&value] {
    std::string out;
    for (const auto& rule : value) out += (out.empty() ? "" : ", ") + rule.name + ": " + admin::describe(rule);
    return "[" + out + "]";
  };
  return key;
}

SettingsKey redis_url_key(redis::ConnectionParameters& value) {
  SettingsKey key;
  key.path = "redis.url";
  key.right = "write redis://[user:password@]host:port/db, rediss:// for TLS, or unix:///path?db=0";
  key.secret = true;
  key.read = [&value](const TreeNode& node, std::string& wrong) {
    if (node.kind == TreeNode::Kind::null || (node.is_scalar() && node.text.empty())) return true;
    std::string why;
    const auto address = node.is_scalar() ? parse_redis_url(node.text, why) : std::nullopt;
    if (!address) {
      if (!why.empty()) wrong = "is not right: " + why;
      return false;
    }
    value.transport = address->transport;
    value.host = address->host;
    value.port = address->port;
    value.database = address->database.value_or(0);
    if (address->user) value.user = *address->user;
    if (address->password) value.password = *address->password;
    return true;
  };
  key.show = [] { return std::string(); };
  return key;
}

// The path of a log's file; `off` where the log may be off.
SettingsKey log_file_key(std::string path, std::string& value, Off off) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = std::string("write stderr or the path of a file") + (off == Off::is_zero ? ", or off" : "");
  key.read = [&value, off](const TreeNode& node, std::string&) {
    if (!node.is_scalar()) return false;
    if (node.is_off()) {
      if (off == Off::no) return false;
      value.clear();
      return true;
    }
    if (node.text.empty() || !has_no_control(node.text)) return false;
    value = node.text;
    return true;
  };
  key.show = [&value] { return value.empty() ? std::string("off") : value; };
  return key;
}

SettingsKey share_key(std::string path, std::uint32_t& millionths) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write a percentage such as 1%, 0.01% or 100%";
  key.read = [&millionths](const TreeNode& node, std::string&) {
    const auto share = node.is_scalar() ? parse_share(node.text) : std::nullopt;
    if (share) millionths = *share;
    return share.has_value();
  };
  key.show = [&millionths] { return show_share(millionths); };
  return key;
}

// Each word switches one flag on; those that are not written are off.
struct NamedFlag {
  std::string_view name;
  bool* value;
};
SettingsKey flags_key(std::string path, std::vector<NamedFlag> flags) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write a list of some of ";
  for (const auto& flag : flags) {
    if (!key.right.ends_with(' ')) key.right += ", ";
    key.right += flag.name;
  }
  key.right += ", such as [" + std::string(flags.front().name) + "]";
  key.read = [flags](const TreeNode& node, std::string& wrong) {
    if (node.kind != TreeNode::Kind::sequence) return false;
    for (const auto& item : node.items) {
      if (item.is_scalar() && std::ranges::find(flags, item.text, &NamedFlag::name) != flags.end()) continue;
      wrong = shown(item.written) + " is none of them";
      return false;
    }
    for (const auto& flag : flags)
      *flag.value = std::ranges::find(node.items, flag.name, &TreeNode::text) != node.items.end();
    return true;
  };
  key.show = [flags] {
    std::string out;
    for (const auto& flag : flags) {
      if (*flag.value) out += (out.empty() ? "" : ", ") + std::string(flag.name);
    }
    return "[" + out + "]";
  };
  return key;
}

// A list of names; '*' may end each.
SettingsKey names_key(std::string path, std::vector<std::string>& names) {
  SettingsKey key;
  key.path = std::move(path);
  key.right = "write a list of names such as [token, x-amz-*], or [] for none; a '*' may stand at the end of each";
  key.read = [&names](const TreeNode& node, std::string& wrong) {
    if (node.kind != TreeNode::Kind::sequence) return false;
    std::vector<std::string> read;
    for (const auto& item : node.items) {
      if (!item.is_scalar() || !is_visible(item.text) || item.text.find('*') < item.text.size() - 1) {
        wrong = shown(item.written) + " is not a name";
        return false;
      }
      read.push_back(item.text);
    }
    names = std::move(read);
    return true;
  };
  key.show = [&names] {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
    return "[" + out + "]";
  };
  return key;
}

constexpr std::array<std::string_view, 2> log_formats{"human", "json"};
constexpr std::array<std::string_view, 2> trace_contexts{"pass", "make"};
constexpr std::array<std::string_view, 6> log_levels{"trace", "debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 3> transports{"tcp", "tls", "unix"};
constexpr std::array<std::string_view, 2> coherences{"bounded", "strict"};

void add_server_keys(std::vector<SettingsKey>& keys, Settings& settings) {
  keys.push_back(endpoint_key("listen", settings.listen));
  keys.push_back(count_key("workers", settings.workers, 0, 1024));
  keys.push_back(choice_key("log_level", settings.log_level, log_levels));
  keys.push_back(text_key("rules", settings.rules_file,
                          "write the path of a rules file, or \"\" for the built-in rules", has_no_control));
  keys.push_back(flag_key("trust_forwarded", settings.trust_forwarded));
  keys.push_back(flag_key("reload_on_change", settings.reload_on_change));
  keys.push_back(text_key("takeover", settings.takeover,
                          "write the path of a Unix socket, at most 100 bytes, or \"\" for none",
                          [](std::string_view t) { return has_no_control(t) && t.size() <= longest_socket_path; }));
  keys.push_back(duration_key("shutdown.deadline", settings.shutdown_deadline, milliseconds(0), day));
  keys.push_back(duration_key("shutdown.idle_grace", settings.shutdown_idle_grace, milliseconds(0), hour));
  keys.push_back(admin_key(settings.admin));
  // It must fit into an Authorization field (RFC 6750 §2.1).
  keys.push_back(text_key("admin.token", settings.admin_token,
                          "write a text without spaces, or \"\" for none (then the admin API refuses)",
                          [](std::string_view t) { return t.empty() || is_visible(t); }));
  keys.back().secret = true;
  keys.push_back(text_key("admin.metrics_token", settings.watch.metrics_token,
                          "write a text without spaces, or \"\" for none (then admin.token opens /metrics)",
                          [](std::string_view t) { return t.empty() || is_visible(t); }));
  keys.back().secret = true;
  keys.push_back(flag_key("admin.metrics_open", settings.watch.metrics_open));
  keys.push_back(duration_key("admin.sample_interval", settings.watch.sample_interval, milliseconds(100), hour));
}

void add_alert_keys(std::vector<SettingsKey>& keys, admin::WatchParameters& watch) {
  keys.push_back(webhook_key(watch.webhook));
  keys.push_back(text_key("alerts.webhook_token", watch.webhook.token, "write a text without spaces, or \"\" for none",
                          [](std::string_view t) { return t.empty() || is_visible(t); }));
  keys.back().secret = true;
  keys.push_back(duration_key("alerts.webhook_deadline", watch.webhook.deadline, milliseconds(10), hour));
  keys.push_back(count_key("alerts.webhook_tries", watch.webhook.tries, 1, 10));
  keys.push_back(duration_key("alerts.webhook_retry_first", watch.webhook.retry_first, milliseconds(1), hour));
  keys.push_back(alert_rules_key(watch.alerts));
}

void add_log_keys(std::vector<SettingsKey>& keys, Settings& settings) {
  auto& log = settings.log;
  keys.push_back(choice_key("log.format", log.format, log_formats));
  keys.push_back(log_file_key("log.file", log.file, Off::no));
  keys.push_back(count_key("log.queue", log.queue, 16, 1000000));
  keys.push_back(names_key("log.secret_parameters", settings.secret_parameters));
  auto& access = settings.access_log;
  keys.push_back(log_file_key("access_log.file", access.file, Off::is_zero));
  keys.push_back(choice_key("access_log.format", access.format, log_formats));
  keys.push_back(share_key("access_log.sample", access.sample_ppm));
  keys.push_back(flags_key("access_log.always", {{"errors", &access.always.errors},
                                                 {"client_errors", &access.always.client_errors},
                                                 {"slow", &access.always.slow},
                                                 {"misses", &access.always.misses},
                                                 {"writes", &access.always.writes}}));
  keys.push_back(duration_key("access_log.slow", access.slow, milliseconds(1), hour));
  keys.push_back(size_key("access_log.queue", access.queue, 64 * kib, gib));
  auto& trace = settings.trace;
  keys.push_back(text_key("request_id.field", trace.request_id_field,
                          "write the name of a field such as X-Request-Id, or \"\" for no request ids",
                          [](std::string_view t) { return t.empty() || http::is_token(t); }));
  keys.push_back(flag_key("request_id.accept", trace.accept_request_id));
  keys.push_back(flag_key("request_id.return", trace.return_request_id));
  keys.push_back(choice_key("traceparent", trace.make_traceparent, trace_contexts));
}

void add_client_keys(std::vector<SettingsKey>& keys, net::ClientLimits& client) {
  keys.push_back(size_key("client.head_size", client.head_size, kib, 16 * mib));
  keys.push_back(count_key("client.fields", client.fields, 10, 10000));
  keys.push_back(count_key("client.connections", client.connections, 1, 10000000));
  keys.push_back(size_key("client.buffers", client.buffers, 64 * kib, tib));
  keys.push_back(duration_key("client.header_timeout", client.header_timeout, milliseconds(100), hour));
  keys.push_back(duration_key("client.idle_timeout", client.idle_timeout, milliseconds(100), day));
  keys.push_back(duration_key("client.io_timeout", client.io_timeout, milliseconds(100), day));
  keys.push_back(size_key("client.body_rate", client.body_rate, 1, gib, Off::is_zero));
  keys.push_back(duration_key("client.body_rate_grace", client.body_rate_grace, milliseconds(0), hour));
  keys.push_back(duration_key("client.tunnel_idle_timeout", client.tunnel_idle_timeout, milliseconds(100), 30 * day));
  keys.push_back(duration_key("client.half_closed_timeout", client.half_closed_timeout, milliseconds(0), hour));
}

void add_origin_keys(std::vector<SettingsKey>& keys, net::OriginParameters& origin) {
  keys.push_back(servers_key(origin.servers));
  keys.push_back(size_key("origin.head_size", origin.head_size, kib, 16 * mib));
  keys.push_back(count_key("origin.fields", origin.fields, 10, 10000));
  keys.push_back(duration_key("origin.connect_timeout", origin.connect_timeout, milliseconds(1), hour));
  keys.push_back(duration_key("origin.read_timeout", origin.read_timeout, milliseconds(1), day));
  keys.push_back(duration_key("origin.idle_timeout", origin.idle_timeout, milliseconds(0), day));
  keys.push_back(count_key("origin.idle_connections", origin.idle_connections, 0, 100000));
  keys.push_back(count_key("origin.connections", origin.connections, 1, 100000));
  keys.push_back(count_key("origin.queue", origin.queue, 0, 1000000));
  keys.push_back(duration_key("origin.queue_timeout", origin.queue_timeout, milliseconds(0), hour));
  keys.push_back(duration_key("origin.failed_server_pause", origin.failed_server_pause, milliseconds(0), hour));
  keys.push_back(flag_key("origin.preserve_host", origin.preserve_host));
}

void add_cache_keys(std::vector<SettingsKey>& keys, Settings& settings) {
  keys.push_back(size_key("memory.capacity", settings.memory.capacity, 64 * kib, tib, Off::is_zero));
  keys.push_back(count_key("memory.max_variants", settings.memory.max_variants, 1, 10000));
  keys.push_back(size_key("memory.outside", settings.memory.outside, 64 * kib, tib));
  keys.push_back(size_key("cache.max_object", settings.cache.max_object, 1, gib));
  keys.push_back(size_key("cache.fill_budget", settings.cache.fill_budget, kib, tib));
  keys.push_back(duration_key("cache.unstorable_memory", settings.cache.unstorable_memory, milliseconds(0), day));
  keys.push_back(count_key("cache.verify_rate", settings.cache.verify_rate, 0, 1000000));
  keys.push_back(count_key("cache.verify_parallel", settings.cache.verify_parallel, 1, 10000));
  keys.push_back(text_key("cache.node_name", settings.cache.node_name,
                          "write a token: letters, digits and !#$%&'*+-.^_`|~, without spaces", http::is_token));
}

void add_value_keys(std::vector<SettingsKey>& keys, proxy::ValueParameters& values) {
  keys.push_back(size_key("kv.memory", values.memory, 64 * kib, tib, Off::is_zero));
  keys.push_back(size_key("kv.max_value", values.max_value, 1, 512 * mib));
  keys.push_back(size_key("kv.max_key", values.max_key, 1, 16 * kib));
  keys.push_back(count_key("kv.max_keys", values.max_keys, 1, 10000));
  keys.push_back(duration_key("kv.max_ttl", values.max_ttl, seconds(1), 3650 * day));
  keys.push_back(duration_key("kv.lease", values.lease, milliseconds(100), day));
  keys.push_back(duration_key("kv.max_lease", values.max_lease, milliseconds(100), day));
  keys.push_back(duration_key("kv.max_wait", values.max_wait, milliseconds(0), hour));
  keys.push_back(count_key("kv.max_leases", values.max_leases, 1, 10000000));
  // Below "cache:" its keys would be taken for stored responses.
  keys.push_back(text_key("kv.name", values.name, "write a text without spaces that does not begin with \"cache:\"",
                          [](std::string_view t) { return is_visible(t) && !t.starts_with("cache:"); }));
}

void add_redis_keys(std::vector<SettingsKey>& keys, proxy::RedisParameters& redis) {
  auto& connection = redis.connection;
  keys.push_back(redis_url_key(connection));
  keys.push_back(choice_key("redis.transport", connection.transport, transports));
  keys.push_back(text_key("redis.host", connection.host, "write a host name, an address or the path of a Unix socket",
                          is_visible));
  keys.push_back(count_key("redis.port", connection.port, 1, 65535));
  keys.push_back(
      text_key("redis.user", connection.user, "write an ACL user, or \"\" for the default user", has_no_control));
  keys.push_back(text_key("redis.password", connection.password, "write a text, or \"\" for none",
                          [](std::string_view) { return true; }));
  keys.back().secret = true;
  keys.push_back(count_key("redis.database", connection.database, 0, 65535));
  keys.push_back(text_key("redis.tls_ca_file", connection.tls_ca_file,
                          "write the path of a PEM file, or \"\" for the system's store", has_no_control));
  keys.push_back(flag_key("redis.tls_verify", connection.tls_verify));
  keys.push_back(duration_key("redis.connect_timeout", connection.connect_timeout, milliseconds(1), hour));
  keys.push_back(duration_key("redis.health_interval", connection.health_interval, milliseconds(100), day));
  keys.push_back(duration_key("redis.backoff_first", connection.backoff_first, milliseconds(1), hour));
  keys.push_back(duration_key("redis.backoff_max", connection.backoff_max, milliseconds(1), hour));
  keys.push_back(size_key("redis.max_queue_bytes", connection.max_queue_bytes, kib, tib));
  keys.push_back(count_key("redis.max_queue_commands", connection.max_queue_commands, 1, 100000000));
  keys.push_back(duration_key("redis.deadline", redis.deadline, milliseconds(1), milliseconds(60000)));
  keys.push_back(count_key("redis.tries", redis.tries, 1, 100));
  keys.push_back(duration_key("redis.retry_first", redis.retry_first, milliseconds(1), hour));
  keys.push_back(size_key("redis.write_budget", redis.write_budget, kib, tib));
  keys.push_back(size_key("redis.compress_threshold", redis.codec.compress_threshold, 1, gib, Off::is_zero));
  keys.push_back(count_key("redis.compress_level", redis.codec.compress_level, 1, 9));
  keys.push_back(size_key("redis.max_body", redis.codec.max_body, kib, gib));
  keys.push_back(choice_key("redis.coherence", redis.coherence, coherences));
  keys.push_back(duration_key("redis.coherence_bound", redis.coherence_bound, milliseconds(0), hour));
  keys.push_back(duration_key("redis.push_heartbeat", redis.push_heartbeat, milliseconds(10), hour));
  // Below "cache:" it would be taken for a stored response, and clear-all would delete it.
  keys.push_back(text_key("redis.namespace_key", redis.namespace_key,
                          "write a Redis key without spaces that does not begin with \"cache:\"",
                          [](std::string_view t) { return is_visible(t) && !t.starts_with("cache:"); }));
  keys.push_back(text_key("redis.journal", redis.journal, "write the path of a file, or \"\" for the default place",
                          has_no_control));
}

}  // namespace

std::vector<SettingsKey> settings_keys(Settings& settings, proxy::RedisParameters& redis) {
  std::vector<SettingsKey> keys;
  keys.reserve(128);
  add_server_keys(keys, settings);
  add_log_keys(keys, settings);
  add_client_keys(keys, settings.client);
  add_origin_keys(keys, settings.origin);
  add_cache_keys(keys, settings);
  add_value_keys(keys, settings.values);
  add_alert_keys(keys, settings.watch);
  add_redis_keys(keys, redis);
  return keys;
}

}  // namespace larder::config
