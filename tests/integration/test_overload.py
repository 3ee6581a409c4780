"""More than can be served: what is refused is refused at once and by name, hits go on, and memory stays within its
budgets."""

import os
import threading
import time
import unittest

from .support.http_message import Disconnected
from .support.integration_case import HOUR_RULES, OFF_RULES, IntegrationCase
from .support.larder_process import memory_bound, settings
from .support.raw_client import Connection
from .support.waiting import eventually, in_parallel, settled

MIB = 1 << 20

STALE_RULES = """
types: { page: { ttl: 1s, stale_if_error: 1h } }
routes:
  - match: GET /**
    cache: page
"""


class OverloadCase(IntegrationCase):
    def assert_shed(self, response, limit):
        """A 503 that says which limit it was, and when to come again."""
        self.assertEqual(response.status, 503, response.raw_head)
        self.assertEqual(response.fields.get("Retry-After"), "1")
        self.assertIn(f'details="{limit}"', response.fields.get("Proxy-Status"))
        self.assertIn(limit.encode(), response.body)

    def shed(self, proxy, limit):
        return proxy.stats()["shed"][limit]

    def budget(self, proxy, name):
        return proxy.stats()["budgets"][name]

    def hold_origin(self, **limits):
        """An origin whose /held/* waits for the gate, and a larder with one worker before it."""
        site, gate = self.origin(), self.gate()
        site.on("*", lambda exchange: (gate.pass_through(), exchange.reply(200, body=exchange.request.path)))
        site.answers("/hit", "hit")
        proxy = self.larder(site, rules=limits.pop("rules", HOUR_RULES), workers=1, settings=settings(origin=limits))
        self.assertEqual(proxy.get("/hit").status, 200)
        return site, gate, proxy

    def ask(self, proxy, *targets, fields=()):
        """Sends a request each, on connections of their own."""
        clients = [self.connect(proxy) for _ in targets]
        for client, target in zip(clients, targets):
            client.send_request("GET", target, fields)
        return clients


class OriginQueue(OverloadCase):
    def test_more_than_may_wait_are_refused_at_once_and_hits_go_on(self):
        _, gate, proxy = self.hold_origin(connections="2", queue="3", queue_timeout="1m")
        held = self.ask(proxy, *(f"/held/{n}" for n in range(5)))
        gate.wait_for_arrivals(2)
        # The three that wait are seen by who comes next.
        eventually(lambda: proxy.get("/probe").status == 503, "the queue is full")
        before = self.shed(proxy, "origin_queue")
        for n in range(20):
            started = time.monotonic()
            self.assert_shed(proxy.get(f"/more/{n}"), "origin.queue")
            self.assertLess(time.monotonic() - started, 5)
            self.assert_outcome(proxy.get("/hit"), "HIT", "hit")
        self.assertEqual(self.shed(proxy, "origin_queue"), before + 20)
        self.assertIn("[OVERLOAD] GET /", proxy.log())
        self.assertIn("(origin.queue)", proxy.log())
        gate.open()
        for client, n in zip(held, range(5)):
            self.assertEqual(client.read_response().body, f"/held/{n}".encode())

    def test_who_waits_too_long_is_refused_by_the_name_of_that(self):
        _, gate, proxy = self.hold_origin(connections="1", queue_timeout="200ms")
        held = self.ask(proxy, "/held")
        gate.wait_for_arrivals()
        self.assert_shed(proxy.get("/other"), "origin.queue_timeout")
        self.assertEqual(self.shed(proxy, "origin_queue_timeout"), 1)
        self.assertEqual(proxy.stats()["origin_errors"], 0, "the origin is not to blame")
        gate.open()
        self.assertEqual(held[0].read_response().status, 200)

    def test_those_who_share_a_question_are_told_alike(self):
        site, gate, proxy = self.hold_origin(connections="1", queue="1", queue_timeout="1s")
        held = self.ask(proxy, "/held")
        gate.wait_for_arrivals()
        crowd = self.ask(proxy, *["/shared"] * 10)
        for client in crowd:
            self.assert_shed(client.read_response(), "origin.queue_timeout")
        self.assertEqual(self.shed(proxy, "origin_queue_timeout"), 10)
        gate.open()
        self.assertEqual(held[0].read_response().status, 200)
        self.assertEqual(site.count("/shared"), 0)

    def test_what_is_stale_is_served_instead_where_it_may_be(self):
        site, gate, proxy = self.hold_origin(connections="1", queue="0", rules=STALE_RULES)
        site.numbered("/stale")
        self.assert_outcome(proxy.get("/stale"), "MISS", "1")
        held = self.ask(proxy, "/held")
        gate.wait_for_arrivals()
        response = proxy.get_until("/stale", lambda answer: answer.cache == "STALE", "is stale")
        self.assertEqual(response.body, b"1")
        self.assert_member(response, "Cache-Status", "Larder; hit")
        self.assertIn("detail=origin_queue", response.fields.get("Cache-Status"))
        head = proxy.request("HEAD", "/stale")
        self.assertIn("detail=origin_queue", head.fields.get("Cache-Status"))
        self.assertEqual(self.shed(proxy, "origin_queue"), 0)
        gate.open()
        self.assertEqual(held[0].read_response().status, 200)

    def test_a_write_that_is_refused_did_not_happen(self):
        site, gate, proxy = self.hold_origin(connections="1", queue="0")
        held = self.ask(proxy, "/held")
        gate.wait_for_arrivals()
        self.assert_shed(proxy.request("PUT", "/hit", body=b"new"), "origin.queue")
        self.assert_outcome(proxy.get("/hit"), "HIT", "hit")
        gate.open()
        self.assertEqual(held[0].read_response().status, 200)
        self.assertEqual(site.count("/hit", "PUT"), 0)

    def test_another_server_that_has_room_is_asked(self):
        busy, idle, gate = self.origin(), self.origin(), self.gate()
        for site in (busy, idle):
            site.on("/held", lambda exchange: (gate.pass_through(), exchange.reply(200)))
            site.answers("/", "free")
        proxy = self.larder(busy, idle, rules=OFF_RULES, workers=1,
                            settings=settings(origin={"connections": "1", "queue": "0"}))
        held = self.ask(proxy, "/held")
        gate.wait_for_arrivals()
        for _ in range(4):
            self.assertEqual(proxy.get("/").status, 200)
        gate.open()
        self.assertEqual(held[0].read_response().status, 200)

    def test_the_log_is_not_flooded(self):
        _, gate, proxy = self.hold_origin(connections="1", queue="0")
        held = self.ask(proxy, "/held")
        gate.wait_for_arrivals()
        with Connection(proxy.port) as client:
            for n in range(500):
                self.assertEqual(client.get(f"/{n}").status, 503)
        lines = proxy.log().count("[OVERLOAD]")
        self.assertGreater(lines, 0)
        self.assertLess(lines, 100)
        self.assertEqual(self.shed(proxy, "origin_queue"), 500)
        gate.open()
        self.assertEqual(held[0].read_response().status, 200)


class Fills(OverloadCase):
    def test_more_than_the_budget_is_relayed_whole_and_not_kept(self):
        size, count = 4 * MIB, 24
        bodies = {f"/{n}": os.urandom(size // 64) * 64 for n in range(count)}
        site, gate = self.origin(), self.gate()

        def answer(exchange):
            body = bodies[exchange.request.path]
            chunked = int(exchange.request.path[1:]) % 2
            gate.pass_through()
            if not chunked:
                exchange.reply(200, body=body)
                return
            exchange.send_head(200, {"Transfer-Encoding": "chunked"})
            for at in range(0, size, 100000):
                exchange.chunk(body[at:at + 100000])
            exchange.end_chunks()

        site.on("*", answer)
        proxy = self.larder(site, rules=HOUR_RULES, memory="64MiB",
                            settings=settings(cache={"fill_budget": "8MiB"}))
        before = proxy.rss()
        most = {"rss": 0, "bytes": 0}
        done = threading.Event()

        def watch():
            while not done.wait(0.01):
                most["rss"] = max(most["rss"], proxy.rss())
                most["bytes"] = max(most["bytes"], self.budget(proxy, "cache.fill_budget")["bytes"])

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        # Two each, who begin to read late: nothing may be lost, and nothing may pile up.
        clients = self.ask(proxy, *[target for target in bodies for _ in range(2)])
        gate.wait_for_arrivals(count)
        gate.open()
        read = in_parallel(len(clients), lambda at: clients[at].read_response().body == bodies[f"/{at // 2}"])
        self.assertTrue(all(read()))
        done.set()
        watcher.join()
        self.assertGreater(proxy.stats()["not_stored"]["fill_budget"], 0)
        # A small piece of each beyond it.
        self.assertLessEqual(most["bytes"], 8 * MIB + count * 80 * 1024)
        self.assertLess(most["rss"] - before, memory_bound(64 * MIB + 8 * MIB + count * 2 * MIB))
        eventually(lambda: self.budget(proxy, "cache.fill_budget")["bytes"] == 0, "it is all given back")
        # What there was no room for then is stored when there is.
        missing = next(target for target in bodies if proxy.get(target).cache == "MISS")
        self.assert_outcome(proxy.get(missing), "HIT", bodies[missing])

    def test_a_crowd_still_shares_one_question_when_the_budget_is_used_up(self):
        site, first, second = self.origin(), self.gate(), self.gate()

        def slow(exchange):
            exchange.send_head(200, {"Content-Length": 8 * MIB})
            exchange.send(b"x" * MIB)
            first.pass_through()
            exchange.send(b"x" * (7 * MIB))

        site.on("/large", slow)
        site.on("/crowd", lambda exchange: (second.pass_through(), exchange.reply(200, body=b"y" * 100000)))
        proxy = self.larder(site, rules=HOUR_RULES, settings=settings(cache={"fill_budget": "8MiB"}))
        large = self.ask(proxy, "/large")[0]
        first.wait_for_arrivals()
        eventually(lambda: self.budget(proxy, "cache.fill_budget")["bytes"] >= 8 * MIB, "the budget is used up")
        crowd = self.ask(proxy, *["/crowd"] * 20)
        second.wait_for_arrivals()
        eventually(lambda: proxy.stats()["collapsed"] == 19, "all wait for the same")
        second.open()
        read = in_parallel(20, lambda at: crowd[at].read_response().body)
        self.assertEqual(set(read()), {b"y" * 100000})
        self.assertEqual(site.count("/crowd"), 1)
        first.open()
        self.assertEqual(len(large.read_response().body), 8 * MIB)


class SlowReaders(OverloadCase):
    def test_what_memory_has_let_go_of_is_not_kept_for_ever(self):
        size = 6_000_000  # more than the kernel takes
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body=b"x" * size))
        proxy = self.larder(site, rules=HOUR_RULES, memory="64MiB", workers=1,
                            settings=settings(memory={"outside": "32MiB"}))
        slow = []
        # Each hits something and does not read it; then memory is made to let go of that.
        for n in range(30):
            proxy.get(f"/{n}")
            client = self.connect(proxy, receive_buffer=4096)
            client.send_request("GET", f"/{n}")
            slow.append(client)
            self.assertEqual(proxy.get("/popular").status, 200)
        eventually(lambda: self.shed(proxy, "slow_readers") > 0, "slow readers are cut short")
        eventually(lambda: self.budget(proxy, "memory.outside")["bytes"] <= 16 * MIB, "half of it is free")
        self.assertLess(self.shed(proxy, "slow_readers"), 30)
        self.assertLess(proxy.rss(), memory_bound(200 * MIB))
        for client in slow:
            client.close()
        eventually(lambda: self.budget(proxy, "memory.outside")["bytes"] == 0, "nothing is outside")
        self.assert_outcome(proxy.get("/new"), "MISS")
        self.assert_outcome(proxy.get("/new"), "HIT")


class SlowSenders(OverloadCase):
    def test_unfinished_heads_give_way_to_each_other_and_requests_are_served(self):
        site = self.origin()
        site.answers("/", "ok")
        proxy = self.larder(site, rules=HOUR_RULES, workers=1,
                            settings=settings(client={"buffers": "1MiB", "header_timeout": "1m"}))
        clients = [self.connect(proxy) for _ in range(200)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nX: " + b"y" * 12000)
        eventually(lambda: self.shed(proxy, "unfinished_heads") > 0, "some give way")
        self.assertLessEqual(self.budget(proxy, "client.buffers")["bytes"], MIB)
        for _ in range(10):
            self.assertEqual(proxy.get("/").status, 200)
        first = clients[0].read_response()
        self.assertEqual(first.status, 503)
        self.assertIn(b"client.buffers", first.body)
        # The youngest may still end theirs. That it is the youngest is known only of one that comes when all others are
        # read: of those that come together the server may read any first.
        settled(lambda: self.shed(proxy, "unfinished_heads"))
        youngest = self.connect(proxy)
        youngest.send(b"GET / HTTP/1.1\r\nX: " + b"y" * 12000)
        self.assertEqual(proxy.get("/").status, 200)
        youngest.send(b"\r\nHost: a\r\n\r\n")
        self.assertEqual(youngest.read_response().status, 200)

    def test_bodies_for_which_there_is_no_room_are_refused(self):
        site = self.origin()
        site.answers("/", "taken", method="POST")
        proxy = self.larder(site, rules=HOUR_RULES, workers=1, settings=settings(client={"buffers": "1MiB"}))
        clients = [self.connect(proxy) for _ in range(100)]
        for client in clients:
            client.send_request("POST", "/", {"Content-Length": 60000})
            client.send(b"x" * 30000)
        eventually(lambda: self.shed(proxy, "bodies") + self.shed(proxy, "unfinished_heads") > 0, "some are refused")
        self.assertLessEqual(self.budget(proxy, "client.buffers")["bytes"], MIB)
        refused = 0
        for client in clients:
            try:
                client.send(b"x" * 30000)
                response = client.read_response("POST")
            except (ConnectionError, Disconnected):
                refused += 1  # it closed before all was sent
                continue
            if response.status == 200:
                continue
            # Refused before its body was looked at, or after.
            self.assertEqual(response.status, 503)
            self.assertIn(b"client.buffers", response.body)
            refused += 1
        self.assertGreater(refused, 0)
        self.assertLess(refused, 100)
        self.assertEqual(self.shed(proxy, "client_buffers"), self.shed(proxy, "bodies"))
        eventually(lambda: self.budget(proxy, "client.buffers")["bytes"] == 0, "it is all given back")
        self.assertEqual(proxy.request("POST", "/", body=b"x").status, 200)


class Connections(OverloadCase):
    def test_a_crowd_over_the_limit_takes_no_places(self):
        site = self.origin()
        site.answers("/", "ok")
        proxy = self.larder(site, rules=HOUR_RULES, settings=settings(client={"connections": "5"}))
        held = [self.connect(proxy) for _ in range(5)]
        for client in held:
            self.assertEqual(client.get("/").status, 200)
        crowd = [self.connect(proxy) for _ in range(100)]
        eventually(lambda: self.shed(proxy, "connections") == 100, "all are told so")
        self.assertEqual(proxy.stats()["connections"]["open"], 5)
        response = crowd[0].read_response()
        self.assertEqual((response.status, response.fields.get("Retry-After")), (503, "1"))
        self.assertLess(proxy.log().count("refused with 503"), 100)
        held.pop().close()
        # At once, although the crowd is still there.
        eventually(lambda: proxy.stats()["connections"]["open"] == 4, "there is a place")
        self.assertEqual(proxy.get("/").status, 200)


class RedisWrites(OverloadCase):
    def test_what_waits_for_a_redis_that_does_not_answer_is_bounded(self):
        redis = self.redis()
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body=os.urandom(50000)))
        proxy = self.larder(site, redis=redis, rules=HOUR_RULES, memory="4MiB",
                            settings=settings(redis={"write_budget": "2MiB", "deadline": "50ms"}))
        proxy.wait_for_log("the push channel is up")
        proxy.get("/first")
        redis.wait_for_keys()
        redis.pause()
        try:
            with Connection(proxy.port) as client:
                for n in range(300):
                    self.assertEqual(client.get(f"/{n}").status, 200)
                    self.assertLessEqual(self.budget(proxy, "redis.write_budget")["bytes"], 2 * MIB)
                # The log tells of it in its turn.
                eventually(lambda: client.get(f"/more/{time.monotonic()}").status == 200 and
                           "redis.write_budget" in proxy.log(), "the log says so")
            self.assertGreater(self.shed(proxy, "redis_writes"), 0)
        finally:
            redis.resume()
        eventually(lambda: self.budget(proxy, "redis.write_budget")["bytes"] == 0, "nothing waits any more")

        def written():
            target = f"/again/{time.monotonic()}"
            key = proxy.get(target).fields.get("X-Cache-Key")
            return key and eventually(lambda: redis.command("EXISTS", key), "it is written", deadline=2)

        eventually(lambda: attempt(written), "writes go on")


def attempt(action):
    try:
        return action()
    except AssertionError:
        return None


if __name__ == "__main__":
    unittest.main()
