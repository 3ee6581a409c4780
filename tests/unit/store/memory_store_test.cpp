#include "larder/store/memory_store.hpp"

#include <algorithm>
#include <atomic>
#include <doctest/doctest.h>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "larder/policy/vary.hpp"

namespace larder::store {
namespace {

using policy::NotReused;
using policy::NotStored;
using policy::Priority;
using policy::Seconds;
using policy::Selector;
using policy::SelectorKind;
using policy::TimePoint;

const TimePoint noon{std::chrono::hours{24 * 365 * 50}};

StoredParts parts_of(const PurgeLog& log, std::string name, std::size_t body_size = 100) {
  StoredParts parts;
  parts.key = "cache:product:" + name;
  parts.base_key_size = parts.key.size();
  parts.canonical = "canonical " + name;
  parts.type = "product";
  parts.target = "/api/products/" + name;
  parts.tags = {"product:" + name};
  parts.stamp = log.stamp();
  parts.lifetime.freshness_lifetime = Seconds{60};
  parts.lifetime.response_time = noon;
  parts.lifetime.must_revalidate = true;  // so that retention is the freshness lifetime
  parts.body = std::make_shared<const std::string>(body_size, 'b');
  return parts;
}
StoredPtr response(const PurgeLog& log, std::string name, std::size_t body_size = 100) {
  return StoredResponse::make(parts_of(log, std::move(name), body_size));
}
StoredPtr variant(const PurgeLog& log, std::string name, const std::string& language) {
  auto parts = parts_of(log, std::move(name));
  const std::vector<http::Field> request{{"Accept-Language", language}};
  parts.selecting = policy::selecting_fields({"accept-language"}, request);
  parts.key += ":" + language;
  return StoredResponse::make(std::move(parts));
}
NotStored put(MemoryStore& store, const StoredPtr& stored) { return store.insert(stored, stored->stamp().sequence); }
Lookup get(MemoryStore& store, const std::string& name, bool count_hit = true) {
  return store.find("canonical " + name, {}, count_hit);
}
Lookup get_in(MemoryStore& store, const std::string& name, const std::string& language) {
  const std::vector<http::Field> request{{"Accept-Language", language}};
  return store.find("canonical " + name, request);
}
std::vector<Selector> tag(const std::string& name) { return {{SelectorKind::tag, "product:" + name}}; }

std::vector<std::string> listed(MemoryStore& store, std::string_view glob, std::size_t limit) {
  std::vector<std::string> keys;
  std::uint64_t cursor = 0;
  int pages = 0;
  do {
    cursor = store.list(glob, limit, cursor, [&](const MemoryEntry& e) { keys.emplace_back(e.stored->key()); });
    REQUIRE(++pages < 100000);
  } while (cursor != 0);
  std::ranges::sort(keys);
  return keys;
}

TEST_CASE("what is inserted is found by its canonical request, and by nothing else") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  const auto stored = response(log, "42");
  CHECK(get(store, "42").reason == NotReused::absent);
  CHECK(put(store, stored) == NotStored::none);
  CHECK(get(store, "42").stored == stored);
  CHECK(get(store, "42").reason == NotReused::none);
  CHECK(get(store, "4").reason == NotReused::absent);
  CHECK(get(store, "420").reason == NotReused::absent);
  const auto counters = store.counters();
  CHECK(counters.entries == 1);
  CHECK(counters.insertions == 1);
  CHECK(counters.bytes > stored->memory_size());
}

TEST_CASE("another response of the same request takes the place of the first") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  put(store, response(log, "1", 5008));
  const auto bytes = store.counters().bytes;
  (void)get(store, "1");
  const auto second = response(log, "1", 6016);
  CHECK(put(store, second) == NotStored::none);
  CHECK(get(store, "1").stored == second);
  CHECK(store.counters().entries == 1);
  CHECK(store.counters().bytes == bytes + 1008);
  // Hits are the resource's.
  const auto held = store.by_key("cache:product:1");
  REQUIRE(held.size() == 1);
  CHECK(held[0].hits == 2);
}

TEST_CASE("an older answer that comes late does not take the place of a newer one") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  const auto old = response(log, "1");
  log.apply_local(tag("other"), false);
  const auto young = response(log, "1");
  CHECK(put(store, young) == NotStored::none);
  CHECK(put(store, old) == NotStored::none);
  CHECK(get(store, "1").stored == young);
  CHECK(store.counters().entries == 1);
}

TEST_CASE("variants: selected by the request's fields, newest first") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 1UL << 20, .max_variants = 3}, log);
  const auto english = variant(log, "1", "en");
  const auto german = variant(log, "1", "de");
  put(store, english);
  put(store, german);
  CHECK(get_in(store, "1", "en").stored == english);
  CHECK(get_in(store, "1", "de").stored == german);
  CHECK(get_in(store, "1", "fr").reason == NotReused::vary_miss);
  CHECK(get(store, "1").reason == NotReused::vary_miss);
  SUBCASE("equal selecting fields replace") {
    const auto again = variant(log, "1", "en");
    put(store, again);
    CHECK(get_in(store, "1", "en").stored == again);
    CHECK(store.counters().entries == 2);
  }
  SUBCASE("of two that match the newest wins") {
    const auto plain = response(log, "1");
    put(store, plain);
    CHECK(get_in(store, "1", "en").stored == plain);
    CHECK(get_in(store, "1", "it").stored == plain);
    put(store, variant(log, "1", "en"));
    CHECK(get_in(store, "1", "en").stored->key() == "cache:product:1:en");
    // Older than one with Vary: its own was left out.
    CHECK(get_in(store, "1", "it").reason == NotReused::vary_miss);
    CHECK(get_in(store, "1", "de").stored == german);
    store.erase(get_in(store, "1", "en").stored);
    CHECK(get_in(store, "1", "it").stored == plain);
  }
  SUBCASE("past max_variants the oldest goes") {
    put(store, variant(log, "1", "fr"));
    put(store, variant(log, "1", "it"));
    CHECK(get_in(store, "1", "en").reason == NotReused::vary_miss);
    CHECK(get_in(store, "1", "de").stored);
    CHECK(get_in(store, "1", "it").stored);
    CHECK(store.counters().entries == 3);
    CHECK(store.counters().evictions == 1);
  }
  SUBCASE("one dies alone") {
    log.apply_local(std::vector<Selector>{{SelectorKind::key, "cache:product:1:en"}}, false);
    CHECK(get_in(store, "1", "en").reason == NotReused::purged);
    CHECK(get_in(store, "1", "en").reason == NotReused::vary_miss);
    CHECK(get_in(store, "1", "de").stored == german);
  }
  SUBCASE("erase takes that one only") {
    store.erase(german);
    CHECK(get_in(store, "1", "de").reason == NotReused::vary_miss);
    CHECK(get_in(store, "1", "en").stored == english);
    store.erase(german);
    store.erase(english);
    CHECK(get_in(store, "1", "en").reason == NotReused::absent);
    CHECK(store.counters().entries == 0);
    CHECK(store.counters().bytes == 0);
  }
  SUBCASE("by key, with and without the suffix") {
    CHECK(store.by_key("cache:product:1:en").size() == 1);
    CHECK(store.by_key("cache:product:1").size() == 2);
    CHECK(store.by_key("cache:product:2").empty());
    CHECK(store.by_key("cache:product:*").empty());
  }
}

TEST_CASE("variants: the one that the request prefers, of equal ones the newest, of dead ones none") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  const auto coded = [&log](const std::string& coding, const std::string& name, bool is_fixed = false) {
    auto parts = parts_of(log, "1");
    const std::vector<http::Field> request{{"Accept-Encoding", coding}};
    parts.selecting = policy::selecting_fields({"accept-encoding"}, request);
    parts.fields.add("Content-Encoding", coding);
    if (is_fixed) parts.fields.add("Cache-Control", "no-transform");
    parts.key += ":" + name;
    return StoredResponse::make(std::move(parts));
  };
  const auto find = [&store](std::string_view accept) {
    const std::vector<http::Field> request{{"Accept-Encoding", accept}};
    return store.find("canonical 1", request);
  };
  const auto br = coded("br", "br");
  const auto gzip = coded("gzip", "gzip");
  put(store, br);
  put(store, gzip);

  CHECK(find("gzip").stored == gzip);
  CHECK(find("br").stored == br);
  CHECK(find("br, gzip").stored == gzip);
  CHECK(find("br, gzip;q=0.5").stored == br);
  CHECK(find("br;q=0.1, gzip;q=0.5").stored == gzip);
  CHECK_FALSE(find("br, gzip;q=0.5").needs_decoding);
  CHECK(find("").stored == gzip);
  CHECK(find("").needs_decoding);
  CHECK(get(store, "1").stored == gzip);
  CHECK(get(store, "1").needs_decoding);
  CHECK(find("identity;q=0").reason == NotReused::vary_miss);
  CHECK_FALSE(find("identity;q=0").needs_decoding);

  SUBCASE("the chosen one is dead") {
    log.apply_local(std::vector<Selector>{{SelectorKind::key, "cache:product:1:br"}}, false);
    CHECK(find("br, gzip;q=0.5").stored == gzip);
    CHECK(find("br, gzip;q=0.5").reason == NotReused::none);
    CHECK(store.counters().entries == 1);
  }
  SUBCASE("all are dead") {
    log.apply_local(tag("1"), false);
    CHECK(find("br, gzip").reason == NotReused::purged);
    CHECK(store.counters().entries == 0);
  }
  SUBCASE("one that may not be decoded makes room for one that may") {
    const auto zstd = coded("zstd", "zstd", true);
    put(store, zstd);
    CHECK(find("zstd").stored == zstd);
    CHECK(find("identity").stored == gzip);
  }
  SUBCASE("an equal request's own answer goes before an older one that it prefers") {
    auto parts = parts_of(log, "1");
    const std::vector<http::Field> request{{"Accept-Encoding", "br, gzip;q=0.5"}};
    parts.selecting = policy::selecting_fields({"accept-encoding"}, request);
    parts.fields.add("Content-Encoding", "gzip");
    const auto own = StoredResponse::make(std::move(parts));
    put(store, own);
    CHECK(find("br, gzip;q=0.5").stored == own);
    CHECK(find("br, gzip;q=0.6").stored == br);
  }
  SUBCASE("a hit is counted for the one that is chosen") {
    const auto hits = [&store](const std::string& key) { return store.by_key(key).at(0).hits; };
    const auto before_br = hits("cache:product:1:br");
    const auto before_gzip = hits("cache:product:1:gzip");
    (void)find("br, gzip;q=0.5");
    CHECK(hits("cache:product:1:br") == before_br + 1);
    CHECK(hits("cache:product:1:gzip") == before_gzip);
  }
}

TEST_CASE("by_key finds every variant under the base key") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  for (const auto* language : {"en", "de", "fr"}) {
    auto parts = parts_of(log, "1");
    parts.selecting =
        policy::selecting_fields({"accept-language"}, std::vector<http::Field>{{"Accept-Language", language}});
    parts.key += std::string(":") + language;  // base_key_size stays
    put(store, StoredResponse::make(std::move(parts)));
  }
  put(store, response(log, "10"));
  CHECK(store.by_key("cache:product:1").size() == 3);
  CHECK(store.by_key("cache:product:1:de").size() == 1);
}

TEST_CASE("a purge kills; what is stored after it lives") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  put(store, response(log, "1"));
  put(store, response(log, "2"));
  log.apply_local(tag("1"), false);
  CHECK(get(store, "1").reason == NotReused::purged);
  CHECK(get(store, "1").reason == NotReused::absent);
  CHECK(get(store, "2").stored);
  CHECK(store.counters().purged == 1);
  put(store, response(log, "1"));
  CHECK(get(store, "1").stored);
  log.enter_epoch(2, 0, 0);
  CHECK(get(store, "1").reason == NotReused::epoch);
}

TEST_CASE("a fill that raced with a purge is not stored, nor does it matter when it is noticed") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  const auto raced = response(log, "1");
  const auto other = response(log, "2");
  log.apply_local(tag("1"), true);
  CHECK(put(store, raced) == NotStored::purged_while_filling);
  CHECK(put(store, other) == NotStored::none);
  CHECK(get(store, "1").reason == NotReused::absent);
  CHECK(store.counters().entries == 1);
  // A newer answer that a purge has killed does not keep an answer away that lives.
  const auto young = response(log, "3");
  put(store, young);
  log.apply_local(tag("3"), true);
  CHECK(store.insert(response(log, "3"), log.sequence()) == NotStored::none);
  CHECK(get(store, "3").stored != young);
}

TEST_CASE("switched off: nothing is held, and nothing is said against storing elsewhere") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 0}, log);
  const auto stored = response(log, "1");
  CHECK(put(store, stored) == NotStored::none);
  CHECK(get(store, "1").reason == NotReused::absent);
  store.erase(stored);
  store.sweep(noon);
  CHECK(store.list("*", 10, 0, [](const MemoryEntry&) { FAIL("nothing is held"); }) == 0);
  CHECK(store.by_key("cache:product:1").empty());
  CHECK(store.counters().entries == 0);
}

TEST_CASE("the budget is kept exactly, small ones too") {
  for (const std::size_t capacity : {64UL << 10, 1UL << 20, 16UL << 20}) {
    CAPTURE(capacity);
    PurgeLog log(1);
    MemoryStore store({.capacity = capacity}, log);
    std::mt19937 random(7);
    std::size_t stored = 0;
    for (int i = 0; i < 3000; ++i) {
      // Some larger than a stripe's share.
      const auto size = i % 50 == 0 ? capacity / 10 : random() % 3000;
      const auto result = put(store, response(log, std::to_string(i), size));
      REQUIRE(result == NotStored::none);
      ++stored;
      REQUIRE(store.counters().bytes <= capacity);
    }
    const auto counters = store.counters();
    CHECK(counters.insertions == stored);
    CHECK(counters.evictions + counters.entries == stored);
    if (counters.evictions > 0) CHECK(counters.bytes > capacity / 10 * 7);
    std::size_t found = 0;
    for (int i = 0; i < 3000; ++i) found += get(store, std::to_string(i)).stored ? 1U : 0U;
    CHECK(found == counters.entries);
  }
}

TEST_CASE("larger than an eighth of the budget is too large, and disturbs nothing") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 1UL << 20}, log);
  put(store, response(log, "small"));
  CHECK(put(store, response(log, "large", store.max_entry())) == NotStored::too_large);
  CHECK(put(store, response(log, "fits", store.max_entry() - 2000)) == NotStored::none);
  CHECK(get(store, "small").stored);
  CHECK(get(store, "fits").stored);
  CHECK(store.counters().evictions == 0);
}

TEST_CASE("SIEVE: what is used stays, what is not goes") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 1UL << 20}, log);
  for (int i = 0; i < 100; ++i) put(store, response(log, "hot" + std::to_string(i), 1000));
  for (int i = 0; i < 5000; ++i) {
    (void)get(store, "hot" + std::to_string(i % 100));
    put(store, response(log, "scan" + std::to_string(i), 1000));
  }
  int hot = 0;
  for (int i = 0; i < 100; ++i) hot += get(store, "hot" + std::to_string(i)).stored ? 1 : 0;
  CHECK(hot == 100);
  CHECK(store.counters().evictions > 4000);
}

TEST_CASE("priority weighs in eviction") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 1UL << 20}, log);
  const std::map<Priority, std::string> names{
      {Priority::low, "low"}, {Priority::normal, "normal"}, {Priority::high, "high"}};
  for (int i = 0; i < 60; ++i) {
    for (const auto& [priority, name] : names) {
      auto parts = parts_of(log, name + std::to_string(i), 1000);
      parts.priority = priority;
      put(store, StoredResponse::make(std::move(parts)));
      (void)get(store, name + std::to_string(i));
    }
  }
  const auto left = [&] {
    std::map<std::string, int> count;
    for (const auto& key : listed(store, "*", 50)) {
      for (const auto& [priority, name] : names) count[name] += key.find(":" + name) != std::string::npos ? 1 : 0;
    }
    return count;
  };
  int scanned = 0;
  const auto scan_until = [&](const std::string& name) {
    while (left()[name] > 0) {
      // Used too, so that the hand goes round: it never leaves newer entries that nobody uses.
      const auto scan = "scan" + std::to_string(scanned++);
      put(store, response(log, scan, 1000));
      (void)get(store, scan);
      REQUIRE(scanned < 100000);
    }
  };
  // Each was used once: the low ones go before any normal one does, and these before any high one.
  scan_until("low");
  CHECK(left()["normal"] == 60);
  CHECK(left()["high"] == 60);
  scan_until("normal");
  CHECK(left()["high"] == 60);
  scan_until("high");
}

TEST_CASE("of equally good variants the most recently generated one is found, whenever it was stored") {
  const PurgeLog log(1);
  const auto made = [&](const std::string& name, Seconds age, const std::string& text) {
    auto parts = parts_of(log, "a");
    const std::vector<http::Field> request{{name, "1"}};
    parts.selecting = policy::selecting_fields({name}, request);
    parts.lifetime.corrected_initial_age = age;
    parts.body = std::make_shared<const std::string>(text);
    return StoredResponse::make(std::move(parts));
  };
  const std::vector<http::Field> both{{"foo", "1"}, {"bar", "1"}};
  for (const bool older_first : {true, false}) {
    MemoryStore store({}, log);
    const auto older = made("foo", Seconds{30}, "older");
    const auto newer = made("bar", Seconds{10}, "newer");
    CHECK(put(store, older_first ? older : newer) == NotStored::none);
    CHECK(put(store, older_first ? newer : older) == NotStored::none);
    CHECK(store.find("canonical a", both).stored->body() == "newer");
    const auto all = store.variants("canonical a");
    REQUIRE(all.size() == 2);
    CHECK(all[0] == newer);
    store.erase(newer);
    CHECK(store.find("canonical a", both).stored->body() == "older");
  }
  MemoryStore store({}, log);
  const auto first = made("foo", Seconds{10}, "first");
  const auto second = made("bar", Seconds{10}, "second");
  CHECK(put(store, first) == NotStored::none);
  CHECK(put(store, second) == NotStored::none);
  CHECK(store.find("canonical a", both).stored == second);
}

TEST_CASE("a listing shows each entry once, page by page, with its hits") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  std::vector<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    put(store, response(log, std::to_string(i)));
    expected.push_back("cache:product:" + std::to_string(i));
  }
  std::ranges::sort(expected);
  for (const std::size_t limit : {1UL, 7UL, 256UL, 1000UL, 100000UL}) CHECK(listed(store, "*", limit) == expected);
  CHECK(listed(store, "cache:product:99?", 3).size() == 10);
  CHECK(listed(store, "cache:search:*", 3).empty());
  log.apply_local(tag("990"), false);
  CHECK(listed(store, "cache:product:99?", 3).size() == 9);
  (void)get(store, "5");
  (void)get(store, "5");
  (void)get(store, "5", false);
  store.list("cache:product:5", 10, 0, [](const MemoryEntry& entry) { CHECK(entry.hits == 2); });
  CHECK(store.list("*", 0, 0, [](const MemoryEntry&) { FAIL("the limit is 0"); }) == 0);
}

TEST_CASE("a listing survives changes and foreign cursors") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 1UL << 20}, log);
  for (int i = 0; i < 500; ++i) put(store, response(log, std::to_string(i)));
  std::uint64_t cursor = 0;
  int next = 500;
  int pages = 0;
  std::set<std::string> seen;
  do {
    cursor = store.list("*", 10, cursor, [&](const MemoryEntry& entry) { seen.emplace(entry.stored->key()); });
    // Fewer come than are listed, some go, among them the one that the listing stands at.
    for (int i = 0; i < 5; ++i) put(store, response(log, std::to_string(next++)));
    for (int i = 0; i < 3 && !seen.empty(); ++i) {
      for (const auto& entry : store.by_key(*seen.rbegin())) store.erase(entry.stored);
    }
    REQUIRE(++pages < 10000);
  } while (cursor != 0);
  CHECK(seen.size() >= 500);
  std::mt19937_64 random(3);
  for (int i = 0; i < 1000; ++i) {
    cursor = random() >> (i % 64);
    for (int page = 0; page < 3; ++page) cursor = store.list("*", 2, cursor, [](const MemoryEntry&) {});
  }
  CHECK(store.list("*", 1, ~std::uint64_t{0}, [](const MemoryEntry&) {}) == 0);
}

TEST_CASE("the sweep gives back what is dead or of no more use") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 64UL << 20}, log);
  for (int i = 0; i < 2000; ++i) {
    auto parts = parts_of(log, std::to_string(i));
    if (i % 4 == 1) parts.lifetime.freshness_lifetime = Seconds{600};
    put(store, StoredResponse::make(std::move(parts)));
  }
  const auto sweep_all = [&](TimePoint now) {
    for (int i = 0; i < 64; ++i) store.sweep(now);
  };
  sweep_all(noon + Seconds{59});
  CHECK(store.counters().entries == 2000);
  for (int i = 0; i < 2000; i += 4) log.apply_local(tag(std::to_string(i)), false);
  sweep_all(noon + Seconds{59});
  CHECK(store.counters().purged == 500);
  CHECK(store.counters().entries == 1500);
  sweep_all(noon + Seconds{60});
  CHECK(store.counters().expired == 1000);
  CHECK(store.counters().entries == 500);
  CHECK(get(store, "1").stored);
  sweep_all(noon + Seconds{600});
  CHECK(store.counters().entries == 0);
  CHECK(store.counters().bytes == 0);
  sweep_all(noon - Seconds{1000000});
}

TEST_CASE("as a plain map, for any mixture of operations") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    PurgeLog log(1);
    MemoryStore store({.capacity = 8UL << 20}, log);
    std::map<std::string, StoredPtr> model;
    for (int step = 0; step < 2000; ++step) {
      const auto name = std::to_string(random() % 50);
      switch (random() % 6) {
        case 0:
        case 1: {
          const auto stored = response(log, name, random() % 2000);
          REQUIRE(put(store, stored) == NotStored::none);
          model[name] = stored;
          break;
        }
        case 2:
          log.apply_local(tag(name), false);
          model.erase(name);
          break;
        case 3:
          if (model.contains(name)) store.erase(model[name]);
          model.erase(name);
          break;
        case 4:
          store.sweep(noon);
          break;
        default:
          break;
      }
      REQUIRE(get(store, name).stored == (model.contains(name) ? model[name] : nullptr));
    }
    CHECK(listed(store, "*", 9).size() == model.size());
    for (const auto& [name, stored] : model) store.erase(stored);
    for (int i = 0; i < 64; ++i) store.sweep(noon);
    CHECK(store.counters().entries == 0);
    CHECK(store.counters().bytes == 0);
  }
}

TEST_CASE("the index grows and shrinks with what it holds, and finds it all the while") {
  PurgeLog log(1);
  MemoryStore store({.capacity = 1UL << 20}, log);  // one stripe
  std::vector<StoredPtr> held;
  for (int i = 0; i < 1500; ++i) {
    held.push_back(response(log, std::to_string(i), 0));
    put(store, held.back());
    if (i % 7 == 0) CHECK(get(store, std::to_string(i / 2)).stored == held[static_cast<std::size_t>(i) / 2]);
  }
  REQUIRE(store.counters().evictions == 0);
  CHECK(listed(store, "*", 3).size() == 1500);
  // A listing that stands still while most goes and comes shows what stays.
  std::set<std::string> seen;
  auto cursor = store.list("*", 700, 0, [&](const MemoryEntry& e) { seen.emplace(e.stored->key()); });
  for (std::size_t i = 0; i < 1500; ++i) {
    if (i % 10 != 0) store.erase(held[i]);
  }
  for (std::size_t i = 0; i < 1500; ++i) {
    CHECK(get(store, std::to_string(i)).stored == (i % 10 == 0 ? held[i] : nullptr));
  }
  while (cursor != 0) {
    cursor = store.list("*", 7, cursor, [&](const MemoryEntry& e) { CHECK(seen.emplace(e.stored->key()).second); });
  }
  for (std::size_t i = 0; i < 1500; i += 10) CHECK(seen.contains("cache:product:" + std::to_string(i)));
  for (std::size_t i = 0; i < 1500; i += 10) store.erase(held[i]);
  CHECK(store.counters().entries == 0);
  CHECK(store.counters().bytes == 0);
}

TEST_CASE("a response is stored once: one that has gone does not come back") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  const auto stored = response(log, "1");
  put(store, stored);
  CHECK(put(store, stored) == NotStored::none);
  CHECK(store.counters().entries == 1);
  store.erase(stored);
  CHECK(put(store, stored) == NotStored::none);
  CHECK(store.counters().entries == 0);
}

TEST_CASE("what is let go of and still in use counts, and while it is too much nothing is stored") {
  PurgeLog log(1);
  const auto before = StoredResponse::bytes_outside();
  {
    MemoryStore store({.capacity = 4UL << 20, .max_variants = 64, .outside = before + (1UL << 20)}, log);
    std::vector<StoredPtr> sent;
    // Each takes the place of the one before, which somebody still sends.
    auto stored = NotStored::none;
    for (int i = 0; i < 100 && stored == NotStored::none; ++i) {
      auto next = response(log, "large", 100000);
      stored = put(store, next);
      CHECK(store.holds(*next) == (stored == NotStored::none));
      sent.push_back(std::move(next));
    }
    CHECK(stored == NotStored::slow_clients);
    CHECK(store.excess() > 0);
    CHECK(sent.size() >= 10);
    CHECK(sent.size() <= 13);
    CHECK_FALSE(store.holds(*sent.front()));
    // What is held counts in the store, not outside.
    const auto& held = *sent[sent.size() - 2];
    CHECK(store.holds(held));
    CHECK(StoredResponse::bytes_outside() - before == (sent.size() - 1) * held.memory_size());
    CHECK(put(store, response(log, "other", 100000)) == NotStored::slow_clients);
    sent.clear();
    CHECK(store.excess() == 0);
    CHECK(StoredResponse::bytes_outside() == before);
    CHECK(put(store, response(log, "other", 100000)) == NotStored::none);
    // Small ones are copied when they are sent.
    const auto small = response(log, "small");
    CHECK(StoredResponse::bytes_outside() == before);
  }
  CHECK(StoredResponse::bytes_outside() == before);
}

TEST_CASE("variants come page by page too") {
  PurgeLog log(1);
  MemoryStore store({}, log);
  for (int i = 0; i < 20; ++i) put(store, variant(log, "1", "l" + std::to_string(i)));
  put(store, response(log, "2"));
  for (const std::size_t limit : {1UL, 2UL, 19UL, 20UL, 21UL}) CHECK(listed(store, "*", limit).size() == 21);
}

TEST_CASE("threads: after a purge nobody is given what was stored before it") {
  PurgeLog log(1);
  constexpr std::size_t capacity = 256UL << 10;
  MemoryStore store({.capacity = capacity, .max_variants = 4}, log);
  constexpr int names = 100;
  constexpr int rounds = 3000;
  // Which write an answer shows: the content is the write's number, and a purge follows each write.
  std::array<std::atomic<int>, names> content{};
  std::array<std::atomic<int>, names> acknowledged{};
  std::atomic<int> faults{0};
  std::atomic<bool> stop{false};

  const auto writer = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < rounds; ++i) {
      // Each writer has its own names, so that writes of one name are in order.
      const auto n = random() % (names / 2) * 2 + seed;
      const auto value = content[n].load() + 1;
      content[n] = value;
      log.apply_local(tag(std::to_string(n)), false);
      acknowledged[n] = value;
    }
  };
  const auto reader = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < rounds * 3; ++i) {
      const auto n = random() % names;
      const auto name = std::to_string(n);
      const auto least = acknowledged[n].load();
      const auto lookup = get(store, name);
      if (lookup.stored) {
        if (lookup.stored->status() - 200 < least) ++faults;
        continue;
      }
      auto parts = parts_of(log, name, random() % 4000);
      parts.status = 200 + content[n].load();  // the origin is asked after the stamp was taken
      put(store, StoredResponse::make(std::move(parts)));
      if (store.counters().bytes > capacity) ++faults;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 2; ++i) threads.emplace_back(writer, i);
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back(reader, 10 + i);
  std::thread keeper([&] {
    while (!stop) {
      store.sweep(noon);
      (void)store.by_key("cache:product:1");
      std::uint64_t cursor = 0;
      do {
        cursor =
            store.list("cache:product:1*", 3, cursor, [&](const MemoryEntry& entry) { store.erase(entry.stored); });
      } while (cursor != 0 && !stop);
    }
  });
  for (auto& thread : threads) thread.join();
  stop = true;
  keeper.join();
  CHECK(faults == 0);
  const auto counters = store.counters();
  CHECK(counters.bytes <= capacity);
  CHECK(listed(store, "*", 1000).size() <= counters.entries);
}

}  // namespace
}  // namespace larder::store
