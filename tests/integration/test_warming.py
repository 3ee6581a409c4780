"""Warming: what the rules name is fetched before anybody asks for it; at the start, by interval, after purges, by order."""

import gzip
import json
import threading
import time
import unittest

from .support.integration_case import IntegrationCase
from .support.larder_process import run_program
from .support.raw_client import HOST
from .support.waiting import eventually

ROUTES = """
types: { page: { ttl: 1h }, short: { ttl: 2s }, other: { ttl: 1h } }
routes:
  - match: GET /short/**
    cache: short
  - match: GET /other/**
    cache: other
  - match: GET /mine/**
    cache: page
    identity: header:Authorization
  - match: GET /**
    cache: page
  - match: POST /purge/page
    purge: [ { type: page } ]
  - match: POST /purge/glob
    purge: [ { key: "cache:page:*" } ]
  - match: POST /purge/all
    purge: [ { all: true } ]
  - match: POST /purge/one
    purge: [ { path: /a/2 } ]
"""


def warm(*tasks, **keys):
    """The rules with these tasks, each a mapping. Nothing is left alone because of its age unless a test says so."""
    keys.setdefault("host", HOST)
    return f"{ROUTES}\nwarm: {json.dumps({**keys, 'tasks': list(tasks)})}\n"


class WarmCase(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, body="warm " + exchange.request.target))

    def start(self, rules, **options):
        return self.larder(self.site, rules=rules, **options)

    def state(self, proxy):
        response = proxy.admin("GET", "/api/cache/warm")
        self.assertEqual(response.status, 200)
        return response.json["warm"]

    def task(self, proxy, name):
        return next(task for task in self.state(proxy)["tasks"] if task["name"] == name)

    def runs(self, proxy, number):
        """Waits until so many runs have ended; returns the last one."""
        def ended():
            state = self.state(proxy)
            return state["run"] if sum(state["runs"].values()) >= number and not state["running"] else None
        return eventually(ended, f"{number} runs have ended")

    def order(self, proxy, status=200, **members):
        response = proxy.admin("POST", "/api/cache/warm", {"wait": True, **members})
        self.assertEqual(response.status, status, response.text)
        return response.json


class AtTheStart(WarmCase):
    def test_the_first_client_has_a_hit(self):
        proxy = self.start(warm({"url": "/a/1?x=<y>"}, {"name": "two", "urls": ["/a/2", f"http://{HOST}/a/3"]}))
        run = self.runs(proxy, 1)
        self.assertEqual((run["trigger"], run["requests"], run["done"], run["failed"]), ("start", 3, 3, 0))
        self.assertEqual(run["ends"]["stored"], 3)
        for target in ("/a/1?x=%3Cy%3E", "/a/2", "/a/3"):
            self.assert_outcome(proxy.get(target), "HIT", "warm " + target)
        self.assertEqual(self.site.count(), 3)
        stats = proxy.stats()
        self.assertEqual(stats["misses"], 0)
        task = stats["warm"]["tasks"][1]
        self.assertEqual((task["name"], task["execution_count"], task["success_count"], task["failure_count"]),
                         ("two", 1, 1, 0))
        self.assertEqual(task["last_run"], run["began"])
        self.assertIsNotNone(task["last_success"])
        self.assertEqual(task["interval_seconds"], 300)

    def test_in_the_background(self):
        gate = self.gate()
        self.site.on("/a/slow", lambda exchange: (gate.pass_through(), exchange.reply(200, body="slow")))
        proxy = self.start(warm({"url": "/a/slow"}, {"url": "/a/2"}))
        gate.wait_for_arrivals()
        # Clients are served, and one that asks for the same waits for the same answer.
        self.assert_outcome(proxy.get("/other/1"), "MISS")
        state = self.state(proxy)
        self.assertTrue(state["running"])
        self.assertEqual(state["run"]["requests"], 2)
        self.assertLess(state["run"]["done"], 2)
        answers = []
        client = threading.Thread(target=lambda: answers.append(proxy.get("/a/slow")))
        client.start()
        eventually(lambda: proxy.stats()["fills"]["waiters"] == 1, "the client waits for the fill")
        gate.open()
        client.join()
        self.assertEqual(answers[0].body, b"slow")
        self.assertEqual(self.site.count("/a/slow"), 1)
        self.assertEqual(self.runs(proxy, 1)["failed"], 0)

    def test_not_where_it_is_not_wanted(self):
        proxy = self.start(warm({"url": "/a/1", "interval": "1s"}, {"url": "/a/2"}, at_start=False))
        self.site.wait_for("/a/1")
        self.assertEqual(self.site.count("/a/2"), 0)
        self.assertEqual(self.runs(proxy, 1)["trigger"], "interval")

    def test_nothing_to_warm(self):
        proxy = self.start(ROUTES)
        self.assertIsNone(proxy.stats()["warm"])
        self.assertEqual(self.state(proxy)["tasks"], [])
        response = proxy.admin("POST", "/api/cache/warm")
        self.assertEqual((response.status, response.json["error"]), (404, "nothing_to_warm"))


class Requests(WarmCase):
    def test_header_fields_and_variants(self):
        self.site.on("/a/lang", lambda exchange: exchange.reply(
            200, {"Vary": "Accept-Language", "Content-Language": exchange.request.fields.get("Accept-Language")},
            exchange.request.fields.get("Accept-Language", "none")))
        proxy = self.start(warm({"name": "de", "url": "/a/lang", "headers": {"Accept-Language": "de"}},
                                {"name": "fr", "url": "/a/lang", "headers": {"Accept-Language": "fr"}},
                                {"name": "token", "url": "/mine/1", "headers": {"Authorization": "Bearer ${SECRET}"}}),
                           environment={"SECRET": "of-the-caller"})
        self.assertEqual(self.runs(proxy, 1)["ends"]["stored"], 3)
        for language in ("de", "fr"):
            response = proxy.get("/a/lang", [("Accept-Language", language)])
            self.assert_outcome(response, "HIT", language)
        self.assert_outcome(proxy.get("/a/lang", [("Accept-Language", "it")]), "MISS", "it")
        seen = self.site.seen("/mine/1")[0].fields
        self.assertEqual(seen.get("Authorization"), "Bearer of-the-caller")
        self.assertEqual(seen.get("Accept"), "*/*")
        self.assertEqual(seen.get("Host"), HOST)
        self.assert_outcome(proxy.get("/mine/1", [("Authorization", "Bearer of-the-caller")]), "HIT")
        self.assert_outcome(proxy.get("/mine/1", [("Authorization", "Bearer of-another")]), "MISS")
        for text in (proxy.log(), json.dumps(self.state(proxy)), json.dumps(proxy.stats())):
            self.assertNotIn("of-the-caller", text)

    def test_gzip_serves_all(self):
        self.site.on("/a/z", lambda exchange: exchange.reply(
            200, {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"}, gzip.compress(b"text " * 100)))
        proxy = self.start(warm({"url": "/a/z"}))
        self.runs(proxy, 1)
        self.assert_outcome(proxy.get("/a/z"), "HIT", b"text " * 100)
        response = proxy.get("/a/z", [("Accept-Encoding", "gzip, deflate, br")])
        self.assert_outcome(response, "HIT")
        self.assertEqual(gzip.decompress(response.body), b"text " * 100)

    def test_a_file_of_urls(self):
        proxy = self.larder(self.site, rules=ROUTES)
        proxy.write("urls.txt", "# what is hot\n/a/1\n  X-Kind: first\n\n/a/2\n")
        proxy.write("rules.yaml", warm({"file": "urls.txt"}))
        proxy.reload()
        self.runs(proxy, 1)
        self.assertEqual(self.site.seen("/a/1")[0].fields.get("X-Kind"), "first")
        self.assertIsNone(self.site.seen("/a/2")[0].fields.get("X-Kind"))
        # Other URLs are other rules.
        proxy.write("urls.txt", "/a/1\n/a/3\n")
        self.assertTrue(proxy.reload()["rules_changed"])
        self.order(proxy)
        self.assert_outcome(proxy.get("/a/3"), "HIT")
        # Bad ones are refused, with their place, and the ones before go on.
        proxy.write("urls.txt", "/a/1\n  no field\n")
        response = proxy.admin("POST", "/api/cache/reload")
        self.assertEqual(response.status, 422)
        self.assertEqual([fault["line"] for fault in response.json["faults"]], [2])
        self.assertTrue(response.json["faults"][0]["file"].endswith("urls.txt"))
        self.assertEqual(self.order(proxy)["run"]["requests"], 2)

    def test_named_ends(self):
        self.site.answers("/a/404", "gone", status=404)
        self.site.answers("/a/503", "busy", status=503)
        self.site.answers("/a/private", "mine", {"Cache-Control": "private"})
        self.site.on("/a/cut", lambda exchange: (exchange.send_head(200, {"Content-Length": "10"}),
                                                 exchange.send(b"half"), exchange.close()))
        self.site.on("/a/large", lambda exchange: (exchange.send_head(200, {"Transfer-Encoding": "chunked"}),
                                                   exchange.chunk(b"x" * 70000), exchange.chunk(b"x" * 70000),
                                                   exchange.end_chunks()))
        self.site.answers("/a/validated", "same", {"Cache-Control": "no-cache", "ETag": '"1"'})
        ends = {"/a/404": "error_status (404)", "/a/503": "error_status (503)", "/a/private": "not_stored (private_response)",
                "/a/cut": "origin_error", "/a/large": "not_stored (too_large)"}
        proxy = self.start(warm(*({"url": url, "critical": url != "/a/503"} for url in [*ends, "/a/validated"])),
                           settings="cache: { max_object: 100KiB }")
        run = self.runs(proxy, 1)
        for url, end in ends.items():
            with self.subTest(url):
                task = self.task(proxy, url)
                self.assertIn(end, task["last_failure"])
                self.assertTrue(task["last_failure"].startswith(url + ":"))
                self.assertEqual((task["success_count"], task["failure_count"], task["last_success"]), (0, 1, None))
        self.assertEqual(run["failed"], 5)
        self.assertEqual(run["ends"]["stored"], 1)
        # Critical ones are warnings, the others are not.
        log = proxy.log()
        self.assertRegex(log, r"warning \[WARM\] task /a/404 failed: 1 of 1 requests; the first: /a/404: error_status")
        self.assertNotIn("task /a/503 failed", log)

        self.site.on("/a/validated", lambda exchange: exchange.reply(304, {"ETag": '"1"'}))
        run = self.order(proxy, tasks=["/a/validated"])["run"]
        self.assertEqual(run["ends"]["revalidated"], 1)
        self.site.kill()
        run = self.order(proxy, tasks=["/a/validated", "/a/404"], force=True)["run"]
        self.assertEqual(run["ends"]["origin_error"], 2)

    def test_debug_messages(self):
        self.site.answers("/a/503", "busy", status=503)
        proxy = self.start(warm({"url": "/a/503?token=secret"}), settings="log_level: debug")
        self.runs(proxy, 1)
        self.assertRegex(proxy.log(), r"debug \[WARM\] task /a/503\S* failed")
        self.assertNotIn("warning [WARM]", proxy.log())

    def test_concurrency_and_rate_are_bounded(self):
        gate = self.gate()
        here, most, lock = [0], [0], threading.Lock()

        def handler(exchange):
            with lock:
                here[0] += 1
                most[0] = max(most[0], here[0])
            gate.pass_through()
            with lock:
                here[0] -= 1
            exchange.reply(200, body="x")
        self.site.on("*", handler)
        proxy = self.start(warm({"name": "many", "urls": [f"/a/{i}" for i in range(20)]}, concurrency=3, rate=100000))
        gate.wait_for_arrivals(3)
        self.assertEqual(self.state(proxy)["run"]["requests"], 20)
        gate.open()
        self.runs(proxy, 1)
        self.assertEqual(most[0], 3)
        self.assertEqual(self.site.count(), 20)

        times = []
        self.site.on("*", lambda exchange: (times.append(time.monotonic()), exchange.reply(200, body="x")))
        other = self.start(warm({"name": "many", "urls": [f"/a/{i}" for i in range(5)]}, concurrency=5, rate=10))
        self.runs(other, 1)
        # Four pauses of a tenth of a second; the first request goes at once.
        began, ended = min(times), max(times)
        self.assertGreater(ended - began, 0.35)


class Again(WarmCase):
    def test_by_interval_what_will_not_last(self):
        proxy = self.start(warm({"url": "/short/1", "interval": "1s"}, {"url": "/a/1", "interval": "1s"}))
        self.site.wait_for("/short/1", count=3)
        self.assertEqual(self.site.count("/a/1"), 1, "it is fresh for an hour")
        self.assert_outcome(proxy.get("/short/1"), "HIT")
        task = self.task(proxy, "/a/1")
        self.assertGreaterEqual(task["execution_count"], 3)
        self.assertEqual(task["success_count"], task["execution_count"])

    def test_after_a_purge_of_a_type(self):
        proxy = self.start(warm({"url": "/a/1", "after_purge": True}, {"url": "/a/2"},
                                {"url": "/other/1", "after_purge": ["page"]}, {"url": "/other/2", "after_purge": ["other"]}))
        self.runs(proxy, 1)
        expected = {"/a/1": 1, "/a/2": 1, "/other/1": 1, "/other/2": 1}
        for number, path in enumerate(("/purge/page", "/purge/glob"), 2):
            with self.subTest(path):
                self.assertEqual(proxy.request("POST", path).status, 200)
                run = self.runs(proxy, number)
                self.assertEqual((run["trigger"], run["tasks"]), ("purge", ["/a/1", "/other/1"]))
                self.assertEqual((run["ends"]["stored"], run["ends"]["fresh"]), (1, 1))
                expected["/a/1"] += 1
                self.assertEqual({target: self.site.count(target) for target in expected}, expected)
                self.assert_outcome(proxy.get("/a/1"), "HIT")
        # By the admin API, of everything.
        self.assertEqual(proxy.admin("POST", "/api/cache/clear-all").status, 200)
        run = self.runs(proxy, 4)
        self.assertEqual(run["tasks"], ["/a/1", "/other/1", "/other/2"])
        self.assertEqual(run["ends"]["stored"], 3)
        # A single key is no purge of its type.
        self.assertEqual(proxy.request("POST", "/purge/one").status, 200)
        self.assertEqual(proxy.admin("POST", "/api/cache/invalidate-pattern", {"pattern": "cache:page:0*"}).status, 200)
        self.assertEqual(self.order(proxy, tasks=["/a/2"])["run"]["number"], 5)

    def test_nothing_older_than_a_write_is_kept(self):
        """A write that comes while a warming request is under way: what that fetched is never served."""
        gate = self.gate()
        answers = iter(["old", "new"])

        def handler(exchange):
            body = next(answers)
            if body == "old":
                gate.pass_through()
            exchange.reply(200, body=body)
        self.site.on("/a/1", handler)
        proxy = self.start(warm({"url": "/a/1"}))
        gate.wait_for_arrivals()
        self.assertEqual(proxy.request("POST", "/purge/page").status, 200)
        gate.open()
        self.assertEqual(self.runs(proxy, 1)["ends"]["stored"], 1, "it is fetched once more")
        self.assert_outcome(proxy.get("/a/1"), "HIT", "new")

    def test_never_two_runs_at_once(self):
        gate = self.gate()
        self.site.on("/a/1", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        proxy = self.start(warm({"url": "/a/1"}, {"url": "/short/1", "interval": "1s"}), settings="log_level: debug")
        gate.wait_for_arrivals()
        response = proxy.admin("POST", "/api/cache/warm", {})
        self.assertEqual((response.status, response.json["error"]), (409, "already_running"))
        self.assertEqual(response.json["run"]["number"], 1)
        # Its interval passes meanwhile; it waits for its turn.
        eventually(lambda: self.task(proxy, "/short/1")["next_run"] is not None, "it has a next run")
        self.assertEqual(self.state(proxy)["run"]["number"], 1)
        gate.open()
        self.runs(proxy, 2)
        response = proxy.admin("POST", "/api/cache/warm", {"tasks": ["/a/1"], "force": True})
        self.assertEqual(response.status, 202)
        self.assertEqual(response.json["run"]["trigger"], "order")

    def test_by_order(self):
        proxy = self.start(warm({"url": "/a/1"}, {"url": "/a/2"}, at_start=False))
        self.assertEqual(self.order(proxy, tasks=["/a/1"])["run"]["ends"]["stored"], 1)
        self.assertEqual(self.order(proxy)["run"]["ends"], {
            "fresh": 1, "stored": 1, "revalidated": 0, "not_stored": 0, "error_status": 0, "origin_error": 0, "not_cached": 0})
        self.assertEqual(self.order(proxy, force=True)["run"]["ends"]["stored"], 2)
        self.assertEqual((self.site.count("/a/1"), self.site.count("/a/2")), (2, 2))
        self.assertEqual(self.order(proxy, 404, tasks=["x"])["tasks"], ["/a/1", "/a/2"])
        for body, error in ((b"[", "bad_json"), (b"[]", "bad_order"), (b'{"force":1}', "bad_order")):
            response = proxy.admin("POST", "/api/cache/warm", body)
            self.assertEqual((response.status, response.json["error"]), (400, error))
        self.assertEqual(proxy.admin("POST", "/api/cache/warm", {}, token=None).status, 401)
        self.assertEqual(proxy.admin("DELETE", "/api/cache/warm").status, 405)
        text = proxy.admin("GET", "/metrics").text
        self.assertIn('larder_warm_task_executions_total{task="/a/1",critical="false"} 3\n', text)
        self.assertIn('larder_warm_requests_total{end="stored"} 4\n', text)


class Busiest(WarmCase):
    def test_what_is_asked_for_most_stays_warm(self):
        self.site.on("/short/lang", lambda exchange: exchange.reply(200, {"Vary": "Accept-Language"}, "x"))
        proxy = self.start(warm({"top": 2, "type": "short"}, {"name": "all", "top": 9}, at_start=False))
        german = [("Accept-Language", "de")]
        for target, fields, count in (("/short/1", (), 4), ("/short/lang", german, 3), ("/short/2?x=1", (), 2), ("/a/1", (), 9)):
            for _ in range(count):
                proxy.get(target, fields)
        before = self.site.count()
        run = self.order(proxy, tasks=["top 2 of short"], force=True)["run"]
        self.assertEqual((run["requests"], run["ends"]["stored"]), (2, 2))
        seen = self.site.requests[before:]
        self.assertEqual(sorted(request.target for request in seen), ["/short/1", "/short/lang"])
        self.assertEqual([r.fields.get("Accept-Language") for r in seen if r.target == "/short/lang"], ["de"])
        # What was purged is remembered.
        self.assertEqual(proxy.admin("POST", "/api/cache/clear-all").status, 200)
        run = self.order(proxy, tasks=["top 2 of short"])["run"]
        self.assertEqual((run["requests"], run["ends"]["stored"]), (2, 2))
        self.assert_outcome(proxy.get("/short/lang", german), "HIT")

    def test_identities_are_left_out(self):
        self.site.answers("/mine/1", "mine", {"Cache-Control": "public"})
        proxy = self.start(warm({"top": 9}, at_start=False))
        for _ in range(3):
            proxy.get("/mine/1", [("Authorization", "Bearer a")])
            proxy.get("/a/1")
        self.assertEqual(self.order(proxy, force=True)["run"]["requests"], 1)
        task = self.task(proxy, "top 9")
        self.assertEqual(task["unrepeatable"], 1)
        self.assertEqual(self.site.count("/mine/1"), 1)


class Surroundings(WarmCase):
    def test_a_reload_goes_on_counting(self):
        proxy = self.start(warm({"url": "/a/1"}, {"url": "/a/2"}))
        self.runs(proxy, 1)
        proxy.write("rules.yaml", warm({"url": "/a/2"}, {"url": "/a/3"}))
        proxy.reload()
        # What is new runs as at a start.
        run = self.runs(proxy, 2)
        self.assertEqual((run["trigger"], run["tasks"]), ("start", ["/a/3"]))
        self.order(proxy)
        self.assertEqual([(t["name"], t["execution_count"]) for t in self.state(proxy)["tasks"]], [("/a/2", 2), ("/a/3", 2)])
        proxy.write("rules.yaml", ROUTES)
        proxy.reload()
        eventually(lambda: proxy.stats()["warm"] is None, "there are no tasks any more")

    def test_a_reload_during_a_run(self):
        gate = self.gate()
        self.site.on("/a/1", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        proxy = self.start(warm({"url": "/a/1"}))
        gate.wait_for_arrivals()
        proxy.write("rules.yaml", warm({"url": "/a/1"}, {"url": "/a/2"}))
        proxy.reload()
        gate.open()
        self.runs(proxy, 2)
        self.assertEqual(self.task(proxy, "/a/1")["execution_count"], 1)
        self.assert_outcome(proxy.get("/a/1"), "HIT")
        self.assert_outcome(proxy.get("/a/2"), "HIT")

    def test_an_end_during_a_run(self):
        gate = self.gate()
        self.site.on("*", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        proxy = self.start(warm({"name": "many", "urls": [f"/a/{i}" for i in range(50)]}))
        gate.wait_for_arrivals(4)
        self.assertEqual(proxy.stop(), 0)
        self.assertLessEqual(self.site.count(), 8)

    def test_with_redis(self):
        redis = self.redis()
        first = self.start(warm({"url": "/a/1"}), redis=redis)
        self.assertEqual(self.runs(first, 1)["ends"]["stored"], 1)
        first.stop()
        # The next node finds it there: the origin is not asked, and memory has it.
        second = self.start(warm({"url": "/a/1"}), redis=redis)
        self.assertEqual(self.runs(second, 1)["ends"]["fresh"], 1)
        self.assertEqual(self.site.count("/a/1"), 1)
        redis.kill()
        self.assertEqual(second.stats()["memory"]["entries"], 1)

    def test_without_memory(self):
        redis = self.redis()
        proxy = self.start(warm({"url": "/a/1"}), redis=redis, memory="off")
        self.assertEqual(self.runs(proxy, 1)["ends"]["stored"], 1)
        self.assert_outcome(proxy.get("/a/1"), "HIT")

    def test_a_purge_by_another_node(self):
        redis = self.redis()
        one = self.start(warm({"url": "/a/1", "after_purge": True}), redis=redis)
        other = self.start(ROUTES, redis=redis)
        self.runs(one, 1)
        before = self.site.count("/a/1")
        self.assertEqual(other.request("POST", "/purge/page").status, 200)
        self.site.wait_for("/a/1", count=before + 1)

    def test_without_an_origin(self):
        self.site.kill()
        proxy = self.start(warm({"url": "/a/1", "critical": True}))
        self.assertEqual(self.runs(proxy, 1)["ends"]["origin_error"], 1)
        proxy.wait_for_log(r"warning \[WARM\] task /a/1 failed")
        self.assertEqual(proxy.admin("GET", "/ready").status, 200)

    def test_check_names_the_place(self):
        proxy = self.start(ROUTES)
        path = proxy.write("bad.yaml", ROUTES + "warm:\n  tasks:\n    - url: /a/1\n")
        ended = run_program("check", "--config", proxy.write_settings(f"origin: {{ servers: [{self.site.url}] }}"),
                            "--rules", path)
        self.assertNotEqual(ended.returncode, 0)
        line = (ROUTES + "warm:\n  tasks:\n    - url").count("\n") + 1
        self.assertIn(f'bad.yaml:{line}: warm: "/a/1" has no host', ended.stdout + ended.stderr)


if __name__ == "__main__":
    unittest.main()
