#include "larder/config/warm_reader.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <utility>
#include <variant>

#include "larder/config/node_reader.hpp"
#include "larder/config/values.hpp"
#include "larder/http/field_list.hpp"
#include "larder/http/token.hpp"
#include "larder/policy/admission.hpp"
#include "larder/policy/explanation.hpp"

namespace larder::config {
namespace {

using policy::NormalRequest;
using policy::WarmTask;

constexpr std::array<std::string_view, 7> warm_names{"at_start", "interval", "concurrency", "rate",
                                                     "host",     "headers",  "tasks"};
constexpr std::array<std::string_view, 11> task_names{"name", "url",     "urls",     "file",     "top",        "type",
                                                      "host", "headers", "critical", "interval", "after_purge"};

// A whole answer, as any client may have it, is what is to be stored: what asks for another one is for clients alone.
constexpr std::array<std::string_view, 14> client_fields{"Range",
                                                         "If-Range",
                                                         "If-Match",
                                                         "If-None-Match",
                                                         "If-Modified-Since",
                                                         "If-Unmodified-Since",
                                                         "Cache-Control",
                                                         "Pragma",
                                                         "Content-Length",
                                                         "Transfer-Encoding",
                                                         "Expect",
                                                         "Upgrade",
                                                         "Connection",
                                                         "TE"};

constexpr std::size_t most_requests = 100000;
constexpr std::size_t most_top = 10000;
constexpr std::size_t most_concurrency = 256;
constexpr std::size_t most_rate = 100000;
constexpr std::size_t most_name = 200;
constexpr std::string_view right_task = "begin each with \"- url: /path\", \"- file: urls.txt\" or \"- top: 100\"";
constexpr std::string_view right_url = "write a path with its query, percent-encoded: /api/search?q=a, or a whole URI";

using Headers = std::vector<std::pair<std::string, std::string>>;

// A URL as it is written, and where.
struct WrittenUrl {
  std::string text;
  std::string file;
  int line = 0;
  Headers headers;
};

bool is_printable(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; });
}

class WarmReader : private NodeReader {
 public:
  WarmReader(const std::string& file, const FileReader& files, std::vector<Fault>& faults, policy::RuleSet& rules,
             std::string& read_besides)
      : NodeReader(file, faults), files_(files), rules_(rules), read_besides_(read_besides) {}

  void read(const TreeNode& node) {
    if (node.kind == TreeNode::Kind::null || node.is_off()) return;
    if (!expect_mapping(node, "warm", "write { interval: 5m, host: api.example, tasks: [ { url: /path } ] }")) return;
    check_keys(node, "warm", warm_names);
    are_rules_whole_ = fault_count() == 0;
    auto& warming = rules_.warming;
    if (const auto* flag = usable(node.find("at_start"))) {
      warming.at_start = read_flag(*flag, "warm.at_start").value_or(true);
    }
    read_interval(node, "warm", warming.interval);
    read_number(node, "warm", "concurrency", most_concurrency, warming.concurrency);
    read_number(node, "warm", "rate", most_rate, warming.rate);
    if (const auto* host = usable(node.find("host"))) warming.host = host->text;
    Headers headers;
    if (const auto* given = usable(node.find("headers"))) headers = read_request_headers(*given, "warm.headers");
    if (const auto* tasks = usable(node.find("tasks"))) read_tasks(*tasks, headers);
  }

 private:
  void fault_in(const WrittenUrl& url, std::string wrong, std::string right) {
    all_faults().push_back({url.file, url.line, std::move(wrong), std::move(right)});
  }

  void read_interval(const TreeNode& mapping, const std::string& where, std::optional<policy::Seconds>& interval) {
    const auto* node = usable(mapping.find("interval"));
    if (node == nullptr) return;
    if (node->is_off()) {
      interval.reset();
      return;
    }
    const auto seconds = read_seconds(*node, where + ".interval");
    if (!seconds) return;
    if (seconds->count() > 0) {
      interval = seconds;
    } else {
      fault(*node, where + ".interval: it would never end to run", "write one such as 5m, or off");
    }
  }

  void read_number(const TreeNode& mapping, const std::string& where, std::string_view key, std::size_t most,
                   std::size_t& number) {
    const auto* node = usable(mapping.find(key));
    if (node == nullptr) return;
    const auto value = node->is_scalar() ? parse_count(node->text) : std::nullopt;
    if (value && *value >= 1 && *value <= most) {
      number = static_cast<std::size_t>(*value);
    } else {
      fault(*node, where + "." + std::string(key) + ": " + written(*node) + " cannot be",
            "write a number from 1 to " + std::to_string(most));
    }
  }

  Headers read_request_headers(const TreeNode& node, const std::string& where) {
    auto headers = NodeReader::read_headers(node, where);
    for (const auto& key : node.keys) {
      if (auto wrong = fault_of_name(key.text); !wrong.empty()) {
        fault(key.line, where + ": " + wrong, "leave it out");
      }
    }
    return headers;
  }

  static std::string fault_of_name(std::string_view name) {
    const bool is_for_clients =
        std::ranges::any_of(client_fields, [&](std::string_view known) { return http::iequals(known, name); });
    return is_for_clients ? std::string(name) + " has no place in a request whose whole answer is to be stored"
                          : std::string();
  }

  void read_tasks(const TreeNode& node, const Headers& headers) {
    if (node.kind == TreeNode::Kind::null) return;
    if (node.kind != TreeNode::Kind::sequence) {
      fault(node, "warm.tasks is not a list", std::string(right_task));
      return;
    }
    for (const auto& item : node.items) {
      if (item.broken || !expect_mapping(item, "a task of warm", std::string(right_task))) continue;
      read_task(item, headers);
    }
  }

  void read_task(const TreeNode& node, const Headers& common) {
    const auto before = fault_count();
    const bool are_keys_known = check_keys(node, "a task of warm", task_names);
    WarmTask task;
    task.file = file();
    task.line = node.line;
    task.interval = rules_.warming.interval;
    read_interval(node, "warm.tasks", task.interval);
    if (const auto* flag = usable(node.find("critical"))) {
      task.is_critical = read_flag(*flag, "warm.tasks.critical").value_or(false);
    }
    auto host = rules_.warming.host;
    if (const auto* given = usable(node.find("host"))) host = given->text;
    auto headers = common;
    if (const auto* given = usable(node.find("headers"))) {
      for (auto& one : read_request_headers(*given, "warm.tasks.headers")) replace_or_add(headers, common, one);
    }
    read_source(node, task, host, headers, are_keys_known);
    read_name(node, task);
    read_after_purge(node, task);
    if (fault_count() == before) rules_.warming.tasks.push_back(std::move(task));
  }

  // What the task itself says stands for what all tasks say; its own lines of one name stand beside each other.
  static void replace_or_add(Headers& headers, const Headers& common, const std::pair<std::string, std::string>& one) {
    const auto is_same = [&](const auto& other) { return http::iequals(other.first, one.first); };
    for (const auto& other : common) {
      if (is_same(other)) std::erase(headers, other);
    }
    headers.push_back(one);
  }

  // Exactly one of url, urls, file and top.
  void read_source(const TreeNode& node, WarmTask& task, const std::string& host, const Headers& headers,
                   bool are_keys_known) {
    constexpr std::array<std::string_view, 4> sources{"url", "urls", "file", "top"};
    std::vector<std::string_view> given;
    for (const auto source : sources) {
      if (node.find(source) != nullptr) given.push_back(source);
    }
    if (given.size() != 1) {
      if (given.empty() && !are_keys_known) return;  // a misspelt key may be the one that is missing
      fault(node, given.empty() ? "this task of warm fetches nothing" : "this task of warm has two things to fetch",
            "give it one of url, urls, file and top");
      return;
    }
    const auto* type = node.find("type");
    if (given.front() == "top") {
      read_number(node, "warm.tasks", "top", most_top, task.top);
      if (usable(type) != nullptr) read_type(*type, "warm.tasks.type", task.type);
      for (const std::string_view key : {"host", "headers"}) {
        if (const auto* other = node.find(key)) {
          fault(*other, "warm.tasks." + std::string(key) + ": the busiest keys have their own", "leave it out");
        }
      }
      return;
    }
    if (type != nullptr) {
      fault(*type, "warm.tasks.type: it says which of the busiest keys, and this task fetches URLs", "leave it out");
    }
    const auto* source = usable(node.find(given.front()));
    if (source == nullptr) return;
    const auto urls = given.front() == "file" ? read_file_of_urls(*source, headers) : read_urls(*source, headers);
    for (const auto& url : urls) add_request(url, host, task);
  }

  std::vector<WrittenUrl> read_urls(const TreeNode& node, const Headers& headers) {
    std::vector<WrittenUrl> urls;
    for (const auto* text : texts(node, "warm.tasks.url")) urls.push_back({text->text, file(), text->line, headers});
    if (urls.empty() && node.kind == TreeNode::Kind::sequence && node.items.empty()) {
      fault(node, "warm.tasks.urls: the list is empty", std::string(right_url));
    }
    return urls;
  }

  std::vector<WrittenUrl> read_file_of_urls(const TreeNode& node, const Headers& headers) {
    std::vector<WrittenUrl> urls;
    // A path in the file is meant from where the file is.
    const auto path = (std::filesystem::path(file()).parent_path() / node.text).string();
    std::string error;
    const auto text = node.is_scalar() && !node.text.empty() ? files_(path, error) : std::nullopt;
    if (!text) {
      fault(node, "warm.tasks.file: " + written(node) + " cannot be read" + (error.empty() ? "" : ": " + error),
            "give one that can; a path is meant from the folder of the rules");
      return urls;
    }
    rules_.warming.files.push_back(path);
    read_besides_.append(path).append(1, '\0').append(*text).append(1, '\0');
    int line = 0;
    for (std::size_t at = 0; at < text->size();) {
      const auto end = std::min(text->find('\n', at), text->size());
      read_line(std::string_view(*text).substr(at, end - at), path, ++line, headers, urls);
      at = end + 1;
    }
    if (urls.empty()) fault(node, "warm.tasks.file: " + shown(path) + " has no URL", "write one on each line");
    return urls;
  }

  void read_line(std::string_view text, const std::string& path, int line, const Headers& common,
                 std::vector<WrittenUrl>& urls) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    const bool is_field = text.starts_with(' ') || text.starts_with('\t');
    text = http::trim_ows(text);
    if (text.empty() || text.starts_with('#')) return;
    if (!is_field) {
      urls.push_back({std::string(text), path, line, common});
      return;
    }
    const auto colon = text.find(':');
    const auto name = text.substr(0, colon);
    const WrittenUrl here{{}, path, line, {}};
    if (colon == std::string_view::npos || !http::is_token(name)) {
      fault_in(here, "this line begins with a blank and is no header field", "write \"  Name: value\" behind its URL");
    } else if (urls.empty()) {
      fault_in(here, "the header field " + std::string(name) + " stands before the first URL", "put it behind its URL");
    } else if (auto wrong = fault_of_name(name); !wrong.empty()) {
      fault_in(here, wrong, "leave it out");
    } else {
      replace_or_add(urls.back().headers, common,
                     {std::string(name), std::string(http::trim_ows(text.substr(colon + 1)))});
    }
  }

  void add_request(const WrittenUrl& url, const std::string& host, WarmTask& task) {
    if (requests_ == most_requests) {
      fault_in(url, "warm has more than " + std::to_string(most_requests) + " URLs", "leave the rarest out");
    }
    if (requests_++ >= most_requests) return;
    policy::AskedRequest asked;
    asked.target = url.text;
    asked.host = host;
    bool accepts = false;
    bool accepts_coding = false;
    bool has_host = !host.empty() || !url.text.starts_with('/');
    for (const auto& [name, value] : url.headers) {
      asked.fields.add(name, value);
      accepts = accepts || http::iequals(name, "Accept");
      accepts_coding = accepts_coding || http::iequals(name, "Accept-Encoding");
      has_host = has_host || http::iequals(name, "Host");
    }
    if (!has_host) {
      fault_in(url, "warm: " + shown(url.text) + " has no host, and what is stored is found by it",
               "write host: NAME, as it stands in the URLs of clients, with the port where that is not 80");
      return;
    }
    // As most clients say, for answers that vary by it.
    if (!accepts) asked.fields.add("Accept", "*/*");
    // What is stored so serves those who accept gzip as it is, and all others decoded.
    if (!accepts_coding) asked.fields.add("Accept-Encoding", "gzip");
    auto made = NormalRequest::make(asked);
    if (const auto* const wrong = std::get_if<std::string>(&made)) {
      fault_in(url, "warm: " + *wrong, std::string(right_url));
      return;
    }
    auto request = std::make_shared<const NormalRequest>(std::get<NormalRequest>(std::move(made)));
    if (are_rules_whole_) {
      const auto admission = policy::admit(rules_, request->head(), request->traits());
      if (admission.way != policy::Way::look_up) {
        fault_in(url, "warm: " + shown(url.text) + " can never be warm: " + std::string(meaning(admission.reason)),
                 "leave it out, or add a route that caches it");
        return;
      }
    }
    task.requests.push_back(std::move(request));
  }

  void read_name(const TreeNode& node, WarmTask& task) {
    const auto* given = usable(node.find("name"));
    if (given != nullptr) {
      task.name = given->text;
      if (!given->is_scalar() || task.name.empty() || task.name.size() > most_name || !is_printable(task.name)) {
        fault(*given, "warm.tasks.name: " + written(*given) + " cannot be a name",
              "write a text of at most " + std::to_string(most_name) + " bytes");
        return;
      }
    } else if (const auto* file_node = usable(node.find("file"))) {
      task.name = file_node->text;
    } else if (task.top > 0) {
      task.name = "top " + std::to_string(task.top) + (task.type.empty() ? "" : " of " + task.type);
    } else if (!task.requests.empty()) {
      task.name = task.requests.front()->asked_target().substr(0, most_name);
      if (task.requests.size() > 1) task.name += " and " + std::to_string(task.requests.size() - 1) + " more";
    }
    const auto& others = rules_.warming.tasks;
    if (const auto other = std::ranges::find(others, task.name, &WarmTask::name); other != others.end()) {
      fault(node, "warm: the task in line " + std::to_string(other->line) + " is called " + shown(task.name) + " too",
            "give each a name: of its own");
    }
  }

  void read_type(const TreeNode& node, const std::string& where, std::string& type) {
    std::vector<std::string_view> names;
    names.reserve(rules_.types.size());
    for (const auto& known : rules_.types) names.push_back(known->name);
    if (node.is_scalar() && std::ranges::find(names, std::string_view(node.text)) != names.end()) {
      type = node.text;
    } else {
      fault(node, where + ": there is no type " + written(node), known_words(node.text, names));
    }
  }

  // true: the types of its own requests; or names of types.
  void read_after_purge(const TreeNode& node, WarmTask& task) {
    const auto* given = usable(node.find("after_purge"));
    if (given == nullptr) return;
    if (const auto flag = given->is_scalar() ? parse_flag(given->text) : std::nullopt) {
      if (*flag) add_own_types(*given, task);
      return;
    }
    for (const auto* text : texts(*given, "warm.tasks.after_purge")) {
      std::string type;
      read_type(*text, "warm.tasks.after_purge", type);
      if (!type.empty()) task.after_purge.push_back(std::move(type));
    }
  }

  void add_own_types(const TreeNode& node, WarmTask& task) {
    if (task.top > 0 && task.type.empty()) {
      fault(node, "warm.tasks.after_purge: the busiest keys may be of any type", "name the types: [product, search]");
      return;
    }
    if (task.top > 0) task.after_purge.push_back(task.type);
    for (const auto& request : task.requests) {
      const auto head = request->head();
      const auto* const route = rules_.match_cache(head.method, head.path()).route;
      if (route == nullptr || !route->caches()) continue;
      if (std::ranges::find(task.after_purge, route->type->name) == task.after_purge.end()) {
        task.after_purge.push_back(route->type->name);
      }
    }
  }

  const FileReader& files_;
  policy::RuleSet& rules_;
  std::string& read_besides_;
  bool are_rules_whole_ = true;
  std::size_t requests_ = 0;
};

}  // namespace

void read_warming(const TreeNode& node, const std::string& file, const FileReader& files, std::vector<Fault>& faults,
                  policy::RuleSet& rules, std::string& read_besides) {
  WarmReader(file, files, faults, rules, read_besides).read(node);
}

std::vector<RulesKeys> warm_keys() {
  return {{"warm", {warm_names.begin(), warm_names.end()}}, {"warm.tasks[]", {task_names.begin(), task_names.end()}}};
}

}  // namespace larder::config
