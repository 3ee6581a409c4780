#include "larder/policy/vary.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "larder/http/content_coding.hpp"
#include "larder/http/token.hpp"
#include "larder/http/weight.hpp"
#include "larder/policy/cache_control.hpp"

namespace larder::policy {

// The encoding of one selecting field is "<length>:<name>" and then "!" where the request has no such field, or
// "=<length>:<value>". Lengths are decimal without leading zeros.

namespace {

// Members of a value that is brought into a normal form; a value with more is taken as it is.
constexpr std::size_t max_members = 32;

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c; }

// Values in normal form go to one of these two: for storing, and for comparing without a copy.
class Writer {
 public:
  explicit Writer(std::string& out) noexcept : out_(out) {}
  void append(std::string_view text) { out_.append(text); }
  void append_lower(std::string_view text) {
    for (const char c : text) out_.push_back(lower(c));
  }

 private:
  std::string& out_;
};

class Comparer {
 public:
  explicit Comparer(std::string_view expected) noexcept : rest_(expected) {}
  void append(std::string_view text) noexcept {
    is_equal_ = is_equal_ && rest_.starts_with(text);
    if (is_equal_) rest_.remove_prefix(text.size());
  }
  void append_lower(std::string_view text) noexcept {
    is_equal_ = is_equal_ && rest_.size() >= text.size() &&
                std::equal(text.begin(), text.end(), rest_.begin(), [](char a, char b) { return lower(a) == b; });
    if (is_equal_) rest_.remove_prefix(text.size());
  }
  // What was appended is what was expected.
  [[nodiscard]] bool is_equal() const noexcept { return is_equal_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_equal_ = true;
};

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

template <class Visit>
void for_each_member(http::FieldSpan fields, std::string_view name, Visit visit) {
  for (const http::Field& field : fields) {
    if (!http::iequals(field.name, name)) continue;
    http::ListMembers members(field.value);
    while (const auto member = members.next()) visit(*member);
  }
}

struct Member {
  std::string_view text;  // a token, or a media range with its parameters
  unsigned weight = 0;    // thousandths
  std::size_t place = 0;  // in the list
};

// The members of a list, each read by `read`, which gives an empty optional for what it does not understand.
class Members {
 public:
  // False where one is not understood, or there are too many: nothing is known of the value's meaning then.
  template <class Read>
  bool gather(http::FieldSpan fields, std::string_view name, Read read) noexcept {
    bool is_understood = true;
    for_each_member(fields, name, [&](std::string_view text) {
      if (!is_understood) return;
      const std::optional<Member> member = size_ < max_members ? read(text) : std::nullopt;
      is_understood = member.has_value();
      if (!is_understood) return;
      members_[size_] = *member;
      members_[size_].place = size_;
      ++size_;
    });
    return is_understood;
  }
  Member* begin() noexcept { return members_.data(); }
  Member* end() noexcept { return members_.data() + size_; }

 private:
  std::array<Member, max_members> members_;
  std::size_t size_ = 0;
};

std::optional<Member> read_token(std::string_view text) noexcept {
  const auto read = http::parse_weighted_token(text);
  if (read.token.empty() || !read.weight) return std::nullopt;
  return Member{read.token, *read.weight};
}

// As read_token(); the two old names of codings mean the same as the new ones (RFC 9110 §8.4.1).
std::optional<Member> read_coding(std::string_view text) noexcept {
  auto member = read_token(text);
  if (member && (http::iequals(member->text, "x-gzip") || http::iequals(member->text, "x-compress"))) {
    member->text.remove_prefix(2);
  }
  return member;
}

struct Parameter {
  std::string_view name;
  std::string_view value;  // with its quotes, if any
};

// Takes OWS ";" OWS name "=" (token / quoted-string) away from the front of `rest`. Empty where there is none.
std::optional<Parameter> next_parameter(std::string_view& rest) noexcept {
  std::string_view left = http::trim_ows(rest);
  if (left.empty() || left.front() != ';') return std::nullopt;
  left = http::trim_ows(left.substr(1));
  const auto equals = left.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  Parameter parameter{left.substr(0, equals), {}};
  left.remove_prefix(equals + 1);
  std::size_t size = 0;
  if (!left.empty() && left.front() == '"') {
    for (size = 1; size < left.size() && left[size] != '"'; ++size) {
      if (left[size] == '\\') ++size;
    }
    if (size >= left.size()) return std::nullopt;
    ++size;
  } else {
    size = std::min(left.find_first_of("; \t"), left.size());
    if (!http::is_token(left.substr(0, size))) return std::nullopt;
  }
  if (!http::is_token(parameter.name)) return std::nullopt;
  parameter.value = left.substr(0, size);
  rest = left.substr(size);
  return parameter;
}

// type "/" subtype, parameters, and at the end a weight at most (RFC 9110 §12.5.1).
std::optional<Member> read_media_range(std::string_view text) noexcept {
  const auto end = std::min(text.find(';'), text.size());
  const std::string_view range = http::trim_ows(text.substr(0, end));
  const auto slash = std::min(range.find('/'), range.size());
  if (slash == range.size() || !http::is_token(range.substr(0, slash)) || !http::is_token(range.substr(slash + 1))) {
    return std::nullopt;
  }
  Member member{text, http::full_weight};
  std::string_view rest = text.substr(end);
  while (!rest.empty()) {
    const auto before = static_cast<std::size_t>(rest.data() - text.data());
    const auto parameter = next_parameter(rest);
    if (!parameter) return std::nullopt;
    if (!http::iequals(parameter->name, "q")) continue;
    const auto weight = http::parse_qvalue(parameter->value);
    if (!weight || !rest.empty()) return std::nullopt;
    member.text = text.substr(0, before);
    member.weight = *weight;
  }
  return member;
}

template <class Sink>
void append_media_range(std::string_view range, Sink& sink) {
  const auto end = std::min(range.find(';'), range.size());
  sink.append_lower(http::trim_ows(range.substr(0, end)));
  std::string_view rest = range.substr(end);
  while (const auto parameter = next_parameter(rest)) {
    sink.append(";");
    sink.append_lower(parameter->name);
    sink.append("=");
    sink.append(parameter->value);
  }
}

// ";q=0.5"; a weight of 1, the default (RFC 9110 §12.4.2), is left out.
template <class Sink>
void append_weight(unsigned weight, Sink& sink) {
  if (weight == http::full_weight) return;
  std::array<char, 4> digits{'.'};
  std::size_t size = 1;
  for (unsigned place = http::full_weight / 10; weight > 0; place /= 10) {
    digits[size++] = static_cast<char>('0' + weight / place);
    weight %= place;
  }
  sink.append(";q=0");
  if (size > 1) sink.append({digits.data(), size});
}

bool is_less(std::string_view a, std::string_view b) noexcept {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return lower(x) < lower(y); });
}

// Each of these appends the members in normal form; false, with nothing appended, where one of them is not understood.
template <class Sink>
bool append_weighted_tokens(http::FieldSpan fields, std::string_view name, Sink& sink) {
  Members members;
  const bool is_understood = http::iequals(name, "accept-encoding") ? members.gather(fields, name, read_coding)
                                                                    : members.gather(fields, name, read_token);
  if (!is_understood) return false;
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    return a.weight != b.weight ? a.weight > b.weight : is_less(a.text, b.text);
  });
  const Member* before = nullptr;
  for (const Member& member : members) {
    if (before != nullptr) {
      if (before->weight == member.weight && http::iequals(before->text, member.text)) continue;
      sink.append(",");
    }
    sink.append_lower(member.text);
    append_weight(member.weight, sink);
    before = &member;
  }
  return true;
}

template <class Sink>
bool append_media_ranges(http::FieldSpan fields, std::string_view name, Sink& sink) {
  Members members;
  if (!members.gather(fields, name, read_media_range)) return false;
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.place < b.place;
  });
  for (const Member& member : members) {
    if (&member != members.begin()) sink.append(",");
    append_media_range(member.text, sink);
    append_weight(member.weight, sink);
  }
  return true;
}

// Appends the value of all lines of `name`, of which there is one at least, in normal form.
template <class Sink>
void append_value(http::FieldSpan fields, std::string_view name, Sink& sink) {
  bool is_first = true;
  const auto append = [&](std::string_view text, std::string_view separator) {
    if (!is_first) sink.append(separator);
    sink.append(text);
    is_first = false;
  };
  if (is_singleton(name)) {
    // Cookie lines, split up by HTTP/2, belong together with "; " (RFC 9113 §8.2.3).
    const std::string_view separator = http::iequals(name, "cookie") ? "; " : ", ";
    for (const http::Field& field : fields) {
      if (http::iequals(field.name, name)) append(field.value, separator);
    }
    return;
  }
  if (is_weighted_tokens(name) && append_weighted_tokens(fields, name, sink)) return;
  if (http::iequals(name, "accept") && append_media_ranges(fields, name, sink)) return;
  for_each_member(fields, name, [&](std::string_view member) { append(member, ","); });
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

// §4.1: the values are equal after normalisation, or both absent.
bool is_equal(const Selecting& stored, http::FieldSpan request_fields) {
  const bool is_present = http::find(request_fields, stored.name) != nullptr;
  if (!is_present || !stored.present) return is_present == stored.present;
  Comparer comparer(stored.value);
  append_value(request_fields, stored.name, comparer);
  return comparer.is_equal();
}

// What the fields compared so far say of a match.
struct Preference {
  unsigned quality = full_rank;
  bool needs_decoding = false;
  bool is_last_resort = false;

  void weigh(unsigned weight) noexcept { quality = quality * weight / full_rank; }
  // The lowest rank is set aside, so that the smallest weight stands above it.
  [[nodiscard]] unsigned rank() const noexcept { return is_last_resort ? 1 : std::max(quality, 2U); }
};

bool match_coding(const Selecting& stored, http::FieldSpan stored_fields, http::FieldSpan request_fields,
                  Preference& preference) {
  const auto coding = http::content_coding(stored_fields);
  if (coding == http::Coding::other) return is_equal(stored, request_fields);
  const auto accept = http::AcceptEncoding::of(request_fields);
  const bool accepts_identity = accept.quality(http::Coding::identity) > 0;
  if (coding == http::Coding::identity) {
    if (is_equal(stored, request_fields)) return true;
    // An equal request's own answer goes first.
    preference.weigh(full_rank - 1);
    return accepts_identity && !accept.accepts_any_coding();
  }
  const auto weight = accept.quality(coding);
  if (weight == http::full_weight) return true;
  const bool is_own = is_equal(stored, request_fields);
  if (weight > 0) {
    if (!is_own) preference.weigh(weight);
    return true;
  }
  preference.needs_decoding = accepts_identity && !parse_response_cache_control(stored_fields).no_transform &&
                              !http::has_token(request_fields, "Cache-Control", "no-transform");
  preference.is_last_resort = !is_own;
  return is_own || preference.needs_decoding;
}

// The ranges that the request prefers to all others. Order means nothing among equal weights (RFC 9110 §12.5.4).
class PreferredLanguages {
 public:
  explicit PreferredLanguages(http::FieldSpan request_fields) noexcept {
    for_each_member(request_fields, "accept-language", [&](std::string_view text) {
      const auto member = read_token(text);
      if (!member) {
        is_understood_ = false;
        return;
      }
      if (member->weight > weight_) {
        weight_ = member->weight;
        count_ = 0;
      }
      const bool is_preferred = weight_ > 0 && member->weight == weight_ && member->text != "*";
      if (is_preferred && count_ < ranges_.size()) ranges_[count_++] = member->text;
    });
  }
  [[nodiscard]] unsigned weight() const noexcept { return weight_; }
  // Few, as each of them is a name to look under.
  [[nodiscard]] std::span<const std::string_view> ranges() const noexcept {
    return is_understood_ ? std::span(ranges_).first(count_) : std::span<const std::string_view>{};
  }
  [[nodiscard]] bool has(std::string_view language) const noexcept {
    const auto all = ranges();
    return std::any_of(all.begin(), all.end(), [&](std::string_view range) { return http::iequals(range, language); });
  }

 private:
  std::array<std::string_view, 3> ranges_{};
  std::size_t count_ = 0;
  unsigned weight_ = 0;
  bool is_understood_ = true;
};

// The one language of a response; empty where it has none or several.
std::string_view single_language(http::FieldSpan stored_fields) noexcept {
  std::string_view language;
  std::size_t languages = 0;
  for_each_member(stored_fields, "content-language", [&](std::string_view tag) {
    language = tag;
    ++languages;
  });
  return languages == 1 ? language : std::string_view{};
}

// A value in a variant's name that no request can have.
std::string chosen(std::string_view what) {
  std::string value(1, '\x1f');
  Writer(value).append_lower(what);
  return value;
}

// Is it the Accept-Encoding of a request that accepts no coding?
bool wants_no_coding(const Selecting& field) noexcept {
  if (!field.present) return true;
  const http::Field presented{field.name, field.value};
  return !http::AcceptEncoding::of({&presented, 1}).accepts_any_coding();
}

void append_item(const Selecting& field, const std::optional<std::string>& instead, std::string& out) {
  append_netstring(field.name, out);
  if (!instead && !field.present) {
    out.push_back('!');
    return;
  }
  out.push_back('=');
  append_netstring(instead ? std::string_view(*instead) : field.value, out);
}

// RFC 9110 §12.5.4: who is offered what it prefers to all else would not be given another language.
bool match_language(const Selecting& stored, http::FieldSpan stored_fields, http::FieldSpan request_fields,
                    Preference& preference) {
  if (is_equal(stored, request_fields)) return true;
  const auto language = single_language(stored_fields);
  if (language.empty()) return false;
  const PreferredLanguages preferred(request_fields);
  if (!preferred.has(language)) return false;
  // Among several that are preferred alike, an equal request's own answer goes first.
  preference.weigh(preferred.ranges().size() == 1 ? preferred.weight() : std::min(preferred.weight(), full_rank - 1));
  return true;
}

}  // namespace

VaryNames vary_names(http::FieldSpan response_fields) {
  VaryNames vary;
  for (const http::Field& field : response_fields) {
    if (!http::iequals(field.name, "Vary")) continue;
    http::ListMembers members(field.value);
    while (const auto member = members.next()) {
      if (*member == "*" || !http::is_token(*member)) {
        vary.star = true;
        continue;
      }
      std::string name;
      Writer(name).append_lower(*member);
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
    if (http::find(request_fields, name) == nullptr) {
      encoding.push_back('!');
      continue;
    }
    value.clear();
    Writer writer(value);
    append_value(request_fields, name, writer);
    encoding.push_back('=');
    append_netstring(value, encoding);
  }
  return encoding;
}

bool selecting_fields_match(std::string_view stored_encoding, http::FieldSpan request_fields) {
  Decoder decoder(stored_encoding);
  while (const auto field = decoder.next()) {
    if (!is_equal(*field, request_fields)) return false;
  }
  return !decoder.failed();
}

VariantMatch match_variant(std::string_view stored_encoding, http::FieldSpan stored_fields,
                           http::FieldSpan request_fields) {
  if (stored_encoding.empty()) return {.matches = true, .needs_decoding = false, .rank = full_rank};
  Preference preference;
  Decoder decoder(stored_encoding);
  while (const auto field = decoder.next()) {
    const bool matches =
        field->name == "accept-encoding"   ? match_coding(*field, stored_fields, request_fields, preference)
        : field->name == "accept-language" ? match_language(*field, stored_fields, request_fields, preference)
                                           : is_equal(*field, request_fields);
    if (!matches) return {};
  }
  if (decoder.failed()) return {};
  return {.matches = true, .needs_decoding = preference.needs_decoding, .rank = preference.rank()};
}

std::vector<std::string> variant_names(std::string_view stored_encoding, http::FieldSpan stored_fields) {
  std::string first;
  std::string second;
  Decoder decoder(stored_encoding);
  const auto coding = http::content_coding(stored_fields);
  const bool is_plain = coding == http::Coding::identity;
  const bool is_decodable = !is_plain && coding != http::Coding::other;
  const auto language = single_language(stored_fields);
  while (const auto field = decoder.next()) {
    if (field->name == "accept-encoding" && (is_decodable || (is_plain && wants_no_coding(*field)))) {
      append_item(*field, chosen(http::to_string(coding)), first);
      append_item(*field, chosen(http::to_string(coding)), second);
      continue;
    }
    append_item(*field, std::nullopt, first);
    const bool by_language = field->name == "accept-language" && !language.empty();
    append_item(*field, by_language ? std::optional(chosen(language)) : std::nullopt, second);
  }
  if (first == second) return {std::move(first)};
  return {std::move(first), std::move(second)};
}

std::vector<std::string> variant_candidates(const std::vector<std::string>& names, http::FieldSpan request_fields) {
  const auto exact = selecting_fields(names, request_fields);
  std::vector<std::optional<std::string>> codings{std::nullopt};
  std::vector<std::optional<std::string>> languages{std::nullopt};
  if (std::ranges::binary_search(names, std::string_view("accept-encoding"))) {
    const auto accept = http::AcceptEncoding::of(request_fields);
    if (!accept.accepts_any_coding()) codings.emplace_back(chosen(http::to_string(http::Coding::identity)));
    for (const auto coding : {http::Coding::gzip, http::Coding::br, http::Coding::zstd}) {
      codings.emplace_back(chosen(http::to_string(coding)));
    }
  }
  if (std::ranges::binary_search(names, std::string_view("accept-language"))) {
    const PreferredLanguages preferred(request_fields);
    for (const auto range : preferred.ranges()) languages.emplace_back(chosen(range));
  }
  std::vector<std::string> candidates;
  for (const auto& language : languages) {
    for (const auto& coding : codings) {
      std::string candidate;
      Decoder decoder(exact);
      while (const auto field = decoder.next()) {
        append_item(*field,
                    field->name == "accept-encoding"   ? coding
                    : field->name == "accept-language" ? language
                                                       : std::nullopt,
                    candidate);
      }
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

std::string extended_selecting(std::string_view stored_encoding, const std::vector<std::string>& names,
                               http::FieldSpan request_fields) {
  auto all = selecting_names(stored_encoding);
  all.insert(all.end(), names.begin(), names.end());
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  const auto presented = selecting_fields(all, request_fields);
  std::string extended;
  Decoder decoder(presented);
  while (const auto field = decoder.next()) {
    Decoder stored(stored_encoding);
    std::optional<Selecting> own;
    while (const auto candidate = stored.next()) {
      if (candidate->name == field->name) own = candidate;
    }
    append_item(own ? *own : *field, std::nullopt, extended);
  }
  return extended;
}

std::vector<std::string> selecting_names(std::string_view stored_encoding) {
  std::vector<std::string> names;
  Decoder decoder(stored_encoding);
  while (const auto field = decoder.next()) names.emplace_back(field->name);
  return names;
}

http::FieldList selecting_request(std::string_view stored_encoding) {
  http::FieldList fields;
  Decoder decoder(stored_encoding);
  while (const auto field = decoder.next()) {
    if (field->present) fields.add(field->name, field->value);
  }
  return fields;
}

}  // namespace larder::policy
