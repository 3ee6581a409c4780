#pragma once
// Walks over all entries on behalf of one request of the admin API: what a purge would take, which keys are busiest.
// Bounded in time, in small steps between which the thread does other work; nothing is changed or counted as a use.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "larder/admin/key_listing.hpp"
#include "larder/admin/purge_preview.hpp"
#include "larder/admin/remote_reader.hpp"
#include "larder/net/awaitable.hpp"
#include "larder/store/memory_store.hpp"

namespace larder::admin {

/// The entries of memory with the most hits.
struct BusiestEntries {
  std::vector<store::MemoryEntry> entries;  ///< the busiest first
  std::size_t examined = 0;                 ///< entries that were looked at
  bool is_complete = false;                 ///< false where time ran out first
};

/// Used on the thread of the API. What is handed in outlives it.
class EntrySurvey {
 public:
  explicit EntrySurvey(store::MemoryStore& memory) : memory_(memory) {}

  /// Shows the preview every live entry of memory, and of Redis as far as its keys may match; `reader` is null where
  /// Redis is not to be asked. True where all of it was seen.
  net::Awaitable<bool> look_through(PurgePreview& preview, RemoteReader* reader);

  /// Of the entries in memory that `takes` returns true for, the `limit` with the most hits.
  net::Awaitable<BusiestEntries> busiest(std::function<bool(const store::StoredResponse&)> takes, std::size_t limit);

 private:
  /// Visits live entries that are not expired until `visit` returns false; false where time ran out first.
  net::Awaitable<bool> walk_memory(std::function<bool(const store::MemoryEntry&)> visit);

  store::MemoryStore& memory_;
};

}  // namespace larder::admin
