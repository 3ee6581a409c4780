"""Shadow mode and verification: what the cache would have served, or has served, beside what the origin says."""

import unittest

from .support.integration_case import IntegrationCase
from .support.larder_process import run_program
from .support.waiting import eventually, in_parallel

SHADOW = """
mode: shadow
types: { page: { ttl: 1h } }
routes:
  - match: GET /served/**
    cache: page
    mode: serve
  - match: GET /mine/**
    cache: page
    identity: header:Authorization
  - match: GET /users/**
    cache: page
    store_despite: [authorization]
  - match: GET /**
    cache: page
  - match: [POST, PUT] /**
    purge: [ { type: page } ]
"""


def verifying(share="100%", extra=""):
    return f"""
verify: {share}
types: {{ page: {{ ttl: 1h }} }}
routes:
  - match: GET /unverified/**
    cache: page
    verify: off
  - match: GET /with-cookies/**
    cache: page
    verify: {{ share: 100%, credentials: true }}
  - match: GET /**
    cache: page
{extra}"""


class CheckCase(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.body = "first"
        self.site.on("*", lambda exchange: exchange.reply(200, {"Content-Type": "text/plain"}, body=self.body))

    def figures(self, kind, route=None):
        stats = self.proxy.stats()[kind]
        if route is None:
            return stats
        rows = [row for row in stats["routes"] if row["match"] == route]
        return rows[0] if rows else {}

    def wait_for(self, kind, **expected):
        """Waits until the figures are those, and returns all."""
        def are_there():
            found = self.figures(kind)
            return found if {name: found[name] for name in expected} == expected else None
        try:
            return eventually(are_there, f"{kind} says {expected}", deadline=10)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {self.figures(kind)}") from None

    def examples(self):
        response = self.proxy.admin("GET", "/api/cache/checks")
        self.assertEqual(response.status, 200)
        return response.json["examples"]


class Shadow(CheckCase):
    def start(self, rules=SHADOW, **options):
        self.proxy = self.larder(self.site, rules=rules, **options)

    def get(self, target, outcome, fields=(), body=None):
        response = self.proxy.get(target, fields)
        self.assert_outcome(response, "BYPASS", body=self.body if body is None else body)
        self.assert_member(response, "Cache-Status", f"Larder; fwd=bypass; fwd-status=200; detail=shadow_{outcome};")
        self.assertFalse(response.fields.has("Age"))
        return response

    def test_nothing_is_served_and_all_is_reckoned(self):
        self.start()
        key = self.get("/a", "miss").key
        for number in range(4):
            self.get("/a", "hit")
            self.assertEqual(self.site.count("/a"), number + 2, "the origin answers each")
        self.wait_for("shadow", requests=5, would_hit=4, would_miss=1, hit_rate=80.0, same=4, stale=0, mixed=0,
                      wrong_rate=0.0)
        self.assertEqual(self.figures("shadow", "GET /**")["would_hit"], 4)
        self.assertEqual(self.proxy.entry(key).status, 200, "it is stored")
        self.assertEqual(self.proxy.stats()["hits"], 0)
        self.assertEqual(self.examples(), [])

    def test_answers_that_would_have_been_stale(self):
        self.start()
        self.get("/a?q=1&token=s3cret", "miss")
        self.body = "second"
        for _ in range(2):  # what is stored stays as it would have
            self.get("/a?q=1&token=s3cret", "hit")
        figures = self.wait_for("shadow", would_hit=2, stale=2, mixed=0, same=0, wrong_rate=100.0)
        self.assertEqual(figures["routes"][0]["match"], "GET /**")
        example = self.examples()[0]
        self.assertEqual({name: example[name] for name in ("kind", "verdict", "route", "target", "differs")},
                         {"kind": "shadow", "verdict": "stale", "route": "GET /**", "target": "/a?q=1&token=***",
                          "differs": ["body"]})
        self.assertTrue(example["key"].startswith("cache:page:"))
        self.assertRegex(example["stored"]["sha256"], "^[0-9a-f]{64}$")
        self.assertRegex(example["origin"]["sha256"], "^[0-9a-f]{64}$")
        self.assertNotEqual(example["stored"]["sha256"], example["origin"]["sha256"])

    def test_a_write_makes_it_a_miss_and_no_false_alarm(self):
        self.start()
        self.get("/a", "miss")
        self.body = "second"
        self.proxy.request("PUT", "/a", body="x")
        self.get("/a", "miss")
        self.get("/a", "hit")
        self.wait_for("shadow", would_hit=1, would_miss=2, same=1, stale=0)

    def test_what_is_purged_while_the_origin_answers_is_no_stale_answer(self):
        self.start()
        self.get("/a", "miss")
        gate = self.gate()

        def slow(exchange):
            gate.pass_through()
            exchange.reply(200, {"Content-Type": "text/plain"}, body="second")
        self.site.on("/a", slow, method="GET")
        join = in_parallel(1, lambda _: self.proxy.get("/a"))
        gate.wait_for_arrivals()
        self.proxy.request("PUT", "/a", body="x")
        gate.open()
        join()
        self.wait_for("shadow", would_hit=1, purged=1, stale=0, mixed=0)
        self.assertEqual(self.examples(), [])

    def test_answers_that_would_have_been_anothers(self):
        self.start()
        self.site.on("/users/me", lambda exchange: exchange.reply(
            200, {"Content-Type": "text/plain"}, body=exchange.request.fields.get("Authorization", "nobody")))
        self.get("/users/me", "miss", {"Authorization": "ada"}, body="ada")
        self.get("/users/me", "hit", {"Authorization": "ada"}, body="ada")
        self.get("/users/me", "hit", {"Authorization": "bob"}, body="bob")
        self.get("/users/me", "hit", body="nobody")
        self.wait_for("shadow", would_hit=3, same=1, mixed=2, stale=0)
        self.assertEqual({example["verdict"] for example in self.examples()}, {"mixed"})
        self.assertNotIn("bob", str(self.examples()))

    def test_an_identity_keeps_them_apart(self):
        self.start()
        self.site.on("/mine/me", lambda exchange: exchange.reply(
            200, {"Content-Type": "text/plain"}, body=exchange.request.fields.get("Authorization")))
        for user in ("ada", "bob"):
            self.get("/mine/me", "miss", {"Authorization": user}, body=user)
            self.get("/mine/me", "hit", {"Authorization": user}, body=user)
        self.wait_for("shadow", would_hit=2, would_miss=2, same=2, mixed=0)

    def test_status_and_fields_count_others_do_not(self):
        self.start("compared_fields: [Content-Type, X-Version]\n" + SHADOW)
        answers = [(200, {"X-Version": "1", "X-Time": "1"}, "x"), (200, {"X-Version": "1", "X-Time": "2"}, "x"),
                   (200, {"X-Version": "2"}, "x"), (404, {"X-Version": "1"}, "x")]
        for status, fields, body in answers:
            self.site.on("/a", lambda exchange, s=status, f=fields, b=body: exchange.reply(s, f, body=b))
            self.assertEqual(self.proxy.get("/a").status, status)
        self.wait_for("shadow", would_hit=3, same=1, stale=2)
        self.assertEqual([example["differs"] for example in self.examples()], [["status"], ["X-Version"]])

    def test_what_cannot_be_compared(self):
        self.start()
        self.get("/a", "miss")
        self.proxy.request("HEAD", "/a")
        self.site.on("/a", lambda exchange: exchange.reply(206, {"Content-Range": "bytes 0-0/5"}, body="f"))
        self.assertEqual(self.proxy.get("/a", {"Range": "bytes=0-0"}).status, 206)
        self.site.on("/a", lambda exchange: exchange.reply(500, body="x"))
        self.assertEqual(self.proxy.get("/a").status, 500)
        self.wait_for("shadow", would_hit=3, incomparable=2, failed=1, same=0, stale=0)
        self.site.kill()
        self.assertEqual(self.proxy.get("/a").status, 502)
        self.wait_for("shadow", would_hit=4, failed=2)

    def test_a_clients_validators(self):
        self.start()
        self.site.on("/a", lambda exchange: exchange.reply(200, {"ETag": '"1"'}, body="x"))
        self.proxy.get("/a")
        self.site.on("/a", lambda exchange: exchange.reply(304, {"ETag": exchange.request.fields.get("If-None-Match")}))
        self.assertEqual(self.proxy.get("/a", {"If-None-Match": '"1"'}).status, 304)
        self.wait_for("shadow", would_hit=1, same=1)
        self.assertEqual(self.proxy.get("/a", {"If-None-Match": '"2"'}).status, 304)
        self.wait_for("shadow", would_hit=2, same=1, stale=1)
        self.assertEqual(self.examples()[0]["differs"], ["ETag"])

    def test_one_route_may_serve(self):
        self.start()
        self.assert_outcome(self.proxy.get("/served/a"), "MISS")
        self.assert_outcome(self.proxy.get("/served/a"), "HIT")
        self.assertEqual(self.figures("shadow")["requests"], 0)

    def test_redis_counts(self):
        redis = self.redis()
        self.start(redis=redis)
        eventually(lambda: self.proxy.stats()["redis"]["readable"], "Redis is in use")
        self.get("/a", "miss")
        redis.wait_for_keys()
        self.proxy.restart()
        eventually(lambda: self.proxy.stats()["redis"]["readable"], "Redis is in use")
        self.get("/a", "hit")
        self.wait_for("shadow", would_hit=1, same=1)

    def test_large_and_broken_answers(self):
        self.start(settings="cache: { max_object: 1KiB }\n")
        self.body = "x" * 2000
        for _ in range(2):
            self.get("/large", "miss")

        def breaks(exchange):
            exchange.send_head(200, {"Content-Length": "1000"})
            exchange.send(b"x" * 10)
            exchange.close()
        self.site.on("/broken", breaks)
        for _ in range(2):
            connection = self.connect(self.proxy)
            connection.send_request("GET", "/broken")
            self.assertNotIn(b"x" * 11, connection.reader.to_end())
        self.assertEqual(self.wait_for("shadow", requests=4)["would_miss"], 4)


class Verify(CheckCase):
    def start(self, rules=None, **options):
        options.setdefault("settings", "cache: { verify_rate: 1000 }\n")
        self.proxy = self.larder(self.site, rules=rules or verifying(), workers=1, **options)

    def hits(self, target, count, fields=(), body=None):
        for _ in range(count):
            self.assert_outcome(self.proxy.get(target, fields), "HIT", body=body)

    def test_hits_that_are_right(self):
        self.start()
        self.assert_outcome(self.proxy.get("/a"), "MISS")
        for number in range(3):
            self.hits("/a", 1)
            self.wait_for("verify", verified=number + 1, same=number + 1, stale=0)
        self.assertEqual(self.site.count("/a"), 4)
        self.assertEqual(self.figures("verify", "GET /**")["same"], 3)
        self.assertEqual(self.proxy.stats()["hits"], 3)

    def test_hits_that_were_stale(self):
        self.start()
        self.proxy.get("/a")
        for number, body in enumerate(("second", "a longer one than what is stored", "", "fresh"), 1):
            self.body = body
            self.hits("/a", 1, body="first")
            self.wait_for("verify", stale=number, same=0)
        self.assertEqual([example["kind"] for example in self.examples()], ["verify"] * 4)
        self.assertEqual([example["origin"]["sha256"] is None for example in self.examples()],
                         [False, False, True, True], "of what is longer than what is stored, no more is read")

    def test_who_wrote_through_the_cache_sees_none(self):
        self.start(verifying(extra="  - match: PUT /**\n    purge: [ { type: page } ]\n"))
        self.proxy.get("/a")
        self.body = "second"
        self.proxy.request("PUT", "/a", body="x")
        self.assert_outcome(self.proxy.get("/a"), "MISS", body="second")
        self.hits("/a", 1, body="second")
        self.wait_for("verify", same=1, stale=0)

    def test_requests_with_credentials_are_not_sent_again(self):
        self.start()
        self.proxy.get("/a")
        self.hits("/a", 2, {"Cookie": "session=1"})
        self.wait_for("verify", verified=0, skipped_credentials=2)
        self.assertEqual(self.site.count("/a"), 1)

    def test_unless_the_rule_says_so(self):
        self.start()
        self.site.on("/with-cookies/a", lambda exchange: exchange.reply(
            200, body=exchange.request.fields.get("Cookie", "nobody")))
        self.proxy.get("/with-cookies/a", {"Cookie": "ada"})
        self.hits("/with-cookies/a", 1, {"Cookie": "ada"}, body="ada")
        self.wait_for("verify", same=1)
        self.hits("/with-cookies/a", 1, {"Cookie": "bob"}, body="ada")
        self.wait_for("verify", same=1, mixed=1, stale=0)
        self.assertEqual(self.examples()[0]["verdict"], "mixed")

    def test_off_for_a_route_and_by_default(self):
        self.start()
        self.proxy.get("/unverified/a")
        self.hits("/unverified/a", 3)
        self.start(verifying("off"))
        self.proxy.get("/b")
        self.hits("/b", 3)
        self.assertEqual(self.site.count("/unverified/a") + self.site.count("/b"), 2)
        self.assertEqual(self.figures("verify")["routes"], [])

    def test_the_rate_is_bounded(self):
        self.start(settings="cache: { verify_rate: 2 }\n")
        self.proxy.get("/a")
        connection = self.connect(self.proxy)
        connection.send(b"GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n" * 50)
        for _ in range(50):
            self.assert_outcome(connection.read_response(), "HIT")
        figures = eventually(lambda: (lambda f: f if f["verified"] + f["skipped_rate"] == 50 else None)(
            self.figures("verify")), "all are reckoned")
        self.assertLessEqual(figures["verified"], 4)
        self.assertGreaterEqual(figures["verified"], 2)

    def test_so_is_how_many_are_under_way(self):
        self.start(settings="cache: { verify_rate: 1000, verify_parallel: 1 }\n")
        self.proxy.get("/a")
        gate = self.gate()

        def slow(exchange):
            gate.pass_through()
            exchange.reply(200, {"Content-Type": "text/plain"}, body="first")
        self.site.on("/a", slow)
        self.hits("/a", 1)
        gate.wait_for_arrivals()
        self.hits("/a", 5)
        self.wait_for("verify", skipped_rate=5, verified=0)
        gate.open()
        self.wait_for("verify", skipped_rate=5, same=1)
        self.hits("/a", 1)
        self.wait_for("verify", same=2)

    def test_ranges_and_conditions_are_asked_about_whole(self):
        self.start()
        self.site.on("/a", lambda exchange: exchange.reply(200, {"ETag": '"1"'}, body="first"))
        self.proxy.get("/a")
        self.assertEqual(self.proxy.get("/a", {"Range": "bytes=0-1"}).status, 206)
        self.wait_for("verify", same=1)
        self.assertEqual(self.proxy.get("/a", {"If-None-Match": '"1"'}).status, 304)
        self.wait_for("verify", same=2)
        self.assertFalse(any(request.fields.has("Range") or request.fields.has("If-None-Match")
                             for request in self.site.requests))

    def test_an_origin_that_fails(self):
        self.start()
        self.proxy.get("/a")
        self.site.on("/a", lambda exchange: exchange.reply(503, body="x"))
        self.hits("/a", 1)
        self.wait_for("verify", failed=1, stale=0)
        self.site.kill()
        self.hits("/a", 1)
        self.wait_for("verify", failed=2, stale=0)

    def test_hits_in_redis_too(self):
        redis = self.redis()
        self.start(redis=redis, memory="off")
        eventually(lambda: self.proxy.stats()["redis"]["readable"], "Redis is in use")
        self.proxy.get("/a")
        redis.wait_for_keys()
        self.hits("/a", 1)
        self.wait_for("verify", same=1)


class BadRules(IntegrationCase):
    def test_faults(self):
        site = self.origin()
        proxy = self.larder(site)
        for text, says in (("mode: shade\n", "mode"), ("verify: 1\n", "verify"), ("verify: 200%\n", "200%"),
                           ("verify: { credentials: true }\n", "share"), ("verify: { share: 1%, x: 1 }\n", "x"),
                           ("compared_fields: [\"a b\"]\n", "a b")):
            with self.subTest(text):
                path = proxy.write("bad.yaml", "types: { page: {} }\n" + text)
                ended = run_program("check", "--config",
                                    proxy.write("c.yaml", "origin: { servers: [http://127.0.0.1:1] }\n"), "--rules", path)
                self.assertNotEqual(ended.returncode, 0)
                self.assertRegex(ended.stdout, rf"bad\.yaml:2: .*{says}")


if __name__ == "__main__":
    unittest.main()
