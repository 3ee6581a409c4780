#pragma once
// How the warming of one request ended.
#include <string>
#include <string_view>

namespace larder::proxy {

/// By name.
enum class Warmed : unsigned char {
  fresh,         ///< what is stored is fresh for long enough: the origin was not asked
  stored,        ///< fetched and stored
  revalidated,   ///< the origin has confirmed what is stored (304)
  not_stored,    ///< the origin's answer may not be stored, or could not be
  error_status,  ///< the origin answered with 4xx or 5xx, whether or not that is stored
  origin_error,  ///< the origin gave no whole answer
  not_cached,    ///< no route caches it
  count_         ///< number of enumerators, not an outcome
};
std::string_view to_string(Warmed end) noexcept;

/// True where the next client is answered from the cache.
constexpr bool is_warm(Warmed end) noexcept {
  return end == Warmed::fresh || end == Warmed::stored || end == Warmed::revalidated;
}

/// The end, and more about it.
struct WarmResult {
  Warmed end = Warmed::fresh;
  std::string detail;  ///< why it is not warm: the name of a reason, a status code, an error; else empty
};

}  // namespace larder::proxy
