#pragma once
// `warm:` of a rules file as data: what is fetched before anybody asks for it. Pure.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "larder/policy/cache_control.hpp"
#include "larder/policy/normal_request.hpp"

namespace larder::policy {

/// One entry of `warm.tasks`: either requests, or the busiest keys.
struct WarmTask {
  std::string name;  ///< no other has it
  std::string file;
  int line = 0;
  std::vector<std::shared_ptr<const NormalRequest>> requests;  ///< GETs that a route caches
  std::size_t top = 0;                                         ///< so many of the busiest keys; 0: `requests`
  std::string type;                                            ///< of these keys; empty: of any type
  bool is_critical = false;                                    ///< its failures are warnings in the log
  std::optional<Seconds> interval = Seconds{300};              ///< between two runs; empty: none by time
  std::vector<std::string> after_purge;                        ///< types whose purge makes it run
};

/// All of `warm:`.
struct Warming {
  bool at_start = true;
  std::size_t concurrency = 4;                     ///< requests under way at most
  std::size_t rate = 50;                           ///< requests per second at most
  std::optional<Seconds> interval = Seconds{300};  ///< of tasks that name none
  std::string host;                                ///< of requests that name none
  std::vector<WarmTask> tasks;
  std::vector<std::string> files;  ///< of URLs that were read
};

}  // namespace larder::policy
