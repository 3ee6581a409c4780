"""The logs: what is said of each request, what is never said, and what happens when nobody reads."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import PROGRAM, run_program
from .support.waiting import eventually, in_parallel

RULES = """
types: { page: { ttl: 1h } }
routes:
  - match: GET /off/**
    cache: off
  - match: GET /named/{id}
    cache: page
    key: "named:{id}:{query.token}"
  - match: GET /own/**
    cache: page
    identity: header:Authorization
  - match: GET /**
    cache: page
  - match: [POST, PUT, DELETE] /**
    purge: [ { type: page } ]
"""

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class LogCase(IntegrationCase):
    def logging(self, *origins, access="", settings="", **options):
        """A larder whose access log is a file in its own directory: self.access_lines() reads it."""
        text = "access_log:\n  file: access.log\n" + "".join(f"  {line}\n" for line in access.splitlines()) + settings
        options.setdefault("rules", RULES)
        options.setdefault("workers", 1)  # lines of several may come in another order than they ended
        self.proxy = self.larder(*origins, settings=text, **options)
        self.access_file = os.path.join(self.proxy.directory, "access.log")
        return self.proxy

    def access_text(self, name="access.log"):
        with open(os.path.join(self.proxy.directory, name), encoding="utf-8") as file:
            return file.read()

    def access_lines(self, count, name="access.log"):
        """Waits for that many requests; returns them all as JSON objects."""
        def read():
            text = self.access_text(name)
            lines = [json.loads(line) for line in text.splitlines()] if text.endswith("\n") else []
            return lines if len(lines) >= count else None
        return eventually(read, f"{count} requests are logged")


class AccessLog(LogCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, body="x" * 100))

    def test_a_miss_and_a_hit(self):
        self.logging(self.site)
        self.proxy.get("/a?b=c", {"Traceparent": TRACEPARENT, "X-Request-Id": "client-1"})
        key = self.proxy.get("/a?b=c").fields.get("X-Cache-Key")
        miss, hit = self.access_lines(2)
        self.assertRegex(miss["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        for line in (miss, hit):
            self.assertEqual(
                {name: line[name] for name in ("event", "client", "method", "host", "target", "version", "status",
                                               "bytes", "key", "type")},
                {"event": "request", "client": "127.0.0.1", "method": "GET", "host": "api.example",
                 "target": "/a?b=c", "version": "1.1", "status": 200, "bytes": 100, "key": key, "type": "page"})
            self.assertRegex(line["route"], r"rules\.yaml:12$")
            self.assertGreater(line["total_ms"], 0)
        self.assertEqual((miss["cache"], miss["reason"], miss["id"], miss["trace"]),
                         ("MISS", "absent", "client-1", TRACE))
        self.assertLessEqual(miss["origin_ms"], miss["total_ms"])
        self.assertEqual((hit["cache"], hit["tier"]), ("HIT", "memory"))
        self.assertNotIn("origin_ms", hit)
        self.assertNotIn("reason", hit)
        self.assertRegex(hit["id"], "^[0-9a-f]{32}$")
        self.assertNotIn("trace", hit)

    def test_what_is_said_of_the_others(self):
        self.site.on("/never", lambda exchange: exchange.reply(200, {"Cache-Control": "no-store"}, body="x"))
        self.site.on("/gone", lambda exchange: exchange.reply(404, body="gone"))
        self.logging(self.site)
        expected = []
        for method, target, wants in (
                ("GET", "/off/a", {"cache": "BYPASS", "reason": "route_off", "status": 200}),
                ("GET", "/never", {"cache": "MISS", "detail": "no_store"}),
                ("GET", "/gone", {"cache": "MISS", "detail": "status", "status": 404, "bytes": 4}),
                ("HEAD", "/a", {"cache": "MISS", "bytes": 0, "status": 200}),
                ("POST", "/a", {"cache": "BYPASS", "reason": "method"}),
                ("OPTIONS", "/a", {"cache": "BYPASS", "reason": "method"})):
            self.proxy.request(method, target, body="x" if method == "POST" else None)
            expected.append({"method": method, "target": target, **wants})
        self.proxy.get("/nothing", {"Cache-Control": "only-if-cached"})
        expected.append({"target": "/nothing", "status": 504, "cache": "MISS", "reason": "absent"})
        lines = self.access_lines(len(expected))
        for line, wants in zip(lines, expected):
            with self.subTest(wants):
                self.assertEqual({name: line.get(name) for name in wants}, wants, line)

    def test_redis_and_its_time(self):
        redis = self.redis()
        first = self.larder(self.site, rules=RULES, redis=redis)
        eventually(lambda: first.stats()["redis"]["readable"], "Redis is in use")
        first.get("/a")
        redis.wait_for_keys()
        self.logging(self.site, redis=redis)
        eventually(lambda: self.proxy.stats()["redis"]["readable"], "Redis is in use")
        self.assert_outcome(self.proxy.get("/a"), "HIT")
        line = self.access_lines(1)[0]
        self.assertEqual((line["cache"], line["tier"]), ("HIT", "redis"))
        self.assertGreater(line["redis_ms"], 0)

    def test_collapsed_requests_and_slow_ones(self):
        gate = self.gate()

        def slow(exchange):
            gate.pass_through()
            exchange.reply(200, body="x")
        self.site.on("/slow", slow)
        self.logging(self.site, access="sample: 0%\nslow: 50ms")
        join = in_parallel(3, lambda _: self.proxy.get("/slow"))
        gate.wait_for_arrivals()
        eventually(lambda: self.proxy.stats()["collapsed"] == 2, "two follow")
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > 0.06, "it was slow")
        gate.open()
        join()
        self.proxy.get("/slow")  # a hit, neither slow nor an error
        self.proxy.get("/quick")
        self.site.on("/bad", lambda exchange: exchange.reply(500, body="x"))
        self.proxy.get("/bad")
        lines = self.access_lines(4)
        self.assertEqual([line["target"] for line in lines], ["/slow"] * 3 + ["/bad"])
        self.assertEqual(sum(line.get("collapsed", False) for line in lines), 2)
        self.assertEqual(sum("origin_ms" in line for line in lines[:3]), 1)
        self.assertTrue(all(line["total_ms"] > 50 for line in lines[:3]))

    def test_a_reply_that_breaks_off(self):
        def breaks(exchange):
            exchange.send_head(200, {"Content-Length": "1000"})
            exchange.send(b"x" * 10)
            exchange.close()
        self.site.on("/broken", breaks)
        self.logging(self.site)
        connection = self.connect(self.proxy)
        connection.send_request("GET", "/broken")
        connection.reader.to_end()
        line = self.access_lines(1)[0]
        self.assertTrue(line.get("cut_short") or line["status"] == 502, line)

    def test_malformed_requests(self):
        self.logging(self.site)
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n", b"\x00\x01\x1b[31m\r\n\r\n",
                     b"GET /\xff\r\n\r\n HTTP/1.1\r\n\r\n"):
            connection = self.connect(self.proxy)
            connection.send(data)
            connection.reader.to_end()
        lines = self.access_lines(3)
        self.assertTrue(all(line["status"] == 400 and line["detail"] and "target" not in line for line in lines), lines)

    def test_pipelined_hits_have_a_line_each(self):
        self.logging(self.site, workers=2)
        self.proxy.get("/a")
        connection = self.connect(self.proxy)
        connection.send(b"GET /a HTTP/1.1\r\nHost: api.example\r\n\r\n" * 20)
        for _ in range(20):
            self.assert_outcome(connection.read_response(), "HIT")
        lines = self.access_lines(21)
        self.assertEqual(len({line["id"] for line in lines}), 21, "each has an id of its own")

    def test_for_people(self):
        self.logging(self.site, access="format: human")
        self.proxy.get("/a?b=c d".replace(" ", "%20"))
        line = eventually(lambda: self.access_text().strip(), "it is logged")
        self.assertRegex(line, r'^\S+Z request client=127\.0\.0\.1 method=GET host=api\.example '
                               r'target="/a\?b=c%20d" version=1\.1 status=200 bytes=100 cache=MISS reason=absent ')

    def test_off(self):
        self.proxy = self.larder(self.site, rules=RULES)
        self.proxy.get("/a")
        self.assertIsNone(self.proxy.stats()["access_log"])
        self.assertNotIn("larder_access_log", self.proxy.admin("GET", "/metrics").text)
        self.proxy.stop()
        self.assertNotIn("/a", self.proxy.log())

    def test_on_the_error_output(self):
        self.proxy = self.larder(self.site, rules=RULES, settings="access_log: { file: stderr }\n")
        self.proxy.get("/a")
        found = self.proxy.wait_for_log(r'^\{"time".*"target":"/a"')
        self.assertEqual(json.loads(found.string)["status"], 200)

    def test_logrotate(self):
        self.logging(self.site)
        self.proxy.get("/a")
        self.access_lines(1)
        os.rename(self.access_file, self.access_file + ".1")
        self.proxy.signal(signal.SIGUSR1)
        eventually(lambda: os.path.exists(self.access_file), "the file is made anew")
        self.proxy.get("/b")
        self.assertEqual(self.access_lines(1)[0]["target"], "/b")
        self.assertEqual(len(self.access_lines(1, "access.log.1")), 1)
        self.proxy.wait_for_log("access log: .* was opened anew")

    def test_a_file_that_cannot_be_opened_stops_the_start(self):
        proxy = self.larder(self.site, rules=HOUR_RULES)  # for its directory
        for section in ("log", "access_log"):
            config = proxy.write("wrong.yaml", f"{section}: {{ file: /no/such/folder/x }}\n")
            ended = run_program("serve", "--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "off",
                                "--redis", "off", "--config", config)
            self.assertEqual(ended.returncode, 1)
            self.assertIn("cannot start: cannot open the log /no/such/folder/x: No such file or directory",
                          ended.stderr)

    def test_a_full_disk_is_told_once_and_harms_nobody(self):
        self.proxy = self.larder(self.site, rules=RULES, settings="access_log: { file: /dev/full }\n")
        beginning = self.proxy.log_size()
        for _ in range(20):
            self.assertEqual(self.proxy.get("/a").status, 200)
        self.proxy.wait_for_log("access log: /dev/full takes no lines: No space left on device", beginning)
        eventually(lambda: self.proxy.stats()["access_log"] == {"written": 0, "dropped": 0, "lost": 20}, "all are counted")
        self.proxy.stop()
        self.assertEqual(len(re.findall("takes no lines", self.proxy.log())), 1)


class NobodyReads(LogCase):
    def test_an_output_that_takes_nothing_holds_up_no_request_and_no_end(self):
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body="x"))
        self.logging(site, rules=HOUR_RULES)  # for its directory
        pipe = os.path.join(self.proxy.directory, "pipe")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        proxy = self.larder(site, rules=HOUR_RULES, workers=1,
                            settings=f"access_log: {{ file: {pipe}, queue: 64KiB }}\n")
        proxy.get("/a?" + "x" * 1000)
        connection = self.connect(proxy)
        hit = f"GET /a?{'x' * 1000} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode()
        for _ in range(20):  # far more than pipe and queue hold
            connection.send(hit * 20)
            for _ in range(20):
                self.assert_outcome(connection.read_response(), "HIT")
        told = proxy.stats()["access_log"]
        self.assertGreater(told["dropped"], 0)
        self.assertRegex(proxy.admin("GET", "/metrics").text, r'larder_access_log_lines_total\{result="dropped"\} [1-9]')
        began = time.monotonic()
        self.assertEqual(proxy.stop(), 0)
        self.assertLess(time.monotonic() - began, 15)


class RequestIds(LogCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, {"X-Request-Id": "of-the-origin"}, body="x"))

    def seen(self, target, name="X-Request-Id"):
        """What the origin got in the field for that target."""
        return [request.fields.all(name) for request in self.site.requests if request.target == target]

    def test_passed_on_and_made(self):
        self.logging(self.site)
        self.proxy.get("/a", {"x-request-id": "mine-1"})
        self.proxy.get("/b")
        self.proxy.request("POST", "/c", {"X-Request-Id": "mine-3"}, body="x")
        self.proxy.get("/off/d", {"X-Request-Id": "mine-4"})
        self.assertEqual(self.seen("/a"), [["mine-1"]])
        self.assertRegex(self.seen("/b")[0][0], "^[0-9a-f]{32}$")
        self.assertEqual(self.seen("/c"), [["mine-3"]])
        self.assertEqual(self.seen("/off/d"), [["mine-4"]])
        lines = self.access_lines(4)
        self.assertEqual([line["id"] for line in lines], ["mine-1", self.seen("/b")[0][0], "mine-3", "mine-4"])
        self.assertEqual(self.proxy.get("/a").fields.all("X-Request-Id"), ["of-the-origin"], "no part of ours in it")

    def test_ids_that_are_not_well_formed_are_replaced(self):
        self.logging(self.site)
        for number, fields in enumerate(([("X-Request-Id", "a b")], [("X-Request-Id", "a\"b\\")],
                                         [("X-Request-Id", "a"), ("X-Request-Id", "b")],
                                         [("X-Request-Id", "x" * 129)], [("X-Request-Id", "")],
                                         [("X-Request-Id", "\xe4\xf6")])):
            with self.subTest(fields):
                self.proxy.get(f"/{number}", fields)
                self.assertEqual(len(self.seen(f"/{number}")[0]), 1)
                self.assertRegex(self.seen(f"/{number}")[0][0], "^[0-9a-f]{32}$")

    def test_returned(self):
        self.proxy = self.larder(self.site, rules=RULES, settings="request_id: { return: true }\n")
        for outcome, number in (("MISS", 1), ("HIT", 2), ("HIT", 3)):
            response = self.proxy.get("/a", {"X-Request-Id": f"mine-{number}"})
            self.assert_outcome(response, outcome)
            self.assertEqual(response.fields.all("X-Request-Id"), [f"mine-{number}"])
        self.assertRegex(self.proxy.get("/a").fields.get("X-Request-Id"), "^[0-9a-f]{32}$")
        for target in ("/off/a", "/b"):
            self.assertEqual(self.proxy.get(target, {"X-Request-Id": "m"}).fields.all("X-Request-Id"), ["m"])
        self.site.kill()
        failed = self.proxy.get("/c", {"X-Request-Id": "m"})
        self.assertEqual((failed.status, failed.fields.all("X-Request-Id")), (502, ["m"]))

    def test_not_accepted(self):
        self.proxy = self.larder(self.site, rules=RULES,
                                 settings="request_id: { accept: false, field: X-Correlation-Id }\n")
        self.proxy.get("/a", {"X-Correlation-Id": "mine", "X-Request-Id": "other"})
        self.assertRegex(self.seen("/a", "X-Correlation-Id")[0][0], "^[0-9a-f]{32}$")
        self.assertEqual(self.seen("/a"), [["other"]], "another field is the client's business")

    def test_none(self):
        self.proxy = self.larder(self.site, rules=RULES, settings="request_id: { field: \"\" }\n")
        self.proxy.get("/a")
        self.assertEqual(self.seen("/a"), [[]])

    def test_traces(self):
        self.proxy = self.larder(self.site, rules=RULES)
        self.proxy.get("/a", {"traceparent": TRACEPARENT, "tracestate": "a=1"})
        self.proxy.get("/b")
        self.assertEqual((self.seen("/a", "traceparent"), self.seen("/a", "tracestate")), ([[TRACEPARENT]], [["a=1"]]))
        self.assertEqual(self.seen("/b", "traceparent"), [[]])

    def test_traces_that_begin_here(self):
        self.logging(self.site, settings="traceparent: make\n")
        self.proxy.get("/a", {"traceparent": TRACEPARENT, "tracestate": "a=1"})
        self.proxy.get("/b")
        self.proxy.get("/c", {"traceparent": "00-nonsense", "tracestate": "a=1"})
        self.assertEqual((self.seen("/a", "traceparent"), self.seen("/a", "tracestate")), ([[TRACEPARENT]], [["a=1"]]))
        lines = self.access_lines(3)
        for target, line in (("/b", lines[1]), ("/c", lines[2])):
            made = self.seen(target, "traceparent")[0]
            self.assertEqual(len(made), 1)
            self.assertRegex(made[0], "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
            self.assertEqual(line["trace"], made[0][3:35])
        self.assertEqual(self.seen("/c", "tracestate"), [[]])


class Secrets(LogCase):
    """Planted wherever a secret may be; then all that Larder has written is searched."""

    PLANT = "PLANTED5ECRET"

    def plant(self, place):
        return f"{self.PLANT}-{place}"

    def test_no_secret_is_ever_written(self):
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(
            200, {"Set-Cookie": f"s={self.plant('set-cookie')}", "X-Secret": self.plant("response-field")},
            body=self.plant("response-body")))
        site.on("/own/a", lambda exchange: exchange.reply(200, body=self.plant("own-body")))

        def breaks(exchange):
            exchange.send(b"HTTP/1.1 " + self.plant("nonsense").encode() + b"\r\n\r\n")
            exchange.close()
        site.on("/breaks", breaks)
        password = self.plant("redis-password")
        redis = self.redis()
        redis.command("CONFIG", "SET", "requirepass", password)
        url = f"redis://:{password}@127.0.0.1:{redis.port}/0"
        for general in ("human", "json"):
            for access in ("human", "json"):
                with self.subTest(general=general, access=access):
                    self.logging(site, access=f"format: {access}", redis=None, token=self.plant("admin-token"),
                                 settings=f"log_level: trace\nlog: {{ format: {general} }}\n"
                                          f"redis: {{ url: \"{url}\" }}\n")
                    self.send_secrets()
                    self.proxy.stop()
                    self.assertGreater(len(self.access_text().splitlines()), 20)
                    for text in (self.proxy.log(), self.access_text()):
                        self.assertTrue(text)
                        self.assertNotIn(self.PLANT, text)
                        self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f]")

    def send_secrets(self):
        plant = self.plant
        fields = {"Authorization": f"Bearer {plant('authorization')}", "Cookie": f"session={plant('cookie')}",
                  "Proxy-Authorization": plant("proxy-authorization"), "X-Api-Key": plant("api-key"),
                  "Referer": f"http://u:{plant('referer')}@h/?token={plant('referer-query')}",
                  "User-Agent": plant("user-agent")}
        for target in (f"/a?token={plant('query')}", f"/a?x=1&TOKEN={plant('query-case')}",
                       f"/a?%74oken={plant('query-encoded')}", f"/a?X-Amz-Signature={plant('query-ending')}",
                       f"/named/1?token={plant('key-template')}", f"/off/a?password={plant('off')}",
                       f"/a?u=http://me:{plant('userinfo')}@h/", f"/a?u=http%3A%2F%2Fme%3A{plant('userinfo')}%40h%2F",
                       "/own/a", f"/breaks?token={plant('broken')}"):
            for _ in range(2):
                self.proxy.get(target, fields)
        self.proxy.request("POST", f"/a?token={plant('post')}", fields, body=plant("body"))
        self.proxy.get(f"http://me:{plant('absolute')}@api.example/a")
        for data in (f"GET /a HTTP/1.1\r\nHost: a\r\nBad {plant('bad-field')}: x\r\n\r\n",
                     f"GET http://me:{plant('target')}@h/ HTTP/1.1\r\nHost: a@{plant('host')}\r\n\r\n",
                     f"{plant('method')} \r\n\r\n"):
            connection = self.connect(self.proxy)
            connection.send(data.encode())
            connection.reader.to_end()
        self.proxy.admin("GET", "/api/cache/stats")
        self.proxy.admin("GET", f"/api/cache/stats?token={plant('admin-query')}", token=plant("wrong-admin-token"))
        self.proxy.admin("POST", "/api/cache/invalidate-pattern", body={"pattern": f"cache:{plant('pattern')}"})

    def test_nor_by_the_check_of_a_configuration(self):
        """Faults show what is wrong, and yet no secret."""
        site = self.origin()
        proxy = self.larder(site, rules=HOUR_RULES)
        for text in (f"origin: {{ servers: [\"http://u:{self.PLANT}@h\"] }}\n",
                     f"redis: {{ url: \"redis://u:{self.PLANT}@h:99999\" }}\n",
                     f"redis: {{ password: [{self.PLANT}] }}\n", f"admin: {{ token: \"{self.PLANT} x\" }}\n"):
            ended = run_program("check", "--config", proxy.write("secret.yaml", text))
            self.assertNotEqual(ended.returncode, 0)
            self.assertNotIn(self.PLANT, ended.stdout + ended.stderr)


class GeneralLog(LogCase):
    def test_json_lines(self):
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body="x"))
        self.proxy = self.larder(site, rules=HOUR_RULES, settings="log: { format: json }\n")
        site.kill()
        self.proxy.get("/a")
        self.proxy.stop()
        lines = [json.loads(line) for line in self.proxy.log().splitlines()]
        self.assertTrue(all(line["event"] == "log" for line in lines))
        self.assertTrue(any(line["level"] == "error" and "[ORIGIN ERROR]" in line["message"] for line in lines))

    def test_in_a_file_that_is_rotated(self):
        site = self.origin()
        site.on("*", lambda exchange: exchange.reply(200, body="x"))
        self.proxy = self.larder(site, rules=HOUR_RULES, settings="access_log: off\n")
        path = os.path.join(self.proxy.directory, "larder.log")
        ports = self.start_with_log_file(path)
        os.rename(path, path + ".1")
        ports.send_signal(signal.SIGUSR1)
        ports.send_signal(signal.SIGTERM)
        self.assertEqual(ports.wait(20), 0)
        with open(path, encoding="utf-8") as file:
            self.assertIn("stopped", file.read())
        with open(path + ".1", encoding="utf-8") as file:
            self.assertNotIn("stopped", file.read())

    def start_with_log_file(self, path):
        config = self.proxy.write("file.yaml", f"log: {{ file: {path} }}\n")
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [PROGRAM, "serve", "--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "off", "--redis",
             "off", "--config", config], stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)

        def listens():
            if not os.path.exists(path):
                return False
            with open(path, encoding="utf-8") as file:
                return "listening on" in file.read()
        eventually(listens, "it listens")
        return process


if __name__ == "__main__":
    unittest.main()
