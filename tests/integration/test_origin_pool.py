"""Several origin servers: round robin, failover, and clear answers where none is left."""

import threading
import time
import unittest
from collections import Counter

from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.larder_process import settings
from .support.origin import BlackHole, unused_port
from .support.raw_client import Connection
from .support.waiting import DEADLINE

NO_STORE = {"Cache-Control": "no-store"}


class Pool(IntegrationCase):
    def two(self, **options):
        """Two origins that tell their names, and a larder before them."""
        self.sites = [self.origin(), self.origin()]
        for name, site in zip("ab", self.sites):
            site.answers("/who", name, NO_STORE)
        return self.larder(*self.sites, rules=PLAIN_RULES, workers=1, **options)

    def test_round_robin(self):
        proxy = self.two()
        self.assertEqual(Counter(proxy.get("/who").text for _ in range(20)), {"a": 10, "b": 10})

    def test_a_server_that_refuses_is_passed_over(self):
        proxy = self.two()
        self.sites[0].kill()
        self.assertEqual(Counter(proxy.get("/who").text for _ in range(20)), {"b": 20})
        self.sites[0].listen()
        proxy.get_until("/who", lambda response: response.text == "a", "is answered by the first server again")

    def test_the_first_server_is_never_there(self):
        site = self.origin()
        site.answers("/who", "b", NO_STORE)
        proxy = self.larder(f"http://127.0.0.1:{unused_port()}", site, rules=PLAIN_RULES)
        for _ in range(10):
            self.assertEqual(proxy.get("/who").text, "b")

    def test_idempotent_requests_that_fail_before_an_answer_are_retried(self):
        proxy = self.two()
        for breaks in ("reset", "close"):
            for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
                with self.subTest(breaks=breaks, method=method):
                    path = f"/{breaks}/{method}"
                    self.sites[0].on(path, lambda exchange, how=breaks: getattr(exchange, how)())
                    self.sites[1].on(path, lambda exchange: exchange.reply(200, NO_STORE, exchange.request.body))
                    for _ in range(2):  # whichever server comes first
                        response = proxy.request(method, path, body=b"same" if method == "PUT" else None)
                        self.assertEqual(response.status, 200)
                        self.assertEqual(response.body, b"same" if method == "PUT" else b"")

    def test_a_post_is_sent_once(self):
        proxy = self.two()
        for breaks in ("reset", "close"):
            with self.subTest(breaks):
                path = f"/{breaks}"
                for site in self.sites:
                    site.on(path, lambda exchange, how=breaks: getattr(exchange, how)())
                self.assertEqual(proxy.request("POST", path, body="x").status, 502)
                self.assertEqual(sum(site.count(path) for site in self.sites), 1)

    def test_an_answer_that_has_begun_is_not_asked_for_again(self):
        proxy = self.two()

        def half(exchange):
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
            exchange.close()

        for site in self.sites:
            site.on("/half", half)
        self.assertEqual(proxy.get("/half").status, 502)

    def test_kept_connections_that_the_origin_closed_do_no_harm(self):
        proxy = self.two()
        closed = threading.Semaphore(0)
        for site in self.sites:
            site.on("/once", lambda exchange: (exchange.reply(200, NO_STORE, "x"), exchange.close(), closed.release()))
        for method in ("GET", "POST") * 10:
            self.assertEqual(proxy.request(method, "/once", body="b" if method == "POST" else None).status, 200)
            # A POST that meets the closing on its way must not be sent twice: that is another test's.
            self.assertTrue(closed.acquire(timeout=DEADLINE))
        for site in self.sites:
            site.answers("/who", "x", NO_STORE)
        for _ in range(5):
            self.assertEqual(proxy.get("/who").status, 200)
            for site in self.sites:
                site.drop_connections()
        self.assertEqual(proxy.get("/who").status, 200)

    def test_origin_given_by_name(self):
        site = self.origin()
        site.answers("/who", "x", NO_STORE)
        proxy = self.larder(f"http://localhost:{site.port}", rules=PLAIN_RULES)
        self.assertEqual(proxy.get("/who").status, 200)


class Failure(IntegrationCase):
    def assert_clear(self, response, status):
        self.assertEqual(response.status, status)
        self.assertTrue(response.body.strip(), "the body says what happened")
        self.assertTrue(response.fields.has("Content-Type"))
        self.assertIn("no-store", response.fields.members("Cache-Control"))

    def test_gone(self):
        site = self.origin()
        proxy = self.larder(site, rules=PLAIN_RULES)
        site.kill()
        beginning = proxy.log_size()
        self.assert_clear(proxy.get("/"), 502)
        proxy.wait_for_log(rf"(?i)127\.0\.0\.1:{site.port}.*refused|refused.*127\.0\.0\.1:{site.port}", beginning)
        self.assert_clear(proxy.request("POST", "/", body="x"), 502)
        site.listen()
        site.answers("/", "back", NO_STORE)
        proxy.get_until("/", lambda response: response.status == 200, "is answered when the origin is back")

    def test_slow_to_answer(self):
        site, gate = self.origin(), self.gate()
        site.on("/", lambda exchange: gate.pass_through())
        proxy = self.larder(site, rules=PLAIN_RULES, settings=settings(origin={"read_timeout": "500ms"}))
        started = time.monotonic()
        beginning = proxy.log_size()
        self.assert_clear(proxy.get("/"), 504)
        self.assertLess(time.monotonic() - started, 10)
        proxy.wait_for_log(r"(?i)time", beginning)
        self.assert_clear(proxy.request("POST", "/", body="x"), 504)
        self.assertEqual(site.count("/", "POST"), 1)

    def test_slow_to_connect(self):
        hole = BlackHole()
        self.addCleanup(hole.close)
        proxy = self.larder(hole.url, rules=PLAIN_RULES, settings=settings(origin={"connect_timeout": "300ms"}))
        self.assert_clear(proxy.get("/"), 504)

    def test_slow_to_connect_with_another_server(self):
        hole, site = BlackHole(), self.origin()
        self.addCleanup(hole.close)
        site.answers("/", "x", NO_STORE)
        proxy = self.larder(hole.url, site, rules=PLAIN_RULES, workers=1,
                            settings=settings(origin={"connect_timeout": "300ms"}))
        for _ in range(4):
            self.assertEqual(proxy.get("/").body, b"x")

    def test_unknown_name(self):
        proxy = self.larder("http://no-such-host.invalid:80", rules=PLAIN_RULES)
        self.assert_clear(proxy.get("/"), 502)

    def test_stalls_within_the_body(self):
        site, gate = self.origin(), self.gate()

        def handler(exchange):
            exchange.send_head(200, {"Content-Length": 10, "Cache-Control": "max-age=60"})
            exchange.send(b"12345")
            gate.pass_through()

        site.on("/", handler)
        proxy = self.larder(site, rules=PLAIN_RULES, settings=settings(origin={"read_timeout": "500ms"}))
        with Connection(proxy.port) as client:
            client.send_request("GET", "/")
            pieces = client.body_pieces(client.read_head())
            with self.assertRaises(Exception):
                list(pieces)
        site.answers("/", "whole", {"Cache-Control": "max-age=60"})
        self.assert_outcome(proxy.get("/"), "MISS", "whole")

    def test_an_early_answer_to_an_unfinished_upload_is_relayed(self):
        site = self.origin()

        def handler(exchange):
            exchange.reply(413, {"Connection": "close"}, "too much")
            exchange.close()

        site.on("/", handler, stream=True)
        proxy = self.larder(site, rules=PLAIN_RULES)
        with Connection(proxy.port) as client:
            client.send_request("POST", "/", {"Content-Length": 50 << 20})
            try:
                for _ in range(50):
                    client.send(b"x" * (1 << 20))
            except ConnectionError:
                pass
            else:
                self.assertEqual(client.read_response("POST").status, 413)


if __name__ == "__main__":
    unittest.main()
