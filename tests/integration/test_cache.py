"""The cache: hits and misses, age, validation, stale answers, what is stored and what is not."""

import time
import unittest
from email.utils import formatdate

from .support.integration_case import HOUR_RULES, OFF_RULES, PLAIN_RULES, IntegrationCase
from .support.waiting import eventually, in_parallel

FRESH = {"Cache-Control": "max-age=600"}
# Stale on arrival: what time would do, without waiting for it.
STALE = [("Age", "1000")]


class Basics(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)

    def test_miss_then_hit(self):
        self.site.numbered("/", {**FRESH, "Content-Type": "application/json"})
        first = self.proxy.get("/")
        self.assert_outcome(first, "MISS", "1")
        self.assertRegex(first.key, r"^cache:page:[0-9a-f]{32}$")
        self.assertFalse(first.fields.has("Age"))
        second = self.proxy.get("/")
        self.assert_outcome(second, "HIT", "1")
        self.assertEqual(second.key, first.key)
        self.assertIsNotNone(second.age)
        self.assertEqual(second.fields.get("Content-Type"), "application/json")
        self.assertEqual(second.fields.all("Date"), first.fields.all("Date"))
        self.assertEqual(self.site.count(), 1)

    def test_cache_status(self):
        self.site.numbered("/", FRESH)
        miss, hit = self.proxy.get("/"), self.proxy.get("/")
        self.assertRegex(miss.fields.get("Cache-Status", ""), r"^\S+;.*fwd=uri-miss")
        self.assertIn("stored", miss.fields.get("Cache-Status"))
        self.assertRegex(hit.fields.get("Cache-Status", ""), r"^[^;\s]+; *hit")

    def test_age_counts_on(self):
        self.site.numbered("/", [("Cache-Control", "max-age=600"), ("Age", "100")])
        self.proxy.get("/")
        self.assertIn(self.proxy.get("/").age, range(100, 110))
        self.proxy.get_until("/", lambda response: response.age > 101, "has grown older")

    def test_a_lifetime_passes(self):
        self.site.numbered("/", {"Cache-Control": "max-age=1"})
        self.assert_outcome(self.proxy.get("/"), "MISS", "1")
        response = self.proxy.get_until("/", lambda response: response.cache != "HIT", "is not a hit any more")
        self.assert_outcome(response, "MISS", "2")

    def test_no_lifetime_no_hit(self):
        self.site.numbered("/")
        self.assert_outcome(self.proxy.get("/"), "MISS", "1")
        self.assert_outcome(self.proxy.get("/"), "MISS", "2")

    def test_expires_and_s_maxage_and_heuristics(self):
        long_ago = formatdate(time.time() - 864000, usegmt=True)
        cases = {
            "expires": [("Expires", formatdate(time.time() + 600, usegmt=True))],
            "s-maxage": [("Cache-Control", "max-age=0, s-maxage=600")],
            "heuristic": [("Last-Modified", long_ago)],
        }
        for name, fields in cases.items():
            with self.subTest(name):
                self.site.numbered(f"/{name}", fields)
                self.assert_outcome(self.proxy.get(f"/{name}"), "MISS", "1")
                self.assert_outcome(self.proxy.get(f"/{name}"), "HIT", "1")

    def test_head_of_a_stored_get(self):
        self.site.answers("/", "12345", FRESH)
        self.proxy.get("/")
        response = self.proxy.request("HEAD", "/")
        self.assert_outcome(response, "HIT", b"")
        self.assertEqual(response.fields.get("Content-Length"), "5")
        self.assertEqual(self.site.count(), 1)

    def test_a_head_does_not_become_an_empty_get(self):
        self.site.answers("/", "12345", FRESH)
        self.proxy.request("HEAD", "/")
        self.assert_outcome(self.proxy.get("/"), "MISS", "12345")

    def test_other_methods_are_not_answered_from_the_cache(self):
        self.site.numbered("/", FRESH)
        self.proxy.get("/")
        for method in ("OPTIONS", "TRACE", "PROPFIND"):
            self.assertNotEqual(self.proxy.request(method, "/").cache, "HIT")

    def test_bodies_of_all_sizes_come_back_as_they_were(self):
        for size in (0, 1, 1023, 1024, 1025, 65535, 65536, 65537, 1000003, 5 << 20):
            with self.subTest(size):
                body = (bytes(range(256)) * (size // 256 + 1))[:size]
                self.site.answers(f"/{size}", body, FRESH)
                self.assert_outcome(self.proxy.get(f"/{size}"), "MISS", body)
                self.assert_outcome(self.proxy.get(f"/{size}"), "HIT", body)

    def test_chunked_and_close_delimited_answers_are_stored_whole(self):
        def chunked(exchange):
            exchange.send_head(200, {"Transfer-Encoding": "chunked", **FRESH})
            exchange.chunk(b"abc")
            exchange.chunk(b"def")
            exchange.end_chunks()

        def until_close(exchange):
            exchange.send_head(200, FRESH)
            exchange.send(b"abcdef")
            exchange.close()

        self.site.on("/chunked", chunked)
        self.site.on("/close", until_close)
        for path in ("/chunked", "/close"):
            with self.subTest(path):
                self.assert_outcome(self.proxy.get(path), "MISS", "abcdef")
                response = self.proxy.get(path)
                self.assert_outcome(response, "HIT", "abcdef")
                self.assertEqual(response.fields.get("Content-Length"), "6")
                self.assert_outcome(self.proxy.request("GET", path, version="HTTP/1.0"), "HIT", "abcdef")

    def test_client_directives_are_honoured(self):
        self.site.numbered("/", FRESH)
        self.assertEqual(self.proxy.get("/", {"Cache-Control": "only-if-cached"}).status, 504)
        self.assert_outcome(self.proxy.get("/"), "MISS", "1")
        self.assert_outcome(self.proxy.get("/", {"Cache-Control": "only-if-cached"}), "HIT", "1")
        self.assertEqual(self.proxy.get("/", {"Cache-Control": "no-cache"}).text, "2")
        self.assertEqual(self.proxy.get("/").text, "2", "the newer answer took the older one's place")
        self.assertEqual(self.proxy.get("/", {"Pragma": "no-cache"}).text, "3")
        self.assertEqual(self.proxy.get("/", {"Cache-Control": "max-age=0"}).text, "4")
        self.assertEqual(self.proxy.get("/", {"Cache-Control": "no-store"}).text, "5")

    def test_client_directives_are_ignored_where_the_rules_say_so(self):
        proxy = self.larder(self.site, rules="client_directives: ignore\n" + PLAIN_RULES)
        self.site.numbered("/", FRESH)
        for directive in ("max-age=60", "no-cache", "max-age=0", "no-store"):
            response = proxy.get("/", {"Cache-Control": directive})
            self.assertEqual(response.text, "1", directive)

    def test_targets_that_are_the_same_share_an_entry(self):
        self.site.on("*", lambda exchange: exchange.reply(200, FRESH, exchange.request.target))
        first = self.proxy.get("/a%7Eb/c")
        self.assert_outcome(self.proxy.get("/a~b/c"), "HIT", first.body)
        self.assert_outcome(self.proxy.get("/a~b/C"), "MISS")
        self.assert_outcome(self.proxy.get("/a~b/c?"), "MISS")


class NotStored(IntegrationCase):
    def check(self, response_fields, request_fields=(), status=200, rules=PLAIN_RULES, stored=False):
        site = self.origin()
        site.numbered("/", response_fields, status)
        proxy = self.larder(site, rules=rules)
        self.assert_outcome(proxy.get("/", request_fields), "MISS", "1", status)
        if stored:
            self.assert_outcome(proxy.get("/", request_fields), "HIT", "1", status)
        else:
            self.assert_outcome(proxy.get("/", request_fields), "MISS", "2", status)

    def test_response_directives(self):
        for value in ("no-store", "private", "max-age=600, no-store", "private, max-age=600", "No-Store, max-age=9"):
            with self.subTest(value):
                self.check({"Cache-Control": value})

    def test_response_directives_in_spite_of_a_rules_ttl(self):
        for value in ("no-store", "private"):
            with self.subTest(value):
                self.check({"Cache-Control": value}, rules=HOUR_RULES)

    def test_set_cookie(self):
        fields = {**FRESH, "Set-Cookie": "a=b"}
        self.check(fields, rules=HOUR_RULES)
        self.check(fields, rules="set_cookie: refuse\n" + PLAIN_RULES)
        self.check(fields, stored=True)

    def test_vary_star(self):
        self.check({**FRESH, "Vary": "*"})
        self.check({**FRESH, "Vary": "Accept, *"})

    def test_authorization(self):
        self.check(FRESH, {"Authorization": "Basic YQ=="})

    def test_authorization_with_the_origins_permission(self):
        for value in ("public, max-age=600", "s-maxage=600", "must-revalidate, max-age=600"):
            with self.subTest(value):
                self.check({"Cache-Control": value}, {"Authorization": "Basic YQ=="}, stored=True)

    def test_errors_under_a_ttl(self):
        for status in (404, 410, 500, 502, 503):
            with self.subTest(status):
                self.check({}, status=status, rules=HOUR_RULES)

    def test_errors_that_say_so_themselves(self):
        self.check(FRESH, status=404, stored=True)

    def test_store_despite(self):
        for name, fields, request in (("set-cookie", {**FRESH, "Set-Cookie": "a=b"}, {}),
                                      ("no-store", {"Cache-Control": "no-store"}, {}),
                                      ("private", {"Cache-Control": "private, max-age=600"}, {}),
                                      ("authorization", FRESH, {"Authorization": "Basic YQ=="})):
            rules = f"""
types: {{ page: {{ ttl: 1h }} }}
routes:
  - match: GET /**
    cache: page
    store_despite: [{name}]
"""
            with self.subTest(name):
                self.check(fields, request, rules=rules, stored=True)

    def test_redirects_under_a_ttl(self):
        self.check({"Location": "/elsewhere"}, status=301, rules=HOUR_RULES, stored=True)


class Rules(IntegrationCase):
    def proxy_with(self, rules):
        self.site = self.origin()
        return self.larder(self.site, rules=rules)

    def test_ttl_counts_where_the_response_says_nothing(self):
        proxy = self.proxy_with(HOUR_RULES)
        self.site.numbered("/silent")
        self.site.numbered("/own", {"Cache-Control": "max-age=0"})
        proxy.get("/silent")
        self.assert_outcome(proxy.get("/silent"), "HIT", "1")
        proxy.get("/own")
        self.assertEqual(proxy.get("/own").text, "2")

    def test_a_rules_ttl_passes(self):
        proxy = self.proxy_with("types: { page: { ttl: 1s } }\nroutes: [ { match: GET /**, cache: page } ]")
        self.site.numbered("/")
        proxy.get("/")
        proxy.get_until("/", lambda response: response.text == "2", "is fetched again")

    def test_ttl_override(self):
        proxy = self.proxy_with("""
types: { page: { ttl: 1h } }
routes:
  - match: GET /**
    cache: page
    ttl_override: true
""")
        self.site.numbered("/", {"Cache-Control": "max-age=0"})
        proxy.get("/")
        self.assert_outcome(proxy.get("/"), "HIT", "1")

    def test_defaults_ttl(self):
        proxy = self.proxy_with("defaults: { ttl: 5m }\ntypes: { page: {} }\n"
                                "routes: [ { match: GET /**, cache: page } ]")
        self.site.numbered("/")
        proxy.get("/")
        self.assert_outcome(proxy.get("/"), "HIT", "1")

    def test_negative_caching(self):
        proxy = self.proxy_with("""
types: { page: { ttl: 1h } }
routes:
  - match: GET /**
    cache: page
    status: { 404: 30s, 503: 1s }
""")
        self.site.numbered("/gone", status=404)
        self.site.numbered("/busy", status=503)
        self.site.numbered("/broken", status=500)
        for path, status in (("/gone", 404), ("/busy", 503)):
            self.assert_outcome(proxy.get(path), "MISS", "1", status)
            self.assert_outcome(proxy.get(path), "HIT", "1", status)
        proxy.get_until("/busy", lambda response: response.text == "2", "is fetched again")
        self.assert_outcome(proxy.get("/broken"), "MISS", "1", 500)
        self.assert_outcome(proxy.get("/broken"), "MISS", "2", 500)

    def test_the_first_match_wins_for_caching(self):
        proxy = self.proxy_with("""
types: { first: { ttl: 1h }, second: { ttl: 1h } }
routes:
  - match: GET /docs/**
    cache: off
  - match: GET /a/*
    cache: first
  - match: GET /**
    cache: second
""")
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        self.assertEqual(proxy.get("/docs/a").cache, "BYPASS")
        self.assertEqual(proxy.get("/docs").cache, "BYPASS")
        self.assertRegex(proxy.get("/a/b").key, "^cache:first:")
        self.assertRegex(proxy.get("/a/b/c").key, "^cache:second:")
        self.assertRegex(proxy.get("/docs2").key, "^cache:second:")

    def test_a_dot_segment_does_not_get_around_a_rule(self):
        proxy = self.proxy_with("types: { page: { ttl: 1h } }\nroutes:\n"
                                "  - { match: GET /secret/**, cache: off }\n  - { match: GET /**, cache: page }")
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        for target in ("/secret/a", "/a/../secret/a", "/%73ecret/a", "/./secret/a"):
            for _ in range(2):
                self.assertIn(proxy.get(target).cache, ("BYPASS", None), target)

    def test_the_issues_example_is_accepted(self):
        proxy = self.proxy_with("""
defaults: { ttl: 5m }
types:
  dashboard: { ttl: 5m }
  search:    { ttl: 1h }
  user:      { ttl: 30m }
  product:   { ttl: 2h, stale_while_revalidate: 1m, stale_if_error: 1d }
  analytics: { ttl: 10m, priority: low }
routes:
  - match: GET /docs/**
    cache: off
  - match: GET /api/dashboard
    cache: dashboard
  - match: GET /api/search
    cache: search
    query: { only: [q, page], sort: true }
  - match: GET /api/users/{id}
    cache: user
    key: "user:profile:{id}"
    tags: ["user:{id}"]
  - match: GET /api/me/**
    cache: user
    identity: header:Authorization
  - match: GET /api/products/**
    cache: product
    status: { 404: 30s }
  - match: [POST, PUT, PATCH, DELETE] /api/products/{id}
    purge: [ { type: analytics }, { tag: "product:{id}" }, { path: /api/products/** }, { key: "cache:search:*" } ]
""")
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        for target in ("/api/dashboard", "/api/search?q=a", "/api/users/42", "/api/products/1"):
            self.assert_outcome(proxy.get(target), "MISS")
            self.assert_outcome(proxy.get(target), "HIT")
        self.assertEqual(proxy.get("/api/users/42").key, "cache:user:profile:42")
        proxy.request("PUT", "/api/products/1", body="x")
        for target, outcome in (("/api/dashboard", "HIT"), ("/api/search?q=a", "MISS"), ("/api/users/42", "HIT"),
                                ("/api/products/1", "MISS")):
            self.assert_outcome(proxy.get(target), outcome)


class Validation(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)

    def versioned(self, fields, etag='"v1"'):
        """An origin resource with an ETag that answers 304 where it matches; `self.version` changes it."""
        self.version, self.body = etag, "one"

        def handler(exchange):
            head = [*fields, ("ETag", self.version)]
            if exchange.request.fields.get("If-None-Match") == self.version:
                exchange.reply(304, [*head, ("X-New", "yes")])
            else:
                exchange.reply(200, head, self.body)

        self.site.on("/", handler)

    def test_a_clients_condition_is_answered_from_the_cache(self):
        modified = formatdate(time.time() - 1000, usegmt=True)
        self.site.answers("/", "body", {**FRESH, "ETag": '"v1"', "Last-Modified": modified})
        self.proxy.get("/")
        for fields in ({"If-None-Match": '"v1"'}, {"If-None-Match": '"v0", W/"v1"'}, {"If-None-Match": "*"},
                       {"If-Modified-Since": modified},
                       {"If-None-Match": '"v1"', "If-Modified-Since": formatdate(0, usegmt=True)}):
            with self.subTest(fields):
                response = self.proxy.get("/", fields)
                self.assert_outcome(response, "HIT", b"", 304)
                self.assertEqual(response.fields.get("ETag"), '"v1"')
                self.assertFalse(response.fields.has("Content-Length"))
        for fields in ({"If-None-Match": '"v2"'}, {"If-Modified-Since": formatdate(0, usegmt=True)},
                       {"If-None-Match": '"v2"', "If-Modified-Since": modified}):
            with self.subTest(fields):
                self.assert_outcome(self.proxy.get("/", fields), "HIT", "body")
        self.assertEqual(self.site.count(), 1)

    def test_a_conditional_request_on_an_empty_cache(self):
        self.versioned([("Cache-Control", "max-age=600")])
        response = self.proxy.get("/", {"If-None-Match": '"v1"'})
        self.assertEqual((response.status, response.body), (304, b""))
        self.assertEqual(self.proxy.get("/").text, "one", "a 304 is not stored as the resource")

    def test_a_stale_response_is_revalidated(self):
        self.versioned([("Cache-Control", "max-age=10"), *STALE])
        self.assert_outcome(self.proxy.get("/"), "MISS", "one")
        response = self.proxy.get("/")
        self.assert_outcome(response, "REVALIDATED", "one")
        self.assertEqual(response.fields.get("X-New"), "yes", "the 304's fields take the stored ones' place")
        self.assertEqual(self.site.requests[1].fields.get("If-None-Match"), '"v1"')
        self.version, self.body = '"v2"', "two"
        self.assert_outcome(self.proxy.get("/"), "MISS", "two")

    def test_a_revalidated_response_is_fresh_again(self):
        self.versioned([("Cache-Control", "max-age=1")])
        self.proxy.get("/")
        self.proxy.get_until("/", lambda response: response.cache == "REVALIDATED", "is revalidated")
        self.assert_outcome(self.proxy.get("/"), "HIT", "one")

    def test_no_cache_is_revalidated_every_time(self):
        self.versioned([("Cache-Control", "no-cache")])
        self.proxy.get("/")
        for _ in range(3):
            self.assert_outcome(self.proxy.get("/"), "REVALIDATED", "one")

    def test_the_clients_own_condition_does_not_spoil_the_revalidation(self):
        self.versioned([("Cache-Control", "max-age=10"), *STALE])
        self.proxy.get("/")
        self.assertEqual(self.proxy.get("/", {"If-None-Match": '"v1"'}).status, 304)
        response = self.proxy.get("/", {"If-None-Match": '"other"'})
        self.assertEqual((response.status, response.body), (200, b"one"))

    def test_revalidation_by_date(self):
        modified = formatdate(time.time() - 1000, usegmt=True)

        def handler(exchange):
            fields = [("Cache-Control", "max-age=10"), *STALE, ("Last-Modified", modified)]
            if exchange.request.fields.get("If-Modified-Since") == modified:
                exchange.reply(304, fields)
            else:
                exchange.reply(200, fields, "body")

        self.site.on("/", handler)
        self.proxy.get("/")
        self.assert_outcome(self.proxy.get("/"), "REVALIDATED", "body")

    def test_concurrent_revalidations_are_one(self):
        gate = self.gate()
        self.versioned([("Cache-Control", "max-age=1")])
        self.proxy.get("/")

        def handler(exchange):
            gate.pass_through()
            exchange.reply(304, {"ETag": '"v1"', "Cache-Control": "max-age=600"})

        self.site.on("/", handler)
        # Whoever comes while it is fresh gets a hit; the first after that goes to the origin.
        clients = []

        def held():
            client = self.connect(self.proxy)
            client.send_request("GET", "/")
            clients.append(client)
            return self.site.count() > 1

        eventually(held, "the response is stale", pause=0.05)
        for _ in range(10):
            held()
        gate.open()
        for client in clients:
            self.assertEqual(client.read_response().text, "one")
        self.assertEqual(self.site.count(), 2)


class Ranges(IntegrationCase):
    BODY = bytes(range(100))

    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)
        self.site.answers("/", self.BODY, {**FRESH, "ETag": '"v1"', "Content-Type": "text/x"})

    def test_ranges_of_a_stored_whole(self):
        self.proxy.get("/")
        for field, first, last in (("bytes=0-9", 0, 9), ("bytes=90-", 90, 99), ("bytes=-5", 95, 99),
                                   ("bytes=50-1000", 50, 99), ("bytes=-1000", 0, 99)):
            with self.subTest(field):
                response = self.proxy.get("/", {"Range": field})
                self.assert_outcome(response, "HIT", self.BODY[first:last + 1], 206)
                self.assertEqual(response.fields.get("Content-Range"), f"bytes {first}-{last}/100")
        self.assertEqual(self.site.count(), 1)

    def test_several_ranges(self):
        self.proxy.get("/")
        response = self.proxy.get("/", {"Range": "bytes=0-1, 50-51"})
        self.assert_outcome(response, "HIT", status=206)
        self.assertRegex(response.fields.get("Content-Type"), r"^multipart/byteranges; *boundary=")
        for part in (b"bytes 0-1/100", b"bytes 50-51/100", b"\r\n\r\n\x00\x01\r\n", b"\r\n\r\n\x32\x33\r\n"):
            self.assertIn(part, response.body)

    def test_unsatisfiable_and_meaningless_ranges(self):
        self.proxy.get("/")
        response = self.proxy.get("/", {"Range": "bytes=100-"})
        self.assertEqual((response.status, response.fields.get("Content-Range")), (416, "bytes */100"))
        for field in ("lines=1-2", "bytes=abc", "bytes=5-1"):
            self.assert_outcome(self.proxy.get("/", {"Range": field}), "HIT", self.BODY)

    def test_if_range(self):
        self.proxy.get("/")
        fields = {"Range": "bytes=0-0", "If-Range": '"v1"'}
        self.assert_outcome(self.proxy.get("/", fields), "HIT", self.BODY[:1], 206)
        for value in ('"v2"', 'W/"v1"', formatdate(0, usegmt=True)):
            self.assert_outcome(self.proxy.get("/", {**fields, "If-Range": value}), "HIT", self.BODY)

    def test_a_range_of_what_is_not_stored(self):
        def handler(exchange):
            if exchange.request.fields.has("Range"):
                exchange.reply(206, {**FRESH, "Content-Range": "bytes 0-9/100", "ETag": '"v1"'}, self.BODY[:10])
            else:
                exchange.reply(200, {**FRESH, "ETag": '"v1"'}, self.BODY)

        self.site.on("/", handler)
        response = self.proxy.get("/", {"Range": "bytes=0-9"})
        self.assertEqual((response.status, response.body), (206, self.BODY[:10]))
        self.assertEqual(self.proxy.get("/").body, self.BODY, "a part is not the whole")

    def test_many_overlapping_ranges_are_bounded(self):
        self.site.answers("/large", b"x" * 1000000, FRESH)
        self.proxy.get("/large")
        response = self.proxy.get("/large", {"Range": "bytes=" + ",".join(["0-"] * 1000)})
        self.assertLess(len(response.body), 3000000)


class Stale(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.proxy = self.larder(self.site, rules=PLAIN_RULES)

    def test_while_revalidate(self):
        gate = self.gate()
        answers = iter(["one", "two"])

        def handler(exchange):
            body = next(answers)
            if body == "two":
                gate.pass_through()
                exchange.reply(200, FRESH, body)
            else:
                exchange.reply(200, [("Cache-Control", "max-age=10, stale-while-revalidate=100000"), *STALE], body)

        self.site.on("/", handler)
        self.assert_outcome(self.proxy.get("/"), "MISS", "one")
        for _ in range(5):
            self.assert_outcome(self.proxy.get("/"), "STALE", "one")
        gate.wait_for_arrivals()
        gate.open()
        response = self.proxy.get_until("/", lambda response: response.cache == "HIT", "is refreshed")
        self.assertEqual(response.text, "two")
        self.assertEqual(self.site.count(), 2, "refreshed once")

    def test_while_revalidate_by_rule(self):
        proxy = self.larder(self.site, rules="types: { page: { ttl: 10s, stale_while_revalidate: 1d } }\n"
                                             "routes: [ { match: GET /**, cache: page } ]")
        self.site.numbered("/", STALE)
        self.assert_outcome(proxy.get("/"), "MISS", "1")
        self.assert_outcome(proxy.get("/"), "STALE", "1")
        proxy.get_until("/", lambda response: response.text != "1", "is refreshed")

    def test_a_failing_refresh_leaves_what_there_is(self):
        self.site.on("/", lambda exchange: exchange.reply(
            200, [("Cache-Control", "max-age=10, stale-while-revalidate=100000"), *STALE], "one"))
        self.proxy.get("/")
        self.site.on("/", lambda exchange: exchange.reset())
        for _ in range(3):
            self.assert_outcome(self.proxy.get("/"), "STALE", "one")
        self.site.wait_for("/", count=2)

    def test_if_error(self):
        fields = [("Cache-Control", "max-age=10, stale-if-error=100000"), *STALE]
        for name, handler in (("503", lambda exchange: exchange.reply(503, body="busy")),
                              ("500", lambda exchange: exchange.reply(500, FRESH, body="broken")),
                              ("reset", lambda exchange: exchange.reset()),
                              ("close", lambda exchange: exchange.close()),
                              ("garbage", lambda exchange: (exchange.send(b"what?\r\n\r\n"), exchange.close()))):
            with self.subTest(name):
                self.site.answers(f"/{name}", "good", fields)
                self.assert_outcome(self.proxy.get(f"/{name}"), "MISS", "good")
                self.site.on(f"/{name}", handler)
                for _ in range(2):
                    self.assert_outcome(self.proxy.get(f"/{name}"), "STALE", "good")
        self.site.kill()
        self.assert_outcome(self.proxy.get("/503"), "STALE", "good")

    def test_an_error_without_permission_is_relayed(self):
        for directive in ("max-age=10", "max-age=10, must-revalidate, stale-if-error=1000000",
                          "s-maxage=10, stale-if-error=1000000"):
            with self.subTest(directive):
                path = f"/{len(directive)}"
                self.site.answers(path, "good", [("Cache-Control", directive), ("ETag", '"e"'), *STALE])
                self.proxy.get(path)
                self.site.on(path, lambda exchange: exchange.reset())
                self.assertIn(self.proxy.get(path).status, (502, 504))
                self.site.answers(path, "busy", status=503)
                self.assertEqual(self.proxy.get(path).status, 503)

    def test_max_stale_of_a_client(self):
        self.site.numbered("/", [("Cache-Control", "max-age=10, stale-if-error=100000"), *STALE])
        self.proxy.get("/")
        self.assert_outcome(self.proxy.get("/", {"Cache-Control": "max-stale"}), "STALE", "1")


class Restart(IntegrationCase):
    def test_it_ends_at_once_and_orderly_with_idle_clients(self):
        site = self.origin()
        site.answers("/", "x", FRESH)
        proxy = self.larder(site, rules=PLAIN_RULES)
        clients = [self.connect(proxy) for _ in range(10)]
        for client in clients:
            client.get("/")
        self.assertEqual(proxy.stop(), 0)

    def test_it_ends_orderly_within_a_response(self):
        site, gate = self.origin(), self.gate()
        site.on("/", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        proxy = self.larder(site, rules=OFF_RULES)
        client = self.connect(proxy)
        client.send_request("GET", "/")
        gate.wait_for_arrivals()
        join = in_parallel(1, lambda _: proxy.stop())
        gate.open()
        self.assertEqual(join(), [0])


class Switches(IntegrationCase):
    """Where the RFCs and common practice part, the rules file chooses."""

    def setUp(self):
        self.site = self.origin()

    def test_s_maxage_and_stale_uses(self):
        fields = [("Cache-Control", "s-maxage=100, stale-while-revalidate=1000"), ("Age", "200")]
        self.site.numbered("/", fields)
        strict = self.larder(self.site, rules=PLAIN_RULES)
        strict.get("/")
        self.assert_outcome(strict.get("/"), "MISS", "2")
        lenient = self.larder(self.site, rules="s_maxage: allows_stale\n" + PLAIN_RULES)
        self.assert_outcome(lenient.get("/"), "MISS", "3")
        self.assert_outcome(lenient.get("/"), "STALE", "3")

    def test_targeted_fields_are_sent_on_where_asked(self):
        self.site.numbered("/", {"CDN-Cache-Control": "max-age=600", "Cache-Control": "no-store"})
        removing = self.larder(self.site, rules=PLAIN_RULES)
        forwarding = self.larder(self.site, rules="targeted_fields: forward\n" + PLAIN_RULES)
        for proxy, sent in ((removing, None), (forwarding, "max-age=600")):
            for outcome in ("MISS", "HIT"):
                response = proxy.get("/")
                self.assert_outcome(response, outcome)
                self.assertEqual(response.fields.get("CDN-Cache-Control"), sent)

    def test_no_vary_search_can_be_ignored(self):
        self.site.on("*", lambda exchange: exchange.reply(200, {**FRESH, "No-Vary-Search": "params"}, "x"))
        proxy = self.larder(self.site, rules="no_vary_search: ignore\n" + PLAIN_RULES)
        proxy.get("/?a=1")
        self.assert_outcome(proxy.get("/?a=2"), "MISS")
        proxy = self.larder(self.site, rules=PLAIN_RULES)
        proxy.get("/?a=1")
        self.assert_outcome(proxy.get("/?a=2"), "HIT")

    def test_failed_writes(self):
        self.site.numbered("/", FRESH)
        self.site.on("/", lambda exchange: exchange.reply(500), "PUT")
        for rules, outcome in ((PLAIN_RULES, "HIT"), ("failed_writes: purge\n" + PLAIN_RULES, "MISS"),
                               (HOUR_RULES, "MISS")):
            with self.subTest(rules):
                proxy = self.larder(self.site, rules=rules)
                proxy.get("/")
                self.assertEqual(proxy.request("PUT", "/", body="x").status, 500)
                self.assert_outcome(proxy.get("/"), outcome)


if __name__ == "__main__":
    unittest.main()
