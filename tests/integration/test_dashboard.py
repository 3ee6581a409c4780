"""The dashboard, in a real browser: from signing in to a purge, and what hostile names and bodies do to it."""

import json
import unittest

from .support import raw_client
from .support.browser import ARROW_LEFT, ENTER, ESCAPE, TAB, Browser
from .support.integration_case import IntegrationCase
from .support.waiting import eventually

RULES = """
types:
  page:   { ttl: 1h }
  search: { ttl: 1h }
  user:   { ttl: 1h }
routes:
  - match: GET /search
    cache: search
  - match: GET /users/{id}
    cache: user
    key: "user:{id}"
    tags: ["user:{id}", "people"]
  - match: GET /hostile
    cache: user
    key: "hostile:{header.x-name}"
    tags: ["{header.x-name}"]
  - match: GET /**
    cache: page
"""

ATTACK = "<img/src=x/onerror=window.attacked=1><script>window.attacked=1</script>\"'`${window.attacked=1}"

# Of all text that can be seen: what has too little contrast against what it stands on (WCAG 2.1, 1.4.3).
LOW_CONTRAST = """
const parse = (text) => { const m = text.match(/[\\d.]+/g).map(Number); return [...m.slice(0, 3), m[3] ?? 1]; };
const luminance = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const under = (node) => {
  for (let n = node; n; n = n.parentElement) {
    const color = parse(getComputedStyle(n).backgroundColor);
    if (color[3] === 1) return color;
  }
  return [255, 255, 255, 1];
};
const low = [];
let seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text = walker.nextNode(); text; text = walker.nextNode()) {
  const node = text.parentElement;
  if (!text.data.trim() || !node.checkVisibility()) continue;
  if (node.closest('.visually-hidden, option, :disabled, script, noscript')) continue;
  ++seen;
  const style = getComputedStyle(node);
  const a = luminance(parse(node.ownerSVGElement ? style.fill : style.color));
  const b = luminance(under(node));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push(`${ratio.toFixed(2)}: ${text.data.trim().slice(0, 40)}`);
}
return [seen, low];
"""


class DashboardCase(IntegrationCase):
    def setUp(self):
        self.site = self.origin()
        self.site.on("*", lambda exchange: exchange.reply(200, {"Content-Type": "application/json", "ETag": '"v1"'},
                                                          '{"a":1,"b":[true]}'))

    def start(self, **options):
        """A larder, and a browser at its dashboard."""
        options.setdefault("rules", RULES)
        self.proxy = self.larder(self.site, **options)
        self.browser = Browser()
        self.addCleanup(self.browser.close)
        self.browser.open(f"http://127.0.0.1:{self.proxy.admin_port}/")
        self.browser.wait_for("#login-form")

    def sign_in(self):
        self.browser.type("#token", self.proxy.token + ENTER)
        self.browser.wait_for("#app")
        self.browser.wait_for_text("#tiles", "Hit rate")

    def fill(self, *targets):
        for target in targets:
            self.assert_outcome(self.proxy.get(target), "MISS")

    def search(self, pattern):
        self.browser.type("#keys-pattern", pattern + ENTER)

    def dry_run(self, kind, value=None):
        """Asks for a dry run in the form; returns what it says."""
        self.browser.click(f"#purge-form input[value={kind}]")
        if kind == "type":
            self.browser.run("document.getElementById('purge-type').value = arguments[0]", value)
        elif value is not None:
            self.browser.type("#purge-value", value)
        self.browser.click("#purge-form button[type=submit]")
        self.browser.wait_for("#purge-count")
        return self.browser.text("#purge-count")

    def purge(self):
        self.browser.click("#purge-now")
        self.browser.wait_for("#confirm")
        self.browser.click("#confirm-yes")
        self.browser.wait_for_text("#purge-result", "Purged")


class SigningIn(DashboardCase):
    def test_the_token(self):
        self.start()
        browser = self.browser
        self.assertEqual(browser.focused(), "token")
        browser.type("#token", "wrong" + ENTER)
        browser.wait_for_text("#login-error", "token is not the configured one")
        self.assertFalse(browser.visible("#app"))
        self.assertEqual(browser.focused(), "token")
        self.assertEqual(browser.run("return sessionStorage.length"), 0)
        self.sign_in()
        token = self.proxy.token
        self.assertNotIn(token, browser.run("return location.href + document.cookie + JSON.stringify(localStorage)"))
        self.assertNotIn(token, browser.run("return document.documentElement.outerHTML"))
        self.assertEqual(browser.cookies(), [])
        self.assertEqual(browser.run("return performance.getEntriesByType('resource').map((e) => e.name)"
                                     ".filter((name) => name.includes(arguments[0]))", token), [])
        self.assertNotIn(token, self.proxy.log())
        browser.run("location.reload()")
        browser.wait_for_text("#tiles", "Hit rate")
        browser.click("#logout")
        browser.wait_for("#login-form")
        self.assertEqual(browser.run("return sessionStorage.length"), 0)
        self.assertEqual(browser.text("#tiles"), "", "nothing of what was shown stays")

    def test_a_token_that_is_taken_no_longer(self):
        self.start()
        self.sign_in()
        self.browser.run("sessionStorage.setItem('larder-admin-token', 'old'); location.reload()")
        self.browser.wait_for_text("#login-error", "token is not the configured one")
        self.assertFalse(self.browser.visible("#app"))

    def test_without_a_configured_token_it_says_so(self):
        self.start(token=None)
        self.browser.type("#token", "anything" + ENTER)
        self.browser.wait_for_text("#login-error", "no admin token is configured")

    def test_what_the_files_are_served_with(self):
        self.start()
        for path in ("/", "/dashboard/dashboard.js", "/dashboard/dashboard.css"):
            response = self.proxy.admin("GET", path, token=None)
            self.assertEqual(response.status, 200)
            policy = response.fields.get("Content-Security-Policy")
            for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
                self.assertIn(part, policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(response.fields.get("X-Content-Type-Options"), "nosniff")
            self.assertEqual(response.fields.get("Referrer-Policy"), "no-referrer")
            self.assertEqual(response.fields.get("Cache-Control"), "no-cache")
            again = self.proxy.admin("GET", path, token=None, fields=[("If-None-Match", response.fields.get("ETag"))])
            self.assertEqual((again.status, again.body), (304, b""))
        # The policy is in force: markup cannot be made of text, and nothing inline runs.
        self.assertEqual(self.browser.run("""
            try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="attacked=1">'); return 'made'; }
            catch (error) { return error.name; }"""), "TypeError")
        self.assertEqual(self.browser.run("""
            try { document.createElement('button').setAttribute('onclick', 'window.attacked = 1'); return 'set'; }
            catch (error) { return error.name; }"""), "TypeError")
        self.assertIsNone(self.browser.run("return window.attacked ?? null"))


class Looking(DashboardCase):
    def test_figures_and_curves(self):
        self.start()
        self.sign_in()
        self.browser.console()
        def curve():
            self.proxy.get("/users/1")
            return self.browser.visible("#hit-rate-chart .curve")
        eventually(curve, "the hit rate has a curve", deadline=60)
        self.browser.wait_for_text("#routes", "/users/{id}")
        self.browser.wait_for_text("#system", "Memory tier")
        self.browser.wait_for_text("#state", "Healthy")
        self.assertIn("Hit rate",
                      self.browser.run("return document.querySelector('#hit-rate-chart svg.plot').ariaLabel"))
        # With the arrow keys a chart is read.
        self.browser.run("document.querySelector('#hit-rate-chart svg.plot').focus()")
        self.browser.press(ARROW_LEFT)
        self.assertRegex(self.browser.text("#hit-rate-chart [aria-live]"), r"\d\d:\d\d:\d\d: .* (\d|–)")
        self.browser.run("location.reload()")
        self.browser.wait_for_text("#top-keys", "cache:user:1")
        self.assertEqual(self.browser.console(), [])

    def test_an_entry(self):
        self.start(redis=self.redis())
        eventually(lambda: self.proxy.stats()["redis"]["readable"], "Redis is in use")
        self.fill("/users/1", "/users/2", "/a")
        self.sign_in()
        browser = self.browser
        self.search("cache:user:*")
        browser.wait_for_text("#keys-status", "2 keys shown")
        self.assertNotIn("cache:page", browser.text("#keys-list"))
        browser.click('#keys-list button[data-focus="cache:user:1"]')
        browser.wait_for("#entry-body pre")
        shown = browser.text("#entry")
        for text in ("cache:user:1", "/users/1", "fresh for", "Age", "people", "user:1", "ETag", '"v1"', '"b": ['):
            self.assertIn(text, shown)
        self.assertEqual(browser.focused(), "entry-close")
        browser.press(ESCAPE)
        eventually(lambda: not browser.visible("#entry"), "the dialog is closed")
        self.assertEqual(browser.run("return document.activeElement.dataset.focus"), "cache:user:1",
                         "the focus is where it was")
        browser.press(ENTER)
        browser.wait_for("#entry-purge")
        browser.click("#entry-purge")
        browser.wait_for("#confirm")
        self.assertEqual(browser.focused(), "confirm-no", "Enter by mistake purges nothing")
        browser.click("#confirm-yes")
        browser.wait_for_text("#entry-body", "Purged")
        self.assertEqual(self.proxy.get("/users/1").cache, "MISS")
        self.assertEqual(self.proxy.get("/users/2").cache, "HIT")

    def test_many_keys_come_in_pages(self):
        self.start()
        self.fill(*(f"/{number}" for number in range(120)))
        self.sign_in()
        self.browser.wait_for_text("#keys-status", "50 keys shown")
        self.browser.click("#keys-more")
        self.browser.wait_for_text("#keys-status", "100 keys shown")
        self.browser.click("#keys-more")
        self.browser.wait_for_text("#keys-status", "120 keys shown.")
        self.assertFalse(self.browser.visible("#keys-more"))

    def test_explanations(self):
        self.start()
        self.fill("/users/1")
        self.sign_in()
        self.browser.type("#explain-host", raw_client.HOST)
        self.browser.type("#explain-target", "/users/1" + ENTER)
        self.browser.wait_for_text("#explain-result", "HIT")
        self.browser.wait_for_text("#explain-result", "cache:user:1")
        self.browser.wait_for_text("#explain-result", "GET /users/{id}")
        self.browser.run("document.querySelector('#explain details').open = true")
        self.browser.type("#explain-headers", "no field")
        self.browser.click("#explain-form button[type=submit]")
        self.browser.wait_for_text("#explain-result", "is no header field")

    def test_a_server_that_goes_away(self):
        self.start()
        self.sign_in()
        self.proxy.stop()
        self.browser.wait_for_text("#state", "Unreachable")


class Purging(DashboardCase):
    def test_dry_runs_and_a_purge(self):
        self.start()
        self.fill("/users/1", "/users/2", "/search?q=1", "/a/b", "/a/c")
        self.sign_in()
        for kind, value, count in (("type", "user", 2), ("pattern", "cache:search:*", 1), ("tag", "people", 2),
                                   ("path", "/a/*", 2), ("tag", "nothing", 0), ("all", None, 5)):
            with self.subTest(kind=kind, value=value):
                self.assertRegex(self.dry_run(kind, value), rf"^{count} stored response")
        self.assertEqual(len(self.proxy.admin("GET", "/api/cache/keys").json["keys"]), 5, "nothing is purged yet")
        self.dry_run("tag", "people")
        self.assertIn("cache:user:1", self.browser.text("#purge-result"))
        self.browser.click("#purge-now")
        self.browser.wait_for("#confirm")
        self.browser.click("#confirm-no")
        self.assertEqual(self.proxy.get("/users/1").cache, "HIT", "no is no")
        self.purge()
        for target, outcome in (("/users/1", "MISS"), ("/users/2", "MISS"), ("/a/b", "HIT"), ("/search?q=1", "HIT")):
            self.assertEqual(self.proxy.get(target).cache, outcome, target)

    def test_what_is_wrong_is_told(self):
        self.start()
        self.sign_in()
        for kind, value, told in (("pattern", "nothing*", "begins with"), ("path", "a", "begins with '/'")):
            self.browser.click(f"#purge-form input[value={kind}]")
            self.browser.type("#purge-value", value + ENTER)
            self.browser.wait_for_text("#purge-result", told)
            self.assertFalse(self.browser.visible("#purge-now"))

    def test_with_the_keyboard_alone(self):
        self.start()
        self.fill("/users/1")
        browser = self.browser
        browser.press(*self.proxy.token, ENTER)
        browser.wait_for_text("#tiles", "Hit rate")
        browser.run("document.querySelector('#purge-form input[value=type]').focus()")
        browser.press("\ue014", "\ue014")  # arrow right, to the tag
        browser.press(TAB, *"people", ENTER)
        browser.wait_for("#purge-count")
        for _ in range(20):
            if browser.focused() == "purge-now":
                break
            browser.press(TAB)
        self.assertEqual(browser.focused(), "purge-now")
        browser.press(ENTER)
        browser.wait_for("#confirm")
        browser.press(TAB, ENTER)
        browser.wait_for_text("#purge-result", "Purged")
        self.assertEqual(self.proxy.get("/users/1").cache, "MISS")


class Hostile(DashboardCase):
    def test_names_fields_and_bodies_are_text(self):
        fields = {"Content-Type": "text/html", "X-Hostile": ATTACK}
        self.site.on("/hostile", lambda exchange: exchange.reply(200, fields, ATTACK))
        self.start()
        stored = self.proxy.get("/hostile", {"X-Name": ATTACK})
        self.assert_outcome(stored, "MISS")
        key = stored.fields.get("X-Cache-Key")
        self.assertIn("<script>", key, "or else this tests nothing")
        self.proxy.get("/hostile", {"X-Name": ATTACK})
        self.sign_in()
        browser = self.browser
        browser.wait_for_text("#keys-list", key)
        browser.wait_for_text("#top-keys", key)
        browser.click("#keys-list button")
        browser.wait_for_text("#entry-body pre", ATTACK)
        self.assertEqual(browser.text("#entry-title"), key)
        browser.wait_for_text("#entry-body table", ATTACK)
        browser.wait_for_text("#entry-body .chip", ATTACK)
        browser.click("#entry-body .chip")
        self.assertEqual(browser.run("return document.getElementById('purge-value').value"), ATTACK)
        browser.click("#purge-form button[type=submit]")
        browser.wait_for_text("#purge-result table", key)
        browser.type("#keys-pattern", "cache:" + ATTACK + ENTER)
        browser.wait_for_text("#keys-status", ATTACK)
        self.assertIsNone(browser.run("return window.attacked ?? null"))
        self.assertEqual(browser.run("return document.querySelectorAll('img:not([src=\"dashboard/icon.svg\"]), "
                                     "body script, [onerror], iframe').length"), 0)
        self.assertEqual(browser.console(), [])


CHECKED = """
types: { page: { ttl: 1h } }
routes:
  - match: GET /shadow/**
    cache: page
    mode: shadow
  - match: GET /**
    cache: page
    verify: 100%
namespaces: { session: 1h }
"""


class Steering(DashboardCase):
    """What the page shows of warming and checks, and what it lets an operator do."""

    def start_with(self, rules):
        self.start(rules=rules)
        self.sign_in()

    def test_warming(self):
        gate = self.gate()
        self.site.on("/slow", lambda exchange: (gate.pass_through(), exchange.reply(200, body="x")))
        self.site.answers("/bad", "no", status=503)
        tasks = [{"name": ATTACK, "urls": ["/a", "/b"]}, {"name": "slow one", "url": "/slow"},
                 {"name": "bad one", "url": "/bad", "critical": True}]
        warm = json.dumps({"host": "h", "at_start": False, "tasks": tasks}).replace("${", "$${")
        self.start_with(RULES + f"warm: {warm}\n")
        browser = self.browser
        self.assertEqual(browser.text("#warming-state"), "No run so far.")
        browser.click("#warming-tasks button[data-focus='run slow one']")
        browser.wait_for_text("#warming-state", "A run goes on: 0 of 1 requests done")
        browser.wait_for("#warming-progress progress")
        self.assertTrue(browser.run("return document.getElementById('warming-run').disabled"))
        # One that was begun elsewhere meanwhile is told of, not begun twice.
        self.assertEqual(self.proxy.admin("POST", "/api/cache/warm", {}).status, 409)
        gate.open()
        browser.wait_for_text("#warming-state", "The last run ended")
        browser.click("#warming-run")
        browser.wait_for_text("#warming-tasks", "/bad: error_status (503)")
        browser.wait_for_text("#warming-tasks", ATTACK)
        browser.wait_for_text("#alerts", "Warming: bad one")
        self.assertEqual(self.site.count("/slow"), 1)
        browser.click("#warming-force")
        browser.click("#warming-tasks button[data-focus='run slow one']")
        self.site.wait_for("/slow", count=2)
        self.assertIsNone(browser.run("return window.attacked ?? null"))

    def test_no_tasks(self):
        self.start_with(RULES)
        self.browser.wait_for_text("#warming-state", "The rules have no warm tasks.")
        self.assertFalse(self.browser.visible("#warming-run"))
        self.browser.wait_for_text("#checks-shadow", "No route is in shadow mode")

    def test_checks(self):
        bodies = iter(["one", "two", "three", "four"])
        self.site.on("*", lambda exchange: exchange.reply(200, body=next(bodies)))
        self.start_with(CHECKED)
        for target in ("/shadow/1", "/shadow/1", "/live?" + ATTACK.replace("<", "%3C")):
            self.proxy.get(target)
        self.assert_outcome(self.proxy.get(target), "HIT")
        browser = self.browser
        browser.wait_for_text("#checks-shadow", "GET /shadow/**")
        self.assertIn("rules.yaml:4", browser.text("#checks-shadow"))
        browser.wait_for_text("#checks-verify", "GET /**")
        self.assertIn("100 % of its hits", browser.text("#checks-verify"))
        browser.wait_for_text("#checks-examples", "/live")
        eventually(lambda: "body" in browser.text("#checks-examples"), "it says what differs")
        self.assertIn("stale", browser.text("#checks-examples"))
        self.assertIsNone(browser.run("return window.attacked ?? null"))
        self.proxy.admin("POST", "/cache/set", {"key": "session:1", "value": "x"})
        self.proxy.admin("GET", "/cache/get/session:1")
        browser.wait_for_text("#namespaces", "session")

    def test_a_reload(self):
        self.start_with(RULES)
        browser = self.browser
        browser.click("#reload")
        browser.wait_for_text("#reload-result", "nothing has changed")
        self.proxy.write("rules.yaml", RULES.replace("search: { ttl: 1h }", "search: { ttl: 5m }"))
        browser.click("#reload")
        browser.wait_for_text("#reload-result", "what is new is in force")
        self.assertIn("search", browser.text("#reload-result .chip"))
        self.proxy.write("rules.yaml", RULES + f"  - match: 'GET {ATTACK[:40]}'\n    cache: page\n")
        browser.click("#reload")
        browser.wait_for_text("#reload-result", "has 1 fault; the one before goes on")
        self.assertIn(f"rules.yaml:{RULES.count(chr(10)) + 1}", browser.text("#reload-result"))
        self.assertIn("<img/src=x", browser.text("#reload-result"))
        self.assertIsNone(browser.run("return window.attacked ?? null"))


class Looks(DashboardCase):
    def test_sizes_and_schemes(self):
        tasks = [{"name": "a long name " * 10, "url": "/users/1", "critical": True, "after_purge": True}, {"top": 5}]
        self.start(rules=RULES.replace("cache: page", "cache: page\n    verify: 100%") +
                   f"warm: {json.dumps({'host': 'h', 'tasks': tasks})}\n")
        browser = self.browser
        self.fill("/users/1", "/a/" + "long" * 100)
        self.proxy.get("/users/1")
        self.site.on("*", lambda exchange: exchange.reply(200, body="changed"))
        self.proxy.get("/a/" + "long" * 100)
        self.check_view("login")
        self.sign_in()
        browser.wait_for("#keys-list table")
        browser.wait_for("#checks-examples table")
        browser.wait_for("#warming-tasks table")
        browser.click("#reload")
        browser.wait_for_text("#reload-result", "Reloaded")
        self.dry_run("type", "user")
        self.check_view("dashboard")
        browser.click('#keys-list button[data-focus="cache:user:1"]')
        browser.wait_for("#entry-body pre")
        self.check_view("entry")

    def check_view(self, name):
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                with self.subTest(view=name, width=width, scheme=scheme):
                    self.browser.look(width, scheme)
                    self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), width)
                    seen, low = self.browser.run(LOW_CONTRAST)
                    self.assertGreater(seen, 3)
                    self.assertEqual(low, [])
        self.browser.look(1280, "light")

    def test_who_does_not_see_it(self):
        self.start()
        self.assertEqual(self.browser.names("input"), ["Admin token"])
        self.fill("/users/1")
        self.sign_in()
        self.browser.wait_for("#keys-list table")
        for name in self.browser.names("button, input, select, textarea, a, summary, "
                                       "meter:not([aria-hidden]), nav, svg[role=img], table"):
            self.assertTrue(name.strip())
        self.assertEqual(self.browser.run(
            "return ['header', 'nav', 'main', 'footer'].map((name) => "
            "[...document.querySelectorAll(name)].filter((e) => e.checkVisibility()).length)"), [1, 1, 1, 1])
        self.assertEqual(json.loads(self.browser.run(
            "return JSON.stringify([...document.querySelectorAll('h1, h2, h3')].filter((e) => e.checkVisibility())"
            ".map((e) => Number(e.tagName[1])))"))[0], 1, "it begins with its only first heading")
        # Narrow, its tables look like cards and are tables still.
        self.browser.look(390, "light")
        self.assertEqual(self.browser.run("return document.querySelector('#keys-list table').getAttribute('role')"),
                         "table")


if __name__ == "__main__":
    unittest.main()
