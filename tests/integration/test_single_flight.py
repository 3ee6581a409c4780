"""N concurrent misses of one key are one origin request; where its answer cannot be stored, nobody waits."""

import threading
import unittest

from .support.http_message import Disconnected
from .support.integration_case import HOUR_RULES, PLAIN_RULES, IntegrationCase
from .support.waiting import DEADLINE, eventually, in_parallel

MANY = 50


class SingleFlight(IntegrationCase):
    def setUp(self):
        self.site = self.origin()

    def ask(self, proxy, count, target="/", fields=()):
        """Sends `count` requests, each over a connection of its own."""
        clients = [self.connect(proxy) for _ in range(count)]
        for client in clients:
            client.send_request("GET", target, fields)
        return clients

    def test_one_origin_request_for_many_clients(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x" * 100000)))
        proxy = self.larder(self.site, rules=HOUR_RULES)
        clients = self.ask(proxy, MANY)
        gate.wait_for_arrivals()
        gate.open()
        for client in clients:
            response = client.read_response()
            self.assertEqual((response.status, response.body), (200, b"x" * 100000))
        self.assertEqual(self.site.count("/"), 1)
        self.assert_outcome(proxy.get("/"), "HIT")

    def test_many_keys_at_once_do_not_wait_for_each_other(self):
        gate = self.gate()
        self.site.on("/held", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        self.site.answers("/other", "y")
        proxy = self.larder(self.site, rules=HOUR_RULES, workers=1)
        self.ask(proxy, 5, "/held")
        gate.wait_for_arrivals()
        self.assert_outcome(proxy.get("/other"), "MISS", "y")

    def test_all_stream_the_answer_as_it_comes(self):
        first, second = self.gate(), self.gate()

        def handler(exchange):
            first.pass_through()
            exchange.send_head(200, {"Content-Length": 6})
            exchange.send(b"abc")
            second.pass_through()
            exchange.send(b"def")

        self.site.on("/", handler)
        proxy = self.larder(self.site, rules=HOUR_RULES)
        clients = self.ask(proxy, MANY)
        first.wait_for_arrivals()
        first.open()
        bodies = []
        for client in clients:
            pieces = client.body_pieces(client.read_head())
            self.assertEqual(next(pieces), b"abc", "before the origin sends the rest")
            bodies.append(pieces)
        late = self.connect(proxy)
        late.send_request("GET", "/")
        pieces = late.body_pieces(late.read_head())
        self.assertEqual(next(pieces), b"abc", "who comes in the midst of it gets it from its beginning")
        bodies.append(pieces)
        second.open()
        for pieces in bodies:
            self.assertEqual(b"".join(pieces), b"def")
        self.assertEqual(self.site.count("/"), 1)

    def check_unstorable(self, fields, rules):
        """The leader is held until all others have come; then those must all be at the origin at the same time."""
        gate, everybody = self.gate(), threading.Barrier(MANY - 1)
        served = []

        def handler(exchange):
            served.append(exchange)
            if len(served) == 1:
                gate.pass_through()
            else:
                everybody.wait(DEADLINE)
            exchange.reply(200, fields, "x")

        self.site.on("/", handler)
        proxy = self.larder(self.site, rules=rules)
        leader = self.ask(proxy, 1)
        gate.wait_for_arrivals()
        followers = self.ask(proxy, MANY - 1)
        gate.open()
        for client in leader + followers:
            self.assertEqual(client.read_response().body, b"x")
        self.assertEqual(self.site.count("/"), MANY)

        # And the next ones do not queue at all.
        together = threading.Barrier(10)
        self.site.on("/", lambda exchange: (together.wait(DEADLINE), exchange.reply(200, fields, "y")))
        for client in self.ask(proxy, 10):
            self.assertEqual(client.read_response().body, b"y")

    def test_not_storable_by_directive(self):
        self.check_unstorable({"Cache-Control": "no-store"}, HOUR_RULES)

    def test_not_storable_for_want_of_a_lifetime(self):
        self.check_unstorable({}, PLAIN_RULES)

    def test_not_storable_because_of_a_cookie(self):
        self.check_unstorable({"Set-Cookie": "a=b"}, HOUR_RULES)

    def lately_unstorable(self):
        """A proxy that has been told not to store `/`, and knows it."""
        self.site.answers("/", "old", {"Cache-Control": "no-store"})
        proxy = self.larder(self.site, rules=HOUR_RULES)
        for _ in range(2):
            response = proxy.get("/")
            self.assert_outcome(response, "MISS", "old")
            self.assertIn("detail=no_store", response.fields.get("Cache-Status"))
        return proxy

    def test_what_proves_storable_after_all_is_stored_at_once(self):
        proxy = self.lately_unstorable()
        self.site.answers("/", "new", {"Cache-Control": "max-age=60"})
        response = proxy.get("/")
        self.assert_outcome(response, "MISS", "new")
        self.assertIn("; stored", response.fields.get("Cache-Status"))
        self.assert_outcome(proxy.get("/"), "HIT", "new")

    def test_what_proves_storable_after_all_is_not_stored_across_a_write(self):
        proxy = self.lately_unstorable()
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, {}, "before")), "GET")
        self.site.answers("/", "", {}, 204, "PUT")
        reader = self.ask(proxy, 1)[0]
        gate.wait_for_arrivals()
        self.assertEqual(proxy.request("PUT", "/", body=b"x").status, 204)
        gate.open()
        self.assertEqual(reader.read_response().body, b"before")
        self.site.answers("/", "after", method="GET")
        self.assert_outcome(proxy.get("/"), "MISS", "after")

    def test_what_is_lately_unstorable_meets_a_failing_origin(self):
        proxy = self.lately_unstorable()
        self.site.on("/", lambda exchange: exchange.reset())
        response = proxy.get("/")
        self.assertEqual(response.status, 502)
        self.assertEqual(response.cache, "MISS")

    def test_followers_are_let_go_before_the_leaders_body_ends(self):
        gate = self.gate()
        served = []

        def handler(exchange):
            served.append(exchange)
            if len(served) == 1:
                exchange.send_head(200, {"Content-Length": 6, "Cache-Control": "no-store"})
                exchange.send(b"abc")
                gate.pass_through()
                exchange.send(b"def")
            else:
                exchange.reply(200, {"Cache-Control": "no-store"}, "other")

        self.site.on("/", handler)
        proxy = self.larder(self.site, rules=HOUR_RULES)
        leader = self.ask(proxy, 1)[0]
        self.assertEqual(leader.read_head().status, 200)
        for client in self.ask(proxy, 5):
            self.assertEqual(client.read_response().body, b"other")

    def test_the_leaders_client_may_leave(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        proxy = self.larder(self.site, rules=HOUR_RULES)
        leader = self.ask(proxy, 1)[0]
        gate.wait_for_arrivals()
        followers = self.ask(proxy, 10)
        leader.reset()
        gate.open()
        for client in followers:
            self.assertEqual(client.read_response().body, b"x")
        self.assertLessEqual(self.site.count("/"), 2)

    def test_a_fill_that_breaks_breaks_for_all_and_is_forgotten(self):
        gate = self.gate()

        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 6})
            exchange.send(b"abc")
            gate.pass_through()
            exchange.reset()

        self.site.on("/", handler)
        proxy = self.larder(self.site, rules=HOUR_RULES)
        clients = self.ask(proxy, 10)
        for client in clients:
            self.assertEqual(client.read_head().status, 200)
        gate.open()
        for client in clients:
            with self.assertRaises((Disconnected, ConnectionError)):
                client.reader.exactly(6)
        self.site.answers("/", "whole")
        self.assert_outcome(proxy.get("/"), "MISS", "whole")

    def test_a_fill_without_an_answer_fails_for_all_in_time(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reset()))
        proxy = self.larder(self.site, rules=HOUR_RULES)
        clients = self.ask(proxy, 10)
        gate.wait_for_arrivals()
        gate.open()
        for client in clients:
            self.assertEqual(client.read_response().status, 502)

    def test_a_slow_follower_does_not_hold_up_the_others(self):
        gate = self.gate()
        body = b"x" * (6 << 20)
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body=body)))
        proxy = self.larder(self.site, rules=HOUR_RULES, workers=1)
        slow = self.connect(proxy, receive_buffer=16 << 10)
        slow.send_request("GET", "/")
        gate.wait_for_arrivals()
        clients = self.ask(proxy, 3)
        gate.open()
        for client in clients:
            self.assertEqual(client.read_response().body, body)
        self.assertEqual(slow.read_response().body, body)
        self.assertEqual(self.site.count("/"), 1)

    def test_head_requests_join_without_harm(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="12345")))
        proxy = self.larder(self.site, rules=HOUR_RULES)
        getter = self.ask(proxy, 1)[0]
        gate.wait_for_arrivals()
        header = self.connect(proxy)
        header.send_request("HEAD", "/")
        gate.open()
        self.assertEqual(getter.read_response().body, b"12345")
        response = header.read_response("HEAD")
        self.assertEqual((response.fields.get("Content-Length"), response.body), ("5", b""))

    def test_ranges_and_conditions_of_followers_are_their_own(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, {"ETag": '"v"'}, "0123456789")))
        proxy = self.larder(self.site, rules=HOUR_RULES)
        getter = self.ask(proxy, 1)[0]
        gate.wait_for_arrivals()
        conditional = self.ask(proxy, 1, fields={"If-None-Match": '"v"'})[0]
        gate.open()
        self.assertEqual(getter.read_response().body, b"0123456789")
        self.assertIn(conditional.read_response().status, (200, 304))
        self.assertEqual(proxy.get("/").body, b"0123456789")

    def test_counters_tell_of_it(self):
        gate = self.gate()
        self.site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        proxy = self.larder(self.site, rules=HOUR_RULES)
        clients = self.ask(proxy, 10)
        gate.wait_for_arrivals()
        gate.open()
        collapsed = sum("collapsed" in client.read_response().fields.get("Cache-Status", "") for client in clients)
        # A client whose request came after the answer has a plain hit.
        self.assertGreaterEqual(9, collapsed)

    def test_storm_of_hits_and_misses(self):
        """Many clients, few keys, short lives: every answer is whole and one that the origin has given."""
        self.site.on("*", lambda exchange: exchange.reply(
            200, {"Cache-Control": "max-age=1"}, exchange.request.target.encode() * 2000))
        proxy = self.larder(self.site, rules=PLAIN_RULES)

        def client(index):
            with proxy.connect() as connection:
                for turn in range(60):
                    target = f"/{(index + turn) % 7}"
                    response = connection.get(target)
                    if response.status != 200 or response.body != target.encode() * 2000:
                        raise AssertionError(f"{target}: {response.status} {response.body[:100]!r}")

        in_parallel(20, client)()
        eventually(lambda: proxy.stats()["hits"] > 0, "hits are counted")


if __name__ == "__main__":
    unittest.main()
