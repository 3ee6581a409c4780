// Resident bytes of the memory tier: what a stored response costs beyond its own bytes, and whether churn stays within
// the budget. Prints both; takes the number of responses and the churn's budget in MiB.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "larder/config/rules_reader.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/store/memory_store.hpp"

namespace {

using namespace larder;
using store::resident_bytes;

/// What an API of JSON documents answers, as the proxy stores it.
class Site {
 public:
  Site() {
    std::vector<config::Fault> faults;
    std::vector<config::Fault> warnings;
    rules_ = config::read_rules("types: { default: { ttl: 1h } }\nroutes:\n  - match: GET /**\n    cache: default\n",
                                "footprint", {}, {}, std::nullopt, faults, warnings);
    if (!rules_) throw std::runtime_error("the benchmark's rules have faults");
  }

  store::StoredPtr response(const store::PurgeLog& log, std::size_t number, std::size_t body_size) const {
    const auto target = "/1k/" + std::to_string(number);
    http::RequestHead request;
    request.method = "GET";
    request.scheme = "http";
    request.authority = "127.0.0.1:8080";
    request.target = target;
    const auto match = rules_->match_cache(request.method, request.path());
    store::StoredParts parts;
    policy::canonical_request(request, match, parts.canonical);
    parts.key = policy::cache_key(request, match, parts.canonical);
    parts.base_key_size = parts.key.size();
    parts.type = "default";
    parts.origin = "http://127.0.0.1:8080";
    parts.target = target;
    parts.stamp = log.stamp();
    parts.lifetime.freshness_lifetime = policy::Seconds{3600};
    parts.lifetime.response_time = policy::Clock::now();
    parts.reason = "OK";
    parts.fields.add("Server", "nginx");
    parts.fields.add("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    parts.fields.add("Content-Type", "application/json");
    parts.fields.add("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    parts.fields.add("ETag", "\"6b0726bf-400\"");
    parts.fields.add("Cache-Control", "public, max-age=3600");
    parts.fields.add("Accept-Ranges", "bytes");
    parts.fields.add("Via", "1.1 larder");
    parts.fields.add("X-Request-Id", "0123456789abcdef");
    parts.body = std::make_shared<const std::string>(body_size, 'b');
    return store::StoredResponse::make(std::move(parts));
  }

 private:
  std::shared_ptr<const policy::RuleSet> rules_;
};

double per(std::size_t bytes, std::size_t responses) {
  return static_cast<double>(bytes) / static_cast<double>(responses);
}

void fill(const Site& site, std::size_t responses) {
  const store::PurgeLog log(0x0123456789abcdefU);
  store::MemoryStore memory({.capacity = 64UL << 30}, log);
  const auto before = resident_bytes();
  std::size_t own = 0;
  std::size_t canonical = 0;
  for (std::size_t i = 0; i < responses; ++i) {
    const auto stored = site.response(log, i, 1024);
    own += stored->key().size() + stored->head().size() + stored->body().size();
    canonical += stored->canonical().size();
    (void)memory.insert(stored, 0);
  }
  const auto resident = resident_bytes() - before;
  const auto charged = memory.counters().bytes;
  std::printf("%zu responses of 1 KiB: resident %.1f bytes each, charged %.1f\n", responses, per(resident, responses),
              per(charged, responses));
  std::printf("beyond key, head and body: resident %.1f bytes each, charged %.1f; canonical request %.1f of them\n",
              per(resident, responses) - per(own, responses), per(charged, responses) - per(own, responses),
              per(canonical, responses));
}

// Small and large ones in turn, each phase many times what the budget holds; swept as often as a server does it that
// stores some thousand a second.
void churn(const Site& site, std::size_t budget) {
  const store::PurgeLog log(1);
  store::MemoryStore memory({.capacity = budget}, log);
  const auto before = resident_bytes();
  std::mt19937 random(7);
  std::size_t number = 0;
  std::size_t most = 0;
  struct Phase {
    const char* name;
    std::size_t least;
    std::size_t spread;
  };
  constexpr std::array<Phase, 6> phases{{{"1 KiB", 1024, 1},
                                         {"100 B to 8 KiB", 100, 8092},
                                         {"10 to 50 KiB", 10240, 40960},
                                         {"0 to 1 KiB", 0, 1024},
                                         {"100 to 600 KiB", 102400, 512000},
                                         {"100 B to 8 KiB", 100, 8092}}};
  for (const auto& phase : phases) {
    std::size_t written = 0;
    std::size_t peak = 0;
    while (written < budget * 4) {
      const auto stored = site.response(log, number++, phase.least + random() % phase.spread);
      written += stored->memory_size();
      (void)memory.insert(stored, 0);
      if (number % 256 != 0) continue;
      memory.sweep(policy::Clock::now());
      peak = std::max(peak, resident_bytes() - before);
    }
    const auto resident = std::max(resident_bytes(), before) - before;
    most = std::max({most, peak, resident});
    std::printf("churn, %s: charged %.3f of the budget, resident %.3f, at most %.3f\n", phase.name,
                per(memory.counters().bytes, budget), per(resident, budget), per(std::max(peak, resident), budget));
  }
  std::printf("churn: at most %.3f of the budget of %zu MiB resident\n", per(most, budget), budget >> 20U);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, std::size_t otherwise) {
    return argc > i ? static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)) : otherwise;
  };
  const Site site;
  fill(site, argument(1, 1'000'000));
  malloc_trim(0);
  churn(site, argument(2, 256) << 20U);
}
