#include "larder/config/loader.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "larder/config/rules_reader.hpp"
#include "larder/config/settings_keys.hpp"
#include "larder/config/values.hpp"

namespace larder::config {
namespace {

constexpr std::size_t max_file = 4UL << 20;

std::string plural(std::size_t count, std::string_view word) {
  return std::to_string(count) + " " + std::string(word) + (count == 1 ? "" : "s");
}

// Files in the order in which they were first complained of, lines within a file in order.
void sort_by_place(std::vector<Fault>& faults) {
  std::map<std::string, std::size_t> order;
  for (const auto& fault : faults) order.try_emplace(fault.file, order.size());
  std::ranges::stable_sort(faults, {}, [&order](const Fault& f) { return std::pair(order.at(f.file), f.line); });
}

// Where a value came from, for faults that only show when all values are known.
struct Place {
  std::string file;
  int line = 0;
};

class Loader {
 public:
  Loader(const Overrides& overrides, const Environment& environment, const FileReader& files)
      : overrides_(overrides), environment_(environment), files_(files), keys_(settings_keys(settings_, redis_)) {}

  Loaded load(const std::optional<std::string>& config_path) {
    TreeNode root;
    if (config_path) root = read_settings_file(*config_path);
    const auto* redis_node = root.find("redis");
    const bool redis_on = is_redis_on(redis_node);
    if (redis_on) apply_redis_environment();
    if (root.kind == TreeNode::Kind::mapping) read_section(root, "");
    apply_overrides();
    if (redis_on) settings_.redis = redis_;
    // With a broken file half of the values are defaults: what they say together means nothing.
    if (loaded_.faults.empty()) check_together();
    load_rules(config_path);
    sort_by_place(loaded_.faults);
    sort_by_place(loaded_.warnings);
    if (loaded_.faults.empty()) loaded_.settings = std::move(settings_);
    return std::move(loaded_);
  }

 private:
  void fault(const Place& place, std::string wrong, std::string right) {
    loaded_.faults.push_back({place.file, place.line, std::move(wrong), std::move(right)});
  }

  TreeNode read_settings_file(const std::string& path) {
    file_ = path;
    std::string error;
    const auto text = files_(path, error);
    if (!text) {
      fault({path, 0}, "it cannot be read: " + error, "give a file that can, or leave --config away");
      return {};
    }
    auto root = read_document(*text, path, environment_, loaded_.faults);
    if (root && root->kind != TreeNode::Kind::mapping && root->kind != TreeNode::Kind::null) {
      fault({path, root->line}, "a configuration is a mapping", "write \"key: value\" on each line");
      return {};
    }
    return root ? std::move(*root) : TreeNode{};
  }

  [[nodiscard]] std::optional<std::string> variable(std::string_view name) const {
    auto value = environment_ ? environment_(name) : std::nullopt;
    if (value && value->empty()) value.reset();
    return value;
  }

  [[nodiscard]] bool is_redis_on(const TreeNode* node) const {
    if (overrides_.redis) return *overrides_.redis != "off";
    if (node != nullptr && node->is_off()) return false;
    if (node != nullptr && node->kind != TreeNode::Kind::null) return true;
    return variable("REDIS_URL").has_value() || variable("REDIS_HOST").has_value();
  }

  void apply_redis_environment() {
    if (const auto url = variable("REDIS_URL")) {
      apply("redis.url", scalar_node(*url), {"environment: REDIS_URL", 0});
      return;
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> names{{{"REDIS_HOST", "redis.host"},
                                                                                  {"REDIS_PORT", "redis.port"},
                                                                                  {"REDIS_USER", "redis.user"},
                                                                                  {"REDIS_PASSWORD", "redis.password"},
                                                                                  {"REDIS_DB", "redis.database"}}};
    for (const auto& [name, path] : names) {
      if (const auto value = variable(name)) apply(path, scalar_node(*value), {"environment: " + std::string(name), 0});
    }
  }

  void apply_overrides() {
    const auto one = [this](std::string_view path, std::string_view option, const std::optional<std::string>& value) {
      if (value) apply(path, scalar_node(*value), {"command line: " + std::string(option), 0});
    };
    one("listen", "--listen", overrides_.listen);
    one("admin.listen", "--admin", overrides_.admin);
    one("admin.token", "--token", overrides_.token);
    one("workers", "--workers", overrides_.workers);
    one("memory.capacity", "--memory", overrides_.memory);
    one("rules", "--rules", overrides_.rules);
    if (overrides_.redis && *overrides_.redis != "off") one("redis.url", "--redis", overrides_.redis);
    if (!overrides_.origins.empty()) {
      TreeNode servers;
      servers.kind = TreeNode::Kind::sequence;
      for (const auto& origin : overrides_.origins) servers.items.push_back(scalar_node(origin));
      apply("origin.servers", servers, {"command line: --origin", 0});
    }
  }

  const SettingsKey* find_key(std::string_view path) const {
    const auto found = std::ranges::find(keys_, path, &SettingsKey::path);
    return found == keys_.end() ? nullptr : &*found;
  }

  // Checks one value and puts it in its place.
  void apply(std::string_view path, const TreeNode& node, Place place) {
    if (node.broken || std::ranges::any_of(node.items, &TreeNode::broken)) return;
    const auto& key = *find_key(path);
    if (key.read_lines) {
      key.read_lines(node, place.file, loaded_.faults);
      places_[key.path] = std::move(place);
      return;
    }
    std::string wrong;
    if (key.read(node, wrong)) {
      places_[key.path] = std::move(place);
      return;
    }
    if (wrong.empty()) {
      std::string value = "this";
      if (node.kind == TreeNode::Kind::null) value = "nothing";
      if (node.kind == TreeNode::Kind::sequence) value = "a list";
      if (node.kind == TreeNode::Kind::mapping) value = "a mapping";
      if (node.is_scalar() && !key.secret) value = shown(node.written);
      wrong = value + " is not a right value";
    }
    fault(place, key.path + ": " + wrong, key.right);
  }

  // Names that may stand below `prefix`, each once.
  [[nodiscard]] std::vector<std::string_view> names_below(std::string_view prefix) const {
    std::vector<std::string_view> names;
    const auto add = [&names](std::string_view name) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    };
    for (const auto& key : keys_) {
      std::string_view path = key.path;
      if (!path.starts_with(prefix)) continue;
      path.remove_prefix(prefix.size());
      add(path.substr(0, path.find('.')));
    }
    return names;
  }

  // The keys of a mapping. `prefix` is "" or "client."; settings of a URL come first, so that keys beside it win.
  void read_section(const TreeNode& mapping, const std::string& prefix) {
    const auto names = names_below(prefix);
    if (const auto* url = mapping.find("url"); url != nullptr && find_key(prefix + "url") != nullptr) {
      apply(prefix + "url", *url, {file_, url->line});
    }
    for (std::size_t i = 0; i < mapping.keys.size(); ++i) {
      const auto& name = mapping.keys[i];
      const auto& value = mapping.items[i];
      const auto path = prefix + name.text;
      if (std::ranges::find(names, name.text) == names.end()) {
        const std::string where = prefix.empty() ? "" : " in " + prefix.substr(0, prefix.size() - 1);
        fault({file_, name.line}, "there is no key " + shown(name.text) + where, known_words(name.text, names));
      } else if (find_key(path) == nullptr) {
        read_subsection(value, path);
      } else if (name.text != "url") {
        apply(path, value, {file_, value.line});
      }
    }
  }

  void read_subsection(const TreeNode& node, const std::string& path) {
    if (node.broken || node.kind == TreeNode::Kind::null) return;
    if (node.kind == TreeNode::Kind::mapping) {
      read_section(node, path + ".");
    } else if (node.is_off() && path == "memory") {
      settings_.memory.capacity = 0;
    } else if (node.is_off() && path == "kv") {
      settings_.values.memory = 0;
    } else if (node.is_off() && path == "admin") {
      settings_.admin.reset();
    } else if (node.is_off() && path == "access_log") {
      settings_.access_log.file.clear();
    } else if (path != "redis" || !(node.is_off() || node.text == "on" || node.text == "true")) {
      const bool has_off =
          path == "memory" || path == "admin" || path == "redis" || path == "access_log" || path == "kv";
      fault({file_, node.line}, path + ": this is not a mapping",
            "write its keys below it, indented" + std::string(has_off ? ", or off" : ""));
    }
  }

  [[nodiscard]] Place place_of(const std::string& path) const {
    const auto found = places_.find(path);
    return found != places_.end() ? found->second : Place{file_.empty() ? "command line" : file_, 0};
  }

  // What only shows when all values are known.
  void check_together() {
    if (settings_.origin.servers.empty() && overrides_.serves) {
      fault(place_of("origin.servers"), "no origin server is given",
            "write origin: { servers: [http://HOST:PORT] }, or --origin http://HOST:PORT");
    }
    if (settings_.admin && settings_.listen.port != 0 && settings_.admin->port == settings_.listen.port &&
        settings_.admin->host == settings_.listen.host) {
      fault(place_of("admin.listen"), "admin.listen is the same as listen", "give the admin API its own port, or off");
    }
    for (const auto& alert : settings_.watch.alerts) {
      const auto reach = settings_.watch.sample_interval * admin::kept_samples;
      const bool looks_back = admin::kind_of(alert.measure) != admin::MeasureKind::state;
      if (!looks_back || (alert.window >= settings_.watch.sample_interval && alert.window <= reach)) continue;
      fault(place_of("alerts.rules"),
            "the window of the alert " + shown(alert.name) + " does not fit admin.sample_interval",
            "make it from " + show_duration(settings_.watch.sample_interval) + " to " + show_duration(reach) +
                ", or change the interval");
    }
    if (!settings_.watch.metrics_token.empty() && settings_.watch.metrics_token == settings_.admin_token) {
      const auto place = place_of("admin.metrics_token");
      loaded_.warnings.push_back({place.file, place.line, "admin.metrics_token is the same as admin.token",
                                  "leave it away, or give scrapers a token that may do no more than read metrics"});
    }
    if (settings_.cache.fill_budget < settings_.cache.max_object) {
      fault(place_of("cache.fill_budget"), "cache.fill_budget is smaller than cache.max_object",
            "make it " + show_size(settings_.cache.max_object) + " at least");
    }
    if (settings_.memory.outside / 4 < settings_.cache.max_object) {
      fault(place_of("memory.outside"), "memory.outside is smaller than four times cache.max_object",
            "make it " + show_size(4 * settings_.cache.max_object) + " at least: what is being stored counts as well");
    }
    if (settings_.client.buffers < settings_.client.head_size) {
      fault(place_of("client.buffers"), "client.buffers is smaller than client.head_size",
            "make it some times " + show_size(settings_.client.head_size) + ": it is for all clients together");
    }
    const auto& values = settings_.values;
    if (values.memory != 0 && values.max_value > values.memory / 8) {
      fault(place_of("kv.max_value"), "kv.max_value is more than an eighth of kv.memory",
            "make it " + show_size(values.memory / 8) + " at most, or kv.memory larger");
    }
    if (values.max_lease < values.lease) {
      fault(place_of("kv.max_lease"), "kv.max_lease is less than kv.lease",
            "make it " + show_duration(values.lease) + " at least");
    }
    if (settings_.redis) {
      const auto& redis = *settings_.redis;
      if (redis.namespace_key == values.name + "-log") {
        fault(place_of("redis.namespace_key"), "redis.namespace_key is the purge log of the key-value store (kv.name)",
              "give it another name");
      }
      if (redis.codec.max_body < settings_.cache.max_object) {
        fault(place_of("redis.max_body"), "redis.max_body is smaller than cache.max_object",
              "make it " + show_size(settings_.cache.max_object) + " at least");
      }
      if (redis.connection.backoff_max < redis.connection.backoff_first) {
        fault(place_of("redis.backoff_max"), "redis.backoff_max is less than redis.backoff_first",
              "make it " + show_duration(redis.connection.backoff_first) + " at least");
      }
    } else if (settings_.memory.capacity == 0) {
      const auto place = place_of("memory.capacity");
      loaded_.warnings.push_back({place.file, place.line, "memory and Redis are both off, so nothing is ever stored",
                                  "give memory a capacity or Redis a URL"});
    }
  }

  std::optional<policy::Seconds> default_ttl() {
    const auto text = variable("REDIS_CACHE_TTL");
    if (!text) return std::nullopt;
    const auto duration = parse_duration(*text);
    if (duration) {
      const auto value = std::chrono::duration_cast<policy::Seconds>(*duration);
      if (value == *duration && value.count() <= std::numeric_limits<std::int32_t>::max()) return value;
    }
    fault({"environment: REDIS_CACHE_TTL", 0}, shown(*text) + " is not a duration in whole seconds",
          "write one such as 300");
    return std::nullopt;
  }

  void load_rules(const std::optional<std::string>& config_path) {
    const auto ttl = default_ttl();
    if (settings_.rules_file.empty()) {
      settings_.rules = built_in_rules(ttl);
      return;
    }
    // A path in the file is meant from where the file is.
    if (!overrides_.rules && config_path) {
      const std::filesystem::path base = std::filesystem::path(*config_path).parent_path();
      settings_.rules_file = (base / settings_.rules_file).string();
    }
    std::string error;
    const auto text = files_(settings_.rules_file, error);
    if (!text) {
      fault(place_of("rules"), "the rules file " + shown(settings_.rules_file) + " cannot be read: " + error,
            "give one that can; a path in a file is meant from that file's folder");
      return;
    }
    settings_.rules =
        read_rules(*text, settings_.rules_file, environment_, files_, ttl, loaded_.faults, loaded_.warnings);
  }

  const Overrides& overrides_;
  const Environment& environment_;
  const FileReader& files_;
  std::string file_;  // empty without one
  Settings settings_;
  proxy::RedisParameters redis_;
  std::vector<SettingsKey> keys_;  // bound to settings_ and redis_
  std::map<std::string, Place> places_;
  Loaded loaded_;
};

}  // namespace

std::optional<std::string> read_file(const std::string& path, std::string& error) {
  std::error_code code;
  const auto status = std::filesystem::status(path, code);
  if (std::filesystem::is_directory(status)) code = std::make_error_code(std::errc::is_a_directory);
  if (!std::filesystem::exists(status) && !code) code = std::make_error_code(std::errc::no_such_file_or_directory);
  if (code) {
    error = code.message();
    return std::nullopt;
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text(max_file + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad() || !(stream.eof() || stream.good())) {
    error = "no permission, or it is no file";
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > max_file) {
    error = "it is larger than 4 MiB";
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> process_environment(std::string_view name) {
  const char* const value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

Loaded load(const std::optional<std::string>& config_path, const Overrides& overrides, const Environment& environment,
            const FileReader& files) {
  return Loader(overrides, environment, files).load(config_path);
}

std::string report(const Loaded& loaded) {
  std::string out;
  for (const auto& fault : loaded.faults) out += format(fault) + "\n";
  for (const auto& warning : loaded.warnings) out += "warning: " + format(warning) + "\n";
  if (!loaded.settings) return out;
  for (const auto& failure : loaded.failed_tests) out += format(failure) + "\n";
  const auto& rules = *loaded.settings->rules;
  if (loaded.failed_tests.empty()) {
    out += "ok: " + plural(rules.types.size(), "type") + ", " + plural(rules.routes.size(), "route");
    if (!rules.tests.empty()) out += ", " + plural(rules.tests.size(), "test");
    const auto& warm = rules.warming.tasks;
    if (!warm.empty()) out += ", " + plural(warm.size(), "warm task");
    out += "\n";
  }
  return out;
}

}  // namespace larder::config
