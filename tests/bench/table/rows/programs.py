"""Rows 9, 11, 13, 14 and 15: measured by programs of tests/bench that also stand alone. Their lines are read here."""

import os
import re
import sys

from .. import measures
from ..report import Failed

DIRECTORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LONGEST = 900  # seconds


def figures(pattern, output):
    """The named groups of every place where `pattern` matches, as numbers; none is a failure."""
    found = [{name: float(value.replace(",", "")) for name, value in match.groupdict().items()}
             for match in re.finditer(pattern, output, re.MULTILINE)]
    if not found:
        raise Failed(f"nothing in the program's output is as expected: {output[:200].strip()}")
    return found


def _script(bench, name, *options):
    return bench.children.run([sys.executable, "-B", os.path.join(DIRECTORY, name), "--larder",
                               bench.servers.program("larder"), *options], bench.cores.all, LONGEST)


def _program(bench, name, *arguments):
    return bench.children.run([bench.servers.program(f"tests/bench/{name}"), *arguments], [bench.cores.server], LONGEST)


def stampede(bench):
    """Of bodies of 1 KiB. A trivial server before the same crowd shows how much of the p99 is the machine's."""
    with bench.table.attempt(measures.STAMPEDE_REQUESTS, measures.STAMPEDE_P99):
        output = _script(bench, "stampede.py", "--rounds", str(bench.options.rounds))
        ours = figures(r"^larder +1 KiB: origin requests (?P<requests>\d+),.* p99 (?P<p99>[\d.]+) ms", output)[0]
        trivial = figures(r"^trivial +1 KiB: .*p99 (?P<p99>[\d.]+) ms", output)[0]
        bench.table.judge(measures.STAMPEDE_REQUESTS, ours["requests"], f"{ours['requests']:.0f}")
        bench.table.judge(measures.STAMPEDE_P99, ours["p99"],
                          f"{ours['p99']:.0f} ms (a trivial server {trivial['p99']:.0f} ms)")


def footprint(bench):
    with bench.table.attempt(measures.FOOTPRINT):
        output = _program(bench, "larder_footprint", "1000000", "16")
        each = figures(r"^beyond key, head and body: resident (?P<bytes>[\d.]+) bytes each", output)[0]["bytes"]
        bench.table.judge(measures.FOOTPRINT, each, f"{each:.0f} B")


def hit_ratio(bench):
    """The worst of the traces with one-hit wonders."""
    with bench.table.attempt(measures.HIT_RATIO):
        of_a_tenth = _program(bench, "larder_hit_ratio").split("cache of 1 %")[0]
        worst = min(figures(r"asked for once +(?P<ours>[\d.]+) +(?P<lru>[\d.]+) +(?P<points>[+-][\d.]+)", of_a_tenth),
                    key=lambda trace: trace["points"])
        bench.table.judge(measures.HIT_RATIO, worst["points"],
                          f"{worst['points']:+.1f} points ({worst['ours']:.1f} %, LRU {worst['lru']:.1f} %)")


def purge(bench):
    with bench.table.attempt(measures.PURGE_SERVED, measures.PURGE_REDIS, measures.PURGE_DIP):
        output = _script(bench, "purge_at_scale.py", "--keys", "1000000")
        served = figures(r"last hit of another node after (?P<median>[\d.]+) ms \(worst (?P<worst>[\d.]+)\)", output)[0]
        redis = figures(r"Redis took (?P<median>\d+) us \(worst (?P<worst>\d+)\)", output)[0]
        dip = figures(r"dip (?P<dip>[+-][\d.]+) %", output)[0]["dip"]
        bench.table.judge(measures.PURGE_SERVED, served["median"],
                          f"{served['median']:.2f} ms (worst {served['worst']:.2f} ms)")
        bench.table.judge(measures.PURGE_REDIS, redis["median"],
                          f"{redis['median']:.0f} µs (worst {redis['worst']:.0f} µs)")
        bench.table.judge(measures.PURGE_DIP, dip, f"{dip:+.1f} %")


def selectors(bench):
    """The worse of one path and 1,000 paths; beside it the same while 100 purges a second arrive."""
    with bench.table.attempt(measures.SELECTORS):
        output = _script(bench, "live_selectors.py", "--rounds", str(bench.options.rounds))
        quiet = max(each["loss"] for each in figures(r"paths?: none.* loss (?P<loss>[+-][\d.]+) %", output))
        busy = max(each["loss"] for each in figures(r"per second: none.* loss (?P<loss>[+-][\d.]+) %", output))
        bench.table.judge(measures.SELECTORS, quiet, f"{quiet:+.1f} % (with 100 purges per second {busy:+.1f} %)")


ROWS = {9: stampede, 11: footprint, 13: hit_ratio, 14: purge, 15: selectors}
