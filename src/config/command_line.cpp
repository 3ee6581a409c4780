#include "larder/config/command_line.hpp"

#include <CLI/CLI.hpp>
#include <vector>

namespace larder::config {
namespace {

void add_config_options(CLI::App& app, CommandLine& line) {
  app.add_option("--config", line.config, "Configuration file (conf/larder.yaml documents every key)")
      ->type_name("FILE");
  app.add_option("--rules", line.overrides.rules, "Rules file, instead of the one that the configuration names")
      ->type_name("FILE");
}

void add_serve_options(CLI::App& app, CommandLine& line) {
  auto& overrides = line.overrides;
  app.add_option("--listen", overrides.listen, "Where clients connect (default 127.0.0.1:8080)")
      ->type_name("HOST:PORT");
  app.add_option("--admin", overrides.admin, "Where the admin API listens (default 127.0.0.1:8081), or off")
      ->type_name("HOST:PORT|off");
  app.add_option("--origin", overrides.origins, "Origin server, http://HOST:PORT; may be given several times")
      ->type_name("URL")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  app.add_option("--redis", overrides.redis,
                 "redis://, rediss:// or unix:// URL, or off (default: REDIS_URL, REDIS_HOST)")
      ->type_name("URL|off");
  app.add_option("--workers", overrides.workers, "Threads that serve; 0 for one per core (default)")->type_name("N");
  app.add_option("--memory", overrides.memory, "Size of the memory tier (default 256MiB), or off")
      ->type_name("SIZE|off");
  app.add_option("--token", overrides.token, "Bearer token of the admin API; ${...} in the file keeps it out of `ps`")
      ->type_name("TOKEN");
}

void add_explain_options(CLI::App& app, ExplainArguments& arguments) {
  const auto many = [](CLI::Option* option, const char* type) {
    option->type_name(type)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
  };
  app.add_option("method", arguments.method, "GET, POST, …")->type_name("METHOD")->required();
  app.add_option("target", arguments.target, "Path and query, or a whole URI")->type_name("TARGET")->required();
  many(app.add_option("-H,--header", arguments.headers, "A field of the request; may be given several times"),
       "'NAME: VALUE'");
  app.add_option("--status", arguments.status, "Status of the response that the origin is supposed to give")
      ->type_name("CODE");
  many(app.add_option("--response-header", arguments.response_headers,
                      "A field of that response; may be given several times"),
       "'NAME: VALUE'");
  app.add_flag("--json", arguments.json, "Print JSON");
}

}  // namespace

CommandLine parse_command_line(std::span<const std::string> arguments) {
  using Command = CommandLine::Command;
  CommandLine line;
  CLI::App app("Larder: a caching reverse proxy for HTTP APIs", "larder");
  // Scripts put their options before the user's: the last one counts.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", std::string(), "Print the version and exit");
  auto* const serve = app.add_subcommand("serve", "Run the proxy");
  auto* const check = app.add_subcommand("check", "Check configuration and rules; print each fault with its line");
  auto* const explain = app.add_subcommand("explain", "Say what would become of a request, and why");
  add_config_options(*serve, line);
  add_serve_options(*serve, line);
  add_config_options(*check, line);
  check->get_option("--config")->required();
  auto* const suggest = app.add_subcommand("suggest",
                                           "Replay an access log against the rules: expected hit rates, "
                                           "what could be cached, which query parameters split keys");
  add_config_options(*suggest, line);
  suggest
      ->add_option("--access-log", line.access_log,
                   "Log in Combined Log Format or with a JSON object per line; - for the standard input (default)")
      ->type_name("FILE")
      ->default_val("-");
  add_config_options(*explain, line);
  add_explain_options(*explain, line.explain);
  try {
    // CLI11 takes them last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    if (serve->parsed()) {
      line.command = Command::serve;
    } else if (check->parsed()) {
      line.command = Command::check;
    } else if (explain->parsed()) {
      line.command = Command::explain;
      line.overrides.serves = false;
    } else if (suggest->parsed()) {
      line.command = Command::suggest;
      line.overrides.serves = false;
    } else {
      line.text = app.help();
    }
  } catch (const CLI::CallForHelp&) {
    line.text = app.help();
  } catch (const CLI::CallForVersion&) {
    line.command = Command::version;
  } catch (const CLI::ParseError& error) {
    line.command = Command::wrong;
    line.text = std::string("command line: ") + error.what() + "\nlarder --help lists what there is\n";
  }
  return line;
}

}  // namespace larder::config
