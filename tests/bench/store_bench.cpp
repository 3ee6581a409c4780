// Key, look-up, purge check, serialised head and codec: what a hit and a store cost apart from sockets.
#include <benchmark/benchmark.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "larder/config/rules_reader.hpp"
#include "larder/policy/cache_key.hpp"
#include "larder/policy/vary.hpp"
#include "larder/store/codec.hpp"
#include "larder/store/memory_store.hpp"

namespace {

using namespace larder;

struct Site {
  explicit Site(const std::string& text) {
    std::vector<config::Fault> faults;
    std::vector<config::Fault> warnings;
    rules = config::read_rules(text, "bench", {}, {}, std::nullopt, faults, warnings);
    if (!rules) throw std::runtime_error("the benchmark's rules have faults");
    request.method = "GET";
    request.scheme = "http";
    request.authority = "api.example";
    request.target = "/api/products/42?page=3";
    request.fields = fields;
  }
  std::vector<http::Field> fields{{"Host", "api.example"},
                                  {"Accept", "*/*"},
                                  {"Accept-Encoding", "gzip, deflate, br, zstd"},
                                  {"Accept-Language", "en-US,en;q=0.5"}};
  http::RequestHead request;
  std::shared_ptr<const policy::RuleSet> rules;
};

const std::string plain_rules = "types: { page: { ttl: 1h } }\nroutes:\n  - match: GET /**\n    cache: page\n";

store::StoredPtr stored(const store::PurgeLog& log, const std::string& canonical, const std::string& vary,
                        std::size_t size) {
  const Site site(plain_rules);
  store::StoredParts parts;
  parts.key = "cache:page:0123456789abcdef0123456789abcdef";
  parts.base_key_size = parts.key.size();
  parts.canonical = canonical;
  parts.type = "page";
  parts.origin = "http://api.example";
  parts.target = "/api/products/42?page=3";
  parts.stamp = log.stamp();
  parts.lifetime.freshness_lifetime = policy::Seconds{3600};
  parts.lifetime.response_time = policy::Clock::now();
  parts.fields.add("Content-Type", "application/json");
  parts.fields.add("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
  if (!vary.empty()) {
    parts.fields.add("Vary", vary);
    parts.selecting = policy::selecting_fields(policy::vary_names(parts.fields).names, site.fields);
  }
  std::string body(size, 'x');
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i * i % 23);
  parts.body = std::make_shared<const std::string>(std::move(body));
  return store::StoredResponse::make(std::move(parts));
}

void canonical_request(benchmark::State& state) {
  const Site site(plain_rules);
  std::string canonical;
  for (auto _ : state) {
    const auto match = site.rules->match_cache(site.request.method, site.request.path());
    benchmark::DoNotOptimize(policy::canonical_request(site.request, match, canonical));
  }
}
BENCHMARK(canonical_request);

// 0: no Vary; 1: Vary: Accept-Encoding; 2: and Accept-Language.
void look_up(benchmark::State& state) {
  const Site site(plain_rules);
  const store::PurgeLog log(1);
  store::MemoryStore memory({}, log);
  const char* const varies[] = {"", "Accept-Encoding", "Accept-Encoding, Accept-Language"};
  std::string canonical;
  const auto match = site.rules->match_cache(site.request.method, site.request.path());
  policy::canonical_request(site.request, match, canonical);
  (void)memory.insert(stored(log, canonical, varies[state.range(0)], 1024), 0);
  for (auto _ : state) benchmark::DoNotOptimize(memory.find(canonical, site.fields));
}
BENCHMARK(look_up)->Arg(0)->Arg(1)->Arg(2);

// The check of one entry against live selectors that came after it and do not name it.
void purge_check(benchmark::State& state) {
  store::PurgeLog log(1);
  const auto entry = stored(log, "canonical", "", 1024);
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    const auto number = std::to_string(i);
    const std::vector<policy::Selector> selectors{{policy::SelectorKind::tag, "product:" + number},
                                                  {policy::SelectorKind::path, "/api/orders/" + number + "/**"},
                                                  {policy::SelectorKind::glob, "cache:search:" + number + "*"}};
    (void)log.apply_local(selectors, false);
  }
  for (auto _ : state) benchmark::DoNotOptimize(log.alive_since(entry->subject(), 0));
}
BENCHMARK(purge_check)->Arg(1)->Arg(100)->Arg(1000);

void encode_record(benchmark::State& state) {
  const store::PurgeLog log(1);
  const auto entry = stored(log, "canonical", "", static_cast<std::size_t>(state.range(0)));
  const store::CodecParameters parameters;
  for (auto _ : state) benchmark::DoNotOptimize(store::encode(*entry, parameters));
}
BENCHMARK(encode_record)->Arg(1024)->Arg(102400);

void decode_record(benchmark::State& state) {
  const store::PurgeLog log(1);
  const store::CodecParameters parameters;
  const auto record =
      store::encode(*stored(log, "canonical", "", static_cast<std::size_t>(state.range(0))), parameters);
  for (auto _ : state) benchmark::DoNotOptimize(store::decode(record, parameters));
}
BENCHMARK(decode_record)->Arg(1024)->Arg(102400);

}  // namespace
