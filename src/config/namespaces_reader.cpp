#include "larder/config/namespaces_reader.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "larder/config/values.hpp"

namespace larder::config {
namespace {

using policy::Namespace;
using policy::Namespaces;

constexpr std::array<std::string_view, 3> keys{"ttl", "read", "write"};
constexpr std::string_view right_ttl = "write a duration in whole seconds, such as 300, 30s, 30m, 1h or 1d";
constexpr std::string_view right_token = "write ${VARIABLE} or a list of them; a token has no spaces";

// What may stand before a key's first ':'.
bool is_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
}

// It must fit into an Authorization field (RFC 6750 §2.1).
bool is_token(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7F; });
}

class NamespacesReader {
 public:
  NamespacesReader(const std::string& file, std::vector<Fault>& faults) : file_(file), faults_(faults) {}

  Namespaces read(const TreeNode& root) {
    if (root.kind == TreeNode::Kind::null) return std::move(spaces_);
    if (root.kind != TreeNode::Kind::mapping) {
      fault(root.line, "namespaces is not a mapping",
            "write each as NAME: 30m, or NAME: { ttl: 30m, read: …, write: … }");
      return std::move(spaces_);
    }
    for (std::size_t i = 0; i < root.keys.size(); ++i) {
      if (!root.items[i].broken) read_one(root.keys[i], root.items[i]);
    }
    return std::move(spaces_);
  }

 private:
  void fault(int line, std::string wrong, std::string_view right) {
    faults_.push_back({file_, line, std::move(wrong), std::string(right)});
  }

  void read_one(const TreeNode::Key& key, const TreeNode& node) {
    const auto where = "namespaces." + key.text;
    const bool is_default = key.text == policy::default_namespace;
    if (!is_name(key.text)) {
      fault(key.line, shown(key.text) + " cannot be the name of a namespace",
            "use 1 to 64 letters, digits, '-', '_' and '.'; it is what stands before a key's first ':'");
      return;
    }
    if (node.is_off()) {
      if (!is_default) {
        fault(node.line, where + ": only the default namespace can be off", "leave it out, or write its ttl");
        return;
      }
      std::erase_if(spaces_.all, [](const Namespace& space) { return space.name == policy::default_namespace; });
      return;
    }
    Namespace space{.name = key.text, .ttl = Namespace{}.ttl, .readers = {}, .writers = {}};
    if (node.kind == TreeNode::Kind::scalar) {
      read_ttl(node, where, space);
    } else if (node.kind == TreeNode::Kind::mapping) {
      for (std::size_t i = 0; i < node.keys.size(); ++i) {
        const auto& name = node.keys[i].text;
        const auto& value = node.items[i];
        if (value.broken) continue;
        if (name == "ttl") {
          read_ttl(value, where + ".ttl", space);
        } else if (name == "read") {
          read_tokens(value, where + ".read", space.readers);
        } else if (name == "write") {
          read_tokens(value, where + ".write", space.writers);
        } else {
          fault(node.keys[i].line, "there is no key " + shown(name) + " in " + where, known_words(name, keys));
        }
      }
    } else {
      fault(key.line, where + " has no ttl", right_ttl);
      return;
    }
    const auto same = std::ranges::find(spaces_.all, space.name, &Namespace::name);
    if (same != spaces_.all.end()) {
      *same = std::move(space);
    } else {
      spaces_.all.push_back(std::move(space));
    }
  }

  void read_ttl(const TreeNode& node, const std::string& where, Namespace& space) {
    const auto duration = node.is_scalar() ? parse_duration(node.text) : std::nullopt;
    const auto seconds = duration ? std::chrono::duration_cast<policy::Seconds>(*duration) : policy::Seconds{0};
    if (!duration || seconds != *duration || seconds.count() < 1) {
      fault(node.line, where + ": " + (node.is_scalar() ? shown(node.written) : std::string("this")) + " is no ttl",
            right_ttl);
      return;
    }
    space.ttl = seconds;
  }

  void read_tokens(const TreeNode& node, const std::string& where, std::vector<policy::TokenDigest>& tokens) {
    const auto one = [&](const TreeNode& item) {
      if (item.broken || item.kind == TreeNode::Kind::null) return;
      // Not the text itself: it may be a token.
      if (!item.is_scalar() || !is_token(item.text)) {
        fault(item.line, where + ": this is no token", right_token);
      } else if (!item.text.empty()) {
        tokens.push_back(policy::token_digest(item.text));
      }
    };
    if (node.kind == TreeNode::Kind::sequence) {
      std::ranges::for_each(node.items, one);
    } else {
      one(node);
    }
  }

  const std::string& file_;
  std::vector<Fault>& faults_;
  Namespaces spaces_;
};

}  // namespace

std::span<const std::string_view> namespace_keys() noexcept { return keys; }

Namespaces read_namespaces(const TreeNode& node, const std::string& file, std::vector<Fault>& faults) {
  return NamespacesReader(file, faults).read(node);
}

}  // namespace larder::config
