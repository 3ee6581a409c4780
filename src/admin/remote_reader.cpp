#include "larder/admin/remote_reader.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "larder/policy/selector.hpp"
#include "larder/proxy/purge_scripts.hpp"
#include "larder/redis/reply.hpp"

namespace larder::admin {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds deadline{2000};          ///< of one command
constexpr milliseconds most_time{250};          ///< of one walk over the keys, begun commands apart
constexpr std::size_t most_count = 1000;        ///< keys that one SCAN looks at
constexpr std::size_t most_variants = 256;      ///< of one key
constexpr std::size_t most_read_again = 64;     ///< records of a page whose front is longer than the usual
constexpr std::int64_t most_fetched = 4 << 20;  ///< bytes of a record that is fetched whole
constexpr std::string_view key_prefix = "cache:";
constexpr std::string_view usual_front = "4095";
constexpr std::string_view long_front = "262143";

using Command = std::vector<std::string_view>;

bool is_live(const store::PurgeLog& log, const policy::PurgeSubject& subject, const store::PurgeStamp& stamp) {
  return log.alive_remote(subject, stamp) == store::Liveness::alive;
}

// A page of SCAN: its keys that can be ours. Empty optional where Redis did not answer so.
struct ScanStep {
  std::uint64_t next = 0;
  std::vector<std::string> keys;
};
std::optional<ScanStep> read_scan(const boost::system::result<redis::Reply>& reply) {
  if (!reply || reply->elements.size() != 2) return std::nullopt;
  const auto next = proxy::parse_number(reply->elements[0].text);
  if (!next) return std::nullopt;
  ScanStep step{.next = *next, .keys = {}};
  for (const auto& element : reply->elements[1].elements) {
    if (element.text.starts_with(key_prefix)) step.keys.push_back(element.text);
  }
  return step;
}

net::Awaitable<std::optional<ScanStep>> scan(redis::Connection& connection, const std::string& pattern,
                                             std::uint64_t cursor, std::size_t count) {
  const auto cursor_text = std::to_string(cursor);
  const auto count_text = std::to_string(count);
  const Command command{"SCAN", cursor_text, "MATCH", pattern, "COUNT", count_text};
  const auto reply = co_await connection.command(command, deadline);
  co_return read_scan(reply);
}

}  // namespace

// The fronts of records, as summaries of the live ones. Vary markers, foreign values and damaged records are passed
// over.
net::Awaitable<std::vector<store::RecordSummary>> RemoteReader::summaries(std::vector<std::string> keys) {
  std::vector<store::RecordSummary> found;
  auto front = usual_front;
  while (!keys.empty()) {
    std::vector<Command> commands;
    commands.reserve(keys.size());
    for (const auto& key : keys) commands.push_back({"GETRANGE", key, "0", front});
    const auto replies = co_await remote_.connection().pipeline(std::move(commands), deadline);
    if (!replies) co_return found;
    std::vector<std::string> again;
    for (std::size_t i = 0; i < keys.size() && i < replies->size(); ++i) {
      const auto& reply = (*replies)[i];
      if (reply.kind != redis::Reply::Kind::string || reply.text.empty()) continue;
      auto read = store::summarise(reply.text);
      if (auto* const summary = std::get_if<store::RecordSummary>(&read)) {
        if (summary->key == keys[i] && is_live(log_, summary->subject(), summary->stamp)) {
          found.push_back(std::move(*summary));
        }
      } else if (std::get<store::DecodeError>(read) == store::DecodeError::truncated && front == usual_front &&
                 again.size() < most_read_again) {
        again.push_back(std::move(keys[i]));
      }
    }
    keys = std::move(again);
    front = long_front;
  }
  co_return found;
}

net::Awaitable<RemotePage> RemoteReader::list(std::string pattern, std::size_t limit, std::uint64_t cursor) {
  RemotePage page{.entries = {}, .next = cursor, .failed = false};
  const auto end = SteadyClock::now() + most_time;
  auto count = std::clamp<std::size_t>(limit, 1, most_count);
  do {
    const auto room = limit - page.entries.size();
    const auto step = co_await scan(remote_.connection(), pattern, page.next, count);
    if (!step) {
      page.failed = true;
      co_return page;
    }
    // A wide step that found more than there is room for is taken back and made again as a narrow one.
    if (step->keys.size() > room && count > room) {
      count = room;
      continue;
    }
    auto keys = step->keys;
    auto entries = co_await summaries(std::move(keys));
    page.next = step->next;
    std::ranges::move(entries, std::back_inserter(page.entries));
    // Few keys match: look at more of them per step.
    count = step->keys.empty() ? std::min(count * 2, most_count) : count;
  } while (page.next != 0 && page.entries.size() < limit && SteadyClock::now() < end);
  co_return page;
}

net::Awaitable<std::vector<bool>> RemoteReader::exist(std::vector<std::string> keys) {
  std::vector<bool> existing(keys.size(), false);
  std::vector<Command> commands;
  commands.reserve(keys.size());
  for (const auto& key : keys) commands.push_back({"EXISTS", key});
  if (commands.empty()) co_return existing;
  const auto replies = co_await remote_.connection().pipeline(std::move(commands), deadline);
  if (!replies) co_return existing;
  for (std::size_t i = 0; i < keys.size() && i < replies->size(); ++i) existing[i] = (*replies)[i].integer > 0;
  co_return existing;
}

net::Awaitable<std::optional<RemoteEntry>> RemoteReader::fetch(std::string key, bool& is_marker) {
  is_marker = false;
  const Command size_command{"STRLEN", key};
  const auto size = co_await remote_.connection().command(size_command, deadline);
  if (!size || size->kind != redis::Reply::Kind::integer || size->integer <= 0) co_return std::nullopt;
  if (size->integer > most_fetched) {
    std::vector<std::string> keys;
    keys.push_back(std::move(key));
    auto found = co_await summaries(std::move(keys));
    if (found.empty()) co_return std::nullopt;
    co_return RemoteEntry(std::move(found.front()));
  }
  const Command get_command{"GET", key};
  const auto reply = co_await remote_.connection().command(get_command, deadline);
  if (!reply || reply->kind != redis::Reply::Kind::string) co_return std::nullopt;
  const auto record = store::decode(reply->text, store::CodecParameters{}, log_.sequence());
  if (const auto* const marker = std::get_if<store::VaryMarker>(&record)) {
    is_marker = true;
    co_return std::nullopt;
  }
  const auto* const stored = std::get_if<store::StoredPtr>(&record);
  if (stored == nullptr || (*stored)->key() != key) co_return std::nullopt;
  if (!is_live(log_, (*stored)->subject(), (*stored)->stamp())) co_return std::nullopt;
  co_return RemoteEntry(*stored);
}

net::Awaitable<std::vector<RemoteEntry>> RemoteReader::entries(std::string key) {
  std::vector<RemoteEntry> found;
  bool is_marker = false;
  auto whole = co_await fetch(key, is_marker);
  if (whole) found.push_back(std::move(*whole));
  if (!is_marker) co_return found;

  const auto pattern = policy::glob_quoted(key) + ":*";
  const auto end = SteadyClock::now() + most_time;
  std::unordered_set<std::string> seen;
  std::uint64_t cursor = 0;
  do {
    const auto step = co_await scan(remote_.connection(), pattern, cursor, most_count);
    if (!step) co_return found;
    cursor = step->next;
    for (const auto& variant : step->keys) {
      if (found.size() >= most_variants || !seen.insert(variant).second) continue;
      auto entry = co_await fetch(variant, is_marker);
      if (!entry) continue;
      const auto* const stored = std::get_if<store::StoredPtr>(&*entry);
      const auto base =
          stored != nullptr ? (*stored)->base_key() : std::get<store::RecordSummary>(*entry).subject().base_key;
      // Another key may begin with this one and a ':'.
      if (base == key) found.push_back(std::move(*entry));
    }
  } while (cursor != 0 && found.size() < most_variants && SteadyClock::now() < end);
  co_return found;
}

}  // namespace larder::admin
