#include "larder/policy/rules.hpp"

#include <algorithm>
#include <cstddef>

#include "larder/http/target.hpp"
#include "larder/http/token.hpp"
#include "larder/policy/digest.hpp"

namespace larder::policy {
namespace {

constexpr auto none = std::string_view::npos;
// No API has paths this deep; it bounds the work that one pattern can make of a hostile path.
constexpr std::size_t max_segments = 64;

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_capture_name(std::string_view name) noexcept {
  return !name.empty() && is_alpha(name.front()) &&
         std::ranges::all_of(name, [](char c) { return is_alpha(c) || is_digit(c) || c == '-'; });
}

std::string_view segment_at(std::string_view path, std::size_t slash) noexcept {
  const auto end = path.find('/', slash + 1);
  return path.substr(slash + 1, end == none ? end : end - slash - 1);
}

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of percent-encoded `text` at `at`, decoded, and `at` moved behind it; a broken escape stands for itself.
char decoded_byte(std::string_view text, std::size_t& at) noexcept {
  const char c = text[at++];
  if (c != '%' || text.size() - at < 2) return c;
  const int high = hex_value(text[at]);
  const int low = hex_value(text[at + 1]);
  if (high < 0 || low < 0) return c;
  at += 2;
  return static_cast<char>(high * 16 + low);
}

// Where a query parameter of that name is, still percent-encoded.
struct Found {
  std::optional<std::string_view> value;
  bool repeated = false;
};

Found find_parameter(std::string_view query, std::string_view name) noexcept {
  Found found;
  for (std::size_t at = 0; at < query.size();) {
    const auto end = std::min(query.find('&', at), query.size());
    const auto parameter = query.substr(at, end - at);
    at = end + 1;
    const auto equals = parameter.find('=');
    const auto raw_name = parameter.substr(0, equals);
    std::size_t r = 0;
    std::size_t n = 0;
    while (r < raw_name.size() && n < name.size() && decoded_byte(raw_name, r) == name[n]) ++n;
    if (r != raw_name.size() || n != name.size() || parameter.empty()) continue;
    if (found.value) {
      found.repeated = true;
      return found;
    }
    found.value = equals == none ? std::string_view{} : parameter.substr(equals + 1);
  }
  return found;
}

// Calls `visit(value)` for each cookie of that name (RFC 6265 §4.2.1), in order; stops where it returns false.
template <class Visit>
void for_each_cookie(http::FieldSpan fields, std::string_view name, Visit visit) {
  for (const auto& field : fields) {
    if (!http::iequals(field.name, "cookie")) continue;
    const auto value = field.value;
    for (std::size_t at = 0; at < value.size();) {
      const auto end = std::min(value.find(';', at), value.size());
      const auto pair = http::trim_ows(value.substr(at, end - at));
      at = end + 1;
      const auto equals = pair.find('=');
      if (equals == none || pair.substr(0, equals) != name) continue;
      if (!visit(pair.substr(equals + 1))) return;
    }
  }
}

Found find_cookie(http::FieldSpan fields, std::string_view name) {
  Found found;
  for_each_cookie(fields, name, [&found](std::string_view value) {
    if (found.value) {
      found.repeated = true;
      return false;
    }
    found.value = value;
    return true;
  });
  return found;
}

bool append_found(const Found& found, Repeated repeated, std::string& out) {
  if (!found.value || (found.repeated && repeated == Repeated::no_value)) return false;
  out += *found.value;
  return true;
}

// How a variable's value must be quoted so that a client cannot widen a purge with what it puts into a URL.
void append_quoted(SelectorKind kind, std::string_view value, std::string& out) {
  switch (kind) {
    case SelectorKind::glob:
      out += glob_quoted(printable_key(value));
      return;
    case SelectorKind::key:
      out += printable_key(value);
      return;
    case SelectorKind::path:
      for (const char c : value) {
        if ((c == '*' || c == '\\') && (out.empty() || out.back() == '/')) out += '\\';
        out += c;
      }
      return;
    case SelectorKind::type:
    case SelectorKind::tag:
    case SelectorKind::target:
    case SelectorKind::all:
      out += value;
      return;
  }
}

std::optional<std::string> expand_selector(const SelectorTemplate& selector, const http::RequestHead& request,
                                           const PathPattern::Captures& captures,
                                           const std::optional<std::string>& identity) {
  std::string out;
  std::string value;
  for (const auto& part : selector.value.parts()) {
    if (part.kind == Template::Part::Kind::literal) {
      out += part.text;
      continue;
    }
    value.clear();
    if (!append_value(part, request, captures, identity, Repeated::first, value)) return std::nullopt;
    append_quoted(selector.kind, value, out);
  }
  return out;
}

}  // namespace

std::string_view to_string(Priority priority) noexcept {
  switch (priority) {
    case Priority::low:
      return "low";
    case Priority::normal:
      return "normal";
    case Priority::high:
      return "high";
  }
  return {};
}

std::string_view to_string(PassedOver reason) noexcept {
  switch (reason) {
    case PassedOver::none:
      return "none";
    case PassedOver::not_caching:
      return "not_caching";
    case PassedOver::method:
      return "method";
    case PassedOver::path:
      return "path";
  }
  return {};
}

std::optional<PathPattern> PathPattern::parse(std::string_view pattern, std::string& error) {
  if (!pattern.starts_with('/')) {
    error = "a path pattern begins with '/'";
    return std::nullopt;
  }
  if (pattern.find_first_of("?#") != none) {
    error = "a path pattern has no query and no fragment; say which parameters count with query:";
    return std::nullopt;
  }
  PathPattern parsed;
  parsed.text_ = pattern;
  for (std::size_t at = 0; at < pattern.size();) {
    const auto text = segment_at(pattern, at);
    at += 1 + text.size();
    if (parsed.segments_.size() == max_segments) {
      error = "a path pattern has at most " + std::to_string(max_segments) + " segments";
      return std::nullopt;
    }
    if (text == "**") {
      // "/**/**" is "/**", and costs less.
      if (!parsed.segments_.empty() && parsed.segments_.back().kind == Segment::Kind::any_number) continue;
      parsed.segments_.push_back({Segment::Kind::any_number, {}});
      continue;
    }
    if (text == "*") {
      parsed.segments_.push_back({Segment::Kind::any_one, {}});
      continue;
    }
    if (text.find('*') != none) {
      error = "'*' and '**' stand for whole segments: \"/*/\" or \"/**\", not part of one";
      return std::nullopt;
    }
    if (text.starts_with('{') && text.ends_with('}')) {
      const auto name = text.substr(1, text.size() - 2);
      if (!is_capture_name(name)) {
        error = "a capture is written {name}, of letters, digits, '_' and '-', beginning with a letter";
        return std::nullopt;
      }
      if (name == "identity") {
        error = "{identity} is the caller's identity; give the capture another name";
        return std::nullopt;
      }
      const auto is_same = [name](const Segment& s) { return s.kind == Segment::Kind::capture && s.text == name; };
      if (std::ranges::any_of(parsed.segments_, is_same)) {
        error = "each capture of a pattern has its own name; {" + std::string(name) + "} comes twice";
        return std::nullopt;
      }
      parsed.segments_.push_back({Segment::Kind::capture, std::string(name)});
      continue;
    }
    if (text.find_first_of("{}") != none) {
      error = "a capture is a whole segment: \"/{name}\"";
      return std::nullopt;
    }
    // Requests are matched in normal form, so the pattern's literals are brought to it too.
    const auto normal = http::normalise_target("/" + std::string(text));
    if (!normal || (normal->size() == 1 && !text.empty())) {
      error =
          "\"" + std::string(text) +
          "\" never occurs in a normalised path: percent-encode other bytes than those of RFC 3986, no dot segments";
      return std::nullopt;
    }
    parsed.segments_.push_back({Segment::Kind::literal, normal->substr(1)});
  }
  return parsed;
}

bool PathPattern::match(std::string_view path, Captures* captures) const {
  if (!path.starts_with('/')) return false;
  const std::size_t before = captures != nullptr ? captures->size() : 0;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = none;
  std::size_t star_path = 0;
  std::size_t star_captures = before;
  for (;;) {
    if (p < segments_.size()) {
      const auto& wanted = segments_[p];
      if (wanted.kind == Segment::Kind::any_number) {
        if (++p == segments_.size()) return true;
        star = p;
        star_path = t;
        if (captures != nullptr) star_captures = captures->size();
        continue;
      }
      if (t < path.size()) {
        const auto segment = segment_at(path, t);
        const bool is_match = wanted.kind == Segment::Kind::literal ? wanted.text == segment : !segment.empty();
        if (is_match) {
          if (wanted.kind == Segment::Kind::capture && captures != nullptr) {
            captures->emplace_back(wanted.text, segment);
          }
          ++p;
          t += 1 + segment.size();
          continue;
        }
      }
    } else if (t == path.size()) {
      return true;
    }
    if (star == none || star_path == path.size()) {
      if (captures != nullptr) captures->resize(before);
      return false;
    }
    star_path += 1 + segment_at(path, star_path).size();
    p = star;
    t = star_path;
    if (captures != nullptr) captures->resize(star_captures);
  }
}

std::vector<std::string> PathPattern::capture_names() const {
  std::vector<std::string> names;
  for (const auto& segment : segments_) {
    if (segment.kind == Segment::Kind::capture) names.push_back(segment.text);
  }
  return names;
}

bool PathPattern::covers(const PathPattern& other) const {
  const auto& mine = segments_;
  const auto& theirs = other.segments_;
  // covered[i][j]: mine from i on covers theirs from j on. Filled from the end, so at most 65 x 65 steps.
  std::vector<std::vector<bool>> covered(mine.size() + 1, std::vector<bool>(theirs.size() + 1, false));
  covered[mine.size()][theirs.size()] = true;
  for (std::size_t i = mine.size(); i-- > 0;) {
    for (std::size_t j = theirs.size() + 1; j-- > 0;) {
      if (mine[i].kind == Segment::Kind::any_number) {
        covered[i][j] = covered[i + 1][j] || (j < theirs.size() && covered[i][j + 1]);
        continue;
      }
      if (j == theirs.size() || theirs[j].kind == Segment::Kind::any_number) continue;
      const bool one = mine[i].kind == Segment::Kind::literal
                           ? theirs[j].kind == Segment::Kind::literal && theirs[j].text == mine[i].text
                           : theirs[j].kind != Segment::Kind::literal || !theirs[j].text.empty();
      covered[i][j] = one && covered[i + 1][j + 1];
    }
  }
  return covered[0][0];
}

bool PathPattern::overlaps(const PathPattern& other) const {
  using Kind = Segment::Kind;
  const auto& mine = segments_;
  const auto& theirs = other.segments_;
  const auto meet = [](const Segment& a, const Segment& b) {
    if (a.kind == Kind::literal && b.kind == Kind::literal) return a.text == b.text;
    if (a.kind == Kind::literal) return !a.text.empty();
    return b.kind != Kind::literal || !b.text.empty();
  };
  // overlap[i][j]: mine from i on and theirs from j on have a path in common. Filled from the end, as in covers().
  std::vector<std::vector<bool>> overlap(mine.size() + 1, std::vector<bool>(theirs.size() + 1, false));
  overlap[mine.size()][theirs.size()] = true;
  for (std::size_t i = mine.size() + 1; i-- > 0;) {
    for (std::size_t j = theirs.size() + 1; j-- > 0;) {
      const bool any_here = i < mine.size() && mine[i].kind == Kind::any_number;
      const bool any_there = j < theirs.size() && theirs[j].kind == Kind::any_number;
      if (any_here) overlap[i][j] = overlap[i + 1][j] || (j < theirs.size() && overlap[i][j + 1]);
      if (any_there && !overlap[i][j]) overlap[i][j] = overlap[i][j + 1] || (i < mine.size() && overlap[i + 1][j]);
      if (any_here || any_there || i == mine.size() || j == theirs.size()) continue;
      overlap[i][j] = meet(mine[i], theirs[j]) && overlap[i + 1][j + 1];
    }
  }
  return overlap[0][0];
}

std::optional<Template> Template::parse(std::string_view text, const std::vector<std::string>& known_captures,
                                        std::string& error) {
  constexpr std::string_view variables = "{query.NAME}, {header.NAME}, {cookie.NAME} or {identity}";
  if (text.empty()) {
    error = "it is empty";
    return std::nullopt;
  }
  Template parsed;
  parsed.text_ = text;
  for (std::size_t at = 0; at < text.size();) {
    const auto brace = std::min(text.find_first_of("{}", at), text.size());
    if (brace > at) parsed.parts_.push_back({Part::Kind::literal, std::string(text.substr(at, brace - at))});
    if (brace == text.size()) break;
    const auto close = text.find_first_of("{}", brace + 1);
    if (text[brace] == '}' || close == none || text[close] == '{') {
      error = "its braces do not pair: a variable is written {name}";
      return std::nullopt;
    }
    const auto name = text.substr(brace + 1, close - brace - 1);
    at = close + 1;
    if (name == "identity") {
      parsed.parts_.push_back({Part::Kind::identity, {}});
      continue;
    }
    if (const auto dot = name.find('.'); dot != none) {
      const auto source = name.substr(0, dot);
      const auto variable = name.substr(dot + 1);
      const bool is_query = source == "query";
      if (!(is_query || source == "header" || source == "cookie") || variable.empty() ||
          (!is_query && !http::is_token(variable))) {
        error = "there is no variable {" + std::string(name) + "}; it may have " + std::string(variables);
        return std::nullopt;
      }
      parsed.parts_.push_back({is_query             ? Part::Kind::query
                               : source == "header" ? Part::Kind::header
                                                    : Part::Kind::cookie,
                               std::string(variable)});
      continue;
    }
    if (std::ranges::find(known_captures, name) == known_captures.end()) {
      error = "no {" + std::string(name) + "} is captured by the path; ";
      if (known_captures.empty()) {
        error += "it captures nothing";
      } else {
        error += "it captures";
        for (const auto& known : known_captures) error += " {" + known + "}";
      }
      error += ", and there is " + std::string(variables);
      return std::nullopt;
    }
    parsed.parts_.push_back({Part::Kind::capture, std::string(name)});
  }
  return parsed;
}

bool Template::is_literal() const noexcept {
  return std::ranges::all_of(parts_, [](const Part& part) { return part.kind == Part::Kind::literal; });
}

bool Route::has_method(std::string_view method) const noexcept {
  return std::ranges::any_of(methods, [method](const std::string& mine) {
    return mine == method || mine == "*" || (method == "HEAD" && mine == "GET");
  });
}

PassedOver Route::judge(std::string_view method, std::string_view request_path, PathPattern::Captures* captures) const {
  if (!caches() && !cache_off) return PassedOver::not_caching;
  if (!has_method(method)) return PassedOver::method;
  return path.match(request_path, captures) ? PassedOver::none : PassedOver::path;
}

std::vector<Selector> Route::purges(const http::RequestHead& request) const {
  std::vector<Selector> selectors;
  PathPattern::Captures captures;
  if (purge.empty() || http::is_safe(request.method) || !has_method(request.method) ||
      !path.match(request.path(), &captures)) {
    return selectors;
  }
  const auto caller = identity ? identity_of(*identity, request) : std::nullopt;
  for (const auto& selector : purge) {
    if (auto value = expand_selector(selector, request, captures, caller)) {
      selectors.push_back({selector.kind, std::move(*value)});
    }
  }
  return selectors;
}

RouteMatch RuleSet::match_cache(std::string_view method, std::string_view path) const {
  RouteMatch match;
  match_cache(method, path, match);
  return match;
}

void RuleSet::match_cache(std::string_view method, std::string_view path, RouteMatch& match) const {
  match.route = nullptr;
  match.captures.clear();
  for (const auto& route : routes) {
    if (route.judge(method, path, &match.captures) != PassedOver::none) continue;
    match.route = &route;
    break;
  }
}

bool RuleSet::shares_hosts() const noexcept {
  return std::ranges::any_of(routes, [](const Route& route) { return route.caches() && !route.key_has_host; });
}

void number_routes(RuleSet& rules, const std::vector<CountedRoute>& before) {
  rules.counted = before;
  std::vector<bool> is_taken(before.size(), false);
  for (auto& route : rules.routes) {
    CountedRoute known{route.match_text, route.type ? route.type->name : std::string()};
    std::size_t place = 0;
    while (place < is_taken.size() && (is_taken[place] || rules.counted[place] != known)) ++place;
    if (place == is_taken.size()) {
      rules.counted.push_back(std::move(known));
      is_taken.push_back(true);
    }
    is_taken[place] = true;
    route.counter = place;
  }
}

const Type* RuleSet::type(std::string_view name) const noexcept {
  const auto found = std::ranges::find_if(types, [name](const auto& type) { return type->name == name; });
  return found == types.end() ? nullptr : found->get();
}

bool append_value(const Template::Part& part, const http::RequestHead& request, const PathPattern::Captures& captures,
                  std::optional<std::string_view> identity, Repeated repeated, std::string& out) {
  switch (part.kind) {
    case Template::Part::Kind::literal:
      out += part.text;
      return true;
    case Template::Part::Kind::capture: {
      const auto found = std::ranges::find_if(captures, [&part](const auto& c) { return c.first == part.text; });
      if (found == captures.end()) return false;
      out += found->second;
      return true;
    }
    case Template::Part::Kind::query:
      return append_found(find_parameter(request.query(), part.text), repeated, out);
    case Template::Part::Kind::header: {
      bool any = false;
      for (const auto& field : request.fields) {
        if (!http::iequals(field.name, part.text)) continue;
        if (any) out += ", ";
        out += field.value;
        any = true;
      }
      return any;
    }
    case Template::Part::Kind::cookie:
      return append_found(find_cookie(request.fields, part.text), repeated, out);
    case Template::Part::Kind::identity:
      if (!identity) return false;
      out += *identity;
      return true;
  }
  return false;
}

std::optional<std::string> expand(const Template& text, const http::RequestHead& request,
                                  const PathPattern::Captures& captures, const std::optional<std::string>& identity) {
  std::string out;
  for (const auto& part : text.parts()) {
    if (!append_value(part, request, captures, identity, Repeated::first, out)) return std::nullopt;
  }
  return out;
}

std::vector<std::string> rule_tags(const RouteMatch& match, const http::RequestHead& request) {
  const auto& route = *match.route;
  const auto identity = route.identity ? identity_of(*route.identity, request) : std::nullopt;
  std::vector<std::string> tags;
  for (const auto& tag : route.tags) {
    if (auto value = expand(tag, request, match.captures, identity)) tags.push_back(std::move(*value));
  }
  return tags;
}

bool identity_of(const IdentityRule& rule, const http::RequestHead& request, std::array<char, 64>& hex) {
  std::optional<Digest> digest;
  // Values are separated by what cannot stand in one of them: two of them never hash like one.
  const auto add = [&digest](std::string_view separator, std::string_view value) {
    if (digest) {
      digest->update(separator);
    } else {
      digest.emplace(Digest::Algorithm::sha256);
    }
    digest->update(value);
    return true;
  };
  if (rule.source == IdentityRule::Source::cookie) {
    for_each_cookie(request.fields, rule.name, [&add](std::string_view value) { return add(";", value); });
  } else {
    for (const auto& field : request.fields) {
      if (http::iequals(field.name, rule.name)) add("\n", field.value);
    }
  }
  if (!digest) return false;
  digest->finish_hex(hex.data());
  return true;
}

std::optional<std::string> identity_of(const IdentityRule& rule, const http::RequestHead& request) {
  std::array<char, 64> hex{};
  if (!identity_of(rule, request, hex)) return std::nullopt;
  return std::string(hex.data(), hex.size());
}

std::string printable_key(std::string_view key) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(key.size());
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4U];
      out += digits[byte & 0xFU];
    }
  }
  return out;
}

bool parameter_named(std::string_view raw_name, std::string_view name) noexcept {
  const bool any_ending = name.ends_with('*');
  if (any_ending) name.remove_suffix(1);
  std::size_t r = 0;
  std::size_t n = 0;
  while (n < name.size()) {
    if (r == raw_name.size() || decoded_byte(raw_name, r) != name[n]) return false;
    ++n;
  }
  return any_ending || r == raw_name.size();
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  const auto found = find_parameter(query, name);
  if (!found.value) return std::nullopt;
  std::string out;
  out.reserve(found.value->size());
  for (std::size_t at = 0; at < found.value->size();) out += decoded_byte(*found.value, at);
  return out;
}

std::optional<std::string_view> cookie(http::FieldSpan fields, std::string_view name) {
  return find_cookie(fields, name).value;
}

}  // namespace larder::policy
