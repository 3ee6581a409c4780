#pragma once
// A YAML file as a tree with line numbers, environment variables already put in. The one place where YAML is read.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/config/fault.hpp"

namespace larder::config {

/// Looks up an environment variable; empty optional where it is not set. An argument, so that tests need set none.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

/// Reads a whole file; on error empty and `error` says why. An argument, so that tests need no files.
using FileReader = std::function<std::optional<std::string>(const std::string& path, std::string& error)>;

/// One value of a document.
struct TreeNode {
  enum class Kind : unsigned char {
    null,      ///< nothing, or ~
    scalar,    ///< in `text`
    sequence,  ///< in `items`
    mapping    ///< keys[i] has the value items[i]; keys are unique
  };
  /// A key of a mapping.
  struct Key {
    std::string text;
    int line = 0;
  };
  Kind kind = Kind::null;
  std::string text;     ///< of a scalar, with variables put in
  std::string written;  ///< the same as it stands in the file: what messages show, since variables may hold secrets
  int line = 0;         ///< from 1
  bool broken = false;  ///< a fault was already reported for it: its value means nothing
  std::vector<Key> keys;
  std::vector<TreeNode> items;

  /// Value of a key of a mapping; nullptr where it has none.
  [[nodiscard]] const TreeNode* find(std::string_view key) const noexcept;
  [[nodiscard]] bool is_scalar() const noexcept { return kind == Kind::scalar; }
  /// "off" (or "false", which YAML's users write for it).
  [[nodiscard]] bool is_off() const noexcept { return is_scalar() && (text == "off" || text == "false"); }
};

/// A scalar that stands in no file.
TreeNode scalar_node(std::string text);

/// Reads a document. `${NAME}` and `${NAME:-default}` in scalar values (not in keys) become the variable's value, the
/// default also where the variable is empty; `$${` stands for `${`. The value of a `match:` line need not be quoted,
/// whatever characters it has. Faults (syntax, duplicate keys, undefined variables, aliases) are appended to `faults`;
/// empty optional where the text is no YAML at all. Bounded: at most 4 MiB, 100 levels, 200000 values.
std::optional<TreeNode> read_document(std::string_view text, const std::string& file, const Environment& environment,
                                      std::vector<Fault>& faults);

}  // namespace larder::config
