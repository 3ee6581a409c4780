// Any bytes as requests' selecting fields, as a stored response's fields and as an encoding: equal encodings and
// matches say the same, a request's own answer always has full rank, and other ranks are within their bounds. Lines of
// the input are, in turn, the values of `names` in one request, then in another, then a response's fields; the rest is
// a foreign encoding.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "larder/policy/vary.hpp"

namespace {

using namespace larder::policy;
using Fields = std::vector<larder::http::Field>;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view next_line(std::string_view& rest) {
  const auto line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

// A line that begins with "-" is a field that is not there, and each "|" in it begins another line of the same field.
Fields read_fields(const std::vector<std::string>& names, std::string_view& rest) {
  Fields fields;
  for (const auto& name : names) {
    std::string_view line = next_line(rest);
    if (line.starts_with('-')) continue;
    while (true) {
      const auto value = line.substr(0, line.find('|'));
      fields.push_back({name, value});
      if (value.size() == line.size()) break;
      line.remove_prefix(value.size() + 1);
    }
  }
  return fields;
}

void check(const VariantMatch& match) {
  require(match.rank <= full_rank);
  require(match.matches == (match.rank > 0));
  require(match.matches || !match.needs_decoding);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> names{"accept", "accept-encoding", "accept-language", "cookie", "x"};
  const auto one = read_fields(names, rest);
  const auto two = read_fields(names, rest);
  const std::vector<std::string> response_names{"Content-Encoding", "Content-Language", "Cache-Control"};
  const auto response = read_fields(response_names, rest);

  const auto encoding = selecting_fields(names, one);
  require(selecting_names(encoding) == names);
  require(selecting_fields_match(encoding, one));
  const bool equal = encoding == selecting_fields(names, two);
  require(equal == selecting_fields_match(encoding, two));

  const auto own = match_variant(encoding, response, one);
  check(own);
  require(own.rank == full_rank);
  const auto other = match_variant(encoding, response, two);
  check(other);
  require(!equal || other.rank == full_rank);

  const bool foreign = selecting_fields_match(rest, two);
  const auto match = match_variant(rest, response, two);
  check(match);
  require(!foreign || match.matches);
  (void)selecting_names(rest);
  return 0;
}
