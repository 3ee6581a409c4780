#!/usr/bin/env python3
"""What live purge selectors cost hits in memory.

    tests/bench/live_selectors.py --larder build/larder [--seconds 2] [--rounds 5]

Two equal servers take turns under the same load (A B A B ...), one without purges, one with 1,000 live selectors of all
kinds, none of which names what is asked for. Then the same while a purge arrives every 10 ms, so that every entry is
checked against the log again and again: by one path, and by 1,000 paths. Prints CPU microseconds per request and the
loss against the first server; the load generator shares the machine, so its requests per second compress."""

import argparse
import statistics
import tempfile
import threading
import time

import loopback

RULES = """types: { page: { ttl: 1h } }
routes:
  - match: GET /items/**
    cache: page
    tags: ["section:items"]
"""
THOUSAND_PATHS = """local i = 0
request = function()
  i = (i + 7) % 1000
  return wrk.format("GET", "/items/" .. i)
end
"""


def orders(count, mark):
    kinds = ['{{"pattern":"cache:type{0}:*"}}', '{{"tag":"product:{0}"}}', '{{"path":"/items/{0}/parts/**"}}',
             '{{"pattern":"cache:pa{0}*:x"}}', '{{"key":"cache:page:{0}"}}', '{{"path":"/api/orders/*/{0}/*"}}']
    return [kinds[i % len(kinds)].format(f"{mark}{i}") for i in range(count)]


class SteadyPurges:
    """A purge every 10 ms, until closed."""

    def __init__(self, admin_port, mark):
        self._client = loopback.Client(admin_port)
        self._mark = mark
        self._ends = threading.Event()
        self.count = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        begin = time.monotonic()
        while not self._ends.wait(max(0.0, begin + self.count * 0.01 - time.monotonic())):
            loopback.purge(self._client, orders(6, f"{self._mark}-{self.count}-")[self.count % 6])
            self.count += 1

    def close(self):
        self._ends.set()
        self._thread.join()
        self._client.close()


def compare(servers, prepare, seconds, rounds, path, script):
    """Median CPU microseconds per request of each server, in turns."""
    costs = [[] for _ in servers]
    for turn in range(rounds):
        for index, server in enumerate(servers):
            loopback.load(server.port, path, 1, script=script)
            busy = prepare(index, turn)
            before = loopback.cpu_seconds(server.pid)
            requests, _ = loopback.load(server.port, path, seconds, script=script)
            costs[index].append((loopback.cpu_seconds(server.pid) - before) / requests * 1e6)
            if busy:
                busy.close()
    return [statistics.median(cost) for cost in costs]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--larder", required=True)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    a = arguments.parse_args()
    origin = loopback.Origin()
    servers = [loopback.larder(a.larder, origin.port, RULES) for _ in range(2)]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(THOUSAND_PATHS)
        script.flush()
        for server in servers:
            loopback.load(server.port, "/items/1", 1, 4, script.name)
            loopback.load(server.port, "/items/1", 1, 4)
        admin = loopback.Client(servers[1].admin_port)
        for order in orders(1000, ""):
            loopback.purge(admin, order)
        for name, lua in (("one path", None), ("1,000 paths", script.name)):
            plain, loaded = compare(servers, lambda *_: None, a.seconds, a.rounds, "/items/1", lua)
            print(f"live selectors, {name}: none {plain:.2f} us, 1,000 {loaded:.2f} us per hit,"
                  f" loss {(loaded / plain - 1) * 100:+.1f} %", flush=True)
            plain, loaded = compare(
                servers, lambda index, turn: SteadyPurges(servers[1].admin_port, turn) if index == 1 else None,
                a.seconds, a.rounds, "/items/1", lua)
            print(f"live selectors, {name}, 100 purges per second: none {plain:.2f} us, 1,000 {loaded:.2f} us per hit,"
                  f" loss {(loaded / plain - 1) * 100:+.1f} %", flush=True)
    for server in (*servers, admin, origin):
        server.close()


if __name__ == "__main__":
    main()
