#include "larder/proxy/value_scripts.hpp"

#include <doctest/doctest.h>
#include <span>
#include <string>
#include <vector>

#include "larder/proxy/purge_scripts.hpp"
#include "larder/redis/connection.hpp"

#include "../net/loopback.hpp"
#include "../redis/redis_server.hpp"

namespace larder::proxy {
namespace {

using namespace std::chrono_literals;
using Outcome = ChangeOutcome;

TEST_CASE("namespaces of keys") {
  CHECK(namespace_of("session:42") == "session");
  CHECK(namespace_of("a:b:c") == "a");
  CHECK(namespace_of("plain").empty());
  CHECK(namespace_of(":x").empty());
  CHECK(namespace_of("").empty());
}

TEST_CASE("records") {
  const auto read = read_value_record(R"({"epoch":"18446744073709551615","version":12,"value":{"a":"}"}})");
  REQUIRE(read);
  CHECK(read->epoch == 18446744073709551615ULL);
  CHECK(read->version == 12);
  CHECK(read->text == R"({"a":"}"})");
  CHECK(read->beginning == R"({"epoch":"18446744073709551615","version":12,"value":)");
  CHECK(read_value_record(R"({"epoch":"1","version":2,"value":[1,2)")->text.empty());
  for (const char* bad :
       {"", "{", "text", R"({"epoch":"","version":2,"value":1})", R"({"epoch":"1","version":,"value":1})",
        R"({"epoch":1,"version":2,"value":1})", R"({"epoch":"99999999999999999999","version":2,"value":1})",
        R"({"epoch":"1","version":2)", R"( {"epoch":"1","version":2,"value":1})"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(read_value_record(bad));
  }
}

redis::Reply text(std::string value) {
  redis::Reply reply;
  reply.kind = redis::Reply::Kind::string;
  reply.text = std::move(value);
  return reply;
}
redis::Reply array(std::vector<redis::Reply> elements) {
  redis::Reply reply;
  reply.kind = redis::Reply::Kind::array;
  reply.elements = std::move(elements);
  return reply;
}

TEST_CASE("replies that cannot be are failures") {
  CHECK(parse_change(array({text("7"), text("12"), text("stored"), text("99")})).outcome == Outcome::stored);
  CHECK(parse_change(array({text("late"), text("99")})).outcome == Outcome::late);
  CHECK(parse_change(array({text("late"), text("99")})).time == 99);
  for (const auto& bad : {text("7"), array({}), array({text("7")}), array({text("7"), text("12")}),
                          array({text("stored"), text("99")}), array({text("7"), text("12"), text("late"), text("99")}),
                          array({text("x"), text("12"), text("stored"), text("99")}),
                          array({text("7"), text("x"), text("stored"), text("99")}),
                          array({text("7"), text("12"), text("x"), text("99")})}) {
    CHECK(parse_change(bad).outcome == Outcome::failed);
  }
  for (const auto& bad : {text("granted"), array({}), array({text("granted")}), array({text("x"), text("y")})}) {
    CHECK(parse_lease(bad).kind == LeaseReply::Kind::failed);
  }
}

// The scripts, run by a real Redis.
struct Server {
  Server() : connection(loop.context, redis.tcp(), [](redis::Event, std::string_view) {}) {
    connection.start();
    loop.run_until([&] { return connection.is_ready(); });
  }
  redis::Reply command(const std::vector<std::string>& arguments) {
    auto reply = loop.run(ask({arguments.begin(), arguments.end()}));
    REQUIRE(reply.has_value());
    CAPTURE(reply->text);
    REQUIRE_FALSE(reply->is_error());
    return std::move(*reply);
  }
  net::Awaitable<boost::system::result<redis::Reply>> ask(std::vector<std::string_view> arguments) {
    co_return co_await connection.command(std::move(arguments), 10s);
  }
  ChangeReply change(const ValueChange& order, std::string_view node = "a", std::string_view run = "run") {
    return parse_change(command(change_command(names, order, node, run, "5")));
  }
  ChangeReply set(std::string_view key, std::string_view value, std::string_view node = "a") {
    ValueChange order;
    order.key = key;
    order.text = value;
    order.ttl = 60s;
    return change(order, node);
  }
  ChangeReply simply(ValueChange::Kind kind, std::string_view key, std::string_view lease = {}) {
    ValueChange order;
    order.kind = kind;
    order.key = key;
    order.lease = lease;
    return change(order);
  }
  LeaseReply lease(std::string_view key, std::chrono::milliseconds duration = 60s) {
    return parse_lease(command(lease_command(names, key, "run", duration, "t" + std::to_string(++tokens))));
  }
  std::string stored(std::string_view key) { return command({"GET", names.value(key)}).text; }

  ValueNames names{"kv"};
  int tokens = 0;
  net::test::Loop loop;
  redis::test::RedisServer redis;
  redis::Connection connection;
};

TEST_CASE("changes on a real Redis") {
  Server server;
  using Kind = ValueChange::Kind;
  const auto first = server.set("s:k", "{\"a\":1}");
  CHECK(first.outcome == Outcome::stored);
  CHECK(first.epoch == 5);
  CHECK(first.clock == 1);
  CHECK(first.time > 1600000000000000);
  CHECK(server.stored("s:k") == R"({"epoch":"5","version":1,"value":{"a":1}})");
  CHECK(server.command({"PTTL", "kv:s:k"}).integer > 59000);
  CHECK(server.simply(Kind::clear, "s:k").outcome == Outcome::cleared);
  CHECK(server.simply(Kind::clear, "s:k").outcome == Outcome::absent);

  // Flushed values are no values, those stored behind the flush are.
  (void)server.set("s:k", "1");
  (void)server.set("other", "1");
  const auto flush = server.simply(Kind::flush, "s");
  CHECK(flush.outcome == Outcome::flushed);
  CHECK(server.command({"HGET", "kv-log", "flush:s"}).text == std::to_string(flush.clock));
  CHECK(server.simply(Kind::clear, "s:k").outcome == Outcome::absent);
  CHECK(server.simply(Kind::clear, "other").outcome == Outcome::cleared);
  (void)server.set("s:k", "1");
  CHECK(server.simply(Kind::clear, "s:k").outcome == Outcome::cleared);
  (void)server.set("other", "1");
  (void)server.simply(Kind::flush, "");
  CHECK(server.simply(Kind::clear, "other").outcome == Outcome::absent);

  // What each change was is in the log, and who made it.
  const auto payload = server.command({"HGET", "kv-log", "1"}).text;
  const auto selectors = decode_payload(payload);
  REQUIRE(selectors);
  CHECK(*selectors == std::vector<policy::Selector>{{policy::SelectorKind::key, "s:k"}, node_mark("a")});

  // Another run of Redis: what is there is of another epoch.
  ValueChange order;
  order.kind = Kind::clear;
  order.key = "s:k";
  (void)server.set("s:k", "1");
  const auto other = parse_change(server.command(change_command(server.names, order, "a", "run2", "6")));
  CHECK(other.epoch == 6);
  CHECK(other.clock == 1);
  CHECK(other.outcome == Outcome::absent);
}

TEST_CASE("a change that comes late is not carried out") {
  Server server;
  const auto now = server.set("k", "1").time;
  ValueChange order;
  order.key = "k";
  order.text = "2";
  order.ttl = 60s;
  order.not_after = now;
  CHECK(server.change(order).outcome == Outcome::late);
  CHECK(server.stored("k") == R"({"epoch":"5","version":1,"value":1})");
  order.not_after = now + 60000000;
  CHECK(server.change(order).outcome == Outcome::stored);
}

TEST_CASE("a change on a base: stored unless another node has changed the key since") {
  using Kind = ValueChange::Kind;
  const struct {
    const char* what;
    void (*between)(Server&);
    Outcome outcome;
  } table[] = {{"nothing", [](Server&) {}, Outcome::stored},
               {"another key", [](Server& s) { (void)s.set("s:other", "9", "b"); }, Outcome::stored},
               {"another namespace", [](Server& s) { (void)s.simply(Kind::flush, "t"); }, Outcome::stored},
               {"our own", [](Server& s) { (void)s.set("s:k", "9", "a"); }, Outcome::stored},
               {"set elsewhere", [](Server& s) { (void)s.set("s:k", "9", "b"); }, Outcome::conflict},
               {"set elsewhere, then here",
                [](Server& s) { (void)s.set("s:k", "9", "b"), (void)s.set("s:k", "9", "a"); }, Outcome::conflict},
               {"cleared elsewhere",
                [](Server& s) {
                  ValueChange order;
                  order.kind = Kind::clear;
                  order.key = "s:k";
                  (void)s.change(order, "b");
                },
                Outcome::conflict},
               {"namespace flushed elsewhere",
                [](Server& s) {
                  ValueChange order;
                  order.kind = Kind::flush;
                  order.key = "s";
                  (void)s.change(order, "b");
                },
                Outcome::conflict},
               {"all flushed elsewhere",
                [](Server& s) {
                  ValueChange order;
                  order.kind = Kind::flush;
                  (void)s.change(order, "b");
                },
                Outcome::conflict},
               {"the log has forgotten",
                [](Server& s) {
                  (void)s.command({"HSET", "kv-log", "floor", "2"});
                },
                Outcome::conflict},
               {"a hole in the log",
                [](Server& s) {
                  (void)s.set("s:x", "1", "b");
                  (void)s.command({"HDEL", "kv-log", "2"});
                },
                Outcome::conflict}};
  for (const auto& row : table) {
    CAPTURE(std::string(row.what));
    Server server;
    const auto base = server.set("s:k", "1");
    row.between(server);
    ValueChange order;
    order.key = "s:k";
    order.text = "2";
    order.ttl = 60s;
    order.base_clock = base.clock;
    order.base_epoch = base.epoch;
    const auto before = server.command({"GET", "kv:s:k"}).text;
    order.kind = ValueChange::Kind::offer;
    CHECK(server.change(order).outcome == row.outcome);
    if (row.outcome == Outcome::conflict) CHECK(server.command({"GET", "kv:s:k"}).text == before);
    order.kind = ValueChange::Kind::set;
    CHECK(server.change(order).outcome == row.outcome);
    const auto after = server.command({"EXISTS", "kv:s:k"}).integer;
    CHECK(after == (row.outcome == Outcome::stored ? 1 : 0));
    order.base_epoch = 4;
    CHECK(server.change(order).outcome == Outcome::conflict);
  }
}

TEST_CASE("leases on a real Redis") {
  using Kind = ValueChange::Kind;
  Server server;
  CHECK(server.lease("s:k").kind == LeaseReply::Kind::failed);  // no log yet
  (void)server.set("s:k", "1");
  CHECK(server.lease("s:k").kind == LeaseReply::Kind::present);
  (void)server.simply(Kind::clear, "s:k");
  const auto with_lease = [&](const std::string& token) {
    ValueChange order;
    order.key = "s:k";
    order.text = "2";
    order.ttl = 60s;
    order.lease = token;
    return server.change(order).outcome;
  };
  const auto first = server.lease("s:k");
  REQUIRE(first.kind == LeaseReply::Kind::granted);
  const auto second = server.lease("s:k");
  CHECK(second.kind == LeaseReply::Kind::held);
  CHECK(second.left > 59s);
  CHECK(with_lease("5-2-other") == Outcome::lease_lost);
  CHECK(with_lease(first.token) == Outcome::stored);
  CHECK(with_lease(first.token) == Outcome::lease_lost);

  for (const auto kind : {Kind::clear, Kind::set, Kind::release}) {
    (void)server.simply(Kind::clear, "s:k");
    const auto lease = server.lease("s:k");
    REQUIRE(lease.kind == LeaseReply::Kind::granted);
    if (kind == Kind::set) {
      (void)server.set("s:k", "9");
    } else {
      (void)server.simply(kind, "s:k", kind == Kind::release ? lease.token : std::string{});
    }
    CHECK(with_lease(lease.token) == Outcome::lease_lost);
  }
  for (const char* space : {"s", ""}) {
    (void)server.simply(Kind::clear, "s:k");
    const auto lease = server.lease("s:k");
    REQUIRE(lease.kind == LeaseReply::Kind::granted);
    (void)server.simply(Kind::flush, space);
    CHECK(with_lease(lease.token) == Outcome::lease_lost);
  }
  // It ends with its time.
  (void)server.simply(Kind::clear, "s:k");
  const auto brief = server.lease("s:k", 1ms);
  REQUIRE(brief.kind == LeaseReply::Kind::granted);
  server.loop.run_until([&] { return server.command({"EXISTS", "kv-lease:s:k"}).integer == 0; });
  CHECK(with_lease(brief.token) == Outcome::lease_lost);
  CHECK(server.lease("s:k").kind == LeaseReply::Kind::granted);
}

}  // namespace
}  // namespace larder::proxy
