#include "larder/net/tunnel.hpp"

#include <doctest/doctest.h>
#include <string>

#include "loopback.hpp"

namespace larder::net {
namespace {

using test::Clock;
using test::Loop;
using test::Peer;
using namespace std::chrono_literals;

struct Tunnel {
  void open(std::string first_from_client = "", std::string first_from_origin = "", int receive_buffer = 0,
            Milliseconds idle = 10s) {
    from_client = std::move(first_from_client);
    from_origin = std::move(first_from_origin);
    auto [client_socket, client_peer] = test::connected_pair(loop, receive_buffer);
    auto [origin_socket, origin_peer] = test::connected_pair(loop, receive_buffer);
    client = std::move(client_peer);
    origin = std::move(origin_peer);
    ours_to_client.emplace(std::move(client_socket));
    ours_to_origin.emplace(std::move(origin_socket));
    loop.start(relay_tunnel(*ours_to_client, from_client, *ours_to_origin, from_origin, loop.wheel, idle), done);
  }

  Loop loop;
  std::string from_client;
  std::string from_origin;
  Peer client;
  Peer origin;
  std::optional<Stream> ours_to_client;
  std::optional<Stream> ours_to_origin;
  bool done = false;
};

TEST_CASE("both ways, beginning with what was read already") {
  Tunnel tunnel;
  tunnel.open("to origin ", "to client ");
  tunnel.client.send("and more");
  tunnel.origin.send("and more too");
  tunnel.loop.run_until([&] { return tunnel.origin.has("more") && tunnel.client.has("too"); });
  CHECK(tunnel.origin.received() == "to origin and more");
  CHECK(tunnel.client.received() == "to client and more too");
}

TEST_CASE("one side's end is passed on, and the other may go on") {
  for (const bool client_ends : {true, false}) {
    Tunnel tunnel;
    tunnel.open();
    auto& first = client_ends ? tunnel.client : tunnel.origin;
    auto& second = client_ends ? tunnel.origin : tunnel.client;
    first.send("last");
    first.end_sending();
    tunnel.loop.run_until([&] { return second.ended(); });
    CHECK(second.take() == "last");
    CHECK(!tunnel.done);
    second.send("still here");
    tunnel.loop.run_until([&] { return first.has("still here"); });
    second.close();
    tunnel.loop.run_until([&] { return tunnel.done; });
    CHECK(first.ended());
    CHECK(!tunnel.ours_to_client->is_open());
    CHECK(!tunnel.ours_to_origin->is_open());
  }
}

TEST_CASE("a reset of one side ends both") {
  for (const bool client_resets : {true, false}) {
    Tunnel tunnel;
    tunnel.open();
    auto& first = client_resets ? tunnel.client : tunnel.origin;
    auto& second = client_resets ? tunnel.origin : tunnel.client;
    first.reset();
    tunnel.loop.run_until([&] { return tunnel.done; });
    tunnel.loop.run_until([&] { return second.is_over(); });
  }
}

TEST_CASE("much, with back-pressure") {
  Tunnel tunnel;
  tunnel.open("", "", 4096);
  constexpr std::size_t size = 4U << 20;
  std::string sent(size, '\0');
  for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<char>(i * 7 + i / 251);
  std::string_view rest = sent;
  // The client does not read: no more is taken from the origin than fits into buffers.
  std::size_t stalled = 0;
  tunnel.loop.run_until([&] {
    const auto n = tunnel.origin.send_some(rest.substr(0, 65536));
    rest.remove_prefix(n);
    stalled = n == 0 ? stalled + 1 : 0;
    return rest.empty() || stalled > 50;
  });
  tunnel.client.receive_buffer(1U << 20);
  tunnel.loop.run_until([&] {
    if (!rest.empty()) rest.remove_prefix(tunnel.origin.send_some(rest.substr(0, 65536)));
    return tunnel.client.received().size() == size;
  });
  CHECK(tunnel.client.received() == sent);
}

TEST_CASE("silence ends it, traffic either way does not") {
  Tunnel tunnel;
  tunnel.open("", "", 0, 300ms);
  const auto start = Clock::now();
  auto next = start;
  int sent = 0;
  tunnel.loop.run_until([&] {
    if (sent < 10 && Clock::now() >= next) {
      tunnel.origin.send("x");
      next += 60ms;
      ++sent;
    }
    return tunnel.done;
  });
  CHECK(tunnel.client.received().size() == 10);
  CHECK(Clock::now() - start >= 540ms + 300ms);
  CHECK(tunnel.client.is_over());
  CHECK(tunnel.origin.is_over());
}

TEST_CASE("a side that never reads is silence too") {
  Tunnel tunnel;
  tunnel.open("", "", 4096, 300ms);
  const std::string much(65536, 'x');
  tunnel.loop.run_until([&] {
    if (!tunnel.done) tunnel.origin.send_some(much);
    return tunnel.done;
  });
}

}  // namespace
}  // namespace larder::net
