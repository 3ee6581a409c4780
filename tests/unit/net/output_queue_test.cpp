#include "larder/net/output_queue.hpp"

#include <doctest/doctest.h>
#include <random>
#include <string>

namespace larder::net {
namespace {

std::string content(const OutputQueue& queue) {
  std::string text;
  for (const auto& piece : queue.pieces()) text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return text;
}

// Counts how often it was released.
struct Object {
  int released = 0;
  static void release(const void* object) { ++const_cast<Object*>(static_cast<const Object*>(object))->released; }
};

TEST_CASE("pieces leave in order") {
  OutputQueue queue;
  CHECK(queue.empty());
  const std::string view = "view";
  queue.add_copy("a");
  queue.add_copy("b");
  queue.add_view(view);
  queue.add_view("");
  queue.add_copy("");
  queue.add_copy("c");
  CHECK(queue.size() == 7);
  CHECK(queue.pieces().size() == 3);  // copies that follow one another are one piece
  CHECK(content(queue) == "abviewc");
  queue.sent(3);
  CHECK(content(queue) == "iewc");
  queue.add_copy("d");
  CHECK(content(queue) == "iewcd");
  queue.sent(5);
  CHECK(queue.empty());
  CHECK(queue.pieces().empty());
}

TEST_CASE("what is retained is released once, when all was sent or dropped") {
  Object sent;
  Object dropped;
  Object destroyed;
  {
    OutputQueue queue;
    queue.add_copy("ab");
    queue.retain(&sent, Object::release);
    queue.retain(nullptr, Object::release);
    queue.retain(&sent, nullptr);
    queue.sent(1);
    CHECK(sent.released == 0);
    queue.sent(1);
    CHECK(sent.released == 1);
    queue.add_copy("c");
    queue.retain(&dropped, Object::release);
    queue.clear();
    CHECK(dropped.released == 1);
    CHECK(queue.empty());
    queue.add_copy("d");
    queue.retain(&destroyed, Object::release);
  }
  CHECK(sent.released == 1);
  CHECK(dropped.released == 1);
  CHECK(destroyed.released == 1);
}

TEST_CASE("what is taken over takes no more memory than it needs") {
  OutputQueue shared(64UL << 10);
  const std::string body(100000, 'b');
  Object object;
  shared.add_copy("head");
  shared.add_view(body);
  shared.retain(&object, Object::release);
  CHECK(shared.memory() == 64UL << 10);
  OutputQueue own;
  CHECK(own.memory() == 0);
  shared.sent(2);
  own.take(shared);
  CHECK(content(own) == "ad" + body);
  CHECK(own.memory() == 4096);
  CHECK(shared.empty());
  int retained = 0;
  own.each_retained([&](const void* kept, void (*)(const void*)) { retained += kept == &object ? 1 : 0; });
  CHECK(retained == 1);
  own.add_copy("end");
  own.sent(own.size() - 3);
  CHECK(content(own) == "end");
  CHECK(object.released == 0);
  own.clear();
  CHECK(object.released == 1);

  // Much of it comes as it is, and nothing of it stays.
  for (int i = 0; i < 100; ++i) shared.add_copy(std::string(3000, 'c'));
  const auto all = content(shared);
  const auto memory = shared.memory();
  CHECK(memory >= all.size());
  own.take(shared);
  CHECK(content(own) == all);
  CHECK(own.memory() >= memory);
  CHECK(shared.memory() <= 64UL << 10);
  own.add_copy("end");
  CHECK(content(own) == all + "end");
  own.clear();
  CHECK(own.memory() <= 4096);
  shared.add_copy("again");
  CHECK(content(shared) == "again");
}

TEST_CASE("copies of any size, sent in steps of any size, come out as they went in") {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    OutputQueue queue;
    std::string expected;
    std::string got;
    std::vector<std::unique_ptr<std::string>> views;
    for (int step = 0; step < 60; ++step) {
      const std::size_t size = random() % (step % 10 == 0 ? 20000 : 300);
      std::string bytes(size, static_cast<char>('a' + step % 26));
      expected += bytes;
      if (random() % 2 == 0) {
        queue.add_copy(bytes);
      } else {
        views.push_back(std::make_unique<std::string>(std::move(bytes)));
        queue.add_view(*views.back());
      }
      CHECK(queue.size() == expected.size() - got.size());
      if (random() % 3 == 0 && !queue.empty()) {
        const auto n = 1 + random() % queue.size();
        got += content(queue).substr(0, n);
        queue.sent(n);
      }
    }
    got += content(queue);
    CHECK(got == expected);
  }
}

}  // namespace
}  // namespace larder::net
