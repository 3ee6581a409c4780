"""The Redis tier: shared between processes, never trusted, never needed. Faults are real: killed, paused, cut off,
flushed, full."""

import os
import socket
import threading
import time
import unittest

from .support.integration_case import HOUR_RULES, PLAIN_RULES, IntegrationCase
from .support.larder_process import run_program, settings
from .support.origin import unused_port
from .support.redis_process import RedisClient
from .support.tcp_link import TcpLink
from .support.waiting import SANITIZER, eventually, in_parallel

DEADLINE_OF_REDIS = 0.1
SLACK = 2.0 if SANITIZER else 0.5

RULES = """
types:
  page:   { ttl: 1h }
  search: { ttl: 1h }
routes:
  - match: GET /api/search
    cache: search
  - match: GET /**
    cache: page
    tags: ["all"]
"""


class NoiseServer:
    """Answers whatever comes with what is not RESP."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                try:
                    sock.recv(1 << 16)
                    sock.sendall(b"this is not RESP\r\n" * 10)
                except OSError:
                    pass

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()


class RedisCase(IntegrationCase):
    def setUp(self):
        self.server = self.redis()
        self.site = self.origin()

    def attached(self, *origins, redis=None, rules=RULES, **options):
        """A larder that Redis is there for."""
        larder = self.larder(*(origins or (self.site,)), redis=redis or self.server.url, rules=rules, **options)
        self.wait_until_available(larder)
        return larder

    def wait_until_available(self, larder):
        eventually(lambda: larder.stats()["is_available"], "Larder has Redis")

    def link(self):
        """A link to Redis that can be cut; its URL."""
        link = TcpLink(self.server.port)
        self.addCleanup(link.close)
        return link, f"redis://127.0.0.1:{link.port}/0"

    def resource(self, path="/a"):
        """A resource whose state a PUT changes; returns a function that tells the state."""
        state = ["old"]

        def write(exchange):
            state[0] = exchange.request.body.decode()
            exchange.reply(204)

        self.site.on(path, lambda exchange: exchange.reply(200, body=state[0]), "GET")
        self.site.on(path, write, "PUT")

    def only_key(self):
        keys = self.server.wait_for_keys(1)
        self.assertEqual(len(keys), 1, keys)
        return keys[0]


class Shared(RedisCase):
    def test_what_one_stores_the_other_has(self):
        self.site.numbered("/a", {"Content-Type": "text/x", "X-Kept": "yes"})
        first, second = self.attached(), self.attached()
        miss = first.get("/a")
        self.assert_outcome(miss, "MISS", "1")
        self.assertEqual(self.only_key(), miss.key)
        hit = second.get("/a")
        self.assert_outcome(hit, "HIT", "1")
        self.assertEqual((hit.key, hit.fields.get("Content-Type"), hit.fields.get("X-Kept")),
                         (miss.key, "text/x", "yes"))
        self.assertIsNotNone(hit.age)
        self.assertEqual(self.site.count(), 1)

    def test_without_memory_every_hit_is_from_redis(self):
        self.site.numbered("/a")
        proxy = self.attached(memory="off")
        proxy.get("/a")
        self.only_key()
        for _ in range(3):
            self.assert_outcome(proxy.get("/a"), "HIT", "1")
        self.server.command("FLUSHALL")
        self.assert_outcome(proxy.get("/a"), "MISS", "2")

    def test_it_outlives_the_process(self):
        self.site.numbered("/a")
        proxy = self.attached()
        proxy.get("/a")
        self.only_key()
        proxy.restart()
        self.wait_until_available(proxy)
        self.assert_outcome(proxy.get("/a"), "HIT", "1")

    def test_entries_have_a_ttl(self):
        self.site.answers("/a", "x")
        self.site.answers("/b", "x", {"Cache-Control": "max-age=60"})
        proxy = self.attached()
        ttls = {}
        for path in ("/a", "/b"):
            key = proxy.get(path).key
            eventually(lambda key=key: self.server.command("EXISTS", key), "the key is written")
            ttls[path] = self.server.command("TTL", key)
        # A minute longer than they are fresh, for clients that accept stale answers.
        self.assertIn(ttls["/a"], range(3500, 3662))
        self.assertIn(ttls["/b"], range(110, 122))

    def test_age_goes_on_across_nodes(self):
        self.site.answers("/a", "x", {"Age": "100", "Cache-Control": "max-age=600"})
        first, second = self.attached(), self.attached()
        first.get("/a")
        self.only_key()
        self.assertIn(second.get("/a").age, range(100, 110))

    def test_bodies_over_the_threshold_are_compressed(self):
        self.site.answers("/large", b"x" * 100000)
        self.site.answers("/small", b"y" * 1000)
        first, second = self.attached(), self.attached()
        large, small = first.get("/large").key, first.get("/small").key
        self.server.wait_for_keys(2)
        self.assertLess(self.server.command("STRLEN", large), 5000)
        self.assertIn(b"y" * 1000, self.server.command("GET", small))
        self.assert_outcome(second.get("/large"), "HIT", b"x" * 100000)
        self.assert_outcome(second.get("/small"), "HIT", b"y" * 1000)

    def test_compression_is_configurable(self):
        self.site.answers("/large", b"x" * 100000)
        proxy = self.attached(settings=settings(redis={"compress_threshold": "off"}))
        self.assertGreater(self.server.command("STRLEN", self.wait_stored(proxy, "/large")), 100000)

    def wait_stored(self, proxy, path):
        key = proxy.get(path).key
        eventually(lambda: self.server.command("EXISTS", key), "the key is written")
        return key

    def test_binary_and_large_bodies_come_back_as_they_were(self):
        first, second = self.attached(), self.attached()
        for size in (0, 1, 1024, 1025, 100000, 5 << 20):
            body = os.urandom(size)
            self.site.answers(f"/{size}", body)
            self.wait_stored(first, f"/{size}")
            self.assert_outcome(second.get(f"/{size}"), "HIT", body)

    def test_variants_are_shared(self):
        self.site.on("/a", lambda exchange: exchange.reply(
            200, {"Vary": "Accept-Language"}, exchange.request.fields.get("Accept-Language")))
        first, second = self.attached(), self.attached()
        for language in ("de", "en"):
            first.get("/a", {"Accept-Language": language})
        self.server.wait_for_keys(2)

        def both():
            return all(second.get("/a", {"Accept-Language": language}).cache == "HIT" for language in ("de", "en"))

        eventually(both, "both variants are there")
        for language in ("de", "en"):
            self.assert_outcome(second.get("/a", {"Accept-Language": language}), "HIT", language)
        self.assertEqual(second.get("/a", {"Accept-Language": "fr"}).text, "fr")

    def test_a_purge_is_heard_by_the_other(self):
        self.resource()
        first, second = self.attached(), self.attached()
        for proxy in (first, second):
            proxy.get("/a")
            self.assert_outcome(proxy.get("/a"), "HIT", "old")
        first.request("PUT", "/a", body="new")
        self.assertEqual(first.get("/a").text, "new")
        second.get_until("/a", lambda response: response.text == "new", "has the new state")
        for _ in range(20):
            self.assertEqual(second.get("/a").text, "new")

    def test_strict_coherence_has_no_gap_at_all(self):
        self.resource()
        strict = settings(redis={"coherence": "strict"})
        first, second = self.attached(settings=strict), self.attached(settings=strict)
        for number in range(100):
            first.request("PUT", "/a", body=str(number))
            self.assertEqual(second.get("/a").text, str(number))
            self.assertEqual(first.get("/a").text, str(number))

    def test_every_selector_reaches_redis(self):
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        first, second = self.attached(), self.attached()
        purges = [("/api/cache/invalidate/search", None, {"/api/search?q=1"}),
                  ("/api/cache/invalidate-pattern", {"pattern": "cache:search:*"}, {"/api/search?q=1"}),
                  ("/api/cache/invalidate-pattern", {"path": "/b/**"}, {"/b/c"}),
                  ("/api/cache/invalidate-pattern", {"tag": "all"}, {"/b/c", "/a"}),
                  ("/api/cache/clear-all", None, {"/api/search?q=1", "/b/c", "/a"})]
        targets = ["/api/search?q=1", "/b/c", "/a"]
        for path, body, purged in purges:
            with self.subTest(path=path, body=body):
                keys = {target: self.wait_stored(first, target) for target in targets}
                self.assertEqual(first.admin("POST", path, body).status, 200)
                third = self.attached()  # knows only what Redis tells
                for target in targets:
                    self.assertEqual(third.get(target).cache, "MISS" if target in purged else "HIT", target)
                third.stop()
                for target in targets:
                    self.assertTrue(keys[target])
        self.assertTrue(second.is_running())

    def test_space_is_given_back_and_foreign_keys_are_left_alone(self):
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        foreign = ["session:1", "cachet", "x:cache:page:1"]
        for key in foreign:
            self.server.command("SET", key, "theirs")
        proxy = self.attached()
        for number in range(50):
            proxy.get(f"/{number}")
        self.server.wait_for_keys(50)
        proxy.admin("POST", "/api/cache/clear-all")
        eventually(lambda: not self.server.keys(), "the dead entries are removed from Redis")
        for key in foreign:
            self.assertEqual(self.server.command("GET", key), b"theirs")

    def test_space_of_what_has_a_long_head_is_given_back(self):
        self.site.on("*", lambda exchange: exchange.reply(200, {"X-Long": "x" * 2000}, "x"))
        proxy = self.attached()
        for path in ("/" + "a" * 600, "/b"):
            proxy.get(path)
        self.server.wait_for_keys(2)
        proxy.admin("POST", "/api/cache/clear-all")
        eventually(lambda: not self.server.keys(), "the dead entries are removed from Redis")

    def test_a_racing_fill_of_another_node_does_not_come_back(self):
        self.resource()
        gate = self.gate()
        first, second = self.attached(), self.attached()
        self.site.on("/a", lambda exchange: (gate.pass_through(), exchange.reply(200, body="old")), "GET")
        reader = self.connect(second)
        reader.send_request("GET", "/a")
        gate.wait_for_arrivals()
        first.request("PUT", "/a", body="new")
        gate.open()
        self.assertEqual(reader.read_response().text, "old")
        self.site.answers("/a", "new", method="GET")
        self.assertEqual(first.get("/a").text, "new", "what the other node stored late is dead")
        second.get_until("/a", lambda response: response.text == "new", "has the new state")


class AskedTogether(RedisCase):
    """Requests for the same that wait for Redis at the same time: they share a question, and nothing else."""

    LANGUAGES = {"Vary": "X-Language"}

    def setUp(self):
        super().setUp()
        self.site.answers("/canary", method="OPTIONS")
        self.link_to_redis, self.url = self.link()

    def node(self, coherence="bounded", memory="off"):
        # One worker: what was sent before a canary has been heard before it.
        patient = settings(redis={"deadline": "20s", "push_heartbeat": "1m", "coherence": coherence})
        return self.attached(redis=self.url, settings=patient, workers=1, memory=memory)

    def send(self, proxy, method, fields=(), body=None):
        client = self.connect(proxy)
        client.send_request(method, "/a", fields, body)
        proxy.request("OPTIONS", "/canary")
        return client

    def questions(self):
        """How many GETs and MGETs Redis has answered."""
        lines = self.server.command("INFO", "commandstats").decode().splitlines()
        calls = dict(line.split(",")[0].split(":calls=") for line in lines if ":calls=" in line)
        return sum(int(calls.get(f"cmdstat_{command}", 0)) for command in ("get", "mget"))

    def test_one_question_for_all(self):
        for memory in ("off", "1MB"):
            with self.subTest(memory=memory):
                self.site.numbered("/a")
                stored = self.attached(memory="off").get("/a").text
                self.server.wait_for_keys(1)
                proxy = self.node(memory=memory)
                before = self.questions()
                self.link_to_redis.stall()
                clients = [self.send(proxy, "GET") for _ in range(8)]
                self.link_to_redis.flow()
                for client in clients:
                    self.assert_outcome(client.read_response(), "HIT", stored)
                self.assertEqual(self.questions() - before, 1)

    def test_not_across_a_purge(self):
        """Who asks after a purge asks Redis anew; what it has killed nobody is given."""
        for coherence, asked in (("bounded", 2), ("strict", None)):
            with self.subTest(coherence):
                self.resource()
                self.server.command("FLUSHALL")
                proxy = self.node(coherence)
                eventually(lambda proxy=proxy: proxy.get("/a").cache == "HIT", "Redis has the old state")
                before = self.questions()
                self.link_to_redis.stall()
                first = self.send(proxy, "GET")
                writer = self.connect(proxy)
                writer.send_request("PUT", "/a", body="new")
                eventually(lambda proxy=proxy: proxy.stats()["redis"]["pending_purges"], "the purge is applied here")
                second = self.send(proxy, "GET")
                self.link_to_redis.flow()
                self.assertEqual(writer.read_response("PUT").status, 204)
                self.assertEqual([first.read_response().text, second.read_response().text], ["new", "new"])
                if asked:
                    self.assertEqual(self.questions() - before, asked)

    def test_each_is_given_its_own_variant(self):
        def greet(exchange):
            language = exchange.request.fields.get("X-Language")
            exchange.reply(200, self.LANGUAGES, f"in {language}")

        self.site.on("/a", greet, "GET")
        proxy = self.node()
        for language in ("de", "fr"):
            proxy.get("/a", {"X-Language": language})
        self.server.wait_for_keys(3)
        before = self.questions()
        self.link_to_redis.stall()
        languages = ["de", "fr", "de", "it", "fr"]
        clients = [self.send(proxy, "GET", {"X-Language": language}) for language in languages]
        self.link_to_redis.flow()
        for language, client in zip(languages, clients):
            self.assert_outcome(client.read_response(), "MISS" if language == "it" else "HIT", f"in {language}")
        self.assertEqual(self.questions() - before, 4, "what it varies by, and three variants")

    def test_a_miss_has_asked_once(self):
        self.site.numbered("/a")
        proxy = self.node()
        before = self.questions()
        for method, fields in (("GET", {}), ("HEAD", {"X": "1"}), ("GET", {"Range": "bytes=0-"})):
            self.server.command("FLUSHALL")
            eventually(lambda: proxy.stats()["is_available"], "Larder follows the new epoch")
            proxy.request(method, "/a", fields)
        self.assertEqual(self.questions() - before, 3)

    def test_who_can_follow_a_fill_does_not_ask(self):
        gate = self.gate()
        self.site.on("/a", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")), "GET")
        proxy = self.node()
        before = self.questions()
        leader = self.send(proxy, "GET")
        gate.wait_for_arrivals()
        followers = [self.send(proxy, "GET") for _ in range(3)]
        gate.open()
        for client in (leader, *followers):
            self.assertEqual(client.read_response().text, "x")
        self.assertEqual((self.questions() - before, self.site.count("/a")), (1, 1))

    def test_an_error_is_a_miss_for_all_and_counted(self):
        self.site.answers("/a", "x")
        proxy = self.node()
        key = proxy.get("/a").key
        self.server.wait_for_keys(1)
        self.server.command("DEL", key)
        self.server.command("LPUSH", key, "x")
        errors = proxy.stats()["errors"]
        self.link_to_redis.stall()
        clients = [self.send(proxy, "GET") for _ in range(3)]
        self.link_to_redis.flow()
        for client in clients:
            self.assert_outcome(client.read_response(), "MISS", "x")
        self.assertGreater(proxy.stats()["errors"], errors)

    def test_redis_goes_while_they_wait(self):
        self.site.answers("/a", "x")
        proxy = self.node()
        proxy.get("/a")
        self.server.wait_for_keys(1)
        self.link_to_redis.stall()
        clients = [self.send(proxy, "GET") for _ in range(3)]
        self.link_to_redis.cut()
        for client in clients:
            self.assert_outcome(client.read_response(), "MISS", "x")
        self.link_to_redis.flow()

    def test_larder_ends_while_they_wait(self):
        self.site.answers("/a", "x")
        proxy = self.node()
        proxy.get("/a")
        self.server.wait_for_keys(1)
        self.link_to_redis.stall()
        for _ in range(3):
            self.send(proxy, "GET")
        proxy.stop()
        self.link_to_redis.flow()


class NotTrusted(RedisCase):
    def test_what_does_not_decode_is_a_miss_and_removed(self):
        self.site.answers("/a", b"body of the page " * 200)
        proxy = self.attached(memory="off")
        key = proxy.get("/a").key
        eventually(lambda: self.server.command("EXISTS", key), "the key is written")
        record = self.server.command("GET", key)
        middle = len(record) // 2
        damaged = {"empty": b"", "text": b"hello", "cut short": record[:-1], "half": record[:middle],
                   "longer": record + b"x", "noise": os.urandom(len(record)), "zeros": bytes(len(record)),
                   "one bit": record[:middle] + bytes([record[middle] ^ 1]) + record[middle + 1:],
                   "huge lengths": record[:8] + b"\xff" * 64 + record[72:]}
        errors = proxy.stats()["errors"]
        for name, value in damaged.items():
            with self.subTest(name):
                self.site.answers("/a", b"body of the page " * 200)
                self.server.command("SET", key, value, "EX", "1000")
                self.site.answers("/a", "not to be stored", {"Cache-Control": "no-store"})
                self.assert_outcome(proxy.get("/a"), "MISS", "not to be stored")
                self.server.wait_until_gone(key)
        self.assertGreater(proxy.stats()["errors"], errors)

    def test_a_key_of_another_kind(self):
        self.site.answers("/a", "x")
        proxy = self.attached(memory="off")
        key = proxy.get("/a").key
        eventually(lambda: self.server.command("EXISTS", key), "the key is written")
        self.server.command("DEL", key)
        self.server.command("LPUSH", key, "x")
        self.assert_outcome(proxy.get("/a"), "MISS", "x")

    def test_an_entry_under_anothers_key_is_not_given(self):
        self.site.answers("/a", "a")
        self.site.answers("/b", "b")
        proxy = self.attached(memory="off")
        keys = [proxy.get(path).key for path in ("/a", "/b")]
        self.server.wait_for_keys(2)
        self.server.command("SET", keys[1], self.server.command("GET", keys[0]), "EX", "1000")
        self.assert_outcome(proxy.get("/b"), "MISS", "b")


class Gone(RedisCase):
    def assert_quick(self, proxy, target, outcome=None):
        """The request is answered, and Redis does not delay it beyond its deadline."""
        started = time.monotonic()
        response = proxy.get(target)
        took = time.monotonic() - started
        self.assertEqual(response.status, 200)
        self.assertLess(took, DEADLINE_OF_REDIS + SLACK)
        if outcome:
            self.assertEqual(response.cache, outcome)
        return response

    def prepare(self, **options):
        self.site.on("*", lambda exchange: exchange.reply(200, body=exchange.request.target))
        proxy = self.attached(**options)
        proxy.get("/kept")
        return proxy

    def test_never_there(self):
        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        port = unused_port()
        proxy = self.larder(self.site, rules=HOUR_RULES, redis=f"redis://127.0.0.1:{port}/0")
        self.assert_quick(proxy, "/a", "MISS")
        self.assert_quick(proxy, "/a", "HIT")
        self.assertEqual(proxy.request("PUT", "/a", body="x").status, 200)
        self.assert_quick(proxy, "/a", "MISS")
        proxy.wait_for_log(r"\[CACHE ERROR\]")
        self.assertFalse(proxy.stats()["is_available"])

    def test_comes_later(self):
        self.site.numbered("/a")
        self.server.kill()
        proxy = self.larder(self.site, rules=HOUR_RULES, redis=self.server.url)
        self.assert_outcome(proxy.get("/a"), "MISS", "1")
        self.server.start()
        self.wait_until_available(proxy)
        proxy.get("/b")
        self.site.numbered("/c")
        proxy.get("/c")
        self.server.wait_for_keys(1)

    def test_killed_and_started_again(self):
        proxy = self.prepare()
        self.server.wait_for_keys(1)
        for keep_data in (True, False):
            with self.subTest(keep_data=keep_data):
                beginning = proxy.log_size()
                self.server.kill()
                for number in range(10):
                    self.assert_quick(proxy, "/kept" if number % 2 else f"/{keep_data}{number}")
                self.assert_quick(proxy, "/kept")
                self.assertEqual(proxy.request("PUT", "/other", body="x").status, 200)
                proxy.wait_for_log(r"\[CACHE ERROR\]", beginning)
                self.server.start(keep_data)
                self.wait_until_available(proxy)
                key = proxy.get(f"/after{keep_data}").key
                eventually(lambda key=key: self.server.command("EXISTS", key), "it is written to again")

    def test_killed_under_load(self):
        proxy = self.prepare()

        def client(index):
            with proxy.connect() as connection:
                for turn in range(150):
                    target = f"/{(index * 31 + turn) % 40}"
                    response = connection.get(target)
                    if (response.status, response.text) != (200, target):
                        raise AssertionError(f"{target}: {response.status} {response.text[:100]}")
                    if turn % 20 == 0:
                        connection.request("POST", target, body="x")

        join = in_parallel(8, client)
        self.server.kill()
        self.server.start()
        self.server.pause()
        time.sleep(0.3)  # a fault that lasts, not a wait for an event
        self.server.resume()
        self.server.command("FLUSHALL")
        join()
        self.wait_until_available(proxy)

    def test_paused(self):
        proxy = self.prepare(memory="off")
        self.server.pause()
        try:
            for number in range(10):
                self.assert_quick(proxy, f"/paused{number}", "MISS")
            started = time.monotonic()
            self.assertEqual(proxy.request("PUT", "/kept", body="x").status, 200)
            self.assertLess(time.monotonic() - started, DEADLINE_OF_REDIS + SLACK)
            proxy.wait_for_log(r"\[CACHE ERROR\]")
        finally:
            self.server.resume()
        self.wait_until_available(proxy)
        key = proxy.get("/after").key
        eventually(lambda: self.server.command("EXISTS", key), "it is written to again")

    def test_paused_with_memory(self):
        proxy = self.prepare()
        self.server.pause()
        try:
            for _ in range(5):
                response = self.assert_quick(proxy, "/kept")
                self.assertIn(response.cache, ("HIT", "MISS"))
        finally:
            self.server.resume()

    def test_flushed(self):
        self.resource()
        proxy = self.attached()
        proxy.get("/a")
        self.only_key()
        self.server.command("FLUSHALL")
        self.assertEqual(proxy.get("/a").text, "old")
        proxy.request("PUT", "/a", body="new")
        self.assertEqual(proxy.get("/a").text, "new")
        self.wait_until_available(proxy)

        def written():
            key = proxy.get(f"/x{time.monotonic_ns()}").key
            return key and self.server.keys()

        self.site.on("*", lambda exchange: exchange.reply(200, body="x"))
        eventually(written, "it is written to again", pause=0.05)

    def test_flushed_while_an_older_entry_comes_back(self):
        """Someone restores an entry that was purged before the flush: the lost log must not let it live again."""
        self.resource()
        proxy = self.attached(memory="off")
        key = proxy.get("/a").key
        eventually(lambda: self.server.command("EXISTS", key), "the key is written")
        record = self.server.command("GET", key)
        proxy.request("PUT", "/a", body="new")
        self.server.command("FLUSHALL")
        self.server.command("SET", key, record, "EX", "1000")
        self.assertEqual(proxy.get("/a").text, "new")
        fresh = self.attached(memory="off")
        self.assertEqual(fresh.get("/a").text, "new")

    def test_full(self):
        self.resource()
        proxy = self.attached()
        proxy.get("/a")
        self.only_key()
        self.server.command("CONFIG", "SET", "maxmemory", "1")
        self.site.answers("/b", "x")
        self.assert_quick(proxy, "/b")
        self.assertEqual(proxy.request("PUT", "/a", body="new").status, 204)
        self.assertEqual(proxy.get("/a").text, "new")
        proxy.wait_for_log(r"\[CACHE ERROR\]")
        self.server.command("CONFIG", "SET", "maxmemory", "0")
        other = self.attached()
        other.get_until("/a", lambda response: response.text == "new", "is the new state")
        for _ in range(10):
            self.assertEqual(other.get("/a").text, "new")

    def test_read_only(self):
        self.resource()
        proxy = self.attached()
        self.server.command("CONFIG", "SET", "min-replicas-to-write", "1")
        self.assert_quick(proxy, "/a")
        self.assertEqual(proxy.request("PUT", "/a", body="new").status, 204)
        self.assertEqual(proxy.get("/a").text, "new")
        self.server.command("CONFIG", "SET", "min-replicas-to-write", "0")

    def test_something_that_is_not_redis(self):
        self.site.answers("/a", "x")
        noise = NoiseServer()
        self.addCleanup(noise.close)
        proxy = self.larder(self.site, rules=HOUR_RULES, redis=f"redis://127.0.0.1:{noise.port}/0")
        self.assert_quick(proxy, "/a", "MISS")
        self.assert_quick(proxy, "/a", "HIT")
        proxy.wait_for_log(r"\[CACHE ERROR\]")

    def test_errors_are_logged_at_a_limited_rate(self):
        proxy = self.prepare(memory="off")
        self.server.kill()
        for number in range(300):
            proxy.get(f"/{number}")
        lines = proxy.log().count("[CACHE ERROR]")
        self.assertGreater(lines, 0)
        self.assertLess(lines, 30)


class CutOff(RedisCase):
    """A node that Redis is lost to, while Redis lives on."""

    def test_a_purge_while_cut_off_is_honoured_afterwards(self):
        self.resource()
        link, url = self.link()
        proxy = self.attached(redis=url)
        proxy.get("/a")
        self.only_key()
        link.cut()
        self.assertEqual(proxy.request("PUT", "/a", body="new").status, 204)
        self.assertEqual(proxy.get("/a").text, "new")
        link.mend()
        self.wait_until_available(proxy)
        for _ in range(20):
            self.assertEqual(proxy.get("/a").text, "new")
        other = self.attached()
        other.get_until("/a", lambda response: response.text == "new", "is the new state")
        for _ in range(20):
            self.assertEqual(other.get("/a").text, "new")

    def check_restart(self, end):
        self.resource()
        link, url = self.link()
        proxy = self.attached(redis=url)
        proxy.get("/a")
        self.only_key()
        link.cut()
        self.assertEqual(proxy.request("PUT", "/a", body="new").status, 204)
        end(proxy)
        proxy.start()
        self.assertEqual(proxy.get("/a").text, "new")
        link.mend()
        self.wait_until_available(proxy)
        for _ in range(20):
            self.assertEqual(proxy.get("/a").text, "new")
        other = self.attached()
        other.get_until("/a", lambda response: response.text == "new", "is the new state")
        for _ in range(20):
            self.assertEqual(other.get("/a").text, "new")

    def test_and_ended_in_between(self):
        self.check_restart(lambda proxy: proxy.stop())

    def test_and_killed_in_between(self):
        self.check_restart(lambda proxy: proxy.kill())

    def test_a_purge_in_flight_when_redis_stalls(self):
        self.resource()
        link, url = self.link()
        proxy = self.attached(redis=url)
        proxy.get("/a")
        self.only_key()
        link.stall()
        started = time.monotonic()
        self.assertEqual(proxy.request("PUT", "/a", body="new").status, 204)
        self.assertLess(time.monotonic() - started, DEADLINE_OF_REDIS + SLACK)
        self.assertEqual(proxy.get("/a").text, "new")
        link.flow()
        other = self.attached()
        other.get_until("/a", lambda response: response.text == "new", "is the new state")
        for _ in range(20):
            self.assertEqual(other.get("/a").text, "new")
            self.assertEqual(proxy.get("/a").text, "new")

    def test_a_node_that_hears_nothing_does_not_trust_its_memory(self):
        self.resource()
        link, url = self.link()
        deaf, writer = self.attached(redis=url), self.attached()
        for proxy in (deaf, writer):
            proxy.get("/a")
            self.assert_outcome(proxy.get("/a"), "HIT", "old")
        link.cut()
        writer.request("PUT", "/a", body="new")
        deaf.get_until("/a", lambda response: response.text == "new", "is the new state within the bound")
        link.mend()
        self.wait_until_available(deaf)
        for _ in range(10):
            self.assertEqual(deaf.get("/a").text, "new")

    def test_a_node_whose_channel_stalls_does_not_trust_its_memory(self):
        self.resource()
        link, url = self.link()
        deaf, writer = self.attached(redis=url), self.attached()
        for proxy in (deaf, writer):
            proxy.get("/a")
        link.stall()
        writer.request("PUT", "/a", body="new")
        deaf.get_until("/a", lambda response: response.text == "new", "is the new state within the bound")
        link.flow()

    def test_what_was_missed_while_cut_off_is_learnt_afterwards(self):
        self.resource()
        self.site.numbered("/untouched")
        link, url = self.link()
        deaf, writer = self.attached(redis=url), self.attached()
        for path in ("/a", "/untouched"):
            deaf.get(path)
        link.cut()
        for number in range(20):
            writer.request("PUT", "/a", body=f"new{number}")
        link.mend()
        self.wait_until_available(deaf)
        for _ in range(10):
            self.assertEqual(deaf.get("/a").text, "new19")
        self.assert_outcome(deaf.get("/untouched"), "HIT", "1")


class Address(RedisCase):
    def setUp(self):
        super().setUp()
        self.site.numbered("/a")

    def check(self, server, database=0, **options):
        proxy = self.larder(self.site, rules=HOUR_RULES, **options)
        self.wait_until_available(proxy)
        key = proxy.get("/a").key

        def there():
            return key.encode() in server(database)

        eventually(there, f"the key is in database {database}")

    def keys_of(self, server, *authentication):
        def keys(database):
            with RedisClient(server.port) as client:
                if authentication:
                    client.command("AUTH", *authentication)
                client.command("SELECT", database)
                return client.command("KEYS", "cache:*")

        return keys

    def test_url_in_the_environment(self):
        self.check(self.keys_of(self.server), 3, redis=None,
                   environment={"REDIS_URL": f"redis://127.0.0.1:{self.server.port}/3"})

    def test_parts_in_the_environment(self):
        self.check(self.keys_of(self.server), 2, redis=None,
                   environment={"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.server.port), "REDIS_DB": "2"})

    def test_the_option_wins_over_the_environment(self):
        self.check(self.keys_of(self.server), 1, redis=f"redis://127.0.0.1:{self.server.port}/1",
                   environment={"REDIS_URL": "redis://127.0.0.1:1/0"})

    def test_unix_socket(self):
        path = f"/tmp/larder-test-{os.getpid()}.sock"
        server = self.redis("--unixsocket", path)
        self.check(self.keys_of(server), 0, redis=f"unix://{path}?db=0")

    def test_user_and_password(self):
        server = self.redis()
        server.command("ACL", "SETUSER", "larder", "on", ">sec-ret", "~*", "&*", "+@all")
        self.check(self.keys_of(server), 0, redis=f"redis://larder:sec-ret@127.0.0.1:{server.port}/0")

    def test_a_wrong_password_is_not_fatal_and_not_logged(self):
        server = self.redis()
        server.command("ACL", "SETUSER", "larder", "on", ">sec-ret", "~*", "&*", "+@all")
        proxy = self.larder(self.site, rules=HOUR_RULES, redis=f"redis://larder:wr-ong@127.0.0.1:{server.port}/0")
        self.assert_outcome(proxy.get("/a"), "MISS", "1")
        proxy.wait_for_log(r"\[CACHE ERROR\]")
        self.assertNotIn("wr-ong", proxy.log())

    def test_default_ttl_in_the_environment(self):
        proxy = self.larder(self.site, rules=PLAIN_RULES, redis=None,
                            environment={"REDIS_URL": self.server.url, "REDIS_CACHE_TTL": "1000"})
        self.wait_until_available(proxy)
        key = proxy.get("/a").key
        self.assert_outcome(proxy.get("/a"), "HIT", "1")
        eventually(lambda: self.server.command("EXISTS", key), "the key is written")
        self.assertIn(self.server.command("TTL", key), range(900, 1062))

    def test_a_bad_url_is_an_error_at_start(self):
        for url in ("http://127.0.0.1", "redis://127.0.0.1:notaport/0", "redis://"):
            ended = run_program("serve", "--origin", self.site.url, "--redis", url, "--listen", "127.0.0.1:0")
            self.assertNotEqual(ended.returncode, 0, url)
            self.assertIn("--redis", ended.stdout + ended.stderr)


if __name__ == "__main__":
    unittest.main()
