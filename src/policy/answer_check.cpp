#include "larder/policy/answer_check.hpp"

#include <array>
#include <charconv>

#include "larder/policy/digest.hpp"

namespace larder::policy {

std::string_view to_string(AnswerVerdict verdict) noexcept {
  switch (verdict) {
    case AnswerVerdict::same:
      return "same";
    case AnswerVerdict::stale:
      return "stale";
    case AnswerVerdict::mixed:
      return "mixed";
    case AnswerVerdict::purged:
      return "purged";
    case AnswerVerdict::incomparable:
      return "incomparable";
    case AnswerVerdict::failed:
      return "failed";
    case AnswerVerdict::count_:
      break;
  }
  return "unknown";
}

std::vector<std::string> differences(const ComparedAnswer& stored, const ComparedAnswer& fresh,
                                     std::span<const std::string> fields) {
  std::vector<std::string> found;
  if (stored.status != fresh.status) found.emplace_back("status");
  for (const auto& name : fields) {
    if (http::combined(stored.fields, name) != http::combined(fresh.fields, name)) found.push_back(name);
  }
  if (stored.body != fresh.body) found.emplace_back("body");
  return found;
}

bool have_same_coding(http::FieldSpan stored, http::FieldSpan fresh) {
  return http::combined(stored, "Content-Encoding") == http::combined(fresh, "Content-Encoding");
}

std::uint64_t credentials_of(http::FieldSpan request_fields) {
  bool has_any = false;
  for (const auto& field : request_fields) {
    has_any = has_any || http::iequals(field.name, "Authorization") || http::iequals(field.name, "Cookie");
  }
  if (!has_any) return 0;
  Digest digest(Digest::Algorithm::sha256);
  for (const std::string_view name : {"Authorization", "Cookie"}) {
    for (const auto& field : request_fields) {
      if (!http::iequals(field.name, name)) continue;
      digest.update(name);
      digest.update(":");
      digest.update(field.value);
      digest.update("\n");  // which no value holds
    }
  }
  std::array<char, 64> hex{};
  digest.finish_hex(hex.data());
  std::uint64_t number = 0;
  std::from_chars(hex.data(), hex.data() + 16, number, 16);
  return number == 0 ? 1 : number;
}

}  // namespace larder::policy
