#include "larder/config/settings.hpp"

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

}  // namespace larder::config
