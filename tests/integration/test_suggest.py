"""`larder suggest` as an operator runs it."""

import json
import os
import random
import subprocess
import unittest

from .support.files_case import FilesCase
from .support.larder_process import PROGRAM, clean_environment, run_program
from .support.waiting import DEADLINE

RULES = """
types: { page: { ttl: 1h } }
routes:
  - match: GET /search
    cache: page
  - match: PUT|DELETE /items/{id}
    purge: [ { path: /items/** } ]
"""


def combined(second, target, status=200, size=100, method="GET"):
    return (f'192.0.2.1 - - [26/Nov/2025:01:{second // 60:02}:{second % 60:02} +0000] "{method} {target} HTTP/1.1" '
            f'{status} {size} "-" "curl"\n')


class Suggest(FilesCase):
    def suggest(self, log, *arguments, status=0):
        done = run_program("suggest", "--rules", self.write("rules.yaml", RULES), "--access-log",
                           self.write("access.log", log), *arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_a_log_in_combined_format(self):
        log = "".join(combined(second, f"/search?q={second % 4}&utm_id={second}") for second in range(100))
        log += "".join(combined(100 + second, f"/items/{second % 5}") for second in range(100))
        log += combined(200, "/items/3", 204, 0, "PUT")
        text = self.suggest(log)
        self.assertIn("201 requests from 2025-11-26T01:00:00Z to 2025-11-26T01:03:20Z", text)
        self.assertRegex(text, r"100 +\d+ +0.0 % +-  \S*rules.yaml:4  GET /search")
        self.assertRegex(text, r"100 +5 +\w+ +\d+\.\d %  GET /items/\{id\}")
        self.assertIn("1 writes to it", text)
        self.assertRegex(text, r"utm_id of \S*rules.yaml:4  GET /search: it is known for tracking; "
                               r"query: \{ ignore: \[utm_id\] \}")

    def test_what_it_proposes_helps(self):
        log = "".join(combined(second, f"/search?q={second % 4}&utm_id={second}") for second in range(100))
        self.write("access.log", log)
        rules = self.write("better.yaml", RULES.replace("cache: page", "cache: page\n    query: { ignore: [utm_id] }"))
        done = run_program("suggest", "--rules", rules, "--access-log", os.path.join(self.directory, "access.log"))
        self.assertIn("expected hit rate: 96.0 % of what the rules look up", done.stdout)

    def test_json_from_the_standard_input(self):
        lines = "".join(json.dumps({"time": f"2025-11-26T01:00:{second:02}.5Z", "event": "request", "client": "c",
                                    "method": "GET", "host": "a", "target": "/search?q=1", "status": 200, "bytes": 5,
                                    "cache": "HIT" if second else "MISS"}) + "\n" for second in range(10))
        done = subprocess.run([PROGRAM, "suggest", "--rules", self.write("rules.yaml", RULES)], input=lines,
                              capture_output=True, text=True, timeout=DEADLINE, check=False, env=clean_environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"10 +1 +90.0 % +90.0 %  \S*rules.yaml:4  GET /search")

    def test_malformed_lines_are_counted_and_named(self):
        numbers = random.Random(7)
        junk = ["garbage", "{", "{}", '{"method":"GET","target":"/"}', combined(1, "nothing"), "[" * 70000,
                "\x00\x01\x02", 'a - - [x] "GET / HTTP/1.1" 200 1', combined(2, "/search").replace("200", "abc"),
                combined(3, "/search")[:30]]
        junk += ["".join(chr(numbers.randrange(1, 0x250)) for _ in range(200)).replace("\n", " ") for _ in range(200)]
        text = self.suggest(combined(0, "/search") + "\n".join(line.rstrip("\n") for line in junk) + "\n")
        self.assertIn("1 requests", text)
        for name in ("unknown_form", "bad_json", "no_target", "bad_time", "bad_request", "too_long", "bad_status"):
            self.assertRegex(text, rf"\d+ lines left out: {name} \(.*\), the first is line \d+")
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f]")

    def test_a_huge_log_takes_bounded_memory(self):
        count = 300000
        path = os.path.join(self.directory, "huge.log")
        with open(path, "w", encoding="ascii") as file:
            for number in range(count):
                file.write(combined(number % 3600, f"/search?q={number}"))
                file.write(combined(number % 3600, f"/p{number % 50}/{number}/x?y={number}&z={number}"))
        # A child of its own, whose peak is known when it has ended.
        program = ("import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, "
                   "check=True); sys.stdout.write(done.stdout.decode()); "
                   "print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        done = subprocess.run(["python3", "-c", program, PROGRAM, "suggest", "--rules",
                               self.write("rules.yaml", RULES), "--access-log", path], capture_output=True, text=True,
                              timeout=10 * DEADLINE, check=False, env=clean_environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{2 * count} requests", done.stdout)
        self.assertIn("one of 2 targets was followed", done.stdout)
        peak = int(done.stdout.rsplit("PEAK ", 1)[1])
        if not os.environ.get("LARDER_SANITIZE"):
            self.assertLess(peak, 300 * 1024, "KiB")

    def test_what_cannot_be_read(self):
        for path, what in (("/nonexistent", "cannot be read"), (self.directory, "cannot be read")):
            done = run_program("suggest", "--rules", self.write("rules.yaml", RULES), "--access-log", path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(what, done.stderr)
        done = run_program("suggest", "--rules", self.write("rules.yaml", "routes: 1\n"), "--access-log", "/dev/null")
        self.assertEqual(done.returncode, 1)
        self.assertIn("rules.yaml:1: routes is not a list", done.stderr)


if __name__ == "__main__":
    unittest.main()
