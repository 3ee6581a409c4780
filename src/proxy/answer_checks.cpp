#include "larder/proxy/answer_checks.hpp"

#include <functional>
#include <utility>

namespace larder::proxy {

namespace {

std::uint64_t hash_of(std::string_view name) noexcept { return std::hash<std::string_view>{}(name) | 1U; }

}  // namespace

std::string_view to_string(CheckKind kind) noexcept { return kind == CheckKind::shadow ? "shadow" : "verify"; }

std::string_view to_string(ShadowOutcome outcome) noexcept {
  switch (outcome) {
    case ShadowOutcome::hit:
      return "hit";
    case ShadowOutcome::stale:
      return "stale";
    case ShadowOutcome::revalidate:
      return "revalidate";
    case ShadowOutcome::miss:
      return "miss";
    case ShadowOutcome::count_:
      break;
  }
  return "unknown";
}

std::string_view to_string(VerifySkip skip) noexcept {
  switch (skip) {
    case VerifySkip::credentials:
      return "credentials";
    case VerifySkip::rate:
      return "rate";
    case VerifySkip::memory:
      return "memory";
    case VerifySkip::count_:
      break;
  }
  return "unknown";
}

void AnswerChecks::count(const policy::Route& route, ShadowOutcome outcome) {
  const std::lock_guard lock(mutex_);
  ++totals_[route.match_text].would[static_cast<std::size_t>(outcome)];
}

void AnswerChecks::count(const policy::Route& route, CheckKind kind, policy::AnswerVerdict verdict) {
  const std::lock_guard lock(mutex_);
  ++totals_[route.match_text].verdicts[static_cast<std::size_t>(kind)][static_cast<std::size_t>(verdict)];
}

void AnswerChecks::count(const policy::Route& route, VerifySkip skip) {
  const std::lock_guard lock(mutex_);
  ++totals_[route.match_text].skipped[static_cast<std::size_t>(skip)];
}

void AnswerChecks::add(CheckExample example) {
  const std::lock_guard lock(mutex_);
  examples_.push_front(std::move(example));
  if (examples_.size() > most_examples) examples_.pop_back();
}

void AnswerChecks::remember_credentials(std::string_view name, std::uint64_t credentials) {
  const auto hash = hash_of(name);
  const std::lock_guard lock(mutex_);
  if (credentials_.empty()) credentials_.resize(most_credentials);
  credentials_[hash / 2 % most_credentials] = {hash, credentials};
}

bool AnswerChecks::had_other_credentials(std::string_view name, std::uint64_t credentials) const {
  const auto hash = hash_of(name);
  const std::lock_guard lock(mutex_);
  if (credentials_.empty()) return false;
  const auto& known = credentials_[hash / 2 % most_credentials];
  return known.name == hash && known.credentials != credentials;
}

std::map<std::string, CheckTotals> AnswerChecks::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::vector<CheckExample> AnswerChecks::examples() const {
  const std::lock_guard lock(mutex_);
  return {examples_.begin(), examples_.end()};
}

}  // namespace larder::proxy
