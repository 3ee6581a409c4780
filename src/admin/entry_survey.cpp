#include "larder/admin/entry_survey.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "larder/net/waiter.hpp"
#include "larder/proxy/proxy.hpp"

namespace larder::admin {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds most_memory_time{1000};
constexpr milliseconds most_redis_time{2000};
constexpr std::size_t step = 500;  ///< entries per turn of the loop

}  // namespace

net::Awaitable<bool> EntrySurvey::walk_memory(std::function<bool(const store::MemoryEntry&)> visit) {
  const auto end = SteadyClock::now() + most_memory_time;
  const auto now = proxy::wall_clock();
  const auto executor = co_await net::asio::this_coro::executor;
  std::uint64_t cursor = 0;
  bool goes_on = true;
  do {
    // Every key, whatever is looked for: so that a step is `step` entries, not all of those that do not match.
    cursor = memory_.list("*", step, cursor, [&](const store::MemoryEntry& entry) {
      if (goes_on && !is_expired(*entry.stored, now)) goes_on = visit(entry);
    });
    if (cursor == 0 || !goes_on) co_return true;
    (void)co_await net::Waiter::yield(executor);
  } while (SteadyClock::now() < end);
  co_return false;
}

net::Awaitable<bool> EntrySurvey::look_through(PurgePreview& preview, RemoteReader* reader) {
  bool is_complete = co_await walk_memory([&preview](const store::MemoryEntry& entry) {
    preview.look_at(entry);
    return !preview.is_full();
  });
  if (reader == nullptr) co_return is_complete;
  const auto end = SteadyClock::now() + most_redis_time;
  std::uint64_t cursor = 0;
  do {
    auto glob = preview.key_glob();
    const auto page = co_await reader->list(std::move(glob), step, cursor);
    for (const auto& summary : page.entries) preview.look_at(summary);
    cursor = page.next;
    if (page.failed) co_return false;
  } while (cursor != 0 && !preview.is_full() && SteadyClock::now() < end);
  is_complete = is_complete && cursor == 0;
  co_return is_complete;
}

net::Awaitable<BusiestEntries> EntrySurvey::busiest(std::function<bool(const store::StoredResponse&)> takes,
                                                    std::size_t limit) {
  BusiestEntries result;
  // A heap with the least busy of the busiest at its front.
  auto& top = result.entries;
  const auto is_busier = [](const store::MemoryEntry& a, const store::MemoryEntry& b) { return a.hits > b.hits; };
  result.is_complete = co_await walk_memory([&](const store::MemoryEntry& entry) {
    ++result.examined;
    if (top.size() == limit && entry.hits <= top.front().hits) return true;
    if (!takes(*entry.stored)) return true;
    if (top.size() == limit) {
      std::ranges::pop_heap(top, is_busier);
      top.pop_back();
    }
    top.push_back(entry);
    std::ranges::push_heap(top, is_busier);
    return true;
  });
  std::ranges::sort_heap(top, is_busier);
  co_return result;
}

}  // namespace larder::admin
