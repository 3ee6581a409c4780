// X-Cache, X-Cache-Key, Age and Cache-Status (RFC 9211): what a response says of how it came about.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <fmt/format.h>

#include "larder/http/log_text.hpp"
#include "larder/policy/digest.hpp"
#include "larder/policy/explanation.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::proxy {

std::string_view forward_reason(policy::NotReused reason) noexcept {
  using policy::NotReused;
  switch (reason) {
    case NotReused::vary_miss:
      return "vary-miss";
    case NotReused::stale:
    case NotReused::no_cache:
      return "stale";
    case NotReused::incomplete:
      return "partial";
    case NotReused::request_no_cache:
    case NotReused::request_max_age:
    case NotReused::request_min_fresh:
    case NotReused::request_no_store:
    case NotReused::expectation:
    case NotReused::upgrade:
      return "request";
    case NotReused::method:
      return "method";
    case NotReused::no_route:
    case NotReused::route_off:
      return "bypass";
    default:
      return "uri-miss";
  }
}

namespace {

// Writes behind a text whose room was made before: a hit appends a dozen short pieces.
class Pen {
 public:
  /// `room`: bytes that will be written at the most.
  Pen(std::string& text, std::size_t room) : text_(text), used_(text.size()) {
    text.resize(used_ + room);
    at_ = text.data() + used_;
  }
  Pen(const Pen&) = delete;
  Pen& operator=(const Pen&) = delete;
  ~Pen() { text_.resize(static_cast<std::size_t>(at_ - text_.data())); }
  Pen& operator<<(std::string_view piece) noexcept {
    at_ = std::copy(piece.begin(), piece.end(), at_);
    return *this;
  }
  Pen& operator<<(std::int64_t number) noexcept {
    at_ = std::to_chars(at_, at_ + longest_number, number).ptr;
    return *this;
  }
  static constexpr std::size_t longest_number = 20;

 private:
  std::string& text_;
  std::size_t used_;
  char* at_ = nullptr;
};

// All names, separators and numbers that the labels may have.
constexpr std::size_t labels_room = 256;

}  // namespace

// The name of the request, of the client or new; and a new trace where the configuration wants one.
void Proxy::identify(net::Exchange& exchange) {
  const auto& trace = shared_.trace;
  const auto fields = exchange.request.fields;
  if (!trace.request_id_field.empty() &&
      !(trace.accept_request_id && exchange.request_id.take(fields, trace.request_id_field))) {
    const auto high = random_();
    exchange.request_id.make(high, random_());
  }
}

namespace {

// A key may hold any of the request that its template names.
bool may_hold_secret(const policy::Template& key, std::span<const std::string> secret_parameters) {
  using Kind = policy::Template::Part::Kind;
  return std::ranges::any_of(key.parts(), [&](const auto& part) {
    return part.kind == Kind::header || part.kind == Kind::cookie ||
           (part.kind == Kind::query && http::is_secret_parameter(part.text, secret_parameters));
  });
}

// What the access log says of the reply.
void note_labels(net::AccessRecord& record, const auto& labels, std::string_view key) {
  record.cache = policy::to_string(labels.outcome);
  const bool is_tier = labels.forward.empty() && (labels.detail == "memory" || labels.detail == "redis");
  if (labels.reason != policy::NotReused::none) record.reason = policy::to_string(labels.reason);
  if (labels.detail != record.reason) (is_tier ? record.tier : record.detail) = labels.detail;
  record.collapsed = labels.collapsed;
  record.key.assign(record.hides_key && !key.empty() ? std::string_view("(hidden)") : key);
}

}  // namespace

void Proxy::note_route(net::AccessRecord& record, const policy::Route& route) const {
  if (route.type) record.type.assign(route.type->name);
  std::array<char, 256> text{};
  const auto end = fmt::format_to_n(text.data(), text.size(), "{}:{}", route.file, route.line).out;
  record.route.assign({text.data(), static_cast<std::size_t>(end - text.data())});
  record.hides_key = route.key && may_hold_secret(*route.key, shared_.secret_parameters);
}

// Checked when the reply is made, so that nothing of it is kept and requests without the field pay nothing.
bool Proxy::wants_explanation(const Terms& terms, const http::RequestHead& request) {
  if (terms.admin_token.empty()) return false;
  const auto token = http::first_value(request.fields, http::explain_field);
  return token && http::count(request.fields, http::explain_field) == 1 &&
         policy::same_secret(*token, terms.admin_token);
}

// How the answer came about, as an Item with parameters (RFC 8941 §3.3).
void Proxy::append_explanation(std::string& lines, const Terms& terms, const Labels& labels,
                               const http::RequestHead& request) {
  lines.append(http::explain_field).append(": ").append(policy::to_string(labels.outcome));
  const auto add = [&lines](std::string_view name, std::string_view value) {
    if (!value.empty()) lines.append("; ").append(name).append("=").append(value);
  };
  if (labels.reason != policy::NotReused::none) add("reason", policy::to_string(labels.reason));
  if (labels.detail != policy::to_string(labels.reason)) add("detail", labels.detail);
  if (labels.stored) lines.append("; stored");
  if (labels.collapsed) lines.append("; collapsed");
  if (labels.forward_status != 0) add("origin-status", std::to_string(labels.forward_status));
  if (labels.age) add("current-age", std::to_string(labels.age->count()));
  if (labels.ttl) {
    add("freshness-lifetime", std::to_string((*labels.ttl + labels.age.value_or(policy::Seconds{0})).count()));
    add("lifetime-source", policy::to_string(labels.source));
  }
  if (const auto* const route = terms.rules->match_cache(request.method, request.path()).route) {
    auto place = policy::place_of(*route);
    // A String holds printable ASCII, and neither quote nor backslash as they are.
    std::ranges::replace_if(
        place, [](char c) { return c < 0x20 || c > 0x7e || c == '"' || c == '\\'; }, '?');
    add("rule", '"' + place + '"');
  }
  lines.append("\r\n");
}

void Proxy::append_labels(std::string& lines, const Terms& terms, const Labels& labels,
                          const net::Exchange& exchange) const {
  if (exchange.request.control.has(http::ControlField::explanation) && wants_explanation(terms, exchange.request)) {
    append_explanation(lines, terms, labels, exchange.request);
  }
  const auto outcome = policy::to_string(labels.outcome);
  const auto key = labels.key.empty() ? labels.stored_key : labels.key;
  if (exchange.record != nullptr) note_labels(*exchange.record, labels, key);
  const bool tells_id = shared_.trace.return_request_id && !exchange.request_id.empty();
  const auto id_room = tells_id ? shared_.trace.request_id_field.size() + http::RequestId::longest : 0;
  Pen pen(lines, id_room + labels_room + outcome.size() + shared_.cache.node_name.size() + labels.forward.size() +
                     labels.detail.size() + 2 * key.size());
  if (labels.age) pen << "Age: " << std::int64_t{labels.age->count()} << "\r\n";
  pen << "X-Cache: " << outcome << "\r\n";
  if (!labels.is_local) {
    pen << "Cache-Status: " << shared_.cache.node_name;
    if (labels.forward.empty()) {
      pen << "; hit";
    } else {
      pen << "; fwd=" << labels.forward;
      if (labels.forward_status != 0) pen << "; fwd-status=" << std::int64_t{labels.forward_status};
      if (labels.stored) pen << "; stored";
      if (labels.collapsed) pen << "; collapsed";
    }
    if (labels.ttl) pen << "; ttl=" << std::int64_t{labels.ttl->count()};
    if (!labels.detail.empty()) pen << "; detail=" << labels.detail;
    if (!key.empty()) pen << "; key=\"" << key << "\"";
    pen << "\r\n";
  }
  if (!labels.key.empty()) pen << "X-Cache-Key: " << labels.key << "\r\n";
  if (tells_id) pen << shared_.trace.request_id_field << ": " << exchange.request_id.view() << "\r\n";
}

}  // namespace larder::proxy
