#pragma once
// Weights, "qvalues" (RFC 9110 §12.4.2), and members of lists of weighted tokens such as Accept-Encoding and
// Accept-Language. Pure; allocates nothing.
#include <optional>
#include <string_view>

namespace larder::http {

/// The weight 1 in thousandths, in which all weights are counted. It is what a member without a weight has.
inline constexpr unsigned full_weight = 1000;

/// A qvalue in thousandths: "0.5" is 500. Empty for what is none: more than three decimals, above 1, a sign, an
/// exponent, no digit before the point.
std::optional<unsigned> parse_qvalue(std::string_view text) noexcept;

/// token [ OWS ";" OWS "q=" qvalue ], as one member of a list.
struct WeightedToken {
  std::string_view token;          ///< as received; empty where it is no token
  std::optional<unsigned> weight;  ///< in thousandths; empty where anything but a weight follows the token
};

/// Splits a member that ListMembers found.
WeightedToken parse_weighted_token(std::string_view member) noexcept;

}  // namespace larder::http
