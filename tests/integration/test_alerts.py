"""Alerts: they begin and end in the log, in the statistics and at a webhook, when what they are about really happens."""

import json
import unittest

from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import run_program
from .support.origin import unused_port
from .support.waiting import eventually

SETTINGS = """
admin: {{ sample_interval: 100ms }}
alerts:
  webhook: {webhook}/hook
  webhook_token: of-the-webhook
  webhook_retry_first: 10ms
  rules:
{rules}
"""


class AlertsCase(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.answers("*", "x")
        self.receiver = self.origin()
        self.receiver.answers("/hook", "thanks", method="POST")

    def start(self, *rules, webhook=None, **options):
        text = "\n".join(f"    - {rule}" for rule in rules)
        return self.larder(self.site, rules=HOUR_RULES,
                           settings=SETTINGS.format(webhook=webhook or self.receiver.url, rules=text), **options)

    def messages(self):
        return [json.loads(request.body) for request in self.receiver.seen("/hook")]

    def alert(self, proxy, name):
        return next(alert for alert in proxy.stats()["alerts"] if alert["name"] == name)


class Reload(AlertsCase):
    def write(self, proxy, *rules, webhook=None, more=""):
        text = "\n".join(f"    - {rule}" for rule in rules)
        proxy.write_settings(SETTINGS.format(webhook=webhook or self.receiver.url, rules=text) + more)
        return proxy.reload()

    def test_alerts_are_replaced(self):
        many = "{ name: many, when: misses > 0, window: 10s }"
        proxy = self.start(many)
        proxy.get("/1")
        eventually(lambda: self.messages() != [], "it is told")
        # One that is the same goes on in silence, another one begins.
        report = self.write(proxy, many, "{ name: more, when: requests > 0, window: 10s }")
        self.assertEqual((report["changed"], report["at_restart"]), (["alerts.rules"], []))
        eventually(lambda: len(self.messages()) == 2, "the other one is told")
        self.assertEqual([(m["alert"], m["state"]) for m in self.messages()], [("many", "begins"), ("more", "begins")])
        self.assertEqual(self.alert(proxy, "many")["begun"], 1)
        # One that is taken away ends, and is told to who has heard of its beginning.
        other = self.origin()
        other.answers("/hook", "thanks", method="POST")
        self.write(proxy, many)
        eventually(lambda: len(self.messages()) == 3, "its end is told")
        self.assertEqual((self.messages()[2]["alert"], self.messages()[2]["state"]), ("more", "ends"))
        proxy.wait_for_log(r"info \[ALERT\] more ends after \d+ s: the configuration has no such alert any more")
        # To another webhook from now on.
        report = self.write(proxy, many, "{ name: new, when: requests > 0, window: 10s }", webhook=other.url)
        self.assertEqual(report["changed"], ["alerts.webhook", "alerts.rules"])
        other.wait_for("/hook")
        self.assertEqual(json.loads(other.seen("/hook")[0].body)["alert"], "new")
        self.assertEqual(len(self.messages()), 3)
        # A bad one changes nothing.
        proxy.write_settings("alerts: { rules: [ { name: x, when: nonsense } ] }\n")
        self.assertEqual(proxy.admin("POST", "/api/cache/reload").status, 422)
        self.assertEqual([alert["name"] for alert in proxy.stats()["alerts"]], ["many", "new"])

    def test_who_may_read_metrics(self):
        proxy = self.larder(self.site, rules=HOUR_RULES)
        read = lambda token: proxy.admin("GET", "/metrics", token=token).status
        self.assertEqual(read("scraper"), 401)
        proxy.write_settings("admin: { metrics_token: scraper }\n")
        self.assertEqual(proxy.reload()["changed"], ["admin.metrics_token"])
        eventually(lambda: read("scraper") == 200, "it is known")
        self.assertEqual(read(None), 401)
        proxy.write_settings("admin: { metrics_open: true }\n")
        self.assertEqual(proxy.reload()["changed"], ["admin.metrics_token", "admin.metrics_open"])
        eventually(lambda: read(None) == 200, "it is open")


class Alerts(AlertsCase):
    def test_a_low_hit_rate(self):
        proxy = self.start("{ name: low, when: hit_rate < 50, window: 300ms, least: 4 }")
        self.assertEqual(self.alert(proxy, "low")["active"], False)
        numbers = iter(range(10**6))

        def begins():
            proxy.get(f"/{next(numbers)}")
            return self.alert(proxy, "low")["active"]

        eventually(begins, "the alert begins")
        proxy.wait_for_log(r"warning \[ALERT\] low begins: hit_rate < 50 over 300ms, and it is \d")

        def ends():
            proxy.get("/0")
            return not self.alert(proxy, "low")["active"]

        eventually(ends, "the alert ends")
        proxy.wait_for_log(r"info \[ALERT\] low ends after \d+ s")
        alert = self.alert(proxy, "low")
        self.assertGreaterEqual(alert["begun"], 1)
        self.assertRegex(alert["since"], r"^\d{4}-\d\d-\d\dT")
        self.receiver.wait_for("/hook", count=2)
        first, second = self.messages()[:2]
        self.assertEqual((first["alert"], first["state"]), ("low", "begins"))
        self.assertLess(first["value"], 50)
        self.assertEqual((second["alert"], second["state"]), ("low", "ends"))
        request = self.receiver.seen("/hook")[0]
        self.assertEqual(request.fields.get("Authorization"), "Bearer of-the-webhook")
        self.assertEqual(request.fields.get("Content-Type"), "application/json")
        self.assertNotIn("of-the-webhook", proxy.log())

    def test_an_origin_that_is_gone_and_back(self):
        proxy = self.start("{ name: errors, when: origin_errors > 2, window: 500ms }", "{ name: gone, when: origin_down }")
        self.site.kill()

        def both():
            proxy.get("/x")
            return self.alert(proxy, "errors")["active"] and self.alert(proxy, "gone")["active"]

        eventually(both, "both alerts are active")
        self.site.listen()

        def none():
            return not self.alert(proxy, "errors")["active"] and not self.alert(proxy, "gone")["active"]

        eventually(none, "both alerts are over")

    def test_redis_that_is_gone_and_back(self):
        redis = self.redis()
        proxy = self.start("{ name: redis, when: redis_down, for: 200ms }", redis=redis)
        eventually(lambda: proxy.stats()["is_available"], "Redis is used")
        redis.kill()
        eventually(lambda: self.alert(proxy, "redis")["active"], "the alert begins")
        redis.start()
        eventually(lambda: not self.alert(proxy, "redis")["active"], "the alert ends")
        # While it starts Redis is not there yet, which may count as once more.
        self.assertIn(self.alert(proxy, "redis")["begun"], (1, 2))

    def test_without_the_admin_api(self):
        proxy = self.start("{ name: idle, when: requests < 1, window: 200ms }", options=["--admin", "off"])
        proxy.wait_for_log(r"\[ALERT\] idle begins: requests < 1 over 200ms, and it is 0")
        self.receiver.wait_for("/hook")


class Webhooks(AlertsCase):
    RULE = "{ name: idle, when: requests < 1, window: 200ms }"

    def test_one_that_fails_is_tried_again_and_given_up(self):
        self.receiver.answers("/hook", "no", status=503, method="POST")
        proxy = self.start(self.RULE)
        proxy.wait_for_log(r"error \[ALERT\] the webhook at http://127.0.0.1:\d+ was not told: it answered 503; "
                           r"given up after 3 of 3 tries")
        self.assertEqual(self.receiver.count("/hook"), 3)
        self.assertEqual(proxy.get("/").status, 200)
        self.assertNotIn("/hook", proxy.log())  # a path may be a secret

    def test_nobody_listens(self):
        proxy = self.start(self.RULE, webhook=f"http://127.0.0.1:{unused_port()}")
        proxy.wait_for_log(r"error \[ALERT\] the webhook at \S+ was not told: .*; given up after 3 of 3 tries")
        self.assertEqual(proxy.get("/").status, 200)

    def test_larder_ends_while_a_webhook_is_silent(self):
        gate = self.gate()

        def silent(exchange):
            gate.pass_through()
            exchange.reply(200)

        self.receiver.on("/hook", silent, method="POST")
        proxy = self.start(self.RULE)
        gate.wait_for_arrivals(1)
        self.assertEqual(proxy.stop(), 0)


class Faults(AlertsCase):
    RULE = "{ name: idle, when: requests < 1, window: 200ms }"

    def test_a_wrong_configuration_does_not_start(self):
        path = self.start(self.RULE).write("wrong.yaml", """origin: { servers: [http://127.0.0.1:1] }
alerts:
  webhook: https://alerts.example/x
  rules:
    - { name: a, when: hit_rate < 120 }
    - { name: b, when: hitrate < 80 }
    - { name: c, when: errors > 1, window: 3d }
""")
        checked = run_program("check", "--config", path)
        self.assertNotEqual(checked.returncode, 0)
        said = checked.stdout + checked.stderr
        for line, wrong in ((3, "TLS to webhooks is not supported"), (5, "can never be"), (6, "there is no measure"),
                            (7, "is not a right value")):
            self.assertRegex(said, rf"wrong\.yaml:{line}: .*{wrong}")


if __name__ == "__main__":
    unittest.main()
