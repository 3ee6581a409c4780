"""New rules and settings while it runs: by SIGHUP, by the admin API, by a change of the files. What is wrong with them
changes nothing; what is stored under old rules is never an answer that the new ones would not give."""

import itertools
import os
import signal
import threading
import unittest

from .support.integration_case import IntegrationCase
from .support.larder_process import settings
from .support.waiting import eventually, in_parallel

TWO_TYPES = """
types: { page: { ttl: 1h }, user: { ttl: 1h } }
routes:
  - match: GET /users/**
    cache: user
  - match: GET /pages/**
    cache: page
"""

# The same, but for what is said of users.
LOWER_TTL = TWO_TYPES.replace("user: { ttl: 1h }", "user: { ttl: 1s }")
USERS_OFF = TWO_TYPES.replace("cache: user", "cache: off")
USERS_BY_KEY = TWO_TYPES.replace("/users/**", "/users/{id}").replace(
    "cache: user\n", "cache: user\n    key: \"user:{id}\"\n")
MORE_ROUTES = TWO_TYPES + "  - match: GET /more/**\n    cache: page\n"


def site_settings(*origins, **sections):
    """A server configuration with its origins in the file, where a reload can change them."""
    servers = ", ".join(origin.url for origin in origins)
    return settings(origin={"servers": f"[{servers}]"}, **sections)


class Rules(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.numbered("/users/1", prefix="user ")
        self.site.numbered("/pages/1", prefix="page ")
        self.site.numbered("/more/1", prefix="more ")

    def start(self, rules, **options):
        return self.larder(self.site, rules=rules, **options)

    def replace(self, proxy, rules):
        proxy.write("rules.yaml", rules)
        return proxy.reload()

    def test_by_signal(self):
        proxy = self.start(TWO_TYPES)
        self.assert_outcome(proxy.get("/users/1"), "MISS", "user 1")
        proxy.write("rules.yaml", USERS_OFF)
        before = proxy.log_size()
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log(r"SIGHUP: reloaded; rules: new; .*purged types: user", before)
        self.assert_outcome(proxy.get("/users/1"), "BYPASS", "user 2")

    def test_what_a_change_means_for_what_is_stored(self):
        for name, rules, outcome, purged in [("a lower ttl", LOWER_TTL, "MISS", ["user"]),
                                             ("cache: off", USERS_OFF, "BYPASS", ["user"]),
                                             ("another key", USERS_BY_KEY, "MISS", ["user"]),
                                             ("more routes", MORE_ROUTES, "HIT", []),
                                             ("nothing", TWO_TYPES, "HIT", [])]:
            with self.subTest(name):
                proxy = self.start(TWO_TYPES)
                for path in ("/users/1", "/pages/1"):
                    proxy.get(path)
                    self.assert_outcome(proxy.get(path), "HIT")
                report = self.replace(proxy, rules)
                self.assertEqual(report["purged_types"], purged)
                self.assertEqual(report["rules_changed"], rules != TWO_TYPES)
                self.assert_outcome(proxy.get("/users/1"), outcome)
                # What the change does not touch stays.
                self.assert_outcome(proxy.get("/pages/1"), "HIT")

    def test_the_new_ttl_and_key_hold(self):
        proxy = self.start(TWO_TYPES)
        proxy.get("/users/1")
        self.replace(proxy, USERS_BY_KEY)
        self.assertEqual(proxy.get("/users/1").fields.get("X-Cache-Key"), "cache:user:1")
        self.replace(proxy, LOWER_TTL)
        first = proxy.get("/users/1")
        self.assert_outcome(first, "MISS")
        proxy.get_until("/users/1", lambda response: response.body != first.body, "is stale after a second")

    def test_types_are_known_to_purges_as_soon_as_they_are_there(self):
        proxy = self.start(TWO_TYPES)
        self.assertEqual(proxy.admin("POST", "/api/cache/invalidate/member").status, 404)
        self.replace(proxy, TWO_TYPES.replace("user: ", "member: ").replace("cache: user", "cache: member"))
        proxy.get("/users/1")
        self.assert_outcome(proxy.get("/users/1"), "HIT")
        eventually(lambda: proxy.admin("POST", "/api/cache/invalidate/member").status == 200, "the new type is known")
        self.assert_outcome(proxy.get("/users/1"), "MISS")
        self.assertEqual(proxy.admin("POST", "/api/cache/invalidate/user").status, 404)

    def test_what_was_counted_stays_counted(self):
        proxy = self.start(TWO_TYPES)
        for _ in range(5):
            proxy.get("/users/1")
            proxy.get("/pages/1")
        # The routes change places, and a new one comes first.
        self.replace(proxy, """
types: { page: { ttl: 1h }, user: { ttl: 1h } }
routes:
  - match: GET /more/**
    cache: page
  - match: GET /pages/**
    cache: page
  - match: GET /users/**
    cache: user
""")
        proxy.get("/users/1")

        def counted():
            stats = proxy.stats()
            routes = {route["match"]: (route["hits"], route["misses"]) for route in stats["routes"]}
            return routes if "GET /more/**" in routes else None

        routes = eventually(counted, "the new rules are shown")
        self.assertEqual(routes, {"GET /more/**": (0, 0), "GET /pages/**": (4, 1), "GET /users/**": (5, 1)})
        # A type's sum keeps what a route that is gone had.
        self.replace(proxy, "types: { page: { ttl: 1h }, user: { ttl: 1h } }\nroutes:\n  - match: GET /pages/**\n"
                            "    cache: page\n")
        eventually(lambda: len(proxy.stats()["routes"]) == 1, "the rules after that are shown")
        self.assertEqual(proxy.stats()["types"]["user"]["hits"], 5)

    def test_requests_in_progress_end_under_the_rules_they_began_with(self):
        gate = self.gate()

        def held(exchange):
            gate.pass_through()
            exchange.reply(200, {"Cache-Control": "max-age=60"}, "held")

        self.site.on("/users/held", held)
        proxy = self.start(TWO_TYPES)
        with self.connect(proxy) as client:
            client.send_request("GET", "/users/held")
            self.site.wait_for("/users/held")
            self.replace(proxy, USERS_OFF)
            self.assert_outcome(proxy.get("/users/1"), "BYPASS")
            gate.open()
            response = client.read_response()
            self.assert_outcome(response, "MISS", "held")
            self.assertTrue(response.fields.get("X-Cache-Key").startswith("cache:user:"))
        # But what they fetched is not stored: nothing of the new rules would find it.
        self.assertEqual(proxy.stats()["not_stored"]["rules_changed"], 1)
        self.replace(proxy, TWO_TYPES)
        self.assert_outcome(proxy.get("/users/held"), "MISS")

    def test_a_write_in_progress_purges_by_the_old_rules_and_by_the_new(self):
        rules = """
types: {{ page: {{ ttl: 1h }}, user: {{ ttl: 1h }} }}
routes:
  - match: GET /users/**
    cache: user
  - match: GET /pages/**
    cache: page
  - match: POST /change
    purge: [ {{ type: {} }} ]
"""
        gate = self.gate()

        def change(exchange):
            gate.pass_through()
            exchange.reply(204)

        self.site.on("/change", change)
        proxy = self.start(rules.format("user"))
        for path in ("/users/1", "/pages/1"):
            proxy.get(path)
        with self.connect(proxy) as client:
            client.send_request("POST", "/change", body="x")
            self.site.wait_for("/change")
            self.assertEqual(self.replace(proxy, rules.format("page"))["purged_types"], [])
            for path in ("/users/1", "/pages/1"):
                self.assert_outcome(proxy.get(path), "HIT")
            gate.open()
            self.assertEqual(client.read_response().status, 204)
        for path in ("/users/1", "/pages/1"):
            self.assert_outcome(proxy.get(path), "MISS")

    def test_connections_memory_and_purge_log_stay(self):
        proxy = self.start(TWO_TYPES)
        proxy.get("/pages/1")
        proxy.admin("POST", "/api/cache/invalidate-pattern", {"tag": "x"})
        before = proxy.stats()
        with self.connect(proxy) as client:
            self.assert_outcome(client.get("/pages/1"), "HIT")
            for rules in ("# more to come\n" + TWO_TYPES, TWO_TYPES, MORE_ROUTES):
                self.replace(proxy, rules)
                self.assert_outcome(client.get("/pages/1"), "HIT")
        after = proxy.stats()
        self.assertEqual(after["purge_log"]["epoch"], before["purge_log"]["epoch"])
        self.assertEqual(after["purge_log"]["clock"], before["purge_log"]["clock"])
        self.assertEqual(after["memory"]["entries"], before["memory"]["entries"])
        self.assertEqual(after["total_requests"], before["total_requests"] + 4)

    def test_under_load(self):
        proxy = self.start(TWO_TYPES)
        allowed = {"/users/1": b"user ", "/pages/1": b"page ", "/more/1": b"more "}
        stop = threading.Event()
        done = []

        def load(number):
            targets = itertools.cycle(list(allowed)[number % 3:] + list(allowed)[:number % 3])
            count = 0
            with proxy.connect() as client:
                while not stop.is_set():
                    target = next(targets)
                    response = client.get(target)
                    assert response.status == 200, response.status
                    assert response.body.startswith(allowed[target]), (target, response.body)
                    count += 1
            done.append(count)

        join = in_parallel(6, load)
        total = 0
        try:
            for rules in [USERS_OFF, TWO_TYPES, USERS_BY_KEY, MORE_ROUTES, LOWER_TTL] * 6:
                self.replace(proxy, rules)
                now = proxy.stats()["total_requests"]
                self.assertGreaterEqual(now, total, "counters do not fall")
                total = now
        finally:
            stop.set()
        join()
        self.assertGreater(sum(done), 100)

    def test_with_redis_the_fleet_forgets_what_the_change_touches(self):
        redis = self.redis()
        proxy = self.start(TWO_TYPES, redis=redis)
        other = self.start(TWO_TYPES, redis=redis)
        for node in (proxy, other):
            eventually(lambda node=node: node.stats()["redis"]["readable"], "Redis is in use")
        for path in ("/users/1", "/pages/1"):
            proxy.get(path)
        redis.wait_for_keys(2)
        for path in ("/users/1", "/pages/1"):
            other.get_until(path, lambda response: response.cache == "HIT", "is found in Redis")
        self.replace(proxy, LOWER_TTL)
        self.assert_outcome(other.get("/users/1"), "MISS")
        self.assert_outcome(other.get("/pages/1"), "HIT")


class Refusals(IntegrationCase):
    def test_faults_are_told_and_the_old_rules_go_on(self):
        site = self.origin()
        site.numbered("/users/1")
        proxy = self.larder(site, rules=TWO_TYPES)
        proxy.get("/users/1")
        path = proxy.write("rules.yaml", TWO_TYPES + "  - match: GETT /x\n    cache: user\n  - match: GET /y\n"
                                                     "    cache: nothing\n")
        lines = len(TWO_TYPES.splitlines())
        response = proxy.admin("POST", "/api/cache/reload")
        self.assertEqual(response.status, 422)
        self.assertEqual(response.json["error"], "configuration_refused")
        self.assertEqual([(fault["file"], fault["line"]) for fault in response.json["faults"]],
                         [(path, lines + 1), (path, lines + 4)])
        self.assertIn("GETT", response.json["faults"][0]["wrong"])
        self.assertTrue(response.json["faults"][0]["right"])
        proxy.wait_for_log(rf"error .*{path}:{lines + 1}: ")
        proxy.wait_for_log(r"the new configuration is refused \(2 faults\); the one before goes on")
        self.assert_outcome(proxy.get("/users/1"), "HIT")
        # By signal too, and a file that is gone.
        os.unlink(path)
        before = proxy.log_size()
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log(r"the new configuration is refused", before)
        self.assert_outcome(proxy.get("/users/1"), "HIT")
        proxy.write("rules.yaml", USERS_OFF)
        proxy.reload()
        self.assert_outcome(proxy.get("/users/1"), "BYPASS")

    def test_who_may(self):
        proxy = self.larder(self.origin(), rules=TWO_TYPES)
        self.assertEqual(proxy.admin("POST", "/api/cache/reload", token=None).status, 401)
        self.assertEqual(proxy.admin("POST", "/api/cache/reload", token="wrong").status, 401)
        response = proxy.admin("GET", "/api/cache/reload")
        self.assertEqual(response.status, 405)
        self.assertEqual(response.fields.get("Allow"), "POST")


class Settings(IntegrationCase):
    def test_what_takes_effect_at_once_and_what_does_not(self):
        first, second = self.origin(), self.origin()
        first.answers("/", "first")
        second.answers("/", "second")
        proxy = self.larder(rules="routes: []\n", settings=site_settings(first), token=None,
                            environment={"LARDER_ADMIN_TOKEN": ""})
        # Nobody has the token yet: only a signal can reload.
        self.assertEqual(proxy.admin("POST", "/api/cache/reload").status, 403)
        client = self.connect(proxy)
        self.assertEqual(client.get("/").text, "first")
        proxy.write_settings(site_settings(
            second, admin={"token": "new-secret"}, client={"head_size": "2KiB", "idle_timeout": "300ms", "buffers": "8MiB"},
            memory={"capacity": "1MiB"}, cache={"node_name": "Other"}, shutdown={"deadline": "5s"})
                    + "log_level: debug\ntrust_forwarded: true\n")
        before = proxy.log_size()
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log(r"warn.* these settings differ and take effect at the next start: "
                           r"memory.capacity, cache.node_name", before)
        line = proxy.wait_for_log(r"SIGHUP: reloaded; .*settings that changed: ([^;]*);", before).group(1)
        self.assertEqual(set(line.split(", ")),
                         {"log_level", "trust_forwarded", "shutdown.deadline", "admin.token", "client.head_size",
                          "client.idle_timeout", "client.buffers", "origin.servers"})
        # The connection that there was is served by the new origin, and bounded by the new limits.
        self.assertEqual(client.get("/", [("X-Forwarded-For", "192.0.2.7")]).text, "second")
        self.assertIn("192.0.2.7", second.requests[-1].fields.get("X-Forwarded-For"))
        self.assertTrue(client.is_closed_by_peer())
        self.assertEqual(proxy.get("/", [("X-Long", "x" * 3000)]).status, 431)
        proxy.token = "new-secret"
        report = eventually(lambda: proxy.admin("POST", "/api/cache/reload").json, "the token is taken")
        eventually(lambda: proxy.admin("GET", "/api/cache/stats").status == 200, "the new token is known")
        report = proxy.reload()
        # Those that wait for a restart are told every time.
        self.assertEqual(report["at_restart"], ["memory.capacity", "cache.node_name"])
        self.assertEqual(report["changed"], [])
        self.assertEqual(proxy.stats()["memory"]["capacity"], 256 << 20)
        self.assertEqual(proxy.stats()["budgets"]["client.buffers"]["limit"], 8 << 20)
        # Explanations and the key-value store know the new token as well.
        self.assertRegex(proxy.get("/", [("X-Cache-Explain", "new-secret")]).fields.get("X-Cache-Explain"), "^BYPASS")
        self.assertIsNone(proxy.get("/", [("X-Cache-Explain", "a-token-of-the-tests")]).fields.get("X-Cache-Explain"))
        self.assertEqual(proxy.admin("GET", "/cache/get/of-nobody").status, 404)
        self.assertEqual(proxy.admin("GET", "/cache/get/of-nobody", token="wrong").status, 401)

    def test_a_limit_that_the_descriptors_lower_is_no_change(self):
        proxy = self.larder(self.origin(), rules="routes: []\n", command_prefix=("prlimit", "--nofile=300:300"))
        proxy.wait_for_log(r"client.connections: \d+ of 10000")
        self.assertEqual(proxy.reload()["changed"], [])
        proxy.write_settings(settings(client={"connections": "20000"}))
        self.assertEqual(proxy.reload()["changed"], [])
        proxy.write_settings(settings(client={"connections": "20"}))
        self.assertEqual(proxy.reload()["changed"], ["client.connections"])

    def test_the_command_line_still_wins(self):
        first, second = self.origin(), self.origin()
        first.answers("/", "first")
        proxy = self.larder(first, settings=site_settings(second), rules="routes: []\n")
        proxy.write_settings(site_settings(second) + "workers: 7\nlisten: 127.0.0.1:1\n")
        report = proxy.reload()
        self.assertEqual((report["changed"], report["at_restart"]), ([], []))
        self.assertEqual(proxy.get("/").text, "first")

    def test_requests_at_a_server_that_goes_are_finished_there(self):
        first, second = self.origin(), self.origin()
        gate = self.gate()

        def slow(exchange):
            exchange.send_head(200, [("Content-Length", "8")])
            exchange.send(b"half")
            gate.pass_through()
            exchange.send(b"half")

        first.on("/slow", slow)
        second.answers("/slow", "second")
        proxy = self.larder(settings=site_settings(first), rules="routes: []\n")
        with self.connect(proxy) as client:
            client.send_request("GET", "/slow")
            head = client.read_head()
            proxy.write_settings(site_settings(second))
            self.assertEqual(proxy.reload()["changed"], ["origin.servers"])
            self.assertEqual(proxy.get("/slow").text, "second")
            gate.open()
            self.assertEqual(b"".join(client.body_pieces(head)), b"halfhalf")


class Files(IntegrationCase):
    def test_a_change_of_the_files_reloads_where_it_is_asked_for(self):
        site = self.origin()
        site.numbered("/users/1")
        proxy = self.larder(site, rules=TWO_TYPES, settings="reload_on_change: true\n")
        proxy.get("/users/1")
        before = proxy.log_size()
        os.replace(proxy.write("rules.new", USERS_OFF), os.path.join(proxy.directory, "rules.yaml"))
        proxy.wait_for_log(r"a file has changed: reloaded; rules: new", before)
        self.assert_outcome(proxy.get("/users/1"), "BYPASS")
        # A bad one changes nothing, and the next good one is taken.
        before = proxy.log_size()
        proxy.write("rules.yaml", "types: [\n")
        proxy.wait_for_log(r"a file has changed: the new configuration is refused", before)
        self.assert_outcome(proxy.get("/users/1"), "BYPASS")
        before = proxy.log_size()
        proxy.write("rules.yaml", TWO_TYPES)
        proxy.wait_for_log(r"a file has changed: reloaded; rules: new", before)
        self.assert_outcome(proxy.get("/users/1"), "MISS")
        # It can be switched off in the same way.
        before = proxy.log_size()
        proxy.write_settings("reload_on_change: false\n")
        proxy.wait_for_log(r"a file has changed: reloaded; .*reload_on_change", before)
        before = proxy.log_size()
        proxy.write("rules.yaml", USERS_OFF)
        self.assertEqual(proxy.reload()["purged_types"], ["user"], "nothing has reloaded it before")

    def test_not_without(self):
        proxy = self.larder(self.origin(), rules=TWO_TYPES)
        proxy.write("rules.yaml", USERS_OFF)
        self.assertEqual(proxy.reload()["rules_changed"], True)
        self.assertNotIn("a file has changed", proxy.log())


if __name__ == "__main__":
    unittest.main()
