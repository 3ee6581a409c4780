#include "larder/proxy/purge_scripts.hpp"

#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <vector>

#include "larder/redis/connection.hpp"

#include "../net/loopback.hpp"
#include "../redis/redis_server.hpp"

namespace larder::proxy {
namespace {

using policy::Selector;
using policy::SelectorKind;
using redis::Reply;
using namespace std::chrono_literals;

const std::vector<Selector> some{{SelectorKind::tag, "product:42"},
                                 {SelectorKind::path, "/a b/**"},
                                 {SelectorKind::all, ""},
                                 {SelectorKind::key, "3:x,5:y"},
                                 {SelectorKind::glob, "cache:*\r\n\xff"}};

TEST_CASE("selectors travel as they are") {
  CHECK(decode_payload(encode_payload(some)) == some);
  CHECK(encode_payload({}).empty());
  CHECK(decode_payload("") == std::vector<Selector>{});
}

TEST_CASE("what encode_payload did not make is refused") {
  const auto payload = encode_payload(some);
  for (std::size_t cut = 1; cut < payload.size(); ++cut) {
    const auto decoded = decode_payload(std::string_view(payload).substr(0, cut));
    // Cut behind a selector it is a shorter payload, and nothing else.
    if (decoded) CHECK(encode_payload(*decoded) == payload.substr(0, cut));
  }
  const std::string one = policy::encode({SelectorKind::tag, "a"});
  const auto size = std::to_string(one.size());
  CHECK(decode_payload(size + ":" + one + ","));
  for (const std::string& bad :
       {":" + one + ",", size + one + ",", size + ":" + one, size + ":" + one + ";", "+" + size + ":" + one + ",",
        "-1:" + one + ",", " " + size + ":" + one + ",", "99999999999999999999:" + one + ",",
        "18446744073709551615:" + one + ",", std::to_string(one.size() + 1) + ":" + one + ",",
        std::to_string(one.size() - 1) + ":" + one + ",", std::string("3:a:b,"), std::string("0:,"), std::string("x"),
        size + ":" + one + ",x"}) {
    CAPTURE(bad);
    CHECK(!decode_payload(bad));
  }
}

TEST_CASE("numbers") {
  CHECK(parse_number("0") == std::optional<std::uint64_t>(0));
  CHECK(parse_number("18446744073709551615") == std::optional<std::uint64_t>(18446744073709551615ULL));
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "18446744073709551616"}) {
    CAPTURE(std::string(bad));
    CHECK(!parse_number(bad));
  }
}

TEST_CASE("push messages") {
  const auto purge = parse_push("p 7 12 n1@1500000 " + encode_payload(some));
  REQUIRE(purge);
  CHECK(purge->kind == PushMessage::Kind::purge);
  CHECK(purge->epoch == 7);
  CHECK(purge->clock == 12);
  CHECK(purge->selectors == some);
  CHECK(purge->node == "n1");
  CHECK(purge->made == std::chrono::system_clock::time_point(1500ms));
  CHECK_FALSE(parse_push("p 7 12 n1@0 " + encode_payload(some))->made.has_value());
  const auto epoch = parse_push("e 8 0");
  REQUIRE(epoch);
  CHECK(epoch->kind == PushMessage::Kind::epoch);
  CHECK(epoch->epoch == 8);
  const auto hello = parse_push("h node-1");
  REQUIRE(hello);
  CHECK(hello->kind == PushMessage::Kind::hello);
  CHECK(hello->node == "node-1");
  for (const char* bad :
       {"", "x", "x 1 2", "p", "p 1", "p 1 x ", "p x 1 ", "p 1 2 garbage", "p 1 2 n@1 garbage", "p 1 2 ", "p 1 2 n ",
        "p 1 2 @1 ", "p 1 2 n@ ", "p 1 2 n@-1 ", "p 1 2 n@9007199254740993 ", "e", "e 1", "e 1 x", "p -1 2 n@1 "}) {
    CAPTURE(std::string(bad));
    CHECK(!parse_push(bad));
  }
}

Reply text(std::string value) {
  Reply reply;
  reply.kind = Reply::Kind::string;
  reply.text = std::move(value);
  return reply;
}
Reply array(std::vector<Reply> elements) {
  Reply reply;
  reply.kind = Reply::Kind::array;
  reply.elements = std::move(elements);
  return reply;
}

TEST_CASE("replies of the scripts") {
  CHECK(parse_purge(array({text("7"), text("12")})) == std::pair<std::uint64_t, std::uint64_t>{7, 12});
  const auto attach = parse_attach(array({text("7"), text("12"), text("3"), text("11"), text(encode_payload(some))}));
  REQUIRE(attach);
  CHECK(attach->epoch == 7);
  CHECK(attach->clock == 12);
  CHECK(attach->floor == 3);
  REQUIRE(attach->purges.size() == 1);
  CHECK(attach->purges[0].first == 11);
  CHECK(attach->purges[0].second == some);
  Reply error;
  error.kind = Reply::Kind::error;
  error.text = "ERR";
  for (const auto& bad : {Reply{}, error, text("7"), array({}), array({text("7")}), array({text("x"), text("1")}),
                          array({Reply{}, Reply{}}), array({text("7"), text("12"), text("3"), text("11")}),
                          array({text("7"), text("12"), text("3"), text("x"), text("")}),
                          array({text("7"), text("12"), text("3"), text("1"), text("garbage")}),
                          array({text("7"), text("12"), text("x")})}) {
    CHECK(!parse_purge(bad));
    CHECK(!parse_attach(bad));
  }
}

TEST_CASE("the run of a Redis server") {
  CHECK(run_id_of("# Server\r\nredis_version:7\r\nrun_id:0123abc\r\ntcp_port:1\r\n") == "0123abc");
  CHECK(run_id_of("run_id:x") == "x");
  CHECK(run_id_of("").empty());
  CHECK(run_id_of("redis_version:7\r\n").empty());
}

// The scripts, run by a real Redis.
struct Server {
  Server() : connection(loop.context, redis.tcp(), [](redis::Event, std::string_view) {}) {
    connection.start();
    loop.run_until([&] { return connection.is_ready(); });
  }
  Reply command(std::vector<std::string_view> arguments) {
    auto reply = loop.run(ask(std::move(arguments)));
    REQUIRE(reply.has_value());
    return std::move(*reply);
  }
  net::Awaitable<boost::system::result<Reply>> ask(std::vector<std::string_view> arguments) {
    co_return co_await connection.command(std::move(arguments), 10s);
  }
  std::pair<std::uint64_t, std::uint64_t> purge(std::string_view run, std::string_view new_epoch,
                                                const std::vector<Selector>& selectors, std::string_view most = "100") {
    const auto payload = encode_payload(selectors);
    const auto reply = command({"EVAL", purge_script(), "1", "log", "log", run, new_epoch, most, payload, "node@7000"});
    CAPTURE(reply.text);
    const auto parsed = parse_purge(reply);
    REQUIRE(parsed);
    return *parsed;
  }
  AttachReply attach(std::string_view run, std::string_view new_epoch, std::string_view epoch, std::string_view clock) {
    const auto reply = command({"EVAL", attach_script(), "1", "log", "log", run, new_epoch, epoch, clock, "node"});
    CAPTURE(reply.text);
    auto parsed = parse_attach(reply);
    REQUIRE(parsed);
    return std::move(*parsed);
  }

  net::test::Loop loop;
  redis::test::RedisServer redis;
  redis::Connection connection;
};

TEST_CASE("purging and attaching on a real Redis") {
  using Clock = std::pair<std::uint64_t, std::uint64_t>;
  Server server;
  const std::vector<Selector> a{{SelectorKind::tag, "a"}};
  const std::vector<Selector> b{{SelectorKind::tag, "b"}, {SelectorKind::all, ""}};

  // A new log begins an epoch; the clock rises by one for each purge. Epochs use all 64 bits.
  CHECK(server.purge("run1", "18446744073709551615", a) == Clock{18446744073709551615ULL, 1});
  CHECK(server.purge("run1", "2", b) == Clock{18446744073709551615ULL, 2});

  // Who knows the epoch is told what is newer; nobody else's epoch matters.
  auto attached = server.attach("run1", "2", "18446744073709551615", "1");
  CHECK(attached.epoch == 18446744073709551615ULL);
  CHECK(attached.clock == 2);
  CHECK(attached.floor == 0);
  REQUIRE(attached.purges.size() == 1);
  CHECK(attached.purges[0].first == 2);
  CHECK(attached.purges[0].second == b);
  CHECK(server.attach("run1", "2", "18446744073709551615", "2").purges.empty());

  // Who comes new learns the epoch and the clock.
  attached = server.attach("run1", "2", "77", "0");
  CHECK(attached.epoch == 18446744073709551615ULL);
  CHECK(attached.clock == 2);

  // Another run of Redis: the log may lack purges, so an epoch ends.
  CHECK(server.purge("run2", "3", a) == Clock{3, 1});
  attached = server.attach("run3", "4", "3", "1");
  CHECK(attached.epoch == 4);
  CHECK(attached.clock == 0);
  CHECK(attached.purges.empty());

  // A flushed one, too.
  (void)server.command({"FLUSHALL"});
  attached = server.attach("run3", "5", "4", "0");
  CHECK(attached.epoch == 5);
}

TEST_CASE("the log in Redis is bounded") {
  Server server;
  for (int i = 1; i <= 10; ++i) {
    const std::vector<Selector> one{{SelectorKind::tag, std::to_string(i)}};
    CHECK(server.purge("run", "1", one, "4").second == static_cast<std::uint64_t>(i));
  }
  const auto attached = server.attach("run", "2", "1", "0");
  CHECK(attached.clock == 10);
  CHECK(attached.floor == 6);
  REQUIRE(attached.purges.size() == 4);
  CHECK(attached.purges.front().first == 7);
  CHECK(attached.purges.back().first == 10);
  const auto length = server.command({"HLEN", "log"});
  CHECK(length.integer == 4 + 4);
  CHECK(server.attach("run", "2", "1", "8").purges.size() == 2);
}

TEST_CASE("what is purged is pushed") {
  Server server;
  const std::vector<Selector> a{{SelectorKind::tag, "a"}};
  // A connection that has subscribed can do nothing else, so it is a second one to the same server.
  redis::Connection subscriber(server.loop.context, server.redis.tcp(), [](redis::Event, std::string_view) {});
  std::vector<std::string> pushed;
  subscriber.on_message([&](std::string_view, std::string_view payload) { pushed.emplace_back(payload); });
  subscriber.start();
  server.loop.run_until([&] { return subscriber.is_ready(); });
  bool subscribed = false;
  subscriber.send({"SUBSCRIBE", "log"}, 10s, [&](const auto& reply) { subscribed = reply.has_value(); });
  server.loop.run_until([&] { return subscribed; });
  (void)server.purge("run", "9", a);
  (void)server.attach("run", "10", "9", "1");
  server.loop.run_until([&] { return pushed.size() == 3; });
  CHECK(parse_push(pushed[0])->kind == PushMessage::Kind::epoch);
  CHECK(parse_push(pushed[0])->epoch == 9);
  const auto purge = parse_push(pushed[1]);
  REQUIRE(purge);
  CHECK(purge->epoch == 9);
  CHECK(purge->clock == 1);
  CHECK(purge->selectors == a);
  CHECK(purge->node == "node");
  CHECK(purge->made == std::chrono::system_clock::time_point(7ms));
  CHECK(parse_push(pushed[2])->node == "node");
}

TEST_CASE("what was stored anew since it was judged is not removed") {
  Server server;
  server.command({"SET", "dead", "0123456789 old"});
  server.command({"SET", "renewed", "9876543210 new"});
  const auto removed = server.command(
      {"EVAL", remove_script(), "3", "dead", "renewed", "gone", "0123456789", "0123456789", "0123456789"});
  CHECK(removed.integer == 1);
  CHECK(server.command({"EXISTS", "dead"}).integer == 0);
  CHECK(server.command({"GET", "renewed"}).text == "9876543210 new");
}

}  // namespace
}  // namespace larder::proxy
