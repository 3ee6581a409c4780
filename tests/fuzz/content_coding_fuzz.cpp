// Any bytes as Accept-Encoding and Content-Encoding lines: weights stay within their bounds, and one more member, or
// one more fault, never makes a coding acceptable that was refused.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http/content_coding.hpp"
#include "larder/http/weight.hpp"

namespace {

using namespace larder::http;

constexpr Coding codings[] = {Coding::identity, Coding::gzip, Coding::br, Coding::zstd};

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  std::string_view rest = all;
  std::vector<Field> accept;
  std::vector<Field> coded;
  while (accept.size() < 8 && !rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    accept.push_back({"Accept-Encoding", line});
    coded.push_back({"Content-Encoding", line});
  }
  const auto before = AcceptEncoding::of(accept);
  require(before.quality(Coding::other) == 0);
  for (const auto coding : codings) require(before.quality(coding) <= full_weight);

  for (const auto coding : codings) {
    const auto refusal = std::string(to_string(coding)) + ";q=0";
    accept.push_back({"accept-encoding", refusal});
    require(AcceptEncoding::of(accept).quality(coding) == 0);
    accept.back().value = "gzip;q=nan";
    const auto faulty = AcceptEncoding::of(accept);
    require(faulty.quality(Coding::gzip) == 0);
    require(faulty.quality(Coding::br) == before.quality(Coding::br));
    accept.pop_back();
  }

  const auto coding = content_coding(coded);
  coded.push_back({"Content-Encoding", "gzip"});
  const auto more = content_coding(coded);
  require(more == Coding::other || (more == Coding::gzip && coding == Coding::identity));

  if (const auto weight = parse_qvalue(all)) require(*weight <= full_weight && all.size() <= 5);
  const auto member = parse_weighted_token(all);
  require(member.token.empty() || is_token(member.token));
  return 0;
}
