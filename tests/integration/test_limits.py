"""Bounds for everything a client or an origin can make big or slow."""

import time
import unittest

from .support.http_message import Disconnected
from .support.integration_case import HOUR_RULES, PLAIN_RULES, IntegrationCase
from .support.larder_process import settings
from .support.raw_client import Connection
from .support.waiting import eventually


class HeadSize(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.answers("/", "ok", {"Cache-Control": "no-store"})

    def test_defaults(self):
        proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.assertEqual(proxy.get("/", {"X": "y" * (60 << 10)}).status, 200)
        self.assertEqual(proxy.get("/", [(f"X-{n}", "y") for n in range(95)]).status, 200)
        for fields in ({"X": "y" * (65 << 10)}, [(f"X-{n}", "y") for n in range(120)]):
            client = self.connect(proxy)
            response = client.get("/", fields)
            self.assertEqual(response.status, 431)
            self.assertTrue(client.is_closed_by_peer())
        self.assertEqual(self.site.count(), 2)

    def test_an_endless_head_is_not_read_to_its_end(self):
        proxy = self.larder(self.site, rules=PLAIN_RULES)
        for start in (b"GET / HTTP/1.1\r\nX: ", b"GET /", b"G"):
            with self.subTest(start):
                client = self.connect(proxy)
                client.send(start)
                with self.assertRaises(ConnectionError):
                    for _ in range(1000):
                        client.send(b"y" * 65536)
                # What Larder said before it closed may have been lost with the reset.

    def test_configured(self):
        proxy = self.larder(self.site, rules=PLAIN_RULES,
                            settings=settings(client={"head_size": "2KiB", "fields": "10"}))
        self.assertEqual(proxy.get("/", {"X": "y" * 1500}).status, 200)
        self.assertEqual(proxy.get("/", {"X": "y" * 2500}).status, 431)
        self.assertEqual(proxy.get("/", [(f"X-{n}", "y") for n in range(8)]).status, 200)
        self.assertEqual(proxy.get("/", [(f"X-{n}", "y") for n in range(12)]).status, 431)

    def test_too_many_trailers(self):
        proxy = self.larder(self.site, rules=PLAIN_RULES)
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Transfer-Encoding": "chunked"})
        client.send(b"0\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
        self.assertIn(client.read_response("POST").status, (400, 431))
        self.assertTrue(client.is_closed_by_peer())


class Slowness(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.answers("/", "ok", {"Cache-Control": "no-store"})

    def proxy_with(self, **client):
        return self.larder(self.site, rules=PLAIN_RULES, settings=settings(client=client))

    def test_a_head_that_does_not_end_in_time(self):
        proxy = self.proxy_with(header_timeout="500ms")
        client = self.connect(proxy)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        self.assertEqual(client.read_response().status, 408)
        self.assertTrue(client.is_closed_by_peer())
        self.assertEqual(self.site.count(), 0)

    def test_a_head_that_trickles(self):
        proxy = self.proxy_with(header_timeout="1s")
        client = self.connect(proxy)
        started = time.monotonic()
        try:
            while time.monotonic() - started < 15:
                client.send(b"G")
                client.sock.settimeout(0.1)
                try:
                    client.reader.fill()
                    break
                except TimeoutError:
                    pass
        except ConnectionError:
            pass
        self.assertLess(time.monotonic() - started, 10, "each byte must not begin the time anew")

    def test_an_idle_connection_is_closed(self):
        proxy = self.proxy_with(idle_timeout="500ms")
        fresh = self.connect(proxy)
        self.assertTrue(fresh.is_closed_by_peer(), "without an answer: nothing was asked")
        used = self.connect(proxy)
        self.assertEqual(used.get("/").status, 200)
        self.assertTrue(used.is_closed_by_peer())

    def test_a_body_that_stops(self):
        proxy = self.proxy_with(io_timeout="500ms")
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Content-Length": 100})
        client.send(b"x")
        self.assertEqual(client.read_response("POST").status, 408)
        self.assertTrue(client.is_closed_by_peer())
        self.assertFalse(any(request.complete for request in self.site.requests))

    def test_a_body_that_trickles(self):
        proxy = self.proxy_with(body_rate="10KiB", body_rate_grace="500ms")
        client = self.connect(proxy)
        client.send_request("POST", "/", {"Content-Length": 1000000})
        client.sock.settimeout(0.05)
        answered = False
        started = time.monotonic()
        try:
            while not answered and time.monotonic() - started < 15:
                client.send(b"x")
                try:
                    answered = client.reader.fill()
                except TimeoutError:
                    pass
        except ConnectionError:
            answered = True
        self.assertTrue(answered, "it may go on for ever")

    def test_a_reader_that_stops(self):
        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 100 << 20, "Cache-Control": "no-store"})
            exchange.send(b"x" * (100 << 20))

        self.site.on("/large", handler)
        proxy = self.proxy_with(io_timeout="500ms")
        client = self.connect(proxy, receive_buffer=16 << 10)
        client.send_request("GET", "/large")
        client.read_head()
        eventually(lambda: self.site.open_connections == 0, "the origin's connection is given back")
        with self.assertRaises((Disconnected, ConnectionError)):
            client.reader.exactly(100 << 20)


class Connections(IntegrationCase):
    def test_more_than_the_limit_are_told_so(self):
        site = self.origin()
        site.answers("/", "ok", {"Cache-Control": "no-store"})
        proxy = self.larder(site, rules=PLAIN_RULES, settings=settings(client={"connections": "5"}))
        held = [self.connect(proxy) for _ in range(5)]
        for client in held:
            self.assertEqual(client.get("/").status, 200)
        extra = self.connect(proxy)
        extra.send_request("GET", "/")
        self.assertEqual(extra.read_response().status, 503)
        self.assertTrue(extra.is_closed_by_peer())
        held[0].close()

        def accepted():
            with Connection(proxy.port) as client:
                try:
                    return client.get("/").status == 200
                except (Disconnected, ConnectionError):
                    return False

        eventually(accepted, "a place is free again")
        self.assertEqual(held[1].get("/").status, 200)

    def test_the_admin_api_answers_when_all_client_connections_are_taken(self):
        proxy = self.larder(self.origin(), settings=settings(client={"connections": "2"}))
        for _ in range(4):
            self.connect(proxy)
        self.assertEqual(proxy.admin("GET", "/health").status, 200)

    def test_requests_over_the_origins_connections_wait_and_then_fail(self):
        site, gate = self.origin(), self.gate()
        site.on("/held", lambda exchange: (gate.pass_through(), exchange.reply(200, body="late")))
        proxy = self.larder(site, rules="routes: []", workers=1,
                            settings=settings(origin={"connections": "2", "queue_timeout": "300ms"}))
        held = [self.connect(proxy) for _ in range(2)]
        for client in held:
            client.send_request("GET", "/held")
        gate.wait_for_arrivals(2)
        self.assertEqual(proxy.get("/held").status, 503)
        gate.open()
        for client in held:
            self.assertEqual(client.read_response().body, b"late")


class ObjectSize(IntegrationCase):
    def test_larger_objects_pass_through_unstored(self):
        site = self.origin()
        for size in (1000, 1024, 1025, 100000):
            site.answers(f"/{size}", b"x" * size)

        def chunked(exchange):
            exchange.send_head(200, {"Transfer-Encoding": "chunked"})
            for _ in range(100):
                exchange.chunk(b"x" * 1000)
            exchange.end_chunks()

        site.on("/chunked", chunked)
        proxy = self.larder(site, rules=HOUR_RULES, settings=settings(cache={"max_object": "1KiB"}))
        for size, second in ((1000, "HIT"), (1024, "HIT"), (1025, "MISS"), (100000, "MISS")):
            with self.subTest(size):
                self.assert_outcome(proxy.get(f"/{size}"), "MISS", b"x" * size)
                self.assert_outcome(proxy.get(f"/{size}"), second, b"x" * size)
        for _ in range(2):
            self.assert_outcome(proxy.get("/chunked"), "MISS", b"x" * 100000)

    def test_memory_is_a_budget(self):
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body=b"x" * 10000))
        proxy = self.larder(site, rules=HOUR_RULES, memory="1MiB")
        for number in range(400):
            proxy.get(f"/{number}")
        keys = proxy.admin("GET", "/api/cache/keys?limit=1000").json["keys"]
        self.assertGreater(len(keys), 50)
        self.assertLess(len(keys), 110, "1 MiB holds no more than that")

    def test_memory_off_stores_nothing(self):
        site = self.origin()
        site.numbered("/")
        proxy = self.larder(site, rules=HOUR_RULES, memory="off")
        self.assert_outcome(proxy.get("/"), "MISS", "1")
        self.assert_outcome(proxy.get("/"), "MISS", "2")


if __name__ == "__main__":
    unittest.main()
