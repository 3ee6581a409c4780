#pragma once
// An access log replayed against the rules: what the hit rate would have been, what is not cached and could be, and
// which query parameters split keys for nothing. The rules' own functions decide; simulated are only the entries, each
// a hash with an end and a place in a purge log. Memory is bounded, however long the log: past their bounds entries are
// forgotten and groups counted together, and the report says so.
//
// What a log does not hold cannot be simulated: fields of requests and responses. So a response counts as one without
// caching fields, which lives as the rules' ttl says; where the rules have none, its lifetime is the origin's own and
// unknown. The identity of a route with `identity:` is the logged user, or else the client's address.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/admin/access_log_line.hpp"
#include "larder/policy/freshness.hpp"
#include "larder/policy/rules.hpp"

namespace larder::admin {

/// Bounds of a replay.
struct ReplayParameters {
  std::shared_ptr<const policy::RuleSet> rules;
  bool preserve_host = true;
  std::string default_host = "api.example";  ///< of lines without one
  std::size_t most_entries = 500000;         ///< simulated at once
  std::size_t most_targets = 200000;         ///< of paths that are not cached; beyond, a sample of them
  std::size_t most_groups = 1000;            ///< of such paths
  std::size_t most_parameters = 32;          ///< looked at per route
};

/// Lifetimes that are tried for what is not cached.
inline constexpr std::array<policy::Seconds, 7> tried_ttls{
    std::chrono::seconds(10),   std::chrono::seconds(60),    std::chrono::seconds(300),  std::chrono::seconds(900),
    std::chrono::seconds(3600), std::chrono::seconds(21600), std::chrono::seconds(86400)};

/// What a replay found.
struct ReplayReport {
  struct RouteFigures {
    const policy::Route* route = nullptr;
    std::uint64_t requests = 0;  ///< that would be looked up
    std::uint64_t hits = 0;
    std::uint64_t after_purge = 0;       ///< misses of what a write in the log had purged
    std::uint64_t not_stored = 0;        ///< answers that would not be stored
    std::uint64_t unknown_lifetime = 0;  ///< answers whose lifetime only the origin's fields say
    std::uint64_t keys = 0;              ///< different ones, about
    std::uint64_t logged = 0;            ///< requests of which the log says what a cache made of them
    std::uint64_t logged_hits = 0;       ///< of those
  };
  struct UncachedPath {
    std::string pattern;                 ///< "/api/items/{id}"
    const policy::Route* off = nullptr;  ///< the route that says `cache: off`, if one does
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::uint64_t targets = 0;           ///< different ones, about
    std::uint64_t writes = 0;            ///< unsafe requests to the same pattern
    std::uint64_t changes = 0;           ///< times that a target's size was another than before, among those followed
    std::optional<policy::Seconds> ttl;  ///< proposed; empty where caching would bring nothing
    double hit_rate = 0;                 ///< with it, 0..1
  };
  struct SplittingParameter {
    const policy::Route* route = nullptr;
    std::string name;
    std::uint64_t requests = 0;
    std::uint64_t values = 0;       ///< different ones, about
    double split = 1;               ///< keys with it per key without it
    std::uint64_t compared = 0;     ///< pairs that differ in it alone
    std::uint64_t same_size = 0;    ///< of these, those with answers of one size
    bool is_for_tracking = false;   ///< its name is known for that (utm_source, gclid, …)
    bool is_to_be_ignored = false;  ///< it seems to change nothing
  };
  std::uint64_t requests = 0;
  std::uint64_t look_ups = 0;
  std::uint64_t hits = 0;
  std::uint64_t writes = 0;
  std::uint64_t passed = 0;      ///< safe requests in which the cache has no part
  std::uint64_t forgotten = 0;   ///< entries that were dropped for want of room
  std::uint64_t sample = 1;      ///< one of so many targets of uncached paths was followed
  std::uint64_t more_paths = 0;  ///< requests of uncached paths beyond the bound
  std::optional<std::chrono::system_clock::time_point> first;
  std::optional<std::chrono::system_clock::time_point> last;
  std::vector<RouteFigures> routes;            ///< the busiest first; those without a request left out
  std::vector<UncachedPath> uncached;          ///< the busiest first
  std::vector<SplittingParameter> parameters;  ///< the most splitting first
};

/// A replay in progress. Not thread-safe.
class Replay {
 public:
  explicit Replay(ReplayParameters parameters);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  /// Takes the next request of the log; the fault where it can be none.
  std::optional<LineFault> add(const LoggedRequest& request);
  [[nodiscard]] ReplayReport report() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The path with segments that look like identifiers as "{id}".
std::string path_pattern(std::string_view path);

}  // namespace larder::admin
