"""/metrics, as Prometheus reads it: a real prometheus scrapes it, promtool checks it and the examples in conf/."""

import os
import re
import unittest

from .support.integration_case import IntegrationCase
from .support.larder_process import REPOSITORY
from .support.prometheus_process import PrometheusProcess, promtool
from .support.waiting import eventually, in_parallel

RULES = """
types:
  page:   { ttl: 1h }
  search: { ttl: 1h }
routes:
  - match: GET /off/**
    cache: off
  - match: GET /search
    cache: search
  - match: GET /**
    cache: page
    host: false
  - match: POST /**
    purge: [ { tag: "t" }, { type: search } ]
"""


def conf(name):
    return os.path.join(REPOSITORY, "conf", name)


def values_of(text):
    """{'name{labels}': number} of a page in the text format."""
    values = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            values[series] = float(value)
    return values


class MetricsCase(IntegrationCase):
    def site(self, **options):
        origin = self.origin()
        origin.answers("*", "x" * 1000)
        options.setdefault("rules", RULES)
        return self.larder(origin, **options)

    def metrics(self, proxy):
        response = proxy.admin("GET", "/metrics")
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual(response.fields.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        return values_of(response.body.decode())


class Page(MetricsCase):
    def test_promtool_finds_nothing_to_say(self):
        proxy = self.site(redis=self.redis(), settings="""
alerts:
  webhook: http://127.0.0.1:1/
  rules: [ { name: low, when: hit_rate < 50 } ]
""")
        for target in ("/a", "/a", "/off/x", "/search?q=1"):
            proxy.get(target)
        proxy.request("POST", "/a", body=b"x")
        page = proxy.admin("GET", "/metrics").body.decode()
        checked = promtool("check", "metrics", stdin=page)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))
        self.assertEqual(len(re.findall(r"^# TYPE", page, re.M)), len(set(re.findall(r"^# TYPE (\S+)", page, re.M))))

    def test_requests_are_counted_by_type_outcome_and_reason(self):
        proxy = self.site()
        for target in ("/a", "/a", "/a", "/b", "/off/x", "/search?q=1", "/search?q=1"):
            self.assertEqual(proxy.get(target).status, 200)
        self.assertEqual(proxy.request("POST", "/search", body=b"x").status, 200)
        self.assertEqual(proxy.get("/search?q=1").cache, "MISS")
        values = self.metrics(proxy)
        for series, value in {
                'larder_requests_total{type="page",outcome="hit"}': 2,
                'larder_requests_total{type="page",outcome="miss"}': 2,
                'larder_requests_total{type="search",outcome="hit"}': 1,
                'larder_requests_total{type="search",outcome="miss"}': 2,
                'larder_requests_total{type="",outcome="bypass"}': 2,
                'larder_not_reused_total{type="page",reason="absent"}': 2,
                'larder_not_reused_total{type="search",reason="absent"}': 1,
                'larder_not_reused_total{type="search",reason="purged"}': 1,
                'larder_not_reused_total{type="",reason="route_off"}': 1,
                'larder_route_requests_total{route="GET /search",line="8",outcome="hit"}': 1,
                'larder_unsafe_requests_total': 1,
                'larder_hits_total{tier="memory"}': 3,
                'larder_request_duration_seconds_count{outcome="hit",tier="memory"}': 3,
                'larder_request_duration_seconds_count{outcome="miss",tier=""}': 4,
                'larder_request_duration_seconds_count{outcome="bypass",tier=""}': 2,
                'larder_origin_duration_seconds_count': 6,
                'larder_origin_requests_total': 6,
                'larder_purges_total': 1,
                'larder_purge_selectors_total{kind="tag"}': 1 + 1,  # that of the rule, and one for search variances
                'larder_purge_selectors_total{kind="type"}': 1,
                'larder_client_connections_refused_total': 0,
        }.items():
            with self.subTest(series):
                self.assertEqual(values.get(series), value)
        self.assertGreaterEqual(values['larder_purge_selectors_total{kind="target"}'], 1)
        self.assertGreater(values["larder_memory_bytes"], 2000)
        self.assertGreater(values["process_resident_memory_bytes"], 1 << 20)
        self.assertEqual(values['larder_worker_responsive{worker="0"}'], 1)

    def test_limits_values_and_checked_answers(self):
        proxy = self.site(redis=self.redis(), rules=RULES.replace("    cache: search\n", "    cache: search\n    mode: shadow\n")
                          + "namespaces: { session: 5m }\n")
        eventually(lambda: self.metrics(proxy)["larder_kv_redis_up"] == 1, "the key-value store has Redis")
        self.assertEqual(proxy.admin("POST", "/cache/set", body=b'{"key":"session:1","value":2}').status, 200)
        for key, status in (("session:1", 200), ("session:2", 404)):
            self.assertEqual(proxy.admin("GET", f"/cache/get/{key}").status, status)
        for _ in range(3):
            self.assertEqual(proxy.get("/search?q=1").cache, "BYPASS")
        values = self.metrics(proxy)
        for series, value in {
                'larder_kv_events_total{namespace="session",event="set"}': 1,
                'larder_kv_events_total{namespace="session",event="hit"}': 1,
                'larder_kv_events_total{namespace="session",event="miss"}': 1,
                'larder_kv_entries': 1,
                'larder_kv_pending_changes': 0,
                'larder_shadow_requests_total{route="GET /search",would="miss"}': 1,
                'larder_shadow_requests_total{route="GET /search",would="hit"}': 2,
                'larder_checked_answers_total{kind="shadow",route="GET /search",verdict="same"}': 2,
                'larder_shed_total{limit="connections"}': 0,
                'larder_shed_total{limit="origin_queue"}': 0,
        }.items():
            with self.subTest(series):
                self.assertEqual(values.get(series), value)
        self.assertGreater(values['larder_budget_bytes{budget="memory.capacity"}'], 1000)
        self.assertGreater(values['larder_budget_limit_bytes{budget="memory.capacity"}'], 1 << 20)

    def test_a_redis_hit_and_what_redis_takes(self):
        redis = self.redis()
        first = self.site(redis=redis)
        first.get_until("/a", lambda r: r.cache == "HIT", "it is a hit")
        redis.wait_for_keys(1)
        second = self.site(redis=redis)
        eventually(lambda: self.metrics(second)["larder_redis_up"] == 1, "Redis is used")
        self.assertEqual(second.get("/a").cache, "HIT")
        values = self.metrics(second)
        self.assertEqual(values['larder_request_duration_seconds_count{outcome="hit",tier="redis"}'], 1)
        self.assertEqual(values['larder_request_duration_seconds_count{outcome="hit",tier="memory"}'], 0)
        self.assertEqual(values['larder_hits_total{tier="redis"}'], 1)
        self.assertGreaterEqual(values['larder_redis_duration_seconds_count{operation="get"}'], 1)
        self.assertEqual(values["larder_redis_connected_workers"], 3)
        self.assertGreaterEqual(self.metrics(first)['larder_redis_duration_seconds_count{operation="set"}'], 1)

    def test_waiters_and_fills_are_seen_while_they_last(self):
        gate = self.gate()
        origin = self.origin()

        def slow(exchange):
            gate.pass_through()
            exchange.reply(200, body="x")

        origin.on("*", slow)
        proxy = self.larder(origin, rules=RULES)
        join = in_parallel(5, lambda index: proxy.get("/a"))
        gate.wait_for_arrivals(1)
        eventually(lambda: self.metrics(proxy)["larder_fill_waiters"] == 4, "four wait")
        values = self.metrics(proxy)
        self.assertEqual(values["larder_fills_in_progress"], 1)
        self.assertEqual(values["larder_collapsed_requests_total"], 4)
        self.assertEqual(sum(v for k, v in values.items() if k.startswith("larder_origin_connections{") and
                             'state="busy"' in k), 1)
        gate.open()
        join()
        eventually(lambda: self.metrics(proxy)["larder_fill_waiters"] == 0, "nobody waits")

    def test_a_purge_is_timed_on_its_way(self):
        redis = self.redis()
        nodes = [self.site(redis=redis) for _ in range(2)]
        for node in nodes:
            eventually(lambda: self.metrics(node)["larder_redis_push_channel_up"] == 1, "purges are heard")
        nodes[0].admin("POST", "/api/cache/invalidate/page")
        own = 'larder_purge_propagation_seconds_%s{made_by="this_node"}'
        other = 'larder_purge_propagation_seconds_%s{made_by="another_node"}'
        eventually(lambda: self.metrics(nodes[0])[own % "count"] == 1, "its own purge has come back")
        eventually(lambda: self.metrics(nodes[1])[other % "count"] == 1, "the other node has heard it")
        # One machine has one clock.
        self.assertLess(self.metrics(nodes[0])[own % "sum"], 10)
        self.assertGreater(self.metrics(nodes[0])[own % "sum"], 0)
        self.assertLess(self.metrics(nodes[1])[other % "sum"], 10)
        self.assertGreater(self.metrics(nodes[1])[other % "sum"], 0)
        self.assertEqual(self.metrics(nodes[0])[other % "count"], 0)
        self.assertEqual(self.metrics(nodes[1])[own % "count"], 0)
        self.assertEqual(self.metrics(nodes[0])["larder_purges_heard_total"], 0)
        self.assertEqual(self.metrics(nodes[1])["larder_purges_heard_total"], 1)

    def test_redis_that_goes_is_seen(self):
        redis = self.redis()
        proxy = self.site(redis=redis)
        eventually(lambda: self.metrics(proxy)["larder_redis_up"] == 1, "Redis is used")
        redis.kill()
        eventually(lambda: self.metrics(proxy)["larder_redis_up"] == 0, "Redis is missed")
        eventually(lambda: self.metrics(proxy)["larder_redis_connected_workers"] == 0, "no worker is connected")
        proxy.admin("POST", "/api/cache/clear-all")
        self.assertEqual(self.metrics(proxy)["larder_purges_pending"], 1)
        self.assertEqual(self.metrics(proxy)["larder_purge_journal_records"], 1)


class Access(MetricsCase):
    def status(self, proxy, **options):
        return proxy.admin("GET", "/metrics", **options).status

    def test_a_token_that_opens_nothing_else(self):
        proxy = self.site(settings="admin: { metrics_token: scraper }\n")
        self.assertEqual(self.status(proxy, token="scraper"), 200)
        self.assertEqual(self.status(proxy), 200)
        self.assertEqual(self.status(proxy, token=None), 401)
        self.assertEqual(self.status(proxy, token="other"), 401)
        for method, path in (("GET", "/api/cache/stats"), ("GET", "/api/cache/series"),
                             ("POST", "/api/cache/clear-all")):
            self.assertEqual(proxy.admin(method, path, token="scraper").status, 401)

    def test_open_where_it_is_said(self):
        proxy = self.site(settings="admin: { metrics_open: true }\n", token=None)
        self.assertEqual(self.status(proxy, token=None), 200)
        self.assertEqual(proxy.admin("GET", "/api/cache/stats", token=None).status, 403)

    def test_closed_where_nothing_is_said(self):
        proxy = self.site(token=None)
        response = proxy.admin("GET", "/metrics", token=None)
        self.assertEqual(response.status, 403)
        self.assertIn("admin.metrics_token", response.json["message"])


class Series(MetricsCase):
    def test_points_of_the_last_minutes(self):
        proxy = self.site(settings="admin: { sample_interval: 100ms }\n")
        series = lambda: proxy.admin("GET", "/api/cache/series").json["points"]
        eventually(series, "there is a point")
        for target in ("/a", "/a", "/a", "/b"):
            proxy.get(target)
        points = eventually(lambda: (sum(p["requests"] for p in series()) >= 4) and series(), "all are in a point")
        self.assertEqual(sum(p["hits"] for p in points), 2)
        self.assertEqual(sum(p["misses"] for p in points), 2)
        busy = [p for p in points if p["hits"]]
        self.assertGreater(busy[0]["hit_p50_ms"], 0)
        self.assertGreaterEqual(busy[0]["p99_ms"], busy[0]["p50_ms"])
        stats = proxy.stats()
        self.assertEqual(stats["latency"]["hit"]["count"], 2)
        self.assertGreater(stats["latency"]["miss"]["p99_ms"], 0)
        self.assertEqual(stats["top_routes"][0]["match"], "GET /**")
        self.assertEqual(stats["top_routes"][0]["miss_reasons"], [{"reason": "absent", "count": 2}])
        self.assertEqual(stats["origin"]["requests"], 2)


class Examples(MetricsCase):
    def test_promtool_takes_the_examples(self):
        for arguments in (("check", "rules", conf("prometheus-alerts.yaml")),
                          ("check", "config", conf("prometheus.yaml"))):
            checked = promtool(*arguments)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_rules_name_what_is_exported(self):
        rules = RULES + "warm: { tasks: [ { top: 1 } ] }\n"
        proxy = self.site(redis=self.redis(), rules=rules,
                          settings="alerts: { rules: [ { name: low, when: hit_rate < 50 } ] }\n")
        exported = {re.split("[ {]", name)[0] for name in self.metrics(proxy)}
        with open(conf("prometheus-alerts.yaml"), encoding="utf-8") as file:
            rules = re.sub(r"#.*", "", file.read())
        named = set(re.findall(r"\blarder_[a-z_]+\b", " ".join(re.findall(r"expr: (?:\|\n)?((?:.|\n)*?)\n\s+(?:for|labels):",
                                                                         rules))))
        named.discard("larder_not_reused_total")
        self.assertGreater(len(named), 10)
        self.assertEqual(named - exported, set())


class Scrape(MetricsCase):
    def test_prometheus_scrapes_it_with_a_token_and_knows_its_values(self):
        """conf/prometheus.yaml as a user takes it: only target, token and interval are changed."""
        proxy = self.site(redis=self.redis(), settings="admin: { metrics_token: scraper }\n")
        # What was stored before is of another epoch.
        eventually(lambda: self.metrics(proxy)["larder_redis_up"] == 1, "Redis is used")
        for _ in range(7):
            proxy.get("/a")
        with open(conf("prometheus.yaml"), encoding="utf-8") as file:
            configuration = file.read()
        for old, new in (("the-value-of-admin.metrics_token", "scraper"), ("15s", "1s"),
                         ("127.0.0.1:8081", f"127.0.0.1:{proxy.admin_port}"),
                         ("prometheus-alerts.yaml ", conf("prometheus-alerts.yaml") + " ")):
            self.assertIn(old, configuration)
            configuration = configuration.replace(old, new)
        prometheus = PrometheusProcess(configuration)
        self.addCleanup(prometheus.close)
        eventually(lambda: prometheus.value('up{job="larder"}') == 1, "prometheus scrapes larder: " + prometheus.log())
        self.assertEqual(prometheus.value('larder_requests_total{type="page",outcome="hit"}'), 6)
        self.assertEqual(prometheus.value('sum(larder_requests_total)'), 7)
        p99 = prometheus.value("histogram_quantile(0.99, sum by (le) (larder_request_duration_seconds_bucket"
                               '{outcome="hit",tier="memory"}))')
        self.assertGreater(p99, 0)
        self.assertLess(p99, 67)
        # It goes on: what comes later is seen later.
        proxy.get("/a")
        eventually(lambda: prometheus.value('larder_requests_total{type="page",outcome="hit"}') == 7, "the next scrape")
        types = prometheus.api("targets/metadata?metric=larder_request_duration_seconds")
        self.assertEqual([row["type"] for row in types], ["histogram"])

        def evaluated():
            rules = prometheus.api("rules")["groups"][0]["rules"]
            return rules if all(rule["health"] != "unknown" for rule in rules) else None

        for rule in eventually(evaluated, "every rule was evaluated"):
            self.assertEqual(rule["health"], "ok", rule)
            self.assertNotEqual(rule["state"], "firing", rule)

    def test_prometheus_is_refused_with_another_token(self):
        proxy = self.site(settings="admin: { metrics_token: scraper }\n")
        prometheus = PrometheusProcess(f"""
scrape_configs:
  - job_name: larder
    scrape_interval: 1s
    authorization: {{ credentials: wrong }}
    static_configs: [ {{ targets: ["127.0.0.1:{proxy.admin_port}"] }} ]
""")
        self.addCleanup(prometheus.close)
        eventually(lambda: prometheus.value('up{job="larder"}') == 0, "prometheus is refused")
        self.assertIn("401", prometheus.api("targets")["activeTargets"][0]["lastError"])


if __name__ == "__main__":
    unittest.main()
