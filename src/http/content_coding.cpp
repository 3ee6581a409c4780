#include "larder/http/content_coding.hpp"

#include <algorithm>

#include "larder/http/weight.hpp"

namespace larder::http {

std::string_view to_string(Coding coding) noexcept {
  switch (coding) {
    case Coding::identity:
      return "identity";
    case Coding::gzip:
      return "gzip";
    case Coding::br:
      return "br";
    case Coding::zstd:
      return "zstd";
    case Coding::other:
      return {};
  }
  return {};
}

Coding parse_coding(std::string_view name) noexcept {
  if (iequals(name, "gzip") || iequals(name, "x-gzip")) return Coding::gzip;
  if (iequals(name, "br")) return Coding::br;
  if (iequals(name, "zstd")) return Coding::zstd;
  if (iequals(name, "identity")) return Coding::identity;
  return Coding::other;
}

Coding content_coding(FieldSpan fields) noexcept {
  bool is_first = true;
  Coding coding = Coding::identity;
  for (const Field& field : fields) {
    if (!iequals(field.name, "Content-Encoding")) continue;
    ListMembers members(field.value);
    while (const auto member = members.next()) {
      if (!is_first) return Coding::other;
      coding = parse_coding(*member);
      is_first = false;
    }
  }
  return coding;
}

AcceptEncoding AcceptEncoding::of(FieldSpan request_fields) noexcept {
  constexpr unsigned short unmentioned = full_weight + 1;
  AcceptEncoding accept;
  std::array<unsigned short, 4> listed{unmentioned, unmentioned, unmentioned, unmentioned};
  unsigned short rest = unmentioned;  // what "*" says
  bool has_members = false;
  for (const Field& field : request_fields) {
    if (!iequals(field.name, "Accept-Encoding")) continue;
    ListMembers members(field.value);
    while (const auto member = members.next()) {
      has_members = true;
      const WeightedToken read = parse_weighted_token(*member);
      const auto weight = static_cast<unsigned short>(read.weight.value_or(0));
      if (read.token == "*") {
        rest = std::min(rest, weight);
        continue;
      }
      const Coding coding = parse_coding(read.token);
      if (coding == Coding::other) continue;
      auto& known = listed[static_cast<std::size_t>(coding)];
      known = std::min(known, weight);
    }
  }
  if (!has_members) return accept;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    const bool is_identity = i == static_cast<std::size_t>(Coding::identity);
    const auto fallback = static_cast<unsigned short>(is_identity ? 1 : 0);
    accept.quality_[i] = listed[i] != unmentioned ? listed[i] : rest != unmentioned ? rest : fallback;
  }
  return accept;
}

unsigned AcceptEncoding::quality(Coding coding) const noexcept {
  return coding == Coding::other ? 0 : quality_[static_cast<std::size_t>(coding)];
}

bool AcceptEncoding::accepts_any_coding() const noexcept {
  return quality(Coding::gzip) > 0 || quality(Coding::br) > 0 || quality(Coding::zstd) > 0;
}

}  // namespace larder::http
