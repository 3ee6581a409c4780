#!/usr/bin/env python3
"""What one purge costs when Redis holds many keys: of a type, a tenth of them, at 1,000 keys and at a million.

    tests/bench/purge_at_scale.py --larder build/larder [--keys 1000,1000000] [--purges 20] [--seconds 3]

How Redis is filled: Larder stores one entry of each type. Its record is read back, and copies of it, with another number
in its path and with its key and checksums computed anew, are written under their own keys: the bytes that Larder itself
would have written. A sample of them is then asked for through Larder, and each must be a hit from Redis, or the
measurement ends.

Prints, for each number of keys:
- the time from sending the purge until its answer, and until the last client of a second node was given a purged entry
  (median and worst of several purges; one entry in ten matches each time),
- what Redis spent on it (SLOWLOG: the purge's script alone),
- hits per second from memory before the purge and during the sweep that gives the space back, in turns of a second; and
  the share of one core that Redis and Larder's own threads took while the sweep ran and no client came.
Redis and both nodes run on core 0, the load on core 1: what the sweep takes is missing to the hits."""

import argparse
import hashlib
import os
import re
import socket
import statistics
import struct
import sys
import threading
import time
import zlib

import loopback

sys.path.insert(0, __file__.rsplit("/bench/", 1)[0])
from integration.support.redis_process import RedisClient  # noqa: E402 pylint: disable=wrong-import-position

RULES = """types: { dead: { ttl: 1h }, live: { ttl: 1h } }
routes:
  - match: GET /dead/**
    cache: dead
  - match: GET /live/**
    cache: live
"""
HEADER = 28  # of a record: magic, kind, flags, sizes, two checksums
TEMPLATE = "9999999"
PURGE_LOG = b"larder:purge-log"
SWEEP_LIMIT = 120  # seconds


class Template:
    """A record as Larder wrote it, from which others are made."""

    def __init__(self, kind, key, record):
        self._prefix = f"cache:{kind}:".encode()
        self._key = key
        self._record = record
        # The canonical request is the first text behind the front; its md5 is the key.
        self._front_end = HEADER + struct.unpack_from("<I", record, 8)[0]
        size = struct.unpack_from("<I", record, self._front_end)[0]
        self._canonical = record[self._front_end + 4:self._front_end + 4 + size]
        self.serial = re.search(rb"serial-\d+;", record).group()
        if self.entry(TEMPLATE) != (key, record):
            raise RuntimeError("a record is not as this measurement knows it: a copy of it differs")

    def entry(self, number):
        """Key and record of the entry with `number` (7 digits) in its path."""
        old, new = TEMPLATE.encode(), number.encode()
        key = self._prefix + hashlib.md5(self._canonical.replace(old, new)).hexdigest().encode()
        record = bytearray(self._record.replace(self._key, key).replace(old, new))
        struct.pack_into("<I", record, 24, zlib.crc32(record[self._front_end:]))
        struct.pack_into("<I", record, 20, zlib.crc32(record[HEADER:self._front_end], zlib.crc32(record[:20])))
        return key, bytes(record)


class EntryWriter:
    """SETs entries, pipelined."""

    BATCH = 1000

    def __init__(self, port):
        self._sock = socket.create_connection(("127.0.0.1", port), 20)

    def write(self, template, numbers):
        for begin in range(0, len(numbers), self.BATCH):
            batch = numbers[begin:begin + self.BATCH]
            pieces = []
            for number in batch:
                key, record = template.entry(f"{number:07}")
                pieces.append(b"*5\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$4\r\n3600\r\n" %
                              (len(key), key, len(record), record))
            self._sock.sendall(b"".join(pieces))
            replies = b""
            while len(replies) < 5 * len(batch):
                replies += self._sock.recv(1 << 16)
            if replies != b"+OK\r\n" * len(batch):
                raise RuntimeError("Redis refused an entry")

    def close(self):
        self._sock.close()


class LastHit:
    """Asks a node for entries that are about to die, without a pause, and remembers when the last of them came. They
    bear `serial`; what the origin answers afterwards has another."""

    def __init__(self, port, paths, serial):
        self._client = loopback.Client(port)
        self._paths = paths
        self._serial = serial
        self._ends = False
        self.last_hit = 0.0
        self.hits = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        while self.hits < 100:
            time.sleep(0.001)

    def _run(self):
        while not self._ends:
            for path in self._paths:
                if self._serial in self._client.request("GET", path)[1]:
                    self.last_hit = time.monotonic()
                    self.hits += 1

    def close(self):
        self._ends = True
        self._thread.join()
        self._client.close()


class Fleet:
    """Redis with entries, and two nodes before it. One in ten is of the type that will be purged."""

    def __init__(self, binary):
        self.origin = loopback.Origin(b"x" * 64)
        self.redis = loopback.redis_server()
        # Without a memory tier the second node answers every request from Redis.
        self.nodes = [loopback.larder(binary, self.origin.port, RULES, self.redis.port, memory)
                      for memory in (None, "off")]
        self.commands = RedisClient(self.redis.port)
        self._writer = EntryWriter(self.redis.port)
        self._admin = None
        self._keys = 0
        self._serial = b""
        self._live = None
        for node in self.nodes:
            self._wait_until_it_reads_redis(node)

    def _wait_until_it_reads_redis(self, node):
        client = loopback.Client(node.admin_port)
        deadline = time.monotonic() + 20
        while client.request("GET", "/ready")[0] != 200:
            if time.monotonic() > deadline:
                raise RuntimeError("a node is not ready")
            time.sleep(0.05)
        client.close()
        time.sleep(0.5)

    def _template(self, kind):
        """Of an entry stored now: newer than all purges."""
        client = loopback.Client(self.nodes[0].port)
        _, head = client.request("GET", f"/{kind}/{TEMPLATE}")
        client.close()
        key = re.search(rb"X-Cache-Key: (\S+)", head).group(1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            record = self.commands.command("GET", key)
            if record and not loopback.is_hit(head):
                return Template(kind, key, record)
            time.sleep(0.01)
        raise RuntimeError("Larder has not written an entry")

    def grow(self, keys):
        """Adds entries until there are `keys`, counting those that a purge has killed and that are written anew."""
        live = [number for number in range(self._keys, keys) if number % 10]
        if live:
            self._live = self._live or self._template("live")
            self._writer.write(self._live, live)
        self._keys = keys
        self.revive()

    def revive(self):
        """Writes the entries of the type that is purged."""
        template = self._template("dead")
        self._serial = template.serial
        self._writer.write(template, range(0, self._keys, 10))
        self._check_sample()
        # Anew each time: writing a million entries takes longer than a connection may be idle.
        if self._admin:
            self._admin.close()
        self._admin = loopback.Client(self.nodes[0].admin_port)

    def _check_sample(self):
        client = loopback.Client(self.nodes[1].port)
        step = max(1, self._keys // 1000)
        paths = [f"/{'live' if number % 10 else 'dead'}/{number:07}" for number in range(0, self._keys, step)]
        for begin in range(0, len(paths), 50):
            heads = client.get_many(paths[begin:begin + 50])
            if not all(loopback.is_hit(head) and b"detail=redis" in head for head in heads):
                raise RuntimeError("an entry that was written for this measurement is not a hit")
        client.close()

    def purge(self):
        loopback.purge(self._admin, '{"pattern":"cache:dead:*"}')

    def timed_purge(self):
        """Seconds until its answer, seconds until the second node's last hit, and microseconds that Redis took."""
        poller = LastHit(self.nodes[1].port, [f"/dead/{number:07}" for number in range(0, min(self._keys, 80), 10)],
                         self._serial)
        self.commands.command("CONFIG", "SET", "slowlog-max-len", "10000", "slowlog-log-slower-than", "0")
        begin = time.monotonic()
        self.purge()
        answered = time.monotonic()
        time.sleep(0.05)
        self.commands.command("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        poller.close()
        took = [entry[2] for entry in self.commands.command("SLOWLOG", "GET", "-1")
                if entry[3][0].upper().startswith(b"EVAL") and PURGE_LOG in entry[3]]
        self.commands.command("SLOWLOG", "RESET")
        return answered - begin, max(0.0, poller.last_hit - begin), sum(took)

    def dead_left(self):
        """Keys that the sweep has still to remove."""
        extra = 16  # the log, the templates, and what the pollers' requests have stored anew
        return max(0, self.commands.command("DBSIZE") - self._keys * 9 // 10 - extra)

    def cpu_seconds(self):
        return sum(loopback.cpu_seconds(server.pid) for server in (self.redis, *self.nodes))

    def close(self):
        for server in (self._admin, *self.nodes, self.redis, self.origin):
            if server:
                server.close()


def measure(fleet, keys, purges, seconds):
    fleet.grow(keys)
    answered, last_hits, redis_times = [], [], []
    for turn in range(purges):
        if turn:
            fleet.revive()
        answer, last_hit, redis_time = fleet.timed_purge()
        answered.append(answer * 1e3)
        last_hits.append(last_hit * 1e3)
        redis_times.append(redis_time)
    name = f"purge of {keys // 10:,} of {keys:,} keys"
    print(f"{name}: answered after {statistics.median(answered):.2f} ms (worst {max(answered):.2f}); last hit of another"
          f" node after {statistics.median(last_hits):.2f} ms (worst {max(last_hits):.2f})", flush=True)
    print(f"{name}: Redis took {statistics.median(redis_times):.0f} us (worst {max(redis_times)})", flush=True)
    measure_sweep(fleet, name, seconds)


def measure_sweep(fleet, name, seconds):
    """Of the sweep that follows one more purge."""
    node = fleet.nodes[0]
    deadline = time.monotonic() + SWEEP_LIMIT
    while fleet.dead_left() and time.monotonic() < deadline:
        time.sleep(0.2)
    fleet.revive()
    time.sleep(0.5)
    loopback.load(node.port, "/live/0000001", 1)
    before = [loopback.load(node.port, "/live/0000001", 1)[1] for _ in range(seconds)]
    begin = time.monotonic()
    fleet.purge()
    during = [loopback.load(node.port, "/live/0000001", 1)[1] for _ in range(seconds)]
    left = fleet.dead_left()
    cpu = fleet.cpu_seconds()
    idle_begin = time.monotonic()
    time.sleep(1)
    share = (fleet.cpu_seconds() - cpu) / (time.monotonic() - idle_begin)
    ran = "which still ran then" if left else "which ended meanwhile"
    dip = 1 - statistics.median(during) / statistics.median(before)
    print(f"{name}: hits per second {statistics.median(before):.0f} before, {statistics.median(during):.0f} during the"
          f" sweep ({ran}): dip {dip * 100:+.1f} %; afterwards Redis and both nodes take {share * 100:.1f} % of a core", flush=True)
    while fleet.dead_left() and time.monotonic() < deadline:
        time.sleep(0.2)
    print(f"{name}: the space was given back after {time.monotonic() - begin:.1f} s", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--larder", required=True)
    arguments.add_argument("--keys", default="1000,1000000", help="numbers of keys, ascending")
    arguments.add_argument("--purges", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=3)
    a = arguments.parse_args()
    sys.setswitchinterval(1e-4)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(loopback.LOAD_CORE)})
    fleet = Fleet(a.larder)
    try:
        for keys in map(int, a.keys.split(",")):
            measure(fleet, keys, a.purges, a.seconds)
    finally:
        fleet.close()


if __name__ == "__main__":
    main()
