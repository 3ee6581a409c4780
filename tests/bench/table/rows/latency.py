"""Row 17: latency under a load that does not wait for the server, at half of what nginx can do."""

import functools

from .. import load, measures, rounds
from ..report import Failed


def _p99(bench, name, server, rate):
    # A p99 needs many requests, and more than one of the pauses that a machine makes.
    seconds = 2 * bench.options.secs
    program = bench.servers.program("tests/bench/bench_open_loop")
    try:
        return load.open_loop(bench.children, bench.cores.load, program, server.port, "/1k/a", rate, seconds)["p99_us"]
    except Failed as error:
        server.child.check_alive()
        raise Failed(f"{name}: {error}") from error


def half_of_nginx(bench):
    with bench.table.attempt(measures.P99):
        bench.need_two_cores()
        nginx, larder = bench.servers.get("nginx"), bench.servers.get("larder")
        size = bench.servers.bodies.sizes["1k"]
        most = rounds.in_turn(bench, [rounds.Case("nginx", nginx, "/1k/a", size)])["nginx"].per_second
        rounds.Case("ours", larder, "/1k/a", size).check()
        p99 = rounds.median_in_turn(bench, {name: functools.partial(_p99, bench, name, server, most / 2)
                                            for name, server in (("ours", larder), ("nginx", nginx))})
        ratio = p99["ours"] / p99["nginx"]
        bench.table.judge(measures.P99, ratio, f"{ratio:.2f} (ours {p99['ours']:.0f} µs, nginx {p99['nginx']:.0f} µs, "
                                               f"at {most / 2:,.0f} per second)")


ROWS = {17: half_of_nginx}
