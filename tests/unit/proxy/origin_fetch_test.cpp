#include "larder/proxy/origin_fetch.hpp"

#include <algorithm>
#include <deque>
#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "larder/net/error.hpp"

#include "../net/loopback.hpp"

namespace larder::proxy {
namespace {

using net::Error;
using net::test::Loop;
using net::test::Peer;
using net::test::PeerListener;
using namespace std::chrono_literals;
using namespace std::string_literals;

// A request body whose pieces the test gives, now or later.
class ScriptedBody final : public net::RequestBody {
 public:
  explicit ScriptedBody(Loop& loop) : news_(std::make_shared<net::WaitPoint>(loop.context.get_executor())) {}

  void give(std::string piece) {
    pieces_.push_back(std::move(piece));
    news_->notify();
  }
  void end() { give(""); }
  void fail(net::Error error) {
    error_ = error;
    news_->notify();
  }
  http::FieldList trailer_fields;
  std::optional<std::uint64_t> announced;
  bool cancelled = false;

  net::Awaitable<net::Result<std::string_view>> read() override {
    while (pieces_.empty() && !error_ && !cancelled) co_await news_->wait();
    if (cancelled) co_return Error::cancelled;
    if (pieces_.empty()) co_return error_;
    present_ = std::move(pieces_.front());
    if (!present_.empty()) pieces_.pop_front();
    co_return std::string_view(present_);
  }
  std::optional<std::uint64_t> length() const override { return announced; }
  const http::FieldList& trailers() const override { return trailer_fields; }
  void cancel() override {
    cancelled = true;
    news_->notify();
  }

 private:
  std::shared_ptr<net::WaitPoint> news_;
  std::deque<std::string> pieces_;
  std::string present_;
  net::error_code error_;
};

struct Site {
  explicit Site(std::vector<std::string> servers) {
    parameters.servers = std::move(servers);
    parameters.read_timeout = 5s;
    pool.emplace(loop.context, loop.wheel, parameters);
    request.head.method = "GET";
    request.head.target = "/";
    request.on_interim = [this](const http::ResponseHead& head) -> net::Awaitable<net::error_code> {
      interim.push_back(head.status);
      co_return net::error_code{};
    };
    request.on_connection = [this](net::OriginConnection* connection) { in_use.push_back(connection != nullptr); };
  }
  void begin() {
    done = false;
    response = {};
    loop.start(run(), done);
  }
  net::Awaitable<void> run() { co_await fetch(*pool, request, response); }
  void finish() {
    loop.run_until([&] { return done; }, "the fetch did not end");
  }
  // The body of the response, and the connection back to the pool.
  std::string read_body() {
    std::string body;
    loop.run(read_into(body));
    loop.run(end_upload(response, request.body));
    response.lease.give_back();
    return body;
  }
  net::Awaitable<void> read_into(std::string& body) {
    while (!response.lease.connection().body_done()) {
      const auto piece = co_await response.lease.connection().read_body();
      if (!piece || piece->empty()) break;
      body += *piece;
    }
  }
  std::ptrdiff_t attempts() const { return std::ranges::count(in_use, true); }
  // Takes a connection, waits for a request on it.
  Peer expect(PeerListener& origin) {
    auto peer = origin.accept(loop);
    expect(peer);
    return peer;
  }
  void expect(Peer& peer) {
    loop.run_until([&] { return peer.has("\r\n\r\n") || peer.is_over(); });
    CHECK(peer.has("\r\n\r\n"));
  }

  Loop loop;
  net::OriginParameters parameters;
  std::optional<net::OriginPool> pool;
  OriginRequest request;
  OriginResponse response;
  bool done = false;
  std::vector<int> interim;
  std::vector<bool> in_use;
};

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_CASE("one request after the other, on one connection") {
  PeerListener origin;
  Site site({origin.url()});
  std::optional<Peer> peer;
  for (int i = 0; i < 3; ++i) {
    site.begin();
    if (peer) {
      site.expect(*peer);
    } else {
      peer = site.expect(origin);
    }
    CHECK(peer->take().starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(origin.port()) + "\r\n"));
    peer->send("HTTP/1.1 103 Early\r\n\r\n" + ok);
    site.finish();
    CHECK(!site.response.error);
    CHECK(site.response.head.status == 200);
    CHECK(site.response.server->authority == "127.0.0.1:" + std::to_string(origin.port()));
    CHECK(site.read_body() == "ok");
  }
  CHECK(site.interim == std::vector<int>{103, 103, 103});
  CHECK(site.in_use == std::vector<bool>{true, false, true, false, true, false});
  CHECK(site.pool->counters().requests == 3);
  CHECK(site.pool->counters().connects == 1);
  CHECK(site.pool->counters().retries == 0);
}

TEST_CASE("nothing was sent: another server, whatever the method") {
  for (const char* method : {"GET", "POST"}) {
    PeerListener living;
    Site site({"http://127.0.0.1:" + std::to_string(net::test::dead_port()), living.url()});
    site.request.head.method = method;
    site.begin();
    auto peer = site.expect(living);
    peer.send(ok);
    site.finish();
    CHECK(!site.response.error);
    CHECK(site.pool->counters().retries == 1);
  }
  Site none({"http://127.0.0.1:" + std::to_string(net::test::dead_port()),
             "http://127.0.0.1:" + std::to_string(net::test::dead_port())});
  none.begin();
  none.finish();
  CHECK(none.response.error == Error::origin_unreachable);
  CHECK(!none.response.reached);
  CHECK(none.pool->counters().connect_failures == 2);
}

TEST_CASE("a kept connection that dies under a request") {
  struct Case {
    std::string method;
    bool again;
  };
  for (const auto& c : {Case{"GET", true}, Case{"PUT", true}, Case{"DELETE", true}, Case{"POST", false},
                        Case{"PATCH", false}, Case{"get", false}}) {
    CAPTURE(c.method);
    PeerListener origin;
    Site site({origin.url()});
    site.begin();
    auto peer = site.expect(origin);
    peer.take();
    peer.send(ok);
    site.finish();
    CHECK(site.read_body() == "ok");
    site.request.head.method = c.method;
    site.begin();
    site.expect(peer);
    peer.close();
    if (c.again) {
      auto next = site.expect(origin);
      next.send(ok);
      site.finish();
      CHECK(!site.response.error);
      CHECK(!site.response.lease.is_reused());
      CHECK(site.pool->counters().retries == 1);
    } else {
      site.finish();
      CHECK(site.response.error == Error::origin_closed);
      CHECK(site.response.reached);
      CHECK(!site.response.lease);
    }
  }
}

TEST_CASE("a new connection that dies before an answer: another server, once each") {
  PeerListener a;
  PeerListener b;
  Site site({a.url(), b.url()});
  site.begin();
  std::optional<Peer> first;
  std::optional<Peer> second;
  site.loop.run_until([&] { return (first = a.try_accept()) || (second = b.try_accept()); });
  auto& one = first ? *first : *second;
  auto& other = first ? b : a;
  site.expect(one);
  one.close();
  auto next = site.expect(other);
  SUBCASE("that answers") {
    next.send(ok);
    site.finish();
    CHECK(!site.response.error);
  }
  SUBCASE("that dies too") {
    next.close();
    site.finish();
    CHECK(site.response.error == Error::origin_closed);
    CHECK(site.response.reached);
    CHECK(site.attempts() == 2);
  }
}

TEST_CASE("once an answer has begun, or the origin is merely slow, nobody else is asked") {
  struct Case {
    std::string what;
    std::string answer;
    bool closes;
    net::error_code error;
  };
  for (const auto& c : {Case{"half a head", "HTTP/1.1 200", true, Error::origin_closed},
                        Case{"an interim response", "HTTP/1.1 100 Continue\r\n\r\n", true, Error::origin_closed},
                        Case{"noise", "noise\r\n\r\n", false, Error::origin_malformed},
                        Case{"silence", "", false, Error::origin_timeout}}) {
    CAPTURE(c.what);
    PeerListener a;
    PeerListener b;
    Site site({a.url(), b.url()});
    site.parameters.read_timeout = 200ms;
    site.pool->set_parameters(site.parameters);
    site.begin();
    std::optional<Peer> peer;
    site.loop.run_until([&] { return (peer = a.try_accept()) || (peer = b.try_accept()); });
    site.expect(*peer);
    peer->send(c.answer);
    if (c.closes) peer->end_sending();
    site.finish();
    CHECK(site.response.error == c.error);
    CHECK(site.response.reached);
    CHECK(site.attempts() == 1);
    if (c.error == Error::origin_malformed) CHECK(site.response.fault == net::ParseFault::start_line);
    CHECK(site.pool->counters().open == 0);
  }
}

TEST_CASE("interim responses without end") {
  PeerListener origin;
  Site site({origin.url()});
  site.begin();
  auto peer = site.expect(origin);
  site.loop.run_until([&] {
    if (!site.done) peer.send_some("HTTP/1.1 103 Early\r\n\r\n");
    return site.done;
  });
  CHECK(site.response.error == Error::origin_malformed);
  CHECK(site.interim.size() < 1000);
}

TEST_CASE("the client's going away ends it, and nobody else is asked") {
  PeerListener a;
  PeerListener b;
  Site site({a.url(), b.url()});
  net::OriginConnection* connection = nullptr;
  site.request.on_connection = [&](net::OriginConnection* present) { connection = present; };
  site.begin();
  std::optional<Peer> peer;
  site.loop.run_until([&] { return (peer = a.try_accept()) || (peer = b.try_accept()); });
  site.expect(*peer);
  REQUIRE(connection != nullptr);
  connection->close();
  site.finish();
  CHECK(site.response.error == Error::cancelled);
  CHECK(site.response.reached);
  CHECK(connection == nullptr);
  CHECK(site.pool->counters().retries == 0);
}

TEST_CASE("a body goes as it comes, framed as it was announced") {
  for (const bool chunked : {false, true}) {
    PeerListener origin;
    Site site({origin.url()});
    ScriptedBody body(site.loop);
    body.trailer_fields.add("X", "y");
    site.request.head.method = "POST";
    site.request.body = &body;
    site.request.framing = {.present = true, .length = chunked ? std::nullopt : std::optional<std::uint64_t>(1)};
    site.begin();
    auto peer = site.expect(origin);
    peer.take();
    std::string expected;
    for (const std::string& piece : {"abc"s, std::string(100000, 'x'), "z"s}) {
      body.give(piece);
      expected +=
          chunked ? (piece.size() == 100000 ? "186a0" : std::to_string(piece.size())) + "\r\n" + piece + "\r\n" : piece;
      site.loop.run_until([&] { return peer.received().size() == expected.size(); });
    }
    body.end();
    if (chunked) expected += "0\r\nX: y\r\n\r\n";
    site.loop.run_until([&] { return peer.received().size() == expected.size(); });
    site.loop.settle();
    CHECK(peer.received() == expected);
    peer.send(ok);
    site.finish();
    CHECK(!site.response.error);
    CHECK(site.read_body() == "ok");
    CHECK(!body.cancelled);
    CHECK(site.pool->counters().idle == 1);
  }
}

TEST_CASE("an answer before the body's end: it is heard, and the connection is not used again") {
  PeerListener origin;
  Site site({origin.url()});
  ScriptedBody body(site.loop);
  site.request.head.method = "POST";
  site.request.body = &body;
  site.begin();
  auto peer = site.expect(origin);
  body.give("part");
  peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
  site.finish();
  CHECK(site.response.head.status == 413);
  CHECK(site.read_body() == "no");
  CHECK(body.cancelled);
  CHECK(site.pool->counters().open == 0);
  site.loop.run_until([&] { return peer.is_over(); });
}

TEST_CASE("a body that fails is the client's fault, and the origin does not take it for whole") {
  for (const auto error : {Error::client_gone, Error::client_timeout, Error::client_malformed_body}) {
    for (const bool chunked : {false, true}) {
      PeerListener origin;
      Site site({origin.url()});
      ScriptedBody body(site.loop);
      site.request.head.method = "POST";
      site.request.body = &body;
      site.request.framing = {.present = true, .length = chunked ? std::nullopt : std::optional<std::uint64_t>(1)};
      site.begin();
      auto peer = site.expect(origin);
      peer.take();
      body.give("part");
      site.loop.run_until([&] { return peer.has("part"); });
      body.fail(error);
      site.finish();
      CHECK(site.response.error == error);
      CHECK(site.response.reached);
      site.loop.run_until([&] { return peer.is_over(); });
      CHECK(!peer.has("0\r\n\r\n"));
    }
  }
}

TEST_CASE("the origin owes nothing while the client still sends, and an answer afterwards") {
  PeerListener origin;
  Site site({origin.url()});
  site.parameters.read_timeout = 200ms;
  site.pool->set_parameters(site.parameters);
  ScriptedBody body(site.loop);
  site.request.head.method = "POST";
  site.request.body = &body;
  site.begin();
  auto peer = site.expect(origin);
  const auto later = net::test::Clock::now() + 600ms;
  site.loop.run_until([&] { return net::test::Clock::now() > later; });
  CHECK(!site.done);
  body.give("late");
  body.end();
  site.finish();
  CHECK(site.response.error == Error::origin_timeout);
}

TEST_CASE("an origin that dies while the body goes") {
  PeerListener origin;
  Site site({origin.url()});
  ScriptedBody body(site.loop);
  site.request.head.method = "PUT";
  site.request.body = &body;
  site.begin();
  auto peer = site.expect(origin);
  body.give("part");
  site.loop.run_until([&] { return peer.has("part"); });
  peer.reset();
  site.finish();
  CHECK(site.response.error == Error::origin_closed);
  CHECK(site.response.reached);
  CHECK(body.cancelled);
  CHECK(site.attempts() == 1);
}

TEST_CASE("a small body is read first and can be sent again") {
  for (const char* method : {"PUT", "POST"}) {
    PeerListener origin;
    Site site({origin.url()});
    site.begin();
    auto peer = site.expect(origin);
    peer.take();
    peer.send(ok);
    site.finish();
    CHECK(site.read_body() == "ok");

    ScriptedBody body(site.loop);
    site.request.head.method = method;
    site.request.body = &body;
    site.request.read_body_first = true;
    site.begin();
    site.loop.settle();
    CHECK(peer.received().empty());
    body.give("small");
    body.end();
    site.loop.run_until([&] { return peer.has("small"); });
    peer.close();
    if (method == "PUT"s) {
      auto next = site.expect(origin);
      site.loop.run_until([&] { return next.has("small"); });
      next.send(ok);
      site.finish();
      CHECK(!site.response.error);
    } else {
      site.finish();
      CHECK(site.response.error == Error::origin_closed);
      CHECK(site.response.reached);
    }
  }
  PeerListener origin;
  Site site({origin.url()});
  ScriptedBody body(site.loop);
  site.request.head.method = "PUT";
  site.request.body = &body;
  site.request.read_body_first = true;
  body.give("half");
  body.fail(Error::client_gone);
  site.begin();
  site.finish();
  CHECK(site.response.error == Error::client_gone);
  CHECK(!site.response.reached);
}

TEST_CASE("what the client is told") {
  CHECK(status_of(Error::client_malformed_body) == 400);
  CHECK(status_of(Error::client_timeout) == 408);
  CHECK(status_of(Error::client_gone) == 408);
  CHECK(status_of(Error::origin_busy) == 503);
  CHECK(status_of(Error::origin_timeout) == 504);
  CHECK(status_of(Error::origin_connect_timeout) == 504);
  for (const auto error : {Error::origin_unresolved, Error::origin_unreachable, Error::origin_closed,
                           Error::origin_malformed, Error::cancelled}) {
    CHECK(status_of(error) == 502);
  }
  CHECK(status_of(net::error_code{}) == 502);
}

}  // namespace
}  // namespace larder::proxy
