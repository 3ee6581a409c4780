#include "larder/admin/webhook.hpp"

#include <doctest/doctest.h>
#include <optional>
#include <spdlog/spdlog.h>
#include <string>

#include "../net/loopback.hpp"

namespace larder::admin {
namespace {

using net::test::Loop;
using net::test::Peer;
using net::test::PeerListener;
using std::chrono::milliseconds;

struct Site {
  explicit Site(const std::string& server) {
    spdlog::set_level(spdlog::level::off);
    parameters.server = server;
    parameters.target = "/hook?key=1";
    parameters.token = "secret";
    parameters.retry_first = milliseconds(1);
    parameters.deadline = milliseconds(10000);
  }
  Webhook& hook() {
    if (!hook_) hook_.emplace(loop.context, loop.wheel, parameters);
    return *hook_;
  }
  // A request with this body, read whole.
  std::string request(Peer& peer, const std::string& body) {
    loop.run_until([&] { return peer.received().ends_with(body); }, "no request");
    return peer.take();
  }
  Loop loop;
  WebhookParameters parameters;

 private:
  std::optional<Webhook> hook_;
};

TEST_CASE("a message is posted, and the next one after it") {
  PeerListener receiver;
  Site site(receiver.url());
  site.hook().post("{\"a\":1}\n");
  site.hook().post("{\"b\":2}\n");
  CHECK(site.hook().state().waiting == 2);
  auto peer = receiver.accept(site.loop);
  const auto request = site.request(peer, "{\"a\":1}\n");
  CHECK(
      request.starts_with("POST /hook?key=1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(receiver.port()) + "\r\n"));
  CHECK(request.find("\r\nContent-Type: application/json\r\n") != std::string::npos);
  CHECK(request.find("\r\nContent-Length: 8\r\n") != std::string::npos);
  CHECK(request.find("\r\nAuthorization: Bearer secret\r\n") != std::string::npos);
  site.loop.settle();
  CHECK_FALSE(receiver.try_accept().has_value());
  peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
  auto next = receiver.accept(site.loop);
  site.request(next, "{\"b\":2}\n");
  next.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  site.loop.run_until([&] { return site.hook().state().delivered == 2; });
  CHECK(site.hook().state().failed == 0);
  CHECK(site.hook().state().waiting == 0);
}

TEST_CASE("what fails is tried again, as often as configured, and then given up") {
  PeerListener receiver;
  Site site(receiver.url());
  site.parameters.tries = 4;
  site.hook().post("x");
  {
    auto peer = receiver.accept(site.loop);
    site.request(peer, "x");
  }
  // That one was closed without an answer. Then: an error, nonsense, and too many requests.
  for (const auto* answer : {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "nonsense\r\n\r\n",
                             "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"}) {
    CHECK(site.hook().state().failed == 0);
    auto peer = receiver.accept(site.loop);
    site.request(peer, "x");
    peer.send(answer);
    site.loop.run_until([&] { return peer.is_over(); });
  }
  site.loop.run_until([&] { return site.hook().state().failed == 1; });
  CHECK(site.hook().state().delivered == 0);
  // The next message is not its victim.
  site.hook().post("y");
  auto peer = receiver.accept(site.loop);
  site.request(peer, "y");
  peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  site.loop.run_until([&] { return site.hook().state().delivered == 1; });
}

TEST_CASE("who is refused is not asked again") {
  PeerListener receiver;
  Site site(receiver.url());
  site.hook().post("x");
  auto peer = receiver.accept(site.loop);
  site.request(peer, "x");
  peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  site.loop.run_until([&] { return site.hook().state().failed == 1; });
  site.loop.settle();
  CHECK_FALSE(receiver.try_accept().has_value());
}

TEST_CASE("nobody there, and who does not answer") {
  Site nobody("http://127.0.0.1:" + std::to_string(net::test::dead_port()));
  nobody.hook().post("x");
  nobody.loop.run_until([&] { return nobody.hook().state().failed == 1; });

  PeerListener silent;
  Site site(silent.url());
  site.parameters.deadline = milliseconds(60);
  site.parameters.tries = 1;
  site.hook().post("x");
  auto peer = silent.accept(site.loop);
  site.request(peer, "x");
  site.loop.run_until([&] { return site.hook().state().failed == 1; });
  CHECK(peer.is_over());
  // Nor does one byte now and then.
  site.hook().post("y");
  auto slow = silent.accept(site.loop);
  site.loop.run_until([&] {
    (void)slow.send_some("H");
    return site.hook().state().failed == 2;
  });
}

TEST_CASE("only so many messages wait") {
  PeerListener silent;
  Site site(silent.url());
  for (std::size_t i = 0; i < most_waiting_messages + 10; ++i) site.hook().post("x");
  CHECK(site.hook().state().waiting == most_waiting_messages);
  CHECK(site.hook().state().failed == 10);
}

TEST_CASE("a webhook may go while it delivers") {
  PeerListener silent;
  Loop loop;
  std::optional<Webhook> hook;
  WebhookParameters parameters;
  parameters.server = silent.url();
  parameters.target = "/";
  hook.emplace(loop.context, loop.wheel, parameters);
  hook->post("x");
  auto peer = silent.accept(loop);
  loop.run_until([&] { return peer.received().ends_with("x"); });
  hook.reset();
  peer.reset();
  loop.settle();
}

}  // namespace
}  // namespace larder::admin
