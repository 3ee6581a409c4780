"""What one request learns from the origin is given to another one only where that one may have it, and nothing that a
write has made stale comes back by way of a validation, a part or another variant."""

import unittest

from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.larder_process import settings
from .support.tcp_link import TcpLink
from .support.waiting import eventually

STALE = ("Cache-Control", "max-age=1")
OLD = ("Age", "100")
FRESH = ("Cache-Control", "max-age=600")
TAG = ("ETag", '"v1"')
TAGGED_RULES = """
types: { page: {} }
routes:
  - match: GET /**
    cache: page
    tags: ["tenant:{header.x-tenant}"]
  - match: POST /w
    purge: [ { tag: "tenant:{header.x-tenant}" } ]
"""


class SharedCase(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.answers("/canary", "canary")

    def proxy_of(self, rules=PLAIN_RULES, **options):
        # One worker: who has sent before the canary has been heard before it.
        return self.larder(self.site, rules=rules, workers=1, **options)

    def ask(self, proxy, target, fields=(), method="GET"):
        client = self.connect(proxy)
        client.send_request(method, target, fields)
        proxy.get("/canary")
        return client

    def held(self, path, *answers):
        """The origin answers `path` with `answers` one after the other: (gate or None, status, fields, body)."""
        left = list(answers)

        def handler(exchange):
            gate, status, fields, body = left.pop(0) if len(left) > 1 else left[0]
            if gate:
                gate.pass_through()
            exchange.reply(status, fields, body)

        self.site.on(path, handler)


class Validated(SharedCase):
    def test_what_a_304_makes_private_is_for_its_client_alone(self):
        """RFC 9111 §5.2.2.7: who follows a validation is not given what it has made private."""
        for directive in ("private", "no-store"):
            with self.subTest(directive):
                path = f"/{directive}"
                gate = self.gate()
                self.held(path, (None, 200, [STALE, OLD, TAG], "for all"),
                          (gate, 304, [("Cache-Control", directive), TAG, ("X-Whose", "the first one's")], ""),
                          (None, 200, [("Cache-Control", directive), ("X-Whose", "another's")], "other"))
                proxy = self.proxy_of()
                proxy.get(path)
                first = self.ask(proxy, path)
                gate.wait_for_arrivals()
                second = self.ask(proxy, path)
                gate.open()
                self.assertEqual(first.read_response().fields.get("X-Whose"), "the first one's")
                self.assertEqual(second.read_response().fields.get("X-Whose"), "another's")

    def test_a_group_is_purged_while_its_member_is_validated(self):
        """RFC 9875 §3 and Larder's promise: who comes after the write does not get what was confirmed before it."""
        gate = self.gate()
        group = ("Cache-Groups", '"g"')
        self.held("/a", (None, 200, [STALE, OLD, TAG, group], "old"), (gate, 304, [FRESH, TAG, group], ""),
                  (None, 200, [FRESH, ("ETag", '"v2"'), group], "new"))
        self.site.answers("/w", "", [("Cache-Group-Invalidation", '"g"')], method="POST")
        proxy = self.proxy_of()
        proxy.get("/a")
        first = self.ask(proxy, "/a")
        gate.wait_for_arrivals()
        self.assertEqual(proxy.request("POST", "/w", body="x").status, 200)
        second = self.ask(proxy, "/a")
        gate.open()
        self.assertEqual(first.read_response().text, "old")
        self.assertEqual(second.read_response().text, "new")
        self.assertEqual(proxy.get("/a").text, "new")

    def test_a_variant_keeps_the_tags_that_it_was_stored_with(self):
        """Another variant's validation refreshes this one; a purge by this one's tag still finds it."""
        vary = ("Vary", "X-Tenant")
        self.site.on("/a", lambda exchange: exchange.reply(
            304, [FRESH, TAG, vary]) if exchange.request.fields.has("If-None-Match") else exchange.reply(
                200, [STALE, OLD, TAG, vary], "of " + exchange.request.fields.get("X-Tenant")))
        self.site.answers("/w", "", method="POST")
        proxy = self.proxy_of(rules=TAGGED_RULES)
        for tenant in ("1", "2"):
            proxy.get("/a", {"X-Tenant": tenant})
        self.assert_outcome(proxy.get("/a", {"X-Tenant": "2"}), "REVALIDATED", "of 2")
        self.assert_outcome(proxy.get("/a", {"X-Tenant": "1"}), "HIT", "of 1")
        proxy.request("POST", "/w", {"X-Tenant": "1"}, body="x")
        self.assert_outcome(proxy.get("/a", {"X-Tenant": "1"}), "MISS")
        self.assert_outcome(proxy.get("/a", {"X-Tenant": "2"}), "HIT", "of 2")

    def test_a_validation_keeps_the_tags_of_its_first_request(self):
        """Without Vary as well: it was stored for the one tenant, and confirmed for another."""
        self.site.on("/a", lambda exchange: exchange.reply(
            304, [FRESH, TAG]) if exchange.request.fields.has("If-None-Match") else exchange.reply(
                200, [STALE, OLD, TAG], "x"))
        self.site.answers("/w", "", method="POST")
        proxy = self.proxy_of(rules=TAGGED_RULES)
        proxy.get("/a", {"X-Tenant": "1"})
        self.assert_outcome(proxy.get("/a", {"X-Tenant": "2"}), "REVALIDATED", "x")
        proxy.request("POST", "/w", {"X-Tenant": "1"}, body="x")
        self.assert_outcome(proxy.get("/a", {"X-Tenant": "2"}), "MISS", "x")

    def test_head_with_no_store_leaves_what_is_stored(self):
        """RFC 9111 §5.2.1.5: nothing of it is stored, which is no reason to forget."""
        self.held("/a", (None, 200, [FRESH, TAG], "x"))
        proxy = self.proxy_of()
        proxy.get("/a")
        proxy.request("HEAD", "/a", {"Cache-Control": "no-store"})
        self.assert_outcome(proxy.get("/a"), "HIT")


class Parts(SharedCase):
    def part(self, first, last, *fields, doc="0123456789"):
        return 206, [FRESH, TAG, ("Content-Range", f"bytes {first}-{last}/{len(doc)}"), *fields], doc[first:last + 1]

    def test_a_private_missing_part_is_not_stored(self):
        """RFC 9111 §3: the missing part of a range may itself be private, or not to be stored."""
        for directive in ("private", "no-store"):
            with self.subTest(directive):
                path = f"/{directive}"
                control = ("Cache-Control", directive + ", max-age=600")
                missing = (206, [control, TAG, ("Content-Range", "bytes 4-7/10"), ("X-Whose", "another's")], "4567")
                self.held(path, (None, *self.part(0, 3)), (None, *missing), (None, 404, [], ""))
                proxy = self.proxy_of()
                self.assertEqual(proxy.get(path, {"Range": "bytes=0-3"}).text, "0123")
                self.assertEqual(proxy.get(path, {"Range": "bytes=2-7"}).text, "234567")
                answer = proxy.get(path, {"Range": "bytes=4-7"})
                self.assertEqual(answer.status, 404, answer.raw_head)

    def test_parts_that_are_too_large_together(self):
        """What exceeds the largest object together is fetched as it was asked for."""
        doc = "".join(f"{n:04d}" for n in range(500))

        def handler(exchange):
            first, last = map(int, exchange.request.fields.get("Range").removeprefix("bytes=").split("-"))
            exchange.reply(*self.part(first, last, doc=doc))

        self.site.on("/a", handler)
        proxy = self.proxy_of(settings=settings(cache={"max_object": "1KiB"}))
        for first, last in ((0, 799), (400, 1199), (700, 1500)):
            answer = proxy.get("/a", {"Range": f"bytes={first}-{last}"})
            self.assertEqual((answer.status, answer.text), (206, doc[first:last + 1]))

    def test_parts_of_different_codings_are_not_combined(self):
        """RFC 9110 §8.8.3.1 has such origins wrong; still nobody is given bytes of both."""
        gzip = ("Content-Encoding", "gzip")
        vary = ("Vary", "Accept-Encoding")
        self.held("/a", (None, *self.part(0, 3, gzip, vary, doc="gzipgzipgz")), (None, *self.part(4, 7, vary)),
                  (None, 404, [], ""))
        proxy = self.proxy_of()
        proxy.get("/a", {"Range": "bytes=0-3", "Accept-Encoding": "gzip"})
        self.assertEqual(proxy.get("/a", {"Range": "bytes=4-7"}).text, "4567")
        answer = proxy.get("/a", {"Range": "bytes=0-7"})
        self.assertNotIn("gzip4567", answer.text)
        answer = proxy.get("/a", {"Range": "bytes=0-7", "Accept-Encoding": "gzip"})
        self.assertNotIn("gzip4567", answer.text)


class SearchParameters(SharedCase):
    def test_a_renewed_answer_takes_the_place_of_one_without_the_field(self):
        """No-Vary-Search §6: once the origin says so, the older answer of one query is in nobody's way."""
        search = ("No-Vary-Search", 'params=("utm")')
        self.held("/a", (None, 200, [STALE, OLD, TAG], "old"), (None, 200, [FRESH, ("ETag", '"v2"'), search], "new"))
        proxy = self.proxy_of()
        proxy.get("/a?utm=1")
        self.assert_outcome(proxy.get("/a?utm=1"), "MISS", "new")
        self.assert_outcome(proxy.get("/a?utm=2"), "HIT", "new")
        self.assert_outcome(proxy.get("/a?utm=1"), "HIT", "new")

    def test_a_304_that_brings_the_field(self):
        search = ("No-Vary-Search", 'params=("utm")')
        self.held("/a", (None, 200, [STALE, OLD, TAG], "x"), (None, 304, [FRESH, TAG, search], ""))
        proxy = self.proxy_of()
        proxy.get("/a?utm=1")
        self.assert_outcome(proxy.get("/a?utm=1"), "REVALIDATED", "x")
        self.assert_outcome(proxy.get("/a?utm=2"), "HIT", "x")
        self.assert_outcome(proxy.get("/a?utm=1"), "HIT", "x")


class FilteredQueries(SharedCase):
    def test_a_write_purges_what_another_query_has_stored(self):
        rules = """
types: { page: {} }
routes:
  - match: GET /**
    cache: page
    query: { ignore: [utm] }
"""
        self.held("/a", (None, 200, [FRESH], "old"), (None, 200, [FRESH], "new"))
        self.site.answers("/a", "", method="POST")
        proxy = self.proxy_of(rules=rules)
        proxy.get("/a?utm=1")
        self.assert_outcome(proxy.get("/a"), "HIT", "old")
        proxy.request("POST", "/a", body="x")
        self.assert_outcome(proxy.get("/a"), "MISS")


class KeyedRoutes(SharedCase):
    def test_a_write_purges_what_another_query_has_stored(self):
        """The same where a template is the key, and whoever writes."""
        rules = """
types: { page: {} }
routes:
  - match: GET /users/{id}
    cache: page
    key: "user:{id}"
    identity: header:x-user
"""
        self.held("/users/1", (None, 200, [FRESH], "old"), (None, 200, [FRESH], "new"))
        self.site.answers("/users/1", "", method="POST")
        proxy = self.proxy_of(rules=rules)
        proxy.get("/users/1?x=1", {"X-User": "a"})
        self.assert_outcome(proxy.get("/users/1", {"X-User": "a"}), "HIT", "old")
        proxy.request("POST", "/users/1", {"X-User": "b"}, body="x")
        self.assert_outcome(proxy.get("/users/1", {"X-User": "a"}), "MISS")


class OneHostForAll(SharedCase):
    def test_an_origin_that_is_not_told_the_host(self):
        """It is the same under all hosts, and so a write to one of them is a write to all."""
        self.held("/a", (None, 200, [FRESH], "old"), (None, 200, [FRESH], "new"))
        self.site.answers("/a", "", method="POST")
        for preserved, outcome in (("true", "HIT"), ("false", "MISS")):
            with self.subTest(preserve_host=preserved):
                proxy = self.proxy_of(settings=settings(origin={"preserve_host": preserved}))
                proxy.get("/a", {"Host": "one.example"})
                proxy.request("POST", "/a", {"Host": "two.example"}, body="x")
                self.assert_outcome(proxy.get("/a", {"Host": "one.example"}), outcome)


class FromRedis(SharedCase):
    LANGUAGE = ("Vary", "Accept-Language")

    def setUp(self):
        super().setUp()
        self.site.answers("/canary", "canary", [("Cache-Control", "no-store")])
        self.server = self.redis()

    def attached(self, redis=None, **options):
        proxy = self.proxy_of(redis=redis or self.server.url, memory="off", **options)
        eventually(lambda: proxy.stats()["is_available"], "Larder has Redis")
        return proxy

    def test_what_a_head_shows_to_have_changed_is_found_under_no_name(self):
        fields = [FRESH, self.LANGUAGE, ("Content-Language", "de")]
        self.site.on("/a", lambda exchange: exchange.reply(200, [*fields, TAG], "old"), "GET")
        changed = [("Cache-Control", "no-store"), ("ETag", '"v2"')]
        self.site.on("/a", lambda exchange: exchange.reply(200, changed), "HEAD")
        proxy = self.attached()
        proxy.get("/a", {"Accept-Language": "de"})
        self.server.wait_for_keys(3)
        self.assert_outcome(proxy.get("/a", {"Accept-Language": "de, fr;q=0.5"}), "HIT", "old")
        proxy.request("HEAD", "/a", {"Accept-Language": "de", "Cache-Control": "no-cache"})
        self.site.on("/a", lambda exchange: exchange.reply(200, [*fields, ("ETag", '"v2"')], "new"), "GET")
        self.assert_outcome(proxy.get("/a", {"Accept-Language": "de, fr;q=0.5"}), "MISS", "new")

    def test_of_equally_good_ones_the_most_recent(self):
        """RFC 9111 §4.1, as in memory."""
        fields = [FRESH, self.LANGUAGE, ("Content-Language", "de")]
        self.held("/a", (None, 200, [*fields, ("Age", "10")], "older"), (None, 200, fields, "newer"))
        proxy = self.attached()
        proxy.get("/a", {"Accept-Language": "de"})
        self.server.wait_for_keys(3)
        proxy.get("/a", {"Accept-Language": "de, en;q=0.5", "Cache-Control": "no-cache"})
        self.server.wait_for_keys(4)
        self.assert_outcome(proxy.get("/a", {"Accept-Language": "de"}), "HIT", "newer")

    def together(self, first, second):
        """Two requests that wait for Redis at the same time; the second follows the first."""
        link = TcpLink(self.server.port)
        self.addCleanup(link.close)
        proxy = self.attached(redis=f"redis://127.0.0.1:{link.port}/0",
                              settings=settings(redis={"deadline": "20s", "push_heartbeat": "1m"}))
        proxy.get("/a")
        self.server.wait_for_keys(1)
        link.stall()
        clients = []
        for fields in (first, second):
            clients.append(self.connect(proxy))
            clients[-1].send_request("GET", "/a", fields)
            proxy.request("OPTIONS", "/canary")
        link.flow()
        return [client.read_response() for client in clients]

    def test_who_follows_has_directives_of_its_own(self):
        """RFC 9111 §5.2.1: what the first one accepts the second may not."""
        self.held("/a", (None, 200, [FRESH], "stored"), (None, 200, [FRESH], "fetched"))
        self.site.answers("/canary", "", method="OPTIONS")
        first, second = self.together({}, {"Cache-Control": "no-cache"})
        self.assertEqual((first.text, second.text), ("stored", "fetched"))

    def test_who_follows_has_not_said_max_stale(self):
        self.held("/a", (None, 200, [("Cache-Control", "max-age=10"), OLD], "stored"), (None, 200, [FRESH], "fetched"))
        self.site.answers("/canary", "", method="OPTIONS")
        first, second = self.together({"Cache-Control": "max-stale"}, {})
        self.assertEqual((first.text, second.text), ("stored", "fetched"))


if __name__ == "__main__":
    unittest.main()
