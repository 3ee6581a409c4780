"""Row 7: what is not stored, and only passes through."""

import functools
import socket

from .. import measures, rounds
from ..report import Failed


def small(bench):
    with bench.table.attempt(measures.PASS):
        costs = rounds.in_turn(bench, [
            rounds.Case(name, bench.servers.get(server), "/private/1k/a", bench.servers.bodies.sizes["1k"], hit=False)
            for name, server in (("ours", "larder"), ("nginx", "nginx"))])
        bench.table.judge_ratio(measures.PASS, ("nginx", costs["nginx"].cpu_us), ("ours", costs["ours"].cpu_us))


def _take(port, target):
    """Number of bytes that come until the connection ends, head and body."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        buffer, total = bytearray(1 << 20), 0
        while size := connection.recv_into(buffer):
            if not total and not buffer.startswith(b"HTTP/1.1 200 "):
                raise Failed(f"a large body is answered with {bytes(buffer[:60])}")
            total += size
    return total


def _cpu_of_large(bench, server):
    before = server.child.cpu_seconds()
    size, total = bench.servers.bodies.sizes["1g"], _take(server.port, "/private/1g/a")
    if not size < total < size + 65536:
        raise Failed(f"{total} bytes came instead of {size}")
    return server.child.cpu_seconds() - before


def large(bench):
    with bench.table.attempt(measures.PASS_LARGE):
        servers = {"ours": bench.servers.get("larder"), "HAProxy": bench.servers.get("haproxy")}
        seconds = rounds.median_in_turn(bench, {name: functools.partial(_cpu_of_large, bench, server)
                                                for name, server in servers.items()})
        ratio = seconds["ours"] / seconds["HAProxy"]
        bench.table.judge(measures.PASS_LARGE, ratio, f"{ratio:.2f} (ours {seconds['ours'] * 1e3:.0f} ms of CPU, "
                                                      f"HAProxy {seconds['HAProxy'] * 1e3:.0f} ms)")


def both(bench):
    small(bench)
    large(bench)


ROWS = {7: both}
