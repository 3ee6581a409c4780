"""The table of scripts/bench.sh: reading what programs print, turns and medians, verdicts, Markdown, and that nothing
outlives it. Needs nothing installed; nothing is measured here."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
import unittest
from unittest import mock

from bench.table import load, machine, measures, options, processes, report, rounds, rows, servers
from bench.table.rows import asked_of_system, memory, programs

WRK = """Running 2s test @ http://127.0.0.1:1/1k/a
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   500.00us  100.00us   9.00ms   90.00%
    Req/Sec   120.00k     3.00k  125.00k    80.00%
  240000 requests in 2.00s, 300.00MB read
Requests/sec: 120000.50
Transfer/sec:    150.00MB
"""
STAMPEDE = """larder     1 KiB: origin requests 1, answered after 205.1 ms; p50 221.4 ms, p99 227.9 ms, max 229.0 ms
stored     1 KiB: p50 11.0 ms, p99 19.2 ms, max 20.0 ms
trivial    1 KiB: p50 214.0 ms, p99 219.0 ms, max 219.9 ms
larder   100 KiB: origin requests 1, answered after 205.1 ms; p50 300.0 ms, p99 380.0 ms, max 390.0 ms
"""
FOOTPRINT = """1000000 responses of 1 KiB: resident 1500.5 bytes each, charged 1510.0
beyond key, head and body: resident 151.3 bytes each, charged 160.0; canonical request 60.0 of them
churn: at most 0.990 of the budget of 16 MiB resident
"""
HIT_RATIO = """trace                                       Larder     LRU  points   (hit ratio in %, cache of 10 %)
Zipf 0.9                                     70.00   60.00  +10.00
Zipf 0.9, 30 % asked for once                50.00   45.00   +5.00
Zipf 1.0, 50 % asked for once                40.00   37.50   +2.50
trace                                       Larder     LRU  points   (hit ratio in %, cache of 1 %)
Zipf 0.9, 30 % asked for once                20.00   19.00   +1.00
"""
PURGE = """purge of 100,000 of 1,000,000 keys: answered after 0.40 ms (worst 0.90); last hit of another node \
after 0.35 ms (worst 0.80)
purge of 100,000 of 1,000,000 keys: Redis took 31 us (worst 48)
purge of 100,000 of 1,000,000 keys: hits per second 100000 before, 98000 during the sweep (which ended \
meanwhile): dip +2.0 %; afterwards Redis and both nodes take 1.0 % of a core
"""
SELECTORS = """live selectors, one path: none 5.00 us, 1,000 5.05 us per hit, loss +1.0 %
live selectors, one path, 100 purges per second: none 5.00 us, 1,000 5.50 us per hit, loss +10.0 %
live selectors, 1,000 paths: none 5.00 us, 1,000 5.10 us per hit, loss +2.0 %
live selectors, 1,000 paths, 100 purges per second: none 5.00 us, 1,000 5.40 us per hit, loss +8.0 %
"""
STRACE = """strace: Process 7 attached with 3 threads
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.600000           3    100000        12 recvfrom
 40.00    0.400000           4    100000           sendmsg
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000           3    200000        12 total
"""
LISTED = measures.FOOTPRINT  # any measure: at most 200 B


def printing(output, **chosen):
    """A Bench whose programs print `output`."""
    return types.SimpleNamespace(
        table=report.Table(), options=types.SimpleNamespace(rounds=5, secs=1, **chosen), cores=machine.Cores({0, 1}),
        servers=types.SimpleNamespace(program=lambda name: name),
        children=types.SimpleNamespace(run=lambda *_: output))


class Reading(unittest.TestCase):
    """What wrk, strace and our own programs print."""

    def test_wrk(self):
        self.assertEqual(load.parse_wrk(WRK), load.Run(240000, 120000.5))

    def test_a_run_with_errors_counts_for_nothing(self):
        for output in (WRK + "  Non-2xx or 3xx responses: 7\n",
                       WRK + "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
                       WRK.replace("240000 requests", "0 requests"), "unable to connect"):
            with self.subTest(output[-60:]), self.assertRaises(report.Failed):
                load.parse_wrk(output)

    def test_strace(self):
        self.assertEqual(asked_of_system.parse_strace(STRACE), 200000)
        self.assertEqual(asked_of_system.parse_strace(STRACE.replace("        12 total", "           total")), 200000)
        with self.assertRaises(report.Failed):
            asked_of_system.parse_strace("strace: Process 7 attached\n")

    def test_programs(self):
        for row, output, values in ((9, STAMPEDE, [1, 227.9]), (11, FOOTPRINT, [151.3]), (13, HIT_RATIO, [2.5]),
                                    (14, PURGE, [0.35, 31, 2.0]), (15, SELECTORS, [2.0])):
            with self.subTest(row=row):
                bench = printing(output)
                programs.ROWS[row](bench)
                lines = bench.table.lines(row)
                self.assertEqual([line.value for line in lines], values)
                self.assertEqual({line.verdict for line in lines}, {"met"})

    def test_other_output_fails_the_row(self):
        for row in programs.ROWS:
            bench = printing("something else\n")
            programs.ROWS[row](bench)
            for line in bench.table.lines(row):
                self.assertIn("failed: nothing in the program's output is as expected", line.verdict)


class Verdicts(unittest.TestCase):
    """From figures to lines."""

    def setUp(self):
        self.table = report.Table()

    def verdict(self, measure):
        (line,) = (line for line in self.table.lines(measure.row) if line.measure == measure)
        return line.verdict

    def test_bounds_hold_at_their_limit(self):
        for measure, met, not_met in ((measures.FOOTPRINT, 200, 200.1), (measures.PIPELINED, 2.5, 2.49)):
            self.table.judge(measure, met, "")
            self.assertEqual(self.verdict(measure), "met")
            self.table.judge(measure, not_met, "")
            self.assertEqual(self.verdict(measure), "not met")

    def test_a_ratio_names_both_costs(self):
        self.table.judge_ratio(measures.GZIP, ("gzip", 6.0), ("identity", 5.0))
        (line,) = self.table.lines(8)
        self.assertEqual((line.measured, line.verdict), ("1.20 (gzip 6.00 µs, identity 5.00 µs)", "not met"))
        with self.assertRaises(report.Failed):
            self.table.judge_ratio(measures.GZIP, ("gzip", 6.0), ("identity", 0.0))

    def test_what_stops_a_row_is_the_verdict_of_what_was_not_judged_yet(self):
        for error, verdict in ((report.Skipped("nginx is not installed"), "skipped: nginx is not installed"),
                               (report.Failed("no hit"), "failed: no hit"), (OSError("refused"), "failed: refused")):
            self.table = report.Table()
            with self.table.attempt(measures.PASS, measures.PASS_LARGE):
                self.table.judge(measures.PASS, 1.2, "1.2")
                raise error
            self.assertEqual(self.verdict(measures.PASS), "met")
            self.assertEqual(self.verdict(measures.PASS_LARGE), verdict)

    def test_no_measure_is_left_out_silently(self):
        self.assertEqual([line.verdict for line in self.table.lines(7)], ["failed: the row left it out"] * 2)

    def test_every_row_has_a_measure_and_a_function(self):
        self.assertEqual(measures.ROWS, tuple(range(1, 19)))
        self.assertEqual(set(rows.FUNCTIONS), set(measures.ROWS))
        self.assertEqual(len({measure.name for measure in measures.ALL}), len(measures.ALL))


class Printing(unittest.TestCase):
    """Markdown and JSON."""

    def test_markdown(self):
        head = report.head([("date", "2026-01-02"), ("CPU", "one")])
        self.assertEqual(head.splitlines()[:3], ["- date: 2026-01-02", "- CPU: one", ""])
        self.assertTrue(head.endswith("\n|---|---|---|---|---|"))
        line = report.Line(measures.FOOTPRINT, "a|b\nc", "met", 1.0)
        self.assertEqual(report.row(line), f"| 11 | {measures.FOOTPRINT.name} | ≤ 200 B | a\\|b c | met |")

    def test_json(self):
        text = report.as_json([("date", "2026-01-02")], [report.Line(LISTED, "–", "skipped: x")])
        self.assertEqual(json.loads(text), {
            "machine": {"date": "2026-01-02"},
            "rows": [{"row": 11, "measure": LISTED.name, "must": "≤ 200 B", "value": None, "measured": "–",
                      "verdict": "skipped: x"}]})


class Options(unittest.TestCase):
    """The command line."""

    def test_all_rows_by_default_and_builds_only_by_name(self):
        chosen = options.parse(["--build", "b"])
        self.assertEqual((chosen.rows, chosen.builds, chosen.rounds), (list(range(1, 19)), False, 5))
        chosen = options.parse(["--build", "b", "--rows", "18,2,2", "--rounds", "1"])
        self.assertEqual((chosen.rows, chosen.builds, chosen.rounds), ([2, 18], True, 1))

    def test_wrong_options_are_named(self):
        for wrong, said in ((["--rows", "1,x"], "not a list of row numbers"), (["--rows", "19"], "there is no row 19"),
                            (["--rounds", "0"], "at least 1"), (["--secs", "soon"], "at least 1")):
            errors = io.StringIO()
            with self.subTest(wrong), contextlib.redirect_stderr(errors), self.assertRaises(SystemExit):
                options.parse(["--build", "b", *wrong])
            self.assertIn(said, errors.getvalue())


class Turns(unittest.TestCase):
    """A B A B, and medians."""

    @staticmethod
    def case(name, cpu_seconds, **more):
        child = types.SimpleNamespace(cpu_seconds=mock.Mock(side_effect=cpu_seconds))
        server = types.SimpleNamespace(child=child, port=name, is_hit=lambda fields: fields.get("x-cache") == "HIT")
        return rounds.Case(name, server, "/", 4, **more)

    def bench(self):
        return types.SimpleNamespace(options=types.SimpleNamespace(rounds=3, secs=1), cores=machine.Cores({0, 1}),
                                     children=None)

    def test_in_turn(self):
        cases = [self.case("A", [0, 1, 1, 5, 5, 7]), self.case("B", [0, 4, 4, 7, 7, 8])]
        order = []

        def wrk(_, core, port, *__, **___):
            order.append(port)
            self.assertEqual(core, 1)
            return load.Run(1000000, 10.0 * len(order))

        with mock.patch.object(load, "wrk", wrk), mock.patch.object(rounds.Case, "check"):
            costs = rounds.in_turn(self.bench(), cases)
        self.assertEqual("".join(order), "AB" + "ABABAB")  # warmed up, then measured
        self.assertEqual(costs["A"], rounds.Cost(2.0, 50.0))
        self.assertEqual(costs["B"], rounds.Cost(3.0, 60.0))

    def test_a_failure_names_the_server_and_whether_it_has_ended(self):
        case = self.case("A", [0])
        case.server.child.check_alive = mock.Mock(side_effect=[None, report.Failed("A ended with status -11")])
        with mock.patch.object(load, "wrk", mock.Mock(side_effect=report.Failed("Socket errors: read 3"))):
            for said in ("^A: Socket errors: read 3$", "^A ended with status -11$"):
                with self.assertRaisesRegex(report.Failed, said):
                    rounds.warm_up(self.bench(), case)

    def test_charged_processes_count(self):
        redis = types.SimpleNamespace(cpu_seconds=lambda: 2.5)
        self.assertEqual(self.case("A", [1.0], charged=(redis,)).cpu_seconds(), 3.5)

    def test_only_what_is_meant_is_measured(self):
        hit = {"x-cache": "HIT"}
        for answer, said in (((200, hit, b"body"), None), ((503, hit, b"body"), "with 503"),
                             ((200, hit, b"bo"), "with 2 bytes, not 4"), ((200, {}, b"body"), "with no hit")):
            with self.subTest(said), mock.patch.object(load, "get", lambda *_, a=answer: a):
                if said is None:
                    self.case("A", []).check()
                    continue
                with self.assertRaisesRegex(report.Failed, said):
                    self.case("A", []).check()


class Surroundings(unittest.TestCase):
    """The machine, the servers' files, the children."""

    def test_cores(self):
        self.assertEqual((machine.Cores({3, 5}).server, machine.Cores({3, 5}).load), (3, 5))
        self.assertEqual(machine.Cores({0, 1}).two_workers(), ([0, 1], 1))
        self.assertEqual(machine.Cores({0, 1, 2}).two_workers(), ([0, 1], 2))
        self.assertTrue(machine.Cores({4}).shared)

    def test_idle_connections_go_as_far_as_the_limit(self):
        self.assertEqual(memory.connections_allowed(1024, 1 << 20), (20000, 22000))
        self.assertEqual(memory.connections_allowed(1024, 4096), (2096, 4096))
        self.assertEqual(memory.connections_allowed(1 << 19, 1 << 20), (20000, 1 << 19))
        with self.assertRaises(report.Skipped):
            memory.connections_allowed(1024, 1024)

    def test_templates_have_all_their_values(self):
        names = ("port", "directory", "bodies", "cache", "modules", "origin_port", "redis_port")
        values = dict.fromkeys(names, "x")
        for name in os.listdir(servers.TEMPLATES):
            self.assertNotIn("@{", servers.render(name, **values))

    def test_bodies_have_exactly_their_size(self):
        for size in (1024, 1234, 100 * 1024):
            self.assertEqual(len(servers.json_body(size)), size)

    def test_a_program_that_is_missing_skips_what_needs_it(self):
        with self.assertRaisesRegex(report.Skipped, "no-such-program is not installed"):
            processes.require("no-such-program")

    def test_a_program_that_fails_is_named(self):
        with processes.Processes() as children:
            self.assertEqual(children.run(["sh", "-c", "echo said"], os.sched_getaffinity(0), 10), "said\n")
            with self.assertRaisesRegex(report.Failed, "status 3: why"):
                children.run(["sh", "-c", "echo why; exit 3"], os.sched_getaffinity(0), 10)
        self.assertFalse(os.path.exists(children.directory))


START_TWO = """
import os, time
from bench.table import __main__ as table, processes
table.end_at_signals()
with processes.Processes() as children:
    for _ in range(2):
        child = children.start(["sh", "-c", "echo up; exec sleep 600"], os.sched_getaffinity(0))
        child.wait_for_output("up")
        print(child.pid, flush=True)
    print(children.directory, flush=True)
    time.sleep(60)
"""


class Ending(unittest.TestCase):
    """Whatever ends the benchmark, all that it started ends too."""

    def setUp(self):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [sys.executable, "-B", "-c", START_TWO], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.kill)
        self.pids = [int(self.process.stdout.readline()) for _ in range(2)]
        self.directory = self.process.stdout.readline().strip()

    def assert_ended(self, pid):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                    if re.search(r"\) Z ", stat.read()):
                        return  # nobody has waited for it, and it is no more than that
            except FileNotFoundError:
                return
            time.sleep(0.01)
        self.fail(f"process {pid} still runs")

    def test_a_signal_that_comes_twice(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(60), 128 + signal.SIGTERM)
        for pid in self.pids:
            self.assert_ended(pid)
        self.assertFalse(os.path.exists(self.directory))

    def test_interrupted_from_the_terminal(self):
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.process.wait(60), 128 + signal.SIGINT)
        for pid in self.pids:
            self.assert_ended(pid)

    def test_killed(self):
        self.process.kill()
        self.process.wait(60)
        self.addCleanup(subprocess.run, ["rm", "-r", self.directory], check=True)
        for pid in self.pids:
            self.assert_ended(pid)


if __name__ == "__main__":
    unittest.main()
