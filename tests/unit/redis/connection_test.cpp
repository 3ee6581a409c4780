#include "larder/redis/connection.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <doctest/doctest.h>
#include <exception>
#include <optional>
#include <utility>

#include "redis_server.hpp"

namespace larder::redis {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using boost::system::error_code;
using boost::system::result;
using test::Certificates;
using test::RedisServer;
using test::TemporaryDirectory;
using Arguments = std::vector<std::string_view>;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds generous = 30s;

/// The loop of a test: runs until something has happened, and fails the test when it does not.
class Loop {
 public:
  asio::io_context context{1};

  template <class Predicate>
  void run_until(Predicate happened) {
    const auto limit = Clock::now() + generous;
    while (!happened()) {
      if (context.stopped()) context.restart();
      if (context.run_one_until(limit) == 0 && Clock::now() >= limit) throw std::runtime_error("nothing happened");
    }
  }

  template <class T>
  T run(Awaitable<T> awaitable) {
    std::optional<T> outcome;
    std::exception_ptr thrown;
    asio::co_spawn(context, std::move(awaitable), [&](std::exception_ptr error, T value) {
      thrown = error;
      outcome.emplace(std::move(value));
    });
    run_until([&] { return outcome.has_value(); });
    if (thrown) std::rethrow_exception(thrown);
    return std::move(*outcome);
  }

  void spawn(Awaitable<void> awaitable) {
    asio::co_spawn(context, std::move(awaitable), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
  }
};

/// A connection and all that it told of itself.
class Client {
 public:
  Client(Loop& loop, ConnectionParameters parameters)
      : loop_(loop), connection(loop.context, std::move(parameters), [this](Event event, std::string_view detail) {
          events.emplace_back(event, detail);
          if (when_told) when_told(event);
        }) {
    connection.start();
  }

  [[nodiscard]] std::size_t count(Event event) const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [event](const auto& told) { return told.first == event; }));
  }
  [[nodiscard]] std::string last_detail(Event event) const {
    for (auto told = events.rbegin(); told != events.rend(); ++told)
      if (told->first == event) return told->second;
    return "(never)";
  }
  /// Runs the loop until the event came `times` times in all.
  void await(Event event, std::size_t times = 1) {
    loop_.run_until([&] { return count(event) >= times; });
  }
  Client& ready() {
    loop_.run_until([&] { return connection.is_ready(); });
    return *this;
  }

  result<Reply> ask(Arguments arguments, milliseconds deadline = generous) {
    return loop_.run(connection.command(std::move(arguments), deadline));
  }
  /// The reply's text or, for an integer, its digits; "!" and the message when there is none.
  std::string said(Arguments arguments) {
    const result<Reply> reply = ask(std::move(arguments));
    if (reply.has_error()) return "!" + reply.error().message();
    if (reply->kind == Reply::Kind::integer) return std::to_string(reply->integer);
    return reply->text;
  }

 private:
  Loop& loop_;

 public:
  std::vector<std::pair<Event, std::string>> events;
  std::function<void(Event)> when_told;
  Connection connection;
};

/// A server of the test's own making. The script is run for each connection; what it is given to read is thrown away.
class ScriptedServer {
 public:
  using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
  using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
  using Script = std::function<Awaitable<void>(Socket&, std::size_t number)>;
  static constexpr asio::use_awaitable_t<Executor> token{};

  ScriptedServer(Loop& loop, Script script)
      : state_(std::make_shared<State>(loop.context.get_executor(), std::move(script))) {
    loop.spawn(accept(state_));
  }
  ~ScriptedServer() {
    error_code ignored;
    state_->acceptor.close(ignored);
    for (const auto& socket : state_->sockets) socket->close(ignored);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] ConnectionParameters parameters() const {
    ConnectionParameters parameters;
    parameters.port = state_->acceptor.local_endpoint().port();
    parameters.backoff_first = 2ms;
    parameters.backoff_max = 20ms;
    return parameters;
  }
  [[nodiscard]] std::size_t accepted() const { return state_->sockets.size(); }

  /// Waits for some bytes and answers with `text`.
  static Awaitable<bool> answer(Socket& socket, std::string text) {
    std::array<char, 65536> bytes;
    error_code error;
    const auto room = asio::buffer(bytes);
    co_await socket.async_read_some(room, asio::redirect_error(token, error));
    if (error) co_return false;
    const auto all = asio::buffer(text);
    co_await asio::async_write(socket, all, asio::redirect_error(token, error));
    co_return !error;
  }
  /// Reads until the peer closes.
  static Awaitable<void> listen(Socket& socket) {
    bool open = true;
    while (open) open = co_await answer(socket, std::string());
  }

 private:
  struct State {
    State(const Executor& executor, Script steps)
        : acceptor(executor, {asio::ip::address_v4::loopback(), 0}), script(std::move(steps)) {}
    Acceptor acceptor;
    Script script;
    std::vector<std::shared_ptr<Socket>> sockets;
  };
  static Awaitable<void> accept(std::shared_ptr<State> state) {
    for (;;) {
      const auto socket = std::make_shared<Socket>(state->acceptor.get_executor());
      error_code error;
      co_await state->acceptor.async_accept(*socket, asio::redirect_error(token, error));
      if (error) co_return;
      state->sockets.push_back(socket);
      asio::co_spawn(state->acceptor.get_executor(), serve(state, socket, state->sockets.size() - 1),
                     [](std::exception_ptr thrown) {
                       if (thrown) std::rethrow_exception(thrown);
                     });
    }
  }
  static Awaitable<void> serve(std::shared_ptr<State> state, std::shared_ptr<Socket> socket, std::size_t number) {
    co_await state->script(*socket, number);
    error_code ignored;
    socket->close(ignored);
  }

  std::shared_ptr<State> state_;
};

/// One server for all tests that leave it as it was.
RedisServer& shared_server() {
  static RedisServer server;
  return server;
}

/// A done-callback that keeps the outcome.
auto keep(std::optional<result<Reply>>& outcome) {
  return [&outcome](result<Reply> told) { outcome.emplace(std::move(told)); };
}

// --- commands and replies
// ----------------------------------------------------------------------------------------------

TEST_CASE("every kind of reply, over TCP and over a Unix socket") {
  RedisServer& server = shared_server();
  for (const ConnectionParameters& parameters : {server.tcp(), server.unix_socket()}) {
    Loop loop;
    Client client(loop, parameters);
    client.ready();
    CHECK(client.said({"FLUSHDB"}) == "OK");
    CHECK(client.ask({"SET", "a", "1"})->kind == Reply::Kind::status);
    const Reply value = client.ask({"GET", "a"}).value();
    CHECK(value.kind == Reply::Kind::string);
    CHECK(value.text == "1");
    CHECK(client.ask({"GET", "none"})->kind == Reply::Kind::nil);
    CHECK(client.ask({"INCR", "a"})->integer == 2);
    const Reply refused = client.ask({"LPUSH", "a", "x"}).value();
    CHECK(refused.is_error());
    CHECK(refused.error_word() == "WRONGTYPE");
    const Reply nested = client.ask({"EVAL", "return {1, 'x', {2, {3}}, false}", "0"}).value();
    REQUIRE(nested.kind == Reply::Kind::array);
    REQUIRE(nested.elements.size() == 4);
    CHECK(nested.elements[1].text == "x");
    CHECK(nested.elements[2].elements[1].elements[0].integer == 3);
    CHECK(nested.elements[3].kind == Reply::Kind::nil);
    const std::string_view binary("k\0\r\n", 4);
    CHECK(client.said({"SET", binary, binary}) == "OK");
    CHECK(client.said({"GET", binary}) == binary);
    CHECK(client.connection.counters().failures == 0);
    CHECK(client.connection.counters().queued == 0);
    CHECK(client.connection.counters().queued_bytes == 0);
    CHECK(client.connection.counters().connects == 1);
  }
}

TEST_CASE("a host name is resolved, a command without arguments is refused") {
  Loop loop;
  ConnectionParameters parameters = shared_server().tcp();
  parameters.host = "localhost";
  Client client(loop, parameters);
  client.ready();
  CHECK(client.said({"ECHO", "hello"}) == "hello");
  CHECK(client.ask({}).error() == boost::system::errc::invalid_argument);
  CHECK(client.said({"ECHO", "still in step"}) == "still in step");
}

TEST_CASE("values of 16 MiB come and go whole") {
  RedisServer& server = shared_server();
  std::string large(16UL << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 + (i >> 11));
  for (const ConnectionParameters& parameters : {server.tcp(), server.unix_socket()}) {
    Loop loop;
    Client client(loop, parameters);
    client.ready();
    CHECK(client.said({"SET", "large", large}) == "OK");
    CHECK((client.said({"GET", "large"}) == large));
    CHECK(client.said({"DEL", "large"}) == "1");
  }
}

TEST_CASE("commands of one turn leave together and are answered in order") {
  Loop loop;
  Client client(loop, shared_server().tcp());
  client.ready();
  client.said({"DEL", "counter"});
  const std::uint64_t writes = client.connection.counters().writes;
  constexpr int commands = 10'000;
  std::vector<std::int64_t> seen;
  for (int i = 0; i < commands; ++i)
    loop.spawn([](Connection& connection, std::vector<std::int64_t>& values) -> Awaitable<void> {
      Arguments arguments{"INCR", "counter"};
      const result<Reply> reply = co_await connection.command(std::move(arguments), generous);
      values.push_back(reply.has_value() ? reply->integer : -1);
    }(client.connection, seen));
  loop.run_until([&] { return seen.size() == commands; });
  for (int i = 0; i < commands; ++i) REQUIRE(seen[static_cast<std::size_t>(i)] == i + 1);
  const std::uint64_t used = client.connection.counters().writes - writes;
  MESSAGE("writes for " << commands << " commands: " << used);
  CHECK(used < 20);
}

TEST_CASE("a pipeline has one reply per command") {
  Loop loop;
  Client client(loop, shared_server().unix_socket());
  client.ready();
  const auto ask = [&](std::vector<Arguments> commands) {
    return loop.run(client.connection.pipeline(std::move(commands), generous));
  };
  const auto replies = ask({{"SET", "p", "5"}, {"INCR", "p"}, {"NOSUCH"}, {"GET", "p"}});
  REQUIRE(replies.has_value());
  REQUIRE(replies->size() == 4);
  CHECK((*replies)[0].text == "OK");
  CHECK((*replies)[1].integer == 6);
  CHECK((*replies)[2].is_error());
  CHECK((*replies)[3].text == "6");
  CHECK(ask({})->empty());
  const std::uint64_t commands = client.connection.counters().commands;
  CHECK(ask({{"PING"}, {}}).error() == boost::system::errc::invalid_argument);
  CHECK(client.connection.counters().commands == commands);  // all or nothing
}

TEST_CASE("send() tells the outcome later, never from within") {
  Loop loop;
  Client client(loop, shared_server().tcp());
  std::optional<result<Reply>> early;
  client.connection.send({"PING"}, generous, keep(early));  // not connected yet
  CHECK_FALSE(early.has_value());
  loop.run_until([&] { return early.has_value(); });
  CHECK(early->error() == Error::not_connected);
  client.ready();
  std::optional<result<Reply>> answered;
  client.connection.send({"ECHO", "x"}, generous, keep(answered));
  client.connection.send({"ECHO", "nobody cares"}, generous, {});
  CHECK_FALSE(answered.has_value());
  loop.run_until([&] { return answered.has_value(); });
  CHECK(answered->value().text == "x");
  CHECK(client.said({"ECHO", "y"}) == "y");
}

TEST_CASE("one callback that throws neither ends the connection nor silences the others") {
  Loop loop;
  Client client(loop, shared_server().tcp());
  client.ready();
  std::optional<result<Reply>> second;
  client.connection.send({"PING"}, generous, [](const auto&) { throw std::logic_error("the user's"); });
  client.connection.send({"PING"}, generous, keep(second));
  CHECK_THROWS_AS(loop.run_until([&] { return second.has_value(); }), std::logic_error);
  loop.run_until([&] { return second.has_value(); });
  CHECK(second->has_value());
  CHECK(client.said({"ECHO", "y"}) == "y");
  CHECK(client.count(Event::disconnected) == 0);
}

// --- the greeting
// ------------------------------------------------------------------------------------------------------

TEST_CASE("the database is selected") {
  Loop loop;
  ConnectionParameters parameters = shared_server().tcp();
  parameters.database = 3;
  Client client(loop, parameters);
  client.ready();
  client.said({"SET", "only-in-3", "x"});
  CHECK(client.said({"CLIENT", "INFO"}).find(" db=3 ") != std::string::npos);
  parameters.database = 99;
  Client refused(loop, parameters);
  refused.await(Event::connect_failed, 2);
  CHECK(refused.last_detail(Event::connect_failed).find("SELECT 99 was refused") != std::string::npos);
  CHECK_FALSE(refused.connection.is_ready());
}

TEST_CASE("passwords and users; no secret in any detail") {
  RedisServer server({"--requirepass", "open-sesame",                                         //
                      "--user", "cache", "on", ">s3cr3t-word", "~cache:*", "+@all", "-ping",  //
                      "--user", "off", "off", ">s3cr3t-word", "~*", "+@all"});
  Loop loop;
  const auto with = [&](const char* user, const char* password) {
    ConnectionParameters parameters = server.tcp();
    parameters.user = user;
    parameters.password = password;
    return parameters;
  };
  SUBCASE("the default user's password") {
    Client client(loop, with("", "open-sesame"));
    CHECK(client.ready().said({"ACL", "WHOAMI"}) == "default");
  }
  SUBCASE("a named user, who may not PING") {
    Client client(loop, with("cache", "s3cr3t-word"));
    CHECK(client.ready().said({"ACL", "WHOAMI"}) == "cache");
    CHECK(client.ask({"GET", "other"})->error_word() == "NOPERM");
  }
  SUBCASE("what is refused") {
    struct Case {
      const char* user;
      const char* password;
      const char* detail;
    };
    const Case cases[] = {
        {"", "wrong-pass-phrase", "AUTH was refused (WRONGPASS)"},
        {"cache", "open-sesame", "AUTH was refused (WRONGPASS)"},
        {"nobody", "s3cr3t-word", "AUTH was refused (WRONGPASS)"},
        {"off", "s3cr3t-word", "AUTH was refused (WRONGPASS)"},
        {"", "", "PING was refused: NOAUTH Authentication required."},
    };
    for (const Case& test : cases) {
      Client client(loop, with(test.user, test.password));
      client.await(Event::connect_failed, 2);  // it keeps trying
      CHECK(client.count(Event::connected) == 0);
      for (const auto& told : client.events) CHECK(told.second == test.detail);
    }
  }
}

TEST_CASE("a server that repeats the password does not bring it into a detail") {
  Loop loop;
  ScriptedServer server(loop, [](ScriptedServer::Socket& socket, std::size_t number) -> Awaitable<void> {
    static const std::array<const char*, 4> answers{
        "-ERR unknown command 'AUTH', with args beginning with: 'HUNTER'\r\n", "-HUNTER what\r\n",
        "+OK\r\n-ERR HUNTER may not\r\n", "+OK\r\n+OK\r\n-ERR said \x1b[31m HUNTER\r\n"};
    std::string text = answers[number % answers.size()];
    co_await ScriptedServer::answer(socket, std::move(text));
    co_await ScriptedServer::listen(socket);
  });
  ConnectionParameters parameters = server.parameters();
  parameters.password = "HUNTER";
  parameters.database = 2;
  Client client(loop, parameters);
  client.await(Event::connect_failed, 4);
  for (const auto& told : client.events) {
    CAPTURE(told.second);
    CHECK(told.second.find("HUNTER") == std::string::npos);
    CHECK(told.second.find('\x1b') == std::string::npos);
  }
  CHECK(client.events[0].second == "AUTH was refused (ERR)");
  CHECK(client.events[1].second == "AUTH was refused");
  CHECK(client.events[2].second == "SELECT 2 was refused: ERR *** may not");
}

TEST_CASE("a server that still loads its data is asked again until it is done") {
  Loop loop;
  ScriptedServer server(loop, [](ScriptedServer::Socket& socket, std::size_t number) -> Awaitable<void> {
    std::string text = number < 3 ? "-LOADING Redis is loading the dataset in memory\r\n" : "+PONG\r\n";
    co_await ScriptedServer::answer(socket, std::move(text));
    co_await ScriptedServer::listen(socket);
  });
  Client client(loop, server.parameters());
  client.await(Event::connected);
  CHECK(client.count(Event::connect_failed) == 3);
  CHECK(client.last_detail(Event::connect_failed).find("LOADING") != std::string::npos);
}

// --- TLS
// ---------------------------------------------------------------------------------------------------------------

TEST_CASE("TLS") {
  const Certificates certificates;
  RedisServer server({}, &certificates);
  Loop loop;
  ConnectionParameters parameters = server.tls();

  SUBCASE("by address and by name, with large values both ways") {
    for (const char* host : {"127.0.0.1", "localhost"}) {
      parameters.host = host;
      Client client(loop, parameters);
      client.ready();
      std::string large(4UL << 20, 'x');
      large[123456] = 'y';
      CHECK(client.said({"SET", "large", large}) == "OK");
      CHECK((client.said({"GET", "large"}) == large));
    }
  }
  SUBCASE("a certificate of another CA is refused, and accepted again when the CA file is right") {
    const TemporaryDirectory directory;
    parameters.tls_ca_file = directory.file("ca.pem");
    std::filesystem::copy_file(certificates.other_ca(), parameters.tls_ca_file);
    Client client(loop, parameters);
    client.await(Event::connect_failed);
    CHECK(client.last_detail(Event::connect_failed).find("certificate verify failed") != std::string::npos);
    CHECK(client.count(Event::connected) == 0);
    std::filesystem::copy_file(certificates.ca(), parameters.tls_ca_file,
                               std::filesystem::copy_options::overwrite_existing);
    client.await(Event::connected);
  }
  SUBCASE("a certificate for another name is refused") {
    parameters.host = "127.0.0.2";
    ConnectionParameters plain = server.tcp();
    Client admin(loop, plain);
    REQUIRE(admin.ready().said({"CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"}) == "OK");
    Client client(loop, parameters);
    client.await(Event::connect_failed);
    CHECK(client.last_detail(Event::connect_failed).find("certificate verify failed") != std::string::npos);
    parameters.tls_verify = false;
    Client trusting(loop, parameters);
    CHECK(trusting.ready().said({"ECHO", "x"}) == "x");
  }
  SUBCASE("the system's store does not know our CA; no verification, no question") {
    parameters.tls_ca_file.clear();
    Client client(loop, parameters);
    client.await(Event::connect_failed);
    CHECK(client.last_detail(Event::connect_failed).find("certificate verify failed") != std::string::npos);
    parameters.tls_verify = false;
    Client trusting(loop, parameters);
    CHECK(trusting.ready().said({"ECHO", "x"}) == "x");
  }
  SUBCASE("a CA file that is not there; a peer that speaks no TLS; a client that speaks none") {
    ConnectionParameters missing = parameters;
    missing.tls_ca_file = "/nonexistent/ca.pem";
    Client without(loop, missing);
    without.await(Event::connect_failed);
    CHECK(without.last_detail(Event::connect_failed).rfind("TLS: ", 0) == 0);

    ConnectionParameters to_plain = parameters;
    to_plain.port = server.port();
    to_plain.connect_timeout = 100ms;  // Redis waits for more
    Client mistaken(loop, to_plain);
    mistaken.await(Event::connect_failed);
    CHECK(mistaken.count(Event::connected) == 0);
    CHECK(mistaken.last_detail(Event::connect_failed).find("TLS") != std::string::npos);

    ConnectionParameters no_tls = server.tcp();
    no_tls.port = parameters.port;
    Client plain(loop, no_tls);
    plain.await(Event::connect_failed);
    CHECK(plain.count(Event::connected) == 0);
  }
  SUBCASE("killed and started again") {
    Client client(loop, parameters);
    client.ready();
    server.kill();
    client.await(Event::disconnected);
    server.start();
    client.await(Event::connected, 2);
    CHECK(client.said({"ECHO", "x"}) == "x");
  }
}

// --- faults
// ------------------------------------------------------------------------------------------------------------

TEST_CASE("nobody listens: commands fail at once, and it goes on trying, ever more slowly") {
  Loop loop;
  ConnectionParameters parameters;
  parameters.port = test::free_port();
  parameters.backoff_first = 8ms;
  parameters.backoff_max = 32ms;
  Client client(loop, parameters);
  std::vector<Clock::time_point> failures;
  client.when_told = [&](Event) { failures.push_back(Clock::now()); };
  CHECK(client.ask({"PING"}).error() == Error::not_connected);
  client.await(Event::connect_failed, 6);
  CHECK(client.last_detail(Event::connect_failed).find("Connection refused") != std::string::npos);
  CHECK(client.ask({"PING"}).error() == Error::not_connected);
  CHECK(client.connection.counters().failures == 2);
  // Pauses are at least half of 8, 16, 32, 32, 32.
  const std::array<milliseconds, 5> least{4ms, 8ms, 16ms, 16ms, 16ms};
  for (std::size_t i = 0; i < least.size(); ++i) CHECK(failures[i + 1] - failures[i] >= least[i]);
}

TEST_CASE("places that cannot be: an unknown name, a missing socket, a path too long") {
  Loop loop;
  ConnectionParameters name;
  name.host = "no-such-host.invalid";
  Client unknown(loop, name);
  ConnectionParameters path;
  path.transport = ConnectionParameters::Transport::unix_socket;
  path.host = "/nonexistent/redis.sock";
  Client missing(loop, path);
  path.host = "/" + std::string(200, 'x');
  Client too_long(loop, path);
  unknown.await(Event::connect_failed);
  missing.await(Event::connect_failed);
  too_long.await(Event::connect_failed);
  CHECK(unknown.last_detail(Event::connect_failed).rfind("resolve no-such-host.invalid: ", 0) == 0);
  CHECK(missing.last_detail(Event::connect_failed).find("No such file") != std::string::npos);
  CHECK(too_long.last_detail(Event::connect_failed).find("too long") != std::string::npos);
}

TEST_CASE("killed with commands outstanding, then started again") {
  RedisServer server;
  Loop loop;
  for (const ConnectionParameters& parameters : {server.tcp(), server.unix_socket()}) {
    Client client(loop, parameters);
    client.ready();
    server.pause();
    std::optional<result<Reply>> first;
    std::optional<result<Reply>> second;
    client.connection.send({"INCR", "x"}, generous, keep(first));
    client.connection.send({"INCR", "x"}, generous, keep(second));
    server.kill();
    client.await(Event::disconnected);
    CHECK_FALSE(client.connection.is_ready());
    CHECK(client.connection.counters().queued == 0);
    loop.run_until([&] { return first && second; });
    CHECK(first->error() == Error::disconnected);
    CHECK(second->error() == Error::disconnected);
    CHECK(client.ask({"PING"}).error() == Error::not_connected);
    client.await(Event::connect_failed);
    server.start();
    client.await(Event::connected, 2);
    CHECK(client.said({"INCR", "x"}) == "1");
    CHECK(client.connection.counters().connects == 2);
  }
}

TEST_CASE("paused: deadlines pass; late replies are thrown away and the next ones are right") {
  RedisServer server;
  Loop loop;
  Client client(loop, server.tcp());
  client.ready();
  server.pause();
  std::vector<int> order;
  const auto note = [&](int number) {
    return [&order, number](const result<Reply>& reply) {
      CHECK(reply.error() == Error::timed_out);
      order.push_back(number);
    };
  };
  client.connection.send({"INCR", "late"}, 60ms, note(3));
  client.connection.send({"INCR", "late"}, 20ms, note(1));  // an earlier deadline than the one before
  client.connection.send({"INCR", "late"}, 40ms, note(2));
  std::optional<result<Reply>> patient;
  client.connection.send({"INCR", "late"}, generous, keep(patient));
  loop.run_until([&] { return order.size() == 3; });
  CHECK(order == std::vector<int>{1, 2, 3});
  const auto pipeline = loop.run(client.connection.pipeline({{"INCR", "late"}, {"INCR", "late"}}, 5ms));
  CHECK(pipeline.error() == Error::timed_out);
  CHECK(client.ask({"INCR", "late"}, milliseconds(-5)).error() == Error::timed_out);
  CHECK(client.connection.counters().timeouts == 6);
  CHECK(client.connection.counters().queued == 7);  // still to be answered
  CHECK_FALSE(patient.has_value());
  server.resume();
  loop.run_until([&] { return patient.has_value(); });
  CHECK(patient->value().integer == 4);
  CHECK(client.said({"INCR", "late"}) == "8");
  CHECK(client.count(Event::disconnected) == 0);
  CHECK(client.connection.counters().queued == 0);
}

TEST_CASE("a slow command holds the others up no longer than their deadline") {
  Loop loop;
  Client client(loop, shared_server().tcp());
  client.ready();
  std::optional<result<Reply>> slow;
  client.connection.send({"DEBUG", "SLEEP", "0.3"}, milliseconds::max(), keep(slow));
  const auto begin = Clock::now();
  CHECK(client.ask({"PING"}, 20ms).error() == Error::timed_out);
  CHECK(Clock::now() - begin >= 20ms);
  CHECK_FALSE(slow.has_value());
  loop.run_until([&] { return slow.has_value(); });
  CHECK(slow->value().text == "OK");
}

TEST_CASE("many deadlines that never pass do not pile up behind a long one") {
  Loop loop;
  Client client(loop, shared_server().unix_socket());
  client.ready();
  for (int round = 0; round < 5; ++round) {
    std::size_t answered = 0;
    for (int i = 0; i < 2000; ++i)
      client.connection.send({"PING"}, generous, [&](const result<Reply>& reply) {
        CHECK(reply.has_value());
        ++answered;
      });
    loop.run_until([&] { return answered == 2000; });
  }
  CHECK(client.connection.counters().timeouts == 0);
}

TEST_CASE("the queue is bounded, in commands and in bytes") {
  RedisServer server;
  Loop loop;
  ConnectionParameters parameters = server.tcp();
  parameters.max_queue_commands = 10;
  parameters.max_queue_bytes = 10'000;
  Client client(loop, parameters);
  client.ready();
  server.pause();
  std::size_t answered = 0;
  const auto count = [&](const result<Reply>& reply) {
    CHECK(reply.has_value());
    ++answered;
  };
  for (int i = 0; i < 9; ++i) client.connection.send({"PING"}, generous, count);
  CHECK(loop.run(client.connection.pipeline({{"PING"}, {"PING"}}, generous)).error() == Error::queue_full);
  client.connection.send({"PING"}, generous, count);
  CHECK(client.ask({"PING"}).error() == Error::queue_full);
  std::optional<result<Reply>> refused;
  client.connection.send({"PING"}, generous, keep(refused));
  loop.run_until([&] { return refused.has_value(); });
  CHECK(refused->error() == Error::queue_full);
  CHECK(client.connection.counters().failures == 4);
  server.resume();
  loop.run_until([&] { return answered == 10; });

  const std::string large(9'950, 'x');
  const std::string larger(10'000, 'x');
  CHECK(client.ask({"SET", "k", larger}).error() == Error::queue_full);
  CHECK(client.said({"SET", "k", large}) == "OK");
  CHECK(client.connection.counters().queued_bytes == 0);
}

TEST_CASE("CLIENT KILL") {
  Loop loop;
  Client admin(loop, shared_server().tcp());
  Client client(loop, shared_server().tcp());
  admin.ready();
  client.ready();
  for (std::size_t times = 1; times <= 3; ++times) {
    const std::string id = client.said({"CLIENT", "ID"});
    CHECK(admin.said({"CLIENT", "KILL", "ID", id}) == "1");
    client.await(Event::disconnected, times);
    client.await(Event::connected, times + 1);
    CHECK(client.said({"ECHO", "x"}) == "x");
  }
}

TEST_CASE("reconnect() makes a new connection at once") {
  Loop loop;
  ConnectionParameters parameters = shared_server().tcp();
  parameters.backoff_first = parameters.backoff_max = 1h;  // never by waiting
  Client client(loop, parameters);
  client.ready();
  const std::string id = client.said({"CLIENT", "ID"});
  std::optional<result<Reply>> outstanding;
  client.connection.send({"DEBUG", "SLEEP", "0"}, generous, keep(outstanding));
  client.connection.reconnect();
  CHECK_FALSE(client.connection.is_ready());
  client.await(Event::connected, 2);
  CHECK(outstanding->error() == Error::disconnected);
  CHECK(client.said({"CLIENT", "ID"}) != id);
  CHECK(client.count(Event::disconnected) == 1);

  ConnectionParameters nowhere = parameters;
  nowhere.port = test::free_port();
  Client lost(loop, nowhere);
  for (std::size_t times = 1; times <= 3; ++times) {
    lost.await(Event::connect_failed, times);
    lost.connection.reconnect();
  }
  lost.await(Event::connect_failed, 4);
}

TEST_CASE("whoever is told may call anything") {
  Loop loop;
  SUBCASE("stop() when connected") {
    Client client(loop, shared_server().tcp());
    client.when_told = [&](Event) { client.connection.stop(); };
    client.await(Event::connected);
    loop.context.run();
    CHECK(client.events.size() == 1);
    CHECK(client.ask({"PING"}).error() == Error::stopped);
  }
  SUBCASE("reconnect() when connected") {
    Client client(loop, shared_server().tcp());
    int times = 0;
    client.when_told = [&](Event event) {
      if (event == Event::connected && ++times < 5) client.connection.reconnect();
    };
    client.await(Event::connected, 5);
    CHECK(client.count(Event::disconnected) == 4);
    CHECK(client.said({"ECHO", "x"}) == "x");
  }
  SUBCASE("send() when connected") {
    Client client(loop, shared_server().tcp());
    std::optional<result<Reply>> reply;
    client.when_told = [&](Event) { client.connection.send({"ECHO", "first"}, generous, keep(reply)); };
    loop.run_until([&] { return reply.has_value(); });
    CHECK(reply->value().text == "first");
  }
  SUBCASE("stop() when it failed") {
    ConnectionParameters parameters;
    parameters.port = test::free_port();
    Client client(loop, parameters);
    client.when_told = [&](Event) { client.connection.stop(); };
    client.await(Event::connect_failed);
    loop.context.run();
    CHECK(client.events.size() == 1);
  }
  SUBCASE("destroy the connection from a reply, with others outstanding") {
    auto connection = std::make_unique<Connection>(loop.context, shared_server().tcp(), nullptr);
    connection->start();
    loop.run_until([&] { return connection->is_ready(); });
    std::vector<error_code> outcomes;
    const auto note = [&](const result<Reply>& reply) {
      outcomes.push_back(reply.has_value() ? error_code() : reply.error());
    };
    connection->send({"PING"}, generous, [&](const result<Reply>& reply) {
      note(reply);
      connection.reset();
    });
    connection->send({"DEBUG", "SLEEP", "0.05"}, generous, note);
    loop.context.run();
    REQUIRE(outcomes.size() == 2);
    CHECK_FALSE(outcomes[0]);
    CHECK((!outcomes[1] || outcomes[1] == Error::stopped));
  }
}

TEST_CASE("stop() tells all who wait and lets the loop end") {
  RedisServer server;
  Loop loop;
  Client client(loop, server.tcp());
  client.ready();
  server.pause();
  std::vector<error_code> outcomes;
  for (int i = 0; i < 3; ++i)
    loop.spawn([](Connection& connection, std::vector<error_code>& told) -> Awaitable<void> {
      Arguments arguments{"PING"};
      const result<Reply> reply = co_await connection.command(std::move(arguments), generous);
      told.push_back(reply.error());
    }(client.connection, outcomes));
  loop.run_until([&] { return client.connection.counters().queued == 3; });
  client.connection.stop();
  CHECK(outcomes.empty());
  client.connection.stop();
  client.connection.reconnect();
  client.connection.start();
  loop.context.run();  // ends by itself
  REQUIRE(outcomes.size() == 3);
  for (const error_code& outcome : outcomes) CHECK(outcome == Error::stopped);
  CHECK(client.count(Event::disconnected) == 0);
}

TEST_CASE("stop() at any stage lets the loop end") {
  for (std::size_t steps = 0; steps < 12; ++steps) {
    Loop loop;
    Client client(loop, shared_server().tcp());
    for (std::size_t i = 0; i < steps && !client.connection.is_ready(); ++i) loop.context.run_one();
    client.connection.stop();
    loop.context.run();
  }
}

TEST_CASE("destroyed with commands outstanding: the connection first, or the loop without being run") {
  RedisServer server;
  for (const bool run : {true, false}) {
    for (const bool timed_out : {true, false}) {
      Loop loop;
      server.resume();
      auto client = std::make_unique<Client>(loop, server.tcp());
      client->ready();
      server.pause();
      int told = 0;
      const milliseconds deadline = timed_out ? milliseconds(0) : generous;
      client->connection.send({"PING"}, deadline, [&](const auto&) { ++told; });
      loop.spawn([](Connection& connection, int& count, milliseconds limit) -> Awaitable<void> {
        Arguments arguments{"PING"};
        co_await connection.command(std::move(arguments), limit);
        std::vector<Arguments> commands(3, Arguments{"PING"});
        co_await connection.pipeline(std::move(commands), limit);
        ++count;
      }(client->connection, told, deadline));
      loop.run_until([&] { return client->connection.counters().queued >= 2; });
      if (timed_out) loop.run_until([&] { return told >= 1; });
      if (run) {
        client->connection.stop();
        loop.context.run();
        CHECK(told == 2);
      }
      client.reset();
    }
  }
}

TEST_CASE("a command cannot be cancelled: its reply or its deadline ends it") {
  Loop loop;
  Client client(loop, shared_server().tcp());
  client.ready();
  asio::cancellation_signal cancel;
  std::string reply;
  asio::co_spawn(
      loop.context,
      [](Connection& connection, std::string& text) -> Awaitable<void> {
        Arguments arguments{"ECHO", "all the same"};
        const result<Reply> answer = co_await connection.command(std::move(arguments), generous);
        text = answer.has_value() ? answer->text : answer.error().message();
      }(client.connection, reply),
      asio::bind_cancellation_slot(cancel.slot(), [](const std::exception_ptr&) {}));
  loop.run_until([&] { return client.connection.counters().queued == 1; });
  cancel.emit(asio::cancellation_type::terminal);
  loop.run_until([&] { return !reply.empty(); });
  CHECK(reply == "all the same");
  CHECK(client.said({"ECHO", "in step"}) == "in step");
}

// --- peers that do not behave
// ------------------------------------------------------------------------------------------

TEST_CASE("nonsense instead of a greeting") {
  const std::vector<std::string> nonsense = {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
                                             "SSH-2.0-OpenSSH_9.2\r\n",
                                             "\r\n\r\n",
                                             "$5\r\nab",
                                             "*1000000000\r\n",
                                             "+PONG\r\n+PONG\r\n",
                                             std::string(100'000, '+'),
                                             "-ERR max number of clients reached\r\n",
                                             std::string("\0\1\2\3", 4),
                                             ":1\r\n",
                                             ""};
  Loop loop;
  ScriptedServer server(loop, [&](ScriptedServer::Socket& socket, std::size_t number) -> Awaitable<void> {
    std::string text = nonsense[number % nonsense.size()];
    co_await ScriptedServer::answer(socket, std::move(text));  // and closes
  });
  Client client(loop, server.parameters());
  client.await(Event::connect_failed, nonsense.size());
  CHECK(client.count(Event::connected) == 0);
  for (const auto& told : client.events) CHECK_FALSE(told.second.empty());
}

TEST_CASE("nonsense instead of a reply: what waits fails, and it connects anew") {
  struct Case {
    const char* text;
    Error outcome;
  };
  const std::vector<Case> cases = {
      {"nonsense\r\n", Error::protocol},     {"$99999999999\r\n", Error::protocol},
      {"$5\r\nhel", Error::disconnected},  // half a reply, then the end
      {"*2\r\n+x\r\n", Error::disconnected}, {"", Error::disconnected},
  };
  Loop loop;
  ScriptedServer server(loop, [&](ScriptedServer::Socket& socket, std::size_t number) -> Awaitable<void> {
    std::string greeting = "+PONG\r\n";
    co_await ScriptedServer::answer(socket, std::move(greeting));
    std::string text = cases[number % cases.size()].text;
    co_await ScriptedServer::answer(socket, std::move(text));
  });
  Client client(loop, server.parameters());
  std::size_t connects = 0;
  for (const Case& test : cases) {
    client.await(Event::connected, ++connects);
    CAPTURE(test.text);
    CHECK(client.ask({"GET", "x"}).error() == test.outcome);
    client.await(Event::disconnected, connects);
  }
}

TEST_CASE("an answer that nobody asked for is not given to the next who asks") {
  Loop loop;
  ScriptedServer server(loop, [&](ScriptedServer::Socket& socket, std::size_t number) -> Awaitable<void> {
    std::string greeting = "+PONG\r\n";
    co_await ScriptedServer::answer(socket, std::move(greeting));
    std::string text = number == 0 ? "$5\r\nright\r\n$5\r\nwrong\r\n" : "$4\r\ngood\r\n";
    co_await ScriptedServer::answer(socket, std::move(text));
    co_await ScriptedServer::listen(socket);
  });
  Client client(loop, server.parameters());
  client.ready();
  CHECK(client.said({"GET", "x"}) == "right");
  client.await(Event::disconnected);
  CHECK(client.last_detail(Event::disconnected).find("an answer to no command") != std::string::npos);
  client.await(Event::connected, 2);
  CHECK(client.said({"GET", "x"}) == "good");
}

TEST_CASE("the connect timeout covers a silent greeting and a silent TLS handshake") {
  Loop loop;
  ScriptedServer server(loop, [](ScriptedServer::Socket& socket, std::size_t) -> Awaitable<void> {
    co_await ScriptedServer::listen(socket);
  });
  ConnectionParameters parameters = server.parameters();
  parameters.connect_timeout = 30ms;
  Client plain(loop, parameters);
  parameters.transport = ConnectionParameters::Transport::tls;
  parameters.tls_verify = false;
  Client tls(loop, parameters);
  plain.await(Event::connect_failed, 2);
  tls.await(Event::connect_failed, 2);
  CHECK(plain.last_detail(Event::connect_failed) == "no connection within 30 ms (greeting)");
  CHECK(tls.last_detail(Event::connect_failed) == "no connection within 30 ms (in the TLS handshake)");
}

TEST_CASE("health: an idle connection is asked, a dead one dropped") {
  RedisServer server;
  Loop loop;
  ConnectionParameters parameters = server.tcp();
  parameters.health_interval = 20ms;
  parameters.connect_timeout = 500ms;
  Client client(loop, parameters);
  client.ready();
  loop.run_until([&] { return client.connection.counters().commands >= 3; });  // PINGs
  CHECK(client.count(Event::disconnected) == 0);
  server.pause();
  client.await(Event::disconnected);
  CHECK(client.last_detail(Event::disconnected) == "no sign of life within 500 ms");
  client.await(Event::connect_failed);
  server.resume();
  client.await(Event::connected, 2);
  CHECK(client.said({"ECHO", "x"}) == "x");
}

// --- subscriptions
// -----------------------------------------------------------------------------------------------------

TEST_CASE("messages come apart from the replies, in order with them") {
  Loop loop;
  Client publisher(loop, shared_server().tcp());
  Client client(loop, shared_server().tcp());
  publisher.ready();
  client.ready();
  std::vector<std::string> seen;
  client.connection.on_message([&](std::string_view channel, std::string_view payload) {
    seen.push_back(std::string(channel) + "=" + std::string(payload));
  });

  // Not subscribed: an array of this form is a reply like others.
  CHECK(client.ask({"EVAL", "return {'message', 'a', 'b'}", "0"})->elements.size() == 3);
  CHECK(seen.empty());

  const Reply confirmed = client.ask({"subscribe", "one", "two"}).value();
  CHECK(confirmed.elements.at(1).text == "two");
  CHECK(confirmed.elements.at(2).integer == 2);
  CHECK(client.ask({"PSUBSCRIBE", "t*"})->elements.at(2).integer == 3);
  CHECK(publisher.said({"PUBLISH", "one", "first"}) == "1");
  CHECK(publisher.said({"PUBLISH", "two", ""}) == "2");
  loop.run_until([&] { return seen.size() == 3; });
  CHECK(seen == std::vector<std::string>{"one=first", "two=", "two="});

  const Reply pong = client.ask({"PING"}).value();
  REQUIRE(pong.elements.size() == 2);
  CHECK(pong.elements[0].text == "pong");
  CHECK(client.ask({"GET", "x"})->is_error());  // RESP2 allows no more here

  SUBCASE("unsubscribing by name") {
    CHECK(client.ask({"UNSUBSCRIBE", "one", "two"})->elements.at(2).integer == 1);
    CHECK(client.ask({"PUNSUBSCRIBE", "t*"})->elements.at(2).integer == 0);
  }
  SUBCASE("unsubscribing from all") {
    CHECK(client.ask({"UNSUBSCRIBE"})->elements.at(2).integer == 1);
    CHECK(client.ask({"PUNSUBSCRIBE"})->elements.at(2).integer == 0);
    CHECK(client.ask({"UNSUBSCRIBE"})->elements.at(2).integer == 0);  // from nothing
  }
  SUBCASE("unsubscribing and going on in one pipeline") {
    const auto replies = loop.run(
        client.connection.pipeline({{"UNSUBSCRIBE"}, {"PUNSUBSCRIBE"}, {"ECHO", "x"}, {"SUBSCRIBE"}}, generous));
    REQUIRE(replies.has_value());
    CHECK((*replies)[2].text == "x");
    CHECK((*replies)[3].is_error());
  }
  CHECK(publisher.said({"PUBLISH", "one", "unheard"}) == "0");
  CHECK(client.said({"ECHO", "in step"}) == "in step");
  CHECK(seen.size() == 3);
}

TEST_CASE("sharded channels") {
  Loop loop;
  Client publisher(loop, shared_server().tcp());
  Client client(loop, shared_server().tcp());
  publisher.ready();
  client.ready();
  std::vector<std::string> seen;
  client.connection.on_message([&](std::string_view channel, std::string_view payload) {
    seen.emplace_back(std::string(channel) + std::string(payload));
  });
  CHECK(client.ask({"SSUBSCRIBE", "s"})->elements.at(2).integer == 1);
  CHECK(publisher.said({"SPUBLISH", "s", "1"}) == "1");
  loop.run_until([&] { return !seen.empty(); });
  CHECK(seen[0] == "s1");
  CHECK(client.ask({"SUNSUBSCRIBE"})->elements.at(2).integer == 0);
  CHECK(client.said({"ECHO", "in step"}) == "in step");
}

TEST_CASE("a refused subscription is answered once") {
  RedisServer server({"--user", "limited", "on", "nopass", "~*", "+@all", "resetchannels"});
  Loop loop;
  ConnectionParameters parameters = server.tcp();
  parameters.user = "limited";
  parameters.password = "any";
  Client client(loop, parameters);
  client.ready();
  CHECK(client.ask({"SUBSCRIBE", "a", "b", "c"})->error_word() == "NOPERM");
  CHECK(client.said({"ECHO", "in step"}) == "in step");
}

TEST_CASE("subscriptions end with their connection; many messages come whole; none after stop()") {
  Loop loop;
  Client publisher(loop, shared_server().tcp());
  Client client(loop, shared_server().tcp());
  publisher.ready();
  client.ready();
  std::size_t messages = 0;
  client.connection.on_message([&](std::string_view, std::string_view payload) {
    CHECK(payload.size() == 100);
    if (++messages == 5'000) client.connection.stop();
  });
  client.ask({"SUBSCRIBE", "news"});
  client.connection.reconnect();
  client.await(Event::connected, 2);
  CHECK(publisher.said({"PUBLISH", "news", "to nobody"}) == "0");
  client.ask({"SUBSCRIBE", "news"});
  const std::string payload(100, 'x');
  std::vector<Arguments> many(6'000, Arguments{"PUBLISH", "news", payload});
  CHECK(loop.run(publisher.connection.pipeline(std::move(many), generous)).has_value());
  loop.run_until([&] { return messages >= 5'000; });
  CHECK(publisher.said({"ECHO", "x"}) == "x");
  CHECK(messages == 5'000);
}

}  // namespace
}  // namespace larder::redis
