"""Rows 1 to 6 and 8: what hits cost, beside the floor and the peers."""

from .. import load, measures, rounds
from ..report import Skipped

PEERS = {"haproxy": "HAProxy", "nginx": "nginx", "varnish": "Varnish"}


def _case(bench, name, server, target, body, **more):
    return rounds.Case(name, server, target, bench.servers.bodies.sizes[body], **more)


def _small(bench, rows, fields, with_peers, with_floor):
    """Costs of 1 KiB hits: of one path, or of 10,000 of them ("zipf")."""
    target, script = ("/1k/a", None) if rows == "one" else ("/1k/z", load.ZIPF)
    lines = load.TWO_FIELDS if fields == 2 else load.THIRTEEN_FIELDS
    servers = {"ours": bench.servers.get("larder")}
    if with_floor:
        servers["floor"] = bench.servers.floor("1k")
    if with_peers:
        servers |= _installed_peers(bench, rows)
    return rounds.in_turn(bench, [_case(bench, name, server, target, "1k", script=script, fields=lines)
                                  for name, server in servers.items()])


def _installed_peers(bench, rows):
    found = {}
    for peer in PEERS:
        try:
            found[peer] = bench.servers.get(peer)
        except Skipped as reason:
            bench.table.skip(measures.PEERS[peer, rows], str(reason))
    return found


def _judge_peers(bench, rows, costs):
    for peer, title in PEERS.items():
        if peer in costs:
            bench.table.judge_ratio(measures.PEERS[peer, rows], (title, costs[peer].cpu_us),
                                    ("ours", costs["ours"].cpu_us))


def _judge_floor(bench, rows, fields, costs):
    bench.table.judge_ratio(measures.FLOOR[fields, rows], ("ours", costs["ours"].cpu_us),
                            ("floor", costs["floor"].cpu_us))


def _hits(bench, rows, with_floor, with_peers):
    peers = [measures.PEERS[peer, rows] for peer in PEERS] if with_peers else []
    floor = [measures.FLOOR[2, rows]] if with_floor else []
    with bench.table.attempt(*floor, *peers):
        costs = _small(bench, rows, 2, with_peers, with_floor)
        if with_floor:
            _judge_floor(bench, rows, 2, costs)
        _judge_peers(bench, rows, costs)
    if with_floor:
        with bench.table.attempt(measures.FLOOR[13, rows]):
            _judge_floor(bench, rows, 13, _small(bench, rows, 13, False, True))


def one_path(bench):
    """Rows 1 and 2, from the same rounds where both are wanted."""
    _hits(bench, "one", 1 in bench.options.rows, 2 in bench.options.rows)


def only_peers(bench):
    """Row 2 where row 1 has not measured it too."""
    if 1 not in bench.options.rows:
        one_path(bench)


def zipf(bench):
    _hits(bench, "zipf", True, True)


def large(bench):
    for title, body in (("100 KiB", "100k"), ("1 MiB", "1m")):
        with bench.table.attempt(measures.LARGE[title]):
            costs = rounds.in_turn(bench, [
                _case(bench, name, server, f"/{body}/a", body)
                for name, server in (("ours", bench.servers.get("larder")), ("floor", bench.servers.floor(body)))])
            bench.table.judge_ratio(measures.LARGE[title], ("ours", costs["ours"].cpu_us),
                                    ("floor", costs["floor"].cpu_us))


def pipelined(bench):
    with bench.table.attempt(measures.PIPELINED):
        larder = bench.servers.get("larder")
        costs = rounds.in_turn(bench, [_case(bench, "one by one", larder, "/1k/a", "1k"),
                                       _case(bench, "pipelined", larder, "/1k/a", "1k", script=load.PIPELINED)])
        one, many = costs["one by one"], costs["pipelined"]
        factor = many.per_second / one.per_second
        bench.table.judge(measures.PIPELINED, factor,
                          f"{factor:.1f} × ({many.per_second:,.0f} and {one.per_second:,.0f} per second; "
                          f"{many.cpu_us:.2f} and {one.cpu_us:.2f} µs)")


def redis(bench):
    with bench.table.attempt(measures.REDIS_HIT):
        charged = (bench.servers.get("redis").child,)
        costs = rounds.in_turn(bench, [
            _case(bench, name, bench.servers.get(server), "/1k/a", "1k", charged=charged)
            for name, server in (("ours", "larder_redis"), ("nginx+Lua+Redis", "nginx_redis"))])
        bench.table.judge_ratio(measures.REDIS_HIT, ("nginx+Lua+Redis", costs["nginx+Lua+Redis"].cpu_us),
                                ("ours", costs["ours"].cpu_us))


def coded(bench):
    with bench.table.attempt(measures.GZIP):
        larder, accepts = bench.servers.get("larder"), (*load.TWO_FIELDS, "Accept-Encoding: gzip")
        costs = rounds.in_turn(bench, [_case(bench, coding, larder, f"/coded/{coding}/a", "coded", fields=accepts)
                                       for coding in ("gzip", "identity")])
        bench.table.judge_ratio(measures.GZIP, ("gzip", costs["gzip"].cpu_us), ("identity", costs["identity"].cpu_us))


ROWS = {1: one_path, 2: only_peers, 3: zipf, 4: large, 5: pipelined, 6: redis, 8: coded}
