"""Row 18: how long it takes to start and to build."""

import os
import shutil
import statistics
import time

from .. import measures, processes
from ..report import Skipped

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..", ".."))
CHANGED = "src/proxy/hit.cpp"
LONGEST = 3600  # seconds


def _seconds_to_listen(bench):
    port = processes.unused_port()
    command = bench.servers.larder_command(port)
    begin = time.monotonic()
    child = bench.children.start(command, [bench.cores.server])
    child.wait_for_port(port)
    seconds = time.monotonic() - begin
    bench.children.end(child)
    return seconds


def _start(bench):
    with bench.table.attempt(measures.START):
        seconds = statistics.median(_seconds_to_listen(bench) for _ in range(bench.options.rounds))
        bench.table.judge(measures.START, seconds, f"{seconds:.2f} s")


def _seconds_of(bench, *command):
    begin = time.monotonic()
    # Without ccache: what a build takes, not what is remembered of an earlier one.
    bench.children.run(["env", "CCACHE_DISABLE=1", *command], bench.cores.all, LONGEST)
    return time.monotonic() - begin


def _builds(bench):
    with bench.table.attempt(measures.CLEAN_BUILD, measures.INCREMENTAL_BUILD):
        if not bench.options.builds:
            raise Skipped("it takes minutes; --rows 18 measures it")
        # A copy, so that neither the user's build nor the age of a source is touched.
        copy = os.path.join(bench.children.directory, "source")
        shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns("build*", ".git"))
        build = os.path.join(copy, "build")
        configure = _seconds_of(bench, "cmake", "-G", "Ninja", "-S", copy, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                                "-DLARDER_TESTS=OFF")
        seconds = configure + _seconds_of(bench, "cmake", "--build", build, "--target", "larder")
        bench.table.judge(measures.CLEAN_BUILD, seconds, f"{seconds:.0f} s")
        os.utime(os.path.join(copy, CHANGED))
        seconds = _seconds_of(bench, "cmake", "--build", build, "--target", "larder")
        bench.table.judge(measures.INCREMENTAL_BUILD, seconds, f"{seconds:.1f} s ({CHANGED})")


def both(bench):
    _start(bench)
    _builds(bench)


ROWS = {18: both}
