"""After a write's reply nobody is given the old answer: purges by rule, by RFC 9111 §4.4, by the admin API; races."""

import unittest

from .support.http_message import Disconnected
from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import settings
from .support.raw_client import Connection
from .support.waiting import eventually, in_parallel

RULES = """
types:
  product:   { ttl: 1h }
  search:    { ttl: 1h }
  user:      { ttl: 1h }
  analytics: { ttl: 1h }
routes:
  - match: GET /api/search
    cache: search
  - match: GET /api/users/{id}
    cache: user
    key: "user:profile:{id}"
    tags: ["user:{id}"]
  - match: GET /api/users/{id}/orders
    cache: user
    tags: ["user:{id}", "orders"]
  - match: GET /api/analytics
    cache: analytics
  - match: GET /api/products/**
    cache: product
    tags: ["product"]
  - match: [POST, PUT, PATCH, DELETE] /api/products/{id}
    purge: [ { type: analytics }, { path: /api/products/** }, { key: "cache:search:*" } ]
  - match: [PUT, DELETE] /api/users/{id}
    purge: [ { tag: "user:{id}" } ]
  - match: POST /api/users/{id}/touch
    purge: [ { key: "cache:user:profile:{id}" } ]
  - match: POST /**
    purge: [ { tag: "orders" } ]
"""

TARGETS = ["/api/search?q=a", "/api/users/1", "/api/users/2", "/api/users/1/orders", "/api/analytics",
           "/api/products/1", "/api/products/2/reviews"]


class ByRule(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        self.proxy = self.larder(self.site, rules=RULES)
        for target in TARGETS:
            self.proxy.get(target)
            self.assert_outcome(self.proxy.get(target), "HIT")

    def assert_purged(self, purged):
        outcomes = {target: self.proxy.get(target).cache for target in TARGETS}
        self.assertEqual(outcomes, {target: "MISS" if target in purged else "HIT" for target in TARGETS})

    def test_several_selectors_of_a_rule(self):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with self.subTest(method):
                self.proxy.request(method, "/api/products/7", body="x")
                purged = {"/api/search?q=a", "/api/analytics", "/api/products/1", "/api/products/2/reviews"}
                if method == "POST":
                    purged.add("/api/users/1/orders")  # every matching rule applies
                self.assert_purged(purged)

    def test_tag_of_a_capture(self):
        self.proxy.request("PUT", "/api/users/1", body="x")
        self.assert_purged({"/api/users/1", "/api/users/1/orders"})

    def test_exact_key(self):
        self.proxy.request("POST", "/api/users/2/touch", body="x")
        self.assert_purged({"/api/users/2", "/api/users/1/orders"})

    def test_a_get_purges_nothing(self):
        self.proxy.get("/api/products/7")
        self.assert_purged(set())

    def test_what_a_4xx_did_not_change_stays(self):
        for status in (400, 403, 404, 409, 422):
            self.site.answers("/api/products/7", status=status, method="PUT")
            self.assertEqual(self.proxy.request("PUT", "/api/products/7", body="x").status, status)
        self.assert_purged(set())

    def test_what_any_other_end_may_have_changed_goes(self):
        purged = {"/api/search?q=a", "/api/analytics", "/api/products/1", "/api/products/2/reviews"}
        for status in (200, 201, 204, 302, 303, 500, 503):
            with self.subTest(status):
                self.site.answers("/api/products/7", status=status, method="PUT")
                self.assertEqual(self.proxy.request("PUT", "/api/products/7", body="x").status, status)
                self.assert_purged(purged)

    def test_a_write_that_breaks_purges(self):
        purged = {"/api/search?q=a", "/api/analytics", "/api/products/1", "/api/products/2/reviews"}
        for name, handler in (("reset", lambda exchange: exchange.reset()),
                              ("close", lambda exchange: exchange.close()),
                              ("garbage", lambda exchange: (exchange.send(b"what?\r\n\r\n"), exchange.close()))):
            with self.subTest(name):
                self.site.on("/api/products/7", handler, "PATCH")
                self.assertEqual(self.proxy.request("PATCH", "/api/products/7", body="x").status, 502)
                self.assert_purged(purged)

    def test_a_write_whose_client_left_purges(self):
        gate = self.gate()
        self.site.on("/api/products/7", lambda exchange: (gate.pass_through(), exchange.reply(200)), "PATCH")
        client = self.connect(self.proxy)
        client.send_request("PATCH", "/api/products/7", body="x")
        gate.wait_for_arrivals()
        client.reset()
        gate.open()
        eventually(lambda: self.proxy.get("/api/analytics").cache == "MISS", "the write has purged")

    def test_a_write_that_nobody_could_be_asked_to_do_changes_nothing(self):
        self.site.kill()
        self.assertEqual(self.proxy.request("PATCH", "/api/products/7", body="x").status, 502)
        for target in TARGETS:
            # Whether it purges or not is open: it must not fail, and a purge is the safe side.
            self.assertIn(self.proxy.get(target).cache, ("HIT", "MISS", None))


class SlowWrite(IntegrationCase):
    def test_a_write_that_times_out_purges(self):
        site, gate = self.origin(), self.gate()
        site.numbered("/a")
        site.on("/a", lambda exchange: gate.pass_through(), "PUT")
        proxy = self.larder(site, rules=HOUR_RULES, settings=settings(origin={"read_timeout": "500ms"}))
        proxy.get("/a")
        self.assertEqual(proxy.request("PUT", "/a", body="x").status, 504)
        self.assert_outcome(proxy.get("/a"), "MISS", "2")


class ByRfc(IntegrationCase):
    """RFC 9111 §4.4, with no purge rule at all."""

    def setUp(self):
        self.site = self.origin()
        for path in ("/a", "/b", "/c"):
            self.site.numbered(path)
        self.proxy = self.larder(self.site, rules=HOUR_RULES)
        for target in ("/a", "/a?q=1", "/b", "/c"):
            self.proxy.get(target)

    def test_target_uri(self):
        for method in ("POST", "PUT", "PATCH", "DELETE", "MADEUP"):
            with self.subTest(method):
                self.site.answers("/a", method=method)
                self.proxy.request(method, "/a", body="x")
                self.assert_outcome(self.proxy.get("/a"), "MISS")
                self.assert_outcome(self.proxy.get("/b"), "HIT", "1")
                self.assert_outcome(self.proxy.get("/a"), "HIT")

    def test_location_and_content_location(self):
        self.site.on("/new", lambda exchange: exchange.reply(
            201, {"Location": "/b", "Content-Location": "http://api.example/c"}), "POST")
        self.proxy.request("POST", "/new", body="x")
        self.assert_outcome(self.proxy.get("/b"), "MISS")
        self.assert_outcome(self.proxy.get("/c"), "MISS")
        self.assert_outcome(self.proxy.get("/a"), "HIT")

    def test_another_origins_location_is_none_of_our_business(self):
        self.site.on("/new", lambda exchange: exchange.reply(201, {"Location": "http://other.example/b"}), "POST")
        self.proxy.request("POST", "/new", body="x")
        self.assert_outcome(self.proxy.get("/b"), "HIT")

    def test_errors_change_nothing(self):
        self.site.answers("/a", status=404, method="DELETE")
        self.proxy.request("DELETE", "/a")
        self.assert_outcome(self.proxy.get("/a"), "HIT")

    def test_safe_methods_change_nothing(self):
        for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND"):
            self.site.answers("/a", method=method)
            self.proxy.request(method, "/a")
        self.assert_outcome(self.proxy.get("/a"), "HIT")


class Races(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.state = "old"
        self.site.on("/a", lambda exchange: exchange.reply(200, body=self.state), "GET")
        self.site.on("/a", self.write, "PUT")
        self.proxy = self.larder(self.site, rules=HOUR_RULES)

    def write(self, exchange):
        self.state = exchange.request.body.decode()
        exchange.reply(204)

    def test_a_racing_fill_does_not_bring_the_old_answer_back(self):
        gate = self.gate()

        def handler(exchange):
            body = self.state  # read before the write …
            gate.pass_through()
            exchange.reply(200, body=body)  # … and answered after it

        self.site.on("/a", handler, "GET")
        reader = self.connect(self.proxy)
        reader.send_request("GET", "/a")
        gate.wait_for_arrivals()
        self.assertEqual(self.proxy.request("PUT", "/a", body="new").status, 204)
        gate.open()
        self.assertEqual(reader.read_response().text, "old", "it asked before the write")
        self.assert_outcome(self.proxy.get("/a"), "MISS", "new")
        self.assert_outcome(self.proxy.get("/a"), "HIT", "new")

    def test_who_asks_after_a_write_does_not_join_an_older_fill(self):
        gate = self.gate()
        held = []

        def handler(exchange):
            body = self.state
            if not held:
                held.append(exchange)
                gate.pass_through()
            exchange.reply(200, body=body)

        self.site.on("/a", handler, "GET")
        early = self.connect(self.proxy)
        early.send_request("GET", "/a")
        gate.wait_for_arrivals()
        self.proxy.request("PUT", "/a", body="new")
        self.assertEqual(self.proxy.get("/a").text, "new", "while the old fill is still held")
        gate.open()
        self.assertEqual(early.read_response().text, "old")
        self.assert_outcome(self.proxy.get("/a"), "HIT", "new")

    def test_a_fill_in_the_midst_of_its_body_is_not_stored_either(self):
        gate = self.gate()

        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 6})
            exchange.send(b"old")
            gate.pass_through()
            exchange.send(b"old")

        self.site.on("/a", handler, "GET")
        reader = self.connect(self.proxy)
        reader.send_request("GET", "/a")
        pieces = reader.body_pieces(reader.read_head())
        next(pieces)
        self.site.on("/a", lambda exchange: exchange.reply(200, body=self.state), "GET")
        self.proxy.request("PUT", "/a", body="new")
        gate.open()
        self.assertEqual(b"".join(pieces), b"old")
        self.assert_outcome(self.proxy.get("/a"), "MISS", "new")

    def test_a_revalidation_that_raced_does_not_bring_it_back(self):
        gate = self.gate()
        self.site.on("/a", lambda exchange: exchange.reply(
            200, [("Cache-Control", "max-age=10"), ("Age", "1000"), ("ETag", '"old"')], "old"), "GET")
        self.proxy.get("/a")

        def not_modified(exchange):
            gate.pass_through()
            exchange.reply(304, {"Cache-Control": "max-age=600", "ETag": '"old"'})

        self.site.on("/a", not_modified, "GET")
        reader = self.connect(self.proxy)
        reader.send_request("GET", "/a")
        gate.wait_for_arrivals()
        self.site.on("/a", lambda exchange: exchange.reply(200, body=self.state), "GET")
        self.proxy.request("PUT", "/a", body="new")
        gate.open()
        self.assertEqual(reader.read_response().text, "old")
        self.assertEqual(self.proxy.get("/a").text, "new")

    def test_the_write_is_not_answered_before_the_purge(self):
        """One writer, many readers: nobody reads less than what was acknowledged before his request began."""
        acknowledged = [0]
        self.state = "0"

        def writer(_):
            with Connection(self.proxy.port) as connection:
                for number in range(1, 200):
                    connection.request("PUT", "/a", body=str(number))
                    acknowledged[0] = number

        def reader(_):
            with Connection(self.proxy.port) as connection:
                while acknowledged[0] < 199:
                    floor = acknowledged[0]
                    seen = int(connection.get("/a").text)
                    if seen < floor:
                        raise AssertionError(f"read {seen} after {floor} was acknowledged")

        in_parallel(7, lambda index: writer(index) if index == 0 else reader(index))()
        self.assertEqual(self.proxy.get("/a").text, "199")

    def test_a_purge_by_the_admin_api_kills_a_fill_too(self):
        gate = self.gate()
        self.site.on("/a", lambda exchange: (gate.pass_through(), exchange.reply(200, body="old")), "GET")
        reader = self.connect(self.proxy)
        reader.send_request("GET", "/a")
        gate.wait_for_arrivals()
        self.assertEqual(self.proxy.admin("POST", "/api/cache/clear-all").status, 200)
        gate.open()
        self.assertEqual(reader.read_response().text, "old")
        self.site.answers("/a", "new", method="GET")
        self.assert_outcome(self.proxy.get("/a"), "MISS", "new")

    def test_a_stale_response_that_was_purged_is_not_served_on_error(self):
        self.site.on("/a", lambda exchange: exchange.reply(
            200, [("Cache-Control", "max-age=10, stale-if-error=1000000"), ("Age", "1000")], "old"), "GET")
        self.proxy.get("/a")
        self.proxy.request("PUT", "/a", body="new")
        self.site.on("/a", lambda exchange: exchange.reply(503), "GET")
        self.assertEqual(self.proxy.get("/a").status, 503)

    def test_a_broken_write_with_a_racing_fill(self):
        gate = self.gate()
        self.site.on("/a", lambda exchange: (gate.pass_through(), exchange.reply(200, body="old")), "GET")
        self.site.on("/a", lambda exchange: exchange.reset(), "POST")
        reader = self.connect(self.proxy)
        reader.send_request("GET", "/a")
        gate.wait_for_arrivals()
        try:
            self.assertEqual(self.proxy.request("POST", "/a", body="x").status, 502)
        except Disconnected:
            pass
        gate.open()
        reader.read_response()
        self.site.answers("/a", "new", method="GET")
        self.assertEqual(self.proxy.get("/a").text, "new")


if __name__ == "__main__":
    unittest.main()
