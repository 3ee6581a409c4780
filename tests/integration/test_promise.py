"""After a write is acknowledged no reader is given the old answer, also where a purge falls between two looks of the
same request: while it follows another's fill, waits for Redis, or cannot hear the fleet. Origin and Redis are held at
each step, so that every interleaving is the one described."""

import threading
import unittest

from .support.integration_case import PLAIN_RULES, IntegrationCase
from .support.larder_process import settings
from .support.tcp_link import TcpLink
from .support.waiting import eventually

SHARED_HOSTS_RULES = PLAIN_RULES + "    host: false\n"

# How long a request may wait for Redis: long enough for a write to be applied within it, also under a sanitizer.
REDIS_DEADLINE = "500ms"


class Resource:
    """One resource at an origin, "1" until any unsafe method makes it "2". `fields` are sent with GET and HEAD,
    `write_fields` with what acknowledges the write."""

    def __init__(self, origin, fields, write_fields=()):
        self.fields = list(fields)
        self._write_fields = list(write_fields)
        self._lock = threading.Lock()
        self._state = "1"
        self._holds = []
        self.reads = 0
        origin.on("*", self._answer)

    def hold(self, gate, failing=False):
        """The next GET for which nothing is held yet looks at the state and then waits at the gate; it is answered
        with what it has seen, or with 503."""
        with self._lock:
            self._holds.append((gate, failing))

    def representation(self, request):
        """Fields and body of the state that is asked for."""
        return self.fields, self._state

    def _answer(self, exchange):
        if exchange.request.method in ("GET", "HEAD"):
            self._read(exchange)
            return
        with self._lock:
            self._state = "2"
        exchange.reply(200, self._write_fields)

    def _read(self, exchange):
        request = exchange.request
        with self._lock:
            self.reads += 1
            fields, body = self.representation(request)
            gate, failing = self._holds.pop(0) if self._holds and request.method == "GET" else (None, False)
        if gate is not None:
            gate.pass_through()
        etag = dict(fields).get("ETag")
        if failing:
            exchange.reply(503)
        elif etag is not None and request.fields.get("If-None-Match") == etag:
            exchange.reply(304, fields)
        else:
            exchange.reply(200, fields, body)


class Localized(Resource):
    """The same in several languages, each with its own validator."""

    def representation(self, request):
        language = request.fields.get("Accept-Language")
        fields = [*self.fields, ("Vary", "Accept-Language"), ("ETag", f'"{self._state}-{language}"')]
        return fields, f"{self._state} {language}"


class Validated(Resource):
    """The same with a strong validator."""

    def representation(self, request):
        return [*self.fields, ("ETag", f'"{self._state}"')], self._state


class PromiseCase(IntegrationCase):
    def ask(self, proxy, target="/r", fields=(), method="GET"):
        """Sends a request; its response is read later."""
        client = self.connect(proxy)
        client.send_request(method, target, fields)
        return client

    def until_it_waits(self, proxy, resource, action):
        """Does what sends one more request on its way, and waits until that follows another's fill or is at the
        origin: which of the two is Larder's choice. Returns what the action does."""
        collapsed, reads = proxy.stats()["collapsed"], resource.reads
        result = action()
        eventually(lambda: proxy.stats()["collapsed"] > collapsed or resource.reads > reads,
                   "the request follows a fill or is at the origin")
        return result

    def ask_and_wait(self, proxy, resource, target="/r", fields=()):
        """Sends a GET, and returns when it follows another's fill or is at the origin."""
        return self.until_it_waits(proxy, resource, lambda: self.ask(proxy, target, fields))

    def write(self, proxy, method="PUT", target="/r", fields=()):
        """A write, acknowledged."""
        self.assertEqual(proxy.request(method, target, fields, body="x").status, 200)


class InMemory(PromiseCase):
    def check_follower_of_a_validation(self, fields, read, write, write_fields=()):
        """Who comes after the write does not follow a validation that asked before it."""
        site, gate = self.origin(), self.gate()
        resource = Validated(site, [("Cache-Control", "no-cache"), *fields], write_fields)
        proxy = self.larder(site, rules=PLAIN_RULES)
        self.assertEqual(proxy.get(read).text, "1")
        resource.hold(gate)
        early = self.ask(proxy, read)
        gate.wait_for_arrivals()
        self.write(proxy, *write)
        late = self.ask_and_wait(proxy, resource, read)
        gate.open()
        self.assertEqual(early.read_response().text, "1", "it asked before the write")
        self.assertEqual(late.read_response().text, "2", "it came after the acknowledgement")
        self.assertEqual(proxy.get(read).text, "2")

    def test_a_validation_that_a_write_to_the_target_has_overtaken(self):
        self.check_follower_of_a_validation([], "/r", ("PUT", "/r"))

    def test_a_validation_that_a_purge_of_its_group_has_overtaken(self):
        self.check_follower_of_a_validation([("Cache-Groups", '"g"')], "/r", ("POST", "/w"),
                                            [("Cache-Group-Invalidation", '"g"')])

    def test_a_validation_that_a_write_to_another_query_has_overtaken(self):
        self.check_follower_of_a_validation([("No-Vary-Search", 'params=("b")')], "/r?b=1", ("PUT", "/r?b=2"))

    def test_a_stale_response_that_died_while_its_reader_waited_stands_in_for_nothing(self):
        """A leader that has followed another variant's fill, and so has a response in hand that was purged before its
        own fill began, does not give it to its followers when the origin fails."""
        site = self.origin()
        gates = [self.gate() for _ in range(3)]
        resource = Localized(site, [("Cache-Control", "max-age=0, stale-if-error=60")])
        proxy = self.larder(site, rules=PLAIN_RULES)
        english, german = {"Accept-Language": "en"}, {"Accept-Language": "de"}
        self.assertEqual(proxy.get("/r", english).text, "1 en")
        for gate, failing in zip(gates, (False, True, False)):
            resource.hold(gate, failing)
        first_german = self.ask(proxy, "/r", german)
        gates[0].wait_for_arrivals()
        first_english = self.ask_and_wait(proxy, resource, "/r", english)
        self.write(proxy)
        gates[0].open()
        gates[1].wait_for_arrivals()  # the first English reader leads a fill that began after the purge
        second_german = self.ask(proxy, "/r", german)
        gates[2].wait_for_arrivals()
        second_english = self.ask_and_wait(proxy, resource, "/r", english)
        # The second English reader learns that the German answer is not for it.
        self.until_it_waits(proxy, resource, gates[2].open)
        gates[1].open()
        self.assertEqual(first_german.read_response().text, "1 de", "it asked before the write")
        self.assertEqual(second_german.read_response().text, "2 de")
        self.assertIn(first_english.read_response().status, (200, 503), "it asked before the write: either is right")
        response = second_english.read_response()
        self.assertEqual((response.status, response.text), (200, "2 en"), "it came after the acknowledgement")

    def test_a_group_of_what_hosts_share(self):
        """Where all hosts share a stored response, a group's purge under one of them is for the others too."""
        site = self.origin()
        Resource(site, [("Cache-Control", "max-age=60"), ("Cache-Groups", '"g"')],
                 [("Cache-Group-Invalidation", '"g"')])
        proxy = self.larder(site, rules=SHARED_HOSTS_RULES)
        one, other = {"Host": "a.example"}, {"Host": "b.example"}
        proxy.get("/r", one)
        self.assert_outcome(proxy.get("/r", other), "HIT", "1")
        self.write(proxy, "POST", "/w", other)
        for host in (one, other):
            with self.subTest(host["Host"]):
                self.assertEqual(proxy.get("/r", host).text, "2")


class WhileRedisIsWaitedFor(PromiseCase):
    """A request has found a stored response in memory and asks Redis before it goes to the origin; the write comes in
    between. Redis answers late, or not before its deadline."""

    def waiting_reader(self, resource_fields, method, fields, resource_kind):
        """A node whose memory and Redis hold "1", Redis paused, and a reader that waits for it."""
        redis, site = self.redis(), self.origin()
        resource = resource_kind(site, resource_fields)
        proxy = self.larder(site, rules=PLAIN_RULES, redis=redis, settings=settings(redis={"deadline": REDIS_DEADLINE}))
        # A node that knows to be alone trusts its memory also while Redis is silent.
        eventually(lambda: proxy.stats()["is_available"] and proxy.stats()["redis"]["alone"],
                   "Larder has Redis, alone")
        self.assertEqual(proxy.get("/r").text, "1")
        redis.wait_for_keys()
        redis.pause()
        self.addCleanup(redis.resume)
        requests = proxy.stats()["total_requests"]
        reader = self.ask(proxy, "/r", fields, method)
        eventually(lambda: proxy.stats()["total_requests"] > requests, "the reader is being answered")
        return redis, resource, proxy, reader

    def write_while_waited_for(self, redis, proxy, answers_late):
        """A write that is applied while Redis is silent, acknowledged when it returns."""
        writer = self.connect(proxy)
        writer.send_request("PUT", "/r", body="x")
        if answers_late:
            eventually(lambda: proxy.stats()["redis"]["pending_purges"], "the purge is applied here")
            redis.resume()
        self.assertEqual(writer.read_response("PUT").status, 200)
        redis.resume()

    def check_head(self, answers_late):
        # Without a validator, and of the same length before and after the write.
        redis, _, proxy, reader = self.waiting_reader([("Cache-Control", "max-age=60")], "HEAD",
                                                      {"Cache-Control": "no-cache"}, Resource)
        self.write_while_waited_for(redis, proxy, answers_late)
        self.assertEqual(reader.read_response("HEAD").status, 200)
        for _ in range(3):
            self.assertEqual(proxy.get("/r").text, "2")

    def test_a_head_does_not_bring_back_what_died_meanwhile_when_redis_is_late(self):
        self.check_head(answers_late=True)

    def test_a_head_does_not_bring_back_what_died_meanwhile_when_redis_is_silent(self):
        self.check_head(answers_late=False)

    def check_range(self, answers_late):
        redis, resource, proxy, reader = self.waiting_reader([("Cache-Control", "max-age=0, stale-if-error=60")], "GET",
                                                             {"Range": "bytes=0-"}, Validated)
        gate = self.gate()
        resource.hold(gate, failing=True)
        self.write_while_waited_for(redis, proxy, answers_late)
        gate.wait_for_arrivals()  # the reader of the range leads a fill that began after the purge
        late = self.ask_and_wait(proxy, resource)
        gate.open()
        response = late.read_response()
        self.assertEqual((response.status, response.text), (200, "2"), "it came after the acknowledgement")
        self.assertIn(reader.read_response().status, (200, 206, 503), "it asked before the write: each is right")

    def test_followers_of_a_range_are_not_given_what_died_meanwhile_when_redis_is_late(self):
        self.check_range(answers_late=True)

    def test_followers_of_a_range_are_not_given_what_died_meanwhile_when_redis_is_silent(self):
        self.check_range(answers_late=False)


class Unheard(PromiseCase):
    """Two nodes on one Redis. A reader's node loses it; the other acknowledges a write of which the first cannot hear.
    Who then asks the first does not follow a fill that began before the write."""

    def check(self, coherence, break_redis):
        redis, site, gate = self.redis(), self.origin(), self.gate()
        resource = Validated(site, [("Cache-Control", "max-age=60")])
        link = TcpLink(redis.port)
        self.addCleanup(link.close)
        text = settings(redis={"coherence": coherence})
        writer = self.larder(site, rules=PLAIN_RULES, settings=text, redis=redis)
        deaf = self.larder(site, rules=PLAIN_RULES, settings=text, redis=f"redis://127.0.0.1:{link.port}/0")
        for proxy in (writer, deaf):
            eventually(lambda proxy=proxy: proxy.stats()["redis"]["trust"] == "whole" and
                       not proxy.stats()["redis"]["alone"], "Larder has Redis and knows of the other node")
        resource.hold(gate)
        early = self.ask(deaf)
        gate.wait_for_arrivals()
        break_redis(redis, link)
        self.write(writer)
        if coherence == "bounded":
            # The bound: until then it cannot know that it is deaf.
            eventually(lambda: deaf.stats()["redis"]["trust"] == "none", "the node has noticed that it hears nothing")
        late = self.ask_and_wait(deaf, resource)
        gate.open()
        self.assertEqual(early.read_response().text, "1", "it asked before the write")
        self.assertEqual(late.read_response().text, "2", "it came after the acknowledgement")

    @staticmethod
    def cut(_, link):
        link.cut()

    def pause(self, redis, _):
        redis.pause()
        self.addCleanup(redis.resume)

    @staticmethod
    def kill(redis, _):
        redis.kill()

    def test_strict_and_cut_off(self):
        self.check("strict", self.cut)

    def test_strict_and_redis_paused(self):
        self.check("strict", self.pause)

    def test_strict_and_redis_killed(self):
        self.check("strict", self.kill)

    def test_bounded_and_cut_off(self):
        self.check("bounded", self.cut)

    def test_bounded_and_redis_paused(self):
        self.check("bounded", self.pause)

    def test_bounded_and_redis_killed(self):
        self.check("bounded", self.kill)


if __name__ == "__main__":
    unittest.main()
