"""What is measured and what it must be: one Measure is one line of the table."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a figure must be: at least or at most `limit`."""

    limit: float
    at_least: bool = False
    unit: str = ""

    def holds(self, value):
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self):
        unit = f" {self.unit}" if self.unit else ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{unit}"


def at_most(limit, unit=""):
    return Bound(limit, False, unit)


def at_least(limit, unit=""):
    return Bound(limit, True, unit)


@dataclasses.dataclass(frozen=True)
class Measure:
    """One line of the table: `row` is its number there, `name` what is measured."""

    row: int
    name: str
    must: Bound


FLOOR = {(fields, rows): Measure(row, f"{name}, {fields} fields: ours / floor", at_most(1.45))
         for row, rows, name in ((1, "one", "memory hit, 1 KiB"), (3, "zipf", "10,000 paths, Zipf"))
         for fields in (2, 13)}
PEERS = {(peer, rows): Measure(row, f"{name}, 2 fields: {title} / ours", at_least(limit))
         for row, rows, name in ((2, "one", "memory hit, 1 KiB"), (3, "zipf", "10,000 paths, Zipf"))
         for peer, title, limit in (("haproxy", "HAProxy", 1.2), ("nginx", "nginx", 1.6), ("varnish", "Varnish", 3))}
LARGE = {size: Measure(4, f"memory hit, {size}: ours / floor", at_most(1.15)) for size in ("100 KiB", "1 MiB")}
PIPELINED = Measure(5, "16 pipelined hits: requests per second / without pipelining", at_least(2.5, "×"))
REDIS_HIT = Measure(6, "Redis hit, memory off, Redis's CPU charged: nginx+Lua+Redis / ours", at_least(2))
PASS = Measure(7, "pass-through (no-store), 1 KiB: nginx / ours", at_least(1))
PASS_LARGE = Measure(7, "pass-through, 1 GiB body: ours / HAProxy", at_most(1.1))
GZIP = Measure(8, "gzip hit / identity hit of the same number of bytes", at_most(1.1))
STAMPEDE_REQUESTS = Measure(9, "1,000 clients on a cold key, origin 200 ms: origin requests", at_most(1))
STAMPEDE_P99 = Measure(9, "1,000 clients on a cold key, origin 200 ms: p99", at_most(230, "ms"))
ALLOCATIONS = Measure(10, "heap allocations per memory hit", at_most(0))
SYSTEM_CALLS = Measure(10, "system calls per hit, 64 connections", at_most(2.3))
FOOTPRINT = Measure(11, "1,000,000 objects of 1 KiB: resident bytes each beyond key, head and body", at_most(200, "B"))
IDLE = Measure(12, "idle keep-alive connection: resident bytes", at_most(8192, "B"))
HIT_RATIO = Measure(13, "hit ratio, Zipf + one-hit wonders, cache of 10 %: above LRU", at_least(2, "points"))
PURGE_SERVED = Measure(14, "purge of 100,000 of 1,000,000 keys: until none is served", at_most(2, "ms"))
PURGE_REDIS = Measure(14, "purge of 100,000 of 1,000,000 keys: Redis's time", at_most(50, "µs"))
PURGE_DIP = Measure(14, "purge of 100,000 of 1,000,000 keys: dip in hit throughput", at_most(5, "%"))
SELECTORS = Measure(15, "1,000 live purge selectors: loss in hit throughput", at_most(3, "%"))
WORKERS = Measure(16, "two workers / one, CPU per request", at_most(1.15))
P99 = Measure(17, "p99 at half of nginx's maximum rate: ours / nginx's", at_most(1))
START = Measure(18, "start to listening", at_most(0.3, "s"))
CLEAN_BUILD = Measure(18, "clean build", at_most(240, "s"))
INCREMENTAL_BUILD = Measure(18, "incremental build of one proxy file", at_most(15, "s"))

ALL = (FLOOR[2, "one"], FLOOR[13, "one"], *(PEERS[peer, "one"] for peer in ("haproxy", "nginx", "varnish")),
       FLOOR[2, "zipf"], FLOOR[13, "zipf"], *(PEERS[peer, "zipf"] for peer in ("haproxy", "nginx", "varnish")),
       *LARGE.values(), PIPELINED, REDIS_HIT, PASS, PASS_LARGE, GZIP, STAMPEDE_REQUESTS, STAMPEDE_P99, ALLOCATIONS,
       SYSTEM_CALLS, FOOTPRINT, IDLE, HIT_RATIO, PURGE_SERVED, PURGE_REDIS, PURGE_DIP, SELECTORS, WORKERS, P99, START,
       CLEAN_BUILD, INCREMENTAL_BUILD)
ROWS = tuple(sorted({measure.row for measure in ALL}))
