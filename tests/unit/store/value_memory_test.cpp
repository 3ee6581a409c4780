#include "larder/store/value_memory.hpp"

#include <doctest/doctest.h>
#include <string>

namespace larder::store {
namespace {

using namespace std::chrono_literals;
using Time = HeldValue::Time;

const Time start{100s};

HeldValue value(std::string text, Time expires = start + 1h) {
  return {.text = std::move(text), .expires = expires, .came = start, .version = 0, .owed = 0};
}

TEST_CASE("what is stored is found until it is removed, replaced or expired") {
  ValueMemory memory(10000);
  CHECK(memory.find("a", start) == nullptr);
  memory.put("a", value("1"));
  memory.put("b", value("2", start + 10s));
  REQUIRE(memory.find("a", start) != nullptr);
  CHECK(memory.find("a", start)->text == "1");
  memory.put("a", value("3"));
  CHECK(memory.find("a", start)->text == "3");
  CHECK(memory.counters().entries == 2);
  CHECK(memory.peek("b", start + 9s) != nullptr);
  CHECK(memory.peek("b", start + 10s) == nullptr);
  CHECK(memory.counters().expired == 1);
  memory.erase("a");
  memory.erase("a");
  CHECK(memory.find("a", start) == nullptr);
  CHECK(memory.counters().entries == 0);
  CHECK(memory.counters().bytes == 0);
}

TEST_CASE("keys are any bytes") {
  ValueMemory memory(10000);
  const std::string nul("a\0b", 3);
  memory.put(nul, value("1"));
  memory.put("a", value("2"));
  CHECK(memory.find(nul, start)->text == "1");
  CHECK(memory.find("a", start)->text == "2");
}

TEST_CASE("the budget is kept, and what is too large is not stored, nor what was there") {
  constexpr std::size_t room = 4;
  ValueMemory memory(room * (ValueMemory::overhead + 11));
  for (int i = 0; i < 100; ++i) {
    memory.put("k" + std::to_string(i % 10), value("123456789"));
    CHECK(memory.counters().bytes <= memory.capacity());
  }
  CHECK(memory.counters().entries == room);
  CHECK(memory.counters().evictions == 100 - room);
  memory.put("k9", value(std::string(memory.capacity(), 'x')));
  CHECK(memory.peek("k9", start) == nullptr);
  CHECK(memory.counters().entries == room - 1);
}

TEST_CASE("what was used stays when room is made; what was only looked at goes") {
  ValueMemory memory(3 * (ValueMemory::overhead + 2));
  for (const char* key : {"a", "b", "c"}) memory.put(key, value("1"));
  (void)memory.find("a", start);
  (void)memory.peek("b", start);
  memory.put("d", value("1"));
  CHECK(memory.peek("a", start) != nullptr);
  CHECK(memory.peek("b", start) == nullptr);
  memory.put("e", value("1"));
  CHECK(memory.peek("c", start) == nullptr);
  CHECK(memory.peek("a", start) != nullptr);
}

TEST_CASE("removal by predicate, wherever the hand is") {
  ValueMemory memory(5 * (ValueMemory::overhead + 3));
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 7; ++i) memory.put("k" + std::to_string(i), value("1"));
    for (int i = 0; i < 7; i += 2) (void)memory.find("k" + std::to_string(i), start);
    memory.put("x" + std::to_string(round % 10), value("1"));
    memory.erase_if([round](std::string_view key, const HeldValue&) { return key.back() == '0' + round % 7; });
  }
  memory.erase_if([](std::string_view, const HeldValue&) { return true; });
  CHECK(memory.counters().bytes == 0);
  CHECK(memory.keys().empty());
}

TEST_CASE("sweeps remove what has expired, some at a time") {
  ValueMemory memory(1UL << 20);
  for (int i = 0; i < 100; ++i) {
    memory.put("k" + std::to_string(i), value("1", i % 2 == 0 ? start + 1s : start + 1h));
  }
  memory.sweep(start + 2s, 30);
  CHECK(memory.counters().entries < 100);
  CHECK(memory.counters().entries >= 70);
  for (int i = 0; i < 4; ++i) memory.sweep(start + 2s, 30);
  CHECK(memory.counters().entries == 50);
}

}  // namespace
}  // namespace larder::store
