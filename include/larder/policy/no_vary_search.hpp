#pragma once
// No-Vary-Search (draft-ietf-httpbis-no-vary-search): which parts of a query do not change the response, as the
// response itself says.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/field_list.hpp"

namespace larder::policy {

/// Most bytes that all names of one variance may have together in their normal form; a field with more counts as
/// absent.
inline constexpr std::size_t max_query_names_size = 4096;

/// A URL search variance (§4). The default one compares queries byte for byte.
struct QueryVariance {
  bool vary_on_key_order = true;    ///< false: parameters with different names may change places
  bool all_params_ignored = false;  ///< true: only the parameters in `names` count; false: all but those count
  /// Parameter names, sorted and unique, in their normal form: decoded (§5.3) and percent-encoded again, all but
  /// letters, digits and "-._~", hex digits in upper case.
  std::vector<std::string> names;

  /// True where queries are compared as they are (§6).
  [[nodiscard]] bool is_default() const noexcept { return vary_on_key_order && !all_params_ignored && names.empty(); }
  friend bool operator==(const QueryVariance&, const QueryVariance&) = default;
};

/// The variance that a response states (§5.1, §5.2). The default one where there is no such field, where it has any
/// fault or a known member of another type, and where it is larger than max_query_names_size. Unknown members and
/// parameters are ignored.
QueryVariance query_variance(http::FieldSpan response_fields);

/// The normal form of `query` (without its '?') under a variance: two queries are equivalent modulo that variance (§6)
/// exactly where their normal forms are equal. Under the default variance it is `query` itself; whether there was a '?'
/// is for the caller to compare then, while under any other an empty query and none are the same. Takes time n log n in
/// the length of the query, and at most nine times its room.
std::string normalised_query(const QueryVariance& variance, std::string_view query);

/// A compact text of printable ASCII, different for different variances, for use in cache keys.
std::string encode(const QueryVariance& variance);

}  // namespace larder::policy
