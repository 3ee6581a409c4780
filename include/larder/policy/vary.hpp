#pragma once
// Vary and selecting header fields (RFC 9110 §12.5.5, RFC 9111 §4.1).
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

/// Most names that a Vary may have; with more the response matches nothing, as with "*".
inline constexpr std::size_t max_vary_names = 32;

/// The names in all Vary lines of a response, lower case, sorted, without repetition. `star` where a member is "*", is
/// not a field name (what it would select on is unknown), or is one too many.
struct VaryNames {
  bool star = false;
  std::vector<std::string> names;
};
VaryNames vary_names(http::FieldSpan response_fields);

/// The selecting header fields of a request as an injective, length-prefixed encoding of (name, absent | value) pairs
/// in the order of `names` (lower case). Values of several lines are joined and their white space around commas is
/// folded where the field may be a list, so that equal requests in the sense of RFC 9111 §4.1 encode alike; fields
/// known not to be lists (User-Agent, Cookie, Authorization, ...) are taken byte for byte. Three fields have a normal
/// form besides, which changes nothing of their meaning:
/// - Accept-Encoding and Accept-Language: lower case, members by weight and then by name, repeated ones once, a weight
///   of 1 left out and others as short as can be; "x-gzip" is "gzip" (RFC 9110 §8.4.1.3).
/// - Accept: members by weight, the order of equal ones kept, since servers settle ties by it; types, subtypes and
/// names
///   of parameters in lower case, white space about parameters gone, weights as above.
/// A value with a member that is malformed, or with more than 32 members, has none of it. Empty for no names.
std::string selecting_fields(const std::vector<std::string>& names, http::FieldSpan request_fields);

/// True where the request's fields match the stored encoding made by selecting_fields() (§4.1). Allocates nothing.
/// False for bytes that selecting_fields() did not make.
bool selecting_fields_match(std::string_view stored_encoding, http::FieldSpan request_fields);

/// The highest rank of a match.
inline constexpr unsigned full_rank = 1000;

/// How well a stored response answers a request as far as its selecting header fields go. Of several stored variants
/// the one with the highest rank is to be chosen; of equal ones the most recent (§4.1).
struct VariantMatch {
  bool matches = false;
  bool needs_decoding = false;  ///< the client does not accept the content coding, and identity it does
  unsigned rank = 0;            ///< 1 .. full_rank: the product of the qualities in thousandths; 0 for no match
};

/// Compares a request with a stored response whose selecting_fields() encoding and header fields these are. What
/// selecting_fields_match() finds equal matches here too, with full_rank: it is the origin's own choice for such a
/// request, and were it to rank below an older one that is stale, each request would go to the origin in vain. Where
/// the mechanism of a field is known (§4.1, RFC 9110 §12.5), so do responses that the request prefers:
/// - accept-encoding: coded with gzip, br or zstd, where the request accepts that coding (the rank takes its weight),
/// or
///   identity at least and no-transform does not forbid to decode (§5.2.2.6; any other match ranks higher); not coded,
///   where the request accepts none of these codings, and identity.
/// - accept-language: in one language (Content-Language) that is, in any case, one of the at most three ranges that the
///   request prefers to all others; order means nothing among equal weights (the rank takes their weight).
/// Allocates nothing, but for the lists in Cache-Control of a response that needs decoding. With an empty encoding,
/// which is a response without Vary, it matches with full_rank at once. Matches nothing for bytes that
/// selecting_fields() did not make.
VariantMatch match_variant(std::string_view stored_encoding, http::FieldSpan stored_fields,
                           http::FieldSpan request_fields);

/// The encodings that name a variant where variants are found by their names (Redis): the one to store it under, and
/// others to store it under too. Like `stored_encoding`, but a single gzip, br or zstd coding takes the place of
/// Accept-Encoding's value, since such a response serves whatever request match_variant() lets it; and a single
/// Content-Language takes that of Accept-Language's in a second name.
std::vector<std::string> variant_names(std::string_view stored_encoding, http::FieldSpan stored_fields);

/// The names under which variants that may match this request can be found, the likeliest first, twenty at the most;
/// match_variant() decides. `names`: the selecting header fields, lower case, sorted.
std::vector<std::string> variant_candidates(const std::vector<std::string>& names, http::FieldSpan request_fields);

/// The encoding of a stored response that is confirmed for another request with a Vary of its own (RFC 9111 §4.3.4):
/// what it was selected by stays, and `names` that are new are those of the request.
std::string extended_selecting(std::string_view stored_encoding, const std::vector<std::string>& names,
                               http::FieldSpan request_fields);

/// The names inside an encoding made by selecting_fields(). Foreign bytes give the names before the first fault.
std::vector<std::string> selecting_names(std::string_view stored_encoding);

/// A request that the encoding was made for: names and values of the selecting header fields that it had.
http::FieldList selecting_request(std::string_view stored_encoding);

}  // namespace larder::policy
