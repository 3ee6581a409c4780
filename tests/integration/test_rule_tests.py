"""The tests of a rules file: `larder check` runs them."""

import os
import unittest

from .support.files_case import FilesCase
from .support.integration_case import HOUR_RULES, IntegrationCase
from .support.larder_process import REPOSITORY, run_program

RULES = """
types: { page: { ttl: 1h } }
routes:
  - match: GET /search
    cache: page
  - match: PUT|DELETE /items/{id}
    purge: [ { path: /items/** } ]
"""


class CheckedRules(FilesCase):
    def check(self, tests, rules=RULES):
        config = self.write("larder.yaml", "origin: { servers: [http://127.0.0.1:3000] }\nrules: rules.yaml\n")
        self.rules = self.write("rules.yaml", rules + "tests:\n" + tests)
        return run_program("check", "--config", config)

    def test_those_that_hold(self):
        done = self.check("  - request: GET /search?q=1\n    expect: { type: page, ttl: 1h, stored: true }\n")
        self.assertEqual((done.returncode, done.stdout), (0, "ok: 1 type, 2 routes, 1 test\n"))

    def test_those_that_fail_are_told_by_line(self):
        done = self.check("  - request: GET /search\n    expect: { ttl: 1h }\n"
                          "  - name: items are cached\n    request: GET /items/1\n    expect:\n      type: page\n"
                          "  - request: PUT /items/1\n    expect: { purges: [ { tag: x } ] }\n")
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        self.assertEqual(lines, [
            f'{self.rules}:14: test "items are cached": expected type page, got none',
            f'{self.rules}:16: test "PUT /items/1": expected purges tag x, got path /items/**'])

    def test_those_that_are_wrong(self):
        done = self.check("  - request: GET /search\n    expect: { til: 1h }\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f'{self.rules}:10: there is no key "til" in expect, did you mean ttl?', done.stdout)

    def test_the_ones_in_conf_hold(self):
        done = run_program("check", "--config", os.path.join(REPOSITORY, "conf", "larder.yaml"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^ok: 5 types, \d+ routes, \d+ tests, 1 warm task\n$")


class ServedAllTheSame(IntegrationCase):
    def test_a_test_that_fails_is_for_check_alone(self):
        origin = self.origin()
        origin.answers("/a", "x")
        larder = self.larder(origin, rules=HOUR_RULES + "tests:\n  - request: GET /a\n    expect: { type: none }\n")
        self.assert_outcome(larder.get("/a"), "MISS")


if __name__ == "__main__":
    unittest.main()
