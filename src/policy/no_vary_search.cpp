#include "larder/policy/no_vary_search.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <variant>

#include "larder/http/structured_field.hpp"
#include "larder/http/utf8.hpp"

namespace larder::policy {

namespace {

namespace sf = http::structured;

constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

constexpr bool is_unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// '+' is a space; a '%' without two hex digits is itself (§5.3, and the URL Standard's percent-decoding).
void form_decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && text.size() - i > 2 ? hex_value(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : hex_value(text[i + 2]);
    if (low >= 0) {
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
}

// Appends the normal form of a name or value: equal for two texts exactly where they decode to the same characters.
// What is no UTF-8 decodes to U+FFFD.
void append_normal(std::string& out, std::string_view text, std::string& scratch) {
  static constexpr std::string_view hex = "0123456789ABCDEF";
  form_decode(text, scratch);
  for (std::string_view rest = scratch; !rest.empty();) {
    const http::Utf8Step step = http::utf8_step(rest);
    const std::string_view character = step.well_formed ? rest.substr(0, step.size) : "\xEF\xBF\xBD";
    rest.remove_prefix(step.size);
    if (is_unreserved(character.front())) {
      out.push_back(character.front());
      continue;
    }
    for (const char c : character) {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', hex[byte >> 4U], hex[byte & 15U]});
    }
  }
}

// The names of `params` or `except`; an empty optional where it is no inner list of Strings, or too large.
std::optional<std::vector<std::string>> read_names(const sf::Member& member) {
  const auto* list = std::get_if<sf::InnerList>(&member);
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> names;
  std::string scratch;
  std::size_t size = 0;
  for (const sf::Item& item : list->items) {
    const auto* text = std::get_if<std::string>(&item.value);
    if (text == nullptr) return std::nullopt;
    append_normal(names.emplace_back(), *text, scratch);
    size += names.back().size() + 1;
    if (size > max_query_names_size) return std::nullopt;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// §5.1; an empty optional stands for the default variance.
std::optional<QueryVariance> parse_variance(const sf::Dictionary& dictionary) {
  QueryVariance variance;
  if (const auto* key_order = sf::find(dictionary, "key-order")) {
    const bool* flag = sf::bare_item<bool>(*key_order);
    if (flag == nullptr) return std::nullopt;
    variance.vary_on_key_order = !*flag;
  }
  if (const auto* params = sf::find(dictionary, "params")) {
    if (const bool* flag = sf::bare_item<bool>(*params)) {
      variance.all_params_ignored = *flag;
    } else {
      auto names = read_names(*params);
      if (!names) return std::nullopt;
      variance.names = std::move(*names);
    }
  }
  if (const auto* except = sf::find(dictionary, "except")) {
    auto names = read_names(*except);
    if (!names || !variance.all_params_ignored) return std::nullopt;
    variance.names = std::move(*names);
  }
  return variance;
}

// One parameter in the buffer of normal forms.
struct Parameter {
  std::size_t at;
  std::size_t name_size;
  std::size_t size;  // name, '=' and value
};

}  // namespace

QueryVariance query_variance(http::FieldSpan response_fields) {
  const auto dictionary = sf::parse_dictionary(response_fields, "No-Vary-Search");
  if (!dictionary) return {};
  return parse_variance(*dictionary).value_or(QueryVariance{});
}

std::string normalised_query(const QueryVariance& variance, std::string_view query) {
  if (variance.is_default()) return std::string(query);
  std::string text;
  std::string scratch;
  std::vector<Parameter> parameters;
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
    if (parameter.empty()) continue;
    const std::size_t at = text.size();
    const std::string_view name = parameter.substr(0, parameter.find('='));
    append_normal(text, name, scratch);
    const std::size_t name_size = text.size() - at;
    const bool is_named = std::binary_search(variance.names.begin(), variance.names.end(),
                                             std::string_view(text).substr(at), std::less<>{});
    if (is_named != variance.all_params_ignored) {
      text.resize(at);
      continue;
    }
    text.push_back('=');
    append_normal(text, parameter.substr(std::min(parameter.size(), name.size() + 1)), scratch);
    parameters.push_back({at, name_size, text.size() - at});
  }
  // Any total order of names will do (§6 has the code units'), as long as equal names keep theirs.
  if (!variance.vary_on_key_order) {
    std::stable_sort(parameters.begin(), parameters.end(), [&](const Parameter& a, const Parameter& b) {
      return std::string_view(text).substr(a.at, a.name_size) < std::string_view(text).substr(b.at, b.name_size);
    });
  }
  std::string normal;
  normal.reserve(text.size() + parameters.size());
  for (const Parameter& parameter : parameters) {
    if (!normal.empty()) normal.push_back('&');
    normal.append(text, parameter.at, parameter.size);
  }
  return normal;
}

std::string encode(const QueryVariance& variance) {
  // Names hold none of the marks.
  std::string text{variance.vary_on_key_order ? 'o' : 'k', variance.all_params_ignored ? '*' : '-'};
  for (const std::string& name : variance.names) text.append(1, '&').append(name);
  return text;
}

}  // namespace larder::policy
