// Every reader below reports what is wrong and goes on, so that one run shows all faults of a file. A node that is
// `broken` was reported already and is passed over in silence.
#include "larder/config/rules_reader.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "larder/config/namespaces_reader.hpp"
#include "larder/config/node_reader.hpp"
#include "larder/config/rule_tests.hpp"
#include "larder/config/values.hpp"
#include "larder/config/warm_reader.hpp"
#include "larder/http/message.hpp"
#include "larder/http/target.hpp"
#include "larder/http/token.hpp"
#include "larder/policy/cache_key.hpp"

namespace larder::config {
namespace {

using policy::PathPattern;
using policy::Seconds;
using policy::SelectorKind;
using policy::Template;

constexpr auto none = std::string_view::npos;

constexpr std::array<std::string_view, 15> top_keys{
    "mode",           "verify",          "compared_fields",   "failed_writes", "defaults",
    "types",          "routes",          "client_directives", "set_cookie",    "s_maxage",
    "no_vary_search", "targeted_fields", "namespaces",        "tests",         "warm"};
constexpr std::array<std::string_view, 3> default_keys{"ttl", "stale_while_revalidate", "stale_if_error"};
constexpr std::array<std::string_view, 4> type_keys{"ttl", "stale_while_revalidate", "stale_if_error", "priority"};
constexpr std::array<std::string_view, 2> verify_keys{"share", "credentials"};
constexpr std::array<std::string_view, 16> route_keys{
    "mode",           "verify", "match", "cache",        "key",    "host",          "query",
    "identity",       "tags",   "ttl",   "ttl_override", "status", "store_despite", "stale_while_revalidate",
    "stale_if_error", "purge"};
constexpr std::array<std::string_view, 2> match_keys{"methods", "path"};
constexpr std::array<std::string_view, 3> query_keys{"only", "ignore", "sort"};
constexpr std::array<std::string_view, 6> purge_keys{"key", "glob", "type", "tag", "path", "all"};
constexpr std::array<std::string_view, 4> despite_names{"no-store", "private", "set-cookie", "authorization"};
// The registered methods (RFC 9110 §16.1) but for CONNECT, which no reverse proxy is sent, and PRI, which is none.
constexpr std::array<std::string_view, 38> methods{"GET",
                                                   "HEAD",
                                                   "POST",
                                                   "PUT",
                                                   "PATCH",
                                                   "DELETE",
                                                   "OPTIONS",
                                                   "TRACE",
                                                   "QUERY",
                                                   "ACL",
                                                   "BASELINE-CONTROL",
                                                   "BIND",
                                                   "CHECKIN",
                                                   "CHECKOUT",
                                                   "COPY",
                                                   "LABEL",
                                                   "LINK",
                                                   "LOCK",
                                                   "MERGE",
                                                   "MKACTIVITY",
                                                   "MKCALENDAR",
                                                   "MKCOL",
                                                   "MKREDIRECTREF",
                                                   "MKWORKSPACE",
                                                   "MOVE",
                                                   "ORDERPATCH",
                                                   "PROPFIND",
                                                   "PROPPATCH",
                                                   "REBIND",
                                                   "REPORT",
                                                   "SEARCH",
                                                   "UNBIND",
                                                   "UNCHECKOUT",
                                                   "UNLINK",
                                                   "UNLOCK",
                                                   "UPDATE",
                                                   "UPDATEREDIRECTREF",
                                                   "VERSION-CONTROL"};

bool is_word(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string_view trimmed(std::string_view text) noexcept { return http::trim_ows(text); }

// A template's text with each variable as a plain letter: what is left is checked as literal text.
std::string without_variables(const Template& text) {
  std::string out;
  for (const auto& part : text.parts()) out += part.kind == Template::Part::Kind::literal ? part.text : "x";
  return out;
}

class RulesReader : private NodeReader {
 public:
  /// What is read from other files is appended to `read_besides`.
  RulesReader(const std::string& file, std::optional<Seconds> default_ttl, const FileReader& files,
              std::vector<Fault>& faults, std::vector<Fault>& warnings, std::string& read_besides)
      : NodeReader(file, faults), files_(files), warnings_(warnings), read_besides_(read_besides) {
    defaults_.ttl = default_ttl;
  }

  policy::RuleSet read(const TreeNode& root) {
    if (root.kind == TreeNode::Kind::null) return std::move(rules_);
    if (root.kind != TreeNode::Kind::mapping) {
      fault(root, "a rules file is a mapping", "begin with types: and routes:");
      return std::move(rules_);
    }
    check_keys(root, "", top_keys);
    if (const auto* node = usable(root.find("defaults"))) read_defaults(*node);
    if (const auto* node = usable(root.find("types"))) read_types(*node);
    read_switch(root, "client_directives", {"ignore", "honour"}, rules_.honour_client_directives);
    read_switch(root, "set_cookie", {"refuse", "explicit"}, may_store_explicit_set_cookie_);
    read_switch(root, "failed_writes", {"rfc", "purge"}, rules_.failed_writes_purge);
    read_switch(root, "s_maxage", {"forbids_stale", "allows_stale"}, s_maxage_allows_stale_);
    read_switch(root, "no_vary_search", {"ignore", "honour"}, rules_.honour_no_vary_search);
    read_switch(root, "targeted_fields", {"remove", "forward"}, rules_.forward_targeted_fields);
    read_mode(root, is_shadow_);
    if (const auto* node = usable(root.find("verify"))) read_verify(*node, verify_ppm_, verify_credentials_);
    if (const auto* node = usable(root.find("compared_fields"))) read_compared_fields(*node);
    if (const auto* node = usable(root.find("routes"))) read_routes(*node);
    if (const auto* node = usable(root.find("namespaces"))) {
      rules_.namespaces = read_namespaces(*node, file(), all_faults());
    }
    if (const auto* node = usable(root.find("tests"))) {
      read_rule_tests(*node, file(), type_names(), all_faults(), rules_.tests);
    }
    if (const auto* node = usable(root.find("warm"))) {
      read_warming(*node, file(), files_, all_faults(), rules_, read_besides_);
    }
    warn_of_hidden_routes();
    return std::move(rules_);
  }

 private:
  // `off` means: none, whatever the defaults say.
  void read_lifetime(const TreeNode& mapping, std::string_view key, const std::string& where,
                     std::optional<Seconds>& value) {
    const auto* node = usable(mapping.find(key));
    if (node == nullptr) return;
    if (node->is_off()) {
      value.reset();
    } else if (const auto seconds = read_seconds(*node, where + "." + std::string(key))) {
      value = seconds;
    }
  }

  void read_defaults(const TreeNode& node) {
    if (!expect_mapping(node, "defaults", "write { ttl: 5m }")) return;
    check_keys(node, "defaults", default_keys);
    read_lifetime(node, "ttl", "defaults", defaults_.ttl);
    read_lifetime(node, "stale_while_revalidate", "defaults", defaults_.stale_while_revalidate);
    read_lifetime(node, "stale_if_error", "defaults", defaults_.stale_if_error);
  }

  void read_types(const TreeNode& node) {
    if (node.kind == TreeNode::Kind::null) return;
    if (!expect_mapping(node, "types", "write each type as NAME: { ttl: 5m }")) return;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const auto& key = node.keys[i];
      const auto& body = node.items[i];
      if (!is_word(key.text) || key.text == "off" || key.text == "false") {
        fault(key.line, shown(key.text) + " cannot be the name of a type",
              "use 1 to 64 letters, digits, '-', '_' and '.'; \"off\" has its own meaning");
        continue;
      }
      policy::Type type = defaults_;
      type.name = key.text;
      if (!body.broken && body.kind != TreeNode::Kind::null) read_type(body, "types." + key.text, type);
      rules_.types.push_back(std::make_shared<const policy::Type>(std::move(type)));
    }
  }

  void read_type(const TreeNode& node, const std::string& where, policy::Type& type) {
    if (!expect_mapping(node, where, "write { ttl: 5m }")) return;
    check_keys(node, where, type_keys);
    read_lifetime(node, "ttl", where, type.ttl);
    read_lifetime(node, "stale_while_revalidate", where, type.stale_while_revalidate);
    read_lifetime(node, "stale_if_error", where, type.stale_if_error);
    if (const auto* priority = usable(node.find("priority"))) {
      constexpr std::array<std::string_view, 3> names{"low", "normal", "high"};
      const auto found = std::ranges::find(names, std::string_view(priority->text));
      if (found == names.end()) {
        fault(*priority, where + ".priority: " + written(*priority) + " is not a priority",
              known_words(priority->text, names));
      } else {
        type.priority = static_cast<policy::Priority>(found - names.begin());
      }
    }
  }

  // A key with two words; the second one means true.
  void read_switch(const TreeNode& root, const std::string& key, const std::array<std::string_view, 2>& words,
                   bool& value) {
    const auto* node = usable(root.find(key));
    if (node == nullptr) return;
    if (node->text == words[0] || node->text == words[1]) {
      value = node->text == words[1];
      return;
    }
    fault(*node, key + ": " + written(*node) + " is neither " + std::string(words[1]) + " nor " + std::string(words[0]),
          known_words(node->text, words));
  }

  void read_mode(const TreeNode& mapping, bool& is_shadow) {
    read_switch(mapping, "mode", {"serve", "shadow"}, is_shadow);
  }

  // 1%, off, or { share: 1%, credentials: true }
  void read_verify(const TreeNode& node, std::uint32_t& ppm, bool& credentials) {
    if (node.is_off()) {
      ppm = 0;
      return;
    }
    const auto* share = &node;
    if (node.kind == TreeNode::Kind::mapping) {
      check_keys(node, "verify", verify_keys);
      share = node.find("share");
      if (share == nullptr) {
        fault(node, "verify: it has no share", "write { share: 1%, credentials: true }");
        return;
      }
      if (const auto* flag = usable(node.find("credentials"))) {
        credentials = read_flag(*flag, "verify.credentials").value_or(false);
      }
    }
    if (share->broken) return;
    const auto value = share->is_scalar() ? parse_share(share->text) : std::nullopt;
    if (value) {
      ppm = *value;
    } else {
      fault(*share, "verify: " + written(*share) + " is not a share", "write a percentage such as 1% or 0.01%, or off");
    }
  }

  void read_compared_fields(const TreeNode& node) {
    rules_.compared_fields.clear();
    for (const auto* name : texts(node, "compared_fields")) {
      if (http::is_token(name->text)) {
        rules_.compared_fields.push_back(name->text);
      } else {
        fault(*name, "compared_fields: " + written(*name) + " is not the name of a field",
              "write names such as Content-Type, or [] for none");
      }
    }
  }

  void read_routes(const TreeNode& node) {
    if (node.kind == TreeNode::Kind::null) return;
    if (node.kind != TreeNode::Kind::sequence) {
      fault(node, "routes is not a list", "begin each route with \"- match: GET /path\"");
      return;
    }
    for (const auto& item : node.items) {
      if (item.broken) continue;
      if (item.kind != TreeNode::Kind::mapping) {
        fault(item, "a route is not a mapping", "begin each route with \"- match: GET /path\"");
        continue;
      }
      read_route(item);
    }
  }

  void read_route(const TreeNode& node) {
    const bool keys_known = check_keys(node, "a route", route_keys);
    policy::Route route;
    route.file = file();
    route.line = node.line;
    if (!read_match(node, route)) return;
    captures_ = route.path.capture_names();

    if (const auto* identity = usable(node.find("identity"))) read_identity(*identity, route);
    has_identity_ = node.find("identity") != nullptr;
    const bool caches = read_cache(node, route);
    if (caches) {
      route.is_shadow = is_shadow_;
      route.verify_ppm = verify_ppm_;
      route.verify_credentials = verify_credentials_;
      read_mode(node, route.is_shadow);
      if (const auto* verify = usable(node.find("verify"))) {
        read_verify(*verify, route.verify_ppm, route.verify_credentials);
      }
      read_storing(node, route);
      if (const auto* query = usable(node.find("query"))) read_query(*query, route.query);
      if (const auto* key = usable(node.find("key"))) route.key = read_template(*key, "key");
      if (const auto* host = usable(node.find("host"))) {
        if (const auto flag = read_flag(*host, "host")) route.key_has_host = *flag;
      }
      if (const auto* tags = usable(node.find("tags"))) {
        for (const auto* tag : texts(*tags, "tags")) {
          if (auto parsed = read_template(*tag, "tags")) route.tags.push_back(std::move(*parsed));
        }
      }
    } else {
      refuse_cache_keys(node, route);
    }
    if (const auto* purge = usable(node.find("purge"))) read_purges(*purge, route);
    // A misspelt key may be the one that is missing.
    if (keys_known && node.find("cache") == nullptr && node.find("purge") == nullptr) {
      fault(node, "this route neither caches nor purges", "give it cache: TYPE, cache: off or purge: [...]");
    }
    rules_.routes.push_back(std::move(route));
  }

  // False where without it nothing more can be said of the route.
  bool read_match(const TreeNode& route_node, policy::Route& route) {
    constexpr std::string_view right = "write match: GET /path, match: [PUT, DELETE] /path or match: \"* /path\"";
    const auto* node = route_node.find("match");
    if (node == nullptr) {
      fault(route_node, "this route has no match", std::string(right));
      return false;
    }
    if (node->broken) return false;
    std::vector<std::string> names;
    std::string path;
    if (node->kind == TreeNode::Kind::mapping) {
      check_keys(*node, "match", match_keys);
      const auto* method_node = usable(node->find("methods"));
      const auto* path_node = usable(node->find("path"));
      if (method_node == nullptr || path_node == nullptr || !path_node->is_scalar()) {
        fault(*node, "match: it needs methods and a path", "write { methods: [GET], path: /path }");
        return false;
      }
      for (const auto* name : texts(*method_node, "match.methods")) names.push_back(name->text);
      path = path_node->text;
    } else if (node->is_scalar()) {
      split_match(node->text, names, path);
    }
    if (names.empty() || path.empty()) {
      fault(*node, "match: " + written(*node) + " is not a method and a path", std::string(right));
      return false;
    }
    bool is_good = true;
    for (auto& name : names) is_good = read_method(*node, name, route) && is_good;
    std::string error;
    auto pattern = PathPattern::parse(path, error);
    if (!pattern) {
      fault(*node, "match: " + shown(path) + " is not a path pattern", error);
      return false;
    }
    route.path = std::move(*pattern);
    std::string text;
    for (const auto& name : route.methods) text += (text.empty() ? "" : "|") + name;
    route.match_text = text + " " + path;
    return is_good;
  }

  // "[A, B] /path" and "A|B /path".
  static void split_match(std::string_view text, std::vector<std::string>& names, std::string& path) {
    text = trimmed(text);
    char separator = '|';
    std::string_view list;
    if (text.starts_with('[')) {
      const auto close = text.find(']');
      if (close == none) return;
      separator = ',';
      list = text.substr(1, close - 1);
      text.remove_prefix(close + 1);
    } else {
      list = text.substr(0, text.find_first_of(" \t"));
      text.remove_prefix(list.size());
    }
    path = trimmed(text);
    while (true) {
      const auto end = list.find(separator);
      names.emplace_back(trimmed(list.substr(0, end)));
      if (end == none) return;
      list.remove_prefix(end + 1);
    }
  }

  bool read_method(const TreeNode& node, const std::string& name, policy::Route& route) {
    if (std::ranges::find(route.methods, name) != route.methods.end()) {
      fault(node, "match: the method " + shown(name) + " comes twice", "name it once");
      return false;
    }
    if (name != "*" && std::ranges::find(methods, name) == methods.end()) {
      const auto near = nearest(name, methods);
      fault(node, "match: " + shown(name) + " is not a known method",
            near.empty() ? "write one such as GET or POST (methods are upper case), or * for any"
                         : "did you mean " + std::string(near) + "?");
      return false;
    }
    route.methods.push_back(name);
    return true;
  }

  bool read_cache(const TreeNode& route_node, policy::Route& route) {
    const auto* node = usable(route_node.find("cache"));
    if (node == nullptr) return false;
    if (node->is_off()) {
      route.cache_off = true;
      return false;
    }
    const auto found = std::ranges::find_if(rules_.types, [node](const auto& t) { return t->name == node->text; });
    if (!node->is_scalar() || found == rules_.types.end()) {
      fault(*node, "cache: there is no type " + written(*node), known_words(node->text, type_names()) + "; or off");
      return false;
    }
    const auto stores = [](const std::string& m) { return m == "GET" || m == "HEAD" || m == "*"; };
    if (std::ranges::none_of(route.methods, stores)) {
      fault(*node, "cache: only answers to GET and HEAD are stored", "match GET, or leave cache: away");
    }
    route.type = *found;
    return true;
  }

  [[nodiscard]] std::vector<std::string_view> type_names() const {
    std::vector<std::string_view> names;
    for (const auto& type : rules_.types) names.push_back(type->name);
    return names;
  }

  void refuse_cache_keys(const TreeNode& node, const policy::Route& route) {
    // A wrong type was reported; these would only be echoes of it.
    if (node.find("cache") != nullptr && !route.cache_off) return;
    for (const auto& key : node.keys) {
      const bool is_ours = key.text == "match" || key.text == "cache" || key.text == "purge";
      // Selectors of purges may name the {identity}.
      const bool serves_purge = key.text == "identity" && node.find("purge") != nullptr;
      const bool is_known = std::ranges::find(route_keys, key.text) != route_keys.end();
      if (is_ours || serves_purge || !is_known) continue;
      fault(key.line, key.text + ": it has no effect on a route that does not cache",
            "add cache: TYPE, or leave it away");
    }
  }

  void read_storing(const TreeNode& node, policy::Route& route) {
    auto& store = route.store;
    store.ttl = route.type->ttl;
    store.stale_while_revalidate = route.type->stale_while_revalidate;
    store.stale_if_error = route.type->stale_if_error;
    store.per_identity = route.identity.has_value();
    store.honour_client_directives = rules_.honour_client_directives;
    store.store_explicit_set_cookie = may_store_explicit_set_cookie_;
    store.s_maxage_allows_stale = s_maxage_allows_stale_;
    const auto reported = fault_count();
    read_lifetime(node, "ttl", "this route", store.ttl);
    const bool is_ttl_known = fault_count() == reported;
    read_lifetime(node, "stale_while_revalidate", "this route", store.stale_while_revalidate);
    read_lifetime(node, "stale_if_error", "this route", store.stale_if_error);
    if (const auto* override_node = usable(node.find("ttl_override"))) {
      store.ttl_override = read_flag(*override_node, "ttl_override").value_or(false);
      if (store.ttl_override && !store.ttl && is_ttl_known) {
        fault(*override_node, "ttl_override: there is no ttl that could win",
              "give a ttl to the route, its type or the defaults");
      }
    }
    if (const auto* status = usable(node.find("status"))) read_status(*status, store);
    if (const auto* despite = usable(node.find("store_despite"))) {
      for (const auto* name : texts(*despite, "store_despite")) {
        const std::string_view text = name->text;
        if (text == "no-store") {
          store.store_despite_no_store = true;
        } else if (text == "private") {
          store.store_despite_private = true;
        } else if (text == "set-cookie") {
          store.store_despite_set_cookie = true;
        } else if (text == "authorization") {
          store.store_despite_authorization = true;
        } else {
          fault(*name, "store_despite: " + written(*name) + " is not a known reason against storing",
                known_words(text, despite_names));
        }
      }
    }
  }

  void read_status(const TreeNode& node, policy::StoreRule& store) {
    if (!expect_mapping(node, "status", "write { 404: 30s }")) return;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const auto& key = node.keys[i];
      const auto code = parse_count(key.text);
      if (!code || *code < 200 || *code > 599 || *code == 206 || *code == 304) {
        fault(key.line, "status: " + shown(key.text) + " is not the code of an answer that can be stored whole",
              "write a final status code from 200 to 599, but not 206 or 304");
        continue;
      }
      if (node.items[i].broken) continue;
      if (const auto seconds = read_seconds(node.items[i], "status." + key.text)) {
        store.status_ttl[static_cast<int>(*code)] = *seconds;
      }
    }
  }

  void read_identity(const TreeNode& node, policy::Route& route) {
    const std::string_view text = node.text;
    const auto colon = text.find(':');
    const auto source = text.substr(0, colon);
    const auto name = colon == none ? std::string_view{} : trimmed(text.substr(colon + 1));
    if (!node.is_scalar() || (source != "header" && source != "cookie") || !http::is_token(name)) {
      fault(node, "identity: " + written(node) + " is not a header or a cookie",
            "write header:Authorization or cookie:NAME");
      return;
    }
    route.identity = policy::IdentityRule{
        source == "header" ? policy::IdentityRule::Source::header : policy::IdentityRule::Source::cookie,
        std::string(name)};
  }

  void read_query(const TreeNode& node, policy::QueryRule& rule) {
    if (!expect_mapping(node, "query", "write { only: [q, page], sort: true } or { ignore: [utm_*] }")) return;
    check_keys(node, "query", query_keys);
    const auto* only = usable(node.find("only"));
    const auto* ignore = usable(node.find("ignore"));
    if (only != nullptr && ignore != nullptr) {
      fault(node, "query: only and ignore stand together", "keep one: only lists what counts, ignore what does not");
    }
    const auto* names = only != nullptr ? only : ignore;
    if (names != nullptr) {
      rule.filter = only != nullptr ? policy::QueryRule::Filter::only : policy::QueryRule::Filter::ignore;
      const std::string where = only != nullptr ? "query.only" : "query.ignore";
      for (const auto* name : texts(*names, where)) {
        if (name->text.empty() || name->text.find('*') < name->text.size() - 1) {
          fault(*name, where + ": " + written(*name) + " is not the name of a parameter",
                "write a name as it is when decoded; a '*' may stand at its end");
          continue;
        }
        rule.names.push_back(name->text);
      }
    }
    if (const auto* sort = usable(node.find("sort"))) {
      rule.sort = read_flag(*sort, "query.sort").value_or(false);
    }
  }

  std::optional<Template> read_template(const TreeNode& node, const std::string& where) {
    if (!node.is_scalar()) {
      fault(node, where + ": " + written(node) + " is not a text", "write a text such as \"user:{id}\"");
      return std::nullopt;
    }
    std::string error;
    auto parsed = Template::parse(node.text, captures_, error);
    if (!parsed) {
      fault(node, where + ": " + written(node) + " cannot be used", error);
      return std::nullopt;
    }
    const auto is_identity = [](const auto& part) { return part.kind == Template::Part::Kind::identity; };
    if (!has_identity_ && std::ranges::any_of(parsed->parts(), is_identity)) {
      fault(node, where + ": " + written(node) + " names the {identity}, and this route has none",
            "add identity: header:NAME or identity: cookie:NAME");
      return std::nullopt;
    }
    return parsed;
  }

  void read_purges(const TreeNode& node, policy::Route& route) {
    const auto is_safe = [](const std::string& m) { return m != "*" && http::is_safe(m); };
    if (std::ranges::all_of(route.methods, is_safe)) {
      fault(node, "purge: safe methods change nothing, so this never purges",
            "match the methods that write: [POST, PUT, PATCH, DELETE]");
    }
    if (node.kind == TreeNode::Kind::mapping) {
      read_purge(node, route);
      return;
    }
    if (node.kind != TreeNode::Kind::sequence || node.items.empty()) {
      fault(node, "purge: " + written(node) + " is not a list of selectors",
            "write [ { type: NAME }, { tag: \"product:{id}\" }, { path: /api/** }, { key: \"cache:search:*\" } ]");
      return;
    }
    for (const auto& item : node.items) {
      if (!item.broken) read_purge(item, route);
    }
  }

  void read_purge(const TreeNode& node, policy::Route& route) {
    if (node.kind != TreeNode::Kind::mapping || node.keys.size() != 1) {
      fault(node, "purge: a selector is one key and its value", "write { tag: \"product:{id}\" }; one mapping each");
      return;
    }
    const auto& name = node.keys.front();
    const auto& value = node.items.front();
    if (value.broken) return;
    if (std::ranges::find(purge_keys, name.text) == purge_keys.end()) {
      fault(name.line, "purge: there is no selector " + shown(name.text), known_words(name.text, purge_keys));
      return;
    }
    if (name.text == "all") {
      if (value.is_scalar() && parse_flag(value.text) == true) {
        route.purge.push_back({SelectorKind::all, {}});
      } else {
        fault(value, "purge.all: " + written(value) + " means nothing", "write all: true, or leave it away");
      }
      return;
    }
    const std::string where = "purge." + name.text;
    auto text = read_template(value, where);
    if (!text) return;
    auto kind = *policy::selector_kind(name.text);
    const auto plain = without_variables(*text);
    if (kind == SelectorKind::key && has_glob_characters(*text)) kind = SelectorKind::glob;
    if (check_purge(kind, plain, *text, value, where)) route.purge.push_back({kind, std::move(*text)});
  }

  static bool has_glob_characters(const Template& text) {
    return std::ranges::any_of(text.parts(), [](const auto& part) {
      return part.kind == Template::Part::Kind::literal && part.text.find_first_of("*?[") != none;
    });
  }

  bool check_purge(SelectorKind kind, const std::string& plain, const Template& text, const TreeNode& node,
                   const std::string& where) {
    if (kind == SelectorKind::key || kind == SelectorKind::glob) {
      const auto& first = text.parts().front();
      if (first.kind == Template::Part::Kind::literal && first.text.starts_with("cache:")) return true;
      fault(node, where + ": " + written(node) + " does not begin with \"cache:\", as every key does",
            "write cache:TYPE:..., or { all: true } for everything");
      return false;
    }
    if (kind == SelectorKind::type) {
      if (!text.is_literal() || std::ranges::any_of(rules_.types, [&](const auto& t) { return t->name == plain; })) {
        return true;
      }
      fault(node, where + ": there is no type " + written(node), known_words(plain, type_names()));
      return false;
    }
    if (kind == SelectorKind::path) {
      std::string error;
      if (!PathPattern::parse(plain, error)) {
        fault(node, where + ": " + written(node) + " is not a path pattern", error);
        return false;
      }
      // Selectors are matched against normalised targets byte by byte.
      if (http::normalise_target(plain) != plain) {
        fault(node, where + ": " + written(node) + " is not in normal form, so it would match nothing",
              "write it as the origin sees it: upper-case %XX, and no %XX for letters, digits and -._~");
        return false;
      }
    }
    return true;
  }

  // For caching, the first match wins: a route of which every request is taken by earlier ones never caches anything.
  void warn_of_hidden_routes() {
    const auto& routes = rules_.routes;
    for (std::size_t later = 1; later < routes.size(); ++later) {
      if (!routes[later].caches() && !routes[later].cache_off) continue;
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        if (!routes[earlier].caches() && !routes[earlier].cache_off) continue;
        const auto takes = [&](const std::string& m) {
          return m == "*" ? routes[earlier].has_method("*") : routes[earlier].has_method(m);
        };
        if (!std::ranges::all_of(routes[later].methods, takes) || !routes[earlier].path.covers(routes[later].path)) {
          continue;
        }
        warnings_.push_back({file(), routes[later].line,
                             "cache: never applies to " + shown(routes[later].match_text) + ", as " +
                                 shown(routes[earlier].match_text) + " in line " +
                                 std::to_string(routes[earlier].line) + " matches all of it first",
                             "move this route before that one"});
        break;
      }
    }
  }

  const FileReader& files_;
  std::vector<Fault>& warnings_;
  std::string& read_besides_;
  policy::RuleSet rules_;
  bool may_store_explicit_set_cookie_ = true;
  bool s_maxage_allows_stale_ = false;
  bool is_shadow_ = false;
  std::uint32_t verify_ppm_ = 0;
  bool verify_credentials_ = false;
  policy::Type defaults_;
  std::vector<std::string> captures_;  // of the route that is being read
  bool has_identity_ = false;          // likewise
};

// Two readings of rules are of the same rules where these are equal; the environment does not change.
std::string fingerprint_of(std::string_view text, const std::string& file, std::optional<policy::Seconds> default_ttl,
                           std::string_view read_besides) {
  std::string all = file;
  all += '\0';
  all += default_ttl ? std::to_string(default_ttl->count()) : std::string("none");
  all += '\0';
  all += text;
  all += '\0';
  all += read_besides;
  return policy::md5_hex(all);
}

}  // namespace

std::vector<RulesKeys> rules_keys() {
  const auto list = [](std::string_view section, std::span<const std::string_view> names) {
    return RulesKeys{section, {names.begin(), names.end()}};
  };
  std::vector<RulesKeys> keys{list("", top_keys),
                              list("verify", verify_keys),
                              list("namespaces.*", namespace_keys()),
                              list("defaults", default_keys),
                              list("types.*", type_keys),
                              list("routes[]", route_keys),
                              list("routes[].match", match_keys),
                              list("routes[].query", query_keys),
                              list("routes[].purge[]", purge_keys)};
  for (auto& section : rule_test_keys()) keys.push_back(std::move(section));
  for (auto& section : warm_keys()) keys.push_back(std::move(section));
  return keys;
}

std::shared_ptr<const policy::RuleSet> read_rules(std::string_view text, const std::string& file,
                                                  const Environment& environment, const FileReader& files,
                                                  std::optional<policy::Seconds> default_ttl,
                                                  std::vector<Fault>& faults, std::vector<Fault>& warnings) {
  const auto before = faults.size();
  const auto root = read_document(text, file, environment, faults);
  if (!root) return nullptr;
  std::string read_besides;
  auto rules = RulesReader(file, default_ttl, files, faults, warnings, read_besides).read(*root);
  if (faults.size() != before) return nullptr;
  rules.fingerprint = fingerprint_of(text, file, default_ttl, read_besides);
  policy::number_routes(rules);
  return std::make_shared<const policy::RuleSet>(std::move(rules));
}

std::shared_ptr<const policy::RuleSet> built_in_rules(std::optional<policy::Seconds> default_ttl) {
  auto rules = std::make_shared<policy::RuleSet>();
  policy::Type type;
  type.name = "default";
  type.ttl = default_ttl;
  rules->types.push_back(std::make_shared<const policy::Type>(std::move(type)));
  policy::Route route;
  std::string error;
  route.methods = {"GET"};
  route.path = PathPattern::parse("/**", error).value();
  route.type = rules->types.front();
  route.store.ttl = default_ttl;
  route.match_text = "GET /**";
  route.file = "built-in rules";
  rules->routes.push_back(std::move(route));
  rules->fingerprint = fingerprint_of({}, {}, default_ttl, {});
  policy::number_routes(*rules);
  return rules;
}

}  // namespace larder::config
