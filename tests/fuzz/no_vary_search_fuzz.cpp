// Any bytes as No-Vary-Search and as two queries: normal forms are equal exactly where the draft's own comparison (§6),
// done here step by step, says that the queries are equivalent.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/http/structured_field.hpp"
#include "larder/http/utf8.hpp"
#include "larder/policy/no_vary_search.hpp"

namespace {

using namespace larder::policy;
namespace sf = larder::http::structured;
using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string decoded(std::string text) {
  static constexpr std::string_view digits = "0123456789abcdefABCDEF";
  std::replace(text.begin(), text.end(), '+', ' ');
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digits.find(text[i + 1]) != digits.npos &&
        digits.find(text[i + 2]) != digits.npos) {
      bytes += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      bytes += text[i];
    }
  }
  std::string characters;
  for (std::string_view rest = bytes; !rest.empty();) {
    const auto step = larder::http::utf8_step(rest);
    if (step.size == 0) std::abort();
    characters += step.well_formed ? rest.substr(0, step.size) : "\xEF\xBF\xBD";
    rest.remove_prefix(step.size);
  }
  if (!larder::http::is_utf8(characters)) std::abort();
  return characters;
}

Pairs parsed(const std::string& query) {
  Pairs pairs;
  for (std::size_t at = 0; at <= query.size();) {
    const auto end = std::min(query.find('&', at), query.size());
    const auto one = query.substr(at, end - at);
    at = end + 1;
    if (one.empty()) continue;
    const auto sign = one.find('=');
    pairs.emplace_back(decoded(one.substr(0, sign)), sign == one.npos ? "" : decoded(one.substr(sign + 1)));
  }
  return pairs;
}

Pairs significant(const QueryVariance& variance, const std::vector<std::string>& names, const std::string& query) {
  Pairs pairs = parsed(query);
  std::erase_if(pairs, [&](const auto& pair) {
    return (std::find(names.begin(), names.end(), pair.first) != names.end()) != variance.all_params_ignored;
  });
  if (!variance.vary_on_key_order) {
    std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  return pairs;
}

std::vector<std::string> names_of(std::string_view field, const char* key) {
  std::vector<std::string> names;
  const auto dictionary = sf::parse_dictionary(field);
  const auto* member = dictionary ? sf::find(*dictionary, key) : nullptr;
  const auto* list = member == nullptr ? nullptr : std::get_if<sf::InnerList>(member);
  if (list == nullptr) return names;
  for (const auto& item : list->items) names.push_back(decoded(std::get<std::string>(item.value)));
  return names;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::string parts[3];
  for (auto& part : parts) {
    part = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  const auto variance = query_variance(std::vector<larder::http::Field>{{"No-Vary-Search", parts[0]}});
  const auto code = encode(variance);
  if (code.size() > max_query_names_size + 2) std::abort();
  const auto a = normalised_query(variance, parts[1]);
  const auto b = normalised_query(variance, parts[2]);
  if (variance.is_default()) {
    if (a != parts[1] || b != parts[2]) std::abort();
    return 0;
  }
  const auto names = names_of(parts[0], variance.all_params_ignored ? "except" : "params");
  const bool equivalent = significant(variance, names, parts[1]) == significant(variance, names, parts[2]);
  if (equivalent != (a == b)) std::abort();
  if (normalised_query(variance, a) != a) std::abort();
  if (a.size() > 9 * parts[1].size() + 1) std::abort();
  return 0;
}
