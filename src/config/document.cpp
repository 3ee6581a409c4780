#include "larder/config/document.hpp"

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <utility>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace larder::config {
namespace {

constexpr std::size_t max_text = 4UL << 20;
constexpr std::size_t max_depth = 100;
constexpr std::size_t max_nodes = 200000;
constexpr auto none = std::string_view::npos;

// Thrown out of the event handler, which has no other way to stop the parser.
struct Stopped {
  Fault fault;
};

bool is_variable_name(std::string_view name) noexcept {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// A match line such as `match: [PUT, DELETE] /a/{id}` or `match: * /a` is no YAML; its value is quoted here, in its
// line, so that line numbers stay. What is quoted already, or is a mapping or a bare list, is left alone.
std::string quoted_match_line(std::string_view line) {
  auto rest = line;
  const auto skip_spaces = [&rest] {
    const auto begin = rest.find_first_not_of(" \t");
    rest.remove_prefix(begin == none ? rest.size() : begin);
  };
  skip_spaces();
  while (rest.starts_with("- ")) {
    rest.remove_prefix(1);
    skip_spaces();
  }
  constexpr std::string_view key = "match:";
  if (!rest.starts_with(key)) return std::string(line);
  rest.remove_prefix(key.size());
  if (!rest.starts_with(' ') && !rest.starts_with('\t')) return std::string(line);
  skip_spaces();
  const auto comment = rest.find(" #");
  auto value = rest.substr(0, comment);
  value = value.substr(0, value.find_last_not_of(" \t\r") + 1);
  if (value.empty() || std::string_view("\"'{&!|>#").find(value.front()) != none) return std::string(line);
  if (value.front() == '[' && value.find(']') == value.size() - 1) return std::string(line);
  std::string out(line.substr(0, line.size() - rest.size()));
  out += '\'';
  for (const char c : value) {
    out += c;
    if (c == '\'') out += c;
  }
  out += '\'';
  if (comment != none) out += rest.substr(comment);
  return out;
}

std::string with_quoted_match_lines(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 16);
  while (!text.empty()) {
    const auto end = text.find('\n');
    out += quoted_match_line(text.substr(0, end));
    if (end == none) break;
    out += '\n';
    text.remove_prefix(end + 1);
  }
  return out;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& file, const Environment& environment, std::vector<Fault>& faults)
      : file_(file), environment_(environment), faults_(faults) {}

  TreeNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    TreeNode node = node_at(mark, TreeNode::Kind::null);
    accept(std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    report(line_of(mark), "an alias (*name) is not supported",
           "write the value out, or quote it if it begins with '*'");
    TreeNode node = node_at(mark, TreeNode::Kind::null);
    node.broken = true;
    accept(std::move(node));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    TreeNode node = node_at(mark, TreeNode::Kind::scalar);
    node.written = value;
    if (expects_key()) {
      node.text = value;
    } else {
      node.text = substituted(value, node);
    }
    accept(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    open(node_at(mark, TreeNode::Kind::sequence));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    open(node_at(mark, TreeNode::Kind::mapping));
  }
  void OnMapEnd() override { close(); }

 private:
  // A collection that is being read. In a mapping, keys and values come in turn; `drop` is set while the value of a key
  // that cannot be kept (a duplicate, or no scalar) is read.
  struct Open {
    TreeNode node;
    bool value_next = false;
    bool drop = false;
  };

  static int line_of(const YAML::Mark& mark) noexcept { return mark.line + 1; }

  TreeNode node_at(const YAML::Mark& mark, TreeNode::Kind kind) {
    if (++nodes_ > max_nodes) {
      throw Stopped{{file_, line_of(mark), "there are more than " + std::to_string(max_nodes) + " values",
                     "split it or make it simpler"}};
    }
    TreeNode node;
    node.kind = kind;
    node.line = line_of(mark);
    return node;
  }

  void report(int line, std::string wrong, std::string right) {
    faults_.push_back({file_, line, std::move(wrong), std::move(right)});
  }

  [[nodiscard]] bool expects_key() const noexcept {
    return !open_.empty() && open_.back().node.kind == TreeNode::Kind::mapping && !open_.back().value_next;
  }

  void open(TreeNode node) {
    if (open_.size() == max_depth) {
      throw Stopped{{file_, node.line, "values are nested deeper than " + std::to_string(max_depth) + " levels",
                     "no configuration needs that"}};
    }
    open_.push_back({std::move(node), false, false});
  }

  void close() {
    TreeNode node = std::move(open_.back().node);
    open_.pop_back();
    accept(std::move(node));
  }

  void accept(TreeNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& parent = open_.back();
    if (parent.node.kind == TreeNode::Kind::sequence) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (!parent.value_next) {
      parent.value_next = true;
      parent.drop = false;
      if (node.kind != TreeNode::Kind::scalar) {
        report(node.line, "a key is not a plain word", "write \"key: value\"");
        parent.drop = true;
        return;
      }
      const auto same = std::ranges::find(parent.node.keys, node.text, &TreeNode::Key::text);
      if (same != parent.node.keys.end()) {
        report(node.line, "the key " + shown(node.text) + " comes twice",
               "keep one of them (the first is in line " + std::to_string(same->line) + ")");
        parent.drop = true;
        return;
      }
      parent.node.keys.push_back({std::move(node.text), node.line});
      return;
    }
    parent.value_next = false;
    if (parent.drop) return;
    // The parser places nothing where the next token is.
    if (node.kind == TreeNode::Kind::null) node.line = parent.node.keys.back().line;
    parent.node.items.push_back(std::move(node));
  }

  std::string substituted(std::string_view text, TreeNode& node) {
    std::string out;
    const auto broken = [&](std::string wrong, std::string right) {
      report(node.line, std::move(wrong), std::move(right));
      node.broken = true;
      return std::string(text);
    };
    for (std::size_t at = 0; at < text.size();) {
      if (text.substr(at).starts_with("$${")) {
        out += "${";
        at += 3;
        continue;
      }
      if (!text.substr(at).starts_with("${")) {
        out += text[at++];
        continue;
      }
      const auto close = text.find('}', at);
      if (close == none)
        return broken("\"${\" is not closed", "write ${NAME} or ${NAME:-default}, or $${ for a plain ${");
      const auto inside = text.substr(at + 2, close - at - 2);
      const auto separator = inside.find(":-");
      const auto name = inside.substr(0, separator);
      if (!is_variable_name(name)) {
        return broken(shown(name) + " is not the name of a variable",
                      "write ${NAME} or ${NAME:-default}, or $${ for a plain ${");
      }
      const auto value = environment_ ? environment_(name) : std::nullopt;
      if (separator != none && (!value || value->empty())) {
        out += inside.substr(separator + 2);
      } else if (value) {
        out += *value;
      } else {
        return broken("the environment variable " + std::string(name) + " is not set",
                      "set it, or give a default: ${" + std::string(name) + ":-default}");
      }
      at = close + 1;
    }
    return out;
  }

  const std::string& file_;
  const Environment& environment_;
  std::vector<Fault>& faults_;
  std::vector<Open> open_;
  TreeNode root_;
  std::size_t nodes_ = 0;
};

}  // namespace

const TreeNode* TreeNode::find(std::string_view key) const noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

TreeNode scalar_node(std::string text) {
  TreeNode node;
  node.kind = TreeNode::Kind::scalar;
  node.written = text;
  node.text = std::move(text);
  return node;
}

std::optional<TreeNode> read_document(std::string_view text, const std::string& file, const Environment& environment,
                                      std::vector<Fault>& faults) {
  if (text.size() > max_text) {
    faults.push_back({file, 0, "the file is larger than 4 MiB", "no configuration needs that"});
    return std::nullopt;
  }
  std::istringstream stream(with_quoted_match_lines(text));
  TreeBuilder builder(file, environment, faults);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    TreeNode root = builder.take();
    TreeBuilder rest(file, environment, faults);
    if (parser.HandleNextDocument(rest)) {
      faults.push_back({file, rest.take().line, "there is a second document (---)", "put all into one"});
    }
    return root;
  } catch (const Stopped& stopped) {
    faults.push_back(stopped.fault);
  } catch (const YAML::Exception& error) {
    faults.push_back({file, std::max(error.mark.line + 1, 0), "this is not YAML: " + error.msg,
                      "check quotes, brackets and indentation around this line"});
  }
  return std::nullopt;
}

}  // namespace larder::config
