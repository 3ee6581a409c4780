#include "larder/store/purge_log.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder::store {
namespace {

using policy::PurgeSubject;
using policy::Selector;
using policy::SelectorKind;
using Selectors = std::vector<Selector>;

constexpr std::uint64_t epoch = 77;

/// A subject that owns its strings.
struct Entry {
  std::string base_key;
  std::string key;
  std::string type;
  std::string target;
  std::string origin = "http://a.example";
  std::vector<std::string> tags;

  [[nodiscard]] PurgeSubject subject() const {
    return {.key = key, .base_key = base_key, .type = type, .origin = origin, .target = target, .tags = tags};
  }
};

Entry product(int id, std::string variant = {}) {
  const auto number = std::to_string(id);
  Entry entry{.base_key = "cache:product:p" + number,
              .key = {},
              .type = "product",
              .target = "/api/products/" + number + "?x=1",
              .tags = {"product:" + number, "list"}};
  entry.key = entry.base_key + (variant.empty() ? "" : ":" + variant);
  return entry;
}

Selectors one(SelectorKind kind, std::string value) { return {{kind, std::move(value)}}; }

TEST_CASE("each kind of selector kills what it names and nothing else") {
  struct Row {
    SelectorKind kind;
    std::string value;
    bool kills;
  };
  const auto entry = product(42, "v");
  const std::vector<Row> rows{
      {SelectorKind::key, "cache:product:p42", true},
      {SelectorKind::key, "cache:product:p42:v", true},
      {SelectorKind::key, "cache:product:p4", false},
      {SelectorKind::type, "product", true},
      {SelectorKind::type, "prod", false},
      {SelectorKind::glob, "cache:product:*", true},
      {SelectorKind::glob, "cache:product:p42", true},
      {SelectorKind::glob, "*", true},
      {SelectorKind::glob, "*:p42", true},
      {SelectorKind::glob, "*:v", true},
      {SelectorKind::glob, "cache:product:p42:v", true},
      {SelectorKind::glob, "cache:product:p42:w*", false},
      {SelectorKind::glob, "cache:product:p42:v?*", false},
      {SelectorKind::glob, "cache:search:*", false},
      {SelectorKind::glob, "cache:[pq]roduct:p??:v", true},
      {SelectorKind::glob, "cache:\\product:*", true},
      {SelectorKind::tag, "product:42", true},
      {SelectorKind::tag, "list", true},
      {SelectorKind::tag, "product:4", false},
      {SelectorKind::path, "/api/products/**", true},
      {SelectorKind::path, "/api/*/42", true},
      {SelectorKind::path, "/**", true},
      {SelectorKind::path, "/**/42", true},
      {SelectorKind::path, "/api/products/42", true},
      {SelectorKind::path, "/api/products", false},
      {SelectorKind::path, "/api/products/*/reviews", false},
      {SelectorKind::target, "/api/products/42?x=1", true},
      {SelectorKind::target, "/api/products/42", false},
      {SelectorKind::target, "http://a.example/api/products/42?x=1", true},
      {SelectorKind::target, "http://b.example/api/products/42?x=1", false},
      {SelectorKind::all, "", true},
  };
  for (const auto& row : rows) {
    CAPTURE(policy::to_string(row.kind));
    CAPTURE(row.value);
    const auto expected = row.kills ? Liveness::purged : Liveness::alive;
    for (const bool pending : {false, true}) {
      PurgeLog log(epoch);
      const auto before = log.stamp();
      CHECK(log.apply_local(one(row.kind, row.value), pending) == 1);
      CHECK(log.alive_since(entry.subject(), before.sequence) == expected);
      CHECK(log.alive_remote(entry.subject(), before) == expected);
      const auto after = log.stamp();
      CHECK(after.sequence >= 1);
      CHECK(log.alive_since(entry.subject(), after.sequence) == Liveness::alive);
      // A pending selector kills whatever clock an entry of Redis has.
      CHECK(log.alive_remote(entry.subject(), after) == (pending ? expected : Liveness::alive));
    }
    PurgeLog log(epoch);
    const auto before = log.stamp();
    log.apply_fleet(1, one(row.kind, row.value));
    CHECK(log.alive_since(entry.subject(), before.sequence) == expected);
    CHECK(log.alive_remote(entry.subject(), before) == expected);
    CHECK(log.alive_remote(entry.subject(), log.stamp()) == Liveness::alive);
  }
}

TEST_CASE("without Redis the clock rises with each purge") {
  PurgeLog log(epoch);
  CHECK(log.clock() == 0);
  log.apply_local(one(SelectorKind::type, "a"), false);
  log.apply_local(one(SelectorKind::type, "b"), false);
  CHECK(log.clock() == 2);
  CHECK(log.pending_count() == 0);
}

TEST_CASE("no selectors are no purge") {
  PurgeLog log(epoch);
  CHECK(log.apply_local({}, true) == 0);
  CHECK(log.pending_count() == 0);
  log.apply_fleet(1, {});
  CHECK(log.sequence() == 0);
  CHECK(log.clock() == 1);  // but its clock is known
}

TEST_CASE("a repeated purge takes the place of the old one") {
  PurgeLog log(epoch);
  for (int i = 0; i < 10000; ++i) log.apply_local(one(SelectorKind::glob, "cache:product:*"), false);
  CHECK(log.size() == 1);
  CHECK(log.alive_since(product(1).subject(), 9999) == Liveness::purged);
  CHECK(log.alive_since(product(1).subject(), 10000) == Liveness::alive);
}

TEST_CASE("delivery gives a pending purge its clock") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  const auto name = log.apply_local(one(SelectorKind::tag, "product:1"), true);
  REQUIRE(log.pending().size() == 1);
  CHECK(log.pending()[0].sequence == name);
  CHECK(log.pending()[0].selectors == one(SelectorKind::tag, "product:1"));
  CHECK(log.pending_count() == 1);
  CHECK(log.clock() == 0);

  log.delivered(name, 1);
  CHECK(log.pending_count() == 0);
  CHECK(log.clock() == 1);
  CHECK(log.alive_remote(entry.subject(), {epoch, 0, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {epoch, 1, 0}) == Liveness::alive);

  SUBCASE("its own push, late, changes nothing") {
    const auto sequence = log.sequence();
    log.apply_fleet(1, one(SelectorKind::tag, "product:1"));
    CHECK(log.sequence() == sequence);
  }
  SUBCASE("a second delivery of it changes nothing") {
    log.delivered(name, 5);
    CHECK(log.clock() == 1);
    CHECK(log.alive_remote(entry.subject(), {epoch, 1, 0}) == Liveness::alive);
  }
}

TEST_CASE("its own push may come before the reply") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  const auto name = log.apply_local(one(SelectorKind::tag, "product:1"), true);
  log.apply_fleet(1, one(SelectorKind::tag, "product:1"));
  CHECK(log.alive_remote(entry.subject(), {epoch, 1, 0}) == Liveness::purged);  // still pending
  log.delivered(name, 1);
  CHECK(log.alive_remote(entry.subject(), {epoch, 1, 0}) == Liveness::alive);
  CHECK(log.pending_count() == 0);
}

TEST_CASE("one selector in two pending purges is pending until both are delivered, in any order") {
  for (const bool swapped : {false, true}) {
    PurgeLog log(epoch);
    const auto entry = product(1);
    auto first = log.apply_local(one(SelectorKind::path, "/api/**"), true);
    auto second = log.apply_local(one(SelectorKind::path, "/api/**"), true);
    if (swapped) std::swap(first, second);
    CHECK(log.size() == 1);
    log.delivered(second, 1);
    CHECK(log.alive_remote(entry.subject(), {epoch, 9, 0}) == Liveness::purged);
    log.delivered(first, 2);
    CHECK(log.alive_remote(entry.subject(), {epoch, 9, 0}) == Liveness::alive);
    CHECK(log.alive_remote(entry.subject(), {epoch, 1, 0}) == Liveness::purged);
  }
}

TEST_CASE("a clock that was skipped is applied when it comes, and the stamp never claims it before") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  for (std::uint64_t clock = 1; clock <= 10; ++clock) log.apply_fleet(clock, one(SelectorKind::type, "x"));
  CHECK(log.clock() == 10);
  log.apply_fleet(12, one(SelectorKind::type, "y"));
  CHECK(log.clock() == 10);
  CHECK(log.stamp().clock == 10);
  log.apply_fleet(14, one(SelectorKind::type, "y"));
  log.apply_fleet(13, one(SelectorKind::type, "y"));
  CHECK(log.clock() == 10);
  const auto sequence = log.sequence();
  log.apply_fleet(12, one(SelectorKind::type, "product"));  // known
  log.apply_fleet(13, one(SelectorKind::type, "product"));
  CHECK(log.sequence() == sequence);
  CHECK(log.alive_since(entry.subject(), sequence) == Liveness::alive);
  log.apply_fleet(11, one(SelectorKind::type, "product"));
  CHECK(log.alive_since(entry.subject(), sequence) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {epoch, 10, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {epoch, 11, 0}) == Liveness::alive);
  CHECK(log.clock() == 14);
}

TEST_CASE("a later clock of a selector holds, whatever comes after it") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  for (const auto* glob : {"cache:product:*", "cache:*"}) {
    PurgeLog other(epoch);
    other.apply_fleet(5, one(SelectorKind::glob, glob));
    other.apply_fleet(3, one(SelectorKind::glob, glob));
    CHECK(other.alive_remote(entry.subject(), {epoch, 4, 0}) == Liveness::purged);
    CHECK(other.alive_remote(entry.subject(), {epoch, 5, 0}) == Liveness::alive);
  }
  // In one bucket, out of order: neither hides the other.
  log.apply_fleet(5, one(SelectorKind::glob, "cache:?roduct:*"));
  log.apply_fleet(2, one(SelectorKind::glob, "cache:*:p1"));
  log.apply_fleet(3, one(SelectorKind::glob, "cache:*:p2"));
  CHECK(log.alive_remote(entry.subject(), {epoch, 4, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {epoch, 5, 0}) == Liveness::alive);
}

TEST_CASE("too many missing clocks are a lost history") {
  PurgeLog log(epoch);
  const auto stamp = log.stamp();
  for (std::uint64_t i = 1; i <= 2000; ++i) log.apply_fleet(2 * i, one(SelectorKind::type, "x"));
  CHECK(log.alive_since(product(1).subject(), stamp.sequence) == Liveness::purged);
  CHECK(log.alive_remote(product(1).subject(), stamp) == Liveness::purged);
  CHECK(log.clock() >= 2000);
  CHECK(log.alive_since(product(1).subject(), log.sequence()) == Liveness::alive);
}

TEST_CASE("clocks at the end of the range") {
  PurgeLog log(epoch);
  constexpr auto last = ~std::uint64_t{0};
  log.apply_fleet(last, one(SelectorKind::type, "x"));
  log.apply_fleet(last - 1, one(SelectorKind::type, "x"));
  log.apply_fleet(last, one(SelectorKind::type, "y"));
  CHECK(log.clock() == 0);
  log.enter_epoch(epoch, last - 2, 0);
  CHECK(log.clock() == last);
  log.apply_fleet(0, one(SelectorKind::type, "product"));  // no clock at all: clocks begin at 1
  CHECK(log.alive_since(product(1).subject(), log.sequence()) == Liveness::alive);
}

TEST_CASE("enter_epoch: another epoch kills all but what is pending") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  log.apply_fleet(1, one(SelectorKind::type, "x"));
  const auto name = log.apply_local(one(SelectorKind::glob, "cache:product:*"), true);
  const auto stamp = log.stamp();
  log.enter_epoch(88, 40, 20);
  CHECK(log.epoch() == 88);
  CHECK(log.clock() == 40);
  CHECK(log.size() == 1);
  CHECK(log.pending_count() == 1);
  CHECK(log.alive_since(entry.subject(), stamp.sequence) == Liveness::epoch);
  CHECK(log.alive_remote(entry.subject(), stamp) == Liveness::epoch);
  const Entry other{.base_key = "cache:u:1", .key = "cache:u:1", .type = "u", .target = "/u", .tags = {}};
  CHECK(log.alive_since(other.subject(), stamp.sequence) == Liveness::epoch);
  CHECK(log.alive_since(other.subject(), log.sequence()) == Liveness::alive);
  // The pending one kills entries of the new epoch too.
  CHECK(log.alive_remote(entry.subject(), {88, 40, 0}) == Liveness::purged);
  CHECK(log.alive_remote(other.subject(), {88, 40, 0}) == Liveness::alive);
  // What was purged between 20 and 40 is not known.
  CHECK(log.alive_remote(other.subject(), {88, 39, 0}) == Liveness::purged);
  // A delivery that was under way in the old epoch is none in the new one.
  CHECK_FALSE(log.delivered(name, 2, epoch));
  CHECK(log.pending_count() == 1);
  CHECK(log.delivered(name, 41, 88));
  CHECK(log.pending_count() == 0);
  CHECK(log.clock() == 41);
  CHECK(log.alive_remote(entry.subject(), {88, 40, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {88, 41, 0}) == Liveness::alive);
}

TEST_CASE("enter_epoch: with clock = floor and then each purge, what Redis holds is kept exactly") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  log.enter_epoch(88, 20, 20);
  log.apply_fleet(21, one(SelectorKind::type, "x"));
  log.apply_fleet(22, one(SelectorKind::tag, "product:1"));
  log.apply_fleet(23, one(SelectorKind::type, "y"));
  CHECK(log.clock() == 23);
  CHECK(log.alive_remote(entry.subject(), {88, 19, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {88, 21, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {88, 22, 0}) == Liveness::alive);
  CHECK(log.alive_remote(product(2).subject(), {88, 20, 0}) == Liveness::alive);
}

TEST_CASE("enter_epoch: the same epoch") {
  PurgeLog log(epoch);
  const auto entry = product(1);
  for (std::uint64_t clock = 1; clock <= 10; ++clock) log.apply_fleet(clock, one(SelectorKind::type, "x"));
  const auto stamp = log.stamp();
  SUBCASE("nothing missed") {
    log.enter_epoch(epoch, 10, 4);
    CHECK(log.sequence() == stamp.sequence);
    CHECK(log.alive_since(entry.subject(), stamp.sequence) == Liveness::alive);
    CHECK(log.alive_remote(entry.subject(), {epoch, 4, 0}) == Liveness::alive);
    CHECK(log.alive_remote(entry.subject(), {epoch, 3, 0}) == Liveness::purged);
  }
  SUBCASE("purges missed that nobody can tell any more") {
    log.enter_epoch(epoch, 30, 20);
    CHECK(log.clock() == 30);
    CHECK(log.alive_since(entry.subject(), stamp.sequence) == Liveness::purged);
    CHECK(log.alive_since(entry.subject(), log.sequence()) == Liveness::alive);
    CHECK(log.alive_remote(entry.subject(), {epoch, 29, 0}) == Liveness::purged);
    CHECK(log.alive_remote(entry.subject(), {epoch, 30, 0}) == Liveness::alive);
  }
  SUBCASE("caught up before") {
    log.apply_fleet(11, one(SelectorKind::type, "y"));
    log.apply_fleet(12, one(SelectorKind::type, "z"));
    log.enter_epoch(epoch, 12, 0);
    CHECK(log.clock() == 12);
    CHECK(log.alive_since(entry.subject(), stamp.sequence) == Liveness::alive);
  }
  SUBCASE("a hole that stays is a loss; what is known beyond it is kept") {
    log.apply_fleet(12, one(SelectorKind::type, "product"));
    log.enter_epoch(epoch, 11, 0);
    CHECK(log.clock() == 12);
    CHECK(log.alive_since(entry.subject(), stamp.sequence) == Liveness::purged);
    CHECK(log.alive_remote(entry.subject(), {epoch, 11, 0}) == Liveness::purged);
    CHECK(log.alive_remote(product(2).subject(), {epoch, 12, 0}) == Liveness::alive);
  }
  SUBCASE("a lower clock") {
    log.apply_fleet(15, one(SelectorKind::type, "product"));
    log.enter_epoch(epoch, 5, 0);
    CHECK(log.clock() == 5);
    CHECK(log.alive_since(entry.subject(), log.sequence() - 1) == Liveness::purged);
    const auto sequence = log.sequence();
    log.apply_fleet(6, one(SelectorKind::type, "product"));
    CHECK(log.alive_since(entry.subject(), sequence) == Liveness::purged);
    CHECK(log.clock() == 6);
  }
  SUBCASE("a clock that was delivered while Redis answered is no lower one") {
    const auto known = log.clock();
    log.delivered(log.apply_local(one(SelectorKind::type, "w"), true), 11);
    const auto sequence = log.sequence();
    log.enter_epoch(epoch, 10, 0, known);
    CHECK(log.sequence() == sequence);
    CHECK(log.clock() == 11);
    log.enter_epoch(epoch, 9, 0, known);
    CHECK(log.sequence() > sequence);
    CHECK(log.clock() == 9);
  }
}

TEST_CASE("past max_selectors the oldest go, and with them all that is older") {
  PurgeLog log(epoch, 100);
  for (int i = 0; i < 250; ++i) log.apply_local(one(SelectorKind::tag, std::to_string(i)), false);
  CHECK(log.size() == 100);
  const auto entry = product(1);
  CHECK(log.alive_since(entry.subject(), 149) == Liveness::purged);
  CHECK(log.alive_since(entry.subject(), 150) == Liveness::alive);
  CHECK(log.alive_remote(entry.subject(), {epoch, 149, 0}) == Liveness::purged);
  CHECK(log.alive_remote(entry.subject(), {epoch, 150, 0}) == Liveness::alive);
  // A repeated one is young again.
  log.apply_local(one(SelectorKind::tag, "150"), false);
  log.apply_local(one(SelectorKind::tag, "new"), false);
  CHECK(log.alive_since(entry.subject(), 151) == Liveness::purged);
  CHECK(log.alive_since(entry.subject(), 152) == Liveness::alive);
}

TEST_CASE("a purge of more selectors than there is room for kills what is older, and no more") {
  PurgeLog log(epoch, 4);
  const auto before = log.stamp();
  Selectors many;
  for (int i = 0; i < 10; ++i) many.push_back({SelectorKind::path, "/p" + std::to_string(i) + "/**"});
  log.apply_local(many, false);
  CHECK(log.size() == 4);
  CHECK(log.alive_since(product(1).subject(), before.sequence) == Liveness::purged);
  CHECK(log.alive_since(product(1).subject(), log.sequence()) == Liveness::alive);
}

TEST_CASE("pending purges are bounded") {
  SUBCASE("equal ones by the newest") {
    PurgeLog log(epoch);
    std::uint64_t last = 0;
    for (int i = 0; i < 100000; ++i) {
      last = log.apply_local(one(SelectorKind::tag, "product:" + std::to_string(i % 3)), true);
    }
    CHECK(log.pending_count() <= 1024);
    CHECK(log.pending().back().sequence == last);
    CHECK(log.alive_remote(product(2).subject(), log.stamp()) == Liveness::purged);
    for (const auto& purge : log.pending()) log.delivered(purge.sequence, log.clock() + 1);
    CHECK(log.pending_count() == 0);
    CHECK(log.alive_remote(product(2).subject(), log.stamp()) == Liveness::alive);
  }
  SUBCASE("different ones by one that names everything") {
    PurgeLog log(epoch, 100);
    std::vector<std::uint64_t> names;
    for (int i = 0; i < 1000; ++i) {
      names.push_back(log.apply_local(one(SelectorKind::tag, "t" + std::to_string(i)), true));
    }
    CHECK(log.pending_count() <= 101);
    CHECK(log.size() <= 202);
    CHECK(log.alive_remote(product(1).subject(), log.stamp()) == Liveness::purged);
    // Who delivers a purge that it stands for has not delivered everything.
    for (const auto name : names) log.delivered(name, log.clock() + 1);
    CHECK(log.pending_count() == 1);
    CHECK(log.alive_remote(product(1).subject(), log.stamp()) == Liveness::purged);
    REQUIRE(log.pending()[0].selectors == one(SelectorKind::all, ""));
    log.delivered(log.pending()[0].sequence, log.clock() + 1);
    CHECK(log.alive_remote(product(1).subject(), log.stamp()) == Liveness::alive);
    CHECK(log.alive_since(product(1).subject(), log.sequence()) == Liveness::alive);
  }
}

// The log as one would write it without thinking of time: every selector is looked at.
class Model {
 public:
  void apply(std::uint64_t sequence, std::optional<std::uint64_t> clock, const Selectors& selectors) {
    purges_.push_back({sequence, clock, selectors});
  }
  void deliver(std::uint64_t sequence, std::uint64_t clock) {
    for (auto& purge : purges_) {
      if (purge.sequence == sequence) purge.clock = clock;
    }
  }
  [[nodiscard]] bool is_alive_since(const PurgeSubject& subject, std::uint64_t since) const {
    return std::ranges::none_of(purges_, [&](const Purge& p) { return p.sequence > since && names(p, subject); });
  }
  [[nodiscard]] bool is_alive_remote(const PurgeSubject& subject, std::uint64_t clock) const {
    return std::ranges::none_of(purges_,
                                [&](const Purge& p) { return (!p.clock || *p.clock > clock) && names(p, subject); });
  }

 private:
  struct Purge {
    std::uint64_t sequence;
    std::optional<std::uint64_t> clock;
    Selectors selectors;
  };
  static bool names(const Purge& purge, const PurgeSubject& subject) {
    return std::ranges::any_of(purge.selectors, [&](const Selector& s) { return policy::matches(s, subject); });
  }
  std::vector<Purge> purges_;
};

TEST_CASE("as a plain model, for any mixture of purges, deliveries and orders") {
  for (unsigned seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto pick = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const auto number = [&] { return std::to_string(pick(4)); };
    const auto selector = [&]() -> Selector {
      switch (pick(14)) {
        case 0:
          return {SelectorKind::key, "cache:t" + number() + ":" + number()};
        case 1:
          return {SelectorKind::key, "cache:t" + number() + ":" + number() + ":v" + number()};
        case 2:
          return {SelectorKind::type, "t" + number()};
        case 3:
          return {SelectorKind::glob, "cache:t" + number() + ":*"};
        case 4:
          return {SelectorKind::glob, "cache:*:" + number()};
        case 5:
          return {SelectorKind::glob, "*:v" + number()};
        case 6:
          return {SelectorKind::glob, "cache:t" + number() + ":" + number() + ":v" + number()};
        case 7:
          return {SelectorKind::tag, "g" + number()};
        case 8:
          return {SelectorKind::path, "/t" + number() + "/**"};
        case 9:
          return {SelectorKind::path, "/*/" + number()};
        case 10:
          return {SelectorKind::path, "/t" + number() + "/" + number()};
        case 11:
          return {SelectorKind::target, std::string(pick(2) == 0   ? "http://a.example"
                                                    : pick(2) == 0 ? "http://b.example"
                                                                   : "") +
                                            "/t" + number() + "/" + number() + "?q"};
        case 12:
          return {SelectorKind::path, "/t" + number() + std::string(1 + pick(300), 'x') + "/*"};
        default:
          return pick(20) == 0 ? Selector{SelectorKind::all, ""} : Selector{SelectorKind::tag, "none"};
      }
    };
    PurgeLog log(epoch);
    Model model;
    std::uint64_t clock = 0;
    std::vector<std::uint64_t> pending;
    std::vector<std::pair<std::uint64_t, Selectors>> pushes;  // on their way, in any order
    for (int step = 0; step < 400; ++step) {
      Selectors selectors;
      for (std::size_t n = 1 + pick(3); n > 0; --n) selectors.push_back(selector());
      switch (pick(5)) {
        case 0: {
          const auto name = log.apply_local(selectors, true);
          model.apply(name, std::nullopt, selectors);
          pending.push_back(name);
          break;
        }
        case 1:
          if (!pending.empty()) {
            const auto at = pick(pending.size());
            log.delivered(pending[at], ++clock);
            model.deliver(pending[at], clock);
            pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(at));
          }
          break;
        case 2:
          pushes.emplace_back(++clock, selectors);
          break;
        case 3:
          if (!pushes.empty()) {
            const auto at = pick(pushes.size());
            log.apply_fleet(pushes[at].first, pushes[at].second);
            model.apply(log.sequence(), pushes[at].first, pushes[at].second);
            pushes.erase(pushes.begin() + static_cast<std::ptrdiff_t>(at));
          }
          break;
        default:
          break;
      }
      for (int probe = 0; probe < 4; ++probe) {
        Entry entry{.base_key = "cache:t" + number() + ":" + number(),
                    .key = {},
                    .type = "t" + number(),
                    .target = "/t" + number() + "/" + number() + (pick(2) == 0 ? "?q" : ""),
                    .tags = {"g" + number()}};
        if (pick(8) == 0) entry.target = "/t1" + std::string(1 + pick(300), 'x') + "/1";
        entry.key = entry.base_key + (pick(2) == 0 ? "" : ":v" + number());
        const auto since = static_cast<std::uint64_t>(pick(log.sequence() + 1));
        REQUIRE((log.alive_since(entry.subject(), since) == Liveness::alive) ==
                model.is_alive_since(entry.subject(), since));
        const auto seen = static_cast<std::uint64_t>(pick(clock + 1));
        REQUIRE((log.alive_remote(entry.subject(), {epoch, seen, 0}) == Liveness::alive) ==
                model.is_alive_remote(entry.subject(), seen));
      }
    }
    for (const auto& [at, selectors] : pushes) log.apply_fleet(at, selectors);
    for (const auto name : pending) log.delivered(name, ++clock);
    CHECK(log.clock() == clock);
    CHECK(log.pending_count() == 0);
  }
}

TEST_CASE("a look-up does not depend on how many selectors there are") {
  PurgeLog log(epoch, 1UL << 20);
  for (int i = 0; i < 50000; ++i) {
    const auto n = std::to_string(i);
    log.apply_local(Selectors{{SelectorKind::tag, "product:" + n},
                              {SelectorKind::key, "cache:product:" + n},
                              {SelectorKind::target, "/api/orders/" + n},
                              {SelectorKind::path, "/api/orders/" + n + "/**"},
                              {SelectorKind::glob, "cache:orders:" + n + ":*"}},
                    false);
  }
  const auto entry = product(-1);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; ++i) REQUIRE(log.alive_since(entry.subject(), 0) == Liveness::alive);
  // Walking all of them takes 250,000 comparisons each time, minutes in all; this takes milliseconds. The bound leaves
  // room for sanitizers.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("client-chosen prefixes of every length do not slow look-ups down") {
  PurgeLog log(epoch);
  for (std::size_t n = 1; n < 8000; ++n) {
    log.apply_local(one(SelectorKind::path, "/" + std::string(n, 'a') + "/**"), false);
  }
  Entry entry = product(1);
  entry.target = "/" + std::string(8000, 'b');
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) REQUIRE(log.alive_since(entry.subject(), 0) == Liveness::alive);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("threads: what a purge named is dead for every stamp taken before it, at once and for ever") {
  PurgeLog log(epoch, 512);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> faults{0};
  // Each reader owns a tag; the writer purges it between two stamps of the reader.
  constexpr int readers = 3;
  std::vector<std::thread> threads;
  for (int r = 0; r < readers; ++r) {
    threads.emplace_back([&, r] {
      const auto entry = product(r);
      const auto tag = one(SelectorKind::tag, "product:" + std::to_string(r));
      for (int i = 0; i < 2000; ++i) {
        const auto before = log.stamp();
        const auto name = log.apply_local(tag, i % 2 == 0);
        const auto after = log.stamp();
        if (after.sequence < name) ++faults;
        if (log.alive_since(entry.subject(), before.sequence) == Liveness::alive) ++faults;
        if (i % 2 == 0) log.delivered(name, log.clock() + 1000000 + static_cast<std::uint64_t>(i));
      }
    });
  }
  threads.emplace_back([&] {
    const auto entry = product(99);
    while (!stop) {
      const auto sequence = log.sequence();
      (void)log.alive_since(entry.subject(), sequence > 10 ? sequence - 10 : 0);
      (void)log.alive_remote(entry.subject(), log.stamp());
      (void)log.pending();
      (void)log.size();
    }
  });
  threads.emplace_back([&] {
    for (std::uint64_t e = 0; e < 50; ++e) {
      log.enter_epoch(epoch + e, e, 0);
      std::this_thread::yield();
    }
  });
  for (std::size_t i = 0; i < threads.size(); ++i) {
    if (i != readers) threads[i].join();
  }
  stop = true;
  threads[readers].join();
  CHECK(faults == 0);
}

}  // namespace
}  // namespace larder::store
