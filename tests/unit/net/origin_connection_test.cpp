#include "larder/net/origin_connection.hpp"

#include <doctest/doctest.h>
#include <functional>
#include <string>
#include <vector>

#include "larder/net/error.hpp"

#include "loopback.hpp"
#include "read_head.hpp"

namespace larder::net {
namespace {

using test::Clock;
using test::Loop;
using test::Peer;
using namespace std::chrono_literals;
using namespace std::string_literals;

// A connection and the origin at its other end.
struct Link {
  Link() = default;
  void open(int receive_buffer = 0) {
    auto [socket, peer] = test::connected_pair(loop, receive_buffer);
    origin = std::move(peer);
    connection.emplace(std::move(socket), loop.wheel, parameters);
  }

  struct Read {
    error_code error;
    int status = 0;
    std::vector<int> interim;
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;
  };

  // Reads a whole response, interim ones before it too.
  Awaitable<void> read(Read& result, bool for_head_request) {
    for (;;) {
      const auto head = co_await test::read_head(*connection, for_head_request);
      if (!head) {
        result.error = head.error();
        co_return;
      }
      if (head->status < 200 && head->status != 101) {
        result.interim.push_back(head->status);
        continue;
      }
      result.status = head->status;
      for (const auto& field : head->fields) result.fields.emplace_back(field.name, field.value);
      break;
    }
    while (!connection->body_done()) {
      const auto piece = co_await connection->read_body();
      if (!piece) {
        result.error = piece.error();
        co_return;
      }
      if (piece->empty()) break;
      result.body += *piece;
    }
  }
  Read read(bool for_head_request = false) {
    Read result;
    loop.run(read(result, for_head_request));
    return result;
  }

  Loop loop;
  OriginParameters parameters;
  Peer origin;
  std::optional<OriginConnection> connection;
};

const std::string ok = "HTTP/1.1 200 OK\r\n";

TEST_CASE("responses of every framing, in every split") {
  struct Case {
    std::string bytes;
    std::string body;
    bool reusable;
    bool ends;
  };
  const std::vector<Case> cases{
      {ok + "Content-Length: 2\r\n\r\nok", "ok", true, false},
      {ok + "Content-Length: 0\r\n\r\n", "", true, false},
      {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\n", "okabc", true, false},
      {ok + "\r\nuntil the end", "until the end", false, true},
      {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false, false},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", true, false},
      {ok + "Connection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false, false},
      {"HTTP/1.1 204 No Content\r\n\r\n", "", true, false},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "", true, false},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", "", false, false},
      {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "", false, false},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "", true, false},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nok", "ok",
       true, false},
      {ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 unasked", "ok", false, false},
  };
  for (const auto& c : cases) {
    for (std::size_t cut = 0; cut < c.bytes.size(); ++cut) {
      CAPTURE(c.bytes);
      CAPTURE(cut);
      Link link;
      link.open();
      Link::Read result;
      bool done = false;
      if (cut > 0) link.origin.send(c.bytes.substr(0, cut));
      link.loop.start(link.read(result, false), done);
      link.loop.context.poll();
      link.origin.send(c.bytes.substr(cut));
      if (c.ends) link.origin.end_sending();
      link.loop.run_until([&] { return done; });
      CHECK(!result.error);
      CHECK(result.body == c.body);
      // What was sent unasked may not be here yet, but then the pool looks again before it reuses the connection.
      if (cut == 0) CHECK((link.connection->is_reusable() && link.connection->is_quiet()) == c.reusable);
    }
  }
}

TEST_CASE("one response after the other") {
  Link link;
  link.open();
  for (int i = 0; i < 3; ++i) {
    const auto request = "GET / HTTP/1.1\r\n\r\n"s;
    CHECK(!link.loop.run(link.connection->send(std::string_view(request))));
    link.loop.run_until([&] { return link.origin.has("\r\n\r\n"); });
    link.origin.take();
    CHECK(!link.connection->has_answered());
    link.origin.send("HTTP/1.1 103 Early\r\n\r\n" + ok + "Content-Length: 100000\r\nX: y\r\n\r\n" +
                     std::string(100000, 'x'));
    const auto result = link.read();
    CHECK(result.interim == std::vector<int>{103});
    CHECK(result.body.size() == 100000);
    CHECK(result.fields.size() == 2);
    CHECK(link.connection->has_answered());
    REQUIRE(link.connection->is_reusable());
    CHECK(link.connection->is_quiet());
    link.connection->reset();
  }
}

TEST_CASE("an answer to HEAD") {
  Link link;
  link.open();
  link.origin.send(ok + "Content-Length: 5\r\n\r\n");
  const auto result = link.read(true);
  CHECK(!result.error);
  CHECK(link.connection->length() == std::optional<std::uint64_t>(5));
  CHECK(link.connection->is_reusable());
}

TEST_CASE("what goes wrong, and whose fault it is") {
  struct Case {
    std::string what;
    std::string bytes;
    enum { stays, ends, resets } then;
    error_code error;
    ParseFault fault = ParseFault::none;
  };
  const std::vector<Case> cases{
      {"no answer", "", Case::ends, Error::origin_closed},
      {"reset", "", Case::resets, Error::origin_closed},
      {"silence", "", Case::stays, Error::origin_timeout},
      {"half a head", ok + "X: y\r\n", Case::ends, Error::origin_closed},
      {"half a head and silence", ok + "X: y\r\n", Case::stays, Error::origin_timeout},
      {"only interim responses", "HTTP/1.1 100 Continue\r\n\r\n", Case::ends, Error::origin_closed},
      {"half a body", ok + "Content-Length: 3\r\n\r\nok", Case::ends, Error::origin_closed},
      {"half a body and reset", ok + "Content-Length: 3\r\n\r\nok", Case::resets, Error::origin_closed},
      {"half a body and silence", ok + "Content-Length: 3\r\n\r\nok", Case::stays, Error::origin_timeout},
      {"half a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nok", Case::ends, Error::origin_closed},
      {"until the end, reset", ok + "\r\nok", Case::resets, Error::origin_closed},
      {"noise", "\x16\x03\x01", Case::stays, Error::origin_malformed, ParseFault::control_character},
      {"bare LF", "HTTP/1.1 200 OK\n\n", Case::stays, Error::origin_malformed, ParseFault::line_ending},
      {"status 042", "HTTP/1.1 042 Low\r\n\r\n", Case::stays, Error::origin_malformed, ParseFault::start_line},
      {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", Case::stays, Error::origin_malformed, ParseFault::version},
      {"both framings", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", Case::stays,
       Error::origin_malformed, ParseFault::framing_conflict},
      {"bad chunk", ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n", Case::stays, Error::origin_malformed,
       ParseFault::chunk},
      {"endless head", ok + "X: " + std::string(200000, 'y'), Case::stays, Error::origin_malformed,
       ParseFault::head_too_large},
      {"endless chunk extension", ok + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(300000, 'y'), Case::stays,
       Error::origin_malformed, ParseFault::chunk},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    Link link;
    link.parameters.read_timeout = 150ms;
    link.open();
    Link::Read result;
    bool done = false;
    link.loop.start(link.read(result, false), done);
    std::string_view rest = c.bytes;
    bool then = false;
    link.loop.run_until([&] {
      if (!rest.empty() && !done) rest.remove_prefix(link.origin.send_some(rest));
      if (rest.empty() && !std::exchange(then, true)) {
        if (c.then == Case::ends) link.origin.end_sending();
        if (c.then == Case::resets) link.origin.reset();
      }
      return done;
    });
    CHECK(result.error == c.error);
    CHECK(link.connection->fault() == c.fault);
    CHECK(!link.connection->is_reusable());
  }
}

TEST_CASE("closing ends what is waited for") {
  for (const bool writing : {false, true}) {
    Link link;
    link.open(4096);
    error_code error;
    bool done = false;
    const std::string much(32U << 20, 'x');
    const auto operation = [&]() -> Awaitable<void> {
      if (writing) {
        error = co_await link.connection->send(std::string_view(much));
      } else {
        const auto head = co_await test::read_head(*link.connection);
        error = head.error();
      }
    };
    link.loop.start(operation(), done);
    link.loop.settle();
    CHECK(!done);
    link.connection->close();
    link.loop.run_until([&] { return done; });
    CHECK(error == Error::cancelled);
    // Also what comes after.
    CHECK(link.loop.run(link.connection->send(std::string_view("x"))) == Error::cancelled);
    CHECK(!link.connection->is_quiet());
  }
}

TEST_CASE("an origin that does not read is given up; one that answers meanwhile is heard") {
  Link link;
  link.parameters.read_timeout = 200ms;
  link.open(4096);
  const std::string much(32U << 20, 'x');
  error_code sent;
  bool sender_done = false;
  const auto sender = [&]() -> Awaitable<void> { sent = co_await link.connection->send(std::string_view(much)); };
  link.loop.start(sender(), sender_done);
  link.loop.settle();
  link.origin.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
  const auto result = link.read();
  CHECK(result.status == 413);
  CHECK(result.body == "no");
  link.loop.run_until([&] { return sender_done; });
  CHECK(sent == Error::origin_timeout);
}

TEST_CASE("the read timeout can be moved while a read waits") {
  Link link;
  link.parameters.read_timeout = 10min;
  link.open();
  Link::Read result;
  bool done = false;
  link.loop.start(link.read(result, false), done);
  link.loop.settle();
  link.connection->set_read_timeout(100ms);
  link.loop.run_until([&] { return done; });
  CHECK(result.error == Error::origin_timeout);
}

TEST_CASE("what comes behind a 101 is kept") {
  Link link;
  link.open();
  link.origin.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst");
  const auto result = link.read();
  CHECK(result.status == 101);
  CHECK(link.connection->already_read() == "first");
  CHECK(!link.connection->is_reusable());
}

TEST_CASE("a connection that its origin has ended or spoken on is not quiet") {
  for (int how = 0; how < 3; ++how) {
    Link link;
    link.open();
    CHECK(link.connection->is_quiet());
    CHECK(link.connection->is_known_quiet());
    if (how == 0) link.origin.send("x");
    if (how == 1) link.origin.end_sending();
    if (how == 2) link.origin.reset();
    CHECK(!link.connection->is_quiet());
    link.loop.run_until([&] { return !link.connection->is_known_quiet(); }, "the loop did not hear of it");
  }
}

TEST_CASE("several parts leave in order, empty ones too") {
  Link link;
  link.open();
  std::string a = "ab";
  std::string b;
  std::string c(100000, 'c');
  std::vector<iovec> pieces{{a.data(), a.size()}, {b.data(), 0}, {c.data(), c.size()}, {b.data(), 0}};
  CHECK(!link.loop.run(link.connection->send(std::span<iovec>(pieces))));
  link.loop.run_until([&] { return link.origin.received().size() == 100002; });
  CHECK(link.origin.received() == "ab" + c);
}

}  // namespace
}  // namespace larder::net
