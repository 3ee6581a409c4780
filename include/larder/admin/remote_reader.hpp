#pragma once
// Reads the entries of the Redis tier for listing and showing: bounded work per call, nothing counted as a use, nothing
// changed. What fails is told as absent; the error is Redis's and shows in the statistics of the tier.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "larder/net/awaitable.hpp"
#include "larder/proxy/remote_store.hpp"
#include "larder/redis/connection.hpp"
#include "larder/store/codec.hpp"
#include "larder/store/purge_log.hpp"

namespace larder::admin {

/// Some entries of Redis, and where to go on.
struct RemotePage {
  std::vector<store::RecordSummary> entries;  ///< alive; a key may come twice (SCAN)
  std::uint64_t next = 0;                     ///< SCAN cursor; 0 at the end, `failed` where Redis did not answer
  bool failed = false;                        ///< then `next` is where it stopped
};

/// A stored response of Redis: whole, or the front of one that is too large to be fetched for this.
using RemoteEntry = std::variant<store::StoredPtr, store::RecordSummary>;

/// Used on the thread of `remote`.
class RemoteReader {
 public:
  RemoteReader(proxy::RemoteStore& remote, const store::PurgeLog& log) : remote_(remote), log_(log) {}

  /// Live entries whose key matches the glob, from a SCAN cursor on (0 at first), until `limit` are there, the keys are
  /// at an end, or enough was looked at for one call. A few more than `limit` may come, as Redis hands keys out in
  /// groups.
  net::Awaitable<RemotePage> list(std::string pattern, std::size_t limit, std::uint64_t cursor);

  /// Which of the keys exist in Redis, in their order; all false where it does not answer.
  net::Awaitable<std::vector<bool>> exist(std::vector<std::string> keys);

  /// The live entries under a cache key: that one, or its variants. Those of a key with variants are looked for among
  /// all keys, for a bounded time.
  net::Awaitable<std::vector<RemoteEntry>> entries(std::string key);

 private:
  net::Awaitable<std::vector<store::RecordSummary>> summaries(std::vector<std::string> keys);
  net::Awaitable<std::optional<RemoteEntry>> fetch(std::string key, bool& is_marker);

  proxy::RemoteStore& remote_;
  const store::PurgeLog& log_;
};

}  // namespace larder::admin
