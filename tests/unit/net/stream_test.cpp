#include "larder/net/stream.hpp"

#include <doctest/doctest.h>
#include <memory>
#include <string>

#include "loopback.hpp"

namespace larder::net {
namespace {

using test::Loop;
using test::Peer;

// A stream, its peer, and what a coroutine has read from it.
struct Link {
  explicit Link(int peer_receive_buffer = 0) {
    auto [socket, other] = test::connected_pair(loop, peer_receive_buffer);
    peer = std::move(other);
    stream = std::make_unique<Stream>(std::move(socket));
  }
  Awaitable<void> read_to_end(std::size_t room_size) {
    std::string room(room_size, '\0');
    for (;;) {
      const auto [error, n] = co_await stream->read_some(room.data(), room.size());
      end = error;
      if (error) co_return;
      received.append(room, 0, n);
    }
  }

  Loop loop;
  Peer peer;
  std::unique_ptr<Stream> stream;
  std::string received;
  error_code end;
};

TEST_CASE("bytes and the end of the stream, however they come") {
  for (const bool end_comes_with_bytes : {false, true}) {
    for (const std::size_t room : {1UL, 3UL, 4UL, 4096UL}) {
      CAPTURE(end_comes_with_bytes);
      CAPTURE(room);
      Link link;
      bool done = false;
      if (end_comes_with_bytes) {
        link.peer.send("abc");
        link.peer.end_sending();
      }
      link.loop.start(link.read_to_end(room), done);
      if (!end_comes_with_bytes) {
        link.loop.settle();
        link.peer.send("abc");
        link.loop.settle();
        CHECK(link.received == "abc");
        link.peer.end_sending();
      }
      link.loop.run_until([&] { return done; }, "the end was not seen");
      CHECK(link.received == "abc");
      CHECK(link.end == asio::error::eof);
    }
  }
}

TEST_CASE("a broken connection is an error") {
  Link link;
  bool done = false;
  link.loop.start(link.read_to_end(16), done);
  link.loop.settle();
  link.peer.reset();
  link.loop.run_until([&] { return done; });
  CHECK(link.end == asio::error::connection_reset);
}

TEST_CASE("a peer that never lets us wait does not keep the loop from the others") {
  Link link;
  link.peer.send("abcdef");
  link.loop.settle();
  bool done = false;
  int turns = 0;
  link.loop.start(link.read_to_end(1), done);
  std::function<void()> count_turns = [&] {
    ++turns;
    if (link.received.size() < 6) asio::post(link.loop.context, count_turns);
  };
  asio::post(link.loop.context, count_turns);
  link.loop.run_until([&] { return link.received.size() == 6; });
  CHECK(turns >= 5);
  link.stream->close(false);
  link.loop.run_until([&] { return done; });
}

TEST_CASE("what does not fit is waited for") {
  Link link(4096);
  const std::string bytes(8UL << 20, 'x');
  std::size_t waits = 0;
  bool done = false;
  const auto send = [&]() -> Awaitable<void> {
    std::string_view left = bytes;
    while (!left.empty()) {
      const iovec piece{const_cast<char*>(left.data()), left.size()};
      const auto sent = link.stream->try_write({&piece, 1});
      REQUIRE(sent.has_value());
      left.remove_prefix(*sent);
      if (*sent > 0) continue;
      ++waits;
      REQUIRE(!co_await link.stream->wait_writable());
    }
  };
  link.loop.start(send(), done);
  std::size_t received = 0;
  link.loop.run_until([&] {
    received += link.peer.take().size();
    return done && received == bytes.size();
  });
  CHECK(waits > 0);
}

TEST_CASE("cancelling and closing end what is waited for, from a later turn of the loop") {
  for (const bool closes : {false, true}) {
    CAPTURE(closes);
    Link link;
    bool done = false;
    link.loop.start(link.read_to_end(16), done);
    link.loop.settle();
    closes ? link.stream->close(false) : link.stream->cancel();
    CHECK(!done);
    link.loop.run_until([&] { return done; });
    CHECK(link.end == asio::error::operation_aborted);
    if (!closes) continue;
    // Whoever comes later is told, and does not wait.
    done = false;
    link.loop.start(link.read_to_end(16), done);
    link.loop.run_until([&] { return done; });
    CHECK(link.end);
    const iovec piece{const_cast<char*>("x"), 1};
    CHECK(!link.stream->try_write({&piece, 1}).has_value());
  }
}

// Is told of two streams, and closes the other one when the first is ready.
struct Closer final : StreamUser {
  void on_ready() noexcept override {
    ++calls;
    other.reset();
  }
  int calls = 0;
  std::unique_ptr<Stream> other;
};

TEST_CASE("what is destroyed in a turn is not told of what came in the same turn") {
  Loop loop;
  auto [first_socket, first_peer] = test::connected_pair(loop);
  auto [second_socket, second_peer] = test::connected_pair(loop);
  Closer first;
  Closer second;
  second.other = std::make_unique<Stream>(std::move(first_socket), &first);
  first.other = std::make_unique<Stream>(std::move(second_socket), &second);
  first_peer.send("x");
  second_peer.send("x");
  loop.settle();
  // Whichever came first has destroyed the other.
  CHECK(first.calls + second.calls >= 1);
  CHECK((first.other == nullptr) != (second.other == nullptr));
}

TEST_CASE("who still waits goes with the context") {
  Link link;
  bool done = false;
  link.loop.start(link.read_to_end(16), done);
  link.loop.settle();
  CHECK(!done);
}

}  // namespace
}  // namespace larder::net
