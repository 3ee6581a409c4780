"""Row 12: what an idle connection takes."""

import os
import resource

from .. import load, measures
from ..report import Skipped

WANTED = 20000
FEWEST = 1000
SPARE = 2000  # descriptors for all else that client and server have open, or set aside
SETTINGS = "client:\n  connections: 100000\n  idle_timeout: 1h\n"


def connections_allowed(soft, hard):
    """How many connections to open under these limits on open files, and the soft limit that this takes."""
    unlimited = resource.RLIM_INFINITY
    limit = WANTED + SPARE if hard == unlimited else min(WANTED + SPARE, hard)
    if limit - SPARE < FEWEST:
        raise Skipped(f"the limit on open files, {limit}, is too low")
    return limit - SPARE, soft if soft == unlimited else max(soft, limit)


def _allow():
    """Raises the limit for this process and what it starts; returns the number of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count, soft = connections_allowed(soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return count


def _used_connection(port, size):
    """A connection that has made one request and has its whole answer."""
    connection = load.Connection(port)
    connection.get("/1k/a", size)
    return connection


def idle_connections(bench):
    with bench.table.attempt(measures.IDLE):
        count = _allow()
        settings = os.path.join(bench.children.directory, "idle.yaml")
        with open(settings, "w", encoding="utf-8") as file:
            file.write(SETTINGS)
        server = bench.servers.larder("--config", settings)
        size = bench.servers.bodies.sizes["1k"]
        connections = []
        try:
            _used_connection(server.port, size).close()
            before = server.child.resident_bytes()
            for _ in range(count):
                connections.append(_used_connection(server.port, size))
            each = (server.child.resident_bytes() - before) / count
        finally:
            for connection in connections:
                connection.close()
            bench.children.end(server.child)
        bench.table.judge(measures.IDLE, each,
                          f"{each:,.0f} B ({count:,} connections; the kernel's memory not counted)")


ROWS = {12: idle_connections}
