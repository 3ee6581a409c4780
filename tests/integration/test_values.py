"""The key-value API: what services store, who may, and that nothing old ever comes back."""

import json
import threading
import time
import unittest
import urllib.parse

from .support import raw_client
from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import settings
from .support.tcp_link import TcpLink
from .support.waiting import eventually, in_parallel

NAMESPACES = """
namespaces:
  session: { ttl: 1h, read: "${SESSION_READ}", write: ["${SESSION_WRITE}", "${ROTATED:-}"] }
  user: { ttl: 30m, write: "${USER_WRITE}" }
"""
TOKENS = {"SESSION_READ": "read-session-token", "SESSION_WRITE": "write-session-token", "USER_WRITE": "user-token"}

HOSTILE_KEYS = ["a/b", "a//b", "/a", "a/", "a b", "a%b", "%41", "%", "a?b=c", "a#b", "a&b", "a+b", "ключ:42", "鍵", "\x00", "a\r\nb",
                "{}[]", "*", "session:*", "\\", "'\"", "<script>", "a:b:c", ":", ":x", "4:all:,", "x" * 512, "😀" * 128]
DOTTED_KEYS = [".", "..", "../../set", "a/../b", "./a"]


class ValueCase(IntegrationCase):
    def start(self, redis="off", rules=HOUR_RULES + NAMESPACES, **options):
        options.setdefault("environment", TOKENS)
        larder = self.larder("http://127.0.0.1:9", rules=rules, redis=redis, **options)
        if redis != "off":
            self.wait_for_redis(larder)
        return larder

    @staticmethod
    def wait_for_redis(larder):
        eventually(lambda: larder.stats()["kv"]["redis"]["readable"], "the key-value store reads Redis")

    @staticmethod
    def wait_until_alone(larder):
        eventually(lambda: larder.stats()["kv"]["redis"]["alone"], "it knows that there is no other node")

    @staticmethod
    def wait_until_away(larder):
        eventually(lambda: not larder.stats()["kv"]["redis"]["attached"], "it knows that Redis is away")

    @staticmethod
    def wait_until_delivered(larder):
        eventually(lambda: larder.stats()["kv"]["redis"]["pending"] == 0, "every change is delivered")

    def put(self, larder, key, value, status=200, token=True, **more):
        response = larder.admin("POST", "/cache/set", {"key": key, "value": value, **more}, token=token)
        self.assertEqual(response.status, status, response.body)
        return response.json

    @staticmethod
    def fetch(larder, key, token=True):
        return larder.admin("GET", "/cache/get/" + urllib.parse.quote(key, safe=""), token=token)

    def value(self, larder, key):
        """The value, or None where there is none."""
        response = self.fetch(larder, key)
        self.assertIn(response.status, (200, 404), response.body)
        return response.json["value"] if response.status == 200 else None

    def assert_value(self, larder, key, value):
        response = self.fetch(larder, key)
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual(response.json["value"], value)

    def assert_missing(self, larder, key, *reasons):
        response = self.fetch(larder, key)
        self.assertEqual(response.status, 404, response.body)
        self.assertEqual(response.json["error"], "no_value")
        if reasons:
            self.assertIn(response.json["reason"], reasons)

    def clear(self, larder, key, token=True):
        return larder.admin("DELETE", "/cache/clear/" + urllib.parse.quote(key, safe=""), token=token)

    def flush(self, larder, space=""):
        response = larder.admin("DELETE", "/cache/flush" + space)
        self.assertEqual(response.status, 200, response.body)
        return response.json

    def lease(self, larder, key, **more):
        return larder.admin("POST", "/cache/get-or-set", {"key": key, **more})

    def granted(self, larder, key, **more):
        response = self.lease(larder, key, **more)
        self.assertEqual((response.status, response.json.get("state")), (200, "lease"), response.body)
        return response.json["lease"]


class WithoutRedis(ValueCase):
    def setUp(self):
        self.node = self.start()

    def test_what_is_stored_is_found_until_it_is_cleared(self):
        self.assert_missing(self.node, "session:1", "absent")
        stored = self.put(self.node, "session:1", {"user": 42})
        self.assertEqual((stored["status"], stored["key"], stored["ttl"]), ("success", "session:1", 3600))
        found = self.fetch(self.node, "session:1").json
        self.assertEqual((found["status"], found["key"], found["value"]), ("success", "session:1", {"user": 42}))
        self.assertIn(found["ttl"], (3599, 3600))
        self.put(self.node, "session:1", "other", ttl=60)
        self.assert_value(self.node, "session:1", "other")
        exists = self.node.admin("GET", "/cache/exists/session:1").json
        self.assertTrue(exists["exists"] and exists["ttl"] <= 60)
        self.assertTrue(self.clear(self.node, "session:1").json["cleared"])
        self.assert_missing(self.node, "session:1", "absent")
        self.assertFalse(self.clear(self.node, "session:1").json["cleared"])
        self.assertFalse(self.node.admin("GET", "/cache/exists/session:1").json["exists"])

    def test_a_value_is_kept_byte_for_byte(self):
        for text in ("null", "true", "0", "-0.0", "1.10", "123456789012345678901234567890", "1e2", '""', "[]", "{}",
                     '{"a": [1, {"b": "}],"}], "a2" :2}', '"\\u00e9\\"\\\\"', '"é😀"', '{"a":1,"a":2}'):
            with self.subTest(text=text):
                body = b'{"value" : ' + text.encode() + b' , "key":"v"}'
                response = self.node.admin("POST", "/cache/set", body)
                self.assertEqual(response.status, 200, response.body)
                self.assertIn(b'"value":' + text.encode() + b',"ttl":', self.fetch(self.node, "v").body)

    def test_a_value_ends_with_its_ttl(self):
        self.put(self.node, "short", 1, ttl=1)
        self.assert_value(self.node, "short", 1)
        eventually(lambda: self.fetch(self.node, "short").status == 404, "it has expired")

    def test_a_namespace_gives_the_ttl(self):
        for key, ttl in (("session:1", 3600), ("user:1", 1800), ("anything", 3600), ("other:1", 3600)):
            self.assertEqual(self.put(self.node, key, 1)["ttl"], ttl, key)

    def test_keys_of_every_kind(self):
        for number, key in enumerate(HOSTILE_KEYS + DOTTED_KEYS):
            self.put(self.node, key, number)
        for number, key in enumerate(HOSTILE_KEYS):
            self.assert_value(self.node, key, number)
        for number, key in enumerate(HOSTILE_KEYS + DOTTED_KEYS):
            response = self.node.admin("GET", "/cache/get?key=" + urllib.parse.quote(key, safe=""))
            self.assertEqual((response.status, response.json.get("value")), (200, number), key)
            self.assertEqual(response.json["key"], key)
        many = self.node.admin("POST", "/cache/get-many", {"keys": HOSTILE_KEYS + ["missing"]}).json
        self.assertEqual(many["values"]["ключ:42"]["value"], HOSTILE_KEYS.index("ключ:42"))
        self.assertEqual(len(many["values"]), len(HOSTILE_KEYS))
        self.assertEqual(many["missing"], {"missing": "absent"})
        self.assertTrue(self.clear(self.node, "*").json["cleared"])
        self.assert_value(self.node, "a b", HOSTILE_KEYS.index("a b"))

    def test_wrong_requests_are_told_what_is_wrong(self):
        good = {"key": "k", "value": 1}
        table = [("POST", "/cache/set", b"", 400, "bad_body"), ("POST", "/cache/set", b"[]", 400, "bad_body"),
                 ("POST", "/cache/set", b"{", 400, "bad_body"), ("POST", "/cache/set", b"\xff", 400, "bad_body"),
                 ("POST", "/cache/set", b'{"key":"\xff","value":1}', 400, "bad_body"),
                 ("POST", "/cache/set", b'{"key":"k","value":1,"value":2}', 400, "bad_body"),
                 ("POST", "/cache/set", {"key": "k"}, 400, "bad_body"),
                 ("POST", "/cache/set", {"value": 1}, 400, "bad_body"),
                 ("POST", "/cache/set", {"key": 1, "value": 1}, 400, "bad_body"),
                 ("POST", "/cache/set", {**good, "TTL": 1}, 400, "bad_body"),
                 ("POST", "/cache/set", {"key": "", "value": 1}, 400, "bad_key"),
                 ("POST", "/cache/set", {"key": "x" * 513, "value": 1}, 400, "key_too_long"),
                 ("POST", "/cache/set", {"key": "k", "value": "x" * (1 << 20)}, 413, "value_too_large"),
                 ("POST", "/cache/set", {"key": "k", "value": "x" * (2 << 20)}, 413, "body_too_large"),
                 ("POST", "/cache/set", {**good, "lease": "nobody-knows-it"}, 409, "lease_lost"),
                 ("POST", "/cache/set", {**good, "lease": 7}, 400, "bad_body"),
                 ("GET", "/cache/set", None, 405, "wrong_method"), ("POST", "/cache/get/k", b"", 405, "wrong_method"),
                 ("GET", "/cache/get", None, 400, "no_key"), ("GET", "/cache/get/", None, 400, "no_key"),
                 ("GET", "/cache/get?key=a&b=c", None, 400, "no_key"),
                 ("GET", "/cache/get/%ff", None, 400, "bad_key"),
                 ("GET", "/cache/get/" + "x" * 513, None, 400, "key_too_long"),
                 ("GET", "/cache/nothing", None, 404, "unknown_path"), ("GET", "/cache", None, 404, "unknown_path"),
                 ("GET", "/cache/setter", None, 404, "unknown_path"),
                 ("DELETE", "/cache/flush/nobody", None, 404, "unknown_namespace"),
                 ("DELETE", "/cache/flush/default", None, 404, "unknown_namespace"),
                 ("POST", "/cache/get-many", {"keys": "k"}, 400, "bad_body"),
                 ("POST", "/cache/get-many", {"keys": [1]}, 400, "bad_body"),
                 ("POST", "/cache/get-many", {"keys": ["k"] * 101}, 413, "too_many_keys"),
                 ("POST", "/cache/get-or-set", {"key": "k", "lease": 1e9}, 400, "bad_time"),
                 ("POST", "/cache/get-or-set", {"key": "k", "wait": -1}, 400, "bad_time"),
                 ("POST", "/cache/release", {"key": "k"}, 400, "bad_body"),
                 ("POST", "/cache/release", {"key": "k", "lease": "unknown"}, 409, "lease_lost")]
        table += [("POST", "/cache/set", {**good, "ttl": ttl}, 400, "bad_ttl")
                  for ttl in (0, -1, 1.5, "1", True, 1e30, 10**30, 31 * 86400)]
        for method, target, body, status, error in table:
            with self.subTest(method=method, target=target[:40], body=str(body)[:60]):
                response = self.node.admin(method, target, body)
                self.assertEqual((response.status, response.json["error"]), (status, error), response.body)
                self.assertTrue(response.json["message"])
        form = self.node.admin("POST", "/cache/set", b'{"key":"k","value":1}',
                               fields=[("Content-Type", "application/x-www-form-urlencoded")])
        self.assertEqual((form.status, form.json["error"]), (415, "not_json"))
        self.assert_missing(self.node, "k", "absent")

    def test_memory_is_bounded(self):
        node = self.start(settings=settings(kv={"memory": "1MiB", "max_value": "64KiB"}))
        for number in range(200):
            self.put(node, f"big:{number}", "x" * 60000)
        kv = node.stats()["kv"]
        self.assertLessEqual(kv["bytes"], 1 << 20)
        self.assertGreater(kv["evictions"], 150)
        self.assert_value(node, "big:199", "x" * 60000)

    def test_it_can_be_off(self):
        node = self.start(settings="kv: off\n")
        response = self.fetch(node, "k")
        self.assertEqual((response.status, response.json["error"]), (403, "kv_off"))
        self.assertIsNone(node.stats()["kv"])

    def test_flushes_are_of_a_namespace_or_of_all_and_leave_responses_alone(self):
        origin = self.origin()
        origin.on("*", lambda exchange: exchange.reply(200, body="x"))
        node = self.larder(origin, rules=HOUR_RULES + NAMESPACES, environment=TOKENS)
        self.assert_outcome(node.get("/a"), "MISS")
        for key in ("session:1", "user:1", "plain"):
            self.put(node, key, 1)
        self.flush(node, "/session")
        self.assert_missing(node, "session:1")
        self.assert_value(node, "user:1", 1)
        self.flush(node)
        for key in ("user:1", "plain"):
            self.assert_missing(node, key)
        self.assert_outcome(node.get("/a"), "HIT")
        self.put(node, "plain", 2)
        self.assertEqual(node.admin("POST", "/api/cache/clear-all").status, 200)
        self.assert_outcome(node.get("/a"), "MISS")
        self.assert_value(node, "plain", 2)
        self.assertEqual(node.admin("POST", "/api/cache/clear-all?kv=true").status, 200)
        self.assert_missing(node, "plain")
        self.assert_outcome(node.get("/a"), "MISS")

    def test_statistics_by_namespace(self):
        self.put(self.node, "session:1", 1)
        self.value(self.node, "session:1")
        self.value(self.node, "session:2")
        self.value(self.node, "other:2")
        self.clear(self.node, "session:1")
        kv = self.node.stats()["kv"]
        session = kv["namespaces"]["session"]
        self.assertEqual((session["hits"], session["misses"], session["sets"], session["clears"], session["hit_rate"]),
                         (1, 1, 1, 1, 50))
        self.assertEqual(kv["namespaces"]["default"]["misses"], 1)
        self.assertEqual(kv["entries"], 0)
        self.assertIsNone(kv["redis"])

    def test_no_reader_sees_what_was_overwritten(self):
        check_promise(self, self.node, [self.node], seconds=2)


class Access(ValueCase):
    def setUp(self):
        self.node = self.start()
        self.put(self.node, "session:1", "secret")
        self.put(self.node, "user:1", "private")

    def test_each_token_is_good_for_its_namespace(self):
        reader, writer, user = TOKENS["SESSION_READ"], TOKENS["SESSION_WRITE"], TOKENS["USER_WRITE"]
        table = [("session:1", reader, 200, 403), ("session:1", writer, 200, 200), ("session:1", user, 403, 403),
                 ("user:1", reader, 403, 403), ("user:1", writer, 403, 403), ("user:1", user, 200, 200),
                 ("plain", reader, 403, 403), ("plain", user, 403, 403), ("sessions:1", writer, 403, 403),
                 ("session", writer, 403, 403), ("session:1", "wrong", 401, 401), ("session:1", None, 401, 401)]
        for key, token, reads, writes in table:
            with self.subTest(key=key, token=token):
                self.assertEqual(self.fetch(self.node, key, token).status, reads)
                self.assertEqual(self.node.admin("GET", "/cache/exists/" + key, token=token).status, reads)
                self.assertEqual(self.node.admin("POST", "/cache/get-many", {"keys": [key]}, token=token).status, reads)
                self.put(self.node, key, "changed", writes, token=token)
                self.assertEqual(self.node.admin("POST", "/cache/get-or-set", {"key": key}, token=token).status, writes)
                self.assertEqual(self.clear(self.node, key, token).status, writes)
                self.put(self.node, key, "secret")
        both = self.node.admin("POST", "/cache/get-many", {"keys": ["session:1", "user:1"]}, token=reader)
        self.assertEqual(both.status, 403)
        self.assertNotIn("secret", both.text)

    def test_what_a_namespaces_token_cannot_do(self):
        writer = TOKENS["SESSION_WRITE"]
        for method, target in (("DELETE", "/cache/flush"), ("DELETE", "/cache/flush/user")):
            self.assertEqual(self.node.admin(method, target, token=writer).status, 403, target)
        for method, target in (("GET", "/api/cache/stats"), ("POST", "/api/cache/clear-all")):
            self.assertEqual(self.node.admin(method, target, token=writer).status, 401, target)
        self.assertEqual(self.node.admin("DELETE", "/cache/flush/session", token=writer).status, 200)
        self.assert_missing(self.node, "session:1")
        self.assert_value(self.node, "user:1", "private")
        self.assertEqual(self.node.stats()["kv"]["namespaces"]["user"]["refused"], 1)

    def test_an_unset_token_opens_nothing(self):
        for token in ("", "${ROTATED:-}", "${SESSION_READ}"):
            self.assertEqual(self.node.admin("GET", "/cache/get/session:1", token=None,
                                             fields=[("Authorization", f"Bearer {token}")]).status, 401)
        node = self.start(rules=HOUR_RULES, token=None)
        response = self.fetch(node, "k", "anything")
        self.assertEqual((response.status, response.json["error"]), (403, "no_token_configured"))

    def test_namespaces_work_without_an_admin_token(self):
        node = self.start(token=None)
        self.put(node, "session:1", 1, token=TOKENS["SESSION_WRITE"])
        self.assertEqual(self.fetch(node, "session:1", TOKENS["SESSION_READ"]).json["value"], 1)

    def test_tokens_and_values_are_not_logged(self):
        for token in TOKENS.values():
            self.fetch(self.node, "session:1", token)
            self.fetch(self.node, "session:1", token + "-wrong")
        for text in [*TOKENS.values(), "secret", "private"]:
            self.assertNotIn(text, self.node.log())

    def test_the_default_namespace_can_be_off(self):
        node = self.start(rules=HOUR_RULES + NAMESPACES + "  default: off\n")
        self.assertEqual(self.put(node, "plain", 1, 404)["error"], "unknown_namespace")
        self.put(node, "session:1", 1)


class Leases(ValueCase):
    def both(self):
        """One node without Redis, and two with one."""
        redis = self.redis()
        alone = self.start()
        return [(alone, alone), (self.start(redis), self.start(redis))]

    def test_one_computes_and_the_others_wait(self):
        for here, there in self.both():
            token = self.granted(here, "report")
            join = in_parallel(8, lambda n, nodes=(here, there): self.lease(nodes[n % 2], "report", wait=20))
            eventually(lambda h=here, t=there: h.stats()["kv"]["waiting"] + t.stats()["kv"]["waiting"] ==
                       (16 if h is t else 8), "all wait")
            self.put(here, "report", [1, 2], lease=token)
            for response in join():
                self.assertEqual((response.status, response.json["state"], response.json["value"]),
                                 (200, "value", [1, 2]), response.body)
            self.assertEqual(here.stats()["kv"]["namespaces"]["default"]["leases"], 1)

    def test_who_waits_gets_the_lease_when_its_holder_dies_and_the_dead_cannot_store(self):
        for here, there in self.both():
            dead = self.granted(here, "report", lease=0.5)
            heir = self.granted(there, "report", wait=20)
            self.assertNotEqual(dead, heir)
            self.assertEqual(self.put(here, "report", "late", 409, lease=dead)["error"], "lease_lost")
            self.assert_missing(here, "report")
            self.put(there, "report", "right", lease=heir)
            self.assertEqual(self.put(here, "report", "late", 409, lease=dead)["error"], "lease_lost")
            eventually(lambda h=here: self.value(h, "report") == "right", "the other node has it")

    def test_only_one_heir(self):
        for here, there in self.both():
            self.granted(here, "report", lease=0.5)
            join = in_parallel(6, lambda n, nodes=(here, there): self.lease(nodes[n % 2], "report", wait=3, lease=30))
            states = sorted(response.json.get("state", response.json.get("error")) for response in join())
            self.assertEqual(states, ["lease"] + ["lease_wait_timeout"] * 5)

    def test_a_change_of_the_key_ends_the_lease(self):
        for here, there in self.both():
            for change in (lambda: self.clear(there, "session:r"), lambda: self.put(there, "session:r", "newer"),
                           lambda: self.flush(there, "/session"), lambda: self.flush(there)):
                self.clear(here, "session:r")
                token = self.granted(here, "session:r")
                change()
                self.assertEqual(self.put(here, "session:r", "computed from what was", 409, lease=token)["error"],
                                 "lease_lost")
                self.assertNotEqual(self.value(here, "session:r"), "computed from what was")

    def test_a_lease_can_be_given_back(self):
        for here, there in self.both():
            token = self.granted(here, "report", lease=60)
            join = in_parallel(1, lambda _, node=there: self.lease(node, "report", wait=20))
            eventually(lambda t=there: t.stats()["kv"]["waiting"] == 1, "the other one waits")
            released = here.admin("POST", "/cache/release", {"key": "report", "lease": token})
            self.assertEqual(released.status, 200, released.body)
            self.assertEqual(join()[0].json["state"], "lease")
            again = here.admin("POST", "/cache/release", {"key": "report", "lease": token})
            self.assertEqual(again.status, 409)

    def test_nobody_waits_for_ever(self):
        node = self.start()
        self.granted(node, "report", lease=60)
        for wait in (0, 0.3):
            response = self.lease(node, "report", wait=wait)
            self.assertEqual((response.status, response.json["error"]), (503, "lease_wait_timeout"))
            self.assertEqual(response.fields.get("Retry-After"), "1")

    def test_a_client_that_has_gone_gets_no_lease(self):
        node = self.start()
        token = self.granted(node, "report", lease=60)
        connection = raw_client.Connection(node.admin_port)
        body = json.dumps({"key": "report", "wait": 30, "lease": 60}).encode()
        connection.send(b"POST /cache/get-or-set HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        b"Authorization: Bearer " + node.token.encode() +
                        b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        eventually(lambda: node.stats()["kv"]["waiting"] == 1, "it waits")
        connection.reset()
        eventually(lambda: node.stats()["kv"]["waiting"] == 0, "it waits no more")
        node.admin("POST", "/cache/release", {"key": "report", "lease": token})
        self.granted(node, "report", wait=5)

    def test_leases_without_redis_meanwhile(self):
        redis = self.redis()
        node = self.start(redis)
        self.wait_until_alone(node)
        redis.kill()
        self.wait_until_away(node)
        token = self.granted(node, "report")
        self.put(node, "report", 7, lease=token)
        self.assert_value(node, "report", 7)


class WithRedis(ValueCase):
    def setUp(self):
        self.redis_server = self.redis()

    def test_redis_holds_values_in_plain_sight(self):
        node = self.start(self.redis_server)
        self.assertTrue(self.put(node, "session:42", {"user": 7})["delivered"])
        record = json.loads(self.redis_server.command("GET", "larder:kv:session:42"))
        self.assertEqual(record["value"], {"user": 7})
        self.assertGreater(self.redis_server.command("PTTL", "larder:kv:session:42"), 3590 * 1000)
        self.assertTrue(self.clear(node, "session:42").json["cleared"])
        self.assertEqual(self.redis_server.command("EXISTS", "larder:kv:session:42"), 0)

    def test_nodes_share_values_and_a_new_one_finds_them(self):
        here, there = self.start(self.redis_server), self.start(self.redis_server)
        self.put(here, "k", 1)
        self.assert_value(there, "k", 1)
        self.put(there, "k", 2)
        eventually(lambda: self.value(here, "k") == 2, "the other node has heard of it")
        for key in HOSTILE_KEYS:
            self.put(here, key, key)
        for key in HOSTILE_KEYS:
            self.assert_value(there, key, key)
        here.restart()
        self.wait_for_redis(here)
        self.assert_value(here, "k", 2)
        many = here.admin("POST", "/cache/get-many", {"keys": ["k", "a b", "none"]}).json
        self.assertEqual((many["values"]["k"]["value"], many["values"]["a b"]["value"], many["missing"]),
                         (2, "a b", {"none": "absent"}))

    def test_a_node_counts_what_others_have_changed(self):
        here, there = self.start(self.redis_server), self.start(self.redis_server)
        self.put(here, "own", 1)
        self.put(there, "others", 1)
        # The channel has an order: what is heard of the second change comes after the first.
        heard = lambda node: node.stats()["kv"]["redis"]["heard"]  # noqa: E731
        eventually(lambda: heard(here) > 0, "the change of the other node is heard")
        self.assertEqual(heard(here), 1)

    def test_flushes_reach_redis_and_other_nodes(self):
        here, there = self.start(self.redis_server), self.start(self.redis_server)
        for key in ("session:1", "user:1", "plain"):
            self.put(here, key, 1)
            self.assert_value(there, key, 1)
        self.flush(here, "/session")
        eventually(lambda: self.value(there, "session:1") is None, "the other node has heard of it")
        self.assert_missing(here, "session:1")
        self.assert_value(there, "user:1", 1)
        self.redis_server.wait_until_gone("larder:kv:session:1")
        self.put(here, "session:1", 2)
        self.assert_value(here, "session:1", 2)
        self.flush(there)
        eventually(lambda: self.value(here, "user:1") is None and self.value(here, "session:1") is None, "all is gone")
        there.restart()
        self.wait_for_redis(there)
        for key in ("session:1", "user:1", "plain"):
            self.assert_missing(there, key, "absent")
        eventually(lambda: self.redis_server.keys("larder:kv:*") == [], "the space is given back")

    def test_what_is_not_ours_is_no_value(self):
        node = self.start(self.redis_server)
        self.redis_server.command("SET", "larder:kv:a", "text")
        self.redis_server.command("LPUSH", "larder:kv:b", "text")
        self.redis_server.command("SET", "larder:kv:c", '{"epoch":"1","version":1,"value":1}')
        for key in "abc":
            self.assert_missing(node, key, "absent")
            self.put(node, key, 1)
            self.assert_value(node, key, 1)

    def test_many_changes_do_not_age_what_is_stored(self):
        """The log of changes is bounded; values are not lost with it, nor stored responses."""
        origin = self.origin()
        origin.on("*", lambda exchange: exchange.reply(200, body="x"))
        node = self.larder(origin, rules=HOUR_RULES, redis=self.redis_server)
        self.wait_for_redis(node)
        node.get("/a")
        self.put(node, "old", 1)
        # As after as many changes: the log in Redis forgets all but the newest.
        clock = int(self.redis_server.command("HGET", "larder:kv-log", "clock"))
        self.redis_server.command("HSET", "larder:kv-log", "floor", clock)
        self.redis_server.command("HDEL", "larder:kv-log", clock)
        node.restart()
        self.wait_for_redis(node)
        self.assert_value(node, "old", 1)

    def test_an_outage_loses_nothing_on_a_single_node_and_brings_nothing_back(self):
        for outage in ("kill", "pause"):
            with self.subTest(outage=outage):
                node = self.start(self.redis_server)
                self.wait_until_alone(node)
                for key in ("overwritten", "cleared", "kept", "session:flushed"):
                    self.put(node, key, "old")
                getattr(self.redis_server, outage)()
                self.assertFalse(self.put(node, "overwritten", "new")["delivered"])
                self.assertFalse(self.clear(node, "cleared").json["delivered"])
                self.flush(node, "/session")
                self.put(node, "created", "new")
                for key, value in (("overwritten", "new"), ("cleared", None), ("kept", "old"), ("session:flushed", None),
                                   ("created", "new")):
                    self.assertEqual(self.value(node, key), value, key)
                if outage == "kill":
                    self.redis_server.start()
                else:
                    self.redis_server.resume()
                end = eventually(lambda: node.stats()["kv"]["redis"]["readable"] and
                                 node.stats()["kv"]["redis"]["pending"] == 0 and time.monotonic(), "Redis is back")
                while time.monotonic() < end + 0.5:
                    self.assertEqual(self.value(node, "overwritten"), "new")
                    self.assertIsNone(self.value(node, "cleared"))
                    self.assertIsNone(self.value(node, "session:flushed"))
                eventually(lambda: (self.redis_server.command("GET", "larder:kv:kept") or b"").endswith(b'"old"}'),
                           "Redis has got what memory kept")
                other = self.start(self.redis_server)
                for key, value in (("overwritten", "new"), ("cleared", None), ("kept", "old"), ("session:flushed", None),
                                   ("created", "new")):
                    self.assertEqual(self.value(other, key), value, key)
                other.stop()
                node.stop()

    def test_nothing_old_comes_back_through_a_restart_in_an_outage(self):
        link = TcpLink(self.redis_server.port)
        self.addCleanup(link.close)
        node = self.start(f"redis://127.0.0.1:{link.port}/0")
        self.wait_until_alone(node)
        for key in ("overwritten", "cleared", "session:flushed", "kept"):
            self.put(node, key, "old")
        link.cut()
        self.wait_until_away(node)
        self.put(node, "overwritten", "new")
        self.clear(node, "cleared")
        self.flush(node, "/session")
        node.kill()
        node.start()
        for key in ("overwritten", "cleared", "session:flushed"):
            self.assertNotEqual(self.value(node, key), "old")
        link.mend()
        self.wait_for_redis(node)
        self.wait_until_delivered(node)
        for key in ("overwritten", "cleared", "session:flushed"):
            self.assert_missing(node, key)
        self.assert_value(node, "kept", "old")
        other = self.start(self.redis_server)
        for key in ("overwritten", "cleared", "session:flushed"):
            self.assert_missing(other, key)

    def test_a_snapshot_that_lacks_changes_brings_nothing_back(self):
        node, other = self.start(self.redis_server), self.start(self.redis_server)
        self.put(node, "k", "old")
        dump = self.redis_server.command("DUMP", "larder:kv:k")
        self.put(node, "k", "new")
        self.redis_server.kill()
        self.redis_server.start(keep_data=False)
        self.redis_server.command("RESTORE", "larder:kv:k", 3600000, dump)
        for larder in (node, other):
            self.wait_for_redis(larder)
            self.assertNotEqual(self.value(larder, "k"), "old")
        late = self.start(self.redis_server)
        self.assertNotEqual(self.value(late, "k"), "old")

    def test_two_nodes_that_were_apart(self):
        link = TcpLink(self.redis_server.port)
        self.addCleanup(link.close)
        apart, there = self.start(f"redis://127.0.0.1:{link.port}/0"), self.start(self.redis_server)
        self.put(apart, "both", "before")
        self.put(apart, "cleared", "before")
        for key in ("both", "cleared"):
            self.assert_value(there, key, "before")
        link.cut()
        self.wait_until_away(apart)
        for key in ("both", "cleared"):
            self.assert_missing(apart, key, "untrusted")
        self.put(apart, "both", "apart")
        self.put(apart, "one", "apart")
        self.put(apart, "cleared", "apart")
        self.put(there, "both", "there")
        self.clear(there, "cleared")
        self.assert_value(there, "both", "there")
        link.mend()
        self.wait_for_redis(apart)
        self.wait_until_delivered(apart)
        # Which was last nobody knows; neither is given out as the newest.
        for larder in (apart, there):
            eventually(lambda node=larder: self.value(node, "both") is None, "the value in conflict is removed")
            self.assert_missing(larder, "cleared")
            self.assert_value(larder, "one", "apart")
        self.assertEqual(apart.stats()["kv"]["conflicts"], 2)

    def test_a_late_command_does_not_overwrite_what_came_after(self):
        """A set that Redis reads only after its client was told that it is in the journal."""
        link = TcpLink(self.redis_server.port)
        self.addCleanup(link.close)
        slow, there = self.start(f"redis://127.0.0.1:{link.port}/0"), self.start(self.redis_server)
        self.put(slow, "k", 1)
        link.stall()
        self.assertFalse(self.put(slow, "k", 2)["delivered"])
        self.put(there, "k", 3)
        self.assert_value(there, "k", 3)
        link.flow()
        seen = []
        self.wait_for_redis(slow)
        self.wait_until_delivered(slow)
        for larder in (slow, there):
            seen.append(self.value(larder, "k"))
        self.assertNotIn(1, seen)
        self.assertNotIn(2, seen)

    def test_redis_that_refuses_writes(self):
        node = self.start(self.redis_server)
        self.put(node, "k", "old")
        self.redis_server.command("CONFIG", "SET", "maxmemory", "1")
        self.assertFalse(self.put(node, "k", "new")["delivered"])
        self.assert_value(node, "k", "new")
        self.redis_server.command("CONFIG", "SET", "maxmemory", "0")
        self.wait_until_delivered(node)
        self.assert_value(node, "k", "new")
        self.assert_value(self.start(self.redis_server), "k", "new")

    def test_with_strict_coherence_nothing_is_served_without_redis(self):
        node = self.start(None, settings=settings(redis={"url": self.redis_server.url, "coherence": "strict"}))
        self.put(node, "k", 1)
        self.assert_value(node, "k", 1)
        self.redis_server.pause()
        self.assert_missing(node, "k", "untrusted", "unavailable")
        self.assertEqual(self.put(node, "set", 2, 503)["error"], "not_coherent")
        self.assertEqual(self.clear(node, "cleared").status, 503)
        self.redis_server.resume()
        eventually(lambda: self.value(node, "k") == 1, "Redis answers again")
        self.wait_until_delivered(node)
        self.assert_missing(node, "set")

    def test_no_reader_sees_what_was_overwritten(self):
        node = self.start(self.redis_server)
        self.wait_until_alone(node)

        def disturb():
            for _ in range(3):
                self.redis_server.pause()
                time.sleep(0.3)
                self.redis_server.resume()
                time.sleep(0.3)
            self.redis_server.kill()
            time.sleep(0.3)
            self.redis_server.start()
            time.sleep(0.5)

        check_promise(self, node, [node], disturb=disturb)

    def test_no_reader_of_another_node_sees_it_with_strict_coherence(self):
        text = settings(redis={"url": self.redis_server.url, "coherence": "strict"})
        here, there = self.start(None, settings=text), self.start(None, settings=text)

        def disturb():
            for _ in range(3):
                self.redis_server.pause()
                time.sleep(0.3)
                self.redis_server.resume()
                time.sleep(0.3)

        check_promise(self, here, [here, there], disturb=disturb, strict=True)

    def test_no_reader_of_a_node_in_a_fleet_sees_it_while_redis_fails(self):
        here, there = self.start(self.redis_server), self.start(self.redis_server)
        eventually(lambda: not here.stats()["kv"]["redis"]["alone"], "it knows of the other node")

        def disturb():
            for _ in range(3):
                time.sleep(0.5)
                self.redis_server.pause()
                time.sleep(0.3)
                self.redis_server.resume()
            time.sleep(0.5)
            self.redis_server.kill()
            time.sleep(0.5)
            self.redis_server.start()
            self.wait_for_redis(here)
            time.sleep(0.5)

        check_promise(self, here, [here], disturb=disturb)
        self.wait_for_redis(there)
        self.wait_until_delivered(here)
        self.put(here, "session:n", "last")
        eventually(lambda: self.value(there, "session:n") == "last", "the other node reads what was stored last")

    def test_other_nodes_hear_of_it_at_once_where_redis_is_up(self):
        here, there = self.start(self.redis_server), self.start(self.redis_server)
        check_promise(self, here, [there], seconds=2, grace=1.0)


def check_promise(case, writer, readers, seconds=3, disturb=None, grace=0.0, strict=False):
    """One client writes 1, 2, 3 … and now and then clears; meanwhile readers check that they never see a value older than the newest change
    that was acknowledged (`grace` seconds) before they asked."""
    done = threading.Event()
    acknowledged = [(0.0, 0)]  # when, and the number that every reader may expect at least
    seen = [0] * len(readers)

    def write():
        number = 0
        while not done.is_set():
            number += 1
            if number % 7 == 0:
                response = case.clear(writer, "session:n")
            else:
                response = writer.admin("POST", "/cache/set", {"key": "session:n", "value": number})
            case.assertIn(response.status, (200, 503) if strict else (200,), response.body)
            if response.status == 200:
                acknowledged.append((time.monotonic(), number))
        return number

    def read(index):
        while not done.is_set():
            begun = time.monotonic() - grace
            least = next(number for when, number in reversed(acknowledged) if when <= begun or number == 0)
            value = case.value(readers[index], "session:n")
            if value is not None:
                case.assertGreaterEqual(value, least, "a value that was overwritten or cleared")
                seen[index] += 1

    join = in_parallel(1 + 2 * len(readers), lambda n: write() if n == 0 else read((n - 1) % len(readers)))
    try:
        if disturb:
            disturb()
        else:
            time.sleep(seconds)
    finally:
        done.set()
    changes = join()[0]
    case.assertGreater(changes, 20)
    for count in seen:
        case.assertGreater(count, 20, "the readers found values")


if __name__ == "__main__":
    unittest.main()
