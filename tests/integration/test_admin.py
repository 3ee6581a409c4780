"""The admin API: who may use it, what it tells, what it purges."""

import unittest

from .support import raw_client
from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.waiting import eventually

RULES = """
types:
  page:   { ttl: 1h }
  search: { ttl: 1h }
routes:
  - match: GET /search
    cache: search
  - match: GET /users/{id}
    cache: page
    key: "user:{id}"
    tags: ["user:{id}", "people"]
  - match: GET /**
    cache: page
"""

# Everything but /health and /ready.
GUARDED = [("GET", "/api/cache/stats"), ("GET", "/api/cache/keys"), ("GET", "/api/cache/entry/cache:user:1"),
           ("DELETE", "/api/cache/entry/cache:user:1"), ("POST", "/api/cache/invalidate/page"),
           ("POST", "/api/cache/invalidate-pattern"), ("POST", "/api/cache/clear-all")]


class AdminCase(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, body="x" * 1500))
        self.proxy = self.larder(self.site, rules=RULES)

    def fill(self, *targets):
        for target in targets:
            self.assert_outcome(self.proxy.get(target), "MISS")

    def assert_purged(self, targets, purged):
        for target in targets:
            self.assertEqual(self.proxy.get(target).cache, "MISS" if target in purged else "HIT", target)

    def assert_success(self, response):
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual(response.json["status"], "success")
        self.assertRegex(response.fields.get("Content-Type"), r"^application/json")
        self.assertIn("no-store", response.fields.members("Cache-Control"))
        return response.json

    def assert_error(self, response, *statuses):
        self.assertIn(response.status, statuses, response.body)
        self.assertEqual(response.json["status"], "error")
        self.assertTrue(any(response.json.get(name) for name in ("error", "message")), "it says why")


class Access(AdminCase):
    def test_health_and_ready_need_no_token(self):
        for path in ("/health", "/ready"):
            response = self.proxy.admin("GET", path, token=None)
            self.assertEqual(response.status, 200, response.body)

    def test_everything_else_needs_the_token(self):
        for method, path in GUARDED:
            with self.subTest(method=method, path=path):
                response = self.proxy.admin(method, path, token=None)
                self.assert_error(response, 401)
                self.assertRegex(response.fields.get("WWW-Authenticate", ""), "^Bearer")
                for wrong in ("wrong", self.proxy.token[:-1], self.proxy.token + "x", self.proxy.token.upper(),
                              "x" * 10000):
                    self.assert_error(self.proxy.admin(method, path, token=wrong), 401, 403)

    def test_other_ways_to_show_it_do_not_count(self):
        token = self.proxy.token
        for fields in ({"Authorization": token}, {"Authorization": f"Basic {token}"}, {"X-Token": token},
                       {"Cookie": f"token={token}"}, {"Authorization": "Bearer"}):
            self.assert_error(self.proxy.admin("GET", "/api/cache/stats", token=None, fields=fields.items()), 401, 403)
        self.assert_error(self.proxy.admin("GET", f"/api/cache/stats?token={token}", token=None), 401)
        self.assert_error(self.proxy.admin("GET", "/api/cache/stats", token="wrong",
                                           fields=[("Authorization", f"Bearer {token}")]), 400, 401, 403)

    def test_the_scheme_is_not_case_sensitive(self):
        response = self.proxy.admin("GET", "/api/cache/stats", token=None,
                                    fields=[("Authorization", f"bearer {self.proxy.token}")])
        self.assert_success(response)

    def test_what_is_refused_is_not_done(self):
        self.fill("/a")
        self.proxy.admin("POST", "/api/cache/clear-all", token="wrong")
        self.assert_purged(["/a"], set())

    def test_without_a_configured_token_it_refuses_and_says_why(self):
        proxy = self.larder(self.site, rules=RULES, token=None)
        for method, path in GUARDED:
            for token in (None, "anything-at-all-here", ""):
                response = proxy.admin(method, path, token=token)
                self.assert_error(response, 401, 403, 503)
                self.assertIn("token", response.text)
        for path in ("/health", "/ready"):
            self.assertEqual(proxy.admin("GET", path, token=None).status, 200)

    def test_the_token_is_not_logged(self):
        self.proxy.admin("GET", "/api/cache/stats")
        self.assertNotIn(self.proxy.token, self.proxy.log())

    def test_the_admin_api_is_not_on_the_proxys_listener(self):
        response = self.proxy.get("/api/cache/stats", {"Authorization": f"Bearer {self.proxy.token}"})
        self.assertEqual(self.site.count("/api/cache/stats"), 1, "it is the origin's")
        self.assertEqual(response.body, b"x" * 1500)

    def test_unknown_paths_and_methods(self):
        self.assert_error(self.proxy.admin("GET", "/nothing"), 404)
        self.assert_error(self.proxy.admin("GET", "/api/cache/clear-all"), 404, 405)
        self.assert_error(self.proxy.admin("POST", "/api/cache/stats"), 404, 405)
        self.assert_error(self.proxy.admin("DELETE", "/api/cache/keys"), 404, 405)

    def test_hostile_input_does_not_hurt(self):
        for data in (b"GET /api/cache/stats HTTP/1.1\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"POST /api/cache/clear-all "
                     b"HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\nx"):
            connection = raw_client.Connection(self.proxy.admin_port)
            self.addCleanup(connection.close)
            connection.send(data)
            connection.half_close()
            connection.reader.to_end()
        self.assertEqual(self.proxy.admin("GET", "/health").status, 200)


class Stats(AdminCase):
    def test_figures(self):
        self.fill("/a", "/b", "/search?q=1")
        for _ in range(5):
            self.proxy.get("/a")
        answer = self.assert_success(self.proxy.admin("GET", "/api/cache/stats"))
        stats = answer["cache_stats"]
        self.assertEqual((stats["hits"], stats["misses"], stats["errors"]), (5, 3, 0))
        self.assertGreaterEqual(stats["total_requests"], 8)
        self.assertIsInstance(stats["is_available"], bool)
        # A ratio or a percentage: 5 of 8.
        self.assertIn(round(float(stats["hit_rate"]), 1), (0.6, 62.5))
        self.assertIn("timestamp", answer)
        self.assertIn("page", str(stats), "per type")

    def test_figures_of_an_untouched_cache(self):
        stats = self.proxy.stats()
        self.assertEqual((stats["hits"], stats["misses"], float(stats["hit_rate"])), (0, 0, 0.0))

    def test_they_add_up_over_all_workers(self):
        proxy = self.larder(self.site, rules=HOUR_RULES, workers=2)
        proxy.get("/a")
        for _ in range(40):
            proxy.get("/a")
        self.assertEqual(proxy.stats()["hits"], 40)


class Keys(AdminCase):
    def keys(self, query=""):
        return self.assert_success(self.proxy.admin("GET", f"/api/cache/keys{query}"))

    def test_what_is_told_of_an_entry(self):
        self.fill("/users/42")
        self.proxy.get("/users/42")
        entries = self.keys()["keys"]
        self.assertEqual(len(entries), 1)
        entry = entries[0]
        self.assertEqual((entry["key"], entry["type"], entry["hits"]), ("cache:user:42", "page", 1))
        self.assertEqual(sorted(entry["tags"]), ["people", "user:42"])
        self.assertIn("/users/42", str(entry), "the target URI")
        self.assertLessEqual(entry["age"], 60)
        self.assertIn(entry["ttl"], range(3500, 3601))
        self.assertGreaterEqual(entry["size"], 1500)
        self.assertEqual(entry["tier"], ["memory"])

    def test_pattern(self):
        self.fill("/users/1", "/users/2", "/search?q=1", "/a")
        for pattern, count in (("cache:user:*", 2), ("cache:search:*", 1), ("*", 4), ("cache:user:1", 1),
                               ("nothing*", 0), ("cache:%75ser:?", 2)):
            with self.subTest(pattern):
                self.assertEqual(len(self.keys(f"?pattern={pattern}")["keys"]), count)

    def test_limit_and_cursor_walk_through_all(self):
        self.fill(*[f"/users/{number}" for number in range(57)])
        seen, cursor = [], None
        for _ in range(100):
            page = self.keys("?limit=10" + (f"&cursor={cursor}" if cursor else ""))
            seen += [entry["key"] for entry in page["keys"]]
            cursor = page.get("cursor")
            if not cursor or str(cursor) == "0":
                break
        else:
            self.fail("the cursor never ends")
        self.assertEqual(set(seen), {f"cache:user:{number}" for number in range(57)})

    def test_bad_parameters(self):
        for query in ("?limit=x", "?limit=-1", "?limit=99999999999999999999", "?cursor=zz"):
            with self.subTest(query):
                self.assertIn(self.proxy.admin("GET", f"/api/cache/keys{query}").status, (200, 400))

    def test_entry(self):
        self.fill("/users/42")
        answer = self.assert_success(self.proxy.entry("cache:user:42"))
        self.assertIn("cache:user:42", str(answer))
        self.assert_error(self.proxy.entry("cache:user:43"), 404)
        self.assert_success(self.proxy.entry("cache:user:42", "DELETE"))
        self.assert_purged(["/users/42"], {"/users/42"})

    def test_entry_of_a_key_with_slashes(self):
        proxy = self.larder(self.site, rules='types: { page: { ttl: 1h } }\nroutes:\n'
                                             '  - { match: GET /**, cache: page, key: "p:{query.p}" }')
        proxy.get("/x?p=a/b")
        self.assertEqual(proxy.entry("cache:p:a/b").status, 200)
        self.assertEqual(proxy.entry("cache:p:a/b", "DELETE").status, 200)
        self.assert_outcome(proxy.get("/x?p=a/b"), "MISS")


class Purges(AdminCase):
    TARGETS = ["/users/1", "/users/2", "/search?q=1", "/a/b", "/a/b/c"]

    def setUp(self):
        super().setUp()
        self.fill(*self.TARGETS)

    def purge(self, path, body=None):
        return self.assert_success(self.proxy.admin("POST", path, body))

    def test_type(self):
        self.purge("/api/cache/invalidate/search")
        self.assert_purged(self.TARGETS, {"/search?q=1"})

    def test_pattern(self):
        self.purge("/api/cache/invalidate-pattern", {"pattern": "cache:user:*"})
        self.assert_purged(self.TARGETS, {"/users/1", "/users/2"})

    def test_exact_key_as_pattern(self):
        self.purge("/api/cache/invalidate-pattern", {"pattern": "cache:user:2"})
        self.assert_purged(self.TARGETS, {"/users/2"})

    def test_tag(self):
        self.purge("/api/cache/invalidate-pattern", {"tag": "user:1"})
        self.assert_purged(self.TARGETS, {"/users/1"})
        self.purge("/api/cache/invalidate-pattern", {"tag": "people"})
        self.assert_purged(self.TARGETS, {"/users/1", "/users/2"})

    def test_path(self):
        self.purge("/api/cache/invalidate-pattern", {"path": "/a/*"})
        self.assert_purged(self.TARGETS, {"/a/b"})
        self.purge("/api/cache/invalidate-pattern", {"path": "/a/**"})
        self.assert_purged(self.TARGETS, {"/a/b", "/a/b/c"})

    def test_clear_all(self):
        self.purge("/api/cache/clear-all")
        self.assert_purged(self.TARGETS, set(self.TARGETS))

    def test_unknown_type(self):
        self.assert_error(self.proxy.admin("POST", "/api/cache/invalidate/nosuchtype"), 400, 404)
        self.assert_purged(self.TARGETS, set())

    def test_bad_bodies(self):
        path = "/api/cache/invalidate-pattern"
        for body in (b"", b"{", b"[]", b"null", b"7", b'"cache:*"', b"{}", b'{"pattern": 7}', b'{"pattern": ""}',
                     b'{"pattern": null}', b'{"pattern": ["cache:*"]}', b'{"unknown": "x"}', b"\xff\xfe", b"[" * 100000,
                     b'{"pattern": "' + b"x" * 200000 + b'"}'):
            with self.subTest(body[:40]):
                self.assert_error(self.proxy.admin("POST", path, body), 400, 413, 422)
        self.assert_purged(self.TARGETS, set())

    def test_hostile_patterns_do_not_hang(self):
        for pattern in ("*a" * 500 + "b", "cache:" + "?*" * 500, "[" * 1000, "\\" * 999, "**" * 500):
            response = self.proxy.admin("POST", "/api/cache/invalidate-pattern", {"pattern": pattern})
            self.assertIn(response.status, (200, 400))
            self.assertEqual(self.proxy.get("/users/1").status, 200)


class Off(IntegrationCase):
    def test_the_admin_api_can_be_off(self):
        site = self.origin()
        site.answers("/", "x")
        proxy = self.larder(site, rules=HOUR_RULES, options=["--admin", "off"])
        self.assertIsNone(proxy.admin_port)
        self.assertEqual(proxy.get("/").status, 200)


class Readiness(IntegrationCase):
    def test_ready_while_redis_is_away(self):
        """Redis is a tier, never a dependency: without it Larder is as ready as with it."""
        redis = self.redis()
        proxy = self.larder(self.origin(), redis=redis, rules=HOUR_RULES)
        eventually(lambda: proxy.admin("GET", "/ready", token=None).status == 200, "Larder is ready")
        redis.kill()
        self.assertEqual(proxy.admin("GET", "/health", token=None).status, 200)
        self.assertEqual(proxy.admin("GET", "/ready", token=None).status, 200)


if __name__ == "__main__":
    unittest.main()
