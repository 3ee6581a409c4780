#pragma once
// What is wrong with a configuration, where, and what would be right.
#include <span>
#include <string>
#include <string_view>

namespace larder::config {

/// One fault (or warning) of a configuration.
struct Fault {
  std::string file;   ///< path, or "command line: --origin", or "environment: REDIS_PORT"
  int line = 0;       ///< from 1; 0 where there are no lines
  std::string wrong;  ///< what is wrong
  std::string right;  ///< what would be right
};

/// "file:line: what is wrong, what would be right"; without ":line" where the fault has none.
std::string format(const Fault& fault);

/// Text of a user in double quotes for a message: control characters escaped, cut after 60 bytes.
std::string shown(std::string_view text);

/// The candidate that `word` is most likely a misspelling of (edit distance of at most a third of its length, at least
/// 1); empty where none is near. Words longer than 64 bytes are nobody's misspelling.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// What to do about an unknown word: "did you mean X?", or the list of all that there are.
std::string known_words(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace larder::config
