"""Row 16: what a second worker adds to the cost of a request."""

from .. import measures, rounds


def two_against_one(bench):
    with bench.table.attempt(measures.WORKERS):
        bench.need_two_cores()
        load_core = bench.cores.two_workers()[1]
        costs = rounds.in_turn(bench, [
            rounds.Case(name, bench.servers.get(server), "/1k/a", bench.servers.bodies.sizes["1k"], load_core=load_core)
            for name, server in (("one", "larder"), ("two", "larder_two"))])
        bench.table.judge_ratio(measures.WORKERS, ("two", costs["two"].cpu_us), ("one", costs["one"].cpu_us))


ROWS = {16: two_against_one}
