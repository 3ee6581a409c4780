#include "larder/net/client_session.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <spdlog/spdlog.h>
#include <vector>

#include "larder/net/error.hpp"
#include "larder/net/wait_point.hpp"

#include "loopback.hpp"

namespace larder::net {
namespace {

using test::Clock;
using test::Loop;
using test::Peer;
using namespace std::chrono_literals;
using namespace std::string_literals;

using Answer = std::function<Awaitable<void>(Exchange&)>;

void reply_plainly(Exchange& exchange, const std::string& body) {
  const auto head = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.size());
  auto* kept = new std::string(body);
  exchange.reply.whole(
      {.head = {}, .more_lines = head, .body = *kept, .retained = kept, .release = [](const void* object) {
         delete static_cast<const std::string*>(object);
       }});
}

// Reads the whole body; the error where there is one.
Awaitable<error_code> read_all(Exchange& exchange, std::string& body) {
  while (exchange.body != nullptr) {
    const auto piece = co_await exchange.body->read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    body += *piece;
  }
  co_return error_code{};
}

// One session and its client. Requests for "/at-once" are answered at once, others by what is in `answers`, and what is
// not there with method, target and body.
struct Site {
  Site() {
    spdlog::set_level(spdlog::level::off);
    limits.idle_timeout = 10s;
    handler.answer_at_once = [this](Exchange& exchange) {
      if (exchange.request.target != "/at-once") return false;
      ++at_once;
      reply_plainly(exchange, at_once_body);
      return true;
    };
    handler.answer = [this](Exchange& exchange) -> Awaitable<void> {
      ++answered;
      const auto found = answers.find(std::string(exchange.request.path()));
      return found == answers.end() ? echo(exchange) : found->second(exchange);
    };
  }

  static Awaitable<void> echo(Exchange& exchange) {
    std::string body;
    const auto error = co_await read_all(exchange, body);
    if (error == Error::client_malformed_body) {
      reply_with_text(exchange.reply, 400, "malformed body");
    } else if (error) {
      reply_with_text(exchange.reply, 408, "no body");
    } else {
      const auto text = fmt::format("{} {} {} [{}]", exchange.request.method, exchange.request.authority,
                                    exchange.request.target, body);
      reply_plainly(exchange, text);
    }
  }

  void open(int receive_buffer = 0) {
    if (!done) end();
    connect(receive_buffer);
    session->start([this](ClientSession&) { done = true; });
  }
  void connect(int receive_buffer = 0) {
    auto [socket, peer] = test::connected_pair(loop, receive_buffer);
    client = std::move(peer);
    surroundings = std::make_shared<SessionSurroundings>(loop.context, loop.wheel, limits, handler, counters);
    socket.native_non_blocking(true);
    session = std::make_shared<ClientSession>(socket.release(), "127.0.0.1", surroundings);
    done = false;
  }
  void until(const std::function<bool()>& happened, const char* what = "nothing happened") {
    loop.run_until(happened, what);
  }
  // What the client got until the connection was over.
  std::string to_the_end() {
    until([&] { return client.is_over(); }, "the connection was not closed");
    return client.take();
  }
  std::string until_received(std::string_view text) {
    until([&] { return client.has(text) || client.is_over(); }, "the reply did not come");
    REQUIRE_MESSAGE(client.has(text), "closed after: " << client.received());
    return client.take();
  }
  void end() {
    client.close();
    until([&] { return done; }, "the session did not end");
  }

  Loop loop;
  ClientLimits limits;
  Handler handler;
  SessionCounters counters;
  std::shared_ptr<SessionSurroundings> surroundings;
  std::map<std::string, Answer> answers;
  std::string at_once_body = "hit";
  int at_once = 0;
  int answered = 0;
  Peer client;
  std::shared_ptr<ClientSession> session;
  bool done = true;
};

int count(std::string_view text, std::string_view what) {
  int n = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

const std::string host = "Host: a\r\n";
std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\n" + host + fields + "\r\n";
}

TEST_CASE("keep-alive, one request after the other") {
  Site site;
  site.open();
  for (int i = 0; i < 3; ++i) {
    site.client.send(get("/at-once"));
    CHECK(site.until_received("\r\n\r\nhit") == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhit");
    site.client.send(get("/x?y"));
    CHECK(site.until_received("]").ends_with("\r\n\r\nGET a /x?y []"));
  }
  site.end();
  CHECK(site.at_once == 3);
  CHECK(site.answered == 3);
  CHECK(site.counters.accepted.load() == 1);
  site.session.reset();
  CHECK(site.counters.open.load() == 0);
}

TEST_CASE("how long exchanges take is counted where the handler says") {
  Site site;
  LatencyHistogram at_once;
  LatencyHistogram others;
  const auto count_of = [](const LatencyHistogram& histogram) {
    LatencyTotals totals;
    histogram.read_into(totals);
    return totals.count();
  };
  const auto handle_at_once = site.handler.answer_at_once;
  site.handler.answer_at_once = [&, handle_at_once](Exchange& exchange) {
    exchange.latency = &at_once;
    return handle_at_once(exchange);
  };
  bool counts = true;
  site.answers["/slow"] = [&](Exchange& exchange) -> Awaitable<void> {
    exchange.latency = counts ? &others : nullptr;
    asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor> timer(site.loop.context.get_executor(), 5ms);
    (void)co_await timer.async_wait(as_result);
    reply_plainly(exchange, "slow");
  };
  site.open();
  // All of one read, however many: three at once, one that waits, and one behind it.
  site.client.send(get("/at-once") + get("/at-once") + get("/at-once") + get("/slow") + get("/at-once"));
  site.until([&] { return count(site.client.received(), "hit") == 4; });
  CHECK(count_of(at_once) == 4);
  CHECK(count_of(others) == 1);
  LatencyTotals slow;
  others.read_into(slow);
  CHECK(slow.sum >= 5ms);
  LatencyTotals quick;
  at_once.read_into(quick);
  // The one behind is counted from when its turn came, not from when it was read.
  CHECK(quick.quantile(1) < 5ms);
  counts = false;
  site.client.take();
  site.client.send(get("/slow"));
  site.until_received("slow");
  CHECK(count_of(others) == 1);
}

TEST_CASE("a client that ends its sending with its request is answered, and the connection ends") {
  for (const char* target : {"/at-once", "/x"}) {
    CAPTURE(target);
    Site site;
    site.open();
    site.client.send(get(target));
    site.client.end_sending();
    CHECK(count(site.to_the_end(), "HTTP/1.1 200 OK") == 1);
    CHECK(site.client.ended());
    site.until([&] { return site.done; });
  }
}

TEST_CASE("pipelined requests are answered in order, however they are cut") {
  const auto requests = get("/at-once") + "POST /1 HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc" +
                        get("/at-once") + get("/2") + "POST /3 HTTP/1.1\r\n" + host +
                        "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\nX: y\r\n\r\n\r\n" +
                        get("/at-once") + get("/last", "Connection: close\r\n") + get("/never");
  std::string expected;
  for (std::size_t cut = 0; cut < requests.size(); cut += cut < 40 ? 1 : 3) {
    CAPTURE(cut);
    Site site;
    site.open();
    if (cut > 0) {
      site.client.send(requests.substr(0, cut));
      site.loop.settle();
    }
    site.client.send(requests.substr(cut));
    const auto replies = site.to_the_end();
    site.end();
    if (cut == 0) {
      expected = replies;
      CHECK(count(replies, "HTTP/1.1 200 OK") == 7);
      const std::vector<std::string> parts{"hit", "POST a /1 [abc]", "hit", "GET a /2 []", "POST a /3 [def]",
                                           "hit", "GET a /last []"};
      std::size_t at = 0;
      for (const auto& part : parts) {
        at = replies.find(part, at);
        REQUIRE(at != std::string::npos);
        at += part.size();
      }
      CHECK(count(replies, "Connection: close\r\n") == 1);
    }
    CHECK(replies == expected);
  }
}

TEST_CASE("byte by byte") {
  Site site;
  site.open();
  for (const char c : "\r\n\r\n" + get("/1") + "POST /2 HTTP/1.1\r\n" + host +
                          "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n" + get("/at-once")) {
    site.client.send({&c, 1});
    site.loop.context.poll();
  }
  const auto replies = site.until_received("hit");
  CHECK(count(replies, "GET a /1 []") == 1);
  CHECK(count(replies, "POST a /2 [abc]") == 1);
  site.end();
}

TEST_CASE("HTTP/1.0 and the life of the connection (RFC 9112 §9.3)") {
  struct Case {
    const char* request;
    bool kept;
    const char* line;
  };
  const std::vector<Case> cases{
      {"GET /at-once HTTP/1.0\r\n\r\n", false, "Connection: close\r\n"},
      {"GET /x HTTP/1.0\r\n\r\n", false, "Connection: close\r\n"},
      {"GET /at-once HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, "Connection: keep-alive\r\n"},
      {"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, "Connection: keep-alive\r\n"},
      {"GET /x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, "Connection: close\r\n"},
      {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false, "Connection: close\r\n"},
      {"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", true, nullptr},
  };
  for (const auto& c : cases) {
    CAPTURE(c.request);
    Site site;
    site.open();
    site.client.send(c.request);
    const auto reply = site.until_received("\r\n\r\n");
    if (c.line != nullptr) CHECK(count(reply, c.line) == 1);
    CHECK(count(reply, "Connection:") == (c.line != nullptr ? 1 : 0));
    if (c.kept) {
      site.client.send(get("/at-once"));
      site.until_received("hit");
    } else {
      site.to_the_end();
      CHECK(site.client.ended());
    }
  }
}

TEST_CASE("bad requests are refused, and nothing behind them is looked at") {
  struct Case {
    std::string what;
    std::string request;
    int status;
  };
  const std::vector<Case> cases{
      {"LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"noise", "\x16\x03\x01\r\n\r\n", 400},
      {"field", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {"coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"both", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"Host that is a list", "GET / HTTP/1.1\r\nHost: a,b c\r\n\r\n", 400},
      {"Host with a bad port", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400},
      {"Host with a bad port in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a:x\r\n\r\n", 400},
      {"bad Host beside an absolute target", "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"absolute target without Host", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
      {"relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"half an escape", "GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400},
      {"CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT with an absolute target", "CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    Site site;
    site.open();
    site.client.send(c.request + get("/following"));
    const auto reply = site.to_the_end();
    CHECK(reply.starts_with("HTTP/1.1 " + std::to_string(c.status) + " "));
    CHECK(count(reply, "HTTP/1.1 ") == 1);
    CHECK(count(reply, "Connection: close\r\n") == 1);
    CHECK(site.client.ended());
    CHECK(site.answered == 0);
    CHECK(site.counters.malformed.load() == 1);
    site.end();
  }
}

TEST_CASE("what the story is told of a request") {
  struct Case {
    std::string request;
    std::string told;
  };
  const std::vector<Case> cases{
      {"GET /a/%2e%2E/b%7ec?d HTTP/1.1\r\nHost: H:80\r\n\r\n", "GET H:80 /b~c?d []"},
      {"GET http://Other:81/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET other:81 /x []"},
      {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS h * []"},
      {"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS h * []"},
      {"GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", "GET h /%E9 []"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET  / []"},
      {"GET / HTTP/1.0\r\n\r\n", "GET  / []"},
      {"get / HTTP/1.1\r\nHost: h\r\n\r\n", "get h / []"},
      // Views into the head must survive the reading of a body.
      {"POST http://Other/a/../b HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n" + std::string(30000, 'x'),
       "POST other /b [" + std::string(30000, 'x') + "]"},
  };
  for (const auto& c : cases) {
    Site site;
    site.open();
    site.client.send(c.request);
    CHECK(site.until_received("]").ends_with("\r\n\r\n" + c.told));
    site.end();
  }
}

TEST_CASE("heads that are too large") {
  const auto with_size = [](std::size_t size) {
    std::string request = "GET /x HTTP/1.1\r\nHost: a\r\nX: ";
    request.append(size - request.size() - 4, 'y');
    return request + "\r\n\r\n";
  };
  for (const std::size_t limit : {std::size_t{1000}, std::size_t{8192}, std::size_t{65536}}) {
    CAPTURE(limit);
    for (const bool dripping : {false, true}) {
      Site site;
      site.limits.head_size = limit;
      site.open();
      const auto send = [&](const std::string& bytes) {
        if (!dripping) {
          site.client.send(bytes);
          return;
        }
        for (std::size_t at = 0; at < bytes.size(); at += 777) {
          site.client.send(std::string_view(bytes).substr(at, 777));
          site.loop.context.poll();
        }
      };
      send(with_size(limit));
      site.until_received("[]");
      send(with_size(limit + 1) + get("/following"));
      const auto reply = site.to_the_end();
      CHECK(reply.starts_with("HTTP/1.1 431 "));
      CHECK(count(reply, "HTTP/1.1 ") == 1);
      CHECK(site.client.ended());
    }
  }
  Site endless;
  endless.open();
  endless.client.send("GET / HTTP/1.1\r\nX: " + std::string(100000, 'y'));
  CHECK(endless.to_the_end().starts_with("HTTP/1.1 431 "));
  Site fields;
  fields.limits.fields = 5;
  fields.open();
  fields.client.send(get("/x", "A: b\r\nA: b\r\nA: b\r\nA: b\r\n"));
  fields.until_received("[]");
  fields.client.send(get("/x", "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"));
  CHECK(fields.to_the_end().starts_with("HTTP/1.1 431 "));
}

TEST_CASE("an unfinished head has one deadline, however it drips") {
  Site site;
  site.limits.header_timeout = 300ms;
  site.open();
  const auto start = Clock::now();
  auto next = start;
  std::size_t sent = 0;
  const std::string endless = "GET / HTTP/1.1\r\nX: " + std::string(10000, 'y');
  site.until([&] {
    if (Clock::now() >= next && sent < endless.size() && !site.client.is_over()) {
      site.client.send_some({&endless[sent++], 1});
      next += 20ms;
    }
    return site.client.is_over();
  });
  CHECK(site.client.received().starts_with("HTTP/1.1 408 "));
  CHECK(site.client.has("Connection: close\r\n"));
  CHECK(Clock::now() - start >= 300ms);
  CHECK(Clock::now() - start < 10s);
  CHECK(site.counters.timed_out.load() == 1);
  site.end();
}

TEST_CASE("a connection without a request is closed silently") {
  Site site;
  site.limits.idle_timeout = 100ms;
  site.limits.header_timeout = 10s;
  site.open();
  CHECK(site.to_the_end().empty());
  CHECK(site.client.ended());
  site.open();
  site.client.send(get("/at-once"));
  CHECK(count(site.to_the_end(), "HTTP/1.1 ") == 1);
  CHECK(site.counters.timed_out.load() == 0);
}

TEST_CASE("a body in every split, and what stands behind it") {
  struct Case {
    std::string request;
    std::string reply;
  };
  const std::vector<Case> cases{
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", "POST a / [0123456789]"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\n0123\r\n06\r\n456789\r\n0\r\nX: "
       "y\r\n\r\n",
       "POST a / [0123456789]"},
  };
  for (const auto& c : cases) {
    const auto bytes = c.request + get("/at-once");
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      Site site;
      site.open();
      if (cut > 0) site.client.send(bytes.substr(0, cut));
      site.loop.context.poll();
      if (cut < bytes.size()) site.client.send(bytes.substr(cut));
      const auto replies = site.until_received("\r\n\r\nhit");
      CHECK_MESSAGE(count(replies, c.reply) == 1, "cut at " << cut);
      site.end();
    }
  }
}

TEST_CASE("a large body is read piece by piece, with bounded memory") {
  Site site;
  std::size_t largest = 0;
  std::size_t total = 0;
  site.answers["/large"] = [&](Exchange& exchange) -> Awaitable<void> {
    for (;;) {
      const auto piece = co_await exchange.body->read();
      if (!piece || piece->empty()) break;
      largest = std::max(largest, piece->size());
      total += piece->size();
    }
    reply_plainly(exchange, "read");
  };
  site.open();
  constexpr std::size_t size = 8U << 20;
  site.client.send("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  site.until([&] {
    while (sent < size) {
      const auto n = site.client.send_some(std::string_view(block).substr(0, size - sent));
      if (n == 0) break;
      sent += n;
    }
    return site.client.has("read");
  });
  CHECK(total == size);
  CHECK(largest <= 65536);
  site.client.take();
  site.client.send(get("/at-once"));
  site.until_received("hit");
}

TEST_CASE("a body that is malformed, cut short or too slow") {
  struct Case {
    std::string what;
    std::string body;
    bool ends;
    int status;
  };
  const std::vector<Case> cases{
      {"bad chunk size", "x\r\n", false, 400},
      {"bad chunk end", "3\r\nabcd\r\n0\r\n\r\n", false, 400},
      {"folded trailer", "0\r\nX: a\r\n b\r\n\r\n", false, 400},
      {"endless chunk extension", "3;" + std::string(100000, 'x'), false, 400},
      {"endless trailer", "0\r\nX: " + std::string(100000, 'x'), false, 400},
      {"ended", "3\r\nab", true, 408},
      {"silent", "3\r\nab", false, 408},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    Site site;
    site.limits.io_timeout = 200ms;
    site.open();
    site.client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + c.body);
    if (c.ends) site.client.end_sending();
    const auto reply = site.to_the_end();
    CHECK(reply.starts_with("HTTP/1.1 " + std::to_string(c.status) + " "));
    CHECK(count(reply, "Connection: close\r\n") == 1);
    CHECK(site.counters.malformed.load() == (c.status == 400 ? 1 : 0));
    site.end();
  }
}

TEST_CASE("a body slower than the least rate is given up, one that keeps it is not") {
  for (const bool fast : {false, true}) {
    Site site;
    site.limits.body_rate = 1000;
    site.limits.body_rate_grace = 200ms;
    site.limits.io_timeout = 5s;
    site.open();
    site.client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n");
    const std::string piece(fast ? 100 : 5, 'x');
    std::size_t sent = 0;
    auto next = Clock::now();
    site.until([&] {
      if (Clock::now() >= next && sent < 2000 && !site.client.is_over()) {
        sent += site.client.send_some(piece);
        next += 25ms;
      }
      return site.client.has("\r\n\r\n");
    });
    CHECK(site.client.received().starts_with(fast ? "HTTP/1.1 200 " : "HTTP/1.1 408 "));
    CHECK(site.counters.timed_out.load() == (fast ? 0 : 1));
  }
}

TEST_CASE("a body that nobody has read") {
  const auto not_reading = [](Exchange& exchange) -> Awaitable<void> {
    reply_plainly(exchange, "unread");
    co_return;
  };
  SUBCASE("a small one is skipped") {
    Site site;
    site.answers["/unread"] = not_reading;
    site.open();
    site.client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /" + get("/at-once"));
    CHECK(count(site.until_received("hit"), "HTTP/1.1 200") == 2);
  }
  SUBCASE("a large one closes the connection, and its bytes are no request") {
    Site site;
    site.answers["/unread"] = not_reading;
    site.open();
    site.client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + get("/at-once"));
    CHECK(count(site.to_the_end(), "HTTP/1.1 ") == 1);
    CHECK(site.at_once == 0);
  }
  SUBCASE("an endless one closes the connection") {
    Site site;
    site.answers["/unread"] = not_reading;
    site.open();
    site.client.send("POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
    bool failed = false;
    site.until([&] {
      if (!failed && site.client.send_some(chunk) != chunk.size()) failed = true;
      return site.client.is_over();
    });
    CHECK(count(site.client.received(), "HTTP/1.1 200") == 1);
  }
  SUBCASE("nobody knows whether one that was to wait for 100 will come") {
    Site site;
    site.answers["/unread"] = not_reading;
    site.open();
    site.client.send("POST /unread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    site.to_the_end();
    CHECK(site.client.ended());
  }
}

TEST_CASE("Expect: 100-continue") {
  Site site;
  bool expects = false;
  site.answers["/expects"] = [&](Exchange& exchange) -> Awaitable<void> {
    expects = exchange.expects_continue;
    if (expects) {
      const http::ResponseHead head{.status = 100, .reason = {}, .version = http::Version::http_1_1, .fields = {}};
      (void)co_await exchange.reply.interim(head);
    }
    co_await Site::echo(exchange);
  };
  site.open();
  site.client.send("POST /expects HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
  CHECK(site.until_received("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  site.client.send("abc" + get("/at-once"));
  CHECK(count(site.until_received("hit"), "[abc]") == 1);
  CHECK(expects);
  // Ignored in HTTP/1.0 (RFC 9110 §10.1.1), and where there is no body.
  site.client.send(
      "POST /expects HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx");
  CHECK(count(site.until_received("]"), "HTTP/1.1 ") == 1);
  CHECK(!expects);
  site.client.send(get("/expects", "Expect: 100-continue\r\n"));
  site.until_received("]");
  CHECK(!expects);
}

TEST_CASE("interim responses go to who understands them, before the reply only") {
  Site site;
  site.answers["/early"] = [](Exchange& exchange) -> Awaitable<void> {
    const std::vector<http::Field> fields{{"Link", "</a>"}};
    const http::ResponseHead head{
        .status = 103, .reason = "Early", .version = http::Version::http_1_1, .fields = fields};
    (void)co_await exchange.reply.interim(head);
    (void)co_await exchange.reply.interim(head);
    reply_plainly(exchange, "done");
    (void)co_await exchange.reply.interim(head);
  };
  site.open();
  site.client.send(get("/early"));
  const auto early = "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n"s;
  CHECK(site.until_received("done") == early + early + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
  site.client.send("GET /early HTTP/1.0\r\n\r\n");
  CHECK(count(site.to_the_end(), "HTTP/1.1 ") == 1);
}

// A streamed reply of `pieces`; announced as `length` bytes where there is one.
Answer streamed(int status, std::optional<std::uint64_t> length, std::vector<std::string> pieces, bool cut = false) {
  return [=](Exchange& exchange) -> Awaitable<void> {
    const std::vector<http::Field> fields{{"X", "y"}};
    const http::ResponseHead head{.status = status, .reason = {}, .version = http::Version::http_1_1, .fields = fields};
    exchange.reply.begin(head, "Z: w\r\n", length);
    for (const auto& piece : pieces) {
      const std::string_view bytes = piece;
      if (co_await exchange.reply.write(bytes)) co_return;
    }
    const std::vector<http::Field> trailers{{"T", "u"}};
    if (cut) {
      exchange.reply.cut_short();
    } else {
      exchange.reply.finish(trailers);
    }
  };
}

TEST_CASE("replies of every framing") {
  struct Case {
    std::string what;
    std::string request;
    Answer answer;
    std::string reply;
    bool kept;
  };
  const auto start = "HTTP/1.1 200 OK\r\nX: y\r\nZ: w\r\n"s;
  const std::vector<std::string> pieces{"abc", "", "defghijklm"};
  const auto old = "GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"s;
  const auto head = "HEAD /s HTTP/1.1\r\nHost: a\r\n\r\n"s;
  const std::vector<Case> cases{
      {"length", get("/s"), streamed(200, 13, pieces), start + "Content-Length: 13\r\n\r\nabcdefghijklm", true},
      {"length 0", get("/s"), streamed(200, 0, {}), start + "Content-Length: 0\r\n\r\n", true},
      {"more than the length", get("/s"), streamed(200, 5, pieces), start + "Content-Length: 5\r\n\r\nabcde", true},
      {"chunked", get("/s"), streamed(200, std::nullopt, pieces),
       start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na\r\ndefghijklm\r\n0\r\nT: u\r\n\r\n", true},
      {"chunked and closed", get("/s", "Connection: close\r\n"), streamed(200, std::nullopt, {}),
       start + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nT: u\r\n\r\n", false},
      {"length in HTTP/1.0", old, streamed(200, 13, pieces),
       start + "Content-Length: 13\r\nConnection: keep-alive\r\n\r\nabcdefghijklm", true},
      {"until the end", old, streamed(200, std::nullopt, pieces), start + "Connection: close\r\n\r\nabcdefghijklm",
       false},
      {"HEAD with a length", head, streamed(200, 13, {}), start + "Content-Length: 13\r\n\r\n", true},
      {"HEAD without", head, streamed(200, std::nullopt, {}), start + "\r\n", true},
      {"HEAD whose body is dropped", head, streamed(200, 13, pieces), start + "Content-Length: 13\r\n\r\n", true},
      {"304", get("/s"), streamed(304, std::nullopt, pieces), "HTTP/1.1 304 Not Modified\r\nX: y\r\nZ: w\r\n\r\n",
       true},
      {"304 with a length", get("/s"), streamed(304, 13, {}),
       "HTTP/1.1 304 Not Modified\r\nX: y\r\nZ: w\r\nContent-Length: 13\r\n\r\n", true},
      {"204", get("/s"), streamed(204, 0, {}), "HTTP/1.1 204 No Content\r\nX: y\r\nZ: w\r\n\r\n", true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    Site site;
    site.answers["/s"] = c.answer;
    site.open();
    site.client.send(c.request + get("/at-once"));
    const auto hit = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhit"s;
    if (c.kept) {
      CHECK(site.until_received(hit) == c.reply + hit);
    } else {
      CHECK(site.to_the_end() == c.reply);
      CHECK(site.client.ended());
    }
    CHECK(site.counters.cut_short.load() == 0);
    site.end();
  }
}

TEST_CASE("a whole reply to HEAD has no body") {
  Site site;
  site.open();
  site.client.send("HEAD /at-once HTTP/1.1\r\nHost: a\r\n\r\n" + get("/at-once"));
  const auto head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"s;
  CHECK(site.until_received("hit") == head + head + "hit");
}

TEST_CASE("a reply cut short cannot be taken for a whole one") {
  struct Case {
    std::string what;
    std::string request;
    Answer answer;
    bool must_reset;
  };
  const std::vector<Case> cases{
      {"length", get("/s"), streamed(200, 5, {"abc"}, true), false},
      {"less than the length", get("/s"), streamed(200, 5, {"abc"}), false},
      {"chunked", get("/s"), streamed(200, std::nullopt, {"abc"}, true), false},
      {"until the end", "GET /s HTTP/1.0\r\n\r\n", streamed(200, std::nullopt, {"abc"}, true), true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.what);
    Site site;
    site.answers["/s"] = c.answer;
    site.open();
    site.client.send(c.request + get("/at-once"));
    const auto reply = site.to_the_end();
    CHECK(count(reply, "HTTP/1.1 ") <= 1);
    CHECK(count(reply, "0\r\n\r\n") == 0);
    if (c.must_reset) CHECK(site.client.was_reset());
    site.end();
    CHECK(site.counters.cut_short.load() == 1);
    CHECK(site.at_once == 0);
  }
}

TEST_CASE("a handler that says nothing, or only begins") {
  Site site;
  site.answers["/nothing"] = [](Exchange&) -> Awaitable<void> { co_return; };
  site.open();
  site.client.send(get("/nothing"));
  CHECK(site.to_the_end().starts_with("HTTP/1.1 500 "));
  site.answers["/begins"] = [](Exchange& exchange) -> Awaitable<void> {
    exchange.reply.begin({.status = 200, .reason = {}, .version = http::Version::http_1_1, .fields = {}}, {}, 5);
    co_return;
  };
  site.open();
  site.client.send(get("/begins"));
  site.to_the_end();
  CHECK(site.counters.cut_short.load() == 1);
}

TEST_CASE("what a reply retains is released, sent or not") {
  static int released = 0;
  Site site;
  site.answers["/retains"] = [](Exchange& exchange) -> Awaitable<void> {
    exchange.reply.whole({.head = "HTTP/1.1 200 OK\r\n",
                          .more_lines = "Content-Length: 2\r\n",
                          .body = "ok",
                          .retained = &released,
                          .release = [](const void*) { ++released; }});
    co_return;
  };
  site.open();
  site.client.send(get("/retains"));
  site.until_received("ok");
  CHECK(released == 1);
  site.client.send(get("/retains"));
  site.client.reset();
  site.until([&] { return site.done; });
  site.session.reset();
  CHECK(released == 2);
}

TEST_CASE("a refused client that still sends gets its reply (RFC 9112 §9.6)") {
  Site site;
  site.open();
  site.client.send("GET / HTTP/9.9\r\n\r\n");
  const std::string more(1000, 'x');
  auto next = Clock::now();
  int sent = 0;
  site.until([&] {
    if (sent < 20 && Clock::now() >= next) {
      site.client.send_some(more);
      ++sent;
      next += 5ms;
    }
    return sent == 20;
  });
  CHECK(site.until_received("\r\n\r\n").starts_with("HTTP/1.1 505 "));
  CHECK(!site.client.was_reset());
  site.end();
}

TEST_CASE("lingering has an end") {
  Site site;
  site.open();
  site.client.send("GET / HTTP/9.9\r\n\r\n");
  // The client neither reads nor closes.
  site.until([&] { return site.done; }, "it lingers for ever");
  Site flood;
  flood.open();
  flood.client.send("GET / HTTP/9.9\r\n\r\n");
  const std::string more(65536, 'x');
  flood.until(
      [&] {
        flood.client.send_some(more);
        return flood.done;
      },
      "it reads for ever");
}

TEST_CASE("over the limit") {
  Site site;
  site.connect();
  site.session->refuse([&](ClientSession&) { site.done = true; });
  const auto reply = site.to_the_end();
  CHECK(reply.starts_with("HTTP/1.1 503 "));
  CHECK(count(reply, "Connection: close\r\n") == 1);
  CHECK(site.counters.refused.load() == 1);
}

TEST_CASE("draining closes what is idle and lets the rest finish") {
  Site site;
  std::shared_ptr<WaitPoint> go;
  site.answers["/slow"] = [&](Exchange& exchange) -> Awaitable<void> {
    co_await go->wait();
    reply_plainly(exchange, "slow");
  };
  go = std::make_shared<WaitPoint>(site.loop.context.get_executor());
  SUBCASE("fresh") {
    site.open();
    site.loop.settle();
    site.surroundings->draining = true;
    site.session->close_if_idle();
    CHECK(site.to_the_end().empty());
  }
  SUBCASE("between requests") {
    site.open();
    site.client.send(get("/at-once"));
    site.until_received("hit");
    site.surroundings->draining = true;
    site.session->close_if_idle();
    CHECK(site.to_the_end().empty());
  }
  SUBCASE("in a request") {
    site.open();
    site.client.send(get("/slow"));
    site.until([&] { return site.answered == 1; });
    site.surroundings->draining = true;
    site.session->close_if_idle();
    site.loop.settle();
    CHECK(!site.client.is_over());
    go->notify();
    CHECK(site.to_the_end().ends_with("slow"));
    CHECK(site.client.ended());
  }
  SUBCASE("in a head") {
    site.open();
    site.client.send("GET /x HT");
    site.loop.settle();
    site.surroundings->draining = true;
    site.session->close_if_idle();
    site.client.send("TP/1.1\r\nHost: a\r\n\r\n");
    CHECK(count(site.to_the_end(), "Connection: close\r\n") == 1);
  }
  site.end();
}

TEST_CASE("abort ends it at every step") {
  const std::vector<std::string> steps{"",
                                       "GET /x HT",
                                       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
                                       get("/held"),
                                       "GET /stream HTTP/1.0\r\n\r\n",
                                       "bad\r\n\r\n"};
  for (const auto& step : steps) {
    CAPTURE(step);
    Site site;
    site.answers["/held"] = [&](Exchange& exchange) -> Awaitable<void> {
      const auto gone = std::make_shared<WaitPoint>(site.loop.context.get_executor());
      exchange.on_client_gone = [gone] { gone->notify(); };
      co_await gone->wait();
      reply_plainly(exchange, "too late");
    };
    site.answers["/stream"] = [&](Exchange& exchange) -> Awaitable<void> {
      const auto gone = std::make_shared<WaitPoint>(site.loop.context.get_executor());
      exchange.on_client_gone = [gone] { gone->notify(); };
      exchange.reply.begin({.status = 200, .reason = {}, .version = http::Version::http_1_1, .fields = {}}, {}, {});
      (void)co_await exchange.reply.write("part");
      co_await gone->wait();
    };
    site.open();
    if (!step.empty()) site.client.send(step);
    site.loop.settle();
    site.session->abort();
    site.until([&] { return site.done; }, "it goes on");
    site.until([&] { return site.client.is_over(); });
    // A reply that ends with the connection must not look complete.
    if (step.find("/stream") != std::string::npos) CHECK(site.client.was_reset());
  }
}

TEST_CASE("a client that has ended its sending still gets its replies") {
  Site site;
  std::shared_ptr<WaitPoint> go = std::make_shared<WaitPoint>(site.loop.context.get_executor());
  site.answers["/slow"] = [&](Exchange& exchange) -> Awaitable<void> {
    co_await go->wait();
    reply_plainly(exchange, "slow");
  };
  site.open();
  site.client.send(get("/at-once") + get("/slow") + get("/at-once"));
  site.client.end_sending();
  site.until([&] { return site.answered == 1; });
  go->notify();
  CHECK(count(site.to_the_end(), "HTTP/1.1 200") == 3);
}

TEST_CASE("the story is told when its client is gone") {
  for (const bool reset : {true, false}) {
    for (const bool late : {false, true}) {  // `late`: it asks to be told only after that could be seen
      CAPTURE(reset);
      CAPTURE(late);
      Site site;
      site.limits.half_closed_timeout = 1s;
      int told = 0;
      site.answers["/held"] = [&](Exchange& exchange) -> Awaitable<void> {
        const auto gone = std::make_shared<WaitPoint>(site.loop.context.get_executor());
        Deadline asks(site.loop.wheel, [&] { gone->notify(); });
        if (late) {
          asks.arm(2500ms);
          co_await gone->wait();
        }
        exchange.on_client_gone = [&told, gone] {
          ++told;
          gone->notify();
        };
        co_await gone->wait();
        reply_plainly(exchange, "too late");
      };
      site.open();
      site.client.send(get("/held"));
      site.until([&] { return site.answered == 1; });
      if (reset) {
        site.client.reset();
      } else {
        site.client.end_sending();
      }
      site.until([&] { return site.done; }, "nobody noticed");
      CHECK(told == 1);
    }
  }
}

TEST_CASE("a client that does not read is given up") {
  SUBCASE("in a stream") {
    Site site;
    site.limits.io_timeout = 200ms;
    error_code ended;
    site.answers["/endless"] = [&](Exchange& exchange) -> Awaitable<void> {
      exchange.reply.begin({.status = 200, .reason = {}, .version = http::Version::http_1_1, .fields = {}}, {}, {});
      const std::string piece(65536, 'x');
      for (;;) {
        ended = co_await exchange.reply.write(piece);
        if (ended) break;
      }
      exchange.reply.cut_short();
    };
    site.open(4096);
    site.client.send(get("/endless"));
    site.until([&] { return site.done; }, "it waits for ever");
    CHECK(ended == Error::client_timeout);
    CHECK(site.counters.timed_out.load() == 1);
    CHECK(site.counters.cut_short.load() == 1);
  }
  SUBCASE("while it pipelines: the queue does not grow") {
    Site site;
    site.limits.io_timeout = 500ms;
    site.at_once_body.assign(100000, 'x');
    site.open(4096);
    const auto request = get("/at-once");
    std::string many;
    for (int i = 0; i < 20000; ++i) many += request;
    std::string_view rest = many;
    site.until([&] {
      if (!rest.empty() && !site.done) rest.remove_prefix(site.client.send_some(rest));
      return site.done;
    });
    // What the kernel takes (up to some MiB), and the queue.
    CHECK(site.at_once < 200);
    CHECK(site.counters.timed_out.load() == 1);
  }
  SUBCASE("reading slowly is another thing") {
    Site site;
    site.limits.io_timeout = 400ms;
    site.at_once_body.assign(8000000, 'x');
    site.open(65536);
    site.client.send(get("/at-once"));
    std::size_t got = 0;
    auto next = Clock::now();
    site.until(
        [&] {
          if (Clock::now() < next) return false;
          next += 10ms;
          std::string buffer(65536, '\0');
          const auto n = ::recv(site.client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
          if (n > 0) got += static_cast<std::size_t>(n);
          return got > 8000000;
        },
        "it was given up");
    CHECK(site.counters.timed_out.load() == 0);
  }
}

TEST_CASE("a client that sends while it does not read, and reads while it does not send") {
  // The upload is read by another coroutine while the reply is written: a deadline of one must not end the other.
  Site site;
  site.limits.io_timeout = 300ms;
  error_code write_error;
  error_code read_error;
  bool upload_done = false;
  site.answers["/both"] = [&](Exchange& exchange) -> Awaitable<void> {
    const auto upload = [&]() -> Awaitable<void> {
      std::string body;
      read_error = co_await read_all(exchange, body);
    };
    site.loop.start(upload(), upload_done);
    exchange.reply.begin({.status = 200, .reason = {}, .version = http::Version::http_1_1, .fields = {}}, {}, {});
    const std::string piece(65536, 'x');
    while (!write_error) write_error = co_await exchange.reply.write(piece);
    exchange.reply.cut_short();
    exchange.body->cancel();
    const auto pause = std::make_shared<WaitPoint>(site.loop.context.get_executor());
    while (!upload_done) {
      pause->notify();
      co_await pause->wait();
    }
  };
  site.open(4096);
  site.client.send("POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  auto next = Clock::now();
  site.until([&] {
    if (!site.done && Clock::now() >= next) {
      site.client.send_some("x");
      next += 20ms;
    }
    return site.done;
  });
  CHECK(write_error == Error::client_timeout);
  CHECK((read_error == Error::cancelled || read_error == Error::client_gone));
}

TEST_CASE("cancelling the body") {
  Site site;
  error_code read_error;
  site.answers["/cancels"] = [&](Exchange& exchange) -> Awaitable<void> {
    Deadline soon(site.loop.wheel, [&] { exchange.body->cancel(); });
    soon.arm(50ms);
    std::string body;
    read_error = co_await read_all(exchange, body);
    reply_plainly(exchange, "cancelled");
  };
  site.open();
  site.client.send("POST /cancels HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
  const auto reply = site.to_the_end();
  CHECK(reply.ends_with("cancelled"));
  CHECK(read_error == Error::cancelled);
}

TEST_CASE("trailers and length of a body") {
  Site site;
  std::vector<std::pair<std::string, std::string>> trailers;
  std::optional<std::uint64_t> length;
  site.answers["/trailers"] = [&](Exchange& exchange) -> Awaitable<void> {
    std::string body;
    length = exchange.body->length();
    (void)co_await read_all(exchange, body);
    for (const auto& field : exchange.body->trailers().span()) trailers.emplace_back(field.name, field.value);
    reply_plainly(exchange, "read");
  };
  site.open();
  site.client.send(
      "POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\nHost: b\r\n\r\n");
  site.until_received("read");
  CHECK(!length);
  CHECK(trailers == std::vector<std::pair<std::string, std::string>>{{"X", "y"}});
  site.client.send("POST /trailers HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na");
  site.until_received("read");
  CHECK(length == std::optional<std::uint64_t>(1));
}

TEST_CASE("taking over the connection") {
  Site site;
  std::string beyond;
  site.answers["/upgrade"] = [&](Exchange& exchange) -> Awaitable<void> {
    const std::vector<http::Field> fields{{"Connection", "upgrade"}, {"Upgrade", "x"}};
    exchange.reply.begin({.status = 101, .reason = {}, .version = http::Version::http_1_1, .fields = fields}, {}, {});
    (void)co_await exchange.reply.flush();
    std::string_view already_read;
    auto* stream = exchange.reply.take_over(already_read);
    beyond = already_read;
    const iovec piece{const_cast<char*>("ours"), 4};
    (void)stream->try_write({&piece, 1});
    char byte = 0;
    const auto [error, n] = co_await stream->read_some(&byte, 1);
    if (!error && n == 1) beyond += byte;
    stream->close(false);
  };
  site.open();
  site.client.send(get("/upgrade") + "beyond");
  site.until_received("ours");
  site.client.send("!");
  site.to_the_end();
  CHECK(beyond == "beyond!");
  site.until([&] { return site.done; });
}

TEST_CASE("resets at every step of a request do no harm") {
  const auto bytes =
      "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get("/at-once");
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 5) {
    Site site;
    site.open();
    if (cut > 0) site.client.send(bytes.substr(0, cut));
    site.loop.context.poll();
    site.client.reset();
    site.until([&] { return site.done; }, "it goes on");
    site.session.reset();
    CHECK(site.counters.open.load() == 0);
  }
}

}  // namespace
}  // namespace larder::net
