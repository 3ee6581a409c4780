#include "larder/http/weight.hpp"

#include <algorithm>

#include "larder/http/field_list.hpp"
#include "larder/http/token.hpp"

namespace larder::http {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<unsigned> parse_qvalue(std::string_view text) noexcept {
  constexpr std::size_t longest = std::string_view("0.000").size();
  if (text.empty() || text.size() > longest || (text.front() != '0' && text.front() != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  unsigned value = text.front() == '1' ? full_weight : 0;
  unsigned place = full_weight / 10;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (!is_digit(c)) return std::nullopt;
    value += static_cast<unsigned>(c - '0') * place;
    place /= 10;
  }
  if (value > full_weight) return std::nullopt;
  return value;
}

WeightedToken parse_weighted_token(std::string_view member) noexcept {
  const auto semicolon = member.find(';');
  WeightedToken result;
  result.token = trim_ows(member.substr(0, semicolon));
  if (!is_token(result.token)) result.token = {};
  if (semicolon == std::string_view::npos) {
    result.weight = full_weight;
    return result;
  }
  const std::string_view weight = trim_ows(member.substr(semicolon + 1));
  if (weight.size() > 2 && iequals(weight.substr(0, 2), "q=")) result.weight = parse_qvalue(weight.substr(2));
  return result;
}

}  // namespace larder::http
