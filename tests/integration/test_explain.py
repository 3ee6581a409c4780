"""Explanations: `larder explain`, POST /api/cache/explain, and X-Cache-Explain of a live request."""

import json
import os
import tempfile
import unittest

from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import REPOSITORY, run_program
from .support.raw_client import HOST
from .support.waiting import eventually

CONFIG = os.path.join(REPOSITORY, "conf", "larder.yaml")

RULES = """
types:
  page: { ttl: 1h, stale_while_revalidate: 1m }
  short: {}
routes:
  - match: GET /off/**
    cache: off
  - match: GET /products/{id}
    cache: page
    tags: ["product:{id}"]
    query: { ignore: [utm_*], sort: true }
  - match: GET /short/**
    cache: short
  - match: [PUT, DELETE] /products/{id}
    purge: [ { tag: "product:{id}" }, { tag: "q:{query.q}" } ]
  - match: GET /pages/**
    cache: page
"""


class CommandLine(unittest.TestCase):
    def explain(self, *arguments, status=0):
        done = run_program("explain", "--config", CONFIG, *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stderr

    def explain_json(self, *arguments):
        return json.loads(self.explain(*arguments, "--json"))

    def line_of(self, text):
        with open(os.path.join(REPOSITORY, "conf", "rules.yaml"), encoding="utf-8") as rules:
            return [number for number, line in enumerate(rules, 1) if text in line][0]

    def test_a_request(self):
        text = self.explain("GET", "/api/search?q=a&utm_x=1")
        self.assertRegex(text, rf"rule +\S*rules.yaml:{self.line_of('GET /api/search')}  GET /api/search  ->  cache: search")
        self.assertRegex(text, r"passed over: \S*rules.yaml:\d+  GET /docs/\*\*  \(path does not match\)")
        self.assertRegex(text, r"not looked at: \d+ behind it")
        self.assertRegex(text, r"key +cache:search:[0-9a-f]{32}")
        self.assertIn("left out: utm_x=1", text)
        self.assertIn("glob cache:search:*", text, "the writes that purge it")
        self.assertNotIn("response  ", text)

    def test_with_a_response(self):
        answer = self.explain_json("GET", "/api/products/42", "-H", "Accept-Encoding: gzip", "--status", "200",
                                   "--response-header", "Cache-Control: max-age=60, stale-if-error=10",
                                   "--response-header", "Age: 7", "--response-header", "Vary: Accept-Encoding")
        response = answer["response"]
        self.assertTrue(response["stored"])
        freshness = response["freshness"]
        self.assertEqual((freshness["freshness_lifetime"], freshness["source"]), (60, "max_age"))
        self.assertEqual((freshness["age_value"], freshness["corrected_age_value"], freshness["current_age"]),
                         (7, 7, 7))
        self.assertEqual((freshness["stale_while_revalidate"], freshness["stale_if_error"]), (60, 10))
        self.assertEqual(response["selecting_header_fields"], ["accept-encoding"])
        self.assertEqual(response["reuse"]["use"], "serve")

    def test_why_not_stored(self):
        text = self.explain("GET", "/api/dashboard", "--response-header", "Set-Cookie: sid=secret")
        self.assertIn("is not stored: set_cookie", text)
        self.assertNotIn("secret", text)
        self.assertIn("is not stored: authorization",
                      self.explain("GET", "/api/dashboard", "-H", "Authorization: Bearer secret", "--status", "200"))
        self.assertIn("route_off", self.explain("GET", "/docs/a"))
        self.assertIn("no_route", self.explain("GET", "/elsewhere"))

    def test_a_write(self):
        answer = self.explain_json("PUT", "/api/products/42")
        self.assertEqual(answer["way"], "write")
        purges = {(purge["kind"], purge["value"]): purge for purge in answer["write"]["purges"]}
        self.assertEqual(purges["tag", "product:42"]["route"]["line"], self.line_of("/api/products/{id}"))
        self.assertEqual(purges["target", "http://127.0.0.1:8080/api/products/42"]["cause"], "target_uri")
        self.assertIn(("glob", "cache:search:*"), purges)
        self.assertIn("nothing has changed", self.explain("PUT", "/api/products/42", "--status", "404"))

    def test_bad_questions_are_refused_with_what_is_wrong(self):
        for arguments, what in ((("get", "/"), "capitals"), (("GET", "nothing"), "request target"),
                                (("GET", "/", "-H", "no colon here"), "no colon"),
                                (("GET", "/", "-H", "a b: c"), "name of a field"),
                                (("GET", "/", "--status", "abc"), "no status"),
                                (("GET", "/", "--status", "99"), "from 200 to 599")):
            with self.subTest(arguments=arguments):
                error = self.explain(*arguments, status=2)
                self.assertIn(what, error)
                self.assertTrue(error.startswith("command line: "), error)

    def test_rules_alone_are_enough(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as rules:
            rules.write(RULES)
            rules.flush()
            done = run_program("explain", "--rules", rules.name, "GET", "/products/7?b=2&a=1")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("query: a=1&b=2 (sorted by name)", done.stdout)
            rules.write("  - match: nothing\n")
            rules.flush()
            done = run_program("explain", "--rules", rules.name, "GET", "/")
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{rules.name}:", done.stderr)


class RunningServer(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        self.proxy = self.larder(self.site, rules=RULES)

    def explain(self, **order):
        order.setdefault("host", HOST)
        response = self.proxy.admin("POST", "/api/cache/explain", order)
        self.assertEqual(response.status, 200, response.body)
        return response.json

    def test_before_and_after_a_fill(self):
        answer = self.explain(target="/products/7?utm_a=1")
        self.assertEqual(answer["look_up"]["outcome"], "MISS")
        self.assertEqual(answer["look_up"]["reason"]["name"], "absent")
        self.assertEqual(self.site.count("/products/7"), 0, "nothing is fetched")
        live = self.proxy.get("/products/7?utm_b=2")
        self.assert_outcome(live, "MISS")
        answer = self.explain(target="/products/7?utm_c=3")
        self.assertEqual(answer["key"]["key"], live.fields.get("X-Cache-Key"))
        look_up = answer["look_up"]
        self.assertEqual((look_up["outcome"], look_up["reason"]["name"], look_up["tier"]), ("HIT", "none", "memory"))
        entry = look_up["tiers"][0]["entry"]
        self.assertEqual(entry["freshness"]["freshness_lifetime"], 3600)
        self.assertEqual(entry["freshness"]["source"], "rule")
        self.assertEqual(entry["tags"], ["product:7"])
        self.assertEqual(entry["purged_by"][0]["when"], {"{id}": "7"})
        self.assertEqual(self.proxy.admin("GET", "/api/cache/keys").json["keys"][0]["hits"], 0, "not a use")

    def test_what_an_explained_write_purges_is_what_it_purges(self):
        self.proxy.get("/products/7")
        purges = self.explain(method="PUT", target="/products/7")["write"]["purges"]
        self.assertIn("product:7", [purge["value"] for purge in purges])
        self.assert_outcome(self.proxy.get("/products/7"), "HIT")
        self.proxy.request("PUT", "/products/7", body="y")
        self.assertEqual(self.explain(target="/products/7")["look_up"]["outcome"], "MISS")

    def test_directives_of_the_request(self):
        self.proxy.get("/products/7")
        look_up = self.explain(target="/products/7", headers={"Cache-Control": "no-cache"})["look_up"]
        self.assertEqual((look_up["outcome"], look_up["reason"]["name"]), ("MISS", "request_no_cache"))

    def test_a_stale_entry_that_can_be_validated(self):
        self.site.on("/short/a", lambda exchange: exchange.reply(200, {"Cache-Control": "max-age=0", "ETag": '"1"'},
                                                                 "x"))
        self.proxy.get("/short/a")
        look_up = self.explain(target="/short/a")["look_up"]
        self.assertEqual((look_up["outcome"], look_up["reason"]["name"]), ("MISS", "stale"))
        self.assertTrue(look_up["would_validate"])
        self.assertFalse(look_up["tiers"][0]["entry"]["freshness"]["response_is_fresh"])

    def test_redis(self):
        redis = self.redis()
        first = self.larder(self.site, rules=RULES, redis=redis)
        eventually(lambda: first.stats()["redis"]["readable"], "Redis is in use")
        first.get("/products/7")
        redis.wait_for_keys()
        second = self.larder(self.site, rules=RULES, redis=redis)

        def look_up():
            order = {"target": "/products/7", "host": HOST}
            return second.admin("POST", "/api/cache/explain", order).json["look_up"]

        def look_up_until(condition, what):
            return eventually(lambda: (lambda answer: answer if condition(answer) else None)(look_up()), what)
        found = look_up_until(lambda answer: answer["tier"] == "redis", "the entry in Redis is found")
        self.assertEqual(found["outcome"], "HIT")
        self.assertEqual([tier["found"] for tier in found["tiers"]], [False, True])
        redis.kill()
        gone = look_up_until(lambda answer: not answer["tiers"][1]["asked"], "Redis is known to be away")
        self.assertEqual((gone["outcome"], gone["reason"]["name"]), ("MISS", "absent"))

    def test_bad_orders(self):
        for body, name in ((b"", "bad_json"), (b"[" * 60000, "bad_order"), (b'{"target":"/","headers":{"A":"\\r\\n"}}',
                                                                         "bad_request"),
                           (b'{"target":"' + b"a" * 70000 + b'"}', "body_too_large")):
            with self.subTest(body=body[:40]):
                response = self.proxy.admin("POST", "/api/cache/explain", body)
                self.assertIn(response.status, (400, 413))
                self.assertEqual(response.json["error"], name)
        self.assertEqual(self.proxy.admin("POST", "/api/cache/explain", {"target": "/"}, token="wrong").status, 401)
        self.assertEqual(self.proxy.admin("GET", "/api/cache/explain").status, 405)


class LiveRequest(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.seen = []

        def answer(exchange):
            self.seen.append(exchange.request.fields.all("X-Cache-Explain"))
            exchange.reply(200, {"Vary": "X-Cache-Explain", "X-Cache-Explain": "of the origin"}, "x")
        self.site.on("*", answer)
        self.proxy = self.larder(self.site, rules=RULES)

    def get(self, target, token=None, fields=()):
        lines = list(fields)
        if token is not None:
            lines.append(("X-Cache-Explain", token))
        return self.proxy.get(target, lines)

    def test_the_reason_in_a_field(self):
        token = self.proxy.token
        miss = self.get("/products/7", token).fields.all("X-Cache-Explain")
        self.assertEqual(len(miss), 1)
        self.assertRegex(miss[0], r'^MISS; reason=absent; .*freshness-lifetime=3600; lifetime-source=rule; '
                                  r'rule="\S*rules.yaml:8"$')
        hit = self.get("/products/7", token)
        self.assert_outcome(hit, "HIT")
        self.assertRegex(hit.fields.get("X-Cache-Explain"),
                         r'^HIT; detail=memory; current-age=\d+; freshness-lifetime=3600; lifetime-source=rule; rule=')
        self.assertRegex(self.get("/off/a", token).fields.get("X-Cache-Explain"), "^BYPASS; reason=route_off")
        self.assertRegex(self.get("/products/7", token, [("Cache-Control", "no-cache")]).fields.get("X-Cache-Explain"),
                         "reason=request_no_cache")
        write = self.proxy.request("PUT", "/products/7", [("X-Cache-Explain", token)], "y")
        self.assertRegex(write.fields.get("X-Cache-Explain"), "^BYPASS; reason=method")
        self.site.on("/pages/secret", lambda exchange: exchange.reply(200, {"Cache-Control": "private"}, "x"))
        self.assertRegex(self.get("/pages/secret", token).fields.get("X-Cache-Explain"), "detail=private_response")

    def test_it_is_not_passed_on_and_no_part_of_the_key(self):
        token = self.proxy.token
        self.assert_outcome(self.get("/products/7", token), "MISS")
        self.assert_outcome(self.get("/products/7"), "HIT")
        self.assert_outcome(self.get("/products/7", "wrong"), "HIT")
        self.assert_outcome(self.get("/products/7", token), "HIT")
        self.get("/off/a", token)
        self.proxy.request("PUT", "/products/7", [("X-Cache-Explain", token)], "y")
        self.proxy.request("POST", "/elsewhere", [("X-Cache-Explain", "wrong"), ("Connection", "X-Cache-Explain")], "y")
        self.assertEqual(self.seen, [[]] * 4)
        self.assertNotIn(token, self.proxy.log())

    def test_without_the_token_it_is_ignored(self):
        self.get("/products/7")
        for token in ("", "wrong", self.proxy.token[:-1], self.proxy.token + "x", f"Bearer {self.proxy.token}"):
            response = self.get("/products/7", token)
            self.assert_outcome(response, "HIT")
            self.assertEqual(response.fields.all("X-Cache-Explain"), [], token)
        twice = self.get("/products/7", self.proxy.token, [("X-Cache-Explain", self.proxy.token)])
        self.assertEqual(twice.fields.all("X-Cache-Explain"), [])

    def test_without_a_configured_token_nobody_has_it(self):
        proxy = self.larder(self.site, rules=HOUR_RULES, token=None)
        for token in ("", "x"):
            response = proxy.get("/a", [("X-Cache-Explain", token)])
            self.assertEqual(response.fields.all("X-Cache-Explain"), [])


if __name__ == "__main__":
    unittest.main()
