// Hits of the memory tier allocate nothing: every allocation of this program is counted.
#include <cstdlib>
#include <doctest/doctest.h>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "larder/policy/vary.hpp"
#include "larder/store/memory_store.hpp"

namespace {
thread_local std::size_t allocations = 0;
}  // namespace

// NOLINTBEGIN(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)
void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)

namespace larder::store {
namespace {

using policy::Selector;
using policy::SelectorKind;

StoredPtr response(const PurgeLog& log, const std::string& name, http::FieldSpan request, const char* vary) {
  StoredParts parts;
  parts.key = "cache:product:" + name;
  parts.base_key_size = parts.key.size();
  parts.canonical = "the canonical request of " + name;
  parts.type = "product";
  parts.origin = "http://api.example:8080";
  parts.target = "/api/products/a/target/that/is/in/no/other/text/" + name;
  parts.tags = {"product:" + name, "a tag that is longer than a string keeps in itself"};
  parts.stamp = log.stamp();
  parts.lifetime.freshness_lifetime = policy::Seconds{60};
  for (int i = 0; i < 20; ++i) parts.fields.add("X-Field-" + std::to_string(i), "its value");
  if (vary != nullptr) {
    parts.fields.add("Vary", vary);
    parts.fields.add("Content-Encoding", "gzip");
    parts.selecting = policy::selecting_fields(policy::vary_names(parts.fields).names, request);
  }
  parts.body = std::make_shared<const std::string>(1024, 'b');
  return StoredResponse::make(std::move(parts));
}

TEST_CASE("a hit allocates nothing, whether it varies or not, also where purges came since the last one") {
  const std::vector<http::Field> request{
      {"Host", "api.example:8080"}, {"Accept-Encoding", "gzip, br;q=0.5"}, {"Accept-Language", "en, de;q=0.5"}};
  for (const char* const vary : {static_cast<const char*>(nullptr), "Accept-Encoding, Accept-Language"}) {
    CAPTURE((vary != nullptr));
    PurgeLog log(1);
    MemoryStore store({}, log);
    (void)store.insert(response(log, "1", request, vary), 0);
    const std::string canonical = "the canonical request of 1";
    std::size_t hits = 0;
    std::size_t counted = 0;
    std::size_t bytes = 0;
    for (int round = 0; round < 20; ++round) {
      const auto number = std::to_string(round);
      log.apply_local(
          std::vector<Selector>{{SelectorKind::tag, "other:" + number},
                                {SelectorKind::glob, "cache:product:other:" + number + "*"},
                                {SelectorKind::path, "/api/products/*/other/" + number},
                                {SelectorKind::target, "http://api.example:8080/api/products/other/" + number},
                                {SelectorKind::key, "cache:product:other" + number}},
          false);
      const auto before = allocations;
      for (int i = 0; i < 3; ++i) {
        const auto lookup = store.find(canonical, request);
        if (!lookup.stored) continue;
        ++hits;
        // What the hit path reads.
        const auto lifetime = lookup.stored->lifetime();
        const auto fields = lookup.stored->fields();
        bytes += lookup.stored->head().size() + lookup.stored->body().size() + lookup.stored->base_key().size() +
                 fields.size() + static_cast<std::size_t>(lifetime.freshness_lifetime.count());
      }
      // The first round may make room that is kept for later ones.
      if (round > 0) counted += allocations - before;
    }
    CHECK(hits == 60);
    CHECK(bytes > 60 * 1024);
    CHECK(counted == 0);
  }
}

}  // namespace
}  // namespace larder::store
