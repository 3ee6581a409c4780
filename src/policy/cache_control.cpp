#include "larder/policy/cache_control.hpp"

#include <algorithm>

#include "larder/http/token.hpp"

namespace larder::policy {

namespace {

std::string lower(std::string_view s) {
  std::string text(s);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 0x20);
  }
  return text;
}

// cache-directive = token [ "=" ( token / quoted-string ) ] (§5.2)
struct Directive {
  std::string_view name;
  std::string_view argument;  // without its quotes
  bool has_argument = false;
  bool well_formed = false;

  [[nodiscard]] bool is(std::string_view other) const noexcept { return http::iequals(name, other); }
  // For directives that permit: an argument or a fault must not widen reuse.
  [[nodiscard]] bool permits() const noexcept { return well_formed && !has_argument; }
};

// The name is the token in front, whatever follows it: "no-store; max-age=60" is a fault, and still says no-store.
Directive split(std::string_view member) noexcept {
  Directive d;
  d.name = member.substr(
      0, static_cast<std::size_t>(std::find_if_not(member.begin(), member.end(), http::is_tchar) - member.begin()));
  const std::string_view rest = member.substr(d.name.size());
  if (rest.empty() || rest.front() != '=') {
    d.well_formed = rest.empty();
    return d;
  }
  d.has_argument = true;
  d.argument = rest.substr(1);
  if (d.argument.size() >= 2 && d.argument.front() == '"' && d.argument.back() == '"') {
    d.argument = d.argument.substr(1, d.argument.size() - 2);
    d.well_formed = d.argument.find('"') == std::string_view::npos;
  } else {
    d.well_formed = http::is_token(d.argument);
  }
  return d;
}

void read_delta(const Directive& d, DeltaSeconds& out) noexcept {
  const bool repeated = out.present;
  const DeltaSeconds before = out;
  out = DeltaSeconds{true, false, Seconds{0}};
  if (!d.well_formed || d.argument.empty()) return;
  std::int64_t value = 0;
  for (std::size_t i = 0; i < d.argument.size(); ++i) {
    // A quoted-pair stands for its second byte (RFC 9110 §5.6.4); a token holds no backslash.
    if (d.argument[i] == '\\' && ++i == d.argument.size()) return;
    const char c = d.argument[i];
    if (c < '0' || c > '9') return;
    value = std::min(value * 10 + (c - '0'), max_delta_seconds.count());
  }
  if (repeated && (!before.valid || before.value != Seconds{value})) return;
  out.valid = true;
  out.value = Seconds{value};
}

// The list of no-cache="..." or private="...". False where there is none that can be trusted: the whole is meant then.
bool read_field_names(const Directive& d, std::vector<std::string>& names) {
  if (!d.has_argument || !d.well_formed) return false;
  std::vector<std::string> read = parse_field_names(d.argument);
  if (read.empty()) return false;
  names.insert(names.end(), std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
  return true;
}

template <class Visit>
bool for_each_directive(http::FieldSpan fields, Visit visit) {
  bool any = false;
  for (const http::Field& field : fields) {
    if (!http::iequals(field.name, "Cache-Control")) continue;
    any = true;
    // What an open quotation may have swallowed restricts as it stands, and permits nothing.
    const auto quote = http::unterminated_quote(field.value);
    http::ListMembers members(field.value);
    while (const auto member = members.next()) {
      auto directive = split(*member);
      if (static_cast<std::size_t>(member->data() - field.value.data()) > quote) directive.well_formed = false;
      visit(directive);
    }
  }
  return any;
}

}  // namespace

std::vector<std::string> parse_field_names(std::string_view list) {
  std::vector<std::string> names;
  http::ListMembers members(list);
  while (const auto member = members.next()) {
    if (!http::is_token(*member)) return {};
    names.push_back(lower(*member));
  }
  return names;
}

ResponseCacheControl parse_response_cache_control(http::FieldSpan fields) {
  ResponseCacheControl cc;
  cc.any = for_each_directive(fields, [&](const Directive& d) {
    if (d.is("max-age")) {
      read_delta(d, cc.max_age);
    } else if (d.is("s-maxage")) {
      read_delta(d, cc.s_maxage);
    } else if (d.is("no-store")) {
      cc.no_store = true;
    } else if (d.is("no-cache")) {
      if (!read_field_names(d, cc.no_cache_fields)) cc.no_cache = true;
    } else if (d.is("private")) {
      if (!read_field_names(d, cc.private_fields)) cc.is_private = true;
    } else if (d.is("public")) {
      cc.is_public = cc.is_public || d.permits();
    } else if (d.is("must-revalidate")) {
      cc.must_revalidate = true;
    } else if (d.is("proxy-revalidate")) {
      cc.proxy_revalidate = true;
    } else if (d.is("must-understand")) {
      cc.must_understand = cc.must_understand || d.permits();
    } else if (d.is("no-transform")) {
      cc.no_transform = true;
    } else if (d.is("immutable")) {
      cc.immutable = cc.immutable || d.permits();
    } else if (d.is("stale-while-revalidate")) {
      read_delta(d, cc.stale_while_revalidate);
    } else if (d.is("stale-if-error")) {
      read_delta(d, cc.stale_if_error);
    }
  });
  return cc;
}

RequestCacheControl parse_request_cache_control(http::FieldSpan fields) {
  RequestCacheControl cc;
  const bool any = for_each_directive(fields, [&](const Directive& d) {
    if (d.is("no-store")) {
      cc.no_store = true;
    } else if (d.is("no-cache")) {
      cc.no_cache = true;
    } else if (d.is("only-if-cached")) {
      cc.only_if_cached = true;
    } else if (d.is("max-age")) {
      read_delta(d, cc.max_age);
    } else if (d.is("max-stale")) {
      if (d.permits()) {
        cc.max_stale_any = true;
      } else {
        read_delta(d, cc.max_stale);
      }
    } else if (d.is("min-fresh")) {
      read_delta(d, cc.min_fresh);
    } else if (d.is("stale-if-error")) {
      read_delta(d, cc.stale_if_error);
    }
  });
  if (!any) cc.no_cache = http::has_token(fields, "Pragma", "no-cache");
  // Both forms at once contradict each other: the narrower one stands.
  if (cc.max_stale.present) cc.max_stale_any = false;
  return cc;
}

}  // namespace larder::policy
