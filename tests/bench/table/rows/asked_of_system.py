"""Row 10: what a hit asks of the heap and of the kernel."""

import os
import re

from .. import load, measures, processes, rounds
from ..report import Failed

HITS = 20000
WARM_UP = 1000
TEST = "hit_allocation_test.cpp, ctest -R unit/app"


def _read(counter):
    with open(counter, "rb") as file:
        return int.from_bytes(file.read(8), "little")


def _allocations(bench, hits):
    """Heap allocations of Larder while it answers so many hits on one connection, counted by a preloaded library."""
    counter = os.path.join(bench.children.directory, "allocations")
    with open(counter, "wb") as file:
        file.write(bytes(8))
    library = bench.servers.program("tests/bench/libbench_allocations.so")
    larder = bench.servers.larder(LD_PRELOAD=library, ALLOCATION_COUNTER=counter)
    connection, size = load.Connection(larder.port), bench.servers.bodies.sizes["1k"]
    try:
        for _ in range(WARM_UP):
            connection.get("/1k/a", size)
        before = _read(counter)
        if not before:
            raise Failed("no allocation was counted, not even at the start")
        for _ in range(hits):
            connection.get("/1k/a", size)
        return _read(counter) - before
    finally:
        connection.close()
        bench.children.end(larder.child)


def allocations(bench):
    """To two decimals: what a timer of Larder's allocates meanwhile is no hit's."""
    with bench.table.attempt(measures.ALLOCATIONS):
        counted = _allocations(bench, HITS)
        each = counted / HITS
        bench.table.judge(measures.ALLOCATIONS, round(each, 2),
                          f"{each:.2f} ({counted} in {HITS:,} hits; asserted by {TEST})")


def parse_strace(output):
    """The sum of calls in the table of `strace -c`."""
    counted = re.search(r"^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$", output, re.MULTILINE)
    if not counted:
        raise Failed("strace counts no system calls")
    return int(counted.group(1))


def system_calls(bench):
    """Under strace the server is many times slower, so that the load always waits for it."""
    with bench.table.attempt(measures.SYSTEM_CALLS):
        program, larder = processes.require("strace"), bench.servers.get("larder")
        case = rounds.Case("ours", larder, "/1k/a", bench.servers.bodies.sizes["1k"])
        case.check()
        rounds.warm_up(bench, case)
        strace = bench.children.start([program, "-f", "-c", "-p", str(larder.child.pid)], [bench.cores.load])
        try:
            strace.wait_for_output("attached")
            run = load.wrk(bench.children, bench.cores.load, larder.port, "/1k/a", bench.options.secs)
        finally:
            bench.children.end(strace)
        calls = parse_strace(strace.output()) / run.requests
        bench.table.judge(measures.SYSTEM_CALLS, calls, f"{calls:.2f} (strace, {run.requests:,} hits)")


def both(bench):
    allocations(bench)
    system_calls(bench)


ROWS = {10: both}
