#pragma once
// What shadow mode and verification have found out: per route how many stored responses would have been, or were, wrong
// answers, and the last examples of them.
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/answer_check.hpp"
#include "larder/policy/rules.hpp"

namespace larder::proxy {

/// Who compared.
enum class CheckKind : unsigned char {
  shadow,  ///< `mode: shadow`: the origin's answer was served
  verify   ///< `verify:`: the stored response was served, and the origin asked afterwards
};
std::string_view to_string(CheckKind kind) noexcept;

/// What the cache would have done with a request in shadow mode.
enum class ShadowOutcome : unsigned char {
  hit,         ///< served a fresh stored response
  stale,       ///< served a stale one, as its stale-while-revalidate or the client allows
  revalidate,  ///< asked the origin about what is stored
  miss,        ///< asked the origin for everything
  count_       ///< number of enumerators, not an outcome
};
std::string_view to_string(ShadowOutcome outcome) noexcept;

/// Why a hit that was chosen for verification was not verified.
enum class VerifySkip : unsigned char {
  credentials,  ///< it has Authorization or Cookie, and the rule does not say that such requests may be sent again
  rate,         ///< as many as may be are under way, or were begun this second
  memory,       ///< no memory for a copy of the answer
  count_        ///< number of enumerators, not an outcome
};
std::string_view to_string(VerifySkip skip) noexcept;

/// Figures of one route. Running totals.
struct CheckTotals {
  using Verdicts = std::array<std::uint64_t, static_cast<std::size_t>(policy::AnswerVerdict::count_)>;
  std::array<std::uint64_t, static_cast<std::size_t>(ShadowOutcome::count_)> would{};
  std::array<Verdicts, 2> verdicts{};  ///< indexed by CheckKind
  std::array<std::uint64_t, static_cast<std::size_t>(VerifySkip::count_)> skipped{};
};

/// One wrong answer.
struct CheckExample {
  std::chrono::system_clock::time_point when;
  CheckKind kind = CheckKind::shadow;
  policy::AnswerVerdict verdict = policy::AnswerVerdict::stale;
  std::string route;  ///< "GET /api/**"
  std::string key;
  std::string target;  ///< without secrets
  std::vector<std::string> differs;
  int stored_status = 0;
  int fresh_status = 0;
  std::string stored_hash;  ///< hex SHA-256 of the body
  std::string fresh_hash;
  std::chrono::seconds age{0};  ///< of the stored response
};

/// Shared by all workers; thread-safe. Everything in it is bounded: routes by the rules that were ever in use, the rest
/// as said.
class AnswerChecks {
 public:
  static constexpr std::size_t most_examples = 100;
  /// Stored responses whose requests' credentials are known.
  static constexpr std::size_t most_credentials = 1UL << 15;

  void count(const policy::Route& route, ShadowOutcome outcome);
  void count(const policy::Route& route, CheckKind kind, policy::AnswerVerdict verdict);
  void count(const policy::Route& route, VerifySkip skip);
  /// Keeps an example; the oldest goes.
  void add(CheckExample example);

  /// Remembers with which credentials a response was fetched that is stored now. `name`: its key with its variant.
  void remember_credentials(std::string_view name, std::uint64_t credentials);
  /// True where a response of that name was fetched with other credentials than these; false also where that is not
  /// known any more.
  [[nodiscard]] bool had_other_credentials(std::string_view name, std::uint64_t credentials) const;

  /// Figures by route, as it is written in the rules ("GET /api/**").
  [[nodiscard]] std::map<std::string, CheckTotals> totals() const;
  /// The newest first.
  [[nodiscard]] std::vector<CheckExample> examples() const;

 private:
  struct Credentials {
    std::uint64_t name = 0;
    std::uint64_t credentials = 0;
  };

  mutable std::mutex mutex_;  ///< guards all; nothing is done under it but counting
  std::map<std::string, CheckTotals> totals_;
  std::deque<CheckExample> examples_;
  std::vector<Credentials> credentials_;  ///< in the place that the name's hash says; a later one takes it
};

}  // namespace larder::proxy
