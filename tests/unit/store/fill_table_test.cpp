#include "larder/store/fill_table.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace larder::store {
namespace {

using namespace std::chrono_literals;
using policy::CacheOutcome;
using policy::Clock;

constexpr std::size_t window = 1U << 20;  // how far a body that is not kept may run ahead of its slowest reader

StoredPtr stored_response(const std::string& body = "stored") {
  StoredParts parts;
  parts.key = "cache:t:1";
  parts.base_key_size = parts.key.size();
  parts.canonical = "canonical";
  parts.type = "t";
  parts.target = "/";
  parts.reason = "OK";
  parts.body = std::make_shared<const std::string>(body);
  return StoredResponse::make(std::move(parts));
}

FillHead head_of(std::optional<std::uint64_t> length = std::nullopt) {
  FillHead head;
  head.status = 200;
  head.reason = "OK";
  head.length = length;
  return head;
}

// A fill with its account.
struct Site {
  explicit Site(std::size_t max_object) : fill(std::make_shared<Fill>(PurgeStamp{1, 2, 3}, max_object, bytes)) {}
  std::atomic<std::size_t> bytes{0};
  std::shared_ptr<Fill> fill;
};

// All that a reader can read now.
std::string read_all(FillReader& reader) {
  std::string text;
  for (;;) {
    const auto view = reader.view();
    if (view.bytes.empty()) return text;
    text += view.bytes;
    reader.advance(view.bytes.size());
  }
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 509);
  return text;
}

TEST_CASE("a body streams through, to readers who come early and late") {
  Site site(1U << 20);
  CHECK(site.fill->stamp().sequence == 3);
  FillReader early(site.fill);
  CHECK(early.view().phase == FillPhase::waiting);
  CHECK(early.view().head == nullptr);
  site.fill->publish_head(head_of());
  CHECK(early.view().phase == FillPhase::streaming);
  CHECK(early.view().head->status == 200);
  CHECK(site.fill->append("abc") == Append::kept);
  CHECK(read_all(early) == "abc");
  CHECK(site.fill->append("") == Append::kept);
  CHECK(site.fill->append("def") == Append::kept);
  FillReader late(site.fill);
  CHECK(read_all(late) == "abcdef");
  CHECK(*site.fill->whole_body() == "abcdef");
  const auto stored = stored_response();
  site.fill->complete(stored);
  CHECK(read_all(early) == "def");
  CHECK(early.view().phase == FillPhase::complete);
  CHECK(early.view().stored == stored);
  FillReader last(site.fill);
  CHECK(read_all(last) == "abcdef");
}

TEST_CASE("a body of known length is one piece, and becomes the stored one without a copy") {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{300000}}) {
    CAPTURE(size);
    Site site(1U << 20);
    FillReader reader(site.fill);
    site.fill->publish_head(head_of(size));
    const auto body = pattern(size);
    for (std::size_t at = 0; at < size; at += 1000) {
      CHECK(site.fill->append(std::string_view(body).substr(at, 1000)) == Append::kept);
    }
    const auto view = reader.view();
    CHECK(view.bytes == body);
    const auto whole = site.fill->whole_body();
    CHECK(*whole == body);
    if (size > 1000) CHECK(static_cast<const void*>(whole->data()) == view.bytes.data());
  }
}

TEST_CASE("pieces of any size make the same body") {
  std::mt19937 random(1);
  const auto body = pattern(700000);
  for (int round = 0; round < 10; ++round) {
    Site site(1U << 20);
    site.fill->publish_head(head_of());
    FillReader reader(site.fill);
    std::string got;
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t size = 1 + random() % 150000;
      CHECK(site.fill->append(std::string_view(body).substr(at, size)) == Append::kept);
      at += size;
      const auto view = reader.view();
      const auto n = view.bytes.empty() ? 0 : 1 + random() % view.bytes.size();
      got += view.bytes.substr(0, n);
      reader.advance(n);
    }
    got += read_all(reader);
    CHECK(got == body);
    CHECK(*site.fill->whole_body() == body);
  }
}

TEST_CASE("a body that outgrows the limit goes on for who reads, and no further than they read") {
  Site site(100000);
  site.fill->publish_head(head_of());
  auto reader = std::make_unique<FillReader>(site.fill);
  const auto body = pattern(8U << 20);
  std::string got;
  std::size_t at = 0;
  constexpr std::size_t piece = 65536;
  CHECK(site.fill->append(std::string_view(body).substr(0, piece)) == Append::kept);
  at = piece;
  CHECK(site.fill->append(std::string_view(body).substr(at, piece)) == Append::unstored);
  at += piece;
  CHECK(site.fill->whole_body() == nullptr);
  Append appended = Append::unstored;
  for (;;) {
    appended = site.fill->append(std::string_view(body).substr(at, piece));
    if (appended == Append::wait) break;
    REQUIRE(appended == Append::unstored);
    at += piece;
  }
  CHECK(at <= window + 2 * piece);
  CHECK(site.bytes <= window + 4 * piece);

  int woken = 0;
  site.fill->on_space([&] { ++woken; });
  CHECK(woken == 0);
  while (at < body.size()) {
    while (appended == Append::wait) {
      const auto view = reader->view();
      REQUIRE(!view.bytes.empty());
      got += view.bytes;
      reader->advance(view.bytes.size());
      if (woken > 0) {
        woken = 0;
        appended = site.fill->append(std::string_view(body).substr(at, piece));
        if (appended == Append::wait) site.fill->on_space([&] { ++woken; });
      }
    }
    at += piece;
    if (at >= body.size()) break;
    appended = site.fill->append(std::string_view(body).substr(at, piece));
    if (appended == Append::wait) site.fill->on_space([&] { ++woken; });
    CHECK(site.bytes <= window + 4 * piece);
  }
  got += read_all(*reader);
  CHECK(got == body);

  // Who comes now cannot see the beginning; it is not a reader, and not waited for.
  FillReader late(site.fill);
  CHECK(late.view().phase == FillPhase::declined);
  CHECK(late.view().bytes.empty());
  CHECK(late.view().head != nullptr);
  bool at_once = false;
  late.on_change(late.view(), [&] { at_once = true; });
  CHECK(at_once);
  late.advance(0);
  CHECK(site.fill->append("x") == Append::unstored);
  site.fill->complete(nullptr);
  CHECK(reader->view().phase == FillPhase::complete);
  CHECK(late.view().phase == FillPhase::declined);
  reader.reset();
  CHECK(site.fill->whole_body() == nullptr);
}

TEST_CASE("trailers come with the end") {
  Site site(1000);
  FillReader reader(site.fill);
  site.fill->publish_head(head_of());
  CHECK(reader.view().trailers == nullptr);
  {
    http::FieldList trailers;
    trailers.add("X", "y");
    site.fill->complete(nullptr, trailers);
  }
  const auto view = reader.view();
  REQUIRE(view.trailers != nullptr);
  CHECK(http::first_value(*view.trailers, "X") == std::optional<std::string_view>("y"));
}

TEST_CASE("nobody reads what cannot be stored") {
  Site site(1000);
  site.fill->publish_head(head_of());
  CHECK(site.fill->append(std::string(1000, 'x')) == Append::kept);
  CHECK(site.fill->append("x") == Append::no_reader);
  // The byte was not taken: who comes now would miss it.
  FillReader late(site.fill);
  CHECK(late.view().phase == FillPhase::declined);
  CHECK(late.view().bytes.empty());
  CHECK(site.fill->append("y") == Append::no_reader);
}

TEST_CASE("the last reader's leaving gives the producer its turn") {
  Site site(10);
  site.fill->publish_head(head_of());
  std::optional<FillReader> reader(site.fill);
  const std::string piece(65536, 'x');
  while (site.fill->append(piece) != Append::wait) {
  }
  int woken = 0;
  site.fill->on_space([&] { ++woken; });
  reader.reset();
  CHECK(woken == 1);
  CHECK(site.fill->append(piece) == Append::no_reader);
  site.fill->on_space([&] { ++woken; });  // at once
  CHECK(woken == 2);
}

TEST_CASE("the slowest of several readers sets the pace") {
  Site site(10);
  site.fill->publish_head(head_of());
  FillReader fast(site.fill);
  std::optional<FillReader> slow(site.fill);
  const std::string piece(65536, 'x');
  while (site.fill->append(piece) != Append::wait) (void)read_all(fast);
  int woken = 0;
  site.fill->on_space([&] { ++woken; });
  (void)read_all(fast);
  CHECK(woken == 0);
  slow.reset();
  CHECK(woken == 1);
  CHECK(site.fill->append(piece) == Append::unstored);
}

TEST_CASE("how a fill may end") {
  const auto stored = stored_response();
  struct Case {
    std::function<void(Fill&)> end;
    FillPhase phase;
  };
  const std::vector<Case> cases{
      {[&](Fill& fill) { fill.answer(stored, CacheOutcome::revalidated); }, FillPhase::answered},
      {[](Fill& fill) { fill.decline(); }, FillPhase::declined},
      {[](Fill& fill) { fill.fail(504); }, FillPhase::failed},
      {[](Fill& fill) { fill.complete(nullptr); }, FillPhase::complete},
  };
  for (const auto& c : cases) {
    Site site(1000);
    FillReader early(site.fill);
    int woken = 0;
    early.on_change(early.view(), [&] { ++woken; });
    c.end(*site.fill);
    CHECK(woken == 1);
    FillReader late(site.fill);
    for (auto* reader : {&early, &late}) {
      const auto view = reader->view();
      CHECK(view.phase == c.phase);
      if (c.phase == FillPhase::answered) {
        CHECK(view.stored == stored);
        CHECK(view.outcome == CacheOutcome::revalidated);
      }
      if (c.phase == FillPhase::failed) CHECK(view.failure_status == 504);
    }
  }
}

TEST_CASE("wakes: once for each wait, at once where there is news already, never for who is gone") {
  Site site(1000);
  FillReader reader(site.fill);
  std::optional<FillReader> other(site.fill);
  int woken = 0;
  int other_woken = 0;
  const auto seen = reader.view();
  reader.on_change(seen, [&] { ++woken; });
  other->on_change(other->view(), [&] { ++other_woken; });
  CHECK(woken == 0);
  other.reset();
  site.fill->publish_head(head_of());
  CHECK(woken == 1);
  CHECK(other_woken == 0);
  site.fill->append("a");
  CHECK(woken == 1);
  reader.on_change(seen, [&] { ++woken; });  // the phase has changed
  CHECK(woken == 2);
  reader.on_change(reader.view(), [&] { ++woken; });  // there are bytes to read
  CHECK(woken == 3);
  (void)read_all(reader);
  reader.on_change(reader.view(), [&] { ++woken; });
  CHECK(woken == 3);
  site.fill->append("b");
  CHECK(woken == 4);
}

TEST_CASE("a producer that is gone is not woken") {
  Site site(10);
  site.fill->publish_head(head_of());
  FillReader reader(site.fill);
  const std::string piece(65536, 'x');
  while (site.fill->append(piece) != Append::wait) {
  }
  bool woken = false;
  site.fill->on_space([&] { woken = true; });
  site.fill->fail(502);
  (void)read_all(reader);
  CHECK(!woken);
}

TEST_CASE("what fills hold is accounted for") {
  std::atomic<std::size_t> bytes{0};
  {
    auto fill = std::make_shared<Fill>(PurgeStamp{}, 1U << 20, bytes);
    fill->publish_head(head_of());
    fill->append(std::string(200000, 'x'));
    CHECK(bytes >= 200000);
    CHECK(bytes < 400000);
    fill->complete(nullptr);
  }
  CHECK(bytes == 0);
}

TEST_CASE("producer and readers on threads of their own") {
  // A reader or producer that waits until it is woken.
  struct Signal {
    std::mutex mutex;
    std::condition_variable condition;
    bool set = false;
    void wake() {
      const std::lock_guard lock(mutex);
      set = true;
      condition.notify_one();
    }
    bool wait() {
      std::unique_lock lock(mutex);
      const bool woken = condition.wait_for(lock, 30s, [this] { return set; });
      set = false;
      return woken;
    }
  };
  for (const std::size_t max_object : {std::size_t{4U << 20}, std::size_t{100000}}) {
    CAPTURE(max_object);
    Site site(max_object);
    const auto body = pattern(3U << 20);
    constexpr int readers = 4;
    std::array<std::string, readers> got;
    std::array<FillPhase, readers> ended{};
    std::vector<std::thread> threads;
    std::vector<std::unique_ptr<FillReader>> places;
    for (int i = 0; i < readers; ++i) places.push_back(std::make_unique<FillReader>(site.fill));
    for (std::size_t i = 0; i < readers; ++i) {
      threads.emplace_back([&, i] {
        auto& reader = *places[i];
        const auto signal = std::make_shared<Signal>();
        std::mt19937 random(static_cast<unsigned>(i));
        for (;;) {
          const auto view = reader.view();
          if (!view.bytes.empty()) {
            const auto n = 1 + random() % view.bytes.size();
            got[i] += view.bytes.substr(0, n);
            reader.advance(n);
            continue;
          }
          ended[i] = view.phase;
          if (view.phase != FillPhase::waiting && view.phase != FillPhase::streaming) return;
          reader.on_change(view, [signal] { signal->wake(); });
          if (!signal->wait()) return;
        }
      });
    }
    threads.emplace_back([&] {
      const auto space = std::make_shared<Signal>();
      std::mt19937 random(99);
      site.fill->publish_head(head_of());
      for (std::size_t at = 0; at < body.size();) {
        const auto piece = std::string_view(body).substr(at, 1 + random() % 100000);
        const auto appended = site.fill->append(piece);
        if (appended == Append::wait) {
          site.fill->on_space([space] { space->wake(); });
          if (!space->wait()) return;
          continue;
        }
        at += piece.size();
      }
      site.fill->complete(nullptr);
    });
    for (auto& thread : threads) thread.join();
    for (std::size_t i = 0; i < readers; ++i) {
      CHECK(ended[i] == FillPhase::complete);
      CHECK(got[i] == body);
    }
  }
}

struct Table {
  PurgeLog log{7};
  FillTable table{1000, 1U << 20};
  std::vector<std::string> no_tags;
  policy::TimePoint now = Clock::now();

  policy::PurgeSubject subject(std::string_view target) const {
    return {.key = "cache:t:1", .base_key = "cache:t:1", .type = "t", .origin = {}, .target = target, .tags = no_tags};
  }
  FillTicket join(const std::string& canonical, std::string_view target = "/") {
    return table.join(canonical, subject(target), log, now);
  }
  void purge(std::string target) {
    const std::vector<policy::Selector> selectors{{policy::SelectorKind::target, std::move(target)}};
    log.apply_local(selectors, false);
  }
};

TEST_CASE("a share of the budget is given back when it goes") {
  FillTable table(1000, 5000);
  {
    auto first = table.reserve(3000);
    REQUIRE(first);
    const auto moved = std::move(*first);
    CHECK(table.bytes_in_fills() == 3000);
    CHECK_FALSE(table.reserve(2001));
    CHECK(table.reserve(2000));
  }
  CHECK(table.bytes_in_fills() == 0);
  CHECK_FALSE(table.reserve(5001));
  CHECK_FALSE(table.reserve(~std::size_t{0}));
}

TEST_CASE("the first leads, equal ones follow, others do not") {
  Table t;
  const auto first = t.join("a");
  CHECK(first.role == FillRole::lead);
  const auto second = t.join("a");
  CHECK(second.role == FillRole::follow);
  CHECK(second.fill == first.fill);
  CHECK(t.join("b").role == FillRole::lead);
  CHECK(t.table.fills() == 2);
  CHECK(t.table.is_filling("a"));
  t.table.leave("a", first.fill);
  CHECK_FALSE(t.table.is_filling("a"));
  CHECK(t.table.fills() == 1);
  t.table.leave("a", first.fill);
  CHECK(t.join("a").role == FillRole::lead);
}

TEST_CASE("a request after a purge does not follow an older fill") {
  Table t;
  const auto old = t.join("a", "/a");
  t.purge("/other");
  CHECK(t.join("a", "/a").role == FillRole::follow);
  t.purge("/a");
  const auto fresh = t.join("a", "/a");
  CHECK(fresh.role == FillRole::lead);
  CHECK(fresh.fill != old.fill);
  CHECK(fresh.fill->stamp().sequence > old.fill->stamp().sequence);
  // The end of the old one does not take the new one out of the table.
  t.table.leave("a", old.fill);
  CHECK(t.join("a", "/a").fill == fresh.fill);
  t.log.enter_epoch(8, 0, 0);
  CHECK(t.join("a", "/a").role == FillRole::lead);
}

TEST_CASE("what proved not storable is fetched by each alone, for a while") {
  Table t;
  t.table.remember_unstorable("a", t.now + 60s);
  CHECK(t.join("a").role == FillRole::alone);
  CHECK(t.join("a").fill == nullptr);
  CHECK(t.table.is_unstorable("a", t.now));
  CHECK(!t.table.is_unstorable("b", t.now));
  CHECK(t.join("b").role == FillRole::lead);
  t.now += 60s;
  CHECK(!t.table.is_unstorable("a", t.now));
  CHECK(t.join("a").role == FillRole::lead);
  t.table.remember_unstorable("c", t.now + 60s);
  t.table.forget_unstorable("c");
  CHECK(t.join("c").role == FillRole::lead);
  for (int i = 0; i < 100; ++i) t.table.remember_unstorable("d" + std::to_string(i), t.now + 60s);
  t.table.forget_unstorable();
  for (int i = 0; i < 100; ++i) CHECK(t.join("d" + std::to_string(i)).role == FillRole::lead);
  // Bounded, whatever is remembered.
  for (int i = 0; i < 200000; ++i) t.table.remember_unstorable("x" + std::to_string(i), t.now + 60s);
  CHECK(t.join("y").role == FillRole::lead);
}

TEST_CASE("a body for which the budget has no room streams piece by piece, and is not stored") {
  std::atomic<std::size_t> bytes{0};
  constexpr std::size_t budget = 256UL << 10;
  const auto body = pattern(2UL << 20);
  const auto piece_at = [&](Fill& fill, std::size_t at) {
    return std::string_view(body).substr(at, std::min(fill.most_at_once(), std::size_t{64UL << 10}));
  };

  SUBCASE("its length is known") {
    const auto fill = std::make_shared<Fill>(PurgeStamp{}, 8UL << 20, bytes, budget);
    FillReader reader(fill);
    fill->publish_head(head_of(body.size()));
    std::string got;
    for (std::size_t at = 0; at < body.size();) {
      const auto piece = piece_at(*fill, at);
      const auto appended = fill->append(piece);
      if (appended == Append::wait) {
        int woken = 0;
        fill->on_space([&] { ++woken; });
        // The first was offered before it was known that there is no room.
        CHECK(woken == (at == 0 ? 1 : 0));
        got += read_all(reader);
        CHECK(woken == 1);
        continue;
      }
      CHECK(appended == Append::unstored);
      at += piece.size();
      CHECK(bytes <= budget + (32UL << 10));
    }
    CHECK(fill->is_over_budget());
    CHECK(fill->whole_body() == nullptr);
    got += read_all(reader);
    CHECK(got == body);
  }
  SUBCASE("others use it up meanwhile") {
    const auto fill = std::make_shared<Fill>(PurgeStamp{}, 8UL << 20, bytes, budget);
    FillReader reader(fill);
    fill->publish_head(head_of());
    CHECK(fill->append(piece_at(*fill, 0)) == Append::kept);
    std::size_t at = 64UL << 10;
    bytes += budget;
    CHECK(fill->append(piece_at(*fill, at)) == Append::wait);
    CHECK(fill->is_over_budget());
    auto got = read_all(reader);
    const auto append = [&] {
      const auto piece = piece_at(*fill, at);
      const auto appended = fill->append(piece);
      if (appended == Append::unstored) at += piece.size();
      return appended;
    };
    CHECK(append() == Append::unstored);
    // While others take it all, one piece at a time; then some again.
    CHECK(append() == Append::wait);
    bytes -= budget;
    CHECK(append() == Append::unstored);
    CHECK(append() == Append::unstored);
    got += read_all(reader);
    CHECK(got == body.substr(0, at));
    CHECK(FillReader(fill).view().phase == FillPhase::declined);
  }
  SUBCASE("nobody reads it") {
    const auto fill = std::make_shared<Fill>(PurgeStamp{}, 8UL << 20, bytes, budget);
    fill->publish_head(head_of(body.size()));
    CHECK(fill->append(piece_at(*fill, 0)) == Append::no_reader);
    CHECK(fill->is_over_budget());
  }
  SUBCASE("many at once stay within it, but for a piece each") {
    std::vector<std::shared_ptr<Fill>> fills;
    std::vector<std::unique_ptr<FillReader>> readers;
    for (int i = 0; i < 50; ++i) {
      fills.push_back(std::make_shared<Fill>(PurgeStamp{}, 8UL << 20, bytes, budget));
      readers.push_back(std::make_unique<FillReader>(fills.back()));
      fills.back()->publish_head(head_of());
    }
    for (std::size_t at = 0; at < body.size(); at += 64UL << 10) {
      for (const auto& fill : fills) (void)fill->append(piece_at(*fill, at));
    }
    CHECK(bytes >= budget);
    CHECK(bytes <= budget + 50 * (16UL << 10));
    readers.clear();
  }
  CHECK(bytes == 0);
}

TEST_CASE("fills have a budget: over it they are still led and followed, but not kept") {
  Table t;
  std::vector<FillTicket> tickets;
  std::vector<std::unique_ptr<FillReader>> readers;
  int n = 0;
  for (;;) {
    tickets.push_back(t.join(std::to_string(n++)));
    REQUIRE(tickets.back().role == FillRole::lead);
    readers.push_back(std::make_unique<FillReader>(tickets.back().fill));
    tickets.back().fill->publish_head(head_of());
    if (tickets.back().fill->append("x") != Append::kept) break;
    REQUIRE(n < 1000);
  }
  CHECK(n > 10);
  CHECK(t.table.bytes_in_fills() <= t.table.budget() + (64UL << 10));
  // One that only waits holds nothing: a crowd has one question.
  CHECK(t.join("new").role == FillRole::lead);
  CHECK(t.join("new").role == FillRole::follow);
  CHECK(t.table.unlisted(t.log.stamp()) == nullptr);
  for (int i = 0; i < n; ++i) t.table.leave(std::to_string(i), tickets[static_cast<std::size_t>(i)].fill);
  readers.clear();
  tickets.clear();
  CHECK(t.table.bytes_in_fills() == 0);
  const auto alone = t.table.unlisted(t.log.stamp());
  REQUIRE(alone);
  CHECK(t.table.fills() == 1);
}

TEST_CASE("joining from many threads: one leads") {
  Table t;
  std::atomic<int> leaders{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int key = 0; key < 500; ++key) {
        if (t.join(std::to_string(key)).role == FillRole::lead) ++leaders;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(leaders == 500);
}

}  // namespace
}  // namespace larder::store
