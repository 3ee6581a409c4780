#include "larder/policy/vary.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace larder::policy {

// The encoding of one selecting field is "<length>:<name>" and then "!" where the request has no such field, or
// "=<length>:<value>". Lengths are decimal without leading zeros.

namespace {

constexpr bool is_tchar(char c) noexcept {
  const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alnum || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string lower(std::string_view s) {
  std::string text(s);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 0x20);
  }
  return text;
}

// Fields whose commas, if any, are data, so that white space about them means something.
bool is_singleton(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 14> names{
      "authorization",       "content-type", "cookie", "date",    "from",       "host",   "if-modified-since",
      "if-unmodified-since", "origin",       "range",  "referer", "user-agent", "expect", "if-range"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view known) { return http::iequals(known, name); });
}

// Lists of weighted tokens whose letters' case and whose order mean nothing.
bool is_weighted_tokens(std::string_view name) noexcept {
  return http::iequals(name, "accept-encoding") || http::iequals(name, "accept-language");
}

// "GZIP ; q=0.50" -> "gzip;q=0.5"; a weight of 1, the default (RFC 9110 §12.4.2), is left out. Empty for what is not
// a token with at most a weight: nothing is known of its meaning then.
std::optional<std::string> weighted_token(std::string_view member) {
  const auto semicolon = member.find(';');
  const std::string_view token = http::trim_ows(member.substr(0, semicolon));
  if (token.empty() || !std::all_of(token.begin(), token.end(), is_tchar)) return std::nullopt;
  std::string normal = lower(token);
  if (semicolon == std::string_view::npos) return normal;

  std::string_view weight = http::trim_ows(member.substr(semicolon + 1));
  if (weight.size() < 3 || !http::iequals(weight.substr(0, 2), "q=")) return std::nullopt;
  weight.remove_prefix(2);
  if (weight.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  if (const auto dot = weight.find('.'); dot != std::string_view::npos) {
    if (dot == 0 || weight.find('.', dot + 1) != std::string_view::npos) return std::nullopt;
    while (weight.back() == '0') weight.remove_suffix(1);
    if (weight.back() == '.') weight.remove_suffix(1);
  }
  if (weight != "1") normal.append(";q=").append(weight);
  return normal;
}

template <class Visit>
void for_each_member(http::FieldSpan fields, std::string_view name, Visit visit) {
  for (const http::Field& field : fields) {
    if (!http::iequals(field.name, name)) continue;
    http::ListMembers members(field.value);
    while (const auto member = members.next()) visit(*member);
  }
}

void append_member(std::string_view member, std::string_view separator, bool& first, std::string& out) {
  if (!first) out.append(separator);
  out.append(member);
  first = false;
}

// Appends the members in normal form; false (and nothing appended) where one of them is not understood.
bool append_weighted_tokens(http::FieldSpan fields, std::string_view name, std::string& out) {
  std::vector<std::string> tokens;
  bool understood = true;
  for_each_member(fields, name, [&](std::string_view member) {
    auto token = understood ? weighted_token(member) : std::nullopt;
    understood = token.has_value();
    if (token) tokens.push_back(std::move(*token));
  });
  if (!understood) return false;
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  bool first = true;
  for (const std::string& token : tokens) append_member(token, ",", first, out);
  return true;
}

// Appends the value of all lines of `name` in normal form to `out`; false where the request has none.
bool append_value(http::FieldSpan fields, std::string_view name, std::string& out) {
  if (http::find(fields, name) == nullptr) return false;
  bool first = true;
  if (is_singleton(name)) {
    // Cookie lines, split up by HTTP/2, belong together with "; " (RFC 9113 §8.2.3).
    const std::string_view separator = http::iequals(name, "cookie") ? "; " : ", ";
    for (const http::Field& field : fields) {
      if (http::iequals(field.name, name)) append_member(field.value, separator, first, out);
    }
    return true;
  }
  if (is_weighted_tokens(name) && append_weighted_tokens(fields, name, out)) return true;
  for_each_member(fields, name, [&](std::string_view member) { append_member(member, ",", first, out); });
  return true;
}

void append_netstring(std::string_view s, std::string& out) {
  out.append(std::to_string(s.size())).append(1, ':').append(s);
}

struct Selecting {
  std::string_view name;
  bool present = false;
  std::string_view value;
};

// Reads an encoding field by field; foreign bytes end it with `failed`.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) noexcept : rest_(bytes) {}

  std::optional<Selecting> next() noexcept {
    if (rest_.empty() || failed_) return std::nullopt;
    Selecting field;
    field.name = netstring();
    if (failed_ || rest_.empty() || field.name.empty()) return fail();
    const char mark = rest_.front();
    rest_.remove_prefix(1);
    if (mark == '!') return field;
    if (mark != '=') return fail();
    field.present = true;
    field.value = netstring();
    if (failed_) return std::nullopt;
    return field;
  }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  std::nullopt_t fail() noexcept {
    failed_ = true;
    return std::nullopt;
  }
  std::string_view netstring() noexcept {
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
    const auto digits = static_cast<std::size_t>(end - rest_.data());
    if (error != std::errc{} || digits >= rest_.size() || rest_[digits] != ':' || rest_.size() - digits - 1 < size) {
      failed_ = true;
      return {};
    }
    const std::string_view text = rest_.substr(digits + 1, size);
    rest_.remove_prefix(digits + 1 + size);
    return text;
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace

VaryNames vary_names(http::FieldSpan response_fields) {
  VaryNames vary;
  for (const http::Field& field : response_fields) {
    if (!http::iequals(field.name, "Vary")) continue;
    http::ListMembers members(field.value);
    while (const auto member = members.next()) {
      if (*member == "*" || !std::all_of(member->begin(), member->end(), is_tchar)) {
        vary.star = true;
        continue;
      }
      std::string name = lower(*member);
      const auto place = std::lower_bound(vary.names.begin(), vary.names.end(), name);
      if (place != vary.names.end() && *place == name) continue;
      if (vary.names.size() == max_vary_names) {
        vary.star = true;
        return vary;
      }
      vary.names.insert(place, std::move(name));
    }
  }
  return vary;
}

std::string selecting_fields(const std::vector<std::string>& names, http::FieldSpan request_fields) {
  std::string encoding;
  std::string value;
  for (const std::string& name : names) {
    append_netstring(name, encoding);
    value.clear();
    if (append_value(request_fields, name, value)) {
      encoding.push_back('=');
      append_netstring(value, encoding);
    } else {
      encoding.push_back('!');
    }
  }
  return encoding;
}

bool selecting_fields_match(std::string_view stored_encoding, http::FieldSpan request_fields) {
  if (stored_encoding.empty()) return true;
  Decoder decoder(stored_encoding);
  std::string value;
  while (const auto field = decoder.next()) {
    value.clear();
    if (append_value(request_fields, field->name, value) != field->present || value != field->value) return false;
  }
  return !decoder.failed();
}

std::vector<std::string> selecting_names(std::string_view stored_encoding) {
  std::vector<std::string> names;
  Decoder decoder(stored_encoding);
  while (const auto field = decoder.next()) names.emplace_back(field->name);
  return names;
}

}  // namespace larder::policy
