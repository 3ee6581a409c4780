// Any bytes, in pieces of any size, to the reply reader: it must neither crash nor take memory out of proportion, and
// the pieces must make no difference.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "larder/redis/resp.hpp"

namespace {

using larder::redis::Reply;
using larder::redis::ReplyLimits;
using larder::redis::ReplyReader;

bool equal(const Reply& a, const Reply& b) {
  if (a.kind != b.kind || a.text != b.text || a.integer != b.integer || a.elements.size() != b.elements.size())
    return false;
  for (std::size_t i = 0; i < a.elements.size(); ++i)
    if (!equal(a.elements[i], b.elements[i])) return false;
  return true;
}

struct Outcome {
  std::vector<Reply> replies;
  bool broken = false;
};

Outcome read(std::string_view bytes, std::size_t piece) {
  ReplyLimits limits;
  limits.max_bulk_bytes = 1 << 16;
  limits.max_line_bytes = 1 << 10;
  limits.max_elements = 1 << 10;
  limits.max_reply_bytes = 1 << 17;
  ReplyReader reader(limits);
  Outcome outcome;
  while (!bytes.empty()) {
    std::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    for (;;) {
      Reply reply;
      const auto step = reader.next(input, reply);
      if (step == ReplyReader::Step::incomplete) break;
      if (step == ReplyReader::Step::broken) {
        if (reader.fault().empty()) std::abort();
        outcome.broken = true;
        return outcome;
      }
      outcome.replies.push_back(std::move(reply));
    }
    if (!input.empty()) std::abort();
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 32;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Outcome whole = read(bytes, bytes.size() + 1);
  const Outcome pieces = read(bytes, piece);
  if (whole.broken != pieces.broken || whole.replies.size() != pieces.replies.size()) std::abort();
  for (std::size_t i = 0; i < whole.replies.size(); ++i)
    if (!equal(whole.replies[i], pieces.replies[i])) std::abort();
  return 0;
}
